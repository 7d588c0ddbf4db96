//! Samples with the targets that belong to them.

use std::sync::{Arc, OnceLock};

use super::DataError;
use crate::bytes::Digest;
use crate::tensor::{Samples, Targets};

/// Samples for each input of a model, and targets for each output. Cloning shares the values.
#[derive(Clone, Debug)]
pub struct Dataset {
    inputs: Vec<Samples>,
    targets: Vec<Targets>,
    class_names: Option<Arc<[String]>>,
    pub(super) source: Option<Arc<str>>,
    /// Shared with clones, so that it is computed once.
    pub(super) fingerprint: Arc<OnceLock<Digest>>,
}

impl Dataset {
    /// For a model of one input and one output.
    pub fn new(inputs: impl Into<Samples>, targets: impl Into<Targets>) -> Result<Self, DataError> {
        Self::with_several(vec![inputs.into()], vec![targets.into()])
    }

    /// For a model of several inputs or outputs, in the order of the model's. All must have
    /// equally many samples.
    pub fn with_several(inputs: Vec<Samples>, targets: Vec<Targets>) -> Result<Self, DataError> {
        let Some(expected) = inputs.first().map(Samples::count) else {
            return Err(DataError::Empty { what: "input" });
        };
        if targets.is_empty() {
            return Err(DataError::Empty { what: "target" });
        }
        let inputs_found = inputs.iter().map(Samples::count).enumerate();
        let targets_found = targets.iter().map(Targets::count).enumerate();
        let found = inputs_found.map(|f| ("input", f)).chain(targets_found.map(|f| ("target", f)));
        for (what, (index, found)) in found {
            if found != expected {
                return Err(DataError::Count { what, index, expected, found });
            }
        }
        let (class_names, source, fingerprint) = (None, None, Arc::default());
        Ok(Self { inputs, targets, class_names, source, fingerprint })
    }

    /// Names the classes of the first target, for reports. Every class that occurs needs a name.
    pub fn with_class_names(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, DataError> {
        let names: Arc<[String]> = names.into_iter().map(Into::into).collect();
        let highest = self.classes()?.iter().copied().max();
        if let Some(class) = highest.filter(|&class| class as usize >= names.len()) {
            return Err(DataError::ClassName { class, names: names.len() });
        }
        self.class_names = Some(names);
        Ok(self)
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.inputs[0].count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples of each input; at least one.
    pub fn inputs(&self) -> &[Samples] {
        &self.inputs
    }

    /// The targets of each output; at least one.
    pub fn targets(&self) -> &[Targets] {
        &self.targets
    }

    /// The name of each class of the first target, if they have names.
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    /// The samples at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            inputs: self.inputs.iter().map(|samples| samples.select(indices)).collect(),
            targets: self.targets.iter().map(|targets| targets.select(indices)).collect(),
            class_names: self.class_names.clone(),
            source: self.source.clone(),
            fingerprint: Arc::default(),
        }
    }

    /// The first `count` samples; all, if there are not so many.
    pub fn take(&self, count: usize) -> Self {
        if count >= self.len() {
            return self.clone();
        }
        self.select(&Vec::from_iter(0..count))
    }

    /// The class of each sample, from the first target.
    ///
    /// # Errors
    /// [`DataError::NotClasses`] if that holds values.
    pub fn classes(&self) -> Result<&[u32], DataError> {
        match &self.targets[0] {
            Targets::Classes(classes) => Ok(classes),
            Targets::Values(_) => Err(DataError::NotClasses),
        }
    }
}
