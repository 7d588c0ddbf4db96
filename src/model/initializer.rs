//! How parameters start.

/// How a parameter starts. The normal ones are truncated at two standard deviations and rescaled,
/// as in Keras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initializer {
    /// Uniform within ±√(6 / (fan_in + fan_out)); Glorot and Bengio (2010).
    GlorotUniform,
    /// Truncated normal of variance 2 / (fan_in + fan_out).
    GlorotNormal,
    /// Uniform within ±√(6 / fan_in); He et al. (2015).
    HeUniform,
    /// Truncated normal of variance 2 / fan_in.
    HeNormal,
    Zeros,
    Ones,
}
