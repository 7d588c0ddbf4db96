//! How far answers are apart, for each pair of forms.

use std::fmt;

use super::FORMS;
use super::runtimes::Program;

/// The larger one; NaN is larger than all.
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if a.is_nan() || b <= a { a } else { b }
}

/// The worst of each pair, over the networks, from the form of a row to that of a column.
#[derive(Default)]
struct Figures([[Option<f32>; FORMS.len()]; FORMS.len()]);

impl Figures {
    fn add(&mut self, from: usize, to: usize, apart: f32) {
        let cell = &mut self.0[from][to];
        *cell = Some(larger(cell.unwrap_or(0.0), apart));
    }

    fn worst(&self) -> f32 {
        self.0.iter().flatten().flatten().copied().fold(0.0, larger)
    }
}

/// What keepnet answers to the targets, and what the programs do that they are for.
#[derive(Default)]
pub(crate) struct Table {
    ours: Figures,
    theirs: Figures,
    /// Of tf-keras, beside Keras 3.
    of_tf_keras: Figures,
}

impl Table {
    pub(crate) fn ours(&mut self, from: usize, to: usize, apart: f32) {
        self.ours.add(from, to, apart);
    }

    pub(crate) fn theirs(&mut self, program: Program, from: usize, to: usize, apart: f32) {
        let figures = match program {
            Program::TfKeras => &mut self.of_tf_keras,
            _ => &mut self.theirs,
        };
        figures.add(from, to, apart);
    }

    pub(crate) fn worst_of_ours(&self) -> f32 {
        self.ours.worst()
    }

    pub(crate) fn worst_of_theirs(&self) -> f32 {
        larger(self.theirs.worst(), self.of_tf_keras.worst())
    }
}

/// As it stands in docs/INTEROP.md: in each cell what keepnet answers, then what the program of the column
/// does, that of the two Kerases both.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| from |")?;
        FORMS.iter().try_for_each(|(form, _)| write!(f, " {form} |"))?;
        writeln!(f, "\n|---|{}", "--:|".repeat(FORMS.len()))?;
        for (from, (form, _)) in FORMS.iter().enumerate() {
            write!(f, "| {form} |")?;
            for to in 0..FORMS.len() {
                let figures = [&self.ours, &self.theirs, &self.of_tf_keras];
                let figures = figures.map(|figures| figures.0[from][to]);
                let told: Vec<String> = figures.into_iter().flatten().map(short).collect();
                write!(f, " {} |", if told.is_empty() { "–".into() } else { told.join("; ") })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn short(apart: f32) -> String {
    if apart == 0.0 { "0".into() } else { format!("{apart:.1e}") }
}
