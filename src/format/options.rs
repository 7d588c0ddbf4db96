//! What goes into a file.

use crate::model::Checkpoint;

/// Which parts of a checkpoint are saved. Graph and parameters always are.
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
        }
    }

    /// Leaves out what is not wanted.
    pub fn apply(self, mut checkpoint: Checkpoint<'_>) -> Checkpoint<'_> {
        let Self { compile, optimizer, training, history, metadata, proof } = self;
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
            _ => self != Self::weights_only(),
        });
        checkpoint
    }
}
