//! The sums of `docs/DETERMINISM.md` as plain loops, one element after the other: the naive twins of
//! the kernels, which must give these bits.

use super::simd::LANES;

/// A convolution by its extents alone; padding below and to the right follows from the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    pub(crate) samples: usize,
    /// Height, width.
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Padding above and to the left.
    pub(crate) before: [usize; 2],
    pub(crate) channels: usize,
    pub(crate) filters: usize,
    pub(crate) groups: usize,
}

impl Convolution {
    /// `y` (n, oh, ow, co): from the bias or +0.0 on, over (kh, kw, ci), x being +0.0 in the padding.
    pub(crate) fn forward(&self, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let [height, width] = self.output;
        let mut y = Vec::new();
        for cell in cells(self.samples, [height, width]) {
            for filter in 0..self.filters {
                let mut sum = bias.map_or(0.0, |bias| bias[filter]);
                for tap in taps(self.kernel) {
                    for channel in 0..self.group_channels() {
                        let x = self.x(x, cell, tap, filter, channel);
                        sum = x.mul_add(kernel[self.weight(tap, channel, filter)], sum);
                    }
                }
                y.push(sum);
            }
        }
        y
    }

    /// `dx` (n, ih, iw, ci): from +0.0 on, over (kh, kw, co), leaving out taps that the stride or the
    /// border keeps from the cell.
    pub(crate) fn input_gradient(&self, dy: &[f32], kernel: &[f32]) -> Vec<f32> {
        let mut dx = Vec::new();
        for (sample, at) in cells(self.samples, self.input) {
            for channel in 0..self.channels {
                let group = channel / self.group_channels();
                let mut sum = 0.0;
                for tap in taps(self.kernel) {
                    let position = |axis: usize| {
                        let from = (at[axis] + self.before[axis]) as i64
                            - (tap[axis] * self.dilation[axis]) as i64;
                        let stride = self.strides[axis] as i64;
                        (from % stride == 0).then_some(from / stride)
                    };
                    let (Some(row), Some(column)) = (position(0), position(1)) else { continue };
                    let Some([row, column]) = inside([row, column], self.output) else { continue };
                    let cell = (sample * self.output[0] + row) * self.output[1] + column;
                    for filter in 0..self.group_filters() {
                        let filter = group * self.group_filters() + filter;
                        let inner = channel % self.group_channels();
                        let dy = dy[cell * self.filters + filter];
                        sum = dy.mul_add(kernel[self.weight(tap, inner, filter)], sum);
                    }
                }
                dx.push(sum);
            }
        }
        dx
    }

    /// `dkernel` (kh, kw, ci / groups, co): from +0.0 on, over (n, oh, ow).
    pub(crate) fn kernel_gradient(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let mut dkernel = Vec::new();
        for tap in taps(self.kernel) {
            for channel in 0..self.group_channels() {
                for filter in 0..self.filters {
                    let mut sum = 0.0;
                    for (index, cell) in cells(self.samples, self.output).enumerate() {
                        let x = self.x(x, cell, tap, filter, channel);
                        sum = x.mul_add(dy[index * self.filters + filter], sum);
                    }
                    dkernel.push(sum);
                }
            }
        }
        dkernel
    }

    /// `y` (n, oh / 2, ow / 2, co) pooled by windows of 2 × 2 cells: the first of the largest, or the
    /// first NaN; then relu. And for each the pixel that won, if it is alive.
    pub(crate) fn forward_pooled(
        &self,
        x: &[f32],
        kernel: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
    ) -> (Vec<f32>, Vec<Option<usize>>) {
        let unpooled = self.forward(x, kernel, bias);
        let (mut y, mut winners) = (Vec::new(), Vec::new());
        for (sample, window) in cells(self.samples, self.output.map(|cells| cells / 2)) {
            for filter in 0..self.filters {
                let value = |pixel| {
                    let [row, column] = pixel_of(window, pixel);
                    let cell = (sample * self.output[0] + row) * self.output[1] + column;
                    unpooled[cell * self.filters + filter]
                };
                let mut best = 0;
                for pixel in 1..4 {
                    let (x, y) = (value(best), value(pixel));
                    if !x.is_nan() && (y.is_nan() || y > x) {
                        best = pixel;
                    }
                }
                let largest = value(best);
                let dead = relu && largest <= 0.0;
                y.push(if dead { 0.0 } else { largest });
                winners.push((!relu || largest > 0.0).then_some(best));
            }
        }
        (y, winners)
    }

    /// `dx` of a pooled convolution: from +0.0 on, over blocks of 64 filters, windows, pixels, filters.
    pub(crate) fn input_gradient_pooled(
        &self,
        dy: &[f32],
        winners: &[Option<usize>],
        kernel: &[f32],
    ) -> Vec<f32> {
        let mut dx = vec![0.0; self.samples * self.input[0] * self.input[1] * self.channels];
        for first in (0..self.filters).step_by(64) {
            let windows = cells(self.samples, self.output.map(|cells| cells / 2));
            for (at, (sample, window)) in windows.enumerate() {
                for (pixel, filter) in (0..4).flat_map(|pixel| {
                    (first..self.filters.min(first + 64)).map(move |filter| (pixel, filter))
                }) {
                    let result = at * self.filters + filter;
                    if winners[result] != Some(pixel) {
                        continue;
                    }
                    for tap in taps(self.kernel) {
                        let from = self.position(pixel_of(window, pixel), tap);
                        let Some([row, column]) = inside(from, self.input) else { continue };
                        let cell = (sample * self.input[0] + row) * self.input[1] + column;
                        for channel in 0..self.channels {
                            let weight = kernel[self.weight(tap, channel, filter)];
                            let dx = &mut dx[cell * self.channels + channel];
                            *dx = dy[result].mul_add(weight, *dx);
                        }
                    }
                }
            }
        }
        dx
    }

    /// `dkernel` of a pooled convolution: from +0.0 on, over samples and windows, leaving out those
    /// where no pixel is alive.
    pub(crate) fn kernel_gradient_pooled(
        &self,
        x: &[f32],
        dy: &[f32],
        winners: &[Option<usize>],
    ) -> Vec<f32> {
        let mut dkernel = Vec::new();
        for tap in taps(self.kernel) {
            for channel in 0..self.channels {
                for filter in 0..self.filters {
                    let mut sum = 0.0;
                    let windows = cells(self.samples, self.output.map(|cells| cells / 2));
                    for (at, (sample, window)) in windows.enumerate() {
                        let result = at * self.filters + filter;
                        let Some(pixel) = winners[result] else { continue };
                        let cell = (sample, pixel_of(window, pixel));
                        let x = self.x(x, cell, tap, filter, channel);
                        sum = x.mul_add(dy[result], sum);
                    }
                    dkernel.push(sum);
                }
            }
        }
        dkernel
    }

    fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    fn group_filters(&self) -> usize {
        self.filters / self.groups
    }

    /// The place of a weight in the kernel (kh, kw, ci / groups, co).
    fn weight(&self, tap: [usize; 2], channel: usize, filter: usize) -> usize {
        let tap = tap[0] * self.kernel[1] + tap[1];
        (tap * self.group_channels() + channel) * self.filters + filter
    }

    /// The place in the input, or outside, under `tap` of the window at an output cell.
    fn position(&self, cell: [usize; 2], tap: [usize; 2]) -> [i64; 2] {
        [0, 1].map(|axis| {
            (cell[axis] * self.strides[axis] + tap[axis] * self.dilation[axis]) as i64
                - self.before[axis] as i64
        })
    }

    /// The input under `tap` of the window at an output cell, in `channel` of the group of `filter`.
    fn x(
        &self,
        x: &[f32],
        (sample, cell): (usize, [usize; 2]),
        tap: [usize; 2],
        filter: usize,
        channel: usize,
    ) -> f32 {
        let channel = filter / self.group_filters() * self.group_channels() + channel;
        inside(self.position(cell, tap), self.input).map_or(0.0, |[row, column]| {
            let cell = (sample * self.input[0] + row) * self.input[1] + column;
            x[cell * self.channels + channel]
        })
    }
}

/// Sample, row, column of all cells, row-major.
fn cells(samples: usize, [height, width]: [usize; 2]) -> impl Iterator<Item = (usize, [usize; 2])> {
    let place = move |cell: usize| (cell / width / height, [cell / width % height, cell % width]);
    (0..samples * height * width).map(place)
}

/// The cell of pixel `pixel` of a window of 2 × 2.
fn pixel_of(window: [usize; 2], pixel: usize) -> [usize; 2] {
    [2 * window[0] + pixel / 2, 2 * window[1] + pixel % 2]
}

fn taps([height, width]: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    (0..height * width).map(move |tap| [tap / width, tap % width])
}

fn inside(position: [i64; 2], size: [usize; 2]) -> Option<[usize; 2]> {
    let [row, column] = position.map(usize::try_from);
    let place = [row.ok()?, column.ok()?];
    (place[0] < size[0] && place[1] < size[1]).then_some(place)
}

/// Pooling by its extents alone; what lies outside the image is in no window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pooling {
    pub(crate) samples: usize,
    /// Height, width.
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) window: [usize; 2],
    pub(crate) strides: [usize; 2],
    /// Padding above and to the left.
    pub(crate) before: [usize; 2],
    pub(crate) channels: usize,
}

impl Pooling {
    /// For each value of `y` (n, oh, ow, c) the places of those it is made from, over (kh, kw).
    fn sources(&self) -> Vec<Vec<usize>> {
        let mut sources = Vec::new();
        for (sample, cell) in cells(self.samples, self.output) {
            let position = |tap: [usize; 2], axis: usize| {
                (cell[axis] * self.strides[axis] + tap[axis]) as i64 - self.before[axis] as i64
            };
            let places = taps(self.window)
                .filter_map(|tap| inside([position(tap, 0), position(tap, 1)], self.input))
                .map(|[row, column]| (sample * self.input[0] + row) * self.input[1] + column);
            let places: Vec<usize> = places.collect();
            for channel in 0..self.channels {
                sources.push(places.iter().map(|cell| cell * self.channels + channel).collect());
            }
        }
        sources
    }

    /// `y`: the first of the largest, the first NaN if there is one; and where each comes from.
    pub(crate) fn largest(&self, x: &[f32]) -> (Vec<f32>, Vec<usize>) {
        let first = |places: &Vec<usize>| {
            let mut best = places[0];
            for &place in places {
                if !x[best].is_nan() && (x[place] > x[best] || x[place].is_nan()) {
                    best = place;
                }
            }
            (x[best], best)
        };
        self.sources().iter().map(first).unzip()
    }

    /// `dx`: from +0.0 on, the gradients of the values that come from each place, in their order.
    pub(crate) fn largest_gradient(&self, winners: &[usize], dy: &[f32]) -> Vec<f32> {
        let mut dx = vec![0.0; self.x_length()];
        winners.iter().zip(dy).for_each(|(&place, dy)| dx[place] += dy);
        dx
    }

    /// `y`: from +0.0 on, over (kh, kw), divided by the number of terms.
    pub(crate) fn mean(&self, x: &[f32]) -> Vec<f32> {
        let mean = |places: &Vec<usize>| {
            places.iter().fold(0.0, |sum, &place| sum + x[place]) / places.len() as f32
        };
        self.sources().iter().map(mean).collect()
    }

    /// `dx`: from +0.0 on, gradient / terms of the values that each place is part of, in their order.
    pub(crate) fn mean_gradient(&self, dy: &[f32]) -> Vec<f32> {
        let mut dx = vec![0.0; self.x_length()];
        for (places, dy) in self.sources().iter().zip(dy) {
            places.iter().for_each(|&place| dx[place] += dy / places.len() as f32);
        }
        dx
    }

    fn x_length(&self) -> usize {
        self.samples * self.input[0] * self.input[1] * self.channels
    }
}

/// `y` (rows, units): from the bias or +0.0 on, over the inputs.
pub(crate) fn dense(x: &[f32], kernel: &[f32], bias: Option<&[f32]>, units: usize) -> Vec<f32> {
    let inputs = kernel.len() / units;
    let element = |x: &[f32], unit: usize| {
        let start = bias.map_or(0.0, |bias| bias[unit]);
        (0..inputs).fold(start, |sum, input| x[input].mul_add(kernel[input * units + unit], sum))
    };
    x.chunks_exact(inputs).flat_map(|x| (0..units).map(move |unit| element(x, unit))).collect()
}

/// `dx` (rows, inputs): from +0.0 on, over the units.
pub(crate) fn dense_input_gradient(dy: &[f32], kernel: &[f32], units: usize) -> Vec<f32> {
    let element = |dy: &[f32], weights: &[f32]| {
        dy.iter().zip(weights).fold(0.0, |sum, (dy, w)| dy.mul_add(*w, sum))
    };
    let row = |dy| kernel.chunks_exact(units).map(move |weights| element(dy, weights));
    dy.chunks_exact(units).flat_map(row).collect()
}

/// `dkernel` (inputs, units): from +0.0 on, over the rows.
pub(crate) fn dense_kernel_gradient(
    x: &[f32],
    dy: &[f32],
    inputs: usize,
    units: usize,
) -> Vec<f32> {
    let element = |input: usize, unit: usize| {
        let rows = x.chunks_exact(inputs).zip(dy.chunks_exact(units));
        rows.fold(0.0, |sum, (x, dy)| x[input].mul_add(dy[unit], sum))
    };
    (0..inputs).flat_map(|input| (0..units).map(move |unit| element(input, unit))).collect()
}

/// 16 values by halving: lane l + lane l + 8, then + 4, + 2, + 1.
fn halved(lanes: [f32; LANES]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 8]);
    let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
    let two: [f32; 2] = std::array::from_fn(|lane| four[lane] + four[lane + 2]);
    two[0] + two[1]
}

/// The sums of each of `columns` columns: row r of a sample goes to lane r mod 16, lanes are halved,
/// samples are added to +0.0 in their order. `term` takes the flat index and the column.
pub(crate) fn column_sums(
    samples: usize,
    rows: usize,
    columns: usize,
    term: impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    let sum = |column: usize| {
        let mut total = 0.0;
        for sample in 0..samples {
            let mut lanes = [0.0; LANES];
            for row in 0..rows {
                lanes[row % LANES] += term((sample * rows + row) * columns + column, column);
            }
            total += halved(lanes);
        }
        total
    };
    (0..columns).map(sum).collect()
}

/// left + right, the left subtree taking the first p parts, p the largest power of two below their
/// number.
pub(crate) fn tree_sum(parts: &[&[f32]], element: usize) -> f32 {
    match parts {
        [] => 0.0,
        [part] => part[element],
        parts => {
            let mut left = 1;
            while left * 2 < parts.len() {
                left *= 2;
            }
            tree_sum(&parts[..left], element) + tree_sum(&parts[left..], element)
        }
    }
}

/// Blocks of 4,096 values; in each, value i is multiplied by itself and added to lane i mod 16,
/// rounded once, lanes are halved; blocks are added in f64.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    let mut total = 0.0;
    for block in values.chunks(4096) {
        let mut lanes = [0.0_f32; LANES];
        for (index, value) in block.iter().enumerate() {
            lanes[index % LANES] = value.mul_add(*value, lanes[index % LANES]);
        }
        total += f64::from(halved(lanes));
    }
    total
}

/// `count` values of both signs, of magnitudes over some powers of two, so that every change of an
/// order of summation changes bits; seldom a zero, of either sign.
pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
    let value = |index: usize| {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        let mut z = (seed << 32 | index as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let mantissa = (z >> 40) as f32 / (1 << 24) as f32; // 24 bits: exact
        let sign = if z & 1 == 0 { 1.0 } else { -1.0 };
        match z >> 1 & 31 {
            0 => sign * 0.0,
            power => sign * mantissa * (power as f32 - 15.0).abs(),
        }
    };
    (0..count).map(value).collect()
}

/// The same bits, or NaN on both sides: machines differ in the payload that a NaN is computed with.
#[track_caller]
pub(crate) fn assert_same_bits(found: &[f32], expected: &[f32], case: &dyn std::fmt::Debug) {
    assert_eq!(found.len(), expected.len(), "{case:?}");
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    if let Some(place) = found.iter().zip(expected).position(|pair| !same(pair)) {
        let (found, expected) = (found[place], expected[place]);
        panic!("{case:?}: element {place} is {found:e}, the plain loop gives {expected:e}");
    }
}
