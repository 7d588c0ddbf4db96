//! Which classes are taken for which, and the figures that follow from the counts.

use std::fmt;

use serde::Serialize;

use super::numbers::{grouped, percent};
use super::table::{Align, Charset, Table, plain};

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionMatrix {
    classes: Vec<String>,
    /// Row-major: the true class chooses the row, the predicted class the column.
    counts: Vec<u64>,
}

/// The figures of one class. A figure is `None` where it would divide by zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Of the samples taken for this class, the share that is of it.
    pub precision: Option<f64>,
    /// Of the samples of this class, the share that was taken for it.
    pub recall: Option<f64>,
    /// The harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// The samples of this class.
    pub support: u64,
}

/// Why counts are not those of a confusion matrix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} counts do not make a confusion matrix of {classes} × {classes} classes")]
pub struct CountsError {
    pub classes: usize,
    pub found: usize,
}

impl ConfusionMatrix {
    /// Nothing counted yet.
    pub fn new(classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let classes: Vec<String> = classes.into_iter().map(Into::into).collect();
        let counts = vec![0; classes.len() * classes.len()];
        Self { classes, counts }
    }

    /// Counts taken elsewhere: row by row, one row per true class.
    ///
    /// # Errors
    /// If there are not as many counts as classes squared.
    pub fn from_counts(
        classes: impl IntoIterator<Item = impl Into<String>>,
        counts: impl Into<Vec<u64>>,
    ) -> Result<Self, CountsError> {
        let empty = Self::new(classes);
        let counts = counts.into();
        if counts.len() != empty.counts.len() {
            return Err(CountsError { classes: empty.classes.len(), found: counts.len() });
        }
        Ok(Self { counts, ..empty })
    }

    /// Counts one sample.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        let index = self.index(truth, predicted);
        self.counts[index] += 1;
    }

    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many samples of class `truth` were taken for class `predicted`.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[self.index(truth, predicted)]
    }

    /// All samples counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Samples taken for what they are.
    pub fn correct(&self) -> u64 {
        (0..self.classes.len()).map(|class| self.count(class, class)).sum()
    }

    /// The share of samples taken for what they are; `None` if there are none.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.correct(), self.total())
    }

    /// The figures of one class.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn figures(&self, class: usize) -> ClassFigures {
        let all = 0..self.classes.len();
        let hits = self.count(class, class);
        let support = all.clone().map(|predicted| self.count(class, predicted)).sum();
        let predicted: u64 = all.map(|truth| self.count(truth, class)).sum();
        ClassFigures {
            precision: ratio(hits, predicted),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, support + predicted),
            support,
        }
    }

    /// The pairs (true class, predicted class, count) that were mixed up, most often first; pairs
    /// of equal count in the order of the classes.
    pub fn mistakes(&self) -> Vec<(usize, usize, u64)> {
        let classes = self.classes.len();
        let pairs = (0..classes).flat_map(|truth| (0..classes).map(move |taken| (truth, taken)));
        let mut mistakes: Vec<_> = pairs
            .filter(|(truth, predicted)| truth != predicted)
            .map(|(truth, predicted)| (truth, predicted, self.count(truth, predicted)))
            .filter(|&(_, _, count)| count > 0)
            .collect();
        mistakes.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
        mistakes
    }

    fn index(&self, truth: usize, predicted: usize) -> usize {
        let classes = self.classes.len();
        assert!(truth < classes && predicted < classes, "one of the {classes} classes");
        truth * classes + predicted
    }

    /// The counts, one row per true class, with zeros as dots. Ten classes of up to 9,999 samples
    /// fit in 80 columns.
    pub fn render_counts(&self, charset: Charset) -> String {
        let mut columns = vec![("true".to_owned(), Align::Right)];
        columns.extend(self.classes.iter().map(|name| (name.clone(), Align::Right)));
        let mut table = Table::new(columns);
        for (truth, name) in self.classes.iter().enumerate() {
            let counts = (0..self.classes.len()).map(|predicted| self.count(truth, predicted));
            let cells =
                counts.map(|count| if count == 0 { "·".to_owned() } else { count.to_string() });
            table.row(std::iter::once(name.clone()).chain(cells).collect());
        }
        format!("True classes down, predicted classes across\n{}", table.render(charset))
    }

    /// Precision, recall and F1 of each class, then what was mixed up most often.
    pub fn render_figures(&self, charset: Charset) -> String {
        let headings = ["Class", "Precision", "Recall", "F1", "Samples"];
        let mut table =
            Table::new(headings.map(|heading| (heading.to_owned(), Align::Right)).to_vec());
        let share =
            |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| percent(share, 2));
        for (class, name) in self.classes.iter().enumerate() {
            let ClassFigures { precision, recall, f1, support } = self.figures(class);
            let figures = [share(precision), share(recall), share(f1), grouped(support)];
            table.row(std::iter::once(name.clone()).chain(figures).collect());
        }
        let mut text = table.render(charset);
        let (correct, total) = (grouped(self.correct()), grouped(self.total()));
        if let Some(accuracy) = self.accuracy() {
            text += &format!("Accuracy {}: {correct} of {total}\n", percent(accuracy, 2));
        }
        let worst: Vec<String> = (self.mistakes().into_iter().take(3))
            .map(|(truth, predicted, count)| {
                let [truth, predicted] =
                    [truth, predicted].map(|class| plain(&self.classes[class], charset));
                format!("{truth} taken for {predicted} ({})", grouped(count))
            })
            .collect();
        if !worst.is_empty() {
            text += &format!("Most often: {}\n", worst.join(", "));
        }
        text
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Both tables in Unicode.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let charset = Charset::Unicode;
        f.write_str(&self.render_counts(charset))?;
        f.write_str(&self.render_figures(charset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 5 cats (3 taken for cats, 2 for dogs), 4 dogs (1 for a cat), no newt.
    fn pets() -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(["cat", "dog", "newt"]);
        for (truth, predicted) in
            [(0, 0), (0, 0), (0, 0), (0, 1), (0, 1), (1, 1), (1, 1), (1, 1), (1, 0)]
        {
            matrix.add(truth, predicted);
        }
        matrix
    }

    #[test]
    fn figures_follow_from_the_counts() {
        let matrix = pets();
        assert_eq!(matrix.accuracy(), Some(6.0 / 9.0));
        let cat = matrix.figures(0);
        assert_eq!((cat.precision, cat.recall, cat.support), (Some(3.0 / 4.0), Some(3.0 / 5.0), 5));
        // 2·P·R / (P + R) = 2·0.75·0.6 / 1.35
        assert!((cat.f1.unwrap() - 2.0 / 3.0).abs() < 1e-15);
        let newt = ClassFigures { precision: None, recall: None, f1: None, support: 0 };
        assert_eq!(matrix.figures(2), newt);
        assert_eq!(matrix.mistakes(), [(0, 1, 2), (1, 0, 1)]);
        assert_eq!(ConfusionMatrix::new(["a"]).accuracy(), None);
    }

    #[test]
    fn both_tables() {
        let expected = "\
True classes down, predicted classes across
┌──────┬─────┬─────┬──────┐
│ true │ cat │ dog │ newt │
├──────┼─────┼─────┼──────┤
│  cat │   3 │   2 │    · │
│  dog │   1 │   3 │    · │
│ newt │   · │   · │    · │
└──────┴─────┴─────┴──────┘
┌───────┬───────────┬─────────┬─────────┬─────────┐
│ Class │ Precision │  Recall │      F1 │ Samples │
├───────┼───────────┼─────────┼─────────┼─────────┤
│   cat │   75.00 % │ 60.00 % │ 66.67 % │       5 │
│   dog │   60.00 % │ 75.00 % │ 66.67 % │       4 │
│  newt │         – │       – │       – │       0 │
└───────┴───────────┴─────────┴─────────┴─────────┘
Accuracy 66.67 %: 6 of 9
Most often: cat taken for dog (2), dog taken for cat (1)
";
        assert_eq!(pets().to_string(), expected);
        assert!(pets().render_counts(Charset::Ascii).is_ascii());
        assert!(pets().render_figures(Charset::Ascii).is_ascii());
    }

    #[test]
    fn counts_must_fill_the_matrix() {
        let counts = [3, 2, 0, 1, 3, 0, 0, 0, 0];
        assert_eq!(ConfusionMatrix::from_counts(["cat", "dog", "newt"], counts), Ok(pets()));
        let error = ConfusionMatrix::from_counts(["a", "b"], [1, 2, 3]).unwrap_err();
        assert_eq!(error, CountsError { classes: 2, found: 3 });
    }

    proptest! {
        /// The definitions of precision, recall and F1 once more, from the samples themselves.
        #[test]
        fn figures_agree_with_counting_samples(
            samples in prop::collection::vec((0..4_usize, 0..4_usize), 0..60),
        ) {
            let mut matrix = ConfusionMatrix::new(["a", "b", "c", "d"]);
            samples.iter().for_each(|&(truth, predicted)| matrix.add(truth, predicted));
            for class in 0..4 {
                let of = samples.iter().filter(|sample| sample.0 == class).count();
                let taken = samples.iter().filter(|sample| sample.1 == class).count();
                let both = samples.iter().filter(|&&sample| sample == (class, class)).count();
                let figures = matrix.figures(class);
                prop_assert_eq!(figures.support, of as u64);
                prop_assert_eq!(figures.recall, (of > 0).then(|| both as f64 / of as f64));
                prop_assert_eq!(figures.precision, (taken > 0).then(|| both as f64 / taken as f64));
                if let (Some(p), Some(r), Some(f1)) = (figures.precision, figures.recall, figures.f1)
                    && p + r > 0.0
                {
                    prop_assert!((f1 - 2.0 * p * r / (p + r)).abs() < 1e-12);
                }
            }
        }
    }
}
