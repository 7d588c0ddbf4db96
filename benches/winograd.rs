//! An experiment: Winograd's F(2×2, 3×3) beside the direct convolution, forward, on one thread.
//! Nothing in the library reaches it: its sums are others than those of `docs/DETERMINISM.md`.
//!
//! ```text
//! RUSTFLAGS='-C target-cpu=native' cargo bench --bench winograd
//! ```
//!
//! A tile of 2 × 2 results costs 16 products for each channel and filter instead of 36. The tiles
//! are transformed by plain Rust, for which the compiler has to know the machine's vectors; the
//! products run through the library's own loop nest, as a 1×1 convolution for each place in a tile.
//! The formulas: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), §4.1.

#[path = "measure/paired.rs"]
mod paired;

use std::array::from_fn;
use std::mem::take;

use keepnet::benchable::Convolution;
use keepnet::{Conv2d, Padding, Shape};
use paired::{Share, share_of_peak};

const SAMPLES: usize = 16;

/// Tiles whose products are computed at a time, so that they stay in the second-level cache.
const STRIP: usize = 48;

/// Pairs of runs whose median counts.
const PAIRS: usize = 101;

/// N × N pixels, taps or places, of 16 channels or filters each.
#[repr(align(64))]
struct Tile<const N: usize>([[[f32; 16]; N]; N]);

fn main() {
    println!(
        "{:<22}{:>24}{:>24}{:>8}{:>12}{:>12}",
        "", "direct (best), GF/s", "Winograd (best), GF/s", "ratio", "error", "its"
    );
    compare("13×13×32 → 64", Shape::image(13, 13, 32), Padding::Valid);
    compare("32×32×64 → 64, same", Shape::image(32, 32, 64), Padding::Same);
}

/// Prints the direct operations per second of both, in percent of peak, and the largest error of
/// each beside f64, relative to the largest result.
fn compare(name: &str, image: Shape, padding: Padding) {
    let conv = Conv2d { padding, ..Conv2d::new(64, 3) };
    let mut direct = Convolution::new(&conv, &image, SAMPLES);
    let mut winograd = Winograd::new(&conv, &image, &direct.kernel);
    let mut y = vec![0.0; direct.y.len()];
    let cells = y.len() / conv.filters;
    let operations = (2 * 9 * winograd.channels * y.len()) as u64;

    let own = share_of_peak(operations, PAIRS, || winograd.forward(&mut y, &direct.x));
    let beside = share_of_peak(operations, PAIRS, || direct.forward());
    let exact = winograd.exact(cells / SAMPLES, &direct.x, &direct.kernel);
    let [error, of_direct] = [&y, &direct.y[..]].map(|y| largest_error(y, &exact));
    assert!(error < 1e-5, "Winograd's convolution is another one");
    let ratio = own.median / beside.median;
    let [direct, own] = [beside, own].map(|Share { flops, median, best }| {
        format!("{median:.1}% ({best:.1}%) {:>6.1}", flops / 1e9)
    });
    println!("{name:<22}{direct:>24}{own:>24}{ratio:>8.2}{of_direct:>12.1e}{error:>12.1e}");
}

/// A convolution of 3 × 3 by tiles of 2 × 2 results.
struct Winograd {
    input: [usize; 2],
    output: [usize; 2],
    before: [usize; 2],
    channels: usize,
    filters: usize,
    /// For each place in a transformed tile of 4 × 4: channels to filters, for a strip of tiles.
    products: [Convolution; 16],
}

impl Winograd {
    fn new(conv: &Conv2d, image: &Shape, kernel: &[f32]) -> Self {
        let window = conv.window(image).expect("a case that works");
        let (_, _, channels) = image.as_image().expect("an image");
        let filters = conv.filters;
        let mut products = from_fn(|_| {
            Convolution::new(&Conv2d::new(filters, 1), &Shape::image(1, STRIP, channels), 1)
        });
        for start in 0..channels * filters / 16 {
            let start = start * 16;
            let taps = Tile::load(|i, j| &kernel[(i * 3 + j) * channels * filters + start..]);
            let tile = both_ways(&taps, |[a, b, c]| [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c]);
            for (product, place) in products.iter_mut().zip(tile.0.as_flattened()) {
                product.kernel[start..start + 16].copy_from_slice(place);
            }
        }
        let (input, output, before) = (window.input, window.output, window.before);
        Self { input, output, before, channels, filters, products }
    }

    /// `y` (n, oh, ow, co) of `x` (n, ih, iw, ci), which zeros follow.
    fn forward(&mut self, y: &mut [f32], x: &[f32]) {
        let [height, width] = self.output.map(|cells| cells.div_ceil(2));
        let tiles = SAMPLES * height * width;
        let zeros = vec![0.0; self.channels];
        let place =
            |tile: usize| [tile / width / height, 2 * (tile / width % height), 2 * (tile % width)];
        for first in (0..tiles).step_by(STRIP) {
            let strip = first..tiles.min(first + STRIP);
            // Out of `self`, so that `pixel` can be asked while they are written.
            let mut values = self.products.each_mut().map(|product| take(&mut product.x));
            for (index, tile) in strip.clone().enumerate() {
                let [sample, row, column] = place(tile);
                let pixels: [[&[f32]; 4]; 4] = from_fn(|i| {
                    from_fn(|j| self.pixel(x, sample, row + i, column + j).unwrap_or(&zeros))
                });
                let to = index * self.channels..(index + 1) * self.channels;
                spread(values.each_mut().map(|values| &mut values[to.clone()]), pixels);
            }
            for (product, values) in self.products.iter_mut().zip(values) {
                product.x = values;
                product.forward();
            }
            for (index, tile) in strip.enumerate() {
                let from = index * self.filters..(index + 1) * self.filters;
                let products = self.products.each_ref().map(|product| &product.y[from.clone()]);
                self.collect(y, products, place(tile));
            }
        }
    }

    /// The channels of a pixel, counted with the padding, if it is in the image.
    fn pixel<'a>(&self, x: &'a [f32], sample: usize, i: usize, j: usize) -> Option<&'a [f32]> {
        let row = i.checked_sub(self.before[0]).filter(|&row| row < self.input[0])?;
        let column = j.checked_sub(self.before[1]).filter(|&column| column < self.input[1])?;
        let pixel = (sample * self.input[0] + row) * self.input[1] + column;
        Some(&x[pixel * self.channels..][..self.channels])
    }

    /// The filters of the results in a tile.
    fn collect(&self, y: &mut [f32], products: [&[f32]; 16], [sample, row, column]: [usize; 3]) {
        let [height, width] = self.output;
        for filter in (0..self.filters).step_by(16) {
            let tile = output_transform(&Tile::load(|i, j| &products[i * 4 + j][filter..]));
            for (i, cells) in tile.0.iter().enumerate().take(height - row) {
                for (j, cell) in cells.iter().enumerate().take(width - column) {
                    let pixel = (sample * height + row + i) * width + column + j;
                    y[pixel * self.filters + filter..][..16].copy_from_slice(cell);
                }
            }
        }
    }

    /// The first sample, summed in f64.
    fn exact(&self, cells: usize, x: &[f32], kernel: &[f32]) -> Vec<f64> {
        let mut y = vec![0.0; cells * self.filters];
        for (cell, y) in y.chunks_exact_mut(self.filters).enumerate() {
            let (row, column) = (cell / self.output[1], cell % self.output[1]);
            for tap in 0..9 {
                let Some(x) = self.pixel(x, 0, row + tap / 3, column + tap % 3) else { continue };
                let kernel = &kernel[tap * self.channels * self.filters..];
                for (&x, w) in x.iter().zip(kernel.chunks_exact(self.filters)) {
                    y.iter_mut().zip(w).for_each(|(y, &w)| *y += f64::from(x) * f64::from(w));
                }
            }
        }
        y
    }
}

/// Writes the channels of a tile to the places of its transform.
fn spread(mut places: [&mut [f32]; 16], pixels: [[&[f32]; 4]; 4]) {
    for channel in (0..places[0].len()).step_by(16) {
        let tile = input_transform(&Tile::load(|i, j| &pixels[i][j][channel..]));
        for (place, values) in places.iter_mut().zip(tile.0.as_flattened()) {
            place[channel..channel + 16].copy_from_slice(values);
        }
    }
}

impl<const N: usize> Tile<N> {
    /// The first values of what `place` gives for each row and column.
    fn load<'a>(place: impl Fn(usize, usize) -> &'a [f32]) -> Self {
        let mut tile = Self([[[0.0; 16]; N]; N]);
        for i in 0..N {
            for j in 0..N {
                tile.0[i][j] = *place(i, j).first_chunk().expect("whole vectors");
            }
        }
        tile
    }
}

/// Of an image, to what is multiplied.
// Out of line, as the next: by itself the compiler keeps the tile in registers.
#[inline(never)]
fn input_transform(tile: &Tile<4>) -> Tile<4> {
    both_ways(tile, |[a, b, c, d]| [a - c, b + c, c - b, b - d])
}

/// Of products, to results.
#[inline(never)]
fn output_transform(tile: &Tile<4>) -> Tile<2> {
    both_ways(tile, |[a, b, c, d]| [a + b + c, b - c - d])
}

/// Transforms each row of a tile and then each column.
#[inline(always)]
fn both_ways<const A: usize, const B: usize>(
    tile: &Tile<A>,
    line: impl Fn([f32; A]) -> [f32; B],
) -> Tile<B> {
    Tile(transposed(&transposed(&tile.0, &line), &line))
}

/// Transforms each row; the results are columns.
#[inline(always)]
fn transposed<const A: usize, const B: usize, const N: usize>(
    rows: &[[[f32; 16]; A]; N],
    line: impl Fn([f32; A]) -> [f32; B],
) -> [[[f32; 16]; N]; B] {
    let mut columns = [[[0.0; 16]; N]; B];
    for n in 0..N {
        for lane in 0..16 {
            let results = line(from_fn(|a| rows[n][a][lane]));
            for b in 0..B {
                columns[b][n][lane] = results[b];
            }
        }
    }
    columns
}

/// The largest difference of the first values, relative to the largest of `exact`.
fn largest_error(y: &[f32], exact: &[f64]) -> f64 {
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(0.0, |max: f64, x| if x.abs() > max { x.abs() } else { max })
    };
    let error = largest(&mut y.iter().zip(exact).map(|(&y, exact)| f64::from(y) - exact));
    error / largest(&mut exact.iter().copied())
}
