//! The reader of version 1. Files of this version stay readable forever: after the release this
//! changes only to compile.

use super::block::{BLOCK, SectionHeader, padding};
use crate::bytes::{Budget, Digest, Reader, crc32c, matches, sha256_each};
use crate::format::content::{self, Admission, Description, FOOTER, Part, Section, TensorRecord};
use crate::format::error::Fault;
use crate::format::inspection::{Parsed, SectionInfo, TensorInfo};
use crate::format::{FormatError, Limits, Version};
use crate::tensor::Tensor;

/// A section as it stands in the file.
struct Found<'a> {
    header: SectionHeader,
    /// `None` for one of a later minor version.
    section: Option<Section>,
    /// As messages call it.
    name: String,
    /// Of the payload.
    offset: u64,
    payload: &'a [u8],
    padding: &'a [u8],
}

/// Reads everything after the header, whose bytes are `header`.
pub(super) fn parse<'a>(
    mut reader: Reader<'a>,
    version: Version,
    header: [u8; BLOCK],
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Parsed<'a>, FormatError> {
    let (sections, sha256) = walk(&mut reader, header, budget)?;
    reader.finish("the footer").map_err(FormatError::reading("the file"))?;
    let mut admission = Admission::default();
    for found in &sections {
        let SectionHeader { id, critical, .. } = &found.header;
        admission.admit(id, *critical, &found.name, found.offset)?;
        check_checksums(found)?;
    }

    let find = |section| sections.iter().find(|found| found.section == Some(section));
    let part = |section| find(section).map(Found::part);
    let required = |section: Section| {
        find(section).ok_or_else(|| {
            let (id, rule) = (section.id().to_owned(), "is missing");
            FormatError::damaged("the file", 0, Fault::Section { id, rule })
        })
    };
    let graph = required(Section::Architecture)?.part().graph(limits, budget)?;
    let description = Description::read(graph, part, limits, budget)?;
    let (index, numbers) = (required(Section::Index)?, required(Section::Tensors)?);
    let (tensors, infos) = read_tensors(&description, index, numbers, budget)?;
    Ok(Parsed {
        version,
        sha256,
        sections: sections.iter().map(Found::info).collect(),
        tensors: infos,
        checkpoint: description.with_tensors(tensors),
    })
}

impl Found<'_> {
    fn part(&self) -> Part<'_> {
        Part { name: &self.name, offset: self.offset, bytes: self.payload }
    }

    fn info(&self) -> SectionInfo {
        SectionInfo {
            id: self.header.id.clone(),
            critical: self.header.critical,
            known: self.section.is_some(),
            file: None,
            offset: self.offset,
            length: self.header.length,
            crc32c: Some(self.header.crc32c),
            sha256: self.header.sha256,
        }
    }
}

/// Walks over the sections up to the footer, which vouches for the headers before it. Gives them
/// and the footer's digest.
fn walk<'a>(
    reader: &mut Reader<'a>,
    header: [u8; BLOCK],
    budget: &mut Budget,
) -> Result<(Vec<Found<'a>>, Digest), FormatError> {
    let mut blocks = vec![header];
    let mut sections = Vec::new();
    loop {
        let at = reader.offset();
        let (header, block) = SectionHeader::read(reader)?;
        if header.id == FOOTER {
            let sha256 = check_footer(&header, at, reader.offset(), &blocks)?;
            return Ok((sections, sha256));
        }
        // Vectors grow by doubling.
        budget.reserve(2 * (size_of::<Found<'_>>() + BLOCK) as u64, "the list of sections")?;
        blocks.push(block);
        let name = format!("section `{}`", header.id);
        let offset = reader.offset();
        let reading = FormatError::reading(&name);
        let payload = reader.take(header.length, "the payload").map_err(&reading)?;
        let zeros = padding(payload.len()).len() as u64;
        let padding = reader.take(zeros, "the padding").map_err(&reading)?;
        drop(reading);
        let section = Section::from_id(&header.id);
        sections.push(Found { section, name, offset, payload, padding, header });
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

fn check_checksums(found: &Found<'_>) -> Result<(), FormatError> {
    let Found { header, section, name, offset, payload, padding } = found;
    let damaged = |offset, fault| Err(FormatError::damaged(name, offset, fault));
    let crc = crate::bytes::crc32c_append(crc32c(payload), padding);
    if !matches(header.crc32c, crc) {
        let (what, expected) = ("the payload", header.crc32c);
        return damaged(*offset, Fault::Crc { what, expected, found: crc });
    }
    check_padding(padding, name, offset.saturating_add(header.length))?;
    // The digest of the tensors is that of their digests, which are checked one by one.
    if *section != Some(Section::Tensors) {
        let sha256 = Digest::of(payload);
        if !matches(header.sha256, sha256) {
            let (what, expected) = ("the payload".to_owned(), header.sha256);
            return damaged(*offset, Fault::Digest { what, expected, found: sha256 });
        }
    }
    Ok(())
}

fn check_padding(padding: &[u8], part: &str, offset: u64) -> Result<(), FormatError> {
    if padding.iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    Err(FormatError::damaged(part, offset, Fault::NotZero { what: "the padding" }))
}

type Tensors<'a> = Vec<(content::Expected, Tensor<'a>)>;

/// Holds the index against what the description calls for, and the numbers against the index.
fn read_tensors<'a>(
    description: &Description,
    index: &Found<'a>,
    numbers: &Found<'a>,
    budget: &mut Budget,
) -> Result<(Tensors<'a>, Vec<TensorInfo>), FormatError> {
    let all_expected = description.expected();
    let wanted = all_expected.len();
    let records: Vec<TensorRecord> =
        index.part().records("a record of the index", wanted, budget)?;
    let in_index = |fault: Fault| index.part().fault(fault);
    let found = records
        .iter()
        .map(|record| (record.role, record.name.as_str(), content::shape_of(&record.shape)));
    content::check(&all_expected, found).map_err(|error| in_index(error.into()))?;

    let mut reader = Reader::new(numbers.payload, numbers.offset);
    let reading = FormatError::reading(&numbers.name);
    let mut tensors = Vec::with_capacity(records.len());
    let mut places = Vec::with_capacity(records.len());
    for (expected, record) in all_expected.into_iter().zip(&records) {
        let (dtype, length) = content::layout(&expected, &record.dtype).map_err(&in_index)?;
        let place = reader.offset();
        let offset = place.saturating_sub(numbers.offset);
        for (what, expected, found) in [
            ("the offset of a tensor", offset, record.offset),
            ("the length of a tensor", length, record.length),
        ] {
            if expected != found {
                let (expected, found) = (expected.to_string(), found.to_string());
                return Err(in_index(Fault::Value { what, expected, found }));
            }
        }
        let bytes = reader.take(length, "a tensor").map_err(&reading)?;
        let after = reader.offset();
        let zeros = reader.take(padding(bytes.len()).len() as u64, "the padding of a tensor");
        check_padding(zeros.map_err(&reading)?, &numbers.name, after)?;
        let tensor = Tensor::new(dtype, expected.shape.clone(), bytes)
            .map_err(|error| in_index(Fault::Tensor(error)))?;
        tensors.push((expected, tensor));
        places.push((place, bytes));
    }
    reader.finish("the last tensor").map_err(&reading)?;

    let regions: Vec<&[u8]> = places.iter().map(|&(_, bytes)| bytes).collect();
    let digests = sha256_each(&regions);
    let mut infos = Vec::with_capacity(records.len());
    for (((expected, tensor), record), ((place, _), digest)) in
        tensors.iter().zip(&records).zip(places.iter().zip(&digests))
    {
        if !matches(Digest(record.sha256), *digest) {
            let (what, found) = (format!("tensor {:?}", expected.name), *digest);
            let fault = Fault::Digest { what, expected: Digest(record.sha256), found };
            return Err(FormatError::damaged(&numbers.name, *place, fault));
        }
        infos.push(TensorInfo::new(expected, tensor, None, *place, *digest));
    }
    let (expected, found) =
        (numbers.header.sha256, Digest::of_parts(digests.iter().map(|digest| digest.0.as_slice())));
    if !matches(expected, found) {
        let what = "the tensors' digests".to_owned();
        return Err(numbers.part().fault(Fault::Digest { what, expected, found }));
    }
    Ok((tensors, infos))
}
