//! Sums of two slices.

/// y += x
pub(crate) fn assign(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}
