//! Models as a later keepnet may write them: readers of today pass over what they do not know.

use keepnet::format::to_bytes;

use super::container::{Container, Section, sha256};
use super::small;

/// The small model with this section in a newer schema, which says something else, and spells it as no
/// text that is known here.
pub fn newer_schema(id: &str) -> Vec<u8> {
    let later = "\"schema\":  3,\n  \"anything\": [ null]";
    let mut container = Container::take_apart(&to_bytes(&small()).unwrap());
    container.version = [1, 3, 0];
    container.replacing(id, "\"schema\": 1", later)
}

/// The record of a tensor of role 4 with these numbers, at `offset`.
fn record(section: &str, offset: u64, numbers: &[u8]) -> Vec<u8> {
    let mut id = section.as_bytes().to_vec();
    id.resize(12, 0);
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let length = numbers.len() as u64;
    [
        &4_u32.to_le_bytes()[..],
        &id,
        &0_u32.to_le_bytes(),
        &text("averages"),
        &text("uint8"),
        &1_u64.to_le_bytes(),
        &length.to_le_bytes(),
        &offset.to_le_bytes(),
        &length.to_le_bytes(),
        &sha256(numbers),
    ]
    .concat()
}

/// The small model with a section that today's readers do not know, and a tensor that names `owner` as
/// its section.
pub fn with_tensor_of(owner: &str) -> Container {
    let mut container = Container::take_apart(&to_bytes(&small()).unwrap());
    container.version = [1, 3, 0];
    container.sections.insert(1, Section::new("ema", false, b"of a later version"));
    let numbers = [7; 70];
    let offset = container.section("tensors").payload.len() as u64;
    let index = &mut container.section("index").payload;
    index.extend(record(owner, offset, &numbers));
    let digests = digests(index);
    let tensors = container.section("tensors");
    tensors.payload.extend(numbers);
    tensors.payload.resize(tensors.payload.len().next_multiple_of(64), 0);
    tensors.digest = Some(sha256(&digests));
    container
}

/// The digests at the ends of the records, one after the other.
fn digests(index: &[u8]) -> Vec<u8> {
    let u64_at = |at: usize| u64::from_le_bytes(index[at..at + 8].try_into().unwrap()) as usize;
    let (mut at, mut digests) = (0, Vec::new());
    while at < index.len() {
        at += [4, 8, 4, 8, 20][usize::from(index[at])];
        at += 8 + u64_at(at);
        at += 8 + u64_at(at);
        at += 8 + 8 * u64_at(at) + 16 + 32;
        digests.extend(&index[at - 32..at]);
    }
    digests
}
