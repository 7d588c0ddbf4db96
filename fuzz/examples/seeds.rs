//! Writes what the fuzzer starts from into `fuzz/corpus/`: one sound input of each kind, and some that
//! are nearly so. What is committed as `fuzz/seeds/` is this, and what fuzzing found besides,
//! minimised (`fuzz/run seeds`).

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use keepnet::bytes::Budget;
use keepnet::format::safetensors::Layout;
use keepnet::format::{Format, Limits, SaveOptions, load, save, save_reported, to_bytes};
use keepnet::wire::png::{Image, write_png};
use keepnet::wire::safetensors::read;
use keepnet::wire::tensorflow::{SavedMetadata, decode};
use keepnet::wire::{hdf5, zip};
use keepnet_fuzz::{SAVEDMODEL, checkpoint, format_support::small, savedmodel_with, scratch};

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

    let onnx = scratch().join("seed.onnx");
    save(&small(), &onnx, Format::Onnx).expect("a sound model");
    put(&["read_onnx"], "small", &fs::read(&onnx).expect("just saved"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden_onnx");
    for entry in fs::read_dir(golden).expect("files").flatten() {
        let name = entry.file_name().into_string().expect("a plain name");
        if let Some(name) = name.strip_suffix(".onnx") {
            put(&["read_onnx"], name, &fs::read(entry.path()).expect("a file"));
        }
    }

    // Before any is replaced, all are whole.
    let model = savedmodel_with(0, b"");
    let home = model.parent().expect("a folder of both");
    for (which, (model, name)) in SAVEDMODEL.into_iter().enumerate() {
        let bytes = match which {
            0 => old_model(&fs::read(home.join("keras/keras_metadata.pb")).expect("just copied")),
            _ => fs::read(home.join(model).join(name)).expect("just saved"),
        };
        let named = format!("{model}-{}", name.replace('/', "-"));
        put(&["read_savedmodel"], &named, &[&[which as u8], bytes.as_slice()].concat());
        if name.ends_with(".index") {
            put(&["read_table"], &named, &bytes);
        }
    }

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
    safetensors(&put);

    for (name, channels) in [("gray", 1), ("rgb", 3)] {
        let pixels: Vec<u8> = (0_u8..=255).step_by(13).cycle().take(5 * 4 * channels).collect();
        let image = Image::new(5, 4, channels, pixels).expect("a small picture");
        put(&["read_png"], name, &write_png(&image));
    }
}

/// A small model in both layouts, its weights alone, and a file of Python.
fn safetensors(put: &dyn Fn(&[&str], &str, &[u8])) {
    const TARGET: &[&str] = &["read_safetensors"];
    let path = scratch().join("seed.safetensors");
    let bare = SaveOptions::weights_only().apply(small());
    for layout in [Layout::Keras, Layout::Torch] {
        for (name, checkpoint) in [("whole", &small()), ("bare", &bare)] {
            save_reported(checkpoint, &path, Format::Safetensors, layout).expect("a sound model");
            let bytes = fs::read(&path).expect("just saved");
            put(TARGET, &format!("{name}-{}", layout.name()), &bytes);
            let mut file = read(&bytes, &mut Budget::new(1 << 24)).expect("just saved");
            file.metadata.clear();
            let alone = file.to_pieces().expect("just read").concat();
            put(TARGET, &format!("{name}-{}-alone", layout.name()), &alone);
        }
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/safetensors");
    let golden = golden.join("golden.safetensors");
    put(TARGET, "python", &fs::read(golden).expect("a file"));
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

/// A `saved_model.pb` with the metadata of Keras of its root, and nothing else.
fn old_model(metadata: &[u8]) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let length = content.len();
        let [low, high] = [(length & 0x7F) as u8 | 0x80, (length >> 7) as u8 & 0x7F];
        [&[number << 3 | 2, low, high], content].concat()
    };
    let found: SavedMetadata =
        decode(metadata, "the metadata", &mut Budget::new(1 << 30)).expect("sound metadata");
    let root = found.nodes.first().expect("a root");
    let root = [field(1, root.identifier.as_bytes()), field(3, root.metadata.as_bytes())].concat();
    let objects = field(1, &field(4, &root));
    [vec![0x08, 0x01], field(2, &field(7, &objects))].concat()
}
