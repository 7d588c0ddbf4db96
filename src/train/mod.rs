//! Training: fit, evaluate, optimizers, callbacks, data.

pub mod data;
