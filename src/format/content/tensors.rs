//! Which tensors a checkpoint has, in which order: the architecture, the optimizer's slots, the proof
//! and the callbacks determine it, so that a file can only agree or be refused.

use std::collections::BTreeSet;
use std::fmt;

use super::records::Role;
use super::{ContentError, Description, Section};
use crate::model::TrainingState;
use crate::tensor::Shape;

/// The most dimensions of a tensor, as NumPy had it before version 2.
pub(in crate::format) const MAX_RANK: usize = 32;

/// The most slots an optimizer may keep per parameter.
pub(super) const MAX_SLOTS: usize = 16;

/// A tensor that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::format) struct Expected {
    pub(in crate::format) role: Role,
    pub(in crate::format) name: String,
    pub(in crate::format) shape: Shape,
}

/// A tensor that an index lists.
#[derive(Clone, Debug)]
pub(in crate::format) struct Listed {
    pub(in crate::format) tensor: Expected,
    /// Whether the description calls for it; else it is passed over.
    pub(in crate::format) known: bool,
}

/// A tensor in messages: `parameter "dense/kernel"`.
struct Named<'a>(Role, &'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(role, name) = self;
        match role {
            Role::Parameter => write!(f, "parameter {name:?}"),
            Role::Slot(slot) => write!(f, "tensor {name:?} of optimizer slot {slot}"),
            Role::ProofOutput => write!(f, "proof's output {name:?}"),
            Role::Best(callback) => write!(f, "tensor {name:?} of callback {callback}"),
            Role::Of { section, .. } => write!(f, "tensor {name:?} of section {section:?}"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Named(self.role, &self.name).fmt(f)
    }
}

impl Description {
    /// What is known of each tensor that the index lists: which one it is that the description calls
    /// for, or that it is one of a section that is passed over. `unknown` are the ids of the sections
    /// that this version does not know.
    ///
    /// # Errors
    /// If the tensors are not those called for, in their order, or one of another section is not of one
    /// that is passed over, stands before others or twice.
    pub(in crate::format) fn listed(
        &self,
        found: &[(Role, &str, Shape)],
        unknown: &BTreeSet<&str>,
    ) -> Result<Vec<Listed>, ContentError> {
        let passed = found.iter().map(|(role, ..)| self.passes_over(*role, unknown));
        let passed = passed.collect::<Result<Vec<_>, _>>()?;
        let kept = found.iter().zip(&passed).filter(|(_, passed)| !**passed);
        let kept: Vec<_> = kept.map(|(found, _)| found.clone()).collect();
        let all_expected = self.expected();
        check(&all_expected, kept.into_iter())?;
        let mut all_expected = all_expected.into_iter();
        let mut others = BTreeSet::new();
        let mut listed = Vec::with_capacity(found.len());
        for ((role, name, shape), passed) in found.iter().zip(passed) {
            match role {
                Role::Of { section, number } if !others.insert((*section, *number)) => {
                    return Err(ContentError::OtherTwice { section: *section, number: *number });
                }
                Role::Of { .. } => {}
                _ if !others.is_empty() => return Err(ContentError::OtherBefore),
                _ => {}
            }
            let (what, rank, limit) = (Named(*role, name).to_string(), shape.rank(), MAX_RANK);
            if rank > limit {
                return Err(ContentError::Rank { what, rank, limit });
            }
            let wanted = (!passed).then(|| all_expected.next()).flatten();
            let known = wanted.is_some();
            let tensor = wanted.unwrap_or_else(|| Expected {
                role: *role,
                name: (*name).to_owned(),
                shape: shape.clone(),
            });
            listed.push(Listed { tensor, known });
        }
        Ok(listed)
    }

    /// Whether a tensor of that role belongs to a section that is passed over.
    pub(in crate::format) fn passes_over(
        &self,
        role: Role,
        unknown: &BTreeSet<&str>,
    ) -> Result<bool, ContentError> {
        match role {
            Role::Parameter => Ok(false),
            Role::Slot(_) => Ok(self.passes(Section::Optimizer)),
            Role::ProofOutput => Ok(self.passes(Section::Proof)),
            Role::Best(_) => Ok(self.passes(Section::Training)),
            Role::Of { section, .. } => match section.as_str() {
                Some(id) if unknown.contains(id) => Ok(true),
                _ => Err(ContentError::NoSection { section }),
            },
        }
    }

    /// Whether that section is of a newer schema, and so passed over.
    pub(in crate::format) fn passes(&self, section: Section) -> bool {
        self.newer.contains(&section)
    }

    /// How many tensors there must be.
    pub(in crate::format) fn tensor_count(&self) -> u64 {
        let all = self.graph.parameters();
        let trained = all.iter().filter(|parameter| self.graph.is_trained(parameter)).count();
        let slots = self.optimizer.as_ref().map_or(0, |optimizer| optimizer.slots.len());
        let outputs = self.proof.as_ref().map_or(0, |_| self.graph.outputs().len());
        let copies = self.training.as_ref().map_or(0, |state| state.weights().count());
        (all.len() as u64)
            .saturating_mul((copies as u64).saturating_add(1))
            .saturating_add((trained as u64).saturating_mul(slots as u64))
            .saturating_add(outputs as u64)
    }

    /// All tensors, in the order of files: the parameters; for each slot in turn, the parameters
    /// that are trained; the outputs of the proof; for each callback that remembers weights, the
    /// parameters.
    pub(in crate::format) fn expected(&self) -> Vec<Expected> {
        let graph = &self.graph;
        let parameters = || graph.parameters().iter();
        let of_role = |role| {
            move |parameter| Expected {
                role,
                name: graph.tensor_name(parameter),
                shape: parameter.shape.clone(),
            }
        };
        let mut expected: Vec<_> = parameters().map(of_role(Role::Parameter)).collect();
        let slots = self.optimizer.as_ref().map_or(0, |optimizer| optimizer.slots.len());
        for slot in (0..).take(slots) {
            let trained = parameters().filter(|parameter| graph.is_trained(parameter));
            expected.extend(trained.map(of_role(Role::Slot(slot))));
        }
        if let Some(proof) = &self.proof {
            let outputs = graph.outputs().iter().map(|output| Expected {
                role: Role::ProofOutput,
                name: output.name.clone(),
                shape: Shape::new(graph.shape(output.node).batched(proof.samples as usize)),
            });
            expected.extend(outputs);
        }
        for (callback, ()) in (0..).zip(self.training.iter().flat_map(TrainingState::weights)) {
            expected.extend(parameters().map(of_role(Role::Best(callback))));
        }
        expected
    }
}

/// Compares the tensors found, in order, with those that must be there.
pub(super) fn check<'t>(
    expected: &[Expected],
    found: impl ExactSizeIterator<Item = (Role, &'t str, Shape)>,
) -> Result<(), ContentError> {
    let (count, what) = (found.len(), "tensors".to_owned());
    for (number, (expected, (role, name, shape))) in expected.iter().zip(found).enumerate() {
        if (expected.role, expected.name.as_str()) != (role, name) {
            let (expected, found) = (expected.to_string(), Named(role, name).to_string());
            return Err(ContentError::Tensor { number, expected, found });
        }
        if expected.shape != shape {
            let (tensor, expected) = (expected.to_string(), expected.shape.clone());
            return Err(ContentError::Shape { tensor, expected, found: shape });
        }
    }
    if count != expected.len() {
        return Err(ContentError::Count { what, expected: expected.len(), found: count });
    }
    Ok(())
}
