//! PNG pictures (W3C Portable Network Graphics, 3rd edition): bytes to [`Image`] and back.

mod image;

use std::io::Cursor;

use ::png::{ColorType, Compression, Decoder, DecodingError, Encoder, Limits, Transformations};

pub use image::{Image, ImageError};

/// Why bytes are not read as a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    #[error("not a sound PNG picture: {reason}")]
    Malformed { reason: String },
    #[error(
        "a picture of {width}×{height} pixels cannot be held in the {found} bytes of this PNG file"
    )]
    Claim { width: u32, height: u32, found: usize },
    #[error("the picture takes more memory than the {limit} bytes allowed: make it smaller")]
    Limit { limit: usize },
    #[error("{count} bytes follow the end of the PNG picture")]
    Trailing { count: usize },
}

/// Deflate gives at most 1032 bytes for one (258 bytes for two bits).
const MAX_INFLATION: u64 = 1032;

/// Reads a picture of any colour type and depth as 8-bit gray (if the file is gray) or RGB.
///
/// - Palettes, and gray of 1, 2 and 4 bits, are expanded; of 16 bits the upper 8 are kept.
/// - Transparent pixels are laid over **white**, the paper that pictures are drawn on; a model
///   that was trained on light strokes needs such a picture inverted.
/// - Gamma and colour profiles are ignored, as Pillow and Keras do. Of an animation, the still
///   picture is read.
///
/// `limit` bounds the memory taken in bytes: the decoded picture, its alpha channel included, and
/// about as much again for the decoder.
///
/// # Errors
/// See [`PngError`]. Bytes after the end of the picture are refused.
pub fn read_png(bytes: &[u8], limit: usize) -> Result<Image, PngError> {
    let refused = |error: DecodingError| match error {
        DecodingError::LimitsExceeded => PngError::Limit { limit },
        error => PngError::Malformed { reason: error.to_string() },
    };

    let mut cursor = Cursor::new(bytes);
    let mut decoder = Decoder::new_with_limits(&mut cursor, Limits { bytes: limit });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(refused)?;
    let (width, height) = header.size();
    let area = u64::from(width) * u64::from(height);
    let claimed = area.saturating_mul(header.bits_per_pixel() as u64) / 8;
    if claimed > bytes.len() as u64 * MAX_INFLATION {
        return Err(PngError::Claim { width, height, found: bytes.len() });
    }

    let mut reader = decoder.read_info().map_err(refused)?;
    let length = reader.output_buffer_size().filter(|&length| length <= limit);
    let mut pixels = vec![0; length.ok_or(PngError::Limit { limit })?];
    let frame = reader.next_frame(&mut pixels).map_err(refused)?;
    reader.finish().map_err(refused)?;
    drop(reader);
    let read = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
    let count = bytes.len().saturating_sub(read);
    if count > 0 {
        return Err(PngError::Trailing { count });
    }

    pixels.truncate(frame.buffer_size());
    let (channels, pixels) = match frame.color_type {
        ColorType::Grayscale => (1, pixels),
        ColorType::Rgb | ColorType::Indexed => (3, pixels), // palettes are expanded
        ColorType::GrayscaleAlpha => (1, over_white::<2>(&pixels)),
        ColorType::Rgba => (3, over_white::<4>(&pixels)),
    };
    Image::new(frame.height as usize, frame.width as usize, channels, pixels)
        .map_err(|error| PngError::Malformed { reason: error.to_string() })
}

/// Lays pixels of `N` bytes, the last of them alpha, over white.
fn over_white<const N: usize>(pixels: &[u8]) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<N>();
    let mut opaque = Vec::with_capacity(pixels.len() * (N - 1));
    for pixel in pixels {
        if let Some((&alpha, colours)) = pixel.split_last() {
            let alpha = u32::from(alpha);
            let blend = |&colour| (u32::from(colour) * alpha + 255 * (255 - alpha) + 127) / 255;
            opaque.extend(
                colours.iter().map(blend).map(|colour| u8::try_from(colour).unwrap_or(u8::MAX)),
            );
        }
    }
    opaque
}

/// The picture as a PNG file of 8 bits per channel. The same picture gives the same bytes.
///
/// # Panics
/// If a side is longer than the 2³¹ − 1 pixels that PNG can say.
#[allow(clippy::expect_used, reason = "what is written is ours, and goes to memory")]
pub fn write_png(image: &Image) -> Vec<u8> {
    let side = |pixels: usize| i32::try_from(pixels).expect("a side that PNG can say") as u32;
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(image.width()), side(image.height()));
    encoder.set_color(if image.channels() == 1 { ColorType::Grayscale } else { ColorType::Rgb });
    encoder.set_compression(Compression::High);
    let mut writer = encoder.write_header().expect("memory takes all bytes");
    writer.write_image_data(image.pixels()).expect("the pixels fill the picture");
    writer.finish().expect("memory takes all bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::png::BitDepth;
    use proptest::prelude::*;

    const LIMIT: usize = 1 << 20;

    fn encoded(
        (width, height): (u32, u32),
        colour: ColorType,
        depth: BitDepth,
        data: &[u8],
        more: impl FnOnce(&mut Encoder<'_, &mut Vec<u8>>),
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        more(&mut encoder);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn image(height: usize, width: usize, channels: usize, pixels: &[u8]) -> Image {
        Image::new(height, width, channels, pixels).unwrap()
    }

    #[test]
    fn every_colour_type_becomes_gray_or_rgb() {
        use BitDepth::{Eight, Four, One, Sixteen, Two};
        use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        let plain = |_: &mut Encoder<'_, &mut Vec<u8>>| {};
        // Two pixels beside each other; the bits of the first are the highest.
        let cases: [(ColorType, BitDepth, &[u8], &[u8]); 9] = [
            (Grayscale, One, &[0b0100_0000], &[0, 255]),
            (Grayscale, Two, &[0b0110_0000], &[85, 170]),
            (Grayscale, Four, &[0x3C], &[0x33, 0xCC]),
            (Grayscale, Eight, &[7, 200], &[7, 200]),
            (Grayscale, Sixteen, &[7, 255, 200, 1], &[7, 200]),
            (Rgb, Eight, &[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6]),
            (Rgb, Sixteen, &[1, 9, 2, 9, 3, 9, 4, 9, 5, 9, 6, 9], &[1, 2, 3, 4, 5, 6]),
            // Transparent: white. Half transparent black: 255·(255 − 128) / 255.
            (GrayscaleAlpha, Eight, &[9, 0, 0, 128], &[255, 127]),
            (Rgba, Eight, &[1, 2, 3, 255, 0, 0, 255, 0], &[1, 2, 3, 255, 255, 255]),
        ];
        for (colour, depth, data, pixels) in cases {
            let channels = pixels.len() / 2;
            let bytes = encoded((2, 1), colour, depth, data, plain);
            let expected = image(1, 2, channels, pixels);
            assert_eq!(read_png(&bytes, LIMIT), Ok(expected), "{colour:?} {depth:?}");
        }

        let bytes = encoded((2, 1), Indexed, One, &[0b0100_0000], |encoder| {
            encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
            encoder.set_trns(vec![255, 0]);
        });
        assert_eq!(read_png(&bytes, LIMIT), Ok(image(1, 2, 3, &[10, 20, 30, 255, 255, 255])));
    }

    #[test]
    fn what_is_no_sound_picture_is_refused() {
        let bytes = write_png(&image(2, 3, 1, &[0, 50, 100, 150, 200, 250]));
        for length in 0..bytes.len() {
            assert!(read_png(&bytes[..length], LIMIT).is_err(), "cut after {length} bytes");
        }
        let longer = [bytes.as_slice(), b"\n"].concat();
        assert_eq!(read_png(&longer, LIMIT), Err(PngError::Trailing { count: 1 }));
        assert!(matches!(read_png(b"GIF89a", LIMIT), Err(PngError::Malformed { .. })));
    }

    #[test]
    fn memory_is_bounded() {
        let bytes = write_png(&image(100, 100, 1, &[0; 10_000]));
        assert!(read_png(&bytes, 1 << 16).is_ok());
        assert_eq!(read_png(&bytes, 9_999), Err(PngError::Limit { limit: 9_999 }));

        // A header that claims 2³¹ − 1 pixels in each direction, with its checksum put right.
        let mut huge = bytes;
        huge[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
        let mut crc = flate2::Crc::new();
        crc.update(&huge[12..29]);
        huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let (side, found) = (i32::MAX as u32, huge.len());
        let claim = PngError::Claim { width: side, height: side, found };
        assert_eq!(read_png(&huge, usize::MAX), Err(claim));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (height, width, channels, pixels) in (1..9_usize, 1..9_usize, prop_oneof![Just(1), Just(3)])
                .prop_flat_map(|(height, width, channels)| {
                    let pixels = prop::collection::vec(any::<u8>(), height * width * channels);
                    (Just(height), Just(width), Just(channels), pixels)
                }),
        ) {
            let image = Image::new(height, width, channels, pixels).unwrap();
            prop_assert_eq!(read_png(&write_png(&image), LIMIT), Ok(image));
        }

        #[test]
        fn damaged_files_do_not_panic(at in 0..120_usize, byte in any::<u8>()) {
            let mut bytes = write_png(&image(4, 4, 3, &[77; 48]));
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read_png(&bytes, LIMIT);
        }
    }
}
