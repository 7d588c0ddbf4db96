//! The reader of version 1. Files of this version stay readable forever: after the release this
//! changes only to compile.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::block::{BLOCK, SectionHeader, padding_of};
use super::source::{Cursor, Place, Source, read_block};
use super::sums::Sums;
use crate::bytes::{Budget, Digest, matches};
use crate::format::content::{
    self, Admission, Description, Expected, FOOTER, Listed, Part, Section, TensorRecord,
};
use crate::format::error::Fault;
use crate::format::inspection::{Parsed, SectionInfo, TensorInfo};
use crate::format::{FormatError, Limits, Version};
use crate::tensor::{Bytes, DType, Tensor};

/// Everything that a file says but the numbers, which nobody has looked at.
pub(super) struct Outline {
    version: Version,
    sha256: Digest,
    sections: Vec<SectionInfo>,
    description: Description,
}

/// The section of the tensors: what stands where, and what its checksums should be.
#[derive(Debug)]
pub(super) struct Numbers {
    /// As messages call it.
    name: String,
    place: Place,
    header: SectionHeader,
    tensors: Vec<Planned>,
}

/// A tensor whose record agrees with the description.
#[derive(Debug)]
struct Planned {
    tensor: Expected,
    /// Else it is passed over.
    known: bool,
    dtype: DType,
    place: Place,
    sha256: Digest,
}

/// A section as it stands in the file.
struct Found {
    header: SectionHeader,
    /// `None` for one of a later minor version.
    section: Option<Section>,
    /// As messages call it.
    name: String,
    /// Of the payload.
    place: Place,
}

/// Reads and checks everything after the header, whose bytes are `header`.
pub(super) fn parse<'a>(
    source: &impl Source<'a>,
    version: Version,
    header: [u8; BLOCK],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Parsed<'a>, FormatError> {
    let (outline, numbers) = outline(source, version, header, limits, budget)?;
    let tensors = source.tensors(&numbers.groups(), budget)?;
    let (contents, sums): (Vec<_>, Vec<_>) = tensors.into_iter().unzip();
    numbers.check(&sums)?;
    outline.with_tensors(&numbers, contents)
}

/// Reads and checks everything but the tensors' bytes.
pub(super) fn outline<'a>(
    source: &impl Source<'a>,
    version: Version,
    header: [u8; BLOCK],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<(Outline, Numbers), FormatError> {
    let mut cursor = Cursor::new(Place { offset: 0, length: source.length() });
    cursor.pass(BLOCK as u64, "the block").map_err(FormatError::reading("the header"))?;
    let (sections, sha256) = walk(source, &mut cursor, header, limits, budget)?;
    cursor.finish("the footer").map_err(FormatError::reading("the file"))?;
    let mut admission = Admission::default();
    let mut payloads = Vec::with_capacity(sections.len());
    for found in &sections {
        let SectionHeader { id, critical, .. } = &found.header;
        admission.admit(id, *critical, &found.name, found.place.offset)?;
        payloads.push(found.payload(source, budget)?);
    }

    let find = |section| {
        let position = sections.iter().position(|found| found.section == Some(section))?;
        sections.get(position).zip(payloads.get(position))
    };
    let part = |section| find(section).map(|(found, payload)| found.part(payload));
    let required = |section: Section| {
        find(section).ok_or_else(|| {
            let (id, rule) = (section.id().to_owned(), "is missing");
            FormatError::damaged("the file", 0, Fault::Section { id, rule })
        })
    };
    let (found, payload) = required(Section::Architecture)?;
    let graph = found.part(payload).graph(limits, budget)?;
    let description = Description::read(graph, part, limits, budget)?;
    let (index, records) = required(Section::Index)?;
    let (numbers, _) = required(Section::Tensors)?;
    let unknown = sections.iter().filter(|found| found.section.is_none());
    let unknown: BTreeSet<_> = unknown.map(|found| found.header.id.as_str()).collect();
    let (mut kept, mut all) = (0, 0);
    let wanted = |record: &TensorRecord| {
        let passed = description.passes_over(record.role, &unknown).is_ok_and(|passed| passed);
        kept += u64::from(!passed);
        all += 1;
        kept <= description.tensor_count() && all <= limits.tensors
    };
    let records = index.part(records).records("a record of the index", wanted, budget)?;
    limits.check_tensors(records.len() as u64)?;
    let numbers = Numbers::new(&description, &index.part(&[]), records, &unknown, numbers)?;
    let sections = sections.iter().map(|found| found.info(&description)).collect();
    Ok((Outline { version, sha256, sections, description }, numbers))
}

impl Found {
    /// Checks the payload, and gives it if it means something. That of the tensors is none to be
    /// read whole.
    fn payload<'a>(
        &self,
        source: &impl Source<'a>,
        budget: &mut Budget,
    ) -> Result<Cow<'a, [u8]>, FormatError> {
        let nothing = Cow::Borrowed([].as_slice());
        let (payload, sums) = match self.section {
            Some(Section::Tensors) => return Ok(nothing),
            Some(_) => source.section(self.place, budget)?,
            None => (nothing, source.sums(self.place)?),
        };
        check_crc(&self.header, &[sums], &self.name, self.place.offset)?;
        if !sums.padding_is_zero {
            return Err(padding_fault(&self.name, self.place));
        }
        let (expected, found) = (self.header.sha256, sums.sha256);
        if !matches(expected, found) {
            let what = "the payload".to_owned();
            let fault = Fault::Digest { what, expected, found };
            return Err(FormatError::damaged(&self.name, self.place.offset, fault));
        }
        Ok(payload)
    }

    fn part<'p>(&'p self, bytes: &'p [u8]) -> Part<'p> {
        Part { name: &self.name, offset: self.place.offset, bytes }
    }

    fn info(&self, description: &Description) -> SectionInfo {
        SectionInfo {
            id: self.header.id.clone(),
            critical: self.header.critical,
            known: self.section.is_some_and(|section| !description.passes(section)),
            file: None,
            offset: self.place.offset,
            length: self.header.length,
            crc32c: Some(self.header.crc32c),
            sha256: self.header.sha256,
        }
    }
}

/// Walks over the sections up to the footer, which vouches for the headers before it. Gives them
/// and the footer's digest.
fn walk<'a>(
    source: &impl Source<'a>,
    cursor: &mut Cursor,
    header: [u8; BLOCK],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<(Vec<Found>, Digest), FormatError> {
    let mut blocks = vec![header];
    let mut sections = Vec::new();
    loop {
        let at = cursor.offset();
        let (header, block) = read_block(source, at, SectionHeader::read)?;
        cursor.pass(BLOCK as u64, "the block").map_err(FormatError::reading("a section header"))?;
        if header.id == FOOTER {
            let sha256 = check_footer(&header, at, cursor.offset(), &blocks)?;
            return Ok((sections, sha256));
        }
        limits.check_sections(sections.len() as u64 + 1)?;
        // Vectors grow by doubling.
        budget.reserve(2 * (size_of::<Found>() + BLOCK) as u64, "the list of sections")?;
        blocks.push(block);
        let name = format!("section `{}`", header.id);
        let place = Place { offset: cursor.offset(), length: header.length };
        let reading = FormatError::reading(&name);
        cursor.pass(header.length, "the payload").map_err(&reading)?;
        cursor.pass(padding_of(header.length), "the padding").map_err(&reading)?;
        drop(reading);
        let section = Section::from_id(&header.id);
        sections.push(Found { section, name, place, header });
    }
}

fn check_footer(
    footer: &SectionHeader,
    at: u64,
    end: u64,
    blocks: &[[u8; BLOCK]],
) -> Result<Digest, FormatError> {
    let damaged = |fault| Err(FormatError::damaged("the footer", at, fault));
    let value = |what, expected: u64, found: u64| {
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(FormatError::damaged("the footer", at, Fault::Value { what, expected, found }))
    };
    if !footer.critical {
        return value("the flags", 1, 0);
    }
    if footer.crc32c != 0 {
        return value("the unused CRC-32C", 0, footer.crc32c.into());
    }
    if footer.length != end {
        return value("the length of the file", end, footer.length);
    }
    let (expected, found) = (footer.sha256, Digest::of(blocks.as_flattened()));
    if !matches(expected, found) {
        let what = "the header and all section headers".to_owned();
        return damaged(Fault::Digest { what, expected, found });
    }
    Ok(expected)
}

fn check_crc(
    header: &SectionHeader,
    regions: &[Sums],
    part: &str,
    offset: u64,
) -> Result<(), FormatError> {
    let (what, expected, found) = ("the payload", header.crc32c, Sums::crc32c(regions));
    if matches(expected, found) {
        return Ok(());
    }
    Err(FormatError::damaged(part, offset, Fault::Crc { what, expected, found }))
}

fn padding_fault(part: &str, place: Place) -> FormatError {
    let offset = place.offset.saturating_add(place.length);
    FormatError::damaged(part, offset, Fault::NotZero { what: "the padding" })
}

impl Numbers {
    /// Holds the index against what the description calls for, and against the section.
    fn new(
        description: &Description,
        index: &Part<'_>,
        records: Vec<TensorRecord>,
        unknown: &BTreeSet<&str>,
        numbers: &Found,
    ) -> Result<Self, FormatError> {
        let found: Vec<_> = records
            .iter()
            .map(|record| (record.role, record.name.as_str(), content::shape_of(&record.shape)))
            .collect();
        let listed = description.listed(&found, unknown).map_err(|error| index.fault(error))?;

        let mut cursor = Cursor::new(numbers.place);
        let reading = FormatError::reading(&numbers.name);
        let mut tensors = Vec::with_capacity(records.len());
        for (record, Listed { tensor, known }) in records.iter().zip(listed) {
            let layout = content::layout(&tensor, &record.dtype);
            let (dtype, length) = layout.map_err(|fault| index.fault(fault))?;
            let place = Place { offset: cursor.offset(), length };
            let offset = place.offset.saturating_sub(numbers.place.offset);
            for (what, expected, found) in [
                ("the offset of a tensor", offset, record.offset),
                ("the length of a tensor", length, record.length),
            ] {
                if expected != found {
                    let (expected, found) = (expected.to_string(), found.to_string());
                    return Err(index.fault(Fault::Value { what, expected, found }));
                }
            }
            cursor.pass(length, "a tensor").map_err(&reading)?;
            cursor.pass(padding_of(length), "the padding of a tensor").map_err(&reading)?;
            tensors.push(Planned { tensor, known, dtype, place, sha256: Digest(record.sha256) });
        }
        cursor.finish("the last tensor").map_err(&reading)?;
        let (name, place) = (numbers.name.clone(), numbers.place);
        Ok(Self { name, place, header: numbers.header.clone(), tensors })
    }

    /// Where the tensors stand; those of one role, which a model keeps together, in one group.
    pub(super) fn groups(&self) -> Vec<Vec<Place>> {
        let groups = self.tensors.chunk_by(|a, b| a.tensor.role == b.tensor.role);
        groups.map(|group| group.iter().map(|planned| planned.place).collect()).collect()
    }

    /// Holds the checksums of the tensors, in their order, against those that the file gives.
    pub(super) fn check(&self, sums: &[Sums]) -> Result<(), FormatError> {
        let damaged = |offset, fault| Err(FormatError::damaged(&self.name, offset, fault));
        check_crc(&self.header, sums, &self.name, self.place.offset)?;
        let pairs = || self.tensors.iter().zip(sums);
        if let Some((planned, _)) = pairs().find(|(_, sums)| !sums.padding_is_zero) {
            return Err(padding_fault(&self.name, planned.place));
        }
        for (planned, sums) in pairs() {
            let (expected, found) = (planned.sha256, sums.sha256);
            if !matches(expected, found) {
                let what = format!("tensor {:?}", planned.tensor.name);
                return damaged(planned.place.offset, Fault::Digest { what, expected, found });
            }
        }
        let digests = sums.iter().map(|sums| sums.sha256.0.as_slice());
        let (expected, found) = (self.header.sha256, Digest::of_parts(digests));
        if !matches(expected, found) {
            let what = "the tensors' digests".to_owned();
            return damaged(self.place.offset, Fault::Digest { what, expected, found });
        }
        Ok(())
    }
}

impl Outline {
    /// All of it, with the bytes of the tensors in their order.
    pub(super) fn with_tensors<'a>(
        self,
        numbers: &Numbers,
        contents: Vec<Bytes<'a>>,
    ) -> Result<Parsed<'a>, FormatError> {
        let Self { version, sha256, sections, description } = self;
        let mut tensors = Vec::with_capacity(contents.len());
        let mut infos = Vec::with_capacity(contents.len());
        for (planned, bytes) in numbers.tensors.iter().zip(contents) {
            let Planned { tensor: expected, known, dtype, place, sha256 } = planned;
            if !known {
                continue;
            }
            let tensor = Tensor::of(*dtype, expected.shape.clone(), bytes).map_err(|error| {
                FormatError::damaged(&numbers.name, place.offset, Fault::Tensor(error))
            })?;
            infos.push(TensorInfo::new(expected, &tensor, None, place.offset, *sha256));
            tensors.push((expected.clone(), tensor));
        }
        let checkpoint = description.with_tensors(tensors);
        Ok(Parsed::new(version, sha256, sections, infos, checkpoint))
    }
}
