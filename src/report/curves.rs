//! How training went, as a picture.

use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::iso_8859_1::{FONT_7X13, FONT_8X13, FONT_9X18_BOLD, FONT_10X20};
use embedded_graphics::pixelcolor::Rgb888;

use super::axis::{Axis, LARGEST};
use super::canvas::{Anchor, BLUE, Canvas, GRID, INK, MUTED, PAPER, VERMILION};
use super::numbers::percent;
use crate::model::History;

const MARGIN: i32 = 32;
const PANEL_WIDTH: i32 = 560;
const PANEL_GAP: i32 = 40;
/// Title of the picture, above the panels.
const TITLE_HEIGHT: i32 = 40;
/// Heading and legend, above the axes.
const HEADING_HEIGHT: i32 = 60;
const PLOT_HEIGHT: i32 = 320;
/// Tick labels and the axis' name, below the axes.
const FOOT_HEIGHT: i32 = 48;
/// Between the axes and the first and last epoch.
const INSET: i32 = 14;
const TICK_FONT: MonoFont<'static> = FONT_8X13;
/// Points of a curve that are marked, at most.
const MARKERS: usize = 25;

/// What a curve is drawn with: to be told apart without colour too.
struct Pen {
    name: &'static str,
    color: Rgb888,
    /// Marks points with rings, not with discs.
    ring: bool,
}

const TRAINING: Pen = Pen { name: "training", color: BLUE, ring: false };
const VALIDATION: Pen = Pen { name: "validation", color: VERMILION, ring: true };

/// One metric over the epochs.
struct Panel {
    title: String,
    /// A share of 1, shown in percent.
    share: bool,
    training: Curve,
    validation: Curve,
}

/// (epoch counted from 1, value) in the order of time; `None` where it cannot be drawn.
type Curve = Vec<(f64, Option<f64>)>;

/// Draws loss and accuracy over the epochs, for training and for validation, as a PNG file: one
/// panel for `loss`, one for `accuracy` or else the first metric whose name ends so. A panel
/// without figures is left out; a figure that is not finite leaves a gap. The same history gives
/// the same bytes.
pub fn training_curves(history: &History) -> Vec<u8> {
    let accuracies = || {
        (history.epochs.iter().flat_map(|epoch| &epoch.values))
            .map(|(name, _)| name.strip_prefix("val_").unwrap_or(name))
            .filter(|name| name.ends_with("accuracy"))
    };
    let accuracy = accuracies().find(|&name| name == "accuracy").or_else(|| accuracies().next());
    let panels: Vec<Panel> = [Some(("loss", false)), accuracy.map(|name| (name, true))]
        .into_iter()
        .flatten()
        .map(|(name, share)| Panel::new(history, name, share))
        .filter(|panel| panel.curves().next().is_some())
        .collect();

    let columns = panels.len().max(1) as i32;
    let width = 2 * MARGIN + columns * PANEL_WIDTH + (columns - 1) * PANEL_GAP;
    let panel_height = HEADING_HEIGHT + PLOT_HEIGHT + FOOT_HEIGHT;
    let height = 2 * MARGIN + TITLE_HEIGHT + panel_height;
    let mut canvas = Canvas::new(width as usize, height as usize);
    canvas.text((MARGIN, MARGIN - 8), "Training history", &FONT_10X20, INK, Anchor::Left);
    if panels.is_empty() {
        let center = (width / 2, height / 2);
        canvas.text(center, "no loss or accuracy recorded", &FONT_8X13, MUTED, Anchor::Center);
    }
    for (panel, column) in panels.iter().zip(0..) {
        let left = MARGIN + column * (PANEL_WIDTH + PANEL_GAP);
        panel.draw(&mut canvas, (left, MARGIN + TITLE_HEIGHT));
    }
    canvas.into_png()
}

fn curve(history: &History, name: &str, share: bool) -> Curve {
    let scale = if share { 100.0 } else { 1.0 };
    (history.epochs.iter())
        .filter_map(|record| Some((record.epoch as f64 + 1.0, record.get(name)? * scale)))
        .map(|(epoch, value)| (epoch, Some(value).filter(|value| value.abs() <= LARGEST)))
        .collect()
}

impl Panel {
    fn new(history: &History, name: &str, share: bool) -> Self {
        let mut title = name.replace('_', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let training = curve(history, name, share);
        let validation = curve(history, &format!("val_{name}"), share);
        Self { title, share, training, validation }
    }

    /// Those that have points.
    fn curves(&self) -> impl DoubleEndedIterator<Item = (Pen, &Curve)> {
        [(TRAINING, &self.training), (VALIDATION, &self.validation)]
            .into_iter()
            .filter(|(_, curve)| !curve.is_empty())
    }

    /// Epochs and values, with ticks.
    fn axes(&self) -> (Axis, Axis) {
        let points = || self.training.iter().chain(&self.validation);
        let (first, last) = extremes(points().map(|point| point.0)).unwrap_or((1.0, 1.0));
        let (mut low, mut high) =
            extremes(points().filter_map(|point| point.1)).unwrap_or((0.0, 1.0));
        if self.share {
            // At least one percent, but no further than all.
            (low, high) = (low.min(high - 1.0).max(0.0).min(low), high);
        } else if low >= 0.0 && low < high / 2.0 {
            low = 0.0;
        } else if low == high {
            let around = if low == 0.0 { 1.0 } else { low.abs() / 20.0 };
            (low, high) = (low - around, high + around);
        }
        (Axis::of_integers(first, last, 8), Axis::of_values(low, high, 5))
    }

    fn draw(&self, canvas: &mut Canvas, (left, top): (i32, i32)) {
        let (epochs, values) = self.axes();
        let label = |label: &str| if self.share { format!("{label} %") } else { label.to_owned() };
        let widest = values.ticks.iter().map(|(_, text)| label(text).len()).max().unwrap_or(0);
        let gutter = (widest as i32 + 1) * TICK_FONT.character_size.width as i32;
        let (axis_left, axis_right) = (left + gutter, left + PANEL_WIDTH);
        let axis_bottom = top + HEADING_HEIGHT + PLOT_HEIGHT;
        let width = axis_right - axis_left;

        canvas.text((axis_left, top), &self.title, &FONT_9X18_BOLD, INK, Anchor::Left);
        canvas.text((axis_left, top + 24), &self.caption(), &FONT_7X13, MUTED, Anchor::Left);
        self.draw_legend(canvas, (axis_right, top + 2));

        let x = |epoch: f64| {
            f64::from(axis_left + INSET) + epochs.place(epoch) * f64::from(width - 2 * INSET)
        };
        let y = |value: f64| f64::from(axis_bottom) - values.place(value) * f64::from(PLOT_HEIGHT);
        for (value, text) in &values.ticks {
            let row = y(*value) as i32;
            canvas.fill((axis_left, row), (width as u32, 1), GRID);
            canvas.text((axis_left - 8, row - 6), &label(text), &TICK_FONT, MUTED, Anchor::Right);
        }
        canvas.fill((axis_left, axis_bottom), (width as u32, 1), MUTED);
        for (epoch, text) in &epochs.ticks {
            let column = x(*epoch) as i32;
            canvas.fill((column, axis_bottom), (1, 5), MUTED);
            canvas.text((column + 1, axis_bottom + 9), text, &TICK_FONT, MUTED, Anchor::Center);
        }
        let center = (axis_left + width / 2, axis_bottom + 30);
        canvas.text(center, "epoch", &TICK_FONT, MUTED, Anchor::Center);

        for (pen, curve) in self.curves() {
            let place = |&(epoch, value): &(f64, Option<f64>)| Some((x(epoch), y(value?)));
            draw_curve(canvas, &curve.iter().map(place).collect::<Vec<_>>(), &pen);
        }
    }

    /// The best figure, of validation if there is any, and how many could not be drawn.
    fn caption(&self) -> String {
        let Some((Pen { name, .. }, curve)) = self.curves().next_back() else {
            return String::new();
        };
        let figure = |value: f64| match value.abs() {
            _ if self.share => percent(value / 100.0, 2),
            0.0 | 0.001..1e6 => format!("{value:.4}"),
            _ => format!("{value:.3e}"),
        };
        let better = |a: f64, b: f64| if self.share { a > b } else { a < b };
        let best = (curve.iter().filter_map(|&(epoch, value)| Some((epoch, value?))))
            .reduce(|best, next| if better(next.1, best.1) { next } else { best });
        let gaps = curve.iter().filter(|(_, value)| value.is_none()).count();
        let mut caption = match best {
            Some((epoch, value)) => format!("best {name} {} in epoch {epoch}", figure(value)),
            None => format!("no finite {name} figure"),
        };
        if gaps > 0 {
            caption += &format!(", {gaps} of {} not finite", curve.len());
        }
        caption
    }

    /// Above the axes, where it hides no curve.
    fn draw_legend(&self, canvas: &mut Canvas, (right, top): (i32, i32)) {
        let mut right = right;
        for (pen, _) in self.curves().rev() {
            canvas.text((right, top), pen.name, &FONT_8X13, INK, Anchor::Right);
            let text_left = right - pen.name.len() as i32 * FONT_8X13.character_size.width as i32;
            let (start, end) = (f64::from(text_left - 38), f64::from(text_left - 10));
            let middle = f64::from(top) + 6.5;
            canvas.stroke((start, middle), (end, middle), 2.5, pen.color);
            draw_marker(canvas, ((start + end) / 2.0, middle), &pen);
            right = text_left - 60;
        }
    }
}

fn extremes(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// A line through the points, broken where one is missing. Long curves mark only some of their
/// points, and those that stand alone.
fn draw_curve(canvas: &mut Canvas, points: &[Option<(f64, f64)>], pen: &Pen) {
    for pair in points.windows(2) {
        if let [Some(from), Some(to)] = *pair {
            canvas.stroke(from, to, 2.5, pen.color);
        }
    }
    let every = points.len().div_ceil(MARKERS).max(1);
    for (index, point) in points.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| points[before]);
        let alone = before.is_none() && points.get(index + 1).copied().flatten().is_none();
        if let &Some(point) = point
            && (alone || (points.len() - 1 - index).is_multiple_of(every))
        {
            draw_marker(canvas, point, pen);
        }
    }
}

fn draw_marker(canvas: &mut Canvas, at: (f64, f64), pen: &Pen) {
    canvas.stroke(at, at, 9.0, pen.color);
    if pen.ring {
        canvas.stroke(at, at, 4.5, PAPER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EpochRecord;
    use crate::wire::png::{Image, read_png};
    use embedded_graphics::pixelcolor::RgbColor;
    use proptest::prelude::*;

    fn history(names: &[&str], epochs: &[Vec<f64>]) -> History {
        let record = |(epoch, values): (u64, &Vec<f64>)| EpochRecord {
            epoch,
            values: names.iter().map(|&name| name.to_owned()).zip(values.iter().copied()).collect(),
        };
        History { epochs: (0..).zip(epochs).map(record).collect() }
    }

    fn picture(history: &History) -> Image {
        read_png(&training_curves(history), 1 << 24).unwrap()
    }

    /// Pixels of exactly that colour.
    fn count(image: &Image, color: Rgb888) -> usize {
        let color = [color.r(), color.g(), color.b()];
        let (pixels, _) = image.pixels().as_chunks::<3>();
        pixels.iter().filter(|&&pixel| pixel == color).count()
    }

    const ALL: [&str; 4] = ["loss", "accuracy", "val_loss", "val_accuracy"];

    #[test]
    fn a_metric_that_is_absent_has_no_panel() {
        let epochs = [vec![0.4, 0.9, 0.3, 0.95], vec![0.2, 0.95, 0.2, 0.97]];
        let both = picture(&history(&ALL, &epochs));
        assert_eq!((both.width(), both.height()), (1224, 532));
        assert!(count(&both, BLUE) > 1000 && count(&both, VERMILION) > 1000);

        let loss = picture(&history(&ALL[..1], &epochs));
        assert_eq!((loss.width(), count(&loss, VERMILION)), (624, 0));
        assert!(count(&loss, BLUE) > 1000);
        let nothing = picture(&History::default());
        assert_eq!((nothing.width(), count(&nothing, BLUE)), (624, 0));
    }

    #[test]
    fn what_is_not_finite_leaves_a_gap() {
        let [nan, infinite] = [f64::NAN, f64::INFINITY];
        let ink = |losses: [f64; 5]| {
            let epochs = losses.map(|loss| vec![loss]);
            count(&picture(&history(&["loss"], &epochs)), BLUE)
        };
        let whole = ink([1.0, 0.8, 0.6, 0.4, 0.2]);
        let gap = ink([1.0, 0.8, nan, 0.4, 0.2]);
        let alone = ink([1.0, nan, 0.6, infinite, 0.2]);
        assert!(whole > gap && gap > alone, "{whole} {gap} {alone}");
    }

    #[test]
    fn a_point_alone_is_marked_in_a_long_curve_too() {
        let ink = |at: usize| {
            let mut epochs = vec![vec![f64::NAN]; 60];
            if let Some(epoch) = epochs.get_mut(at) {
                epoch[0] = 0.5;
            }
            count(&picture(&history(&["loss"], &epochs)), BLUE)
        };
        // Of 60 points every third is marked, counted from the last. A disc 9 pixels across
        // covers 64, some of them at its edge.
        assert!(ink(10) > ink(60) + 40, "{} {}", ink(10), ink(60));
    }

    #[test]
    fn titles_and_captions_name_the_metric() {
        let epochs = [vec![0.5, 0.9], vec![f64::NAN, 0.8], vec![0.25, 0.95]];
        let history = history(&["loss", "val_top_5_accuracy"], &epochs);
        let loss = Panel::new(&history, "loss", false);
        assert_eq!(loss.caption(), "best training 0.2500 in epoch 3, 1 of 3 not finite");
        let accuracy = Panel::new(&history, "top_5_accuracy", true);
        assert_eq!(accuracy.title, "Top 5 accuracy");
        assert_eq!(accuracy.caption(), "best validation 95.00 % in epoch 3");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_history_is_too_strange(
            epochs in prop::collection::vec(prop::collection::vec(any::<f64>(), 4), 0..6),
            first in any::<u64>(),
        ) {
            let mut history = history(&ALL, &epochs);
            history.epochs.iter_mut().for_each(|record| {
                record.epoch = record.epoch.wrapping_add(first);
            });
            prop_assert_eq!(training_curves(&history), training_curves(&history));
        }
    }
}
