//! keepnet against what Keras on TensorFlow computes: `tests/golden/keras/README.md` says what the
//! numbers are and how they were made.
//!
//! Everything goes through the public API. A gradient shows in one step of plain gradient descent
//! whose learning rate is so large that the step leaves nothing of the parameter it starts from
//! ([`step::gradients`]); the gradient of an input shows where the input is a parameter
//! ([`step::Probed`]).

mod activations;
mod functions;
mod layers;
mod networks;
mod optimizers;
mod read;
mod step;
mod training;

/// Allowed of a loss: what Keras differs from itself by, between builds of TensorFlow and types of
/// float.
const LOSS: f64 = 2e-6;
/// Allowed of the largest magnitude in an output.
const OUTPUT: f64 = 2e-6;
/// Allowed of the largest magnitude in a gradient or a variable.
const VARIABLE: f64 = 5e-6;
/// Allowed of the largest magnitude in an output after ten steps, to which many variables add up.
const TRAINED_OUTPUT: f64 = 1e-5;

/// Allowed once rounding has decided a relu or a pooling window otherwise, from which point two
/// correct programs part (`README.md`, "Why each run has its own first parameters"): of a loss.
const PARTED_LOSS: f64 = 1e-4;
/// The same of a variable.
const PARTED_VARIABLE: f64 = 5e-3;
/// The same of an output.
const PARTED_OUTPUT: f64 = 1e-3;
