//! Random numbers that depend on nothing but what they are for.
//!
//! Every number is a function of (seed, purpose, layer, epoch, sample, position): there is no state
//! to save, and the order in which numbers are asked for does not matter. `docs/DETERMINISM.md`
//! says how another program can repeat them.

use crate::kernels::scalar;

/// What numbers are for. The values are part of the stated bits: append, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Initialize = 0,
    Shuffle = 1,
    /// And other noise while training.
    Dropout = 2,
    Probe = 3,
}

/// The random words of one sample, in one layer, in one epoch, for one purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    key: [u32; 2],
    sample: u64,
}

impl Stream {
    pub(crate) fn new(seed: u64, purpose: Purpose, layer: u32, epoch: u64, sample: u64) -> Self {
        let [epoch_low, epoch_high] = halves(epoch);
        let counter = [purpose as u32, layer, epoch_low, epoch_high];
        let [low, high, ..] = philox4x32(counter, halves(seed));
        Self { key: [low, high], sample }
    }

    /// The word at `position`.
    pub(crate) fn word(self, position: u64) -> u32 {
        self.block(position / 4)[(position % 4) as usize]
    }

    /// The words from position 0 on.
    pub(crate) fn words(self) -> impl Iterator<Item = u32> {
        (0..).flat_map(move |index| self.block(index))
    }

    /// Evenly one of 0 … n − 1, by the words at `2·position` and `2·position` + 1, low half first. The
    /// odds differ by less than n / 2⁶⁴.
    pub(crate) fn bounded(self, position: u64, n: u64) -> u64 {
        let low = u64::from(self.word(2 * position));
        let high = u64::from(self.word(2 * position + 1));
        let product = u128::from(high << 32 | low) * u128::from(n);
        (product >> 64) as u64
    }

    /// The words at 4·index and the three positions after.
    fn block(self, index: u64) -> [u32; 4] {
        let [index_low, index_high] = halves(index);
        let [sample_low, sample_high] = halves(self.sample);
        philox4x32([index_low, index_high, sample_low, sample_high], self.key)
    }
}

/// A word as one of the 2²⁴ multiples of 2⁻²⁴ in [0, 1).
pub(crate) fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// The standard deviation of [`truncated_normal`]: √(1 − 4·φ(2) / (2·Φ(2) − 1)).
pub(crate) const TRUNCATED_NORMAL_DEVIATION: f64 = 0.879_625_661_034_239_8;

/// A word as a number from the standard normal distribution, truncated at ±2.
pub(crate) fn truncated_normal(word: u32) -> f32 {
    // z(v)/v in v², where Φ(z) = ½ + v·(Φ(2) − ½): docs/fit-functions.py. Relative error 2⁻²⁸.
    const NUMERATOR: [f64; 6] = [
        1.196_288_014_682_903_8,
        -3.342_175_575_917_414,
        3.445_164_368_904_560_3,
        -1.570_612_149_004_026_8,
        0.287_760_471_417_178_6,
        -0.011_856_857_958_285_618,
    ];
    const DENOMINATOR: [f64; 6] = [
        1.0,
        -3.032_305_793_734_776,
        3.483_664_581_165_371_5,
        -1.855_392_973_427_279_2,
        0.440_304_451_912_489_85,
        -0.033_986_129_848_982_93,
    ];
    let v = (f64::from(word) + 0.5) / 2_147_483_648.0 - 1.0; // exact
    let w = v * v;
    // A product and a sum, each rounded: fused ones are slow where the compiler may not use them.
    let polynomial = |c: [f64; 6]| c.into_iter().rev().fold(0.0, |sum, c| sum * w + c);
    (v * polynomial(NUMERATOR) / polynomial(DENOMINATOR)) as f32
}

/// Two words as a number from the standard normal distribution: Box and Muller, "A note on the
/// generation of random normal deviates" (1958).
pub(crate) fn normal(first: u32, second: u32) -> f32 {
    let [u, v] = [first, second].map(|word| (f64::from(word) + 0.5) / 4_294_967_296.0);
    ((-2.0 * scalar::ln(u)).sqrt() * scalar::cos_of_half_turns(v)) as f32
}

/// The order of `n` samples in an epoch: 0 … n − 1 shuffled, by Fisher and Yates.
pub(crate) fn permutation(seed: u64, epoch: u64, n: u32) -> Vec<u32> {
    let stream = Stream::new(seed, Purpose::Shuffle, 0, epoch, 0);
    let mut order: Vec<u32> = (0..n).collect();
    for last in (1..order.len()).rev() {
        let other = stream.bounded(last as u64, last as u64 + 1);
        order.swap(last, other as usize);
    }
    order
}

fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// Philox4x32 with 10 rounds: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
/// 1, 2, 3" (2011).
fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [low_0, high_0] = halves(u64::from(counter[0]) * 0xD251_1F53);
        let [low_1, high_1] = halves(u64::from(counter[2]) * 0xCD9E_8D57);
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests;
