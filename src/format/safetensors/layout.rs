//! What parameters are called in a file, and how their numbers are arranged there.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::WeightsError;
use super::arrangement::Arrangement;
use super::features::{Order, orders};
use crate::bytes::Budget;
use crate::model::{Graph, LayerSpec, Parameter, Slot};
use crate::tensor::{Shape, Tensor};

/// Whose names and arrangement a safetensors file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layout {
    /// Names such as `conv2d/kernel`, the same bytes as in Keras.
    #[default]
    Keras,
    /// Names such as `conv2d.weight`, as the `state_dict` of the same network in PyTorch has them, whose
    /// images are (channels, height, width).
    Torch,
}

impl Layout {
    pub(super) const ALL: [Self; 2] = [Self::Keras, Self::Torch];

    /// As files and the tool call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keras => "keras",
            Self::Torch => "torch",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }

    /// What the tensor is called that an optimizer keeps in slot number `slot` for the parameter `name`.
    pub(super) fn slot_name(self, slots: &[Slot<'_>], slot: usize, name: &str) -> Option<String> {
        let own = slots.get(slot)?.name.as_str();
        if self == Self::Keras {
            return Some(format!("optimizer/{own}/{name}"));
        }
        // As the optimizers of `torch.optim` call them.
        let of_adam = slots.len() > 1 && slot == 0;
        let called = match own {
            "momentum" if of_adam => "exp_avg",
            "momentum" => "momentum_buffer",
            "velocity" if slot == 1 => "exp_avg_sq",
            "velocity" | "accumulated_grad" => "square_avg",
            "velocity_hat" => "max_exp_avg_sq",
            "norm" => "exp_inf",
            "average_gradient" => "grad_avg",
            "accumulator" => "sum",
            "accumulated_delta_var" => "acc_delta",
            other => other,
        };
        Some(format!("optimizer.{called}.{name}"))
    }
}

/// What begins the names of what an optimizer remembers, in either layout.
pub(super) const OPTIMIZER: [&str; 2] = ["optimizer/", "optimizer."];

/// How many batches a `BatchNorm2d` has seen, which keepnet does not count.
pub(super) const BATCHES: &str = "num_batches_tracked";

/// A parameter in a file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// What the layer is called there, and the parameter in it.
    pub(super) module: String,
    pub(super) parameter: &'static str,
    /// Both together.
    pub(super) name: String,
    pub(super) arrangement: Arrangement,
    /// If the network has no such parameter, the value by which it changes nothing: PyTorch has it always.
    pub(super) neutral: Option<f32>,
}

impl Place {
    /// The name and the numbers of what only PyTorch has.
    pub(super) fn filled(&self) -> Option<(String, Tensor<'static>)> {
        let shape = self.arrangement.stored();
        let numbers = vec![self.neutral?; shape.elements()];
        let tensor = Tensor::from_f32(shape.clone(), &numbers).ok()?.into_owned();
        Some((self.name.clone(), tensor))
    }
}

/// The places of the parameters of `graph`, in its order, and behind them those of what is neutral.
///
/// # Errors
/// If there is no such layout of the network, or two parameters would have one name.
pub(super) fn places(
    graph: &Graph,
    layout: Layout,
    budget: &mut Budget,
) -> Result<Vec<Place>, WeightsError> {
    let orders = match layout {
        Layout::Keras => Vec::new(),
        Layout::Torch => orders(graph, budget)?,
    };
    let mut names = BTreeSet::new();
    let place = |parameter: &Parameter| {
        let layer = graph.layers().get(parameter.layer);
        let (layer, spec) = layer.map(|layer| (layer.name.as_str(), &layer.spec)).unzip();
        let layer = layer.unwrap_or_default();
        let place = match (layout, spec) {
            (Layout::Torch, Some(spec)) => {
                let order = orders.get(parameter.layer).cloned().flatten();
                let arrangement = of_torch(spec, parameter, order).ok_or_else(|| {
                    let reason = "is a PReLU with an α for each place, of which PyTorch has none";
                    WeightsError::NoLayout { layer: layer.to_owned(), reason }
                })?;
                let (module, parameter) = named_by_torch(spec, layer, parameter.name);
                let name = format!("{module}.{parameter}");
                Place { module: module.into_owned(), parameter, name, arrangement, neutral: None }
            }
            _ => Place {
                module: layer.to_owned(),
                parameter: parameter.name,
                name: graph.tensor_name(parameter),
                arrangement: Arrangement::same(&parameter.shape),
                neutral: None,
            },
        };
        match names.insert(place.name.clone()) {
            true => Ok(place),
            false => Err(WeightsError::Twice { name: place.name }),
        }
    };
    let mut places: Vec<_> = graph.parameters().iter().map(place).collect::<Result<_, _>>()?;
    if layout == Layout::Torch {
        let neutral: Vec<_> = neutral(graph, &places).collect();
        for place in neutral {
            if !names.insert(place.name.clone()) {
                return Err(WeightsError::Twice { name: place.name });
            }
            places.push(place);
        }
    }
    Ok(places)
}

/// γ of ones beside a lone β, and β of zeros beside a lone γ, where PyTorch has both or none. A LayerNorm of
/// PyTorch may have γ alone.
fn neutral(graph: &Graph, places: &[Place]) -> impl Iterator<Item = Place> {
    graph.parameters().iter().zip(places).filter_map(|(parameter, place)| {
        let (scale, center) = match &graph.layers().get(parameter.layer)?.spec {
            LayerSpec::BatchNormalization(norm) => (norm.scale, norm.center),
            LayerSpec::GroupNormalization(norm) => (norm.scale, norm.center),
            LayerSpec::LayerNormalization(norm) => (norm.scale, true),
            _ => return None,
        };
        let (parameter, value) = match parameter.name {
            "beta" if !scale => ("weight", 1.0),
            "gamma" if !center => ("bias", 0.0),
            _ => return None,
        };
        Some(Place {
            module: place.module.clone(),
            parameter,
            name: format!("{}.{parameter}", place.module),
            arrangement: Arrangement::same(place.arrangement.stored()),
            neutral: Some(value),
        })
    })
}

/// The name of the module that `torch.nn` would have it in, and its name there.
fn named_by_torch<'l>(
    spec: &LayerSpec,
    layer: &'l str,
    parameter: &'static str,
) -> (Cow<'l, str>, &'static str) {
    let module = match layer.contains('/') {
        true => Cow::Owned(layer.replace('/', ".")),
        false => Cow::Borrowed(layer),
    };
    match (spec, parameter) {
        (LayerSpec::SeparableConv2d(_), "depthwise_kernel") => {
            (format!("{module}.depthwise").into(), "weight")
        }
        (LayerSpec::SeparableConv2d(_), "pointwise_kernel") => {
            (format!("{module}.pointwise").into(), "weight")
        }
        (LayerSpec::SeparableConv2d(_), other) => (format!("{module}.pointwise").into(), other),
        (_, "kernel" | "gamma" | "alpha") => (module, "weight"),
        (_, "beta") => (module, "bias"),
        (_, "moving_mean") => (module, "running_mean"),
        (_, "moving_variance") => (module, "running_var"),
        (_, other) => (module, other),
    }
}

/// The arrangement in PyTorch, if there is one; `order` is that of the features the layer takes.
fn of_torch(spec: &LayerSpec, parameter: &Parameter, order: Order) -> Option<Arrangement> {
    let own = &parameter.shape;
    Some(match (spec, parameter.name, own.dims()) {
        (_, "depthwise_kernel", &[height, width, channels, multiplier])
        | (LayerSpec::DepthwiseConv2d(_), "kernel", &[height, width, channels, multiplier]) => {
            let stored = [channels.checked_mul(multiplier)?, 1, height, width];
            Arrangement::permuted(own, &[2, 3, 0, 1]).shaped(stored.into())
        }
        // Of convolutions, transposed ones too.
        (_, "kernel" | "pointwise_kernel", [_, _, _, _]) => {
            Arrangement::permuted(own, &[3, 2, 0, 1])
        }
        (_, "kernel", [_, _, _]) => Arrangement::permuted(own, &[2, 1, 0]),
        (_, "kernel", [_, _]) => Arrangement::permuted(own, &[1, 0]).with_rows(order),
        // Biases are of what the layer gives, which has one order.
        (_, "bias", _) => Arrangement::same(own),
        (LayerSpec::PRelu(_), _, &[ref places @ .., channels]) => {
            let stored = Shape::vector(channels);
            let is_shared = places.iter().all(|&length| length == 1);
            is_shared.then(|| Arrangement::same(own).shaped(stored).with_rows(order))?
        }
        (_, _, [_]) => Arrangement::same(own).with_rows(order),
        (_, _, dims) => {
            let channels = dims.len().checked_sub(1)?;
            let axes: Vec<usize> = std::iter::once(channels).chain(0..channels).collect();
            Arrangement::permuted(own, &axes)
        }
    })
}
