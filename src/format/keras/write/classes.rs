//! Each layer of keepnet as layers of Keras.

use serde_json::{Map, Value, json};

use crate::format::keras::error::KerasError;
use crate::model::{
    Activation, Arrange, BilinearUpSampling2d, Conv2dTranspose, Initializer, Layer, LayerSpec,
    Merge, Noise, NormalizationStatistics, Padding, Padding1d, PoolKind, RowMethod,
};

/// A layer as Keras calls it. `config` lacks what all layers have: name, type, trainable.
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) config: Map<String, Value>,
    /// Whether this is the one with the parameters.
    pub(super) is_itself: bool,
}

/// What a layer is applied to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applied {
    pub(super) inputs: usize,
    /// The axes of the first of them, that of the batch not counted.
    pub(super) rank: usize,
    /// Whether none of its numbers is below 0.
    pub(super) is_never_negative: bool,
}

/// The layers of Keras that `layer` becomes, one behind the other.
pub(super) fn classes(layer: &Layer, applied: Applied) -> Result<Vec<Class>, KerasError> {
    let Applied { inputs, rank, is_never_negative } = applied;
    let (strides, dilation) = match &layer.spec {
        LayerSpec::Conv1d(conv) => ([conv.strides; 2], [conv.dilation; 2]),
        LayerSpec::Conv2d(conv) => (conv.strides, conv.dilation),
        LayerSpec::DepthwiseConv2d(conv) => (conv.strides, conv.dilation),
        LayerSpec::SeparableConv2d(conv) => (conv.strides, conv.dilation),
        LayerSpec::Conv2dTranspose(conv) => (conv.strides, conv.dilation),
        _ => ([1; 2], [1; 2]),
    };
    if strides != [1; 2] && dilation != [1; 2] {
        return Err(KerasError::NoWords {
            layer: layer.name.clone(),
            what: "both strides and a dilation",
            remedy: "take one of them",
        });
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut padding2d = |padding: Padding| match padding {
        Padding::Valid => "valid",
        Padding::Same => "same",
        Padding::Explicit { top, bottom, left, right } => {
            let padding = json!({"padding": [[top, bottom], [left, right]]});
            before.push(class("ZeroPadding2D", padding, false));
            "valid"
        }
    };
    let unpadded = |what: &'static str, remedy: &'static str| KerasError::NoWords {
        layer: layer.name.clone(),
        what,
        remedy,
    };
    let activation = layer.spec.activation();
    let (own, behind) = own_activation(activation);
    let refused = || KerasError::NoWords {
        layer: layer.name.clone(),
        what: "this activation",
        remedy: "take another one",
    };
    if own == "linear" && activation != Activation::Linear && behind.is_none() {
        return Err(refused());
    }
    let (name, config) = match &layer.spec {
        LayerSpec::Input(shape) => ("InputLayer", json!({"shape": shape.dims()})),
        LayerSpec::Conv1d(conv) => (
            "Conv1D",
            json!({
                "filters": conv.filters, "kernel_size": [conv.kernel], "strides": [conv.strides],
                "padding": padding1d(conv.padding), "data_format": "channels_last",
                "dilation_rate": [conv.dilation], "groups": conv.groups, "activation": own,
                "use_bias": conv.use_bias, "kernel_initializer": initializer(conv.kernel_initializer),
                "bias_initializer": initializer(conv.bias_initializer),
                "kernel_regularizer": l2(conv.kernel_l2),
            }),
        ),
        LayerSpec::Conv2d(conv) => (
            "Conv2D",
            json!({
                "filters": conv.filters, "kernel_size": conv.kernel, "strides": conv.strides,
                "padding": padding2d(conv.padding), "data_format": "channels_last",
                "dilation_rate": conv.dilation, "groups": conv.groups, "activation": own,
                "use_bias": conv.use_bias, "kernel_initializer": initializer(conv.kernel_initializer),
                "bias_initializer": initializer(conv.bias_initializer),
                "kernel_regularizer": l2(conv.kernel_l2),
            }),
        ),
        LayerSpec::DepthwiseConv2d(conv) => (
            "DepthwiseConv2D",
            json!({
                "depth_multiplier": conv.depth_multiplier, "kernel_size": conv.kernel,
                "strides": conv.strides, "padding": padding2d(conv.padding),
                "data_format": "channels_last", "dilation_rate": conv.dilation, "activation": own,
                "use_bias": conv.use_bias,
                "depthwise_initializer": initializer(conv.kernel_initializer),
                "bias_initializer": initializer(conv.bias_initializer),
                "depthwise_regularizer": l2(conv.kernel_l2),
            }),
        ),
        LayerSpec::SeparableConv2d(conv) => (
            "SeparableConv2D",
            json!({
                "filters": conv.filters, "depth_multiplier": conv.depth_multiplier,
                "kernel_size": conv.kernel, "strides": conv.strides,
                "padding": padding2d(conv.padding), "data_format": "channels_last",
                "dilation_rate": conv.dilation, "activation": own, "use_bias": conv.use_bias,
                "depthwise_initializer": initializer(conv.depthwise_initializer),
                "pointwise_initializer": initializer(conv.pointwise_initializer),
                "bias_initializer": initializer(conv.bias_initializer),
                "depthwise_regularizer": l2(conv.depthwise_l2),
                "pointwise_regularizer": l2(conv.pointwise_l2),
            }),
        ),
        LayerSpec::Conv2dTranspose(conv) => {
            let what = "a padding of fewer cells than its output_padding";
            let (padding, cropping) = match conv.padding {
                Padding::Valid => ("valid", None),
                Padding::Same => ("same", None),
                Padding::Explicit { .. } => {
                    let cropping = cropping(conv);
                    (
                        "valid",
                        Some(cropping.ok_or_else(|| unpadded(what, "take `Same` or `Valid`"))?),
                    )
                }
            };
            let output_padding = conv.output_padding.filter(|_| cropping.is_none());
            after.extend(
                cropping.map(|cropping| class("Cropping2D", json!({"cropping": cropping}), false)),
            );
            (
                "Conv2DTranspose",
                json!({
                    "filters": conv.filters, "kernel_size": conv.kernel, "strides": conv.strides,
                    "padding": padding, "output_padding": output_padding,
                    "data_format": "channels_last", "dilation_rate": conv.dilation,
                    "activation": own, "use_bias": conv.use_bias,
                    "kernel_initializer": initializer(conv.kernel_initializer),
                    "bias_initializer": initializer(conv.bias_initializer),
                    "kernel_regularizer": l2(conv.kernel_l2),
                }),
            )
        }
        LayerSpec::Dense(dense) => (
            "Dense",
            json!({
                "units": dense.units, "activation": own, "use_bias": dense.use_bias,
                "kernel_initializer": initializer(dense.kernel_initializer),
                "bias_initializer": initializer(dense.bias_initializer),
                "kernel_regularizer": l2(dense.kernel_l2),
            }),
        ),
        LayerSpec::Pool1d(pool) if pool.padding == Padding1d::Causal => {
            return Err(KerasError::NoWords {
                layer: layer.name.clone(),
                what: "a pooling with causal padding",
                remedy: "take `Same` or `Valid`",
            });
        }
        LayerSpec::Pool1d(pool) => (
            match pool.kind {
                PoolKind::Max => "MaxPooling1D",
                PoolKind::Average => "AveragePooling1D",
            },
            json!({
                "pool_size": [pool.pool], "strides": [pool.strides],
                "padding": padding1d(pool.padding), "data_format": "channels_last",
            }),
        ),
        LayerSpec::Pool2d(pool) => {
            // Zeros are none of the largest where nothing is below them.
            let is_padded_by_zeros = pool.kind == PoolKind::Max && is_never_negative;
            let padding = match pool.padding {
                Padding::Explicit { .. } if !is_padded_by_zeros => {
                    let remedy =
                        "take `Same` or `Valid`, or put it behind a relu if it takes the largest";
                    return Err(unpadded("a pooling with a padding of so many cells", remedy));
                }
                padding => padding2d(padding),
            };
            (
                match pool.kind {
                    PoolKind::Max => "MaxPooling2D",
                    PoolKind::Average => "AveragePooling2D",
                },
                json!({
                    "pool_size": pool.pool, "strides": pool.strides, "padding": padding,
                    "data_format": "channels_last",
                }),
            )
        }
        LayerSpec::GlobalPool1d(pool) => (
            match pool.kind {
                PoolKind::Max => "GlobalMaxPooling1D",
                PoolKind::Average => "GlobalAveragePooling1D",
            },
            json!({"data_format": "channels_last", "keepdims": pool.keep_dims}),
        ),
        LayerSpec::GlobalPool2d(pool) => (
            match pool.kind {
                PoolKind::Max => "GlobalMaxPooling2D",
                PoolKind::Average => "GlobalAveragePooling2D",
            },
            json!({"data_format": "channels_last", "keepdims": pool.keep_dims}),
        ),
        LayerSpec::Flatten => ("Flatten", json!({"data_format": "channels_last"})),
        LayerSpec::Reshape(shape) => ("Reshape", json!({"target_shape": shape.dims()})),
        LayerSpec::Dropout(dropout) => ("Dropout", json!({"rate": dropout.rate})),
        LayerSpec::BatchNormalization(norm) => (
            "BatchNormalization",
            json!({
                // An axis that Keras 2 and 3 understand alike.
                "axis": rank, "momentum": norm.momentum, "epsilon": norm.epsilon,
                "center": norm.center, "scale": norm.scale,
                "beta_initializer": initializer(Initializer::Zeros),
                "gamma_initializer": initializer(Initializer::Ones),
                "moving_mean_initializer": initializer(Initializer::Zeros),
                "moving_variance_initializer": initializer(Initializer::Ones),
            }),
        ),
        LayerSpec::Activation(activation) => {
            let mut found = activation_layer(*activation).ok_or_else(refused)?;
            if let Some(first) = found.first_mut() {
                first.is_itself = true;
            }
            return Ok(found);
        }
        LayerSpec::Identity => ("Identity", json!({})),
        LayerSpec::Softmax(softmax) => ("Softmax", json!({"axis": softmax.axis})),
        LayerSpec::PRelu(prelu) => (
            "PReLU",
            json!({
                "alpha_initializer": initializer(prelu.alpha_initializer),
                "shared_axes": prelu.shared_axes,
            }),
        ),
        LayerSpec::LayerNormalization(norm) => {
            let first = (rank + 1).saturating_sub(norm.trailing_axes);
            let axes: Vec<usize> = (first..=rank).collect();
            let mut settings = json!({
                "axis": axes, "epsilon": norm.epsilon, "center": norm.center, "scale": norm.scale,
                "beta_initializer": initializer(Initializer::Zeros),
                "gamma_initializer": initializer(Initializer::Ones),
            });
            match (norm.method, norm.scale && !norm.center) {
                (RowMethod::Standard, _) => ("LayerNormalization", settings),
                (RowMethod::RootMeanSquare, true) => {
                    ("RMSNormalization", json!({"axis": axes, "epsilon": norm.epsilon}))
                }
                (RowMethod::Deviation, true) => {
                    // Keras 2 knows no such setting.
                    if let Some(settings) = settings.as_object_mut() {
                        settings.insert("rms_scaling".to_owned(), true.into());
                    }
                    ("LayerNormalization", settings)
                }
                (_, false) => {
                    return Err(KerasError::NoWords {
                        layer: layer.name.clone(),
                        what: "this method of normalisation without gamma, or with beta",
                        remedy: "take it with gamma alone",
                    });
                }
            }
        }
        LayerSpec::GroupNormalization(norm) => (
            "GroupNormalization",
            json!({
                "groups": norm.groups, "axis": -1, "epsilon": norm.epsilon,
                "center": norm.center, "scale": norm.scale,
                "beta_initializer": initializer(Initializer::Zeros),
                "gamma_initializer": initializer(Initializer::Ones),
            }),
        ),
        LayerSpec::BilinearUpSampling2d(BilinearUpSampling2d { size }) => (
            "UpSampling2D",
            json!({"size": size, "data_format": "channels_last", "interpolation": "bilinear"}),
        ),
        LayerSpec::Normalization(norm) => {
            let axes = (!norm.axes.is_empty()).then_some(&norm.axes);
            let (mean, variance) = match &norm.statistics {
                NormalizationStatistics::Given { mean, variance } => {
                    (numbers(mean), numbers(variance))
                }
                NormalizationStatistics::Stored => (Value::Null, Value::Null),
            };
            (
                "Normalization",
                json!({"axis": axes, "mean": mean, "variance": variance, "invert": norm.invert}),
            )
        }
        LayerSpec::ChannelRescaling(rescaling) => {
            ("Rescaling", json!({"scale": rescaling.scale, "offset": rescaling.offset}))
        }
        LayerSpec::Noise(noise) => match noise {
            Noise::SpatialDropout { rate } => (
                if rank == 2 { "SpatialDropout1D" } else { "SpatialDropout2D" },
                json!({"rate": rate}),
            ),
            Noise::GaussianNoise { deviation } => ("GaussianNoise", json!({"stddev": deviation})),
            Noise::GaussianDropout { rate } => ("GaussianDropout", json!({"rate": rate})),
            Noise::AlphaDropout { rate } => ("AlphaDropout", json!({"rate": rate})),
        },
        LayerSpec::Rescaling(rescaling) => {
            ("Rescaling", json!({"scale": rescaling.scale, "offset": rescaling.offset}))
        }
        // Keras merges two or more; one stays as it is.
        LayerSpec::Merge(_) if inputs == 1 => ("Activation", json!({"activation": "linear"})),
        LayerSpec::Merge(merge) => match merge {
            Merge::Add => ("Add", json!({})),
            Merge::Subtract => ("Subtract", json!({})),
            Merge::Multiply => ("Multiply", json!({})),
            Merge::Average => ("Average", json!({})),
            Merge::Maximum => ("Maximum", json!({})),
            Merge::Minimum => ("Minimum", json!({})),
            Merge::Concatenate { axis } => ("Concatenate", json!({"axis": axis})),
        },
        LayerSpec::Arrange(arrange) => self::arrange(arrange),
    };
    before.push(class(name, config, true));
    before.extend(after);
    before.extend(behind.into_iter().flatten());
    Ok(before)
}

/// What is to be cut off of the result without padding, before and behind each axis. Keras' is
/// (n − 1) · stride + the larger of stride and e, for a kernel that reaches over e cells
/// (`keras/src/backend/common/backend_utils.py`).
fn cropping(conv: &Conv2dTranspose) -> Option<[[usize; 2]; 2]> {
    let Padding::Explicit { top, bottom, left, right } = conv.padding else { return None };
    let [more_rows, more_columns] = conv.output_padding.unwrap_or_default();
    let behind = |axis: usize, cut: usize, more: usize| {
        let [kernel, dilation, stride] =
            [&conv.kernel, &conv.dilation, &conv.strides].map(|all| all.get(axis).copied());
        let extent = (kernel? - 1) * dilation? + 1;
        (cut + stride?.saturating_sub(extent)).checked_sub(more)
    };
    Some([[top, behind(0, bottom, more_rows)?], [left, behind(1, right, more_columns)?]])
}

fn class(name: &'static str, config: Value, is_itself: bool) -> Class {
    let config = match config {
        Value::Object(config) => config,
        _ => Map::new(),
    };
    Class { name, config, is_itself }
}

fn arrange(arrange: &Arrange) -> (&'static str, Value) {
    match arrange {
        Arrange::Permute { dims } => ("Permute", json!({"dims": dims})),
        Arrange::Cropping1d(sides) => ("Cropping1D", json!({"cropping": sides})),
        Arrange::Cropping2d([top, bottom, left, right]) => (
            "Cropping2D",
            json!({"cropping": [[top, bottom], [left, right]], "data_format": "channels_last"}),
        ),
        Arrange::ZeroPadding1d(sides) => ("ZeroPadding1D", json!({"padding": sides})),
        Arrange::ZeroPadding2d([top, bottom, left, right]) => (
            "ZeroPadding2D",
            json!({"padding": [[top, bottom], [left, right]], "data_format": "channels_last"}),
        ),
        Arrange::UpSampling1d { size } => ("UpSampling1D", json!({"size": size})),
        Arrange::UpSampling2d { size } => (
            "UpSampling2D",
            json!({"size": size, "data_format": "channels_last", "interpolation": "nearest"}),
        ),
        Arrange::RepeatVector { n } => ("RepeatVector", json!({"n": n})),
    }
}

/// The name that a layer gives its own activation, and the layers behind it where there is no such
/// name.
fn own_activation(activation: Activation) -> (&'static str, Option<Vec<Class>>) {
    match keras_name(activation) {
        Some(name) => (name, None),
        None => ("linear", layers_for(activation)),
    }
}

fn activation_layer(activation: Activation) -> Option<Vec<Class>> {
    match keras_name(activation) {
        Some(name) => Some(vec![class("Activation", json!({"activation": name}), true)]),
        None => layers_for(activation),
    }
}

/// The name by which both Kerases mean the same function, or Keras 3 alone knows it.
fn keras_name(activation: Activation) -> Option<&'static str> {
    match activation {
        Activation::Elu { alpha } if alpha != 1.0 => None,
        Activation::Celu { alpha } if alpha != 1.0 => None,
        Activation::SoftShrink { threshold } | Activation::HardShrink { threshold }
            if threshold != 0.5 =>
        {
            None
        }
        Activation::Squareplus { b } if b != 4.0 => None,
        Activation::LeakyRelu { .. }
        | Activation::ClippedRelu { .. }
        | Activation::Threshold { .. }
        | Activation::GeluTanh
        | Activation::HardSigmoid
        | Activation::HardSigmoidKeras2 => None,
        // Keras 2.12 and before know it by this name alone.
        Activation::Silu => Some("swish"),
        other => Some(other.name()),
    }
}

/// Layers for a function that no name stands for. What `hard_sigmoid` means depends on the Keras.
fn layers_for(activation: Activation) -> Option<Vec<Class>> {
    let one = |name, config| Some(vec![class(name, config, false)]);
    let clipped = |scale: f64| {
        let rescaling = class("Rescaling", json!({"scale": scale, "offset": 0.5}), false);
        Some(vec![rescaling, class("ReLU", json!({"max_value": 1.0}), false)])
    };
    match activation {
        Activation::Elu { alpha } => one("ELU", json!({"alpha": alpha})),
        // Keras 3 takes the name that Keras 2 knows.
        Activation::LeakyRelu { negative_slope } => {
            one("LeakyReLU", json!({"alpha": negative_slope}))
        }
        Activation::ClippedRelu { max_value, negative_slope, threshold } => {
            let max_value = max_value.is_finite().then_some(max_value);
            let config = json!({
                "max_value": max_value, "negative_slope": negative_slope, "threshold": threshold,
            });
            one("ReLU", config)
        }
        Activation::Threshold { threshold, value: 0.0 } if threshold >= 0.0 => {
            one("ReLU", json!({"threshold": threshold}))
        }
        // -min(-x, -threshold), to the bit: with a sum, a large number would round x away.
        Activation::Threshold { threshold, value } if threshold == value && threshold < 0.0 => {
            let turned = || class("Rescaling", json!({"scale": -1.0, "offset": 0.0}), false);
            let at_most = json!({
                "max_value": -threshold, "negative_slope": 1.0, "threshold": 0.0,
            });
            Some(vec![turned(), class("ReLU", at_most, false), turned()])
        }
        // max(x - threshold, 0) + threshold: only the last place of x may be rounded.
        Activation::Threshold { threshold, value } if threshold == value => {
            let moved = |by: f64| class("Rescaling", json!({"scale": 1.0, "offset": by}), false);
            Some(vec![moved(-threshold), class("ReLU", json!({}), false), moved(threshold)])
        }
        Activation::HardSigmoid => clipped(1.0 / 6.0),
        Activation::HardSigmoidKeras2 => clipped(0.2),
        _ => None,
    }
}

/// Keras takes no list of one where there are no axes.
fn numbers(numbers: &[f64]) -> Value {
    match numbers {
        [number] => json!(number),
        numbers => json!(numbers),
    }
}

fn padding1d(padding: Padding1d) -> &'static str {
    match padding {
        Padding1d::Valid => "valid",
        Padding1d::Same => "same",
        Padding1d::Causal => "causal",
    }
}

fn initializer(initializer: Initializer) -> Value {
    let (class, config) = match initializer {
        Initializer::GlorotUniform => ("GlorotUniform", json!({"seed": null})),
        Initializer::GlorotNormal => ("GlorotNormal", json!({"seed": null})),
        Initializer::HeUniform => ("HeUniform", json!({"seed": null})),
        Initializer::HeNormal => ("HeNormal", json!({"seed": null})),
        Initializer::Zeros => ("Zeros", json!({})),
        Initializer::Ones => ("Ones", json!({})),
    };
    object("keras.initializers", class, config)
}

fn l2(factor: f64) -> Value {
    match factor {
        0.0 => Value::Null,
        l2 => object("keras.regularizers", "L2", json!({"l2": l2})),
    }
}

/// An object as Keras 3 and tf-keras read it.
pub(super) fn object(module: &str, class: &str, config: Value) -> Value {
    json!({"module": module, "class_name": class, "config": config, "registered_name": null})
}
