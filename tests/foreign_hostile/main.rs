//! ONNX files, SavedModels and files of safetensors that are made to do harm: each is refused with the reason
//! named, at once and with little memory, or read as if what is wrong were not there. All is one test, so
//! that what is allocated is allocated for the file in hand.

#[path = "../format_support/mod.rs"]
mod format_support;
mod messages;
mod onnx;
#[path = "../peak_memory/mod.rs"]
mod peak_memory;
mod safetensors;
mod savedmodel;

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use keepnet::Model;

/// What was tried.
#[derive(Default)]
struct Tried {
    refused: usize,
    read: usize,
    faults: Vec<String>,
    slowest: Vec<(Duration, String)>,
    largest: Vec<(u64, String)>,
}

impl Tried {
    /// Loads within 32 MiB and 16 times the bytes of the file. 50 ms are the goal, but others may use the machine.
    fn measured<T, E: Display>(
        &mut self,
        what: &str,
        path: &Path,
        load: impl FnOnce() -> Result<T, E>,
    ) -> Result<(), String> {
        let (start, length) = (Instant::now(), size(path));
        let (loaded, peak) = peak_memory::peak(|| load().map(drop));
        let took = start.elapsed();
        let loaded = loaded.map_err(|error| error.to_string());
        println!("{what}: {took:?}, {} KiB: {loaded:?}", peak >> 10);
        if peak > (32 << 20) + 16 * length {
            self.faults.push(format!("{what} takes {peak} bytes"));
        }
        if took > Duration::from_secs(5) {
            self.faults.push(format!("{what} takes {took:?}"));
        }
        self.slowest.push((took, what.to_owned()));
        self.largest.push((peak, what.to_owned()));
        loaded
    }

    fn refused_by<T, E: Display>(
        &mut self,
        what: &str,
        path: &Path,
        reason: &str,
        load: impl FnOnce() -> Result<T, E>,
    ) {
        match self.measured(what, path, load) {
            Ok(()) => self.faults.push(format!("{what} is read")),
            Err(error) if error.contains(reason) => self.refused += 1,
            Err(error) => self.faults.push(format!("{what}: {error}, and not {reason}")),
        }
    }

    fn refused(&mut self, what: &str, path: &Path, reason: &str) {
        self.refused_by(what, path, reason, || Model::load(path));
    }

    /// What is wrong is nothing that keepnet looks at.
    fn read(&mut self, what: &str, path: &Path) {
        let loaded = self.measured(what, path, || Model::load(path));
        match loaded {
            Ok(()) => self.read += 1,
            Err(error) => self.faults.push(format!("{what} is sound: {error}")),
        }
    }

    /// What it came to; tells what is wrong.
    fn finish(mut self, of: &str) -> Vec<String> {
        self.slowest.sort();
        self.largest.sort();
        let (slowest, largest) = (self.slowest.pop().unwrap(), self.largest.pop().unwrap());
        println!(
            "R8, R9, {of}: {} hostile files refused by name, {} read as if what is wrong were not there; the slowest \
             {slowest:?}, the one of most bytes {largest:?}",
            self.refused, self.read,
        );
        self.faults
    }
}

/// Bytes of a file, or of all in a folder.
fn size(path: &Path) -> u64 {
    let stat = fs::metadata(path).unwrap();
    if !stat.is_dir() {
        return stat.len();
    }
    fs::read_dir(path).unwrap().map(|entry| size(&entry.unwrap().path())).sum()
}

#[test]
fn hostile_files_take_little_memory_and_time() {
    let mut faults = Vec::new();
    type Try = fn(&mut Tried);
    let all: [(&str, Try); 3] = [
        ("ONNX", onnx::try_all),
        ("SavedModel", savedmodel::try_all),
        ("safetensors", safetensors::try_all),
    ];
    for (of, try_all) in all {
        let mut tried = Tried::default();
        try_all(&mut tried);
        faults.extend(tried.finish(of));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    messages::take_no_more_than_the_limit();
    let security = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    let security = fs::read_to_string(security).unwrap();
    for id in onnx::KNOWN.iter().chain(savedmodel::KNOWN).chain(safetensors::KNOWN) {
        assert!(security.contains(id), "SECURITY.md does not tell of {id}");
    }
}
