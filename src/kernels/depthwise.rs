//! Depthwise convolution: each channel has a filter of its own, so vectors lie along the channels.
//! The sums are those of [`GatherMatmul`](super::GatherMatmul) with one value per row.

use super::gather::Gather;
use super::isa::{Isa, Kernel};
use super::simd::{LANES, Simd};

/// `y[s][c][ch] = init[ch] + Σ_tap x[s][c][tap][ch] · kernel[tap][ch]`, from +0.0 without `init`. It
/// gives the input gradient too, gathering from `dy`.
pub(crate) struct DepthwiseForward<'a> {
    pub(crate) y: &'a mut [f32],
    pub(crate) x: &'a [f32],
    pub(crate) kernel: &'a [f32],
    pub(crate) init: Option<&'a [f32]>,
    pub(crate) samples: usize,
    pub(crate) gather: &'a Gather,
    pub(crate) channels: usize,
}

/// `dkernel[tap][ch] = Σ_s Σ_c x[s][c][tap][ch] · dy[s][c][ch]`, from +0.0.
pub(crate) struct DepthwiseKernel<'a> {
    pub(crate) dkernel: &'a mut [f32],
    pub(crate) x: &'a [f32],
    pub(crate) dy: &'a [f32],
    pub(crate) samples: usize,
    pub(crate) gather: &'a Gather,
    pub(crate) channels: usize,
}

struct WithLengths<K> {
    kernel: K,
    /// Values per sample of what is written by cell and of what is gathered from, as the caller
    /// names them.
    lengths: [usize; 2],
}

impl DepthwiseForward<'_> {
    /// `lengths`: values per sample of `y` and of `x`.
    pub(crate) fn run(self, isa: Isa, lengths: [usize; 2]) {
        isa.run(WithLengths { kernel: self, lengths });
    }
}

impl DepthwiseKernel<'_> {
    /// `lengths`: values per sample of `x` and of `dy`.
    pub(crate) fn run(self, isa: Isa, lengths: [usize; 2]) {
        isa.run(WithLengths { kernel: self, lengths });
    }
}

/// Up to 16 channels of the row that starts at `source` of a sample, or zeros in the padding.
#[inline(always)]
fn row<S: Simd>(simd: S, sample: &[f32], source: u32, channel: usize, width: usize) -> S::F {
    if source == Gather::PADDING {
        return simd.splat(0.0);
    }
    simd.load_partial(&sample[source as usize + channel..][..width])
}

impl Kernel for WithLengths<DepthwiseForward<'_>> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let DepthwiseForward { y, x, kernel, init, samples, gather, channels } = self.kernel;
        let [y_length, x_length] = self.lengths;
        for sample in 0..samples {
            let x = &x[sample * x_length..][..x_length];
            let y = &mut y[sample * y_length..][..y_length];
            for (sources, target) in gather.rows() {
                for channel in (0..channels).step_by(LANES) {
                    let width = LANES.min(channels - channel);
                    let mut sum = match init {
                        Some(init) => simd.load_partial(&init[channel..][..width]),
                        None => simd.splat(0.0),
                    };
                    for (&source, &tap) in sources.iter().zip(gather.taps()) {
                        let w = &kernel[tap as usize * channels + channel..][..width];
                        let x = row(simd, x, source, channel, width);
                        sum = simd.mul_add(x, simd.load_partial(w), sum);
                    }
                    simd.store_partial(sum, &mut y[target as usize + channel..][..width]);
                }
            }
        }
    }
}

impl Kernel for WithLengths<DepthwiseKernel<'_>> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let DepthwiseKernel { dkernel, x, dy, samples, gather, channels } = self.kernel;
        let [x_length, dy_length] = self.lengths;
        for (column, &tap) in gather.taps().iter().enumerate() {
            for channel in (0..channels).step_by(LANES) {
                let width = LANES.min(channels - channel);
                let mut sum = simd.splat(0.0);
                for sample in 0..samples {
                    let x = &x[sample * x_length..][..x_length];
                    let dy = &dy[sample * dy_length..][..dy_length];
                    for (sources, target) in gather.rows() {
                        let x = row(simd, x, sources[column], channel, width);
                        let dy = &dy[target as usize + channel..][..width];
                        sum = simd.mul_add(x, simd.load_partial(dy), sum);
                    }
                }
                let target = tap as usize * channels + channel;
                simd.store_partial(sum, &mut dkernel[target..][..width]);
            }
        }
    }
}
