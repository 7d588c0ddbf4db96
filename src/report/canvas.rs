//! A sheet of RGB pixels that text, boxes and smooth lines are drawn on.

use std::convert::Infallible;

use embedded_graphics::Pixel;
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};

use super::table::{Charset, plain};
use crate::wire::png::{Image, write_png};

/// The colours of all pictures. Blue and vermilion are those of Okabe and Ito (2008, "Color
/// Universal Design"), which readers with any form of colour blindness tell apart.
pub(super) const PAPER: Rgb888 = Rgb888::new(255, 255, 255);
pub(super) const INK: Rgb888 = Rgb888::new(31, 41, 55);
pub(super) const MUTED: Rgb888 = Rgb888::new(96, 106, 120);
pub(super) const GRID: Rgb888 = Rgb888::new(228, 231, 236);
pub(super) const BLUE: Rgb888 = Rgb888::new(0, 114, 178);
pub(super) const VERMILION: Rgb888 = Rgb888::new(213, 94, 0);

/// Where a text stands, seen from its anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Center,
    Right,
}

/// A sheet of pixels; (0, 0) is the top left one.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// An empty sheet of paper.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let paper = [PAPER.r(), PAPER.g(), PAPER.b()];
        Self { width, height, pixels: vec![paper; width * height] }
    }

    /// The sheet as a PNG file.
    pub(super) fn into_png(self) -> Vec<u8> {
        let pixels = self.pixels.as_flattened();
        let image = Image::new(self.height, self.width, 3, pixels).expect("a sheet has pixels");
        write_png(&image)
    }

    /// One line of text, its top at `y`.
    pub(super) fn text(
        &mut self,
        (x, y): (i32, i32),
        text: &str,
        font: &MonoFont<'_>,
        color: Rgb888,
        anchor: Anchor,
    ) {
        let alignment = match anchor {
            Anchor::Left => Alignment::Left,
            Anchor::Center => Alignment::Center,
            Anchor::Right => Alignment::Right,
        };
        let style = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
        let text = plain(text, Charset::Unicode);
        let font = MonoTextStyle::new(font, color);
        let Ok(_) = Text::with_text_style(&text, Point::new(x, y), font, style).draw(self);
    }

    /// A filled box.
    pub(super) fn fill(&mut self, (x, y): (i32, i32), (width, height): (u32, u32), color: Rgb888) {
        let area = Rectangle::new(Point::new(x, y), Size::new(width, height));
        let Ok(()) = area.into_styled(PrimitiveStyle::with_fill(color)).draw(self);
    }

    /// A picture, each pixel `scale` × `scale` of the sheet's.
    pub(super) fn image(&mut self, (x, y): (i32, i32), image: &Image, scale: u32) {
        for row in 0..image.height() {
            for column in 0..image.width() {
                let [red, green, blue] = image.rgb(row, column);
                let at = (x + column as i32 * scale as i32, y + row as i32 * scale as i32);
                self.fill(at, (scale, scale), Rgb888::new(red, green, blue));
            }
        }
    }

    /// A smooth line with round ends; from a point to itself, a disc. Pixels at the edge are
    /// covered by as much as they lie within.
    pub(super) fn stroke(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        thickness: f64,
        color: Rgb888,
    ) {
        let reach = thickness / 2.0 + 1.0;
        let columns = span(from.0.min(to.0) - reach, from.0.max(to.0) + reach, self.width);
        let rows = span(from.1.min(to.1) - reach, from.1.max(to.1) + reach, self.height);
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).max(f64::MIN_POSITIVE);
        for row in rows {
            for column in columns.clone() {
                let (x, y) = (column as f64 + 0.5 - from.0, row as f64 + 0.5 - from.1);
                let along = ((x * dx + y * dy) / length).clamp(0.0, 1.0);
                let (off_x, off_y) = (x - along * dx, y - along * dy);
                let distance = (off_x * off_x + off_y * off_y).sqrt();
                let cover = (thickness / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                let pixel = &mut self.pixels[row * self.width + column];
                for (value, ink) in pixel.iter_mut().zip([color.r(), color.g(), color.b()]) {
                    let blend = f64::from(*value) * (1.0 - cover) + f64::from(ink) * cover;
                    *value = blend.round() as u8;
                }
            }
        }
    }
}

/// The whole pixels between two places, as far as they lie on the sheet.
fn span(low: f64, high: f64, size: usize) -> std::ops::Range<usize> {
    (low.floor().max(0.0) as usize).min(size)..(high.ceil().max(0.0) as usize).min(size)
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(point, color) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) else {
                continue;
            };
            if x < self.width && y < self.height {
                self.pixels[y * self.width + x] = [color.r(), color.g(), color.b()];
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::mono_font::iso_8859_1::FONT_6X10;

    const BLACK: Rgb888 = Rgb888::new(0, 0, 0);

    fn gray(canvas: &Canvas, x: usize, y: usize) -> u8 {
        canvas.pixels[y * canvas.width + x][0]
    }

    #[test]
    fn strokes_cover_pixels_by_area() {
        let mut canvas = Canvas::new(20, 9);
        canvas.stroke((2.0, 4.5), (18.0, 4.5), 2.0, BLACK);
        // Two pixels thick around the middle of row 4: that row whole, its neighbours half.
        assert_eq!([2, 3, 4, 5, 6].map(|y| gray(&canvas, 10, y)), [255, 128, 0, 128, 255]);
        canvas.stroke((-50.0, -50.0), (-40.0, 500.0), 3.0, BLACK); // outside: no panic
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut canvas = Canvas::new(8, 8);
        canvas.text((-3, -3), "W\nW", &FONT_6X10, BLACK, Anchor::Left);
        canvas.fill((6, 6), (10, 10), BLACK);
        assert_eq!((gray(&canvas, 7, 7), gray(&canvas, 5, 7)), (0, 255));
    }
}
