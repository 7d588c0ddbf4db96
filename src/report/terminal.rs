//! Pictures in the terminal: two pixels per character cell, one above the other.

use std::ffi::OsString;
use std::fmt::Write;

use super::ClassifiedImage;
use super::numbers::percent;
use super::table::{Charset, plain};
use crate::wire::png::Image;

/// What a terminal draws pictures with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Characters of more or less density; no escape sequences and nothing beyond ASCII.
    Ascii,
    /// Half blocks in the 256 colours of xterm.
    Colors256,
    /// Half blocks in 24-bit colour.
    TrueColor,
}

impl Ink {
    /// What standard output can show. Escape sequences are for terminals only, and not where
    /// `NO_COLOR` is set (<https://no-color.org>) or `TERM` is `dumb`; 24-bit colour is for those
    /// that announce it in `COLORTERM`.
    pub fn of_stdout(is_terminal: bool) -> Self {
        Self::choose(is_terminal, |name| std::env::var_os(name))
    }

    fn choose(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let no_color = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        if !is_terminal || no_color || variable("TERM").is_some_and(|term| term == "dumb") {
            return Self::Ascii;
        }
        match variable("COLORTERM") {
            Some(value) if value == "truecolor" || value == "24bit" => Self::TrueColor,
            _ => Self::Colors256,
        }
    }
}

/// Cells between two pictures.
const GAP: usize = 2;
/// From dark to bright.
const RAMP: &[u8; 10] = b" .:-=+*#%@";
const RED: &str = "\x1b[1;31m";
const RESET: &str = "\x1b[0m";

/// Shows `images` side by side in rows that fit a terminal of so many `columns`, each with a
/// caption: the class if it is right (`7`), with the confidence if the truth is not known
/// (`7 97 %`), and in red what it should be if it is wrong (`4 ≠ 9 97 %`). Pictures wider than
/// `picture_columns` are shrunk to that width: a pixel takes one column and half a line. In 80
/// columns, three pictures of 24 stand side by side, or five of 14.
pub fn show_images(
    images: &[ClassifiedImage<'_>],
    ink: Ink,
    columns: usize,
    picture_columns: usize,
) -> String {
    let columns = columns.max(1);
    let widest = picture_columns.clamp(1, columns);
    let shown: Vec<(Image, String, bool)> = images
        .iter()
        .map(|shown| (shrunk(&shown.image, widest), caption(shown, ink), shown.missed().is_some()))
        .collect();
    let slot = (shown.iter())
        .map(|(image, caption, _)| image.width().max(caption.chars().count()))
        .max()
        .map_or(1, |widest| widest.min(columns));
    let per_row = ((columns + GAP) / (slot + GAP)).max(1);

    let mut text = String::new();
    for (index, row) in shown.chunks(per_row).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let lines = row.iter().map(|(image, ..)| image.height().div_ceil(2)).max().unwrap_or(0);
        for line in 0..lines {
            for (index, (image, ..)) in row.iter().enumerate() {
                let before = if index > 0 { GAP } else { 0 } + (slot - image.width()) / 2;
                let after = slot - image.width() - (slot - image.width()) / 2;
                write!(text, "{:before$}", "").expect("a String takes all");
                draw_line(&mut text, image, line, ink);
                write!(text, "{:after$}", "").expect("a String takes all");
            }
            end_line(&mut text);
        }
        for (index, (_, caption, wrong)) in row.iter().enumerate() {
            let caption: String = caption.chars().take(slot).collect();
            let caption = format!("{caption:^slot$}");
            let before = if index > 0 { GAP } else { 0 };
            match ink {
                Ink::Colors256 | Ink::TrueColor if *wrong => {
                    write!(text, "{:before$}{RED}{caption}{RESET}", "")
                }
                _ => write!(text, "{:before$}{caption}", ""),
            }
            .expect("a String takes all");
        }
        end_line(&mut text);
    }
    text
}

fn shrunk(image: &Image, width: usize) -> Image {
    if image.width() <= width {
        return image.clone();
    }
    let height = (image.height() * width).div_ceil(image.width());
    image.resized(height, width)
}

fn caption(shown: &ClassifiedImage<'_>, ink: Ink) -> String {
    let predicted = shown.predicted;
    let confidence = percent(f64::from(shown.confidence), 0);
    let caption = match (shown.truth, shown.missed()) {
        (None, _) => format!("{predicted} {confidence}"),
        (Some(_), None) => predicted.to_owned(),
        (Some(_), Some(truth)) => format!("{predicted} ≠ {truth} {confidence}"),
    };
    let charset = if ink == Ink::Ascii { Charset::Ascii } else { Charset::Unicode };
    plain(&caption, charset).into_owned()
}

/// Pixel rows 2·`line` and 2·`line` + 1, as wide as the picture.
fn draw_line(text: &mut String, image: &Image, line: usize, ink: Ink) {
    let rows = [2 * line, 2 * line + 1].map(|row| (row < image.height()).then_some(row));
    let [Some(top), bottom] = rows else {
        text.extend(std::iter::repeat_n(' ', image.width()));
        return;
    };
    let mut last = None;
    for column in 0..image.width() {
        if ink == Ink::Ascii {
            let above = usize::from(image.gray(top, column));
            let below = bottom.map_or(above, |row| usize::from(image.gray(row, column)));
            text.push(char::from(RAMP[(above + below) * (RAMP.len() - 1) / 510]));
            continue;
        }
        let colors = (image.rgb(top, column), bottom.map(|row| image.rgb(row, column)));
        if last != Some(colors) {
            let (above, below) = colors;
            let below = below.map(|color| format!(";48;{}", code(color, ink)));
            let below = below.as_deref().unwrap_or(";49");
            write!(text, "\x1b[38;{}{below}m", code(above, ink)).expect("a String takes all");
            last = Some(colors);
        }
        text.push('▀');
    }
    if ink != Ink::Ascii {
        text.push_str(RESET);
    }
}

/// The operands of SGR 38 and 48 (ECMA-48, ITU-T T.416).
fn code([red, green, blue]: [u8; 3], ink: Ink) -> String {
    let level = |value: u8, levels: usize| (usize::from(value) * (levels - 1) + 127) / 255;
    match ink {
        Ink::TrueColor => format!("2;{red};{green};{blue}"),
        // The gray ramp of xterm is 232 to 255; its cube has black and white, which that lacks.
        _ if red == green && green == blue => match level(red, 26) {
            0 => "5;16".to_owned(),
            25 => "5;231".to_owned(),
            level => format!("5;{}", 231 + level),
        },
        _ => format!("5;{}", 16 + 36 * level(red, 6) + 6 * level(green, 6) + level(blue, 6)),
    }
}

/// Ends a line without trailing blanks.
fn end_line(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seven() -> Image {
        Image::new(3, 3, 1, [255, 255, 255, 0, 0, 255, 0, 128, 0]).unwrap()
    }

    fn shown<'a>(predicted: &'a str, truth: Option<&'a str>) -> ClassifiedImage<'a> {
        ClassifiedImage { image: seven(), predicted, truth, confidence: 0.97 }
    }

    #[test]
    fn ascii_pictures_stand_side_by_side() {
        let images = [shown("7", Some("7")), shown("4", Some("9")), shown("7", None)];
        let expected = concat!(
            "    ==@          ==@          ==@\n",
            "     =            =            =\n",
            "     7       4 != 9 97 %    7 97 %\n",
        );
        assert_eq!(show_images(&images, Ink::Ascii, 80, 28), expected);
        assert_eq!(show_images(&images, Ink::Ascii, 36, 28).lines().count(), 3 + 1 + 3);
    }

    #[test]
    fn half_blocks_carry_two_pixels() {
        let text = show_images(&[shown("7", Some("7"))], Ink::TrueColor, 80, 28);
        let expected = concat!(
            "\x1b[38;2;255;255;255;48;2;0;0;0m▀▀\x1b[38;2;255;255;255;48;2;255;255;255m▀\x1b[0m\n",
            "\x1b[38;2;0;0;0;49m▀\x1b[38;2;128;128;128;49m▀\x1b[38;2;0;0;0;49m▀\x1b[0m\n",
            " 7\n",
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn wrong_ones_are_red() {
        let text = show_images(&[shown("4", Some("9"))], Ink::Colors256, 80, 28);
        assert!(text.ends_with("\x1b[1;31m4 ≠ 9 97 %\x1b[0m\n"), "{text:?}");
        assert!(text.contains("\x1b[38;5;231;48;5;16m▀▀"), "{text:?}");
        assert_eq!(code([255, 0, 0], Ink::Colors256), "5;196");
    }

    #[test]
    fn the_environment_chooses_the_ink() {
        let choose = |is_terminal, set: &[(&str, &str)]| {
            Ink::choose(is_terminal, |name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
            })
        };
        assert_eq!(choose(true, &[]), Ink::Colors256);
        assert_eq!(choose(true, &[("COLORTERM", "truecolor")]), Ink::TrueColor);
        assert_eq!(choose(true, &[("COLORTERM", "24bit"), ("NO_COLOR", "")]), Ink::TrueColor);
        assert_eq!(choose(true, &[("COLORTERM", "24bit"), ("NO_COLOR", "1")]), Ink::Ascii);
        assert_eq!(choose(true, &[("TERM", "dumb")]), Ink::Ascii);
        assert_eq!(choose(false, &[("COLORTERM", "truecolor")]), Ink::Ascii);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            columns in 1..60_usize,
            picture_columns in 0..40_usize,
            count in 0..9_usize,
            (height, width) in (1..30_usize, 1..30_usize),
            name in ".{0,12}",
        ) {
            let image = Image::new(height, width, 1, vec![200; height * width]).unwrap();
            let one = ClassifiedImage { image, predicted: &name, truth: None, confidence: 1.0 };
            let text = show_images(&vec![one; count], Ink::Ascii, columns, picture_columns);
            prop_assert!(text.is_ascii() && !text.contains('\x1b'));
            for line in text.lines() {
                prop_assert!(line.len() <= columns, "{} of {columns}", line.len());
            }
        }
    }
}
