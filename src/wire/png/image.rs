//! Pictures of 8 bits per channel, and how they become what a model takes.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "an image holds as many values as it says; sums of bytes divided by their number fit"
)]

use crate::tensor::{Samples, Shape};

/// A picture of `height` × `width` pixels with one byte per channel, row by row: gray (1 channel)
/// or RGB (3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    height: usize,
    width: usize,
    channels: usize,
    pixels: Vec<u8>,
}

/// Why there is no such picture, or no such sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    #[error("{found} values do not make a picture of {height}×{width} with {channels} channels")]
    Length { height: usize, width: usize, channels: usize, found: usize },
    #[error("a picture has 1 or more pixels and 1 or 3 channels, not {height}×{width}×{channels}")]
    Extent { height: usize, width: usize, channels: usize },
    #[error(
        "samples of shape {shape} are no pictures: those have a height, a width, and 1 or 3 channels"
    )]
    Shape { shape: Shape },
    #[error("samples of shape {shape} have more than {limit} values")]
    TooLarge { shape: Shape, limit: usize },
}

/// Values of a sample: far above any model for pictures, and 64 MiB as f32.
const MAX_VALUES: usize = 1 << 24;

impl Image {
    /// A picture of those bytes: height × width × channels of them.
    pub fn new(
        height: usize,
        width: usize,
        channels: usize,
        pixels: impl Into<Vec<u8>>,
    ) -> Result<Self, ImageError> {
        let pixels = pixels.into();
        if height == 0 || width == 0 || !matches!(channels, 1 | 3) {
            return Err(ImageError::Extent { height, width, channels });
        }
        if Shape::image(height, width, channels).checked_elements() != Some(pixels.len()) {
            return Err(ImageError::Length { height, width, channels, found: pixels.len() });
        }
        Ok(Self { height, width, channels, pixels })
    }

    /// The picture that a sample of `shape` shows: 0.0 is black, 1.0 white, and what lies beyond
    /// is cut off. The inverse of [`to_samples`](Self::to_samples).
    pub fn from_sample(shape: &Shape, values: &[f32]) -> Result<Self, ImageError> {
        let (height, width, channels) = picture_extent(shape)?;
        let byte = |value: &f32| (value * 255.0).round() as u8; // saturates, and NaN is 0
        Self::new(height, width, channels, values.iter().map(byte).collect::<Vec<_>>())
    }

    pub fn height(&self) -> usize {
        self.height
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// 1 or 3.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Row by row, the channels of a pixel beside each other.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The colour of a pixel.
    ///
    /// # Panics
    /// If the pixel lies outside.
    pub fn rgb(&self, row: usize, column: usize) -> [u8; 3] {
        match *self.pixel(row, column) {
            [red, green, blue] => [red, green, blue],
            [gray] => [gray; 3],
            _ => unreachable!("1 or 3 channels"),
        }
    }

    /// The brightness of a pixel (ITU-R BT.601), with Pillow's rounding: what Keras'
    /// `load_img(color_mode="grayscale")` gives.
    ///
    /// # Panics
    /// If the pixel lies outside.
    pub fn gray(&self, row: usize, column: usize) -> u8 {
        match *self.pixel(row, column) {
            [gray] => gray,
            [red, green, blue] => {
                let [red, green, blue] = [red, green, blue].map(u32::from);
                ((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16) as u8
            }
            _ => unreachable!("1 or 3 channels"),
        }
    }

    fn pixel(&self, row: usize, column: usize) -> &[u8] {
        assert!(row < self.height && column < self.width, "a pixel of the picture");
        let start = (row * self.width + column) * self.channels;
        &self.pixels[start..start + self.channels]
    }

    /// The same picture in another size: each new pixel is the mean of the area it covers.
    ///
    /// # Panics
    /// If a new side is 0.
    pub fn resized(&self, height: usize, width: usize) -> Self {
        assert!(height > 0 && width > 0, "a picture has a pixel");
        let area = (self.height * self.width) as u64;
        let sums = self.area_sums(height, width, self.channels);
        let pixels = sums.map(|sum| ((sum + area / 2) / area) as u8).collect();
        Self { height, width, channels: self.channels, pixels }
    }

    /// This picture as the one sample that a model taking `shape` is fed with: (height, width,
    /// 1 or 3), (height, width), or a vector as long as a square picture has pixels.
    ///
    /// The steps, in this order:
    /// 1. RGB becomes gray where the model takes one channel; gray fills all three where it takes
    ///    three.
    /// 2. The whole picture is stretched to the model's height and width: each value is the mean
    ///    of the area it covers. It is not cropped and not centred.
    /// 3. If `invert`, black becomes white and white black: models trained on light strokes over
    ///    black, as in MNIST, need that for ink on paper.
    /// 4. Bytes become values from 0 to 1 by dividing by 255.
    ///
    /// A picture of the model's own size gives the very values of
    /// [`Samples::unit_bytes`].
    ///
    /// # Errors
    /// If the shape is not that of a picture.
    pub fn to_samples(&self, shape: &Shape, invert: bool) -> Result<Samples, ImageError> {
        let (height, width, channels) = picture_extent(shape)?;
        if shape.checked_elements().is_none_or(|values| values > MAX_VALUES) {
            return Err(ImageError::TooLarge { shape: shape.clone(), limit: MAX_VALUES });
        }
        let area = (self.height * self.width) as u64;
        let values: Vec<f32> = (self.area_sums(height, width, channels))
            .map(|sum| if invert { 255 * area - sum } else { sum })
            .map(|sum| (sum as f64 / area as f64) as f32 / 255.0)
            .collect();
        Ok(Samples::new(1, shape.clone(), values).expect("a value for each place in the shape"))
    }

    /// Of each pixel of the picture resized: what lies under it, weighted by area. The weights of
    /// each pixel sum to height × width of this picture, so that all is exact.
    fn area_sums(
        &self,
        height: usize,
        width: usize,
        channels: usize,
    ) -> impl Iterator<Item = u64> + '_ {
        let value = move |row, column, channel: usize| match channels {
            1 => self.gray(row, column),
            _ => self.rgb(row, column)[channel],
        };
        let cells = (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)));
        cells.flat_map(move |(y, x)| {
            (0..channels).map(move |channel| {
                let rows = overlaps(y, height, self.height);
                rows.flat_map(|(row, across)| {
                    overlaps(x, width, self.width).map(move |(column, along)| {
                        across * along * u64::from(value(row, column, channel))
                    })
                })
                .sum()
            })
        })
    }
}

/// Divides one line into `old` cells, and into `new`: the old cells that lie under new cell
/// `index`, and how far, so that a new cell is `old` long.
fn overlaps(index: usize, new: usize, old: usize) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (index * old, (index + 1) * old);
    (start / new..end.div_ceil(new)).map(move |cell| {
        let (left, right) = (start.max(cell * new), end.min((cell + 1) * new));
        (cell, (right - left) as u64)
    })
}

/// Height, width and channels of the picture that a sample of `shape` is.
fn picture_extent(shape: &Shape) -> Result<(usize, usize, usize), ImageError> {
    let extent = match *shape.dims() {
        [height, width, channels @ (1 | 3)] => (height, width, channels),
        [height, width] => (height, width, 1),
        [length] if length.isqrt().pow(2) == length => (length.isqrt(), length.isqrt(), 1),
        _ => (0, 0, 0),
    };
    match extent {
        (0, _, _) | (_, 0, _) => Err(ImageError::Shape { shape: shape.clone() }),
        extent => Ok(extent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(samples: &Samples) -> Vec<f32> {
        samples.to_array().into_iter().collect()
    }

    #[test]
    fn pictures_have_pixels() {
        let extent = ImageError::Extent { height: 0, width: 3, channels: 1 };
        assert_eq!(Image::new(0, 3, 1, []), Err(extent));
        let length = ImageError::Length { height: 2, width: 2, channels: 3, found: 4 };
        assert_eq!(Image::new(2, 2, 3, [0; 4]), Err(length));
    }

    #[test]
    fn gray_is_what_pillow_gives() {
        // Pillow 13.0.0: Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
        let cases = [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([1, 2, 3], 2)];
        for (rgb, gray) in cases {
            assert_eq!(Image::new(1, 1, 3, rgb).unwrap().gray(0, 0), gray);
        }
        assert_eq!(Image::new(1, 1, 3, [255; 3]).unwrap().gray(0, 0), 255);
    }

    #[test]
    fn a_new_pixel_is_the_mean_of_its_area() {
        let image = Image::new(2, 3, 1, [0, 60, 120, 40, 100, 200]).unwrap();
        // Each half covers one column and half of the middle one:
        // (0 + 40 + (60 + 100)/2) / 3 and (120 + 200 + (60 + 100)/2) / 3.
        assert_eq!(image.resized(1, 2).pixels(), [40, 133]);
        assert_eq!(
            image.resized(2, 6).pixels(),
            [0, 0, 60, 60, 120, 120, 40, 40, 100, 100, 200, 200]
        );
    }

    #[test]
    fn samples_follow_the_shape() {
        let image = Image::new(2, 2, 1, [0, 51, 102, 255]).unwrap();
        let expected: Vec<f32> = [0, 51, 102, 255].map(|byte| f32::from(byte as u8) / 255.0).into();
        for shape in [Shape::image(2, 2, 1), Shape::from([2, 2]), Shape::vector(4)] {
            let samples = image.to_samples(&shape, false).unwrap();
            assert_eq!((samples.count(), samples.shape()), (1, &shape));
            assert_eq!(values(&samples), expected);
        }
        let inverted = values(&image.to_samples(&Shape::from([2, 2]), true).unwrap());
        assert_eq!(inverted, [1.0, 204.0 / 255.0, 153.0 / 255.0, 0.0]);
        let rgb = values(&image.to_samples(&Shape::image(1, 1, 3), false).unwrap());
        assert_eq!(rgb, [102.0 / 255.0; 3]);

        for shape in [Shape::vector(5), Shape::image(2, 2, 4), Shape::from([0, 2]), Shape::new([])]
        {
            let error = image.to_samples(&shape, false).unwrap_err();
            assert_eq!(error, ImageError::Shape { shape });
        }
        let huge = Shape::image(1 << 31, 1 << 31, 3);
        let error = image.to_samples(&huge, false).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    }

    proptest! {
        /// Every byte, unchanged in size, becomes the f32 that training was fed with.
        #[test]
        fn the_own_size_gives_the_values_of_training(pixels in prop::collection::vec(any::<u8>(), 12)) {
            let image = Image::new(3, 4, 1, pixels.clone()).unwrap();
            let shape = Shape::image(3, 4, 1);
            let trained = Samples::unit_bytes(1, shape.clone(), pixels).unwrap();
            let bits = |samples: &Samples| values(samples).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let samples = image.to_samples(&shape, false).unwrap();
            prop_assert_eq!(bits(&samples), bits(&trained));
            prop_assert_eq!(Image::from_sample(&shape, &values(&samples)), Ok(image));
        }

        /// Area averaging keeps the mean, whatever the size.
        #[test]
        fn resizing_keeps_the_mean(
            pixels in prop::collection::vec(any::<u8>(), 5 * 7),
            (height, width) in (1..12_usize, 1..12_usize),
        ) {
            let mean = pixels.iter().map(|&byte| f64::from(byte)).sum::<f64>() / 35.0 / 255.0;
            let image = Image::new(5, 7, 1, pixels).unwrap();
            let resized = values(&image.to_samples(&Shape::from([height, width]), false).unwrap());
            let new = resized.iter().map(|&value| f64::from(value)).sum::<f64>();
            prop_assert!((new / resized.len() as f64 - mean).abs() < 1e-6);
        }
    }
}
