//! One test per MUST of `docs/FORMAT.md` and `docs/DIRECTORY.md`, named after its number, of what
//! keepnet writes and of what it refuses to read.

#[path = "../format_support/mod.rs"]
mod format_support;

mod architecture;
mod blocks;
mod compile;
mod directory;
mod hexdump;
mod limits;
mod manifest;
mod newer;
mod numbering;
mod progress;
mod records;
mod sections;
mod tensors;
mod text;
mod training;

use keepnet::SaveOptions;
use keepnet::format::to_bytes;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Files as keepnet writes them: small ones with every part and with the least, and random ones,
/// always the same.
fn written() -> Vec<Vec<u8>> {
    let small = format_support::small();
    let bare = SaveOptions::weights_only().apply(small.clone());
    let mut runner = TestRunner::deterministic();
    let random = format_support::checkpoints();
    let random = (0..40).map(|_| random.new_tree(&mut runner).unwrap().current());
    [small, bare].into_iter().chain(random).map(|model| to_bytes(&model).unwrap()).collect()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
