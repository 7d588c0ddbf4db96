//! What can stand in the way of a file of Keras.

use std::fmt;

use serde::Serialize;

use super::Container;

/// The Keras that opens a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reader {
    #[default]
    Keras3,
    /// Keras 2.12 to 2.15, which lives on as tf-keras.
    TfKeras2,
}

/// What a problem comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// The file is not opened.
    Refused,
    /// It is opened, and predicts something else.
    OtherAnswers,
    /// It is opened, but training does not go on from where it stood.
    StateLost,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// tf-keras takes SavedModel directories only.
    Folder,
    /// Keras chooses the reader by the name.
    FileName { container: Container },
    /// Inputs of Keras 3.
    BatchShape,
    /// Types of Keras 3.
    TypeObject,
    /// Types of Keras 2.
    PolicyObject,
    /// bfloat16 in HDF5 is two opaque bytes.
    BFloat16,
    /// Where Keras looks for the class `Functional`.
    Module { module: String },
    /// The BatchNormalization of Keras 2.
    ListOfAxes,
    /// Something that only the other Keras writes.
    Setting { setting: &'static str },
    /// A class or function that only the other Keras has.
    Class,
    /// What a program must bring along.
    OwnCode,
    /// A Sequential of Keras up to 2.2.
    BareList,
    /// Keras 2 up to 2.4 says in the first layer what a Sequential takes.
    ImpliedInput,
    /// Nested models of Keras 2 count their calls from 1.
    CallsFromOne,
    /// A loss or metric that Keras 3 resolves in the wrong place.
    Alias { name: String },
    /// A name in the place of a class with its settings.
    OptimizerName,
    /// Keras 2 up to 2.2 names functions.
    FunctionInitializer,
    /// tf-keras takes it for an optimizer of before 2.11, which knows no such thing.
    WeightDecay,
    /// Settings of Keras 1, which Keras 2.0 to 2.3 still converted.
    Keras1,
    /// Groups as Windows writes paths.
    Backslashes,
    /// Groups of Keras 2.12.
    OldGroups,
    /// The formula of another Keras.
    HardSigmoid,
    /// Keras 3 computes such strides otherwise.
    ChannelsFirst,
    /// Keras 3 finds the class of what tf-keras has named so, and takes none of its settings.
    OptimizerSettings,
    /// Keras 3 does not restore it, and `fit` stops.
    OptimizerOfHdf5,
    /// Keras 3 counts a learning rate among the variables.
    OptimizerOfKeras2,
    /// tf-keras counts none.
    OptimizerOfKeras3,
    /// Keras chooses by the end of the name where it looks for weights that stand alone.
    WeightsName { ending: &'static str },
}

impl Problem {
    pub fn effect(&self) -> Effect {
        match self {
            Self::HardSigmoid | Self::ChannelsFirst => Effect::OtherAnswers,
            Self::OptimizerSettings
            | Self::OptimizerOfHdf5
            | Self::OptimizerOfKeras2
            | Self::OptimizerOfKeras3 => Effect::StateLost,
            _ => Effect::Refused,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("it opens no directory of this kind"),
            Self::FileName { container: Container::Hdf5 } => {
                f.write_str("it is an HDF5 file, and its name says otherwise: rename it to `.h5`")
            }
            Self::FileName { .. } => {
                f.write_str("it is an archive, and its name says otherwise: rename it to `.keras`")
            }
            Self::BatchShape => f.write_str("Keras 2 knows `batch_input_shape`, not `batch_shape`"),
            Self::TypeObject => f.write_str("Keras 2 knows no `DTypePolicy`"),
            Self::PolicyObject => f.write_str("the `Policy` of Keras 2 is not understood"),
            Self::BFloat16 => f.write_str("bfloat16 weights cannot be read"),
            Self::Module { module } => {
                write!(f, "there is no `Functional` in the module `{module}`")
            }
            Self::ListOfAxes => f.write_str("`axis` is a list, where one number is expected"),
            Self::Setting { setting } => write!(f, "`{setting}` is not known"),
            Self::Class => f.write_str("there is no such class"),
            Self::OwnCode => f.write_str("it runs code of its own"),
            Self::BareList => f.write_str("the layers are a bare list, as Keras 2.2 wrote them"),
            Self::ImpliedInput => f.write_str("no input layer tells what shape it takes"),
            Self::CallsFromOne => {
                f.write_str("the calls of a model inside the model are counted from 1")
            }
            Self::Alias { name } => {
                write!(f, "the loss or metric `{name}` is not found by this name")
            }
            Self::OptimizerName => f.write_str("the optimizer is a name without settings"),
            Self::FunctionInitializer => f.write_str("an initializer is the name of a function"),
            Self::WeightDecay => f.write_str(
                "the optimizer's `weight_decay` is not known: with `compile=False` the model is opened",
            ),
            Self::Keras1 => f.write_str("the settings have the names of Keras 1"),
            Self::Backslashes => {
                f.write_str("the weights stand in groups with backslashes, written on Windows")
            }
            Self::OldGroups => f.write_str("the weights stand in `_layer_checkpoint_dependencies`"),
            Self::HardSigmoid => f.write_str("`hard_sigmoid` is another function since Keras 3"),
            Self::ChannelsFirst => {
                f.write_str("strides with `same` padding and `channels_first` fall elsewhere")
            }
            Self::OptimizerSettings => f.write_str(
                "the optimizer's settings are passed over: it has the learning rate of its class",
            ),
            Self::OptimizerOfHdf5 => f.write_str(
                "the optimizer's state in an HDF5 file is not restored, and `fit` stops",
            ),
            Self::OptimizerOfKeras3 => f.write_str(
                "the optimizer's state has a learning rate among it, and is passed over",
            ),
            Self::WeightsName { ending } => write!(
                f,
                "it looks for weights that stand like this in files that end in `{ending}` only: \
                 rename it"
            ),
            Self::OptimizerOfKeras2 => f.write_str(
                "the optimizer's state has no learning rate among it, and is passed over",
            ),
        }
    }
}
