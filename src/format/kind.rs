//! Which form a path asks for, and which form its content has.

use std::io::Read;
use std::path::Path;

use super::FormatError;
use super::directory::MANIFEST;
use super::error::Fault;
use super::file::SIGNATURE;
use super::keras;
use super::savedmodel;
use crate::bytes::fs::{self, Fs, RealFs};
use crate::wire::{hdf5, onnx};

/// A form in which models are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// One file, `model.knet`; `docs/FORMAT.md`.
    File,
    /// A directory of NumPy arrays and a manifest; `docs/DIRECTORY.md`.
    Directory,
    /// A `.keras` archive of Keras, or its members in a directory.
    Keras,
    /// An `.h5` file of a whole model of Keras.
    Hdf5,
    /// An `.onnx` file.
    Onnx,
    /// A `.safetensors` file, with the architecture in its metadata.
    Safetensors,
    /// A SavedModel of TensorFlow, which is a directory.
    #[serde(rename = "savedmodel")]
    SavedModel,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Keras => "Keras",
            Self::Hdf5 => "HDF5",
            Self::Onnx => "ONNX",
            Self::Safetensors => "safetensors",
            Self::SavedModel => "SavedModel",
        })
    }
}

/// What something that is no keepnet model looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    #[error("a directory without a `{MANIFEST}`")]
    Directory,
    #[error("an empty file")]
    Empty,
    #[error("an HDF5 file (`.h5` of Keras is one)")]
    Hdf5,
    #[error("a ZIP archive (`.keras`, `.npz` and `.pt` are such)")]
    Zip,
    #[error("a safetensors file")]
    Safetensors,
    #[error("a NumPy array")]
    Npy,
    #[error("no file but a device, a pipe or the like")]
    Special,
    #[error("a PNG image")]
    Png,
    #[error("a gzip file")]
    Gzip,
    #[error(
        "the architecture of a model of Keras, without weights; `keepnet convert WEIGHTS OUT \
         --architecture MODEL` puts both together, and so does `Model::load_with_weights`"
    )]
    Architecture,
    #[error(
        "the list of a model's weights that Keras wrote in several files; save them in one, without \
         `max_shard_size`"
    )]
    Shards,
    #[error(
        "`saved_model.pb`, a part of a SavedModel of TensorFlow; give the folder that it stands in"
    )]
    SavedModelPart,
    #[error("text")]
    Text,
    #[error("a file of a kind unknown to keepnet")]
    Unknown,
}

impl Format {
    /// The form that saving to `path` asks for: a directory if it ends in a separator, is a
    /// directory or has no extension, otherwise by the extension. Where a SavedModel stands, another one
    /// is to stand.
    ///
    /// # Errors
    /// [`FormatError::Extension`] if the extension is none of a known format, and
    /// [`FormatError::WeightsName`] for `.weights.h5`.
    pub fn for_saving(path: &Path) -> Result<Self, FormatError> {
        let ends_in_separator =
            path.as_os_str().as_encoded_bytes().last().is_some_and(|&last| last == b'/');
        match path.extension() {
            _ if path.join(savedmodel::MODEL).is_file() => Ok(Self::SavedModel),
            _ if ends_in_separator || path.is_dir() => Ok(Self::Directory),
            Some(_) if names_weights(path) => Err(FormatError::WeightsName),
            None => Ok(Self::Directory),
            Some(extension) if extension.eq_ignore_ascii_case("knet") => Ok(Self::File),
            Some(extension) if extension.eq_ignore_ascii_case("keras") => Ok(Self::Keras),
            Some(extension) if extension.eq_ignore_ascii_case("onnx") => Ok(Self::Onnx),
            Some(extension)
                if ["h5", "hdf5"].iter().any(|known| extension.eq_ignore_ascii_case(known)) =>
            {
                Ok(Self::Hdf5)
            }
            Some(extension) if extension.eq_ignore_ascii_case("safetensors") => {
                Ok(Self::Safetensors)
            }
            Some(extension) => {
                Err(FormatError::Extension { extension: extension.display().to_string() })
            }
        }
    }

    /// The form that stands at `path`, by its content alone.
    ///
    /// # Errors
    /// [`FormatError::OtherKind`] for anything else, saying what it looks like.
    pub fn detect(path: &Path) -> Result<Self, FormatError> {
        Self::detect_on(&RealFs, path)
    }

    pub(super) fn detect_on<F: Fs>(fs: &F, path: &Path) -> Result<Self, FormatError> {
        let io = |source| FormatError::Io { action: "look at it", source }.at(path);
        let opened = fs.open_path(path).map_err(io)?;
        let kind = fs.stat(&opened).map_err(io)?.kind;
        if kind == fs::Kind::Directory {
            let directory = fs::open_directory(fs, || fs.open_path(path)).map_err(io)?;
            let holds = |name: &str| fs.stat_name(&directory, name.as_ref()).is_ok();
            let found = if holds(MANIFEST) {
                return Ok(Self::Directory);
            } else if holds(keras::CONFIG) {
                return Ok(Self::Keras);
            } else if savedmodel::is_one(fs, path)? {
                return Ok(Self::SavedModel);
            } else {
                Kind::Directory
            };
            return Err(FormatError::OtherKind { found }.at(path));
        }
        if kind != fs::Kind::File {
            return Err(FormatError::OtherKind { found: Kind::Special }.at(path));
        }
        let mut start = Vec::new();
        let mut opened = opened.take(START as u64);
        opened.read_to_end(&mut start).map_err(io)?;
        let mut kind = Kind::of(&start);
        if matches!(kind, Kind::Unknown | Kind::Text | Kind::Architecture)
            && !start.starts_with(&SIGNATURE)
        {
            // An HDF5 file may have a block of the user's before it.
            opened.set_limit((hdf5::MAX_USER_BLOCK + hdf5::SIGNATURE.len()) as u64);
            opened.read_to_end(&mut start).map_err(io)?;
            if hdf5::start(&start).is_some() {
                kind = Kind::Hdf5;
            }
        }
        match kind {
            Kind::Zip => Ok(Self::Keras),
            Kind::Hdf5 => Ok(Self::Hdf5),
            // Cut in the middle of a character, it could be text.
            Kind::Unknown | Kind::Text if onnx::begins(&start) => Ok(Self::Onnx),
            Kind::Safetensors => Ok(Self::Safetensors),
            _ => check_signature(&start).map(|()| Self::File).map_err(|error| error.at(path)),
        }
    }
}

/// Whether Keras takes a file of this name for weights alone.
pub fn names_weights(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
    name.is_some_and(|name| name.ends_with(".weights.h5"))
}

/// How much of a file is looked at to tell what it is.
pub(super) const START: usize = 512;

/// Whether `bytes`, a file or its beginning, bear the signature of the file form.
pub(super) fn check_signature(bytes: &[u8]) -> Result<(), FormatError> {
    let start = bytes.get(..START).unwrap_or(bytes);
    if start.starts_with(&SIGNATURE) {
        return Ok(());
    }
    if start.is_empty() {
        return Err(FormatError::OtherKind { found: Kind::Empty });
    }
    if SIGNATURE.starts_with(start) {
        let fault = Fault::CutShort {
            what: "the signature",
            expected: SIGNATURE.len() as u64,
            found: start.len() as u64,
        };
        return Err(FormatError::damaged("the header", 0, fault));
    }
    let found = Kind::of(start);
    // Most of it agrees, or its letters are there: a transfer as text or a flipped bit rather than
    // another kind of file.
    let agreeing = SIGNATURE.iter().zip(start).filter(|(expected, found)| expected == found);
    let similar = |start: &[u8; 8]| agreeing.count() >= 5 || start.windows(3).any(|w| w == b"KNT");
    match start.first_chunk() {
        Some(&start) if found == Kind::Unknown && similar(&start) => {
            let fault = Fault::Signature { expected: SIGNATURE, found: start };
            Err(FormatError::damaged("the header", 0, fault))
        }
        _ => Err(FormatError::OtherKind { found }),
    }
}

impl Kind {
    fn of(start: &[u8]) -> Self {
        const SIGNATURES: [(&[u8], Kind); 7] = [
            (&hdf5::SIGNATURE, Kind::Hdf5),
            (b"PK\x03\x04", Kind::Zip),
            (b"PK\x05\x06", Kind::Zip),
            (b"\x93NUMPY", Kind::Npy),
            (b"\x89PNG\r\n\x1a\n", Kind::Png),
            (b"\x1f\x8b", Kind::Gzip),
            // Its version, and its graphs.
            (b"\x08\x01\x12", Kind::SavedModelPart),
        ];
        let known = SIGNATURES.into_iter().find(|(signature, _)| start.starts_with(signature));
        if let Some((_, kind)) = known {
            return kind;
        }
        // A safetensors file begins with the length of its JSON header, which begins with a brace.
        if start.get(8) == Some(&b'{') && start.get(5..8) == Some(&[0; 3]) {
            return Self::Safetensors;
        }
        let is_text = |text: &str| !text.chars().any(|c| c.is_control() && !c.is_whitespace());
        let is_json = start.trim_ascii_start().first() == Some(&b'{');
        let names = |key: &[u8]| is_json && start.windows(key.len()).any(|found| found == key);
        if names(b"\"class_name\"") {
            return Self::Architecture;
        }
        if names(b"\"weight_map\"") {
            return Self::Shards;
        }
        match std::str::from_utf8(start) {
            Ok(text) if is_text(text) => Self::Text,
            // The last character may be cut.
            Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => Self::Text,
            _ => Self::Unknown,
        }
    }
}
