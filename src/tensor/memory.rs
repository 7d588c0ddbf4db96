//! Memory in which the tensors of a file lie together.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::Aligned;

/// Memory that several tensors lie in: what a file was read into, or the file itself, mapped.
pub(crate) enum Memory {
    Read(Aligned),
    Mapped(Box<dyn AsRef<[u8]> + Send + Sync>),
}

/// A part of such memory. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    memory: Arc<Memory>,
    /// Of bytes.
    range: Range<usize>,
}

impl Memory {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Read(values) => bytemuck::cast_slice(values),
            Self::Mapped(bytes) => (**bytes).as_ref(),
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Read(_) => "Read",
            Self::Mapped(_) => "Mapped",
        };
        write!(f, "{kind}({} bytes)", self.bytes().len())
    }
}

impl Shared {
    /// These bytes of `memory`; `None` if it does not have them.
    pub(crate) fn new(memory: &Arc<Memory>, range: Range<usize>) -> Option<Self> {
        memory.bytes().get(range.clone())?;
        Some(Self { memory: Arc::clone(memory), range })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory.bytes()[self.range.clone()]
    }

    /// What begins where this does and goes on for `length` values, if it can be used as f32 values
    /// where it lies.
    pub(super) fn values(&self, length: usize) -> Option<Values> {
        let end = self.range.start.checked_add(length.checked_mul(size_of::<f32>())?)?;
        let part = Self::new(&self.memory, self.range.start..end)?;
        let aligned = part.bytes().as_ptr().addr().is_multiple_of(Aligned::BYTES);
        (cfg!(target_endian = "little") && aligned).then_some(Values::Shared(part))
    }

    /// Whether `other` lies in the same memory, so many bytes behind the beginning of this.
    pub(super) fn has_behind(&self, distance: usize, other: &Self) -> bool {
        Arc::ptr_eq(&self.memory, &other.memory)
            && self.range.start.checked_add(distance) == Some(other.range.start)
    }
}

/// Many f32 values: one's own, or shared until they are changed.
#[derive(Debug)]
pub(crate) enum Values {
    Own(Aligned),
    /// Of a multiple of four bytes, aligned to 64.
    Shared(Shared),
}

impl Values {
    /// Copies them unless nobody else has the memory, and all of it is these values.
    pub(crate) fn into_own(self) -> Aligned {
        let Shared { memory, range } = match self {
            Self::Own(values) => return values,
            Self::Shared(shared) => shared,
        };
        let whole = range == (0..memory.bytes().len());
        let memory = match Arc::try_unwrap(memory) {
            Ok(Memory::Read(values)) if whole => return values,
            Ok(memory) => Arc::new(memory),
            Err(memory) => memory,
        };
        Aligned::from(&*Self::Shared(Shared { memory, range }))
    }

    /// To be changed: from now on they are one's own.
    pub(crate) fn make_mut(&mut self) -> &mut [f32] {
        if matches!(self, Self::Shared(_)) {
            let shared = std::mem::replace(self, Self::Own(Aligned::default()));
            *self = Self::Own(shared.into_own());
        }
        let Self::Own(values) = self else { unreachable!("made one's own above") };
        values
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Own(values) => values,
            Self::Shared(shared) => bytemuck::cast_slice(shared.bytes()),
        }
    }
}
