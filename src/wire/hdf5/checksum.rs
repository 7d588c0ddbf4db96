//! The checksum of HDF5's newer structures: Bob Jenkins' `lookup3`, `hashlittle` with the initial
//! value 0 (<https://burtleburtle.net/bob/c/lookup3.c>, public domain; HDF5 File Format
//! Specification, "Checksum").

/// The checksum of `bytes`.
pub(super) fn lookup3(bytes: &[u8]) -> u32 {
    // The length enters modulo 2³².
    #[allow(clippy::cast_possible_truncation, reason = "modulo 2^32 is meant")]
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let mut state = [start; 3];
    // The last 1 to 12 bytes are mixed in another way than those before.
    let last = bytes.len().saturating_sub(1) / 12 * 12;
    let (before, rest) = bytes.split_at_checked(last).unwrap_or((bytes, &[]));
    for block in before.as_chunks::<12>().0 {
        add(&mut state, block);
        mix(&mut state);
    }
    if !rest.is_empty() {
        let mut block = [0; 12];
        block.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
        add(&mut state, &block);
        finish(&mut state);
    }
    let [_, _, c] = state;
    c
}

fn add(state: &mut [u32; 3], block: &[u8; 12]) {
    for (value, bytes) in state.iter_mut().zip(block.as_chunks::<4>().0) {
        *value = value.wrapping_add(u32::from_le_bytes(*bytes));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    for turn in [[4, 6, 8], [16, 19, 4]] {
        let [first, second, third] = turn;
        *a = a.wrapping_sub(*c) ^ c.rotate_left(first);
        *c = c.wrapping_add(*b);
        *b = b.wrapping_sub(*a) ^ a.rotate_left(second);
        *a = a.wrapping_add(*c);
        *c = c.wrapping_sub(*b) ^ b.rotate_left(third);
        *b = b.wrapping_add(*a);
    }
}

fn finish([a, b, c]: &mut [u32; 3]) {
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the author's own program prints.
    #[test]
    fn known_values() {
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
