//! The roof: fused multiply-adds with nothing in their way, to hold the other kernels against.

use std::hint::black_box;

use super::isa::{Isa, Kernel};
use super::simd::{LANES, Simd};

/// Runs `rounds` rounds of independent multiply-adds on registers alone. Gives the number of
/// floating-point operations done, two for each multiply-add of a lane.
pub(crate) fn multiply_adds(isa: Isa, rounds: u64) -> u64 {
    isa.run(MultiplyAdds { rounds })
}

struct MultiplyAdds {
    rounds: u64,
}

impl Kernel for MultiplyAdds {
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u64 {
        // As many sums as the kernels hold: more than the latency of the instruction asks for.
        if const { S::ACCUMULATORS >= 24 } {
            sums::<S, 24>(simd, self.rounds)
        } else {
            sums::<S, 6>(simd, self.rounds)
        }
    }
}

#[inline(always)]
fn sums<S: Simd, const N: usize>(simd: S, rounds: u64) -> u64 {
    let (x, w) = (simd.splat(black_box(0.5)), simd.splat(black_box(0.25)));
    let mut sums = [simd.splat(0.0); N];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = simd.mul_add(x, w, *sum);
        }
    }
    for sum in sums {
        black_box(simd.sum_lanes(sum));
    }
    rounds * (2 * N * LANES) as u64
}
