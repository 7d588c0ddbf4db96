//! Files of Keras that are made to do harm (`tests/golden_keras_files/hostile`, by
//! `tests/keras/safety.py`), cut short or changed: refused at once and with little memory, or read as if
//! what is wrong were not there. All is one test, so that the peak of the process is its own.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keepnet::Model;
use keepnet::format::Limits;
use serde_json::Value;

/// The most memory the process has held since the last reset, or holds now, in KiB.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Loads in less than a second.
fn load(path: &Path) -> Result<Model, String> {
    let start = Instant::now();
    let loaded = Model::load_reported(path, &Limits::default());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{}: {took:?}", path.display());
    loaded.map(|(model, _)| model).map_err(|error| error.to_string())
}

/// Does what takes less than 64 MiB at any time.
fn in_little_memory<T>(what: &str, work: impl FnOnce() -> T) -> T {
    fs::write("/proc/self/clear_refs", "5").unwrap(); // resets the peak
    let before = memory("VmRSS");
    let done = work();
    let peak = memory("VmHWM").saturating_sub(before);
    assert!(peak < 64 << 10, "{what}: {peak} KiB");
    done
}

fn hostile(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden_keras_files", "hostile", name].iter().collect()
}

#[test]
fn hostile_files_take_little_memory_and_time() {
    as_the_manifest_says();
    in_little_memory("cut and flipped", cut_and_flipped);
}

fn as_the_manifest_says() {
    let manifest = fs::read(hostile("manifest.json")).unwrap();
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let mut faults = Vec::new();
    for entry in &manifest {
        let name = entry["file"].as_str().unwrap();
        let loaded = in_little_memory(name, || load(&hostile(name)));
        println!("{name}: {}", loaded.as_ref().err().map_or("loads", |error| error));
        let fault = match (entry["refuse"].as_bool(), loaded) {
            (Some(true), Ok(_)) => format!("{name} must not {}", entry["must_not"]),
            (Some(false), Err(error)) => format!("{name} is sound: {error}"),
            _ => continue,
        };
        faults.push(fault);
    }
    assert!(faults.is_empty(), "of {} files:\n{}", manifest.len(), faults.join("\n"));
    assert!(manifest.len() >= 110);
}

/// Every length that sound files can be cut to, and every bit of their configurations.
fn cut_and_flipped() {
    let home = tempfile::tempdir().unwrap();
    for name in ["sound.keras", "sound.h5"] {
        let (sound, path) = (fs::read(hostile(name)).unwrap(), home.path().join(name));
        fs::write(&path, &sound).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        for length in (0..sound.len()).rev() {
            file.set_len(length as u64).unwrap();
            assert!(load(&path).is_err(), "{name} cut to {length}");
        }
        println!("{name}: {} cuts", sound.len());
    }
    let archive = fs::read(hostile("sound.keras")).unwrap();
    let h5 = fs::read(hostile("sound.h5")).unwrap();
    let json = b"{\"class_name\"";
    let start = h5.windows(json.len()).position(|window| window == json).unwrap();
    let mut values = serde_json::Deserializer::from_slice(&h5[start..]).into_iter::<Value>();
    assert!(values.next().unwrap().unwrap()["config"].is_object());
    let end = start + values.byte_offset();
    flipped("model_config", &home.path().join("flipped.h5"), &h5, start..end, load);
    // Unpacked, an archive has no checksum.
    let folder = home.path().join("unpacked.keras");
    fs::create_dir(&folder).unwrap();
    for (name, content) in members(&archive) {
        fs::write(folder.join(name), content).unwrap();
    }
    load(&folder).unwrap();
    let path = folder.join("config.json");
    let config = fs::read(&path).unwrap();
    flipped("config.json", &path, &config, 0..config.len(), |_| load(&folder));
}

/// Flips every bit of a part of a file. Some load: another name of a layer is as good.
fn flipped(
    what: &str,
    path: &Path,
    sound: &[u8],
    part: Range<usize>,
    load: impl Fn(&Path) -> Result<Model, String>,
) {
    fs::write(path, sound).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    let bits = 8 * part.start..8 * part.end;
    let loads = bits.clone().filter(|&bit| {
        let byte = sound[bit / 8];
        let put = |byte| file.write_all_at(&[byte], (bit / 8) as u64).unwrap();
        put(byte ^ 1 << (bit % 8));
        let loads = load(path).is_ok();
        put(byte);
        loads
    });
    let (loaded, flips) = (loads.count(), bits.len());
    println!("{what}: {loaded} of {flips} flips load");
    assert!(loaded < flips / 2, "{what}: {loaded} of {flips} flips load");
}

/// Names and contents of the members of an archive that Python wrote, by their local headers.
fn members(mut archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut members = Vec::new();
    while archive.starts_with(b"PK\x03\x04") {
        let number = |at| usize::from(u16::from_le_bytes([archive[at], archive[at + 1]]));
        let (packed, name, extra) = (number(18), number(26), number(28));
        let (header, rest) = archive.split_at(30 + name + extra);
        let mut content = Vec::new();
        flate2::read::DeflateDecoder::new(&rest[..packed]).read_to_end(&mut content).unwrap();
        members.push((String::from_utf8(header[30..30 + name].to_vec()).unwrap(), content));
        archive = &rest[packed..];
    }
    assert_eq!(members.len(), 3);
    members
}
