//! The numeric kernels, and the only unsafe code.
//!
//! A kernel is written once, generic over [`Simd`], in operations on vectors of 16 f32 lanes that
//! round alike on every machine. [`Isa::run`] chooses the instruction set once per call and
//! compiles the whole loop nest for it, so `Portable`, `Avx2` and `Avx512` give the same bits.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn, clippy::multiple_unsafe_ops_per_block)]
// A tile's rows and vectors are counted, as in the formulas they compute.
#![allow(clippy::needless_range_loop)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod depthwise;
pub(crate) mod elementwise;
pub(crate) mod environment;
mod gather;
mod isa;
pub(crate) mod math;
mod matmul;
#[cfg(test)]
mod oracle;
mod outer;
mod portable;
pub(crate) mod reduce;
#[cfg(test)]
pub(crate) mod reference;
pub(crate) mod roof;
pub(crate) mod scalar;
mod simd;
mod tree_outer;
mod winners;
mod winners_outer;

pub(crate) use depthwise::{DepthwiseForward, DepthwiseKernel};
pub use environment::FloatEnvironmentError;
pub(crate) use gather::{Cell, Gather, Run, Source};
pub(crate) use isa::{Isa, Kernel};
pub use isa::{IsaError, instruction_set};
pub(crate) use matmul::{Finish, GatherMatmul, Normalization, WINDOW, Weights};
pub(crate) use outer::GatherOuter;
pub(crate) use simd::{LANES, Simd};
pub(crate) use tree_outer::{Operands, TreeOuter};
pub(crate) use winners::{Pooled, Stretch, WinnersMatmul};
pub(crate) use winners_outer::{WinnersOuter, WinnersOuterTransposed};
