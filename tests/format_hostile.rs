//! Files that claim more than they hold are refused at once and with little memory. One test, so
//! that the peak of the process is its own.

#![cfg(target_os = "linux")]

mod format_support;

use std::fs;
use std::time::{Duration, Instant};

use format_support::container::{Container, header_block, section_block};
use format_support::small;
use keepnet::format::*;

/// The most memory the process has held since the last reset, and holds now, in KiB.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hostile_sizes_take_little_memory_and_time() {
    let good = to_bytes(&small()).unwrap();
    let container = || Container::take_apart(&good);
    let huge = |length: u64| {
        let block = section_block("architecture", 1, length, 0, [0; 32]);
        [header_block([1, 0, 0]).as_slice(), &block, &[b'['; 256]].concat()
    };
    let index = |claim: u64, at: usize| {
        container().with("index", |section| {
            section.payload[at..at + 8].copy_from_slice(&claim.to_le_bytes());
        })
    };
    let mut many = container();
    many.section("index").payload = many.section("index").payload[..125].repeat(20_000);
    let files = [
        ("a section of 2^60 bytes", huge(1 << 60)),
        ("a section of 2^64 − 1 bytes", huge(u64::MAX)),
        ("a section of 2^64 − 63 bytes", huge(u64::MAX - 63)),
        ("a name of 2^63 bytes", index(1 << 63, 4)),
        ("2^60 dimensions", index(1 << 60, 40)),
        ("2^60 elements", index(1 << 60, 48)),
        ("20,000 records too many", many.put_together()),
        ("10^6 brackets", container().with("metadata", |s| s.payload = vec![b'['; 1_000_000])),
        ("2^57 units", container().replacing(
            "architecture",
            "\"units\": 2",
            "\"units\": 144115188075855872",
        )),
        ("a padding of 2^62", container().replacing(
            "architecture",
            "\"padding\": \"valid\"",
            "\"padding\": {\n          \"explicit\": {\n            \"top\": 4611686018427387904,\n            \"bottom\": 0,\n            \"left\": 0,\n            \"right\": 0\n          }\n        }",
        )),
        ("2^32 samples of a proof", container().with("proof", |section| {
            section.payload[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        })),
        ("2^60 slots", container().with("optimizer", |section| {
            section.payload[8..16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        })),
    ];
    for (what, bytes) in files {
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = memory("VmRSS");
        let start = Instant::now();
        let error = from_bytes(&bytes, &Limits::default()).map(drop).unwrap_err();
        let taken = start.elapsed();
        let peak = memory("VmHWM").saturating_sub(before);
        assert!(error.is_corrupt(), "{what}: {error}");
        assert!(peak < 32 * 1024, "{what}: {peak} KiB");
        assert!(taken < Duration::from_millis(50), "{what}: {taken:?}");
    }
}
