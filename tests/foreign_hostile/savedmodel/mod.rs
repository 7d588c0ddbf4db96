//! SavedModels: graphs that reach for files and functions without end, bundles that lie, links.

mod bundle;
mod graph;

use std::fs;
use std::path::{Path, PathBuf};

use keepnet::Model;
use keepnet::bytes::Digest;
use keepnet::format::{Format, save};
use keepnet::wire::tensorflow::{SavedMetadata, SavedModel};
use prost::Message;
use prost::encoding::encode_varint;

use super::Tried;
use super::format_support::small;
use bundle::{changed_index, entries, tables, texts};
use graph::{attributes, constants, edited, functions, operations};

/// Holes of others that these files would use.
pub(crate) const KNOWN: &[&str] =
    &["CVE-2024-3660", "CVE-2026-1462", "CVE-2025-49655", "CVE-2025-12058"];

const HUGE: i64 = 1 << 60;

pub(crate) fn try_all(tried: &mut Tried) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    save(&small(), &path, Format::SavedModel).unwrap();
    links(tried, &path, home.path());
    kept(tried, &path);
    // From here on its graph is read.
    let trained = Model::new(small().graph, 7);
    save(&trained.to_checkpoint(), &path, Format::SavedModel).unwrap();
    fs::remove_dir_all(path.join("assets.extra")).unwrap();
    tried.read("a graph", &path);
    operations(tried, &path, home.path());
    functions(tried, &path);
    constants(tried, &path);
    attributes(tried, &path);
    names(tried, &path, home.path());
    claims(tried, &path);
    tables(tried, &path);
    entries(tried, &path);
    texts(tried, &path);
    descriptions(tried, home.path());
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[cfg(unix)]
fn links(tried: &mut Tried, path: &Path, home: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::symlink;
    let elsewhere = home.join("elsewhere");
    for file in files(path) {
        let name = file.strip_prefix(path).unwrap().display().to_string();
        fs::rename(&file, &elsewhere).unwrap();
        symlink(&elsewhere, &file).unwrap();
        tried.refused(&format!("a symbolic link for {name}"), path, "it is a symbolic link");
        fs::remove_file(&file).unwrap();
        fs::hard_link(&elsewhere, &file).unwrap();
        tried.refused(&format!("a hard link for {name}"), path, "it is a hard link");
        fs::remove_file(&file).unwrap();
        mknodat(CWD, &file, FileType::Fifo, Mode::RUSR, 0).unwrap();
        tried.refused(&format!("a pipe for {name}"), path, "it is no regular file");
        fs::remove_file(&file).unwrap();
        fs::rename(&elsewhere, &file).unwrap();
    }
    let folders =
        ["variables", "assets.extra", "assets.extra/keepnet", "assets.extra/keepnet/sections"];
    for folder in folders.map(|folder| path.join(folder)) {
        fs::rename(&folder, &elsewhere).unwrap();
        symlink(&elsewhere, &folder).unwrap();
        let what = format!("a symbolic link for {}", folder.strip_prefix(path).unwrap().display());
        tried.refused(&what, path, "it is a symbolic link");
        fs::remove_file(&folder).unwrap();
        fs::rename(&elsewhere, &folder).unwrap();
    }
    // What is not of keepnet, whatever it is.
    symlink("/etc/passwd", path.join("assets.extra/passwd")).unwrap();
    fs::create_dir(path.join("assets")).unwrap();
    symlink("/etc/passwd", path.join("assets/vocabulary.txt")).unwrap();
    tried.read("links among the assets", path);
    fs::remove_file(path.join("assets.extra/passwd")).unwrap();
    fs::remove_dir_all(path.join("assets")).unwrap();
    let versions = home.join("versions");
    fs::create_dir(&versions).unwrap();
    symlink(path, versions.join("7")).unwrap();
    tried.refused("a symbolic link for a version", &versions, "");
}

#[cfg(not(unix))]
fn links(_: &mut Tried, _: &Path, _: &Path) {}

/// What keepnet keeps, with names of files that are not of it.
fn kept(tried: &mut Tried, path: &Path) {
    let own = path.join("assets.extra/keepnet");
    let (index, sha256) = (own.join("index"), own.join("sha256"));
    let (before, digest) = (fs::read_to_string(&index).unwrap(), fs::read(&sha256).unwrap());
    let changes: [(&str, String, &str); 5] = [
        ("brackets", "[".repeat(1_000_000), "cannot be understood"),
        ("a path for a section", before.replacen("\"history\"", "\"../../../x\"", 1), ""),
        (
            "an absolute path for a section",
            before.replacen("\"history\"", "\"/etc/passwd\"", 1),
            "",
        ),
        ("a path for a tensor", before.replacen("keepnet/tensors/4", "../tensors/4", 1), "missing"),
        (
            "a tensor twice",
            before.replacen("keepnet/tensors/5", "keepnet/tensors/4", 1),
            "two places",
        ),
    ];
    for (what, text, reason) in changes {
        assert_ne!(text, before, "{what}");
        fs::write(&sha256, Digest::of(text.as_bytes()).to_string()).unwrap();
        fs::write(&index, text).unwrap();
        tried.refused(&format!("an index with {what}"), path, reason);
    }
    fs::write(&index, &before).unwrap();
    fs::write(&sha256, digest).unwrap();
    tried.read("the index as it was", path);
}

/// Names that would be paths.
fn names(tried: &mut Tried, path: &Path, home: &Path) {
    fs::write(home.join("passwd"), "secret").unwrap();
    let file = path.join("variables/variables.index");
    let index = fs::read(&file).unwrap();
    let key = "variables/0/.ATTRIBUTES/VARIABLE_VALUE";
    let moved = changed_index(&index, |entries| {
        let entry = entries.remove(key.as_bytes()).unwrap();
        entries.insert(b"../../passwd".to_vec(), entry);
    });
    fs::write(&file, moved).unwrap();
    tried.refused("a variable of which the key is a path", path, "");
    fs::write(&file, index).unwrap();
    edited(
        path,
        |graph| {
            for object in &mut graph.object_graph_def.as_mut().unwrap().nodes {
                for child in &mut object.children {
                    child.local_name = format!("../../{}", child.local_name);
                }
            }
        },
        || tried.read("objects of which the names are paths", path),
    );
    // `asset_file_def`, which nothing reads: a file name that leads out.
    let model = path.join("saved_model.pb");
    let before = fs::read(&model).unwrap();
    let asset = field(6, &field(2, b"../../../../etc/passwd"));
    fs::write(&model, with_more(&before, &asset)).unwrap();
    tried.read("an asset of which the name is a path", path);
    fs::write(&model, before).unwrap();
}

/// A field that holds `content`.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(number << 3 | 2, &mut bytes);
    encode_varint(content.len() as u64, &mut bytes);
    [&bytes, content].concat()
}

/// `saved_model.pb` with `more` behind its graph.
fn with_more(model: &[u8], more: &[u8]) -> Vec<u8> {
    let model = SavedModel::decode(model).unwrap();
    let graph = [&model.meta_graphs[0].encode_to_vec(), more].concat();
    [&[8, 1][..], &field(2, &graph)].concat()
}

/// Few bytes that ask for much.
fn claims(tried: &mut Tried, path: &Path) {
    let model = path.join("saved_model.pb");
    let before = fs::read(&model).unwrap();
    let mut refuse = |what: &str, bytes: &[u8], reason: &str| {
        fs::write(&model, bytes).unwrap();
        tried.refused(what, path, reason);
    };
    let inflated = "those that programs write take";
    let many = |number: u64, count: usize| field(number, &[]).repeat(count);
    let of_graph = |bytes: &[u8]| [&[8, 1][..], &field(2, bytes)].concat();
    let (graph, objects) = (2, 7);
    let cases: [(&str, Vec<u8>); 9] = [
        ("10,000,000 graphs", many(2, 10_000_000)),
        ("10,000,000 operations", of_graph(&field(graph, &many(1, 10_000_000)))),
        ("10,000,000 functions", of_graph(&field(graph, &field(2, &many(1, 10_000_000))))),
        (
            "5,000,000 operations with an attribute",
            of_graph(&field(graph, &field(1, &many(5, 1)).repeat(5_000_000))),
        ),
        ("10,000,000 inputs", of_graph(&field(graph, &field(1, &many(3, 10_000_000))))),
        ("10,000,000 objects", of_graph(&field(objects, &many(1, 10_000_000)))),
        (
            "5,000,000 objects with a child",
            of_graph(&field(objects, &field(1, &many(1, 1)).repeat(5_000_000))),
        ),
        ("10,000,000 signatures", of_graph(&many(5, 10_000_000))),
        ("10,000,000 tags", of_graph(&field(1, &many(4, 10_000_000)))),
    ];
    for (what, bytes) in cases {
        refuse(what, &bytes, inflated);
    }
    let breaks = "break off or make no sense";
    let length = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
    refuse("a graph of 2^63 bytes", &[b"\x08\x01\x12", &length[..]].concat(), breaks);
    refuse("operations of 2^63 bytes", &of_graph(&[&[0x12][..], length].concat()), breaks);
    refuse("a group", &of_graph(&[0x0B]), breaks);
    refuse("a number of eleven bytes", &[&[8][..], &[0xFF; 11]].concat(), breaks);
    refuse("nothing", b"", "");
    // What a function gives, in tuples in tuples: fields 52 and 1 of each other.
    let mut deep = Vec::new();
    for level in 0..400_000_u64 {
        let number: u64 = if level % 2 == 0 { 1 } else { 52 };
        let mut head = Vec::new();
        encode_varint(number << 3 | 2, &mut head);
        encode_varint(deep.len() as u64, &mut head);
        deep.extend(head.into_iter().rev());
    }
    deep.reverse();
    let function = field(2, &[field(1, b"f"), field(2, &field(4, &deep))].concat());
    refuse("200,000 tuples in each other", &of_graph(&field(objects, &function)), "100 deep");
    for version in [2_u8, 127] {
        let other = [&[8, version][..], &before[2..]].concat();
        refuse(&format!("version {version}"), &other, "");
    }
    fs::remove_file(&model).unwrap();
    for name in ["saved_model.pbtxt", "saved_model.cpb"] {
        fs::write(path.join(name), "").unwrap();
        tried.refused(name, path, name);
        fs::remove_file(path.join(name)).unwrap();
    }
    fs::write(&model, before).unwrap();
}

/// What Keras describes beside the graph.
fn descriptions(tried: &mut Tried, home: &Path) {
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/savedmodel/golden/tf-keras-2.21");
    let path = home.join("described");
    for file in files(&golden) {
        let place = path.join(file.strip_prefix(&golden).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(file, place).unwrap();
    }
    tried.read("a description", &path);
    let file = path.join("keras_metadata.pb");
    let sound = SavedMetadata::decode(&*fs::read(&file).unwrap()).unwrap();
    let is_dense = |layer: &serde_json::Value| layer["class_name"] == "Dense";
    let mut with = |what: &str, reason: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut metadata = sound.clone();
        for node in &mut metadata.nodes {
            let Ok(mut json) = serde_json::from_str::<serde_json::Value>(&node.metadata) else {
                continue;
            };
            let Some(layers) = json["model_config"]["config"]["layers"].as_array_mut() else {
                continue;
            };
            let layer = layers.iter_mut().find(|layer| is_dense(layer)).unwrap();
            change(layer);
            node.metadata = json.to_string();
        }
        assert_ne!(metadata, sound, "{what}");
        fs::write(&file, metadata.encode_to_vec()).unwrap();
        tried.refused(what, &path, reason);
    };
    for class in ["Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer"] {
        with(&format!("a {class}"), &format!("({class}) runs code of its own"), &|layer| {
            layer["class_name"] = class.into();
            layer["config"]["filepath"] = "/etc/passwd".into();
            layer["config"]["function"] = serde_json::json!(["YwAAAA==", null, null]);
        });
    }
    for class in ["StringLookup", "TextVectorization", "Popen", "../../x"] {
        with(&format!("a {class}"), "cannot be carried over", &|layer| {
            layer["class_name"] = class.into();
            layer["config"]["vocabulary"] = "/etc/passwd".into();
        });
    }
    with("a class of a package", "(os>system) runs code of its own", &|layer| {
        layer["class_name"] = "os>system".into();
    });
    with("a function for an activation", "which keepnet cannot compute", &|layer| {
        layer["config"]["activation"] =
            serde_json::json!({"class_name": "function", "config": "os.system"});
    });
    with("2^60 units", "", &|layer| layer["config"]["units"] = HUGE.into());
    with("−1 units", "", &|layer| layer["config"]["units"] = (-1).into());
    let mut texts = |what: &str, reason: &str, change: &dyn Fn(&str) -> String| {
        let mut metadata = sound.clone();
        metadata.nodes.iter_mut().for_each(|node| node.metadata = change(&node.metadata));
        fs::write(&file, metadata.encode_to_vec()).unwrap();
        tried.refused(what, &path, reason);
    };
    texts("10^6 brackets", "recursion limit", &|_| "[".repeat(1_000_000));
    texts("a key twice", "stands twice", &|text| text.replacen('{', "{\"class_name\":1,", 1));
    texts("a text of 9 MiB", "", &|text| format!("{text}{}", " ".repeat(9 << 20)));
    texts("no text", "", &|_| String::new());
    let mut paths = |what: &str, change: &dyn Fn(&str) -> String| {
        let mut metadata = sound.clone();
        metadata.nodes.iter_mut().for_each(|node| node.node_path = change(&node.node_path));
        fs::write(&file, metadata.encode_to_vec()).unwrap();
        tried.refused(what, &path, "objects that are not there");
    };
    paths("an object of which the name is a path", &|_| "root.../../etc".to_owned());
    paths("an object 100,000 deep", &|_| format!("root{}", ".a".repeat(100_000)));
    let many = field(1, &[]).repeat(10_000_000);
    fs::write(&file, many).unwrap();
    tried.refused("10,000,000 descriptions", &path, "those that programs write take");
}
