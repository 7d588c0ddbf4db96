//! Plain data: what a network is ([`Graph`] of [`LayerSpec`]s), what it is trained with
//! ([`CompileSettings`]) and everything a file can hold of it ([`Checkpoint`]). Nothing here computes.

mod activation;
mod arrange;
mod checkpoint;
mod compile;
mod convolution;
mod cost;
mod error;
mod graph;
mod infer;
mod initializer;
mod layer;
mod noise;
mod normalization;
mod optimizer;
mod parameters;
mod parts;
mod pooling;
mod sequential;
pub(crate) mod settings;
pub(crate) mod training;
mod window;

pub use activation::Activation;
pub use arrange::{Arrange, ArrangedAxis};
pub use checkpoint::{
    Checkpoint, EpochRecord, History, NamedTensor, OptimizerState, ProbeRange, Proof, Slot,
};
pub use compile::{CompileSettings, Loss, Metric, OutputLoss};
pub use convolution::{
    Conv1d, Conv2d, Conv2dTranspose, DepthwiseConv2d, Padding, Padding1d, SeparableConv2d,
};
pub use cost::Cost;
pub use error::{GraphError, Shapes};
pub use graph::{Graph, GraphBuilder, Layer, Node, NodeId, Output};
pub(crate) use infer::{axis_of_sample, output_shape};
pub use initializer::Initializer;
pub use layer::{
    BatchNormalization, BilinearUpSampling2d, Dense, Dropout, LayerSpec, Merge, PRelu, Rescaling,
    Softmax,
};
pub use noise::Noise;
pub use normalization::{
    ChannelRescaling, GroupNormalization, LayerNormalization, Normalization,
    NormalizationStatistics, RowMethod,
};
pub use optimizer::{
    Adadelta, Adagrad, Adam, Adamax, Clipping, Nadam, Optimizer, OptimizerRule, RmsProp, Schedule,
    Sgd,
};
pub use parameters::Parameter;
pub use pooling::{GlobalPool1d, GlobalPool2d, Pool1d, Pool2d, PoolKind};
pub use sequential::Sequential;
pub use settings::SettingsError;
pub use training::{
    CallbackState, DataRecord, FitState, Scores, StateValue, TrainingState, TrainingStateError,
    ValidationRecord,
};

pub use window::Window2d;

#[cfg(test)]
mod tests;
