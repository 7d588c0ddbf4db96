//! Callbacks of the usual kinds, with the rules of Keras 3's of the same names.

mod early_stopping;
mod model_checkpoint;
mod monitor;
mod reduce_on_plateau;
mod state;

pub use early_stopping::EarlyStopping;
pub use model_checkpoint::{CheckpointStore, Every, ModelCheckpoint};
pub use monitor::{Monitor, MonitorError};
pub use reduce_on_plateau::ReduceOnPlateau;
pub use state::StateError;
