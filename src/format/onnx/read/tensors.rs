//! Tensors of a file, wherever and however their numbers stand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use crate::bytes::Budget;
use crate::bytes::fs::Fs;
use crate::format::FormatError;
use crate::format::directory::Directory;
use crate::format::error::Fault;
use crate::format::onnx::{OnnxError, kept};
use crate::format::operations::Constant;
use crate::format::report::Notice;
use crate::format::whole;
use crate::tensor::{DType, Shape, Tensor as Stored};
use crate::wire::onnx::Tensor;

/// The most folders within one another that a file's numbers may stand in, and the file.
const MAX_NAMES: usize = 16;

/// Where a file's numbers may stand: beside it, in its own folder.
pub(in crate::format::onnx) trait Beside {
    /// The bytes of the file at that path, which is of names alone.
    fn read(&mut self, name: &str, budget: &mut Budget) -> Result<&[u8], FormatError>;
}

/// A folder, in which files are opened name by name and never through a link. They are read once.
pub(in crate::format::onnx) struct Folder<'f, F: Fs> {
    fs: &'f F,
    directory: Directory<'f, F>,
    files: BTreeMap<String, Vec<u8>>,
}

impl<'f, F: Fs> Folder<'f, F> {
    pub(in crate::format::onnx) fn open(fs: &'f F, path: &Path) -> Result<Self, FormatError> {
        Ok(Self { fs, directory: Directory::open(fs, path)?, files: BTreeMap::new() })
    }

    fn opened(&self, path: &str) -> Result<F::File, FormatError> {
        let mut names = path.split('/');
        let file = names.next_back().unwrap_or(path);
        let Some(first) = names.next() else { return Ok(self.directory.file(file)?.0) };
        let mut folder = self.directory.sub(first)?;
        for name in names {
            folder = folder.sub(name)?;
        }
        Ok(folder.file(file)?.0)
    }
}

impl<F: Fs> Beside for Folder<'_, F> {
    fn read(&mut self, name: &str, budget: &mut Budget) -> Result<&[u8], FormatError> {
        if !self.files.contains_key(name) {
            let file = self.opened(name).map_err(|error| told(name, error))?;
            self.files.insert(name.to_owned(), whole::read(self.fs, file, budget)?);
        }
        Ok(self.files.get(name).map(Vec::as_slice).unwrap_or_default())
    }
}

/// Why a file is not opened, in words for one that stands beside a model.
fn told(name: &str, error: FormatError) -> FormatError {
    let file = name.to_owned();
    match error {
        FormatError::Damaged { fault, .. } if *fault == Fault::Missing => {
            OnnxError::NoFile { file }.into()
        }
        FormatError::Entry { rule, .. } => OnnxError::NoPlainFile { file, rule }.into(),
        other => other,
    }
}

/// The tensor as the operations take it: floating-point numbers as f32, whole ones as they are.
pub(super) fn constant<'t>(
    tensor: &'t Tensor,
    beside: &mut dyn Beside,
    budget: &mut Budget,
    notices: &mut Vec<Notice>,
) -> Result<Constant<'t>, FormatError> {
    let fault = |what| OnnxError::Tensor { tensor: tensor.name.clone(), what };
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| fault("has a length below 0"))?;
    let shape = Shape::new(dims.as_slice());
    let count = shape.checked_elements().ok_or_else(|| fault("is larger than any memory"))?;
    let dtype = dtype(tensor.data_type)
        .ok_or_else(|| fault("has numbers of a type that keepnet does not read"))?;
    let bytes = bytes(tensor, dtype, count, beside, budget)?;
    let expected = count.checked_mul(dtype.size());
    if expected != Some(bytes.len()) {
        return Err(fault("has more or fewer numbers than its shape says").into());
    }
    let stored = Stored::new(dtype, shape, bytes).map_err(|_| fault("has no sound shape"))?;
    if matches!(dtype, DType::F16 | DType::BF16 | DType::F64) {
        notices.push(Notice::Converted { weight: tensor.name.clone(), from: dtype.name() });
    }
    let constant = Constant::stored(stored, budget).map_err(OnnxError::from)?;
    Ok(constant.ok_or_else(|| fault("has no numbers"))?)
}

/// The element type of that number in `TensorProto.DataType`, where it is of numbers.
pub(super) fn dtype(data_type: i32) -> Option<DType> {
    DType::ALL.into_iter().find(|&dtype| kept::data_type(dtype) == data_type)
}

/// The numbers, little-endian.
fn bytes<'t>(
    tensor: &'t Tensor,
    dtype: DType,
    count: usize,
    beside: &mut dyn Beside,
    budget: &mut Budget,
) -> Result<Cow<'t, [u8]>, FormatError> {
    if tensor.data_location == Tensor::EXTERNAL {
        return external(tensor, beside, budget).map(Cow::Owned);
    }
    if !tensor.raw_data.is_empty() {
        return Ok(Cow::Borrowed(&tensor.raw_data));
    }
    let size = dtype.size();
    let room = (count as u64).saturating_mul(size as u64);
    let mut bytes = budget.vec(room, "numbers of a tensor").map_err(OnnxError::from)?;
    let mut put = |number: &[u8]| bytes.extend(number.iter().take(size));
    match dtype {
        DType::F32 => tensor.float_data.iter().take(count).for_each(|n| put(&n.to_le_bytes())),
        DType::F64 => tensor.double_data.iter().take(count).for_each(|n| put(&n.to_le_bytes())),
        DType::I64 => tensor.int64_data.iter().take(count).for_each(|n| put(&n.to_le_bytes())),
        // Smaller ones, halves by their bits too, stand in the lower bytes.
        DType::F16
        | DType::BF16
        | DType::I8
        | DType::I16
        | DType::I32
        | DType::U8
        | DType::U16
        | DType::Bool => tensor.int32_data.iter().take(count).for_each(|n| put(&n.to_le_bytes())),
        DType::U32 | DType::U64 => {
            tensor.uint64_data.iter().take(count).for_each(|n| put(&n.to_le_bytes()));
        }
    }
    Ok(Cow::Owned(bytes))
}

/// Numbers that stand in another file of the folder.
fn external(
    tensor: &Tensor,
    beside: &mut dyn Beside,
    budget: &mut Budget,
) -> Result<Vec<u8>, FormatError> {
    let entries: BTreeMap<&str, &str> =
        tensor.external_data.iter().map(|it| (it.key.as_str(), it.value.as_str())).collect();
    let fault = |what| OnnxError::Tensor { tensor: tensor.name.clone(), what };
    if entries.len() != tensor.external_data.len() {
        return Err(fault("names the place of its numbers twice").into());
    }
    let location = entries.get("location").copied().unwrap_or_default();
    // Names of folders and a file, and no way out of the folder by them.
    let names: Vec<&str> = location.split('/').filter(|&name| name != ".").collect();
    let is_name = |name: &&str| !matches!(*name, "" | "..") && !name.contains(['\\', ':', '\0']);
    if names.is_empty() || names.len() > MAX_NAMES || !names.iter().all(is_name) {
        return Err(OnnxError::Location { location: location.to_owned() }.into());
    }
    let path = names.join("/");
    let number = |key: &str| entries.get(key).map(|text| text.parse::<u64>()).transpose();
    let unsound = |_| fault("names no sound place of its numbers");
    let (offset, length) = (number("offset").map_err(unsound)?, number("length").map_err(unsound)?);
    let file = beside.read(&path, budget)?;
    let beyond = || OnnxError::BeyondFile { file: location.to_owned(), found: file.len() as u64 };
    let start = usize::try_from(offset.unwrap_or(0)).map_err(|_| beyond())?;
    let end = match length {
        Some(length) => usize::try_from(length).ok().and_then(|length| start.checked_add(length)),
        None => Some(file.len()),
    };
    let part = end.and_then(|end| file.get(start..end)).ok_or_else(beyond)?;
    let mut bytes =
        budget.vec(part.len() as u64, "numbers in a file beside").map_err(OnnxError::from)?;
    bytes.extend_from_slice(part);
    Ok(bytes)
}
