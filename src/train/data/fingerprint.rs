//! Which data it is: a digest over every value.

use std::sync::Arc;

use super::Dataset;
use crate::bytes::{Digest, Hasher};
use crate::model::DataRecord;
use crate::tensor::{Content, Samples, Shape, Targets, little_endian};

/// Values hashed at once.
const CHUNK: usize = 16 * 1024;

impl Dataset {
    /// The SHA-256 over the inputs, then the targets, each a header and its values. The header is
    /// the kind (one byte: 0 f32 values, 1 bytes, 2 classes) and the number of samples, of
    /// dimensions of a sample and each dimension (u64); bytes are preceded by the 256 f32 that they
    /// stand for, classes are u32. All numbers are little-endian.
    ///
    /// It is computed once; clones share it.
    pub fn fingerprint(&self) -> Digest {
        *self.fingerprint.get_or_init(|| {
            let mut hasher = Hasher::default();
            for samples in self.inputs() {
                add_samples(&mut hasher, samples);
            }
            for targets in self.targets() {
                match targets {
                    Targets::Values(values) => add_samples(&mut hasher, values),
                    Targets::Classes(classes) => {
                        add_header(&mut hasher, 2, classes.len(), &Shape::new([]));
                        for chunk in classes.chunks(CHUNK) {
                            let bytes: Vec<u8> =
                                chunk.iter().flat_map(|class| class.to_le_bytes()).collect();
                            hasher.update(&bytes);
                        }
                    }
                }
            }
            hasher.finish()
        })
    }

    /// Says where the data came from, for the training state that is saved with a model.
    pub fn with_source(mut self, source: impl Into<Arc<str>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Where the data came from, if it was said.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// What the training state says of the data.
    pub fn record(&self) -> DataRecord {
        DataRecord {
            samples: self.len() as u64,
            sha256: self.fingerprint(),
            source: self.source().map(str::to_owned),
        }
    }
}

fn add_header(hasher: &mut Hasher, kind: u8, count: usize, shape: &Shape) {
    hasher.update(&[kind]);
    for number in [&[count, shape.rank()], shape.dims()].concat() {
        hasher.update(&(number as u64).to_le_bytes());
    }
}

fn add_samples(hasher: &mut Hasher, samples: &Samples) {
    let (count, shape) = (samples.count(), samples.shape());
    match samples.content() {
        Content::F32(values) => {
            add_header(hasher, 0, count, shape);
            values.chunks(CHUNK).for_each(|chunk| hasher.update(&little_endian(chunk)));
        }
        Content::U8(bytes, table) => {
            add_header(hasher, 1, count, shape);
            hasher.update(&little_endian(table));
            hasher.update(bytes);
        }
    }
}
