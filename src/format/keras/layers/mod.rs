//! Each layer of Keras as layers of keepnet.

mod activation;
mod convolution;
mod normalization;
mod pooling;
mod training;

use serde_json::{Value, json};

use super::error::KerasError;
use super::json::{Settings, count};
use crate::format::report::Notice;
use crate::model::{
    Activation, Arrange, BatchNormalization, BilinearUpSampling2d, Dense, Dropout, GraphError,
    Layer, LayerSpec, Merge, Noise, PRelu, PoolKind, Softmax, output_shape,
};
use crate::tensor::Shape;

/// Which Keras wrote the file: some names have changed their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Keras 1 and 2, and tf-keras.
    Keras2,
    Keras3,
}

/// Reads settings of layers; keeps what is to be told of them.
pub(super) struct Lowering {
    pub(super) dialect: Dialect,
    pub(super) notices: Vec<Notice>,
}

pub(super) type Specs = Vec<LayerSpec>;

pub(super) use activation::named_activation;

impl Lowering {
    /// A layer as layers of keepnet, one behind the other; none if it changes nothing. `input` is the
    /// shape of its first argument, without the batch.
    pub(super) fn lower(
        &mut self,
        settings: Settings<'_>,
        input: &Shape,
    ) -> Result<Specs, KerasError> {
        if settings.is_of_keras_1() {
            return Err(KerasError::Keras1 { owner: settings.owner() });
        }
        if settings.get("dtype").is_some_and(is_quantized) {
            return Err(settings.unsupported(
                "dtype",
                "its weights are quantized: save the model in Keras before `quantize` is called",
            ));
        }
        let mut specs = self.lower_itself(settings, input)?;
        if let Some(behind) = activation::layer_behind(settings) {
            let shape = output_of(&specs, input)?;
            specs.extend(self.lower_itself(behind, &shape)?);
        }
        Ok(specs)
    }

    fn lower_itself(&mut self, settings: Settings<'_>, input: &Shape) -> Result<Specs, KerasError> {
        match settings.text("data_format")? {
            None | Some("channels_last") => self.lower_channels_last(settings, input),
            Some("channels_first") => {
                let (first, rest) = input.dims().split_first().unwrap_or((&1, &[]));
                let last = Shape::new([rest, &[*first]].concat());
                let mut specs = self.lower_channels_last(settings, &last)?;
                let softmax = specs.last_mut().and_then(convolution::take_softmax);
                let mut specs = channels_first(specs, input.rank());
                specs.extend(softmax.map(LayerSpec::from));
                Ok(specs)
            }
            Some(_) => Err(settings.fault("data_format", "`channels_last` or `channels_first`")),
        }
    }

    fn lower_channels_last(
        &mut self,
        settings: Settings<'_>,
        input: &Shape,
    ) -> Result<Specs, KerasError> {
        let refused = || KerasError::Layer { owner: settings.owner() };
        let one = |spec: LayerSpec| Ok(vec![spec]);
        match settings.class() {
            "Conv1D" | "Convolution1D" => self.conv1d(settings),
            "Conv2D" | "Convolution2D" => self.conv2d(settings),
            "DepthwiseConv2D" => self.depthwise_conv2d(settings),
            "SeparableConv2D" | "SeparableConvolution2D" => self.separable_conv2d(settings),
            "Conv2DTranspose" | "Convolution2DTranspose" => self.conv2d_transpose(settings),
            "Dense" => self.dense(settings),
            "MaxPooling1D" => one(pooling::pool1d(settings, PoolKind::Max)?),
            "MaxPooling2D" => one(pooling::pool2d(settings, PoolKind::Max)?),
            "AveragePooling1D" => one(pooling::pool1d(settings, PoolKind::Average)?),
            "AveragePooling2D" => one(pooling::pool2d(settings, PoolKind::Average)?),
            "GlobalMaxPooling1D" => one(pooling::global1d(settings, PoolKind::Max)?),
            "GlobalMaxPooling2D" => one(pooling::global2d(settings, PoolKind::Max)?),
            "GlobalAveragePooling1D" => one(pooling::global1d(settings, PoolKind::Average)?),
            "GlobalAveragePooling2D" => one(pooling::global2d(settings, PoolKind::Average)?),
            "Flatten" => one(LayerSpec::Flatten),
            "Reshape" => one(LayerSpec::Reshape(target_shape(settings, input)?)),
            "Dropout" => {
                self.not_carried(settings, "noise_shape");
                one(Dropout { rate: settings.real("rate", 0.5)? }.into())
            }
            // TensorFlow 1 and its successors had several of them.
            "BatchNormalization"
            | "BatchNormalizationV1"
            | "BatchNormalizationV2"
            | "SyncBatchNormalization" => self.batch_normalization(settings, input),
            "Activation" => one(self.activation(settings, "activation")?.into()),
            "ReLU" => one(relu(settings)?.into()),
            "ThresholdedReLU" => {
                let threshold = settings.real("theta", 1.0)?;
                one(Activation::Threshold { threshold, value: 0.0 }.into())
            }
            "PReLU" => one(self.prelu(settings)?),
            "Softmax" => softmax(settings, input),
            "LeakyReLU" => {
                let key = if settings.get("alpha").is_some() { "alpha" } else { "negative_slope" };
                let negative_slope = settings.real(key, 0.3)?;
                one(Activation::LeakyRelu { negative_slope }.into())
            }
            "ELU" => one(Activation::Elu { alpha: settings.real("alpha", 1.0)? }.into()),
            "Permute" => {
                let dims = settings.get("dims").and_then(Value::as_array);
                let dims = dims.map(|dims| dims.iter().map(count).collect::<Option<Vec<_>>>());
                let dims =
                    dims.flatten().ok_or_else(|| settings.fault("dims", "axes from 1 on"))?;
                one(Arrange::Permute { dims }.into())
            }
            "Cropping1D" => {
                let [sides] = settings.sides("cropping", [1, 1])?;
                one(Arrange::Cropping1d(sides).into())
            }
            "Cropping2D" => {
                let [[top, bottom], [left, right]] = settings.sides("cropping", [0, 0])?;
                one(Arrange::Cropping2d([top, bottom, left, right]).into())
            }
            "ZeroPadding1D" => {
                let [sides] = settings.sides("padding", [1, 1])?;
                one(Arrange::ZeroPadding1d(sides).into())
            }
            "ZeroPadding2D" => {
                let [[top, bottom], [left, right]] = settings.sides("padding", [1, 1])?;
                one(Arrange::ZeroPadding2d([top, bottom, left, right]).into())
            }
            "UpSampling1D" => {
                one(Arrange::UpSampling1d { size: settings.count_or("size", 2)? }.into())
            }
            "UpSampling2D" => {
                let size = settings.counts("size", Some([2, 2]))?;
                match settings.text("interpolation")? {
                    None | Some("nearest") => one(Arrange::UpSampling2d { size }.into()),
                    Some("bilinear") => one(BilinearUpSampling2d { size }.into()),
                    Some(_) => {
                        Err(settings.unsupported("interpolation", "take `nearest` or `bilinear`"))
                    }
                }
            }
            "RepeatVector" => one(Arrange::RepeatVector { n: settings.count("n")? }.into()),
            "LayerNormalization" => {
                self.parameters_as_given(settings);
                let axes = settings.axes_of("axis", input)?;
                let spec = normalization::layer_normalization(settings, axes.len())?;
                Ok(along(&axes, input.rank(), vec![spec]))
            }
            "RMSNormalization" => one(normalization::rms_normalization(settings, input)?),
            "GroupNormalization" => {
                self.parameters_as_given(settings);
                let axis = channel_axis(settings, input)?;
                let channels = input.dims().get(axis - 1).copied().unwrap_or(1);
                let spec = normalization::group_normalization(settings, channels)?;
                Ok(along(&[axis], input.rank(), vec![spec]))
            }
            "Normalization" => one(normalization::normalization(settings, input)?),
            "Rescaling" => one(normalization::rescaling(settings, input)?),
            "SpatialDropout1D" | "SpatialDropout2D" => {
                one(Noise::SpatialDropout { rate: settings.real("rate", 0.5)? }.into())
            }
            "GaussianNoise" => {
                one(Noise::GaussianNoise { deviation: settings.real("stddev", 0.0)? }.into())
            }
            "GaussianDropout" => {
                one(Noise::GaussianDropout { rate: settings.real("rate", 0.5)? }.into())
            }
            "AlphaDropout" => one(Noise::AlphaDropout { rate: settings.real("rate", 0.5)? }.into()),
            "Add" => one(Merge::Add.into()),
            "Subtract" => one(Merge::Subtract.into()),
            "Multiply" => one(Merge::Multiply.into()),
            "Average" => one(Merge::Average.into()),
            "Maximum" => one(Merge::Maximum.into()),
            "Minimum" => one(Merge::Minimum.into()),
            "Concatenate" => {
                let axis = settings.axes("axis", -1)?;
                let axis = axis.first().and_then(|&axis| i32::try_from(axis).ok());
                let axis = axis.ok_or_else(|| settings.fault("axis", "an axis"))?;
                one(Merge::Concatenate { axis }.into())
            }
            "Identity" => Ok(Vec::new()),
            "ActivityRegularization" => {
                ["l1", "l2"].into_iter().for_each(|setting| self.not_carried(settings, setting));
                Ok(Vec::new())
            }
            // What it gives when it is not trained differs from one Keras to the next.
            "RandomCrop" => Err(refused()),
            class if class.starts_with("Random") || ["AugMix", "RandAugment"].contains(&class) => {
                self.notices.push(Notice::PassesThrough { owner: settings.owner() });
                Ok(Vec::new())
            }
            "Lambda" | "TFSMLayer" | "TorchModuleWrapper" | "JaxLayer" => {
                Err(KerasError::Code { owner: settings.owner() })
            }
            _ => Err(refused()),
        }
    }

    fn dense(&mut self, settings: Settings<'_>) -> Result<Specs, KerasError> {
        let dense = Dense {
            units: settings.count("units")?,
            use_bias: settings.flag("use_bias", true)?,
            activation: self.activation(settings, "activation")?,
            kernel_initializer: self.initializer(settings, "kernel_initializer"),
            bias_initializer: self.initializer(settings, "bias_initializer"),
            kernel_l2: self.l2(settings, "kernel_regularizer"),
        };
        Ok(vec![dense.into()])
    }

    fn prelu(&mut self, settings: Settings<'_>) -> Result<LayerSpec, KerasError> {
        let fault = || settings.fault("shared_axes", "axes from 1 on");
        let shared_axes = match settings.get("shared_axes") {
            None => Vec::new(),
            Some(Value::Array(axes)) => {
                axes.iter().map(count).collect::<Option<_>>().ok_or_else(fault)?
            }
            Some(axis) => vec![count(axis).ok_or_else(fault)?],
        };
        let alpha_initializer = self.initializer(settings, "alpha_initializer");
        for setting in ["alpha_regularizer", "alpha_constraint"] {
            self.not_carried(settings, setting);
        }
        Ok(PRelu { alpha_initializer, shared_axes }.into())
    }

    fn batch_normalization(
        &mut self,
        settings: Settings<'_>,
        input: &Shape,
    ) -> Result<Specs, KerasError> {
        let axis = channel_axis(settings, input)?;
        settings.only("renorm", &json!(false), "train without it")?;
        self.parameters_as_given(settings);
        let spec = BatchNormalization {
            momentum: settings.real("momentum", 0.99)?,
            epsilon: settings.real("epsilon", 0.001)?,
            center: settings.flag("center", true)?,
            scale: settings.flag("scale", true)?,
        };
        Ok(along(&[axis], input.rank(), vec![spec.into()]))
    }

    /// Nothing bounds γ and β in training.
    fn parameters_as_given(&mut self, settings: Settings<'_>) {
        for setting in
            ["gamma_regularizer", "beta_regularizer", "gamma_constraint", "beta_constraint"]
        {
            self.not_carried(settings, setting);
        }
    }
}

/// The axis whose places are normalised by numbers of their own; 1 is the first of a sample.
fn channel_axis(settings: Settings<'_>, input: &Shape) -> Result<usize, KerasError> {
    match settings.axes_of("axis", input)?.as_slice() {
        &[axis] => Ok(axis),
        _ => Err(settings.unsupported("axis", "normalise along one axis")),
    }
}

/// The shape that layers one behind the other give.
fn output_of(specs: &[LayerSpec], input: &Shape) -> Result<Shape, GraphError> {
    specs.iter().try_fold(input.clone(), |shape, spec| {
        let layer = Layer { name: spec.kind().to_owned(), spec: spec.clone(), trainable: true };
        output_shape(&layer, &[&shape])
    })
}

/// Layers for channels that come first, made of those for channels that come last.
fn channels_first(specs: Specs, rank: usize) -> Specs {
    let keeps_rank = match specs.last() {
        Some(LayerSpec::Flatten) => false,
        Some(LayerSpec::GlobalPool1d(pool)) => pool.keep_dims,
        Some(LayerSpec::GlobalPool2d(pool)) => pool.keep_dims,
        _ => true,
    };
    let [to_last, back] = permutations(&[1], rank);
    let back = keeps_rank.then_some(back);
    [to_last].into_iter().chain(specs).chain(back).collect()
}

/// What makes some axes, counted from 1, the last ones, and what puts them back.
fn permutations(axes: &[usize], rank: usize) -> [LayerSpec; 2] {
    let others = (1..=rank).filter(|axis| !axes.contains(axis));
    let to_last: Vec<usize> = others.chain(axes.iter().copied()).collect();
    let mut back: Vec<usize> = (1..=rank).collect();
    back.sort_by_key(|place| to_last.get(place - 1));
    [to_last, back].map(|dims| Arrange::Permute { dims }.into())
}

/// What makes an axis, counted from 1, the last one.
pub(super) fn permuted(axis: usize, rank: usize) -> LayerSpec {
    let [to_last, _] = permutations(&[axis], rank);
    to_last
}

/// Layers that work along the last axes, made to work along others, counted from 1 and in ascending order.
fn along(axes: &[usize], rank: usize, specs: Specs) -> Specs {
    if axes.iter().copied().eq(rank + 1 - axes.len()..=rank) {
        return specs;
    }
    let [to_last, back] = permutations(axes, rank);
    [to_last].into_iter().chain(specs).chain([back]).collect()
}

/// One dimension may be -1: what is left.
fn target_shape(settings: Settings<'_>, input: &Shape) -> Result<Shape, KerasError> {
    let fault = || settings.fault("target_shape", "dimensions, at most one of them -1");
    let values = settings.get("target_shape").and_then(Value::as_array).ok_or_else(fault)?;
    let dims: Vec<i64> =
        values.iter().map(Value::as_i64).collect::<Option<_>>().ok_or_else(fault)?;
    let known = dims.iter().filter(|&&dim| dim != -1);
    let known = known
        .map(|&dim| usize::try_from(dim).ok())
        .try_fold(1, |product: usize, dim| product.checked_mul(dim?));
    let known = known.ok_or_else(fault)?;
    let left = input.checked_elements().and_then(|elements| elements.checked_div(known));
    let open = dims.iter().filter(|&&dim| dim == -1).count();
    if open > 1 {
        return Err(fault());
    }
    let dim = |dim: &i64| if *dim == -1 { left } else { usize::try_from(*dim).ok() };
    Ok(Shape::new(dims.iter().map(dim).collect::<Option<Vec<_>>>().ok_or_else(fault)?))
}

/// Whether a type is that of weights that Keras 3 has quantized: an object with a mode, or a name such
/// as `int8_from_float32`.
fn is_quantized(dtype: &Value) -> bool {
    let by_name = dtype.as_str().is_some_and(|name| name.contains("_from_"));
    by_name || dtype.pointer("/config/mode").is_some()
}

fn relu(settings: Settings<'_>) -> Result<Activation, KerasError> {
    let max_value = settings.real("max_value", f64::INFINITY)?;
    let negative_slope = settings.real("negative_slope", 0.0)?;
    let threshold = settings.real("threshold", 0.0)?;
    Ok(match (max_value, negative_slope, threshold) {
        (f64::INFINITY, 0.0, 0.0) => Activation::Relu,
        (6.0, 0.0, 0.0) => Activation::Relu6,
        (f64::INFINITY, _, 0.0) => Activation::LeakyRelu { negative_slope },
        _ => Activation::ClippedRelu { max_value, negative_slope, threshold },
    })
}

fn softmax(settings: Settings<'_>, input: &Shape) -> Result<Specs, KerasError> {
    let axes = settings.axes_of("axis", input)?;
    match axes.as_slice() {
        &[axis] if axis == input.rank() => Ok(vec![Activation::Softmax.into()]),
        &[axis] => {
            let axis = i32::try_from(axis).map_err(|_| settings.fault("axis", "an axis"))?;
            Ok(vec![Softmax { axis }.into()])
        }
        // Over several, as over one that has all of their places.
        several => {
            let places = |axes: &[usize]| {
                let dims = axes.iter().filter_map(|axis| input.dims().get(axis - 1)).copied();
                dims.collect::<Vec<usize>>()
            };
            let others: Vec<usize> =
                (1..=input.rank()).filter(|axis| !several.contains(axis)).collect();
            let (others, several) = (places(&others), places(several));
            let together =
                several.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
            let together =
                together.ok_or_else(|| settings.fault("axis", "axes of fewer places"))?;
            let row = Shape::new([others.as_slice(), &[together]].concat());
            let specs = vec![
                LayerSpec::Reshape(row),
                Activation::Softmax.into(),
                LayerSpec::Reshape(Shape::new([others, several].concat())),
            ];
            Ok(along(&axes, input.rank(), specs))
        }
    }
}
