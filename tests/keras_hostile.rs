//! Files of Keras that are made to do harm (`tests/golden_keras_files/hostile`, by
//! `tests/keras/safety.py`), cut short or changed: refused at once and with little memory, or read as if
//! what is wrong were not there. All is one test, so that the peak of the process is its own.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
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

/// Loads in less than five seconds: 50 ms are the goal, but others may use the machine.
fn load(path: &Path) -> Result<Model, String> {
    let start = Instant::now();
    let loaded = Model::load_reported(path, &Limits::default());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{}: {took:?}", path.display());
    loaded.map(|(model, _)| model).map_err(|error| error.to_string())
}

/// Does what takes less than 96 MiB at any time, and tells how many KiB it took. (A text of 8 MiB may
/// take 64 more for its values.)
fn in_little_memory<T>(what: &str, work: impl FnOnce() -> T) -> (T, u64) {
    fs::write("/proc/self/clear_refs", "5").unwrap(); // resets the peak
    let before = memory("VmRSS");
    let done = work();
    let peak = memory("VmHWM").saturating_sub(before);
    assert!(peak < 96 << 10, "{what}: {peak} KiB");
    (done, peak)
}

/// What is said of each attack, whether it comes in a `.keras` file or in an `.h5` file.
const SAID: &[(&str, &str)] = &[
    ("external-storage", "a dataset whose values stand in other files (external storage)"),
    ("external-link", "is an external link, into another file, which is not followed"),
    ("soft-link", "is a soft link, which is not followed"),
    ("soft-link-circle", "is a soft link, which is not followed"),
    ("virtual", "a virtual dataset, made of others, is not supported"),
    ("shape-bomb", "9007199254740992 bytes are claimed for an array, of which 0 are stored"),
    ("shape-bomb-contiguous", "9007199254740992 bytes are claimed for an array, of which 0"),
    ("deflate-bomb", "`dense/kernel` has shape 2×3, the file holds 1024×2048"),
    ("deflate-lie", "cannot be inflated to 24 bytes"),
    ("unknown-filter", "filter 32000 (\"lzf\") is not supported"),
    ("wrong-rank", "`dense/kernel` has shape 2×3, the file holds 6"),
    ("transposed", "`dense/kernel` has shape 2×3, the file holds 3×2"),
    ("strings", "are no numbers; expected floating-point numbers"),
    ("compound", "are no numbers; expected floating-point numbers"),
    ("group", "weights"),
    ("group-circle", "lies within itself"),
    ("missing-weight", "weights"),
    ("no-weight-names", "no weights of layer `dense`"),
    ("names-outside", "no weights of layer `dense`; it was looked for at `dense/../.."),
    ("many-names", "the weights are of 1000 layers, the architecture has 1"),
    ("same-name-twice", "the weights are of 2 layers, the architecture has 1"),
    ("truncated", "the file is cut short"),
    ("not-hdf5", "not an HDF5 file"),
    ("no-superblock", "the superblock at byte 8 takes"),
    ("zip-bomb", "config.json takes 16777661 bytes, the limit is 8388608"),
    ("zip-declares-4gib", "config.json takes 4294967280 bytes, the limit is 8388608"),
    ("zip-declares-too-little", "`config.json` is damaged: Invalid size"),
    ("zip-wrong-crc", "`config.json` is damaged: Invalid checksum"),
    ("zip-offset-outside", "the archive is damaged"),
    ("zip-encrypted", "`metadata.json` is encrypted"),
    ("zip-unknown-method", "`config.json` is compressed by method 99"),
    ("zip-config-twice", "two members named `config.json`"),
    ("zip-weights-twice", "two members named `model.weights.h5`"),
    ("zip-local-name-differs", "`metadata.json` is damaged: it has another name where it lies"),
    ("zip-symlink", "is a symbolic link, which is not followed"),
    ("zip-empty", "not a model saved by keepnet but a ZIP archive"),
    ("zip-truncated", "the archive is damaged"),
    ("lambda", "layer `l` (Lambda) runs code of its own, which keepnet never does"),
    ("lambda-from-config", "layer `l` (Lambda) cannot be carried over"),
    ("module-function", "`activation` of layer `d` (Dense) is {\"class_name\":\"function\""),
    ("keras-gadget", "`activation` of layer `d` (Dense) is {\"class_name\":\"function\""),
    ("unsafe-switch", "`activation` of layer `d` (Dense) is {\"class_name\":\"function\""),
    ("module-class", "`Popen` cannot be carried over: keepnet knows no such layer"),
    ("torch-module", "layer `t` (TorchModuleWrapper) runs code of its own"),
    ("string-lookup", "layer `s` (StringLookup) cannot be carried over"),
    ("integer-lookup-url", "layer `s` (IntegerLookup) cannot be carried over"),
    ("tfsm-layer", "layer `t` (TFSMLayer) runs code of its own, which keepnet never does"),
    ("custom-class", "layer `m` (Mine) cannot be carried over: keepnet knows no such layer"),
    ("huge-units", "layer `dense` (dense) is too large"),
    ("huge-input", "layer `entry` (input) is too large"),
    ("negative-units", "`units` of layer `dense` (Dense) should be a whole number, but is -3"),
    ("fractional-units", "`units` of layer `dense` (Dense) should be a whole number, but is 2.5"),
    ("text-units", "`units` of layer `dense` (Dense) should be a whole number, but is \"3\""),
    ("zero-units", "the result 0 would be empty"),
    ("huge-kernel", "layer `c` (conv2d) cannot take an input of shape 4×4×1"),
    ("zero-strides", "window, stride and dilation must be 1 or more"),
    ("huge-padding", "layer `z` (zero_padding2d) is too large"),
    ("reshape-overflow", "`target_shape` of layer `r` (Reshape) should be dimensions"),
    ("permute-twice", "dims name axes that are not"),
    ("rank-64", "`dense/kernel` has shape"),
    ("same-layer-name", "no weights of layer `dense`"),
    ("no-layers", "the file tells no input shape"),
    ("no-config", "should be a class and its settings"),
    ("null", "should be a class and its settings, but is null"),
    ("list", "should be a class and its settings, but is [[[]]]"),
    ("graph-circle", "the layers of `net` form a circle"),
    ("graph-no-such-layer", "refers to [\"ghost\",0,0], which does not exist"),
    ("graph-no-such-node", "refers to [\"entry\",7,0], which does not exist"),
    ("graph-huge-node", "refers to [\"entry\",1152921504606846976,0], which does not exist"),
    ("graph-no-such-output", "refers to [\"ghost\",0,0], which does not exist"),
    ("graph-no-output", "the graph has no outputs"),
    ("huge-up-sampling", "layer `u` (up_sampling2d) is too large"),
    ("json-nesting", "is no JSON: recursion limit exceeded"),
    ("json-nested-models", "is no JSON: recursion limit exceeded"),
    ("json-many-layers", "no weights of layer `dense`"),
    ("json-huge-number", "is no JSON: number out of range"),
    ("json-long-name", "it is longer than 255 bytes"),
    ("json-trailing", "is no JSON: trailing characters"),
    ("json-duplicate-key", "stands twice"),
    ("json-not-utf8", "is no JSON"),
];

/// The words for a file that is refused.
fn said(name: &str) -> &'static str {
    let attack = name.rsplit_once('.').map_or(name, |(attack, _)| attack);
    let found = SAID.iter().find(|(known, _)| *known == attack);
    found.unwrap_or_else(|| panic!("nothing is to be said of {name}")).1
}

fn hostile(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden_keras_files", "hostile", name].iter().collect()
}

#[test]
fn hostile_files_take_little_memory_and_time() {
    as_the_manifest_says();
    in_little_memory("cut and flipped", cut_and_flipped);
    links_in_a_folder();
}

fn as_the_manifest_says() {
    let manifest = fs::read(hostile("manifest.json")).unwrap();
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let security = fs::read_to_string(hostile("../../../SECURITY.md")).unwrap();
    let (mut faults, mut refused) = (Vec::new(), 0);
    let (mut slowest, mut largest, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    for entry in &manifest {
        let name = entry["file"].as_str().unwrap();
        let start = Instant::now();
        let (loaded, peak) = in_little_memory(name, || load(&hostile(name)));
        slowest.push((start.elapsed(), name));
        largest.push((peak, name));
        let cve = entry["cve"].as_str().unwrap_or("-");
        println!("{cve} {name}: {}", loaded.as_ref().err().map_or("loads", |error| error));
        known.extend(entry["cve"].as_str());
        refused += usize::from(loaded.is_err());
        let fault = match (entry["refuse"].as_bool(), loaded) {
            (Some(true), Ok(_)) => format!("{name} must not {}", entry["must_not"]),
            (Some(false), Err(error)) => format!("{name} is sound: {error}"),
            (_, Err(error)) if !error.contains(said(name)) => {
                format!("{name}: {error}, and not {:?}", said(name))
            }
            (_, Err(error)) if error.len() > 1_000 => {
                format!("{name}: the message has {} bytes", error.len())
            }
            _ => continue,
        };
        faults.push(fault);
    }
    faults.extend(
        known
            .iter()
            .filter(|id| !security.contains(*id))
            .map(|id| format!("SECURITY.md does not tell of {id}")),
    );
    assert!(faults.is_empty(), "of {} files:\n{}", manifest.len(), faults.join("\n"));
    assert!(manifest.len() >= 110);
    let attacks = manifest.iter().filter(|entry| entry["refuse"] != false).count();
    slowest.sort();
    largest.sort();
    println!(
        "R8: {refused} of {attacks} hostile files refused by name, the others read as if what is \
         wrong were not there; the slowest {:?}, those of most KiB {:?}",
        &slowest[manifest.len() - 3..],
        &largest[manifest.len() - 3..],
    );
    println!("R9: {} known holes, all closed", known.len());
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

/// A folder of the members holds them itself: what lies elsewhere is not read.
fn links_in_a_folder() {
    let home = tempfile::tempdir().unwrap();
    let archive = fs::read(hostile("sound.keras")).unwrap();
    for linked in ["config.json", "metadata.json", "model.weights.h5"] {
        let folder = home.path().join(format!("{linked}.keras"));
        fs::create_dir(&folder).unwrap();
        for (name, content) in members(&archive) {
            fs::write(folder.join(name), content).unwrap();
        }
        let (inside, outside) = (folder.join(linked), home.path().join("outside"));
        fs::rename(&inside, &outside).unwrap();
        std::os::unix::fs::symlink(&outside, &inside).unwrap();
        let said = load(&folder).err();
        println!("{linked} is a symbolic link: {}", said.as_deref().unwrap_or("loads"));
        assert!(said.is_some_and(|said| said.contains("it is a symbolic link")), "{linked}");
        fs::remove_file(&inside).unwrap();
        fs::hard_link(&outside, &inside).unwrap();
        let said = load(&folder).err();
        println!("{linked} is a hard link: {}", said.as_deref().unwrap_or("loads"));
        assert!(said.is_some_and(|said| said.contains("it is a hard link")), "{linked}");
    }
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
