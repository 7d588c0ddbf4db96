//! Writes what the fuzzer starts from into `fuzz/corpus/`: one sound input of each kind, and some that
//! are nearly so. What is committed as `fuzz/seeds/` is this, and what fuzzing found besides,
//! minimised (`fuzz/run seeds`).

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use keepnet::bytes::Budget;
use keepnet::format::{Format, Limits, load, save, to_bytes};
use keepnet::wire::png::{Image, write_png};
use keepnet::wire::{hdf5, zip};
use keepnet_fuzz::{checkpoint, format_support::small, scratch};

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let put = |targets: &[&str], name: &str, bytes: &[u8]| {
        for target in targets {
            fs::create_dir_all(corpus.join(target)).expect("a folder");
            fs::write(corpus.join(target).join(name), bytes).expect("a file");
        }
    };

    const FILES: &[&str] = &["read_file", "inspect_agrees", "run_model"];
    put(FILES, "small", &to_bytes(&small()).expect("a sound model"));
    for number in 0..24_u8 {
        let chance = [number];
        put(&["write_model"], &format!("chance-{number}"), &chance);
        if let Some(checkpoint) = checkpoint(&chance) {
            let bytes = to_bytes(&checkpoint).expect("a sound model");
            put(FILES, &format!("any-{number}"), &bytes);
        }
    }
    let directory = scratch().join("seed");
    save(&small(), &directory, Format::Directory).expect("a sound model");
    load(&directory, &Limits::default()).expect("just saved");
    let manifest = fs::read(directory.join("manifest.json")).expect("just saved");
    put(&["read_directory", "inspect_agrees"], "manifest", &manifest);

    let idx = |code: u8, values: &[u8]| [&[0, 0, code, 1, 0, 0, 0, 2], values].concat();
    for (code, size) in [(8, 1), (9, 1), (0x0b, 2), (0x0c, 4), (0x0d, 4), (0x0e, 8)] {
        let plain = idx(code, &vec![0x3f; 2 * size]);
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&plain).expect("memory");
        let packed = packed.finish().expect("memory");
        for (name, bytes) in [("plain", plain), ("packed", packed)] {
            put(&["read_idx"], &format!("{name}-{code}"), &bytes);
            let split = [&[3, 1, 2, 7], bytes.as_slice()].concat();
            put(&["split_idx"], &format!("{name}-{code}"), &split);
        }
    }

    let arrays = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data_npy");
    for entry in fs::read_dir(arrays).expect("arrays").flatten() {
        let name = entry.file_name().into_string().expect("a plain name");
        if let Some(name) = name.strip_suffix(".npy") {
            put(&["read_npy"], name, &fs::read(entry.path()).expect("an array"));
        }
    }

    // What is longer says little more.
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/hdf5");
    for home in [files.clone(), files.join("refused")] {
        for entry in fs::read_dir(home).expect("files").flatten() {
            let name = entry.file_name().into_string().expect("a plain name");
            if let Some(name) = name.strip_suffix(".h5") {
                let bytes = fs::read(entry.path()).expect("a file");
                if bytes.len() <= 16_384 {
                    put(&["read_hdf5"], name, &bytes);
                }
            }
        }
    }

    keras(&put);

    for (name, channels) in [("gray", 1), ("rgb", 3)] {
        let pixels: Vec<u8> = (0_u8..=255).step_by(13).cycle().take(5 * 4 * channels).collect();
        let image = Image::new(5, 4, channels, pixels).expect("a small picture");
        put(&["read_png"], name, &write_png(&image));
    }
}

/// Small files of Keras: as they are, and their configurations alone.
fn keras(put: &dyn Fn(&[&str], &str, &[u8])) {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden_keras_files");
    let files = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("files").flatten().map(|entry| entry.path());
        let mut paths: Vec<_> = entries.collect();
        paths.sort();
        paths
    };
    for folder in files(&home).iter().filter(|path| path.is_dir()) {
        for path in files(folder) {
            let of = |path: &Path| path.file_stem()?.to_str().map(str::to_owned);
            let (Some(folder), Some(file)) = (of(folder), of(&path)) else { continue };
            let bytes = fs::read(&path).expect("a file");
            let extension = path.extension().and_then(|extension| extension.to_str());
            let name = match extension {
                Some("h5") => format!("{folder}-{file}-h5"),
                Some("keras") => format!("{folder}-{file}"),
                _ => continue,
            };
            if bytes.len() <= 16_384 {
                put(&["read_keras"], &name, &bytes);
                if extension == Some("keras") && bytes.len() <= 4_096 {
                    put(&["read_zip"], &name, &bytes);
                }
            }
            if let Some(config) = config(&bytes).filter(|config| config.len() <= 16_384) {
                put(&["read_keras_config"], &name, &config);
            }
        }
    }
}

fn config(bytes: &[u8]) -> Option<Vec<u8>> {
    let budget = &mut Budget::new(1 << 24);
    if let Ok(archive) = zip::Archive::read(bytes) {
        return Some(archive.get("config.json", budget).ok()??.into_owned());
    }
    let root = hdf5::read(bytes, budget).ok()?;
    Some(root.attributes.get("model_config")?.as_text()?.as_bytes().to_vec())
}
