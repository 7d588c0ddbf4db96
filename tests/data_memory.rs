//! A set is read into the memory it stays in. One test in a process of its own, because it measures
//! the whole process.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use keepnet::train::data::mnist;

const MIB: u64 = 1 << 20;

/// The largest resident set this process has had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// An IDX file of zeros, packed; written through a small buffer.
fn write(dir: &Path, name: &str, header: &[u8], bytes: u64) {
    let file = File::create(dir.join(name)).unwrap();
    let mut out = GzEncoder::new(file, Compression::fast());
    out.write_all(header).unwrap();
    io::copy(&mut io::repeat(0).take(bytes), &mut out).unwrap();
    out.finish().unwrap();
}

/// A set as large as MNIST takes 54,950,000 bytes; a second copy would take 47 million more.
#[test]
fn a_set_as_large_as_mnist_is_held_once() {
    let dir = tempfile::tempdir().unwrap();
    for (images, labels, count) in [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", 60_000_u32),
        ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", 10_000),
    ] {
        let extents = [count, 28, 28].map(u32::to_be_bytes).concat();
        write(dir.path(), images, &[&[0, 0, 8, 3][..], &extents].concat(), u64::from(count) * 784);
        write(dir.path(), labels, &[&[0, 0, 8, 1][..], &extents[..4]].concat(), count.into());
    }
    let before = peak();
    let split = mnist::from_dir(dir.path()).unwrap();
    let grown = peak() - before;
    assert_eq!((split.train.len(), split.validation.len()), (60_000, 10_000));
    assert!(grown < 60 * MIB, "reading took {} MiB", grown / MIB);
}
