//! What a model sees and what it says, as a picture.

use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::iso_8859_1::{
    FONT_6X13_BOLD, FONT_7X13, FONT_7X13_BOLD, FONT_8X13, FONT_8X13_BOLD, FONT_9X18_BOLD,
    FONT_10X20,
};

use super::ClassifiedImage;
use super::canvas::{Anchor, BLUE, Canvas, GRID, INK, MUTED, VERMILION};
use super::numbers::{grouped, percent};
use crate::wire::png::Image;

/// How many pictures a gallery shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gallery {
    /// Pictures side by side, 3 at least.
    pub columns: usize,
    /// Pictures of the sample, taken evenly from all.
    pub sample: usize,
    /// Most confident mistakes.
    pub mistakes: usize,
}

impl Default for Gallery {
    fn default() -> Self {
        Self { columns: 10, sample: 30, mistakes: 20 }
    }
}

/// Pixels along the longer side of a picture, at most; small pictures are enlarged by a whole
/// number.
const PICTURE: usize = 128;
const MARGIN: i32 = 32;
const GAP: i32 = 20;
const FRAME: i32 = 4;
const HEADER_HEIGHT: i32 = 56;
const TITLE_HEIGHT: i32 = 34;
const SECTION_GAP: i32 = 18;
/// Below a picture: the bar of confidence and two lines of text.
const CAPTION_HEIGHT: i32 = 50;
const BAR_HEIGHT: u32 = 4;
/// For the predicted class: the first in which all fit.
const LABEL_FONTS: [MonoFont<'static>; 4] =
    [FONT_9X18_BOLD, FONT_8X13_BOLD, FONT_7X13_BOLD, FONT_6X13_BOLD];
const NOTE_FONT: MonoFont<'static> = FONT_7X13;

/// Draws a PNG file with a sample of `images`, taken evenly from all, and below it the mistakes
/// the model was most confident of. Under each picture stand a bar as long as the model was
/// confident, the predicted class with its confidence, and the true class; mistakes are framed.
/// The same pictures give the same bytes.
pub fn gallery(images: &[ClassifiedImage<'_>], options: &Gallery) -> Vec<u8> {
    let mut mistakes: Vec<_> = images.iter().filter(|image| image.missed().is_some()).collect();
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let all_mistakes = mistakes.len();
    mistakes.truncate(options.mistakes);
    let sample: Vec<_> = even(images.len(), options.sample).map(|index| &images[index]).collect();

    let known = images.iter().filter(|image| image.truth.is_some()).count();
    let result = match known {
        0 => format!("{} pictures", grouped(images.len() as u64)),
        _ => {
            let right = known - all_mistakes;
            let [right_text, known_text] = [right, known].map(|count| grouped(count as u64));
            let share = percent(right as f64 / known as f64, 2);
            format!("{right_text} of {known_text} right ({share})")
        }
    };
    let all = grouped(images.len() as u64);
    let note = match sample.len() {
        shown if shown == images.len() => format!("all {all}"),
        shown => format!("{shown} of {all}, evenly spaced"),
    };
    let mut sections = vec![Section { title: "Sample", note, images: sample }];
    if !mistakes.is_empty() {
        let (shown, all) = (mistakes.len(), grouped(all_mistakes as u64));
        sections.push(Section {
            title: "Most confident mistakes",
            note: format!("{shown} of {all}"),
            images: mistakes,
        });
    }
    Sheet::new(&sections, options.columns).draw(&sections, &result)
}

/// `count` indices below `all`, evenly spaced from the first on.
fn even(all: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(all);
    (0..count).map(move |index| index * all / count)
}

struct Section<'a> {
    title: &'static str,
    note: String,
    images: Vec<&'a ClassifiedImage<'a>>,
}

/// The measures of a gallery.
struct Sheet {
    columns: usize,
    /// Of a picture with the space for its frame.
    cell: (i32, i32),
    label_font: MonoFont<'static>,
}

impl Sheet {
    fn new(sections: &[Section<'_>], columns: usize) -> Self {
        let images = || sections.iter().flat_map(|section| &section.images);
        let most = sections.iter().map(|section| section.images.len()).max().unwrap_or(0);
        let sizes = || {
            images().map(|shown| fitted(&shown.image)).map(|(image, scale)| {
                (image.width() as i32 * scale as i32, image.height() as i32 * scale as i32)
            })
        };
        let width = sizes().map(|size| size.0).max().unwrap_or(0).max(PICTURE as i32 - 16);
        let height = sizes().map(|size| size.1).max().unwrap_or(0);
        // Beside the class stands the confidence, `100 %` at most, and a space.
        let room = width - 6 * NOTE_FONT.character_size.width as i32;
        let longest = images().map(|shown| shown.predicted.chars().count()).max().unwrap_or(0);
        let fits = |font: &&MonoFont<'_>| longest as i32 * font.character_size.width as i32 <= room;
        let label_font = *LABEL_FONTS.iter().find(fits).unwrap_or(&FONT_6X13_BOLD);
        Self { columns: columns.min(most).max(3), cell: (width, height), label_font }
    }

    fn rows(&self, section: &Section<'_>) -> i32 {
        section.images.len().div_ceil(self.columns) as i32
    }

    fn row_height(&self) -> i32 {
        self.cell.1 + CAPTION_HEIGHT + GAP
    }

    fn draw(&self, sections: &[Section<'_>], result: &str) -> Vec<u8> {
        let columns = self.columns as i32;
        let width = 2 * MARGIN + columns * self.cell.0 + (columns - 1) * GAP;
        let heights = sections
            .iter()
            .map(|section| SECTION_GAP + TITLE_HEIGHT + self.rows(section) * self.row_height());
        let height = 2 * MARGIN + HEADER_HEIGHT - SECTION_GAP - GAP + heights.sum::<i32>();
        let mut canvas = Canvas::new(width as usize, height as usize);

        canvas.text((MARGIN, MARGIN - 6), "Predictions", &FONT_10X20, INK, Anchor::Left);
        canvas.text((MARGIN, MARGIN + 18), result, &FONT_8X13, MUTED, Anchor::Left);
        let mut top = MARGIN + HEADER_HEIGHT;
        for section in sections {
            canvas.text((MARGIN, top), section.title, &FONT_9X18_BOLD, INK, Anchor::Left);
            let right = (width - MARGIN, top + 4);
            canvas.text(right, &section.note, &FONT_7X13, MUTED, Anchor::Right);
            top += TITLE_HEIGHT;
            for (index, shown) in section.images.iter().enumerate() {
                let (row, column) = (index / self.columns, index % self.columns);
                let x = MARGIN + column as i32 * (self.cell.0 + GAP);
                self.draw_cell(&mut canvas, (x, top + row as i32 * self.row_height()), shown);
            }
            top += self.rows(section) * self.row_height() + SECTION_GAP;
        }
        canvas.into_png()
    }

    fn draw_cell(&self, canvas: &mut Canvas, (x, y): (i32, i32), shown: &ClassifiedImage<'_>) {
        let (width, height) = self.cell;
        let wrong = shown.missed().is_some();
        let color = if wrong { VERMILION } else { BLUE };
        let (image, scale) = fitted(&shown.image);
        let size = (image.width() as i32 * scale as i32, image.height() as i32 * scale as i32);
        let (left, top) = (x + (width - size.0) / 2, y + (height - size.1) / 2);
        if wrong {
            let framed = ((size.0 + 2 * FRAME) as u32, (size.1 + 2 * FRAME) as u32);
            canvas.fill((left - FRAME, top - FRAME), framed, color);
        }
        canvas.image((left, top), &image, scale);

        let confidence = f64::from(shown.confidence).clamp(0.0, 1.0);
        let bar = y + height + 9;
        canvas.fill((x, bar), (width as u32, BAR_HEIGHT), GRID);
        canvas.fill((x, bar), ((confidence * f64::from(width)) as u32, BAR_HEIGHT), color);

        let text = bar + 8;
        let label_color = if wrong { VERMILION } else { INK };
        let share = percent(f64::from(shown.confidence), 0);
        let label_width = width - (share.len() as i32 + 1) * char_width(&NOTE_FONT);
        let label = shortened(shown.predicted, label_width / char_width(&self.label_font));
        canvas.text((x, text), &label, &self.label_font, label_color, Anchor::Left);
        let drop = (self.label_font.baseline - NOTE_FONT.baseline) as i32;
        canvas.text((x + width, text + drop), &share, &NOTE_FONT, MUTED, Anchor::Right);
        if let Some(truth) = shown.truth {
            let line = text + self.label_font.character_size.height as i32 + 1;
            let truth = shortened(&format!("true {truth}"), width / char_width(&NOTE_FONT));
            let color = if wrong { INK } else { MUTED };
            canvas.text((x, line), &truth, &NOTE_FONT, color, Anchor::Left);
        }
    }
}

fn char_width(font: &MonoFont<'_>) -> i32 {
    font.character_size.width as i32
}

/// At most `room` characters, the last two dots where some are left out.
fn shortened(text: &str, room: i32) -> String {
    let room = room.max(0) as usize;
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(2)).chain("..".chars()).collect()
}

/// The picture in a size that fits a cell, and by how much to enlarge it.
fn fitted(image: &Image) -> (Image, u32) {
    let longer = image.height().max(image.width());
    if longer <= PICTURE {
        return (image.clone(), (PICTURE / longer) as u32);
    }
    let side = |side: usize| (side * PICTURE / longer).max(1);
    (image.resized(side(image.height()), side(image.width())), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::png::read_png;
    use embedded_graphics::pixelcolor::RgbColor;

    /// 3 × 3 pictures of one gray each, every third taken for a class that it is not.
    fn images() -> Vec<ClassifiedImage<'static>> {
        let classify = |index: u8| ClassifiedImage {
            image: Image::new(3, 3, 1, [index; 9]).unwrap(),
            predicted: "cat",
            truth: Some(if index.is_multiple_of(3) { "dog" } else { "cat" }),
            confidence: f32::from(index) / 20.0,
        };
        (1..=12).map(classify).collect()
    }

    fn picture(images: &[ClassifiedImage<'_>], options: &Gallery) -> Image {
        read_png(&gallery(images, options), 1 << 24).unwrap()
    }

    #[test]
    fn mistakes_follow_the_sample_most_confident_first() {
        let shown = picture(&images(), &Gallery { columns: 4, sample: 4, mistakes: 2 });
        // 3 pixels enlarged 42 times: cells of 126 with 20 between them, margins of 32.
        assert_eq!(shown.width(), 2 * 32 + 4 * 126 + 3 * 20);
        let [first, second] = [32 + 56 + 34, 32 + 56 + 34 + 126 + 50 + 20 + 18 + 34];
        let cell = |column: usize, top: usize| shown.rgb(top + 60, 32 + column * 146 + 60)[0];
        let frame = |column: usize, top: usize| shown.rgb(top + 60, 32 + column * 146 - 2);
        assert_eq!([0, 1, 2, 3].map(|column| cell(column, first)), [1, 4, 7, 10]);
        assert_eq!([0, 1].map(|column| cell(column, second)), [12, 9]);
        assert_eq!(frame(0, first), [255; 3]);
        assert_eq!(frame(0, second), [VERMILION.r(), VERMILION.g(), VERMILION.b()]);
    }

    #[test]
    fn strange_sizes_fit() {
        let large = ClassifiedImage {
            image: Image::new(300, 200, 3, vec![9; 180_000]).unwrap(),
            predicted: "a name that is far too long for its place\n",
            truth: None,
            confidence: f32::NAN,
        };
        let shown = picture(&[large], &Gallery { columns: 0, ..Gallery::default() });
        assert_eq!(shown.width(), 2 * 32 + 3 * 112 + 2 * 20);
        assert!(picture(&[], &Gallery::default()).height() > 0);
    }

    #[test]
    fn the_same_pictures_give_the_same_bytes() {
        let options = Gallery::default();
        assert_eq!(gallery(&images(), &options), gallery(&images(), &options));
    }

    #[test]
    fn long_names_end_in_dots() {
        assert_eq!(shortened("Ankle boot", 10), "Ankle boot");
        assert_eq!(shortened("Ankle boot", 8), "Ankle ..");
        assert_eq!(shortened("Ankle boot", -3), "..");
    }
}
