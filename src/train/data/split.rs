//! Holding back a part of a data set, class by class.

use std::collections::BTreeMap;

use super::{DataError, Dataset};

/// What a model is trained with, and what it is measured on meanwhile.
#[derive(Clone, Debug)]
pub struct Split {
    pub train: Dataset,
    pub validation: Dataset,
}

impl Dataset {
    /// Holds back `validation` samples, every class in proportion.
    ///
    /// A class of n out of N samples gives ⌊n · validation / N⌋; what is then lacking comes, one
    /// each, from the classes with the largest remainders, the lower class first where they are
    /// equal. Which samples of a class are held back is drawn by a Fisher–Yates shuffle over
    /// SplitMix64, started from `seed` and the class. Both parts keep the order of the samples.
    /// The same data and seed give the same split on any machine.
    pub fn split_stratified(&self, validation: usize, seed: u64) -> Result<Split, DataError> {
        if validation > self.len() {
            return Err(DataError::Split { asked: validation, available: self.len() });
        }
        let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, &class) in self.classes()?.iter().enumerate() {
            members.entry(class).or_default().push(index);
        }
        let sizes: Vec<usize> = members.values().map(Vec::len).collect();
        let quotas = largest_remainder(&sizes, validation);
        let (mut held_back, mut kept) = (Vec::with_capacity(validation), Vec::new());
        for ((class, mut indices), quota) in members.into_iter().zip(quotas) {
            shuffle_front(&mut indices, quota, &mut SplitMix64::new(seed, class));
            let (front, back) = indices.split_at(quota);
            held_back.extend_from_slice(front);
            kept.extend_from_slice(back);
        }
        held_back.sort_unstable();
        kept.sort_unstable();
        Ok(Split { train: self.select(&kept), validation: self.select(&held_back) })
    }
}

/// Shares `seats` among parties of these `sizes` in proportion; `seats` is not above their sum.
fn largest_remainder(sizes: &[usize], seats: usize) -> Vec<usize> {
    let total = sizes.iter().sum::<usize>().max(1) as u128;
    let exact = |party: usize| sizes[party] as u128 * seats as u128;
    let mut shares: Vec<usize> =
        (0..sizes.len()).map(|party| (exact(party) / total) as usize).collect();
    let lacking = seats - shares.iter().sum::<usize>();
    let mut parties: Vec<usize> = (0..sizes.len()).collect();
    parties.sort_by_key(|&party| std::cmp::Reverse(exact(party) % total)); // stable
    for &party in &parties[..lacking] {
        shares[party] += 1;
    }
    shares
}

/// The first `count` steps of a Fisher–Yates shuffle: the front becomes a random choice.
fn shuffle_front(items: &mut [usize], count: usize, random: &mut SplitMix64) {
    for front in 0..count {
        let other = front + random.below(items.len() - front);
        items.swap(front, other);
    }
}

/// Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    /// A stream of its own for each pair; the first output of one seeds the other.
    fn new(seed: u64, class: u32) -> Self {
        Self(Self(seed).next() ^ u64::from(class))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, by multiplication; its bias is below bound / 2⁶⁴.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 1234567, as Rosetta Code lists them ("Pseudo-random
    /// numbers/Splitmix64").
    #[test]
    fn splitmix64_gives_the_published_numbers() {
        let mut random = SplitMix64(1_234_567);
        let found = [random.next(), random.next(), random.next()];
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(found, published);
    }

    #[test]
    fn seats_are_shared_by_largest_remainder() {
        // Exact shares 4.5, 4.5, 1.0: the tie goes to the first.
        assert_eq!(largest_remainder(&[9, 9, 2], 10), [5, 4, 1]);
        // 1.4, 0.9, 0.7 of 3: remainders 0.4, 0.9, 0.7.
        assert_eq!(largest_remainder(&[14, 9, 7], 3), [1, 1, 1]);
        assert_eq!(largest_remainder(&[3, 4], 7), [3, 4]);
        assert_eq!(largest_remainder(&[], 0), [0; 0]);
    }
}
