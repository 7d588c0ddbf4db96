//! The usual way: unfold the images into columns (im2col) and multiply matrices.

use std::ops::Range;

use keepnet::benchable::{Convolution, Dense};
use keepnet::{Conv2d, Shape, Window2d};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array3, ArrayView2, ArrayViewMut2, Axis, s};

use crate::cases::Direction;

/// A convolution by matrices, sample by sample, so that the columns stay in the cache.
pub(crate) struct Im2col {
    window: Window2d,
    samples: usize,
    channels: usize,
    filters: usize,
    /// groups × cells × (taps, channels of the group)
    columns: Array3<f32>,
}

impl Im2col {
    pub(crate) fn new(conv: &Conv2d, input: &Shape, samples: usize) -> Self {
        let window = conv.window(input).expect("a case that works");
        let (_, _, channels) = input.as_image().expect("an image");
        let rows = window.kernel[0] * window.kernel[1] * channels / conv.groups;
        let cells = window.output[0] * window.output[1];
        let columns = Array3::zeros((conv.groups, cells, rows));
        Self { window, samples, channels, filters: conv.filters, columns }
    }

    pub(crate) fn run(&mut self, direction: Direction, data: &mut Convolution) {
        match direction {
            Direction::Forward => self.forward(data),
            Direction::InputGradient => self.input_gradient(data),
            Direction::KernelGradient => self.kernel_gradient(data),
        }
    }

    fn forward(&mut self, data: &mut Convolution) {
        let shape = (self.columns.len_of(Axis(1)), self.filters);
        let kernel = self.kernel(&data.kernel);
        let samples = data.x.chunks_exact(data.dx.len() / self.samples);
        for (x, y) in samples.zip(data.y.chunks_exact_mut(shape.0 * shape.1)) {
            self.unfold(x);
            let mut y = matrix_mut(y, shape);
            for (columns, filters) in self.columns.outer_iter().zip(self.group_filters()) {
                let kernel = kernel.slice(s![.., filters.clone()]);
                general_mat_mul(1.0, &columns, &kernel, 0.0, &mut y.slice_mut(s![.., filters]));
            }
        }
    }

    fn input_gradient(&mut self, data: &mut Convolution) {
        let shape = (self.columns.len_of(Axis(1)), self.filters);
        let kernel = self.kernel(&data.kernel);
        let length = data.dx.len() / self.samples;
        let samples = data.dx.chunks_exact_mut(length);
        for (dx, dy) in samples.zip(data.dy.chunks_exact(shape.0 * shape.1)) {
            let dy = matrix(dy, shape);
            let groups = self.group_filters();
            for (mut columns, filters) in self.columns.outer_iter_mut().zip(groups) {
                let dy = dy.slice(s![.., filters.clone()]);
                let kernel = kernel.slice(s![.., filters]);
                general_mat_mul(1.0, &dy, &kernel.t(), 0.0, &mut columns);
            }
            self.fold(dx);
        }
    }

    fn kernel_gradient(&mut self, data: &mut Convolution) {
        let shape = (self.columns.len_of(Axis(1)), self.filters);
        data.dkernel.fill(0.0);
        let mut dkernel =
            matrix_mut(&mut data.dkernel, (self.columns.len_of(Axis(2)), self.filters));
        let samples = data.x.chunks_exact(data.dx.len() / self.samples);
        for (x, dy) in samples.zip(data.dy.chunks_exact(shape.0 * shape.1)) {
            self.unfold(x);
            let dy = matrix(dy, shape);
            for (columns, filters) in self.columns.outer_iter().zip(self.group_filters()) {
                let dy = dy.slice(s![.., filters.clone()]);
                let mut dkernel = dkernel.slice_mut(s![.., filters]);
                general_mat_mul(1.0, &columns.t(), &dy, 1.0, &mut dkernel);
            }
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

    /// Visits what each tap of each cell takes of the image, with the place where that lies if it
    /// is not in the padding.
    fn each_row(&mut self, mut visit: impl FnMut(&mut [f32], Option<usize>)) {
        let (groups, cells, _) = self.columns.dim();
        let (window, width) = (&self.window, self.channels / groups);
        let [_, kernel_width] = window.kernel;
        let taps = window.kernel[0] * kernel_width;
        let columns = self.columns.as_slice_mut().expect("in C order");
        for (index, row) in columns.chunks_exact_mut(width).enumerate() {
            let (tap, cell, group) = (index % taps, index / taps % cells, index / taps / cells);
            let y = window.source(0, cell / window.output[1], tap / kernel_width);
            let x = window.source(1, cell % window.output[1], tap % kernel_width);
            let pixel = y.zip(x).map(|(y, x)| y * window.input[1] + x);
            visit(row, pixel.map(|pixel| pixel * self.channels + group * width));
        }
    }

    fn kernel<'a>(&self, values: &'a [f32]) -> ArrayView2<'a, f32> {
        matrix(values, (self.columns.len_of(Axis(2)), self.filters))
    }

    /// The filters of each group.
    fn group_filters(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let groups = self.columns.len_of(Axis(0));
        let width = self.filters / groups;
        (0..groups).map(move |group| group * width..(group + 1) * width)
    }
}

/// A dense layer: one product of matrices in each direction.
pub(crate) struct Matrices {
    pub inputs: usize,
    pub units: usize,
    pub samples: usize,
}

impl Matrices {
    pub(crate) fn run(&self, direction: Direction, data: &mut Dense) {
        let x = matrix(&data.x, (self.samples, self.inputs));
        let dy = matrix(&data.dy, (self.samples, self.units));
        let kernel = matrix(&data.kernel, (self.inputs, self.units));
        match direction {
            Direction::Forward => {
                let mut y = matrix_mut(&mut data.y, (self.samples, self.units));
                general_mat_mul(1.0, &x, &kernel, 0.0, &mut y);
            }
            Direction::InputGradient => {
                let mut dx = matrix_mut(&mut data.dx, (self.samples, self.inputs));
                general_mat_mul(1.0, &dy, &kernel.t(), 0.0, &mut dx);
            }
            Direction::KernelGradient => {
                let mut dkernel = matrix_mut(&mut data.dkernel, (self.inputs, self.units));
                general_mat_mul(1.0, &x.t(), &dy, 0.0, &mut dkernel);
            }
        }
    }
}

/// The first values as a matrix; zeros may stand behind them.
fn matrix(values: &[f32], shape: (usize, usize)) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape(shape, &values[..shape.0 * shape.1]).expect("as long as its shape")
}

fn matrix_mut(values: &mut [f32], shape: (usize, usize)) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape(shape, values).expect("as long as its shape")
}
