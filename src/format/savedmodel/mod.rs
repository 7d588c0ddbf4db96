//! Models of TensorFlow: SavedModels, which are directories.
//!
//! ```text
//! saved_model.pb                        graph, signatures, objects (protocol buffers)
//! variables/variables.index             where each tensor stands
//! variables/variables.data-00000-of-…   the numbers
//! keras_metadata.pb                     the layers, if tf-keras wrote it
//! assets.extra/keepnet/                 what TensorFlow has no words for, if keepnet wrote it
//! ```
//!
//! What keepnet writes runs in TensorFlow 1 and 2 and in Serving, and comes back to keepnet as it was.
//! TensorFlow Serving has directories of versions, `NAME/1`, `NAME/2`, …: of such the newest is loaded.

mod computation;
mod error;
mod folder;
mod graph;
mod objects;
mod read;
mod write;

pub use error::SavedModelError;
pub(super) use folder::is_one;
pub(super) use read::load_on;
pub(super) use write::{OWNED, save};

/// The files of a SavedModel.
pub(super) const MODEL: &str = "saved_model.pb";
const VARIABLES: &str = "variables";
const BUNDLE: &str = "variables";
const INDEX: &str = "variables.index";
const KERAS: &str = "keras_metadata.pb";
const EXTRA: &str = "assets.extra";
const KEPT: &str = "keepnet";

/// What a graph for predictions is tagged with.
const TAG: &str = "serve";
/// The signatures that keepnet writes: Keras asks for the first by default, TensorFlow Serving for the
/// second.
const SERVE: &str = "serve";
const SIGNATURE: &str = "serving_default";

/// Where the objects of TensorFlow stand in the bundle.
const OBJECTS: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";
