//! Where the bytes of a file come from: memory that holds them all, or the file itself, of which
//! everything is read once and each tensor straight into its place.

use std::borrow::Cow;
use std::io;
use std::mem::take;
use std::sync::Arc;

use super::block::{BLOCK, padding_of};
use super::sums::{CHUNK, Region, Summing, Sums};
use crate::bytes::fs::Fs;
use crate::bytes::{Budget, ReadError, Reader, each_in_parallel};
use crate::format::FormatError;
use crate::format::error::Fault;
use crate::tensor::{Aligned, Bytes, Memory, Shared};

/// Where a payload or a tensor stands in its file, followed by its padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// Without the padding.
    pub(super) length: u64,
}

impl Place {
    fn padded(self) -> u64 {
        self.length.saturating_add(padding_of(self.length))
    }
}

/// Something that gives bytes at an offset. Whoever asks has compared the place with the length.
pub(super) trait Source<'a> {
    fn length(&self) -> u64;

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), FormatError>;

    /// Something that is no tensor, and its checksums.
    fn section(
        &self,
        place: Place,
        budget: &mut Budget,
    ) -> Result<(Cow<'a, [u8]>, Sums), FormatError>;

    /// The checksums of something that nobody needs.
    fn sums(&self, place: Place) -> Result<Sums, FormatError>;

    /// All tensors and their checksums. Those of one group stand one after the other.
    fn tensors(
        &self,
        groups: &[Vec<Place>],
        budget: &mut Budget,
    ) -> Result<Vec<(Bytes<'a>, Sums)>, FormatError>;
}

/// Reads the block at `offset`, or what is left of one.
pub(super) fn read_block<'a, T>(
    source: &impl Source<'a>,
    offset: u64,
    parse: impl FnOnce(&mut Reader<'_>) -> Result<T, FormatError>,
) -> Result<T, FormatError> {
    let mut block = [0; BLOCK];
    let left = usize::try_from(source.length().saturating_sub(offset)).unwrap_or(BLOCK);
    let block = block.get_mut(..left.min(BLOCK)).unwrap_or_default();
    source.read(offset, block)?;
    parse(&mut Reader::new(block, offset))
}

/// Walks over part of a file without looking at it, and cannot leave it.
pub(super) struct Cursor {
    offset: u64,
    end: u64,
}

impl Cursor {
    pub(super) fn new(Place { offset, length }: Place) -> Self {
        Self { offset, end: offset.saturating_add(length) }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Passes over `length` bytes, which may come from the file: it is compared with what is left.
    pub(super) fn pass(&mut self, length: u64, what: &'static str) -> Result<(), ReadError> {
        let (offset, found) = (self.offset, self.end.saturating_sub(self.offset));
        if length > found {
            return Err(ReadError::Truncated { what, offset, expected: length, found });
        }
        self.offset = offset.saturating_add(length);
        Ok(())
    }

    /// What is left is an error.
    pub(super) fn finish(self, what: &'static str) -> Result<(), ReadError> {
        match self.end.saturating_sub(self.offset) {
            0 => Ok(()),
            found => Err(ReadError::Trailing { what, offset: self.offset, found }),
        }
    }
}

impl<'a> Source<'a> for &'a [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), FormatError> {
        let place = Place { offset, length: into.len() as u64 };
        into.copy_from_slice(slice(self, place)?);
        Ok(())
    }

    fn section(&self, place: Place, _: &mut Budget) -> Result<(Cow<'a, [u8]>, Sums), FormatError> {
        let region = region(self, place)?;
        Ok((Cow::Borrowed(region.bytes), region.sums()))
    }

    fn sums(&self, place: Place) -> Result<Sums, FormatError> {
        Ok(region(self, place)?.sums())
    }

    fn tensors(
        &self,
        groups: &[Vec<Place>],
        _: &mut Budget,
    ) -> Result<Vec<(Bytes<'a>, Sums)>, FormatError> {
        let regions = groups.iter().flatten().map(|&place| region(self, place));
        let regions = regions.collect::<Result<Vec<_>, _>>()?;
        let bytes = regions.iter().map(|region| Bytes::Borrowed(region.bytes));
        Ok(bytes.zip(Sums::of_each(regions.clone())).collect())
    }
}

fn region<'a>(bytes: &'a [u8], place: Place) -> Result<Region<'a>, FormatError> {
    let padding = Place {
        offset: place.offset.saturating_add(place.length),
        length: padding_of(place.length),
    };
    Ok(Region { bytes: slice(bytes, place)?, padding: slice(bytes, padding)? })
}

fn slice(bytes: &[u8], Place { offset, length }: Place) -> Result<&[u8], FormatError> {
    let start = usize::try_from(offset).ok();
    let rest = start.and_then(|start| bytes.get(start..)).unwrap_or_default();
    let found = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    found.ok_or_else(|| shorter(offset.saturating_add(length), bytes.len() as u64))
}

/// A file that is read. All that stands before the tensors of a usual model is read at once.
pub(super) struct ReadFile<'f, F: Fs> {
    fs: &'f F,
    file: F::File,
    length: u64,
    start: Vec<u8>,
}

impl<'f, F: Fs> ReadFile<'f, F> {
    /// How much is read at once.
    const START: u64 = 64 * 1024;

    /// Believes that the file is `length` long; it may change all the same.
    pub(super) fn new(fs: &'f F, file: F::File, length: u64) -> Result<Self, FormatError> {
        let mut source = Self { fs, file, length, start: Vec::new() };
        let mut start = vec![0; usize::try_from(length.min(Self::START)).unwrap_or(0)];
        source.read(0, &mut start)?;
        source.start = start;
        Ok(source)
    }

    /// Reads what stands there and its padding.
    fn region(&self, place: Place, into: &mut [u8]) -> Result<Sums, FormatError> {
        let (mut summing, mut offset) = (Summing::new(place.length), place.offset);
        for chunk in into.chunks_mut(CHUNK) {
            self.read(offset, chunk)?;
            summing.update(chunk);
            offset = offset.saturating_add(chunk.len() as u64);
        }
        Ok(summing.finish())
    }
}

impl<F: Fs> Source<'static> for ReadFile<'_, F> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), FormatError> {
        let place = Place { offset, length: into.len() as u64 };
        if let Ok(bytes) = slice(&self.start, place) {
            into.copy_from_slice(bytes);
            return Ok(());
        }
        let read = self.fs.read_exact_at(&self.file, into, offset);
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                let found = self.fs.stat(&self.file).map_or(offset, |stat| stat.length);
                shorter(self.length, found)
            }
            _ => FormatError::Io { action: "read it", source },
        })
    }

    fn section(
        &self,
        place: Place,
        budget: &mut Budget,
    ) -> Result<(Cow<'static, [u8]>, Sums), FormatError> {
        let length = place.padded();
        let mut bytes = budget.vec(length, "a section")?;
        bytes.resize(usize::try_from(length).unwrap_or(0), 0);
        let sums = self.region(place, &mut bytes)?;
        bytes.truncate(usize::try_from(place.length).unwrap_or(0));
        Ok((Cow::Owned(bytes), sums))
    }

    fn sums(&self, place: Place) -> Result<Sums, FormatError> {
        let (mut summing, mut offset) = (Summing::new(place.length), place.offset);
        let end = offset.saturating_add(place.padded());
        let mut buffer = vec![0; CHUNK];
        while offset < end {
            let length = usize::try_from(end - offset).unwrap_or(CHUNK).min(CHUNK);
            let chunk = buffer.get_mut(..length).unwrap_or_default();
            self.read(offset, chunk)?;
            summing.update(chunk);
            offset = offset.saturating_add(chunk.len() as u64);
        }
        Ok(summing.finish())
    }

    /// Each group gets memory of its own, laid out as a model lays its parameters out: it can be taken
    /// over as it is.
    fn tensors(
        &self,
        groups: &[Vec<Place>],
        budget: &mut Budget,
    ) -> Result<Vec<(Bytes<'static>, Sums)>, FormatError> {
        let mut memory = Vec::with_capacity(groups.len());
        for group in groups {
            let bytes = group.iter().fold(0, |sum: u64, place| sum.saturating_add(place.padded()));
            // Kernels read up to one vector past the end.
            let bytes = bytes.saturating_add(BLOCK as u64);
            // What cannot be had is refused here. Zeros cannot be asked for in a way that may fail,
            // but they take no memory until something is read into them.
            drop(budget.vec(bytes, "the tensors")?);
            memory.push(Aligned::zeros(usize::try_from(bytes).unwrap_or(0) / size_of::<f32>()));
        }
        let mut wanted = Vec::new();
        for (group, memory) in groups.iter().zip(&mut memory) {
            let mut rest: &mut [u8] = bytemuck::cast_slice_mut(memory);
            for &place in group {
                let length = usize::try_from(place.padded()).unwrap_or(usize::MAX);
                let into;
                (into, rest) = take(&mut rest).split_at_mut_checked(length).unwrap_or_default();
                wanted.push((place, into));
            }
        }
        let total = wanted.iter().map(|(place, _)| place.length).sum();
        let read = each_in_parallel(wanted, total, |(place, into)| self.region(place, into));
        let mut contents = Vec::with_capacity(read.len());
        for (group, memory) in groups.iter().zip(memory) {
            let memory = Arc::new(Memory::Read(memory));
            contents.extend(in_memory(&memory, group));
        }
        contents.into_iter().zip(read).map(|(bytes, sums)| Ok((bytes, sums?))).collect()
    }
}

/// Tensors that stand in the file one after the other, in memory whose beginning is that of the
/// first.
fn in_memory<'m>(
    memory: &'m Arc<Memory>,
    group: &'m [Place],
) -> impl Iterator<Item = Bytes<'static>> {
    let first = group.first().map_or(0, |place| place.offset);
    group.iter().map(move |place| {
        shared(memory, Place { offset: place.offset.saturating_sub(first), ..*place })
    })
}

/// The bytes at that place in `memory`; none if it does not have them, of which no tensor is made.
pub(super) fn shared(memory: &Arc<Memory>, place: Place) -> Bytes<'static> {
    let range = usize::try_from(place.offset).ok().zip(usize::try_from(place.length).ok());
    let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
    let found = range.and_then(|range| Shared::new(memory, range));
    found.map_or(Bytes::Borrowed(&[]), Bytes::Shared)
}

/// The file ends before what was there a moment ago.
fn shorter(expected: u64, found: u64) -> FormatError {
    let what = "the file";
    FormatError::damaged("the file", found, Fault::CutShort { what, expected, found })
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Write;

    use super::*;
    use crate::bytes::fs::RealFs;

    /// Another process may make a file shorter between two looks at it.
    #[test]
    fn a_file_that_becomes_shorter_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..1_000_000_u32).map(|at| at as u8).collect();
        file.write_all(&content).unwrap();
        let source = ReadFile::new(&RealFs, File::open(file.path()).unwrap(), 1_000_000).unwrap();
        let places = [Place { offset: 64, length: 400_000 }, Place { offset: 400_064, length: 64 }];
        let sums = |bytes: &[u8]| Region::padded(bytes).sums();
        let tensors = |source: &ReadFile<'_, RealFs>| {
            let tensors = source.tensors(&[places.to_vec()], &mut Budget::new(1 << 20))?;
            Ok(tensors.into_iter().map(|(bytes, _)| sums(&bytes).sha256).collect::<Vec<_>>())
        };
        let expected =
            [&content[64..400_064], &content[400_064..400_128]].map(|bytes| sums(bytes).sha256);
        assert_eq!(
            tensors(&source).map_err(|error: FormatError| error.to_string()),
            Ok(expected.to_vec())
        );

        OpenOptions::new().write(true).open(file.path()).unwrap().set_len(400_000).unwrap();
        let error: FormatError = tensors(&source).unwrap_err();
        let words = "the file takes 1000000 bytes, 400000 are left";
        assert!(error.is_corrupt() && error.to_string().contains(words), "{error}");
        assert!(source.sums(places[1]).is_err());
        assert!(source.section(places[1], &mut Budget::new(1 << 20)).is_err());
        assert!(
            ReadFile::new(&RealFs, File::open(file.path()).unwrap(), 1_000_000).is_ok(),
            "its start is there"
        );
        file.as_file().set_len(0).unwrap();
        assert!(ReadFile::new(&RealFs, File::open(file.path()).unwrap(), 1_000_000).is_err());
    }

    #[test]
    fn memory_is_reserved_before_it_is_taken() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 40).unwrap();
        let source = ReadFile::new(&RealFs, file, 1 << 40).unwrap();
        let place = Place { offset: 0, length: 1 << 39 };
        let refused = |result: Result<(), FormatError>| {
            assert!(matches!(result, Err(FormatError::Memory(_))), "{result:?}");
        };
        refused(source.tensors(&[vec![place]], &mut Budget::new(8 << 30)).map(drop));
        refused(source.section(place, &mut Budget::new(8 << 30)).map(drop));
    }
}
