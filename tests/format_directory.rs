//! Every change in the directory form shows. The single rules have their tests in `format_musts`.

mod format_support;

use std::fs;
use std::os::unix::fs::FileExt;

use format_support::refusal::{files, saved};
use keepnet::format::*;

#[test]
fn every_changed_byte_of_every_file_is_refused() {
    let (_home, path) = saved();
    load(&path, &Limits::default()).unwrap();
    for file in files(&path) {
        let good = fs::read(&file).unwrap();
        // Changed in place: truncating a file makes some file systems flush it each time.
        let handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
        for (at, &byte) in good.iter().enumerate() {
            for change in [1 << (at % 8), 0xFF] {
                handle.write_all_at(&[byte ^ change], at as u64).unwrap();
                assert!(
                    load(&path, &Limits::default()).is_err(),
                    "{} byte {at} xor {change:02x}",
                    file.display()
                );
            }
            handle.write_all_at(&[byte], at as u64).unwrap();
        }
        for length in (0..good.len()).rev().step_by(7) {
            handle.set_len(length as u64).unwrap();
            assert!(load(&path, &Limits::default()).is_err(), "{} cut to {length}", file.display());
        }
        handle.write_all_at(&[good.as_slice(), b"\n"].concat(), 0).unwrap();
        assert!(load(&path, &Limits::default()).is_err(), "{} with a byte more", file.display());
        handle.set_len(good.len() as u64).unwrap();
    }
    load(&path, &Limits::default()).unwrap();
}
