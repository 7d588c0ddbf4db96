//! x·scale + offset, the product and the sum rounded one after the other as in Keras.

use crate::model::Rescaling;

/// `y` of `x`.
pub(crate) fn forward(y: &mut [f32], x: &[f32], settings: Rescaling) {
    let (scale, offset) = (settings.scale as f32, settings.offset as f32);
    for (y, x) in y.iter_mut().zip(x) {
        *y = x * scale + offset;
    }
}

/// `dx` of `dy`.
pub(crate) fn gradient(dx: &mut [f32], dy: &[f32], settings: Rescaling) {
    let scale = settings.scale as f32;
    for (dx, dy) in dx.iter_mut().zip(dy) {
        *dx = dy * scale;
    }
}
