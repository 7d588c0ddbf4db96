//! A graph with parameters, ready to run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::error::ModelError;
use super::layout::Layout;
use super::predict::Predictor;
use super::weights::Weights;
use super::{ARITHMETIC_REVISION, SHARD, initialize};
use crate::model::training::check_count;
use crate::model::{
    Checkpoint, CompileSettings, FitState, Graph, History, NamedTensor, OptimizerState, Parameter,
    Scores, Sequential, Slot, TrainingState,
};
use crate::tensor::{Aligned, Tensor, Values};

/// A network with its parameters, and, once compiled, what training remembers.
///
/// Made by [`Sequential::build`] or [`Model::new`], or loaded from a file.
#[derive(Debug)]
pub struct Model {
    graph: Graph,
    layout: Layout,
    parameters: Values,
    predictor: Predictor,
    pub(crate) seed: u64,
    /// Epochs finished in all calls of `fit` together.
    pub(crate) epoch: u64,
    /// Steps finished of the epoch that runs or was interrupted, and what they add up to.
    pub(crate) step_in_epoch: u64,
    pub(crate) scores: Option<Scores>,
    pub(crate) fit: Option<FitState<Weights>>,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) training: Option<Training>,
    pub(crate) history: History,
    pub(crate) passed_over: Vec<String>,
    /// The user's own notes, which travel with the file.
    pub metadata: BTreeMap<String, String>,
}

/// What made the parameters: training goes on to the same bits with the same alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arithmetic {
    pub(crate) revision: u32,
    pub(crate) shard: u32,
}

impl Arithmetic {
    pub(crate) const CURRENT: Self = Self { revision: ARITHMETIC_REVISION, shard: SHARD as u32 };
}

/// What compiling adds to a model.
#[derive(Clone, Debug)]
pub(crate) struct Training {
    pub(crate) settings: CompileSettings,
    /// Steps done.
    pub(crate) step: u64,
    /// Per slot of the optimizer, laid out as the parameters.
    pub(crate) slots: Vec<Aligned>,
}

impl Sequential {
    /// Checks the chain and starts its parameters from `seed`, which later keys shuffling and
    /// dropout too.
    ///
    /// # Errors
    /// The first layer that cannot take its input, and why.
    pub fn build(self, seed: u64) -> Result<Model, ModelError> {
        Ok(Model::new(self.graph()?, seed))
    }
}

impl Model {
    /// Starts the parameters of `graph` from `seed`, which later keys shuffling and dropout too.
    pub fn new(graph: Graph, seed: u64) -> Self {
        let layout = Layout::new(graph.parameters());
        let parameters = initialize::parameters(&graph, &layout, seed);
        Self::with_parameters(graph, layout, Values::Own(parameters), seed)
    }

    fn with_parameters(graph: Graph, layout: Layout, parameters: Values, seed: u64) -> Self {
        Self {
            predictor: Predictor::new(&graph, &layout),
            graph,
            layout,
            parameters,
            seed,
            epoch: 0,
            step_in_epoch: 0,
            scores: None,
            fit: None,
            arithmetic: Arithmetic::CURRENT,
            training: None,
            history: History::default(),
            metadata: BTreeMap::new(),
            passed_over: Vec::new(),
        }
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What training reported so far, over all calls of `fit`.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What the model was compiled with, if it was.
    pub fn compiled(&self) -> Option<&CompileSettings> {
        self.training.as_ref().map(|training| &training.settings)
    }

    /// Optimizer steps done.
    pub fn steps(&self) -> u64 {
        self.training.as_ref().map_or(0, |training| training.step)
    }

    /// The fit that was interrupted, or that runs; [`resume`](Self::resume) goes on with it.
    pub fn fit_under_way(&self) -> Option<&FitState<Weights>> {
        self.fit.as_ref()
    }

    /// Sections of a newer keepnet that were passed over when the model was read. While there are
    /// any, the model predicts, but is neither trained nor saved: they would be lost.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// Gives up what was passed over.
    pub fn forget_passed_over(&mut self) {
        self.passed_over.clear();
    }

    /// Gives up the fit that was interrupted. The steps of an interrupted epoch stay done, but the
    /// next `fit` begins that epoch from its first step.
    pub fn forget_fit(&mut self) {
        (self.fit, self.scores, self.step_in_epoch) = (None, None, 0);
    }

    /// The parameter tensor of that name (`layer/parameter`).
    pub fn parameter(&self, name: &str) -> Option<&[f32]> {
        let named = |parameter| self.graph.tensor_name(parameter) == name;
        let index = self.graph.parameters().iter().position(named)?;
        Some(&self.parameters[self.layout.ranges()[index].clone()])
    }

    /// The parameter tensor of that name (`layer/parameter`), to be changed.
    pub fn parameter_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        let named = |parameter| self.graph.tensor_name(parameter) == name;
        let index = self.graph.parameters().iter().position(named)?;
        Some(&mut self.parameters.make_mut()[self.layout.ranges()[index].clone()])
    }

    /// Freezes a layer's parameters (`false`) or frees them. A frozen layer is not trained, its
    /// normalisation uses the moving averages, and what the optimizer remembered of it is forgotten.
    ///
    /// # Errors
    /// If there is no layer of that name.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<(), ModelError> {
        if !self.graph.set_trainable(layer, trainable) {
            let known: Vec<_> =
                self.graph.layers().iter().map(|layer| layer.name.as_str()).collect();
            return Err(ModelError::NoSuchLayer {
                name: layer.to_owned(),
                known: known.join(", "),
            });
        }
        self.predictor = Predictor::new(&self.graph, &self.layout);
        if let Some(training) = &mut self.training {
            let places = self.graph.parameters().iter().zip(self.layout.ranges());
            for (_, range) in places.filter(|(parameter, _)| !self.graph.is_trained(parameter)) {
                for slot in &mut training.slots {
                    slot[range.clone()].fill(0.0);
                }
            }
        }
        Ok(())
    }

    pub(super) fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    pub(super) fn parameters_mut(&mut self) -> &mut [f32] {
        self.parameters.make_mut()
    }

    /// All that a training step changes or reads beside the batch.
    pub(crate) fn training_parts(&mut self) -> (&mut [f32], Option<&mut Training>) {
        (self.parameters.make_mut(), self.training.as_mut())
    }

    /// Everything that can be kept of this model; the tensors are borrowed from it.
    pub fn to_checkpoint(&self) -> Checkpoint<'_> {
        let tensors = self.named_tensors(self.places(), &self.parameters);
        let optimizer = self.training.as_ref().map(|training| OptimizerState {
            step: training.step,
            slots: (training.settings.optimizer.slots().iter())
                .zip(&training.slots)
                .map(|(name, values)| Slot {
                    name: (*name).to_owned(),
                    tensors: self.named_tensors(self.layout.trained(&self.graph), values),
                })
                .collect(),
        });
        Checkpoint {
            graph: self.graph.clone(),
            tensors,
            compile: self.compiled().cloned(),
            optimizer,
            training: Some(
                self.training_state()
                    .map(|weights| self.named_tensors(self.places(), &weights.values)),
            ),
            history: Some(self.history.clone()),
            metadata: self.metadata.clone(),
            proof: None,
            passed_over: self.passed_over.clone(),
        }
    }

    /// Where training stands.
    pub fn training_state(&self) -> TrainingState<&Weights> {
        TrainingState {
            seed: self.seed,
            epoch: self.epoch,
            step_in_epoch: self.step_in_epoch,
            shard: self.arithmetic.shard,
            arithmetic_revision: self.arithmetic.revision,
            interrupted: self.scores.clone(),
            fit: self.fit.as_ref().map(FitState::as_ref),
        }
    }

    fn named_tensors<'a>(
        &self,
        wanted: impl Iterator<Item = (&'a Parameter, Range<usize>)>,
        values: &'a [f32],
    ) -> Vec<NamedTensor<'a>> {
        let named = |(parameter, range): (&Parameter, Range<usize>)| {
            let tensor = Tensor::from_f32(parameter.shape.clone(), &values[range]);
            NamedTensor::new(self.graph.tensor_name(parameter), tensor.expect("laid out by shape"))
        };
        wanted.map(named).collect()
    }

    /// The model that a checkpoint describes, whatever it takes to run it: what came from a stranger
    /// goes through [`from_checkpoint_within`](Self::from_checkpoint_within).
    ///
    /// # Errors
    /// If a tensor is missing, not one of the graph's, or of another shape or type than it needs;
    /// if compile settings are out of their range.
    pub fn from_checkpoint(checkpoint: &Checkpoint<'_>) -> Result<Self, ModelError> {
        Self::assemble(checkpoint.borrowed())
    }

    /// As [`from_checkpoint`](Self::from_checkpoint), without a copy of tensors that lie in memory as
    /// they lie in a model.
    pub(crate) fn assemble(checkpoint: Checkpoint<'_>) -> Result<Self, ModelError> {
        let Checkpoint {
            graph,
            tensors,
            compile,
            optimizer,
            training,
            history,
            metadata,
            proof: _,
            passed_over,
        } = checkpoint;
        let layout = Layout::new(graph.parameters());
        let arranged = |tensors| arrange(&graph, &layout, layout.all(&graph), tensors);
        let parameters = arranged(tensors)?;
        let compiled = match compile {
            Some(settings) => {
                settings.check(&graph)?;
                Some(Training::restored(&graph, &layout, settings, optimizer)?)
            }
            None => None,
        };
        let weights = |tensors| {
            arranged(tensors).map(|values| Weights { values: Arc::new(values.into_own()) })
        };
        let state = training.map(|state| state.try_map(weights)).transpose()?;
        if let Some(state) = &state {
            state.check(compiled.as_ref().map(|compiled| &compiled.settings))?;
        }
        let seed = state.as_ref().map_or(0, |state| state.seed);
        let mut model = Self::with_parameters(graph, layout, parameters, seed);
        if let Some(state) = state {
            model.epoch = state.epoch;
            model.step_in_epoch = state.step_in_epoch;
            model.scores = state.interrupted;
            model.fit = state.fit;
            model.arithmetic =
                Arithmetic { revision: state.arithmetic_revision, shard: state.shard };
        }
        model.training = compiled;
        model.history = history.unwrap_or_default();
        model.metadata = metadata;
        model.passed_over = passed_over;
        Ok(model)
    }
}

impl Training {
    pub(crate) fn new(settings: CompileSettings, layout: &Layout) -> Self {
        let slot = |_| {
            let mut slot = Aligned::zeros(layout.len());
            slot.fill(settings.optimizer.initial_slot());
            slot
        };
        let slots = settings.optimizer.slots().iter().map(slot).collect();
        Self { settings, step: 0, slots }
    }

    fn restored(
        graph: &Graph,
        layout: &Layout,
        settings: CompileSettings,
        state: Option<OptimizerState<'_>>,
    ) -> Result<Self, ModelError> {
        let Some(OptimizerState { step, slots }) = state else {
            return Ok(Self::new(settings, layout));
        };
        check_count("the steps of the optimizer", step)?;
        let (expected, found) = (settings.optimizer.slots().len(), slots.len());
        if expected != found {
            return Err(ModelError::Slots { expected, found });
        }
        let values = slots.into_iter().map(|slot| {
            arrange(graph, layout, layout.trained(graph), slot.tensors).map(Values::into_own)
        });
        Ok(Self { step, slots: values.collect::<Result<_, _>>()?, settings })
    }
}

/// Tensors as one slice with the layout of the parameters: one for each of `wanted`, no other.
fn arrange<'a>(
    graph: &Graph,
    layout: &Layout,
    wanted: impl Iterator<Item = (&'a Parameter, Range<usize>)>,
    tensors: Vec<NamedTensor<'_>>,
) -> Result<Values, ModelError> {
    let mut by_name: BTreeMap<String, Tensor<'_>> =
        tensors.into_iter().map(|named| (named.name, named.tensor)).collect();
    let (mut names, mut placed) = (Vec::new(), Vec::new());
    for (parameter, range) in wanted {
        let name = graph.tensor_name(parameter);
        let Some(tensor) = by_name.remove(&name) else {
            return Err(ModelError::MissingTensor { name });
        };
        if *tensor.shape() != parameter.shape {
            let (expected, found) = (parameter.shape.clone(), tensor.shape().clone());
            return Err(ModelError::TensorShape { name, expected, found });
        }
        names.push(name);
        placed.push((tensor, range));
    }
    if let Some((name, _)) = by_name.pop_first() {
        return Err(ModelError::UnexpectedTensor { name });
    }
    // Where some are left out, zeros stand between the others.
    if placed.len() == layout.ranges().len()
        && let Some(values) = Tensor::together(&placed, layout.len())
    {
        return Ok(values);
    }
    let mut values = Aligned::zeros(layout.len());
    for ((tensor, range), name) in placed.into_iter().zip(names) {
        tensor
            .copy_to_f32(&mut values[range])
            .map_err(|source| ModelError::Tensor { name, source })?;
    }
    Ok(Values::Own(values))
}

/// The same model, which then goes its own way.
impl Clone for Model {
    fn clone(&self) -> Self {
        Self {
            graph: self.graph.clone(),
            layout: self.layout.clone(),
            parameters: Values::Own(Aligned::from(self.parameters())),
            predictor: Predictor::new(&self.graph, &self.layout),
            seed: self.seed,
            epoch: self.epoch,
            step_in_epoch: self.step_in_epoch,
            scores: self.scores.clone(),
            fit: self.fit.clone(),
            arithmetic: self.arithmetic,
            training: self.training.clone(),
            history: self.history.clone(),
            metadata: self.metadata.clone(),
            passed_over: self.passed_over.clone(),
        }
    }
}
