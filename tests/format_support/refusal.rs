//! How files and directories are refused, and changing them with every digest right.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use keepnet::format::*;
use keepnet::*;
use tempfile::TempDir;

use super::container::{Container, sha256};
use super::small;

/// The small model in the file form.
pub fn bytes() -> Vec<u8> {
    to_bytes(&small()).unwrap()
}

pub fn container() -> Container {
    Container::take_apart(&bytes())
}

pub fn read(bytes: &[u8]) -> Result<Checkpoint<'_>, FormatError> {
    from_bytes(bytes, &Limits::default())
}

/// The words with which `bytes` are refused as damaged.
#[track_caller]
pub fn damage(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    error.to_string()
}

/// The words with which `bytes` are refused, though they are not damaged.
#[track_caller]
pub fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    assert!(!error.is_corrupt(), "{error}");
    error.to_string()
}

#[track_caller]
pub fn assert_says(words: &str, parts: &[&str]) {
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in: {words}");
    }
}

/// The small model in the directory form: what keepnet saved once, written again for each caller
/// without waiting for the disk.
pub fn saved() -> (TempDir, PathBuf) {
    static FILES: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model");
        save(&small(), &path, Format::Directory).unwrap();
        let content = |file: PathBuf| {
            (file.strip_prefix(&path).unwrap().to_owned(), fs::read(&file).unwrap())
        };
        files(&path).into_iter().map(content).collect()
    });
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    for (name, content) in FILES.iter() {
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    (home, path)
}

/// The error with which the directory is refused.
#[track_caller]
pub fn directory_error(path: &Path) -> FormatError {
    load(path, &Limits::default()).unwrap_err()
}

/// The directory is refused as damaged, with words that hold all of `parts`.
#[track_caller]
pub fn assert_damaged(path: &Path, parts: &[&str]) {
    let error = directory_error(path);
    assert!(error.is_corrupt(), "{error}");
    assert_says(&error.to_string(), parts);
}

/// Every file in `directory`.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// Changes the manifest and seals it again.
pub fn edit(path: &Path, from: &str, to: &str) {
    let manifest = path.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let (body, _) = text.rsplit_once(",\n  \"sha256\": \"").unwrap();
    assert!(body.contains(from), "{from} is not in\n{body}");
    fs::write(manifest, sealed(&body.replacen(from, to, 1))).unwrap();
}

/// A manifest of this text and its digest.
pub fn sealed(body: &str) -> String {
    format!("{body},\n  \"sha256\": \"{}\"\n}}\n", hexadecimal(&sha256(body.as_bytes())))
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
