//! Normalisation inside a sample and by numbers that are known, and rescaling.

use serde_json::Value;

use crate::format::keras::error::KerasError;
use crate::format::keras::json::{Settings, per_channel, real};
use crate::model::{
    ChannelRescaling, GroupNormalization, LayerNormalization, LayerSpec, Normalization,
    NormalizationStatistics, Rescaling, RowMethod,
};
use crate::tensor::Shape;

/// Over so many axes, which come last.
pub(super) fn layer_normalization(
    settings: Settings<'_>,
    trailing_axes: usize,
) -> Result<LayerSpec, KerasError> {
    let method = match settings.flag("rms_scaling", false)? {
        true => RowMethod::Deviation,
        false => RowMethod::Standard,
    };
    let standard = method == RowMethod::Standard;
    let spec = LayerNormalization {
        trailing_axes,
        method,
        epsilon: settings.real("epsilon", 0.001)?,
        // By the other method Keras has γ in any case, and β in none.
        center: settings.flag("center", true)? && standard,
        scale: settings.flag("scale", true)? || !standard,
    };
    Ok(spec.into())
}

pub(super) fn rms_normalization(
    settings: Settings<'_>,
    input: &Shape,
) -> Result<LayerSpec, KerasError> {
    let axes = settings.axes_of("axis", input)?;
    // Keras takes others and multiplies the last ones by what is theirs.
    if !axes.iter().copied().eq(input.rank() + 1 - axes.len()..=input.rank()) {
        return Err(settings.unsupported("axis", "normalise over the last axes"));
    }
    let spec = LayerNormalization {
        trailing_axes: axes.len(),
        method: RowMethod::RootMeanSquare,
        epsilon: settings.real("epsilon", 1e-6)?,
        center: false,
        scale: true,
    };
    Ok(spec.into())
}

/// Over channels that come last.
pub(super) fn group_normalization(
    settings: Settings<'_>,
    channels: usize,
) -> Result<LayerSpec, KerasError> {
    let groups = match settings.get("groups") {
        Some(groups) if groups.as_i64() == Some(-1) => channels,
        _ => settings.count_or("groups", 32)?,
    };
    let spec = GroupNormalization {
        groups,
        epsilon: settings.real("epsilon", 0.001)?,
        center: settings.flag("center", true)?,
        scale: settings.flag("scale", true)?,
    };
    Ok(spec.into())
}

pub(super) fn normalization(
    settings: Settings<'_>,
    input: &Shape,
) -> Result<LayerSpec, KerasError> {
    let rank = input.rank() as i64;
    let axes = match settings.has("axis") {
        true if settings.get("axis").is_none() => Vec::new(),
        _ => settings.axes("axis", -1)?,
    };
    let mut axes: Vec<i64> =
        axes.into_iter().map(|axis| if axis < 0 { axis + rank + 1 } else { axis }).collect();
    axes.sort_unstable();
    let axes = axes.into_iter().map(|axis| i32::try_from(axis).ok()).collect::<Option<_>>();
    let statistics = match (numbers(settings, "mean")?, numbers(settings, "variance")?) {
        (Some(mean), Some(variance)) => NormalizationStatistics::Given { mean, variance },
        _ => NormalizationStatistics::Stored,
    };
    let spec = Normalization {
        axes: axes.ok_or_else(|| settings.fault("axis", "axes of the input"))?,
        statistics,
        invert: settings.flag("invert", false)?,
    };
    Ok(spec.into())
}

pub(super) fn rescaling(settings: Settings<'_>, input: &Shape) -> Result<LayerSpec, KerasError> {
    let numbers = |setting, default| match settings.get(setting) {
        None => Ok(vec![default]),
        Some(value) => per_channel(bare(value))
            .ok_or_else(|| settings.unsupported(setting, "take a number, or one for each channel")),
    };
    let (scale, offset) = (numbers("scale", 1.0)?, numbers("offset", 0.0)?);
    if let (&[scale], &[offset]) = (scale.as_slice(), offset.as_slice()) {
        return Ok(Rescaling { scale, offset }.into());
    }
    let channels = input.dims().last().copied().unwrap_or(1);
    let each = |numbers: Vec<f64>| match numbers.as_slice() {
        &[number] => vec![number; channels],
        _ => numbers,
    };
    Ok(ChannelRescaling { scale: each(scale), offset: each(offset) }.into())
}

/// A number, or all numbers of lists in lists, as Keras stores arrays.
fn numbers(settings: Settings<'_>, setting: &str) -> Result<Option<Vec<f64>>, KerasError> {
    let Some(value) = settings.get(setting) else { return Ok(None) };
    let value = bare(value);
    let mut found = Vec::new();
    match collect(value, &mut found) {
        Some(()) => Ok(Some(found)),
        None => Err(settings.fault(setting, "a number, or numbers")),
    }
}

/// What `__numpy__` and the like stand around.
fn bare(value: &Value) -> &Value {
    value.pointer("/config/value").unwrap_or(value)
}

fn collect(value: &Value, numbers: &mut Vec<f64>) -> Option<()> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| collect(value, numbers)),
        value => real(value).map(|number| numbers.push(number)),
    }
}
