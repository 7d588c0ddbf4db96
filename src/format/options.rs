//! What goes into a file, and how one is read.

use super::keras::Reader;
use super::safetensors::Layout;
use super::{FormatError, Limits};
use crate::model::{Checkpoint, Graph, Shapes};
use crate::tensor::Shape;

/// How a model is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// What it may cost.
    pub limits: Limits,
    /// The shapes of samples, one for each input, in their order. They are for models of other programs that
    /// take any size, such as `(None, None, 3)`: keepnet's take one. Images have height, width and channels, in
    /// this order though the file may have the channels first. A model that has shapes of its own must
    /// have these; with none given, any model may have what it has.
    pub input_shapes: Vec<Shape>,
}

impl From<&Limits> for LoadOptions {
    fn from(limits: &Limits) -> Self {
        Self { limits: *limits, input_shapes: Vec::new() }
    }
}

impl LoadOptions {
    /// Refuses a network that takes other inputs than those asked for.
    pub(super) fn check(&self, graph: &Graph) -> Result<(), FormatError> {
        let inputs = graph.inputs().iter().map(|&input| graph.shape(input));
        if self.input_shapes.is_empty() || inputs.clone().eq(&self.input_shapes) {
            return Ok(());
        }
        let (expected, found) = (inputs.cloned().collect(), self.input_shapes.clone());
        Err(FormatError::InputShapes { expected: Shapes(expected), found: Shapes(found) })
    }
}

/// Which parts of a checkpoint are saved, and for whom. Graph and parameters always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveOptions {
    /// Optimizer, losses and metrics as they were set.
    pub compile: bool,
    /// What the optimizer remembers: without it training resumes, but not to the same bits.
    pub optimizer: bool,
    /// Where training stands.
    pub training: bool,
    pub history: bool,
    pub metadata: bool,
    pub proof: bool,
    /// For which Keras, if it is saved for Keras. The other one opens the file too, but may not train on
    /// from where this model stands.
    pub target: Reader,
    /// Whose names and arrangement a `.safetensors` file has.
    pub layout: Layout,
}

/// For whom a model is saved in a form of other programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// As [`SaveOptions::target`].
    pub target: Reader,
    /// As [`SaveOptions::layout`].
    pub layout: Layout,
}

impl From<Reader> for Recipient {
    fn from(target: Reader) -> Self {
        Self { target, ..Self::default() }
    }
}

impl From<Layout> for Recipient {
    fn from(layout: Layout) -> Self {
        Self { layout, ..Self::default() }
    }
}

/// Everything.
impl Default for SaveOptions {
    fn default() -> Self {
        Self {
            compile: true,
            optimizer: true,
            training: true,
            history: true,
            metadata: true,
            proof: true,
            target: Reader::default(),
            layout: Layout::default(),
        }
    }
}

impl SaveOptions {
    /// Graph and parameters alone.
    pub fn weights_only() -> Self {
        Self {
            compile: false,
            optimizer: false,
            training: false,
            history: false,
            metadata: false,
            proof: false,
            target: Reader::default(),
            layout: Layout::default(),
        }
    }

    /// For whom it is.
    pub fn recipient(self) -> Recipient {
        Recipient { target: self.target, layout: self.layout }
    }

    /// Leaves out what is not wanted.
    pub fn apply(self, mut checkpoint: Checkpoint<'_>) -> Checkpoint<'_> {
        let Self { compile, optimizer, training, history, metadata, proof, target, layout } = self;
        checkpoint.compile = checkpoint.compile.filter(|_| compile);
        checkpoint.optimizer = checkpoint.optimizer.filter(|_| optimizer);
        checkpoint.training = checkpoint.training.filter(|_| training);
        checkpoint.history = checkpoint.history.filter(|_| history);
        if !metadata {
            checkpoint.metadata.clear();
        }
        checkpoint.proof = checkpoint.proof.filter(|_| proof);
        // What is not wanted is not missed if it was passed over.
        checkpoint.passed_over.retain(|id| match id.as_str() {
            "compile" => compile,
            "optimizer" => optimizer,
            "training" => training,
            "history" => history,
            "proof" => proof,
            _ => self != Self { target, layout, ..Self::weights_only() },
        });
        checkpoint
    }
}
