//! Numbers in memory that starts with a cache line.

use std::ops::{Deref, DerefMut};

/// Values that start at a multiple of 64 bytes, so that no vector of an aligned row straddles two
/// cache lines: such loads take twice as long.
#[derive(Debug, Default)]
pub struct Aligned {
    storage: Vec<f32>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// What the address of the first is a multiple of.
    pub(super) const BYTES: usize = 64;

    /// Values in a cache line.
    const LINE: usize = Self::BYTES / size_of::<f32>();

    /// `length` times +0.0.
    pub(crate) fn zeros(length: usize) -> Self {
        let storage = vec![0.0; if length == 0 { 0 } else { length + Self::LINE - 1 }];
        // `align_offset` may give up, and then alignment is lost, but no more.
        let start = storage.as_ptr().align_offset(Self::BYTES).min(storage.len() - length);
        Self { storage, start, length }
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.start..self.start + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..self.start + self.length]
    }
}

impl From<&[f32]> for Aligned {
    fn from(values: &[f32]) -> Self {
        let mut aligned = Self::zeros(values.len());
        aligned.copy_from_slice(values);
        aligned
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_start_with_a_cache_line() {
        for length in (0..40).chain([1000, 1 << 20]) {
            let mut values = Aligned::zeros(length);
            assert_eq!(*values, vec![0.0; length]);
            values.iter_mut().enumerate().for_each(|(i, value)| *value = i as f32);
            let copy = values.clone();
            assert_eq!(*copy, *values);
            for address in [values.as_ptr().addr(), copy.as_ptr().addr()] {
                assert!(length == 0 || address.is_multiple_of(64), "{length}");
            }
        }
    }
}
