//! What a reader is willing to take.

/// Bounds on what loading may cost. They are checked before memory is allocated; a file beyond
/// them is refused with the limit named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for the file and for what is decoded from it. [`load`](super::load) copies
    /// the tensors of a file once more.
    pub memory: u64,
    /// Bytes of one text: the architecture, the compile settings, the metadata, a manifest.
    pub text: u64,
    /// Tensors: parameters, slots of the optimizer and outputs of the proof together.
    pub tensors: u64,
}

impl Default for Limits {
    /// 8 GiB of memory, 8 MiB of text, 65,536 tensors.
    fn default() -> Self {
        Self { memory: 8 << 30, text: 8 << 20, tensors: 1 << 16 }
    }
}
