//! Depthwise convolution: each channel has a filter of its own, so vectors lie along the channels.
//! The sums are those of [`GatherMatmul`](super::GatherMatmul) with one value per tap.

use super::gather::{Run, Source, Walk};
use super::isa::{Isa, Kernel};
use super::matmul::{fits, height};
use super::outer;
use super::simd::{LANES, Simd};

/// `y[s][c][ch] = init[ch] + Σ_tap x[s][c][tap][ch] · kernel[tap][ch]`, from +0.0 without `init`. It
/// gives the input gradient too, gathering from `dy`.
pub(crate) struct DepthwiseForward<'a> {
    pub(crate) y: &'a mut [f32],
    /// Values of `y` per sample.
    pub(crate) y_length: usize,
    /// Its runs are as long as there are channels. Read by whole vectors, as is `kernel`: both need
    /// [`LANES`] values behind their last.
    pub(crate) x: Source<'a>,
    pub(crate) kernel: &'a [f32],
    pub(crate) init: Option<&'a [f32]>,
    pub(crate) channels: usize,
}

/// `dkernel[tap][ch] = Σ_s Σ_c x[s][c][tap][ch] · dy[s][c][ch]`, from +0.0.
pub(crate) struct DepthwiseKernel<'a> {
    pub(crate) dkernel: &'a mut [f32],
    /// Whether `dkernel` already holds the sum over earlier samples, which these continue.
    pub(crate) resume: bool,
    /// As in [`DepthwiseForward`]; `dy` too needs [`LANES`] values behind its last.
    pub(crate) x: Source<'a>,
    pub(crate) dy: &'a [f32],
    /// Values of `dy` per sample.
    pub(crate) dy_length: usize,
    pub(crate) channels: usize,
}

/// Checks that whole vectors can be read of each tap of each cell, in all channels.
fn check(x: &Source<'_>, channels: usize) {
    x.check(LANES);
    let whole = |run: &Run| run.length as usize == channels;
    assert!(x.gather.runs().iter().all(whole), "runs as long as there are channels");
}

impl DepthwiseForward<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    /// The next `P` cells in all channels.
    #[inline(always)]
    fn cells<S: Simd, const P: usize>(&mut self, simd: S, walk: &mut Walk<'_>) {
        let (starts, targets) = walk.next::<P>();
        for channel in (0..self.channels).step_by(LANES) {
            self.tile(simd, &starts, &targets, channel);
        }
    }

    /// `P` cells in up to 16 channels.
    #[inline(always)]
    fn tile<S: Simd, const P: usize>(
        &mut self,
        simd: S,
        starts: &[usize; P],
        targets: &[usize; P],
        channel: usize,
    ) {
        let width = LANES.min(self.channels - channel);
        let mut sources = [self.x.values.as_ptr(); P];
        for p in 0..P {
            sources[p] = sources[p].wrapping_add(starts[p] + channel);
        }
        let mut sums = match self.init {
            Some(init) => [simd.load_partial(&init[channel..][..width]); P],
            None => [simd.splat(0.0); P],
        };
        for run in self.x.gather.runs() {
            let weights = run.tap as usize * self.channels + channel;
            // SAFETY: `run` has checked that LANES values follow the channels of the last tap.
            let w = unsafe { simd.load_ptr(self.kernel.as_ptr().wrapping_add(weights)) };
            for p in 0..P {
                let x = sources[p].wrapping_add(run.source as usize);
                // SAFETY: `run` has checked that LANES values follow the channels of every tap of
                // every cell of every sample.
                let x = unsafe { simd.load_ptr(x) };
                sums[p] = simd.mul_add(x, w, sums[p]);
            }
        }
        if width == LANES {
            for p in 0..P {
                let y = self.y.as_mut_ptr().wrapping_add(targets[p] + channel);
                // SAFETY: `run` has checked that each cell of each sample has its channels, and here
                // 16 of them are left.
                unsafe { simd.store_ptr(sums[p], y) };
            }
        } else {
            for p in 0..P {
                simd.store_partial(sums[p], &mut self.y[targets[p] + channel..][..width]);
            }
        }
    }
}

impl Kernel for DepthwiseForward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        check(&self.x, self.channels);
        let taps = self.x.gather.last_tap() + 1;
        assert!(taps * self.channels + LANES <= self.kernel.len(), "room behind the weights");
        assert!(self.x.samples * self.y_length <= self.y.len(), "the result is too short");
        let row_end = self.x.gather.target_end() + self.channels;
        assert!(row_end <= self.y_length + 1, "a row reaches past its sample");
        let walk = &mut Walk::new(self.x, self.y_length);
        let mut left = self.x.rows();
        while left > 0 {
            let height = height::<S>(left, 1, 1);
            match height {
                12 if const { fits::<S>(12, 1) } => self.cells::<S, 12>(simd, walk),
                6 if const { fits::<S>(6, 1) } => self.cells::<S, 6>(simd, walk),
                4 if const { fits::<S>(4, 1) } => self.cells::<S, 4>(simd, walk),
                2 if const { fits::<S>(2, 1) } => self.cells::<S, 2>(simd, walk),
                _ => self.cells::<S, 1>(simd, walk),
            }
            left -= height;
        }
    }
}

impl DepthwiseKernel<'_> {
    /// # Panics
    /// If the slices are too short for what is asked.
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }

    /// `P` taps from number `first` of the runs on, in up to 16 channels.
    #[inline(always)]
    fn tile<S: Simd, const P: usize>(&mut self, simd: S, first: usize, channel: usize) {
        let gather = self.x.gather;
        let width = LANES.min(self.channels - channel);
        let taps: [_; P] = std::array::from_fn(|p| gather.runs()[first + p]);
        let place = |p: usize| taps[p].tap as usize * self.channels + channel;
        let mut sums = [simd.splat(0.0); P];
        if self.resume {
            sums = std::array::from_fn(|p| simd.load_partial(&self.dkernel[place(p)..][..width]));
        }
        let mut sources = [0; P];
        for p in 0..P {
            sources[p] = taps[p].source as usize + channel;
        }
        for sample in 0..self.x.samples {
            let x = self.x.values.as_ptr().wrapping_add(sample * self.x.length);
            let dy = self.dy.as_ptr().wrapping_add(sample * self.dy_length + channel);
            for cell in gather.cells() {
                // SAFETY: `run` has checked that LANES values follow the channels of every cell.
                let dy = unsafe { simd.load_ptr(dy.wrapping_add(cell.target as usize)) };
                let x = x.wrapping_add(cell.source as usize);
                for p in 0..P {
                    // SAFETY: `run` has checked that LANES values follow the channels of every tap
                    // of every cell of every sample.
                    let x = unsafe { simd.load_ptr(x.wrapping_add(sources[p])) };
                    sums[p] = simd.mul_add(x, dy, sums[p]);
                }
            }
        }
        for p in 0..P {
            let place = place(p);
            simd.store_partial(sums[p], &mut self.dkernel[place..place + width]);
        }
    }
}

impl Kernel for DepthwiseKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        check(&self.x, self.channels);
        let row_end = self.x.gather.target_end() + self.channels;
        assert!(row_end <= self.dy_length + 1, "a row reaches past its sample");
        let end = self.x.samples * self.dy_length + LANES;
        assert!(end <= self.dy.len(), "gradients are missing, or room behind them");
        let taps = self.x.gather.runs().len();
        for channel in (0..self.channels).step_by(LANES) {
            let mut tap = 0;
            while tap < taps {
                let height = outer::height::<S>(taps - tap, 1);
                match height {
                    9 if const { fits::<S>(9, 1) } => self.tile::<S, 9>(simd, tap, channel),
                    8 if const { fits::<S>(8, 1) } => self.tile::<S, 8>(simd, tap, channel),
                    4 if const { fits::<S>(4, 1) } => self.tile::<S, 4>(simd, tap, channel),
                    2 if const { fits::<S>(2, 1) } => self.tile::<S, 2>(simd, tap, channel),
                    _ => self.tile::<S, 1>(simd, tap, channel),
                }
                tap += height;
            }
        }
    }
}
