//! An architecture, and the numbers of a file put into it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::build::{self, Became, BuiltLayer};
use super::error::KerasError;
use super::layers::Dialect;
use super::network::Network;
use super::open::Parts;
use super::optimizer::Variable;
use super::weights::{self, Weights};
use super::write::Described;
use super::{Loaded, compile, optimizer};
use crate::bytes::Budget;
use crate::format::LoadOptions;
use crate::format::report::{Notice, Report};
use crate::model::{Checkpoint, CompileSettings, Graph, Layer, LayerSpec, NamedTensor, Optimizer};

/// A model short of its numbers.
pub(super) struct Blueprint<'j> {
    pub(super) graph: Graph,
    /// With what leads to no output, if there is any.
    whole: Option<Graph>,
    /// The layers as Keras has them: by these it finds the numbers.
    layers: Vec<BuiltLayer<'j>>,
    pub(super) compile: Option<CompileSettings>,
    pub(super) notices: Vec<Notice>,
}

impl<'j> Blueprint<'j> {
    /// What Keras describes, with its own compile settings.
    pub(super) fn new(
        network: &Network<'j>,
        dialect: Dialect,
        compile: Option<&Value>,
        options: &LoadOptions,
    ) -> Result<Self, KerasError> {
        let build::Built { graph, whole, layers, mut notices } =
            build::build(network, dialect, options)?;
        let compile = compile.and_then(|config| compile::compile(config, &graph, &mut notices));
        Ok(Self { graph, whole, layers, compile, notices })
    }

    /// A model of keepnet; `described` is how it is saved for Keras.
    pub(super) fn of(checkpoint: &Checkpoint<'_>, described: &'j Described) -> Self {
        let built = |(class, name, itself): (&'j str, &'j str, Option<usize>)| BuiltLayer {
            class,
            name,
            trainable: true,
            is: Became::Layers(itself.into_iter().collect()),
        };
        Self {
            graph: checkpoint.graph.clone(),
            whole: None,
            layers: described.classes().map(built).collect(),
            compile: checkpoint.compile.clone(),
            notices: Vec::new(),
        }
    }

    /// With the numbers of a file. Where they stand alone, there must be none that no layer takes.
    pub(super) fn filled_from(
        self,
        parts: &Parts<'_>,
        budget: &mut Budget,
    ) -> Result<Loaded, KerasError> {
        self.filled(parts.version, budget, |weights, layers, _| {
            let named = weights::named(parts.root)?;
            let tensors = match named {
                Some(group) => weights.by_name(group, layers, parts.dialect())?,
                None => weights.by_class(parts.root, layers, parts.config.is_none())?,
            };
            if weights::are_of_theano(parts.root, named)
                && weights.graph.layers().iter().any(is_convolution)
            {
                weights.notices.push(Notice::KernelsOfTheano);
            }
            let variables = match named {
                Some(_) => optimizer::by_name(parts.root),
                None => optimizer::by_number(parts.root),
            };
            Ok(Numbers { tensors, variables: variables.map_err(|error| error.to_string()) })
        })
    }

    /// With the numbers that `find` finds.
    pub(super) fn filled<'f>(
        self,
        version: Option<&str>,
        budget: &mut Budget,
        find: impl FnOnce(
            &mut Weights<'_, '_>,
            &[BuiltLayer<'j>],
            Option<&Optimizer>,
        ) -> Result<Numbers<'f>, KerasError>,
    ) -> Result<Loaded, KerasError> {
        let Self { graph, whole, layers, compile, notices } = self;
        let whole = whole.as_ref().unwrap_or(&graph);
        let mut weights = Weights { graph: whole, budget, notices };
        let settings = compile.as_ref().map(|compile| &compile.optimizer);
        let Numbers { mut tensors, variables } = find(&mut weights, &layers, settings)?;
        let trained = weights.trained(&layers);
        let is_told = |notice: &Notice| matches!(notice, Notice::NotCompiled { .. });
        let state = match (&compile, variables) {
            (Some(_), Err(reason)) => Err(reason),
            (Some(compile), Ok(Some(variables))) => {
                optimizer::state(&variables, &compile.optimizer, &trained, &mut weights).map(Some)
            }
            (Some(_), Ok(None)) => Err("the file holds none of its variables".to_owned()),
            (None, Ok(Some(_))) if !weights.notices.iter().any(is_told) => {
                Err("nothing tells which one its variables in the file are of".to_owned())
            }
            (None, _) => Ok(None),
        };
        let mut optimizer = state.unwrap_or_else(|reason| {
            weights.notices.push(Notice::NoOptimizerState { reason });
            None
        });
        let names: BTreeSet<String> =
            graph.parameters().iter().map(|parameter| graph.tensor_name(parameter)).collect();
        let slots = optimizer.iter_mut().flat_map(|state| &mut state.slots);
        for tensors in slots.map(|slot| &mut slot.tensors).chain([&mut tensors]) {
            tensors.retain(|tensor| names.contains(&tensor.name));
        }
        let report = Report {
            writer: version.map(|version| format!("Keras {version}")),
            is_proven: false,
            optimizer_steps: optimizer.as_ref().map(|state| state.step),
            notices: weights.notices,
        };
        let checkpoint =
            Checkpoint { compile, optimizer, ..Checkpoint::new(graph.clone(), tensors) };
        Ok(Loaded { checkpoint: checkpoint.into_owned(), report })
    }
}

/// The numbers of a file.
pub(super) struct Numbers<'f> {
    /// Of all parameters.
    pub(super) tensors: Vec<NamedTensor<'f>>,
    /// Of the optimizer, if there are any, or why they cannot be had.
    pub(super) variables: Result<Option<Vec<Variable<'f>>>, String>,
}

fn is_convolution(layer: &Layer) -> bool {
    matches!(
        layer.spec,
        LayerSpec::Conv1d(_)
            | LayerSpec::Conv2d(_)
            | LayerSpec::DepthwiseConv2d(_)
            | LayerSpec::SeparableConv2d(_)
            | LayerSpec::Conv2dTranspose(_)
    )
}
