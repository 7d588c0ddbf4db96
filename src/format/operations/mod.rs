//! What graphs of ONNX and functions of TensorFlow have in common: a list of operations on values, which
//! `lower` turns into layers of keepnet.
//!
//! Readers of either build a `Program`; they give attributes that may also come as values (axes, pads, the
//! new shape of a Reshape …) as constants. Axes count the batch, which is the first of every value.
//!
//! ```text
//! Program ──lower──► Sketch ──tidy──► Graph and numbers
//!   operations on      layers, and what is      biases, functions and pools
//!   values in any      no layer: scales and     put into the layers before
//!   order of axes      functions (`sketch`)     them
//! ```
//!
//! What files spell out is found again in two places: normalisations in the program, before their numbers
//! are computed into others (`spelled`), functions as they are lowered (`lower::patterns`,
//! `lower::select`).
//!
//! A value keeps, in the order of axes that the file has, which axis of keepnet's node each one is
//! (`place`): so transposes cost nothing, and whatever stands between two of them comes out channels last.

mod error;
mod lower;
mod numbers;
mod place;
mod sketch;
mod spelled;
mod tidy;

pub use error::LoweringError;
pub(super) use lower::{Lowered, lower};
pub(super) use numbers::Constant;
use numbers::Extent;

use std::collections::BTreeMap;

use crate::model::{Activation, PoolKind};
use crate::tensor::DType;

/// The number of a value in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ValueId(pub(super) usize);

/// A network as a list of operations, each behind those whose results it takes.
#[derive(Debug, Default)]
pub(super) struct Program<'p> {
    pub(super) name: String,
    pub(super) inputs: Vec<Input>,
    pub(super) constants: BTreeMap<ValueId, Constant<'p>>,
    pub(super) operations: Vec<Operation>,
    pub(super) outputs: Vec<(String, ValueId)>,
}

/// A value that is given when the network runs.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) value: ValueId,
    /// The axes, the batch first; `None` for any length, and for the whole where nothing is told.
    pub(super) dims: Option<Vec<Option<usize>>>,
    /// Whether its numbers are whole ones, which are cut off and wrap around where they are computed with.
    pub(super) is_whole: bool,
}

#[derive(Debug)]
pub(super) struct Operation {
    /// What a layer that it becomes is called, if that is free.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Values that may be left out are `None`.
    pub(super) inputs: Vec<Option<ValueId>>,
    pub(super) output: ValueId,
}

/// Where the channels of an image or a sequence stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    /// Behind the batch.
    First,
    Last,
}

/// The order of a kernel's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KernelOrder {
    /// Filters, input channels of a group, height, width. Of a transposed convolution: input channels,
    /// filters, height, width.
    FiltersFirst,
    /// Height, width, input channels of a group, filters. Of a transposed convolution: height, width,
    /// filters, input channels.
    FiltersLast,
    /// Height, width, channels, multiplier.
    Depthwise,
}

/// How a window moves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moves {
    /// How large the window is, where the file tells it beside the kernel; else empty.
    pub(super) size: Vec<usize>,
    /// Empty for 1 along every axis, as are the dilations.
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) padding: Pads,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pads {
    Valid,
    /// An odd cell behind, as TensorFlow has it, or before.
    Same {
        odd_behind: bool,
    },
    /// Before, behind, for each axis.
    Explicit(Vec<[usize; 2]>),
}

/// What an operation does. In brackets: the values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// (x, kernel, bias?); `groups` is left out where the kernel's input channels tell it.
    Conv { moves: Moves, groups: Option<usize>, kernel: KernelOrder, channels: Channels },
    /// (x, kernel, bias?, shape of the result?)
    ConvTranspose {
        moves: Moves,
        output_padding: Vec<usize>,
        groups: usize,
        kernel: KernelOrder,
        channels: Channels,
    },
    /// (x)
    Pool {
        kind: PoolKind,
        size: Vec<usize>,
        moves: Moves,
        /// Windows that begin inside may end outside.
        ceil: bool,
        counts_padding: bool,
        channels: Channels,
    },
    /// (x): the axes stay, of length 1.
    GlobalPool { kind: PoolKind, channels: Channels },
    /// (x, kernel)
    MatMul,
    /// (a, b, …)
    Elementwise(Elementwise),
    /// (x)
    Activation(Activation),
    /// (x): a function that keepnet has no layer for, but that stands in patterns for one.
    Function(Function),
    /// (a, b)
    Compare(Comparison),
    /// (condition, if it is true, otherwise)
    Select,
    /// (x, low?, high?)
    Clip,
    /// (x, slope)
    PRelu,
    /// (x)
    Softmax { axis: i64, log: bool, over_rest: bool },
    /// (x, γ?, β?, mean, variance)
    BatchNormalization { epsilon: f64, channels: Channels },
    /// (x, γ?, β?): from `axis` to the last one, which are as many as `over` says if it does.
    LayerNormalization { axis: i64, over: Option<usize>, epsilon: f64 },
    /// (x, γ?, β?)
    GroupNormalization { groups: Groups, epsilon: f64 },
    /// (x, shape); 0 in the shape is the axis as it is if `zero_copies`.
    Reshape { zero_copies: bool },
    /// (x, order?): reversed where no order is given in either way.
    Transpose(Option<Vec<usize>>),
    /// (x, pads, value?, axes?): zeros. The pads are those before all axes, then those behind.
    Pad,
    /// (a, b, …)
    Concat { axis: i64 },
    /// (x, axes?)
    Reduce { kind: PoolKind, keep: bool },
    /// (x, axes?)
    Squeeze,
    /// (x, axes)
    Unsqueeze,
    /// (x, starts, ends, axes?, steps?)
    Slice,
    /// (x): one of so many parts along an axis, all of one length but the last, which has the rest.
    Part { axis: i64, number: usize, of: usize },
    /// (x, scales?, sizes?)
    Resize { interpolation: Interpolation, channels: Channels },
    /// (x): its lengths.
    Shape,
    /// (lengths): all of them multiplied.
    Product,
    /// (lengths): a list that is so long.
    Filled { with: i64 },
    /// (x, how often along each axis)
    Tile,
    /// (x, places)
    Gather { axis: i64 },
    /// (x): numbers of another type.
    Cast(Cast),
    /// (x)
    Identity,
    /// Of this name.
    Unknown(String),
}

/// The type that numbers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Floats,
    /// Of 32 or 64 bits.
    Integers,
    /// Truth values, or whole numbers of fewer bits.
    Narrow,
}

impl Cast {
    pub(super) fn to(dtype: DType) -> Self {
        match dtype {
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 => Self::Floats,
            DType::I32 | DType::I64 | DType::U32 | DType::U64 => Self::Integers,
            DType::I8 | DType::I16 | DType::U8 | DType::U16 | DType::Bool => Self::Narrow,
        }
    }
}

/// The groups of channels that are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Groups {
    /// So many, of channels that stand first; γ and β are of channels or of groups.
    Of(usize),
    /// Each channel, where they stand first.
    Channels,
    /// Those of the last but one axis, of so many with that of the batch; the last one has the channels of
    /// a group.
    Split { rank: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elementwise {
    Add,
    Subtract,
    Multiply,
    Divide,
    Maximum,
    Minimum,
    Mean,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// The same of b and a.
    const fn swapped(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Greater => "Greater",
            Self::GreaterOrEqual => "GreaterOrEqual",
            Self::Less => "Less",
            Self::LessOrEqual => "LessOrEqual",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Erf,
    /// exp(x) − 1
    ExponentialLessOne,
    /// x compared with a number.
    Compared {
        comparison: Comparison,
        threshold: f64,
    },
    Negative,
    SquareRoot,
    Reciprocal,
}

impl Function {
    const fn name(self) -> &'static str {
        match self {
            Self::Erf => "Erf",
            Self::ExponentialLessOne => "Expm1",
            Self::Compared { comparison, .. } => comparison.name(),
            Self::Negative => "Neg",
            Self::SquareRoot => "Sqrt",
            Self::Reciprocal => "Reciprocal",
        }
    }
}

/// Which pixels a larger image is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interpolation {
    Nearest,
    /// Centres over centres.
    Bilinear,
}
