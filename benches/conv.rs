//! Convolution forward and backward on one thread, beside the usual way: unfold the images into
//! columns (im2col) and multiply matrices.
//!
//! ```text
//! cargo bench --bench conv
//! ```
//!
//! Criterion's elements are floating-point operations, two per multiply-add, so Gelem/s reads as
//! GFLOP/s. The matrices are multiplied by the crate `matrixmultiply`, which ndarray calls; it has
//! no say where a matrix has fewer than eight columns, as in the depthwise case.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keepnet::benchable::Convolution;
use keepnet::{Conv2d, Padding, Shape};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

/// Samples in a shard, as in training.
const SAMPLES: usize = keepnet::nn::SHARD;

fn cases() -> [(&'static str, Conv2d, Shape); 5] {
    let same = |conv| Conv2d { padding: Padding::Same, ..conv };
    let image = Shape::image(32, 32, 64);
    let depthwise = Conv2d { groups: 64, ..Conv2d::new(64, 3) };
    [
        ("28x28x1, 32 of 3x3", Conv2d::new(32, 3), Shape::image(28, 28, 1)), // W1's first
        ("13x13x32, 64 of 3x3", Conv2d::new(64, 3), Shape::image(13, 13, 32)), // W1's second
        ("32x32x64, 64 of 3x3, same", same(Conv2d::new(64, 3)), image.clone()),
        ("32x32x64, 128 of 1x1", Conv2d::new(128, 1), image.clone()),
        ("32x32x64, depthwise 3x3, same", same(depthwise), image),
    ]
}

/// A convolution with stride 1 by matrices: sample by sample, so that the columns stay in the cache.
/// Its groups are one, or one per channel.
struct Im2col {
    taps: Vec<[usize; 2]>,
    /// Rows and columns of the image and of the result; the padding before.
    input: [usize; 2],
    output: [usize; 2],
    before: [usize; 2],
    channels: usize,
    filters: usize,
    groups: usize,
    /// cells × (taps, channels)
    columns: Array2<f32>,
}

impl Im2col {
    fn new(conv: &Conv2d, input: &Shape) -> Self {
        let window = conv.window(input).expect("a case that works");
        let (_, _, channels) = input.as_image().expect("an image");
        let [height, width] = window.kernel;
        let taps: Vec<_> = (0..height).flat_map(|y| (0..width).map(move |x| [y, x])).collect();
        let cells = window.output[0] * window.output[1];
        Self {
            columns: Array2::zeros((cells, taps.len() * channels)),
            taps,
            input: window.input,
            output: window.output,
            before: window.before,
            channels,
            filters: conv.filters,
            groups: conv.groups,
        }
    }

    fn cells(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Multiply-adds of one direction, taps in the padding included, each counted as two.
    fn operations(&self) -> u64 {
        (2 * SAMPLES * self.columns.len() / self.groups * self.filters) as u64
    }

    /// Visits each row of the columns with the place in the image that it stands for, if there is
    /// one.
    fn each_row(&mut self, mut visit: impl FnMut(&mut [f32], Option<usize>)) {
        let columns = self.columns.as_slice_mut().expect("in C order");
        for (index, row) in columns.chunks_exact_mut(self.channels).enumerate() {
            let (cell, tap) = (index / self.taps.len(), self.taps[index % self.taps.len()]);
            let at = [cell / self.output[1] + tap[0], cell % self.output[1] + tap[1]];
            let y = at[0].checked_sub(self.before[0]).filter(|&y| y < self.input[0]);
            let x = at[1].checked_sub(self.before[1]).filter(|&x| x < self.input[1]);
            visit(row, y.zip(x).map(|(y, x)| (y * self.input[1] + x) * self.channels));
        }
    }

    fn unfold(&mut self, x: &[f32]) {
        self.each_row(|row, source| match source {
            Some(source) => row.copy_from_slice(&x[source..source + row.len()]),
            None => row.fill(0.0),
        });
    }

    fn fold(&mut self, dx: &mut [f32]) {
        dx.fill(0.0);
        self.each_row(|row, target| {
            let target = target.map_or(&mut [][..], |target| &mut dx[target..]);
            target.iter_mut().zip(row).for_each(|(dx, value)| *dx += *value);
        });
    }

    fn kernel<'a>(&self, values: &'a [f32]) -> ArrayView2<'a, f32> {
        let rows = self.columns.len_of(Axis(1)) / self.groups;
        let values = &values[..rows * self.filters];
        ArrayView2::from_shape((rows, self.filters), values).expect("as long as its shape")
    }

    fn result<'a>(&self, values: &'a [f32]) -> ArrayView2<'a, f32> {
        ArrayView2::from_shape((self.cells(), self.filters), values).expect("one sample")
    }

    fn forward(&mut self, data: &mut Convolution) {
        let shape = (self.cells(), self.filters);
        let kernel = self.kernel(&data.kernel);
        let samples = data.x.chunks_exact(data.x.len() / SAMPLES);
        for (x, y) in samples.zip(data.y.chunks_exact_mut(shape.0 * shape.1)) {
            self.unfold(x);
            let mut y = ArrayViewMut2::from_shape(shape, y).expect("one sample");
            for (group, filters) in self.group_filters() {
                let columns = self.columns.slice(s![.., group..; self.groups]);
                let kernel = kernel.slice(s![.., filters.clone()]);
                general_mat_mul(1.0, &columns, &kernel, 0.0, &mut y.slice_mut(s![.., filters]));
            }
        }
    }

    fn input_gradient(&mut self, data: &mut Convolution) {
        let kernel = self.kernel(&data.kernel);
        let length = data.dx.len() / SAMPLES;
        let samples = data.dx.chunks_exact_mut(length);
        for (dx, dy) in samples.zip(data.dy.chunks_exact(self.cells() * self.filters)) {
            let dy = self.result(dy);
            for (group, filters) in self.group_filters() {
                let dy = dy.slice(s![.., filters.clone()]);
                let kernel = kernel.slice(s![.., filters]);
                let mut columns = self.columns.slice_mut(s![.., group..; self.groups]);
                general_mat_mul(1.0, &dy, &kernel.t(), 0.0, &mut columns);
            }
            self.fold(dx);
        }
    }

    fn kernel_gradient(&mut self, data: &mut Convolution) {
        let shape = self.kernel(&data.kernel).dim();
        data.dkernel.fill(0.0);
        let mut dkernel = ArrayViewMut2::from_shape(shape, &mut data.dkernel).expect("its shape");
        let samples = data.x.chunks_exact(data.x.len() / SAMPLES);
        for (x, dy) in samples.zip(data.dy.chunks_exact(self.cells() * self.filters)) {
            self.unfold(x);
            let dy = self.result(dy);
            for (group, filters) in self.group_filters() {
                let columns = self.columns.slice(s![.., group..; self.groups]);
                let dy = dy.slice(s![.., filters.clone()]);
                let mut dkernel = dkernel.slice_mut(s![.., filters]);
                general_mat_mul(1.0, &columns.t(), &dy, 1.0, &mut dkernel);
            }
        }
    }

    /// Each group and its filters.
    fn group_filters(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> + use<> {
        let width = self.filters / self.groups;
        (0..self.groups).map(move |group| (group, group * width..(group + 1) * width))
    }
}

/// A direction: its name, both ways of computing it, and where the result then stands.
type Direction = (
    &'static str,
    fn(&mut Convolution),
    fn(&mut Im2col, &mut Convolution),
    fn(&Convolution) -> &[f32],
);

const DIRECTIONS: [Direction; 3] = [
    ("forward", Convolution::forward, Im2col::forward, |data| &data.y),
    ("input gradient", Convolution::input_gradient, Im2col::input_gradient, |data| &data.dx),
    ("kernel gradient", Convolution::kernel_gradient, Im2col::kernel_gradient, |data| {
        &data.dkernel
    }),
];

fn convolution(criterion: &mut Criterion) {
    for (direction, ours, usual, result) in DIRECTIONS {
        for (name, conv, input) in cases() {
            let mut data = Convolution::new(&conv, &input, SAMPLES);
            let mut im2col = Im2col::new(&conv, &input);
            ours(&mut data);
            let found = result(&data).to_vec();
            usual(&mut im2col, &mut data);
            assert_same(&found, result(&data));

            let mut group = criterion.benchmark_group(format!("{direction}, {name}"));
            group.throughput(Throughput::Elements(im2col.operations()));
            group.bench_function("keepnet", |bencher| bencher.iter(|| ours(&mut data)));
            group
                .bench_function("im2col", |bencher| bencher.iter(|| usual(&mut im2col, &mut data)));
            group.finish();
        }
    }
}

/// What is compared must compute the same thing, but for rounding.
fn assert_same(found: &[f32], expected: &[f32]) {
    let largest = |values: &[f32]| {
        values.iter().fold(0.0, |max: f32, x| if x.abs() > max { x.abs() } else { max })
    };
    let difference: Vec<f32> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    assert!(largest(&difference) <= 1e-4 * largest(expected), "the two ways disagree");
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = convolution
}
criterion_main!(benches);
