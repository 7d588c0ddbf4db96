//! Data sets of the MNIST kind: u8 images and labels in four IDX files.

mod download;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use download::{Attempt, Attempts, FetchError, Progress, download};

use super::{DataError, Dataset, Split};
use crate::tensor::{Samples, Shape};
use crate::wire::idx::{Idx, Values};

/// The first 10,000 of MNIST's training images (`data/README.md` says whence).
const IMAGES: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/train-images-10k-idx3-ubyte.gz"));
const LABELS: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/train-labels-10k-idx1-ubyte.gz"));

/// What [`embedded`] data says of its [source](Dataset::source).
pub const EMBEDDED: &str = "embedded MNIST";

/// How many of the embedded images are held back, and the seed that chooses them.
const VALIDATION: usize = 2_000;
const SEED: u64 = 0;

/// The largest file that is read, in unpacked bytes; EMNIST's largest takes 547 million.
const LIMIT: u64 = 1 << 30;

/// The names of the four files.
const TRAIN: Pair = Pair { images: "train-images-idx3-ubyte", labels: "train-labels-idx1-ubyte" };
const TEST: Pair = Pair { images: "t10k-images-idx3-ubyte", labels: "t10k-labels-idx1-ubyte" };

struct Pair {
    images: &'static str,
    labels: &'static str,
}

/// 8,000 images to train with and 2,000 to validate, of shape 28×28×1 and values 0 to 1, with the
/// digits as classes: the beginning of MNIST's training set, which this crate carries in itself.
/// The split is stratified and the same for everyone.
pub fn embedded() -> Result<Split, DataError> {
    let embedded = |bytes: &'static [u8], name| File::new(bytes, bytes.len() as u64, name);
    let images = embedded(IMAGES, "(embedded images)");
    let labels = embedded(LABELS, "(embedded labels)");
    let digits = (0..10).map(|digit: u8| digit.to_string());
    dataset(images, labels)?
        .with_source(EMBEDDED)
        .with_class_names(digits)?
        .split_stratified(VALIDATION, SEED)
}

/// A set of the MNIST kind (MNIST itself, Fashion-MNIST, EMNIST, …) from the folder of its four
/// files: the training images, and the test images as `validation`. Images are of any size, with
/// one channel; bytes stand for value / 255.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
/// and `t10k-labels-idx1-ubyte`, or with a dot before `idx`; each also with `.gz`. Where there are
/// several the first of these spellings is taken. Whether a file is packed is told by its content.
/// Debian's package `dataset-fashion-mnist` puts them into `/usr/share/datasets/fashion-mnist`.
pub fn from_dir(dir: impl AsRef<Path>) -> Result<Split, DataError> {
    let dir = dir.as_ref();
    let load = |pair: &Pair| dataset(File::open(dir, pair.images)?, File::open(dir, pair.labels)?);
    let (train, validation) = (load(&TRAIN)?, load(&TEST)?);
    let (expected, found) = (train.inputs()[0].shape(), validation.inputs()[0].shape());
    if expected != found {
        let (expected, found) = (expected.clone(), found.clone());
        return Err(DataError::ImageShape { path: dir.join(TEST.images), expected, found });
    }
    let from = |data: Dataset| data.with_source(dir.to_string_lossy());
    Ok(Split { train: from(train), validation: from(validation) })
}

fn dataset(images: File<impl Read>, labels: File<impl Read>) -> Result<Dataset, DataError> {
    let (path, labels_path) = (images.path.clone(), labels.path.clone());
    let (images, labels) = (images.images()?, labels.labels()?);
    if images.count() != labels.len() {
        let (images, labels) = (images.count(), labels.len());
        return Err(DataError::Labels { path, images, labels_path, labels });
    }
    Dataset::new(images, labels)
}

/// An IDX file of `stored` bytes; the path is for messages.
struct File<R> {
    reader: R,
    stored: u64,
    path: PathBuf,
}

impl File<fs::File> {
    fn open(dir: &Path, name: &str) -> Result<Self, DataError> {
        Self::find(dir, name)?.ok_or_else(|| DataError::Missing {
            dir: dir.to_owned(),
            name: name.to_owned(),
            dotted: dotted(name),
        })
    }

    /// The file of the first spelling that is there.
    fn find(dir: &Path, name: &str) -> Result<Option<Self>, DataError> {
        let dotted = dotted(name);
        for spelling in [name, &format!("{name}.gz"), &dotted, &format!("{dotted}.gz")] {
            let path = dir.join(spelling);
            let opened = fs::File::open(&path)
                .and_then(|reader| reader.metadata().map(|metadata| (reader, metadata.len())));
            match opened {
                Ok((reader, stored)) => return Ok(Some(Self { reader, stored, path })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(DataError::Io { path, source }),
            }
        }
        Ok(None)
    }
}

/// `train-images.idx3-ubyte` for `train-images-idx3-ubyte`.
fn dotted(name: &str) -> String {
    name.replace("-idx", ".idx")
}

impl<R: Read> File<R> {
    fn new(reader: R, stored: u64, path: impl Into<PathBuf>) -> Self {
        Self { reader, stored, path: path.into() }
    }

    fn images(self) -> Result<Samples, DataError> {
        let (idx, path) = self.read()?;
        match (idx.shape().dims(), idx.values()) {
            (&[count, height, width], Values::U8(bytes)) => {
                let shape = Shape::image(height, width, 1);
                Ok(Samples::unit_bytes(count, shape, Arc::clone(bytes))?)
            }
            _ => Err(content(path, "u8 images, count × height × width", &idx)),
        }
    }

    fn labels(self) -> Result<Vec<u32>, DataError> {
        let (idx, path) = self.read()?;
        match (idx.shape().rank(), idx.values()) {
            (1, Values::U8(labels)) => Ok(labels.iter().map(|&label| label.into()).collect()),
            _ => Err(content(path, "u8 labels, one per image", &idx)),
        }
    }

    fn read(self) -> Result<(Idx, PathBuf), DataError> {
        let Self { reader, stored, path } = self;
        match Idx::read(reader, stored, LIMIT) {
            Ok(idx) => Ok((idx, path)),
            Err(source) => Err(DataError::Idx { path, source }),
        }
    }
}

fn content(path: PathBuf, expected: &'static str, found: &Idx) -> DataError {
    let (dtype, found) = (found.values().dtype(), found.shape().clone());
    DataError::Content { path, expected, dtype, found }
}
