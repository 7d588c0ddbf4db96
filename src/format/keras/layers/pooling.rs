//! Pooling over windows, and over whole images and sequences.

use super::convolution::{padding1d, padding2d};
use crate::format::keras::error::KerasError;
use crate::format::keras::json::Settings;
use crate::model::{GlobalPool1d, GlobalPool2d, LayerSpec, Pool1d, Pool2d, PoolKind};

pub(super) fn pool1d(settings: Settings<'_>, kind: PoolKind) -> Result<LayerSpec, KerasError> {
    // `pool_length` and `stride` in Keras 1.
    let [pool] = settings.counts(settings.first_of(["pool_size", "pool_length"]), Some([2]))?;
    let [strides] = settings.counts(settings.first_of(["strides", "stride"]), Some([pool]))?;
    Ok(Pool1d { kind, pool, strides, padding: padding1d(settings)? }.into())
}

pub(super) fn pool2d(settings: Settings<'_>, kind: PoolKind) -> Result<LayerSpec, KerasError> {
    let pool = settings.counts("pool_size", Some([2; 2]))?;
    let strides = settings.counts("strides", Some(pool))?;
    Ok(Pool2d { kind, pool, strides, padding: padding2d(settings)? }.into())
}

pub(super) fn global1d(settings: Settings<'_>, kind: PoolKind) -> Result<LayerSpec, KerasError> {
    Ok(GlobalPool1d { kind, keep_dims: settings.flag("keepdims", false)? }.into())
}

pub(super) fn global2d(settings: Settings<'_>, kind: PoolKind) -> Result<LayerSpec, KerasError> {
    Ok(GlobalPool2d { kind, keep_dims: settings.flag("keepdims", false)? }.into())
}
