//! What a file holds, wherever its bytes stand.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Hdf5Error;
use crate::bytes::{Budget, BudgetError};
use crate::tensor::{DType, Shape, Tensor};
use crate::wire::floats;

/// A group: named groups and datasets, in the order of their names' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group<'a> {
    pub attributes: BTreeMap<String, Array<'a>>,
    pub members: BTreeMap<String, Node<'a>>,
}

/// What a name in a group stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    Group(Group<'a>),
    Dataset(Dataset<'a>),
    /// What is not followed or decoded, and why: the rest of the file can be read all the same.
    Refused(Hdf5Error),
}

/// An array with attributes of its own.
///
/// Bfloat16, which HDF5 has no name for, is kept as Keras keeps it: as two opaque bytes and an attribute
/// `dtype` that says `bfloat16`. Here it is a tensor without that attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset<'a> {
    pub attributes: BTreeMap<String, Array<'a>>,
    pub array: Array<'a>,
}

/// The values of a dataset or an attribute, in C order. Two are equal when every bit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Array<'a> {
    Numbers(Tensor<'a>),
    /// As many texts as `shape` has elements.
    Text {
        shape: Shape,
        texts: Vec<String>,
    },
    /// Values of `size` bytes whose meaning the file does not tell.
    Opaque {
        shape: Shape,
        size: u32,
        bytes: Cow<'a, [u8]>,
    },
    /// Values of a type that is not read, and what those are called in a message.
    Unread {
        shape: Shape,
        kind: &'static str,
    },
}

impl<'a> Group<'a> {
    /// Puts a node at `path`: names with `/` between them, of groups that are made where they are missing.
    pub fn insert(&mut self, path: &str, node: Node<'a>) {
        let Some((name, below)) = path.split_once('/') else {
            self.members.insert(path.to_owned(), node);
            return;
        };
        let member = self.members.entry(name.to_owned());
        if let Node::Group(group) = member.or_insert_with(|| Node::Group(Group::default())) {
            group.insert(below, node);
        }
    }

    /// The node at `path`: names with `/` between them.
    ///
    /// # Errors
    /// If what stands there, or on the way, was refused.
    pub fn find(&self, path: &str) -> Result<Option<&Node<'a>>, Hdf5Error> {
        let (name, below) = path.split_once('/').unwrap_or((path, ""));
        match self.members.get(name) {
            Some(Node::Refused(error)) => Err(error.clone()),
            Some(Node::Group(group)) if !below.is_empty() => group.find(below),
            node => Ok(node.filter(|_| below.is_empty())),
        }
    }

    /// The group at `path`, if a group stands there.
    ///
    /// # Errors
    /// As for [`Group::find`].
    pub fn group(&self, path: &str) -> Result<Option<&Self>, Hdf5Error> {
        Ok(match self.find(path)? {
            Some(Node::Group(group)) => Some(group),
            _ => None,
        })
    }

    /// The dataset at `path`, if a dataset stands there.
    ///
    /// # Errors
    /// As for [`Group::find`].
    pub fn dataset(&self, path: &str) -> Result<Option<&Dataset<'a>>, Hdf5Error> {
        Ok(match self.find(path)? {
            Some(Node::Dataset(dataset)) => Some(dataset),
            _ => None,
        })
    }
}

/// A dataset without attributes.
impl<'a, T: Into<Array<'a>>> From<T> for Dataset<'a> {
    fn from(array: T) -> Self {
        Self { attributes: BTreeMap::new(), array: array.into() }
    }
}

impl<'a> From<Tensor<'a>> for Array<'a> {
    fn from(tensor: Tensor<'a>) -> Self {
        Self::Numbers(tensor)
    }
}

impl<'a> Array<'a> {
    /// One text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { shape: Shape::default(), texts: vec![text.into()] }
    }

    /// A list of texts.
    pub fn texts(texts: Vec<String>) -> Self {
        Self::Text { shape: Shape::vector(texts.len()), texts }
    }

    /// The extents; none for a single value.
    pub fn shape(&self) -> &Shape {
        match self {
            Self::Numbers(tensor) => tensor.shape(),
            Self::Text { shape, .. } | Self::Opaque { shape, .. } | Self::Unread { shape, .. } => {
                shape
            }
        }
    }

    /// The numbers, if these are numbers.
    pub fn tensor(&self) -> Option<&Tensor<'a>> {
        match self {
            Self::Numbers(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self.as_texts()? {
            [text] => Some(text),
            _ => None,
        }
    }

    /// The texts, whatever their shape. An empty list of numbers is also one of texts: NumPy makes
    /// nothing else of a list with nothing in it.
    pub fn as_texts(&self) -> Option<&[String]> {
        match self {
            Self::Text { texts, .. } => Some(texts),
            Self::Numbers(tensor) if tensor.bytes().is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// The numbers as f32, if they are floating-point ones, as [`floats::to_f32`] gives them.
    ///
    /// # Errors
    /// Where the converted numbers take more memory than is left of `budget`.
    pub fn to_f32(&self, budget: &mut Budget) -> Result<Option<Tensor<'_>>, BudgetError> {
        let numbers = self.tensor().map(|tensor| floats::to_f32(tensor, budget));
        Ok(numbers.transpose()?.flatten())
    }

    /// The number, if this is one, of whatever type but a half or bfloat16; to the nearest f64.
    pub fn as_number(&self) -> Option<f64> {
        let tensor = self.tensor()?;
        let bytes = tensor.bytes();
        macro_rules! one {
            ($number:ty) => {
                <$number>::from_le_bytes(bytes.try_into().ok()?)
            };
        }
        Some(match tensor.dtype() {
            DType::F32 => one!(f32).into(),
            DType::F64 => one!(f64),
            DType::I8 => one!(i8).into(),
            DType::I16 => one!(i16).into(),
            DType::I32 => one!(i32).into(),
            DType::I64 => one!(i64) as f64,
            DType::U8 | DType::Bool => one!(u8).into(),
            DType::U16 => one!(u16).into(),
            DType::U32 => one!(u32).into(),
            DType::U64 => one!(u64) as f64,
            DType::F16 | DType::BF16 => return None,
        })
    }
}
