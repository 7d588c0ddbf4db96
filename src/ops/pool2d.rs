//! Max and average pooling over windows of NHWC images, at any size, stride and padding.

use crate::kernels::{Isa, Kernel, LANES, Simd};
use crate::model::{Pool2d, PoolKind, Window2d};
use crate::tensor::Shape;

/// What a pooling layer needs to know, worked out once.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) kind: PoolKind,
    channels: usize,
    x_length: usize,
    y_length: usize,
    /// The start of the input rows under all windows, one window after the other; padding left out.
    cells: Vec<u32>,
    /// Where each window's rows end in `cells`.
    ends: Vec<u32>,
}

impl Geometry {
    /// # Panics
    /// If `input` is not an image that `pool` can take; a checked graph holds no such layer.
    pub(crate) fn new(pool: &Pool2d, input: &Shape) -> Self {
        let (height, width, channels) = input.as_image().expect("checked with the graph");
        let window = Window2d::new([height, width], pool.pool, pool.strides, pool.padding, [1; 2])
            .expect("checked with the graph");
        let [out_height, out_width] = window.output;
        let (mut cells, mut ends) = (Vec::new(), Vec::with_capacity(out_height * out_width));
        for row in 0..out_height {
            for column in 0..out_width {
                for y in window.sources(0, row) {
                    for x in window.sources(1, column) {
                        cells.push(u32::try_from((y * width + x) * channels).expect("below 2³²"));
                    }
                }
                ends.push(u32::try_from(cells.len()).expect("below 2³²"));
            }
        }
        Self {
            kind: pool.kind,
            channels,
            x_length: input.elements(),
            y_length: out_height * out_width * channels,
            cells,
            ends,
        }
    }

    /// The input rows of each window.
    fn windows(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.cells[start as usize..end as usize])
    }
}

/// Whether no window reaches past the image, so that each has all of its cells.
pub(crate) fn stays_inside(pool: &Pool2d, input: &Shape) -> bool {
    let (height, width, _) = input.as_image().expect("checked with the graph");
    let size = [height, width];
    let window = Window2d::new(size, pool.pool, pool.strides, pool.padding, [1; 2])
        .expect("checked with the graph");
    let extent = window.extent();
    (0..2).all(|axis| window.before[axis] == 0 && extent[axis] <= size[axis])
}

struct Forward<'a> {
    y: &'a mut [f32],
    /// Empty where nothing is to be remembered.
    argmax: &'a mut [u32],
    x: &'a [f32],
    samples: usize,
    geometry: &'a Geometry,
}

/// `y` (n, oh, ow, c) of `x` (n, ih, iw, c). Max: the first of the largest, a NaN if there is one;
/// `argmax` (of `y`'s length, or empty) gets its place within the sample. Average: the sum over the
/// real cells in the order of (kh, kw), divided by their number.
pub(crate) fn forward(
    isa: Isa,
    y: &mut [f32],
    argmax: &mut [u32],
    x: &[f32],
    samples: usize,
    geometry: &Geometry,
) {
    isa.run(Forward { y, argmax, x, samples, geometry });
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { y, argmax, x, samples, geometry } = self;
        let channels = geometry.channels;
        for sample in 0..samples {
            let x = &x[sample * geometry.x_length..][..geometry.x_length];
            for (cell, window) in geometry.windows().enumerate() {
                let start = sample * geometry.y_length + cell * channels;
                for channel in (0..channels).step_by(LANES) {
                    let width = LANES.min(channels - channel);
                    let target = start + channel..start + channel + width;
                    let row = |cell: u32| simd.load_partial(&x[cell as usize + channel..][..width]);
                    match geometry.kind {
                        PoolKind::Average => {
                            let sum = window
                                .iter()
                                .fold(simd.splat(0.0), |sum, &cell| simd.add(sum, row(cell)));
                            let mean = simd.div(sum, simd.splat(window.len() as f32));
                            simd.store_partial(mean, &mut y[target]);
                        }
                        PoolKind::Max => {
                            let (best, at) = largest(simd, window, row);
                            simd.store_partial(best, &mut y[target.clone()]);
                            if !argmax.is_empty() {
                                let at = simd.to_array(simd.float(at));
                                for (lane, argmax) in argmax[target].iter_mut().enumerate() {
                                    *argmax = at[lane].to_bits() + (channel + lane) as u32;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The first of the largest values over the cells, the first NaN if there is one, and its cell.
#[inline(always)]
fn largest<S: Simd>(simd: S, cells: &[u32], row: impl Fn(u32) -> S::F) -> (S::F, S::I) {
    let mut best = row(cells[0]);
    let mut at = simd.splat_bits(cells[0]);
    for &cell in &cells[1..] {
        let x = row(cell);
        // Taken unless x ≤ best or best is already NaN: so a first NaN is taken, and kept.
        let kept = simd.ge(best, x);
        let number = simd.eq(best, best);
        let taken = simd.select(kept, best, x);
        let taken_at = simd.select(kept, simd.float(at), simd.float(simd.splat_bits(cell)));
        best = simd.select(number, taken, best);
        at = simd.bits(simd.select(number, taken_at, simd.float(at)));
    }
    (best, at)
}

/// `dx` of max pooling: zero, and at the place of each maximum the sum of the gradients of the
/// windows it won, in the order of the windows.
pub(crate) fn max_gradient(
    dx: &mut [f32],
    argmax: &[u32],
    dy: &[f32],
    samples: usize,
    geometry: &Geometry,
) {
    let Geometry { x_length, y_length, .. } = *geometry;
    for sample in 0..samples {
        let dx = &mut dx[sample * x_length..][..x_length];
        dx.fill(0.0);
        let winners = &argmax[sample * y_length..][..y_length];
        for (&at, &dy) in winners.iter().zip(&dy[sample * y_length..][..y_length]) {
            dx[at as usize] += dy;
        }
    }
}

struct AverageGradient<'a> {
    dx: &'a mut [f32],
    dy: &'a [f32],
    samples: usize,
    geometry: &'a Geometry,
}

/// `dx` of average pooling: the sum of gradient / real cells of the windows over each cell, in the
/// order of the windows.
pub(crate) fn average_gradient(
    isa: Isa,
    dx: &mut [f32],
    dy: &[f32],
    samples: usize,
    geometry: &Geometry,
) {
    isa.run(AverageGradient { dx, dy, samples, geometry });
}

impl Kernel for AverageGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { dx, dy, samples, geometry } = self;
        let channels = geometry.channels;
        for sample in 0..samples {
            let dx = &mut dx[sample * geometry.x_length..][..geometry.x_length];
            dx.fill(0.0);
            for (cell, window) in geometry.windows().enumerate() {
                let start = sample * geometry.y_length + cell * channels;
                for channel in (0..channels).step_by(LANES) {
                    let width = LANES.min(channels - channel);
                    let dy = simd.load_partial(&dy[start + channel..][..width]);
                    let share = simd.div(dy, simd.splat(window.len() as f32));
                    for &cell in window {
                        let dx = &mut dx[cell as usize + channel..][..width];
                        simd.store_partial(simd.add(simd.load_partial(dx), share), dx);
                    }
                }
            }
        }
    }
}
