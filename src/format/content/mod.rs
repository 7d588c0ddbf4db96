//! What a saved model holds, whichever form it has: a description, written as sections of text and
//! records, and the tensors that the description calls for.

mod activations;
mod architecture;
mod compile;
mod convolutions;
mod error;
pub(super) mod json;
mod layers;
mod optimizer;
mod progress;
mod proof;
mod records;
mod section;
mod tensors;
mod training;

use std::collections::{BTreeMap, BTreeSet};

use crate::bytes::Budget;
use crate::model::training::check_count;
use crate::model::{
    Checkpoint, CompileSettings, Graph, GraphError, History, NamedTensor, OptimizerState, Proof,
    Slot, TrainingState,
};
use crate::tensor::{DType, Shape, Tensor};

use super::error::Fault;
use super::{FormatError, Limits};

use compile::COMPILE_SCHEMA;
use progress::{HISTORY_SCHEMA, HistoryJson, OPTIMIZER_SCHEMA, OptimizerSlots, OptimizerStateJson};
use proof::{PROOF_SCHEMA, ProofJson, check_proof};
use training::TRAINING_SCHEMA;

pub(super) use architecture::{GraphJson, SCHEMA, check_schema};
pub(super) use compile::CompileJson;
pub use error::ContentError;
pub use records::Role;
pub(super) use records::{TensorRecord, encode};
pub use section::SectionId;
pub(super) use section::{Admission, Encoding, FOOTER, Section, is_section_id};
use tensors::check;
pub(super) use tensors::{Expected, Listed};
pub(super) use training::TrainingJson;

/// Everything of a checkpoint but the numbers in its tensors. Its parts fit together.
#[derive(Clone, Debug)]
pub(super) struct Description {
    graph: Graph,
    compile: Option<CompileSettings>,
    optimizer: Option<OptimizerSlots>,
    /// Weights that callbacks remember stand among the tensors.
    training: Option<TrainingState<()>>,
    history: Option<History>,
    metadata: BTreeMap<String, String>,
    /// Its answers stand among the tensors.
    proof: Option<Proof<'static>>,
    /// Sections of a newer schema, which are passed over.
    newer: BTreeSet<Section>,
}

/// A tensor that belongs into a file.
#[derive(Clone, Copy)]
pub(super) struct Item<'c> {
    pub(super) role: Role,
    pub(super) name: &'c str,
    pub(super) tensor: &'c Tensor<'c>,
}

/// The bytes of a section, and where they came from.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// As messages call it.
    pub(super) name: &'a str,
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
}

impl Description {
    /// Describes `checkpoint` and lists its tensors in the order of files.
    ///
    /// # Errors
    /// Whatever in it does not fit together.
    pub(super) fn of<'c>(
        checkpoint: &'c Checkpoint<'_>,
    ) -> Result<(Self, Vec<Item<'c>>), ContentError> {
        let Checkpoint {
            graph,
            tensors,
            compile,
            optimizer,
            training,
            history,
            metadata,
            proof,
            passed_over,
        } = checkpoint;
        if !passed_over.is_empty() {
            return Err(ContentError::PassedOver { sections: passed_over.clone() });
        }
        let description = Self {
            graph: graph.clone(),
            compile: compile.clone(),
            optimizer: optimizer.as_ref().map(|OptimizerState { step, slots }| OptimizerSlots {
                step: *step,
                slots: slots.iter().map(|slot| slot.name.clone()).collect(),
            }),
            training: training.as_ref().map(|state| state.as_ref().map(|_| ())),
            history: history.clone(),
            metadata: metadata.clone(),
            proof: proof.as_ref().map(|proof| Proof {
                arithmetic_revision: proof.arithmetic_revision,
                seed: proof.seed,
                samples: proof.samples,
                inputs: proof.inputs.clone(),
                outputs: Vec::new(),
            }),
            newer: BTreeSet::new(),
        };
        check_graph(&description.graph)?;
        if let Some(compile) = &description.compile {
            compile.check(&description.graph)?;
        }
        if let Some(optimizer) = &description.optimizer {
            check_optimizer(optimizer, description.compile.as_ref())?;
        }
        if let Some(training) = &description.training {
            training.check(description.compile.as_ref())?;
        }
        if let Some(history) = &description.history {
            check_history(history)?;
        }
        if let Some(proof) = &description.proof {
            check_proof(proof, &description.graph)?;
        }

        let item = |role| move |NamedTensor { name, tensor }: &'c _| Item { role, name, tensor };
        let mut items: Vec<_> = tensors.iter().map(item(Role::Parameter)).collect();
        for (slot, number) in optimizer.iter().flat_map(|state| &state.slots).zip(0..) {
            items.extend(slot.tensors.iter().map(item(Role::Slot(number))));
        }
        items.extend(proof.iter().flat_map(|proof| &proof.outputs).map(item(Role::ProofOutput)));
        for (weights, number) in training.iter().flat_map(TrainingState::weights).zip(0..) {
            items.extend(weights.iter().map(item(Role::Best(number))));
        }
        let found = items.iter().map(|item| (item.role, item.name, item.tensor.shape().clone()));
        check(&description.expected(), found)?;
        Ok((description, items))
    }

    /// Refuses what has more nodes or tensors than are read within the default limits: that would
    /// come out when the model is needed. `memory`, `tables` and `activations` are left out, which a
    /// large model takes by its nature.
    pub(super) fn check_limits(&self) -> Result<(), FormatError> {
        let limits = Limits::default();
        limits.check_nodes(self.architecture().size())?;
        limits.check_tensors(self.tensor_count())
    }

    /// The payload of a section that holds text, if there is something to be held.
    ///
    /// # Errors
    /// If it could not be read again within the default limits.
    pub(super) fn payload(&self, section: Section) -> Result<Option<Vec<u8>>, FormatError> {
        let text = self.text(section);
        match (&text, section) {
            (Some(text), section) if section != Section::History => {
                Limits::default().check_text(text.len() as u64)?;
            }
            _ => {}
        }
        Ok(text)
    }

    fn text(&self, section: Section) -> Option<Vec<u8>> {
        match section {
            Section::Architecture => Some(json::to_text(&self.architecture())),
            Section::Compile => self.compile.as_ref().map(text::<CompileJson, _>),
            Section::Optimizer => self.optimizer.as_ref().map(text::<OptimizerStateJson, _>),
            Section::Training => self.training.as_ref().map(text::<TrainingJson, _>),
            Section::History => self.history.as_ref().map(text::<HistoryJson, _>),
            Section::Metadata => (!self.metadata.is_empty()).then(|| json::to_text(&self.metadata)),
            Section::Proof => self.proof.as_ref().map(text::<ProofJson, _>),
            // They depend on the form.
            Section::Index | Section::Tensors => None,
        }
    }

    pub(super) fn architecture(&self) -> GraphJson {
        GraphJson::from(&self.graph)
    }

    /// Reads the sections other than architecture, index and tensors; `part` gives their bytes.
    pub(super) fn read<'a>(
        graph: Graph,
        part: impl Fn(Section) -> Option<Part<'a>>,
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<Self, FormatError> {
        let mut newer = BTreeSet::new();
        let mut part = |section: Section, schema: u64, limits: &Limits| {
            let Some(part) = part(section) else { return Ok(None) };
            if part.schema(limits)?.is_some_and(|found| found > schema) {
                newer.insert(section);
                return Ok(None);
            }
            Ok::<_, FormatError>(Some(part))
        };
        let mut compile: Option<CompileSettings> = None;
        if let Some(part) = part(Section::Compile, COMPILE_SCHEMA, limits)? {
            let json = part.json::<CompileJson>(limits, budget)?;
            let settings = CompileSettings::try_from(json).map_err(|fault| part.fault(fault))?;
            settings.check(&graph).map_err(|error| part.fault(ContentError::from(error)))?;
            compile = Some(settings);
        }
        let mut optimizer = None;
        if let Some(part) = part(Section::Optimizer, OPTIMIZER_SCHEMA, limits)? {
            let slots = part.json::<OptimizerStateJson>(limits, budget)?.into();
            check_optimizer(&slots, compile.as_ref()).map_err(|error| part.fault(error))?;
            optimizer = Some(slots);
        }
        let mut training = None;
        if let Some(part) = part(Section::Training, TRAINING_SCHEMA, limits)? {
            let state = TrainingState::from(part.json::<TrainingJson>(limits, budget)?);
            state.check(compile.as_ref()).map_err(|error| part.fault(ContentError::from(error)))?;
            training = Some(state);
        }
        let mut history = None;
        // As long as training was, so that only the memory bounds it.
        let unbounded = Limits { text: u64::MAX, ..*limits };
        if let Some(part) = part(Section::History, HISTORY_SCHEMA, &unbounded)? {
            let read = History::from(part.json::<HistoryJson>(&unbounded, budget)?);
            check_history(&read).map_err(|error| part.fault(error))?;
            history = Some(read);
        }
        let mut metadata = BTreeMap::new();
        // Strings by name: there is no schema that could be newer.
        if let Some(part) = part(Section::Metadata, u64::MAX, limits)? {
            metadata = part.json(limits, budget)?;
            if metadata.is_empty() {
                let (id, rule) = (Section::Metadata.id().to_owned(), "is there but holds nothing");
                return Err(part.fault(Fault::Section { id, rule }));
            }
        }
        let mut proof = None;
        if let Some(part) = part(Section::Proof, PROOF_SCHEMA, limits)? {
            let read = Proof::from(part.json::<ProofJson>(limits, budget)?);
            check_proof(&read, &graph).map_err(|error| part.fault(error))?;
            proof = Some(read);
        }
        let description =
            Self { graph, compile, optimizer, training, history, metadata, proof, newer };
        limits.check_tensors(description.tensor_count())?;
        Ok(description)
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The names of what the optimizer keeps per parameter.
    pub(super) fn slots(&self) -> &[String] {
        self.optimizer.as_ref().map_or(&[], |optimizer| &optimizer.slots)
    }

    /// The checkpoint with these tensors, which are those [`expected`](Self::expected).
    pub(super) fn with_tensors(self, tensors: Vec<(Expected, Tensor<'_>)>) -> Checkpoint<'_> {
        let Self { graph, compile, optimizer, training, history, metadata, proof, newer: _ } = self;
        let (mut parameters, mut outputs, mut best) = (Vec::new(), Vec::new(), Vec::new());
        let mut optimizer = optimizer.map(|OptimizerSlots { step, slots }| OptimizerState {
            step,
            slots: slots.into_iter().map(|name| Slot { name, tensors: Vec::new() }).collect(),
        });
        for (Expected { role, name, .. }, tensor) in tensors {
            let list = match role {
                Role::Parameter => Some(&mut parameters),
                Role::Slot(slot) => (optimizer.as_mut())
                    .and_then(|state| state.slots.get_mut(slot as usize))
                    .map(|slot| &mut slot.tensors),
                Role::ProofOutput => Some(&mut outputs),
                Role::Best(callback) => {
                    let callback = callback as usize;
                    if best.len() <= callback {
                        best.resize_with(callback.saturating_add(1), Vec::new);
                    }
                    best.get_mut(callback)
                }
                // None is expected.
                Role::Of { .. } => None,
            };
            if let Some(list) = list {
                list.push(NamedTensor { name, tensor });
            }
        }
        let proof = proof.map(|proof| Proof { outputs, ..proof });
        let mut best = best.into_iter();
        // A graph without parameters has no tensors in which they could stand.
        let training = training.map(|state| state.map(|()| best.next().unwrap_or_default()));
        Checkpoint {
            graph,
            tensors: parameters,
            compile,
            optimizer,
            training,
            history,
            metadata,
            proof,
            passed_over: Vec::new(),
        }
    }
}

/// The text of what `J` is the JSON of.
fn text<'d, J: From<&'d D> + serde::Serialize, D>(data: &'d D) -> Vec<u8> {
    json::to_text(&J::from(data))
}

impl Part<'_> {
    pub(super) fn fault(&self, fault: impl Into<Fault>) -> FormatError {
        FormatError::damaged(self.name, self.offset, fault)
    }

    /// The architecture that this text gives.
    pub(super) fn graph(&self, limits: &Limits, budget: &mut Budget) -> Result<Graph, FormatError> {
        check_schema(self.schema(limits)?, SCHEMA, "the schema of the architecture")?;
        self.checked_graph(self.json::<GraphJson>(limits, budget)?, limits)
    }

    /// The graph of an architecture that was read from this part.
    pub(super) fn checked_graph(
        &self,
        json: GraphJson,
        limits: &Limits,
    ) -> Result<Graph, FormatError> {
        limits.check_nodes(json.size())?;
        let graph = Graph::try_from(json).map_err(|fault| match fault {
            Fault::Graph(size @ GraphError::Size { .. }) => FormatError::TooLarge(size),
            fault => self.fault(fault),
        })?;
        check_graph(&graph).map_err(|error| self.fault(error))?;
        Ok(graph)
    }

    /// The number of the schema it was written in, if it is JSON that has one.
    fn schema(&self, limits: &Limits) -> Result<Option<u64>, FormatError> {
        limits.check_text(self.bytes.len() as u64)?;
        Ok(json::schema_of(self.bytes))
    }

    /// Reads canonical JSON.
    pub(super) fn json<T>(&self, limits: &Limits, budget: &mut Budget) -> Result<T, FormatError>
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        let found = self.bytes.len() as u64;
        limits.check_text(found)?;
        // Values, the graph made of them and the canonical text, at their largest per byte.
        budget.reserve(found.saturating_mul(32), "a text")?;
        json::from_text(self.bytes).map_err(|(offset, fault)| {
            FormatError::damaged(self.name, self.offset.saturating_add(offset), fault)
        })
    }
}

/// Element type and length in bytes of the tensor expected, if its type has the name `dtype`.
pub(super) fn layout(expected: &Expected, dtype: &str) -> Result<(DType, u64), Fault> {
    let Some(dtype) = DType::from_name(dtype) else {
        let (what, expected) = ("the element type", "the name of one".to_owned());
        return Err(Fault::Value { what, expected, found: format!("{dtype:?}") });
    };
    let elements = expected.shape.checked_elements();
    match elements.and_then(|elements| elements.checked_mul(dtype.size())) {
        Some(length) => Ok((dtype, length as u64)),
        None => Err(ContentError::TooLarge { tensor: expected.to_string() }.into()),
    }
}

/// The shape of these extents. One that this machine cannot address is none it could expect.
pub(super) fn shape_of(dims: &[u64]) -> Shape {
    let dim = |&dim: &u64| usize::try_from(dim).unwrap_or(usize::MAX);
    Shape::new(dims.iter().map(dim).collect::<Vec<_>>())
}

/// A shape is copied by every node it passes, so its length must be bounded.
fn check_graph(graph: &Graph) -> Result<(), ContentError> {
    let limit = tensors::MAX_RANK - 1;
    for (node, index) in graph.nodes().iter().zip(0..) {
        let rank = graph.shape(crate::model::NodeId(index)).rank();
        if rank > limit {
            let what = format!("the result of node {index} (layer {})", node.layer);
            return Err(ContentError::Rank { what, rank, limit });
        }
    }
    Ok(())
}

fn check_optimizer(
    OptimizerSlots { step, slots }: &OptimizerSlots,
    compile: Option<&CompileSettings>,
) -> Result<(), ContentError> {
    check_count("the steps of the optimizer", *step)?;
    let (found, limit) = (slots.len(), tensors::MAX_SLOTS);
    if found > limit {
        return Err(ContentError::SlotCount { found, limit });
    }
    check_unique("slots of the optimizer", slots.iter().map(String::as_str))?;
    match compile.map(|compile| compile.optimizer.slots()) {
        Some(expected) if *slots != expected => {
            let expected = expected.iter().map(|&slot| slot.to_owned()).collect();
            Err(ContentError::Slots { expected, found: slots.clone() })
        }
        _ => Ok(()),
    }
}

fn check_history(history: &History) -> Result<(), ContentError> {
    history.epochs.iter().try_for_each(|epoch| {
        check_unique("figures of one epoch", epoch.values.iter().map(|(name, _)| name.as_str()))
    })
}

fn check_unique<'n>(
    what: &'static str,
    names: impl Iterator<Item = &'n str>,
) -> Result<(), ContentError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ContentError::Duplicate { what, name: name.to_owned() });
        }
    }
    Ok(())
}
