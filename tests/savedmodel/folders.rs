//! What stands in a folder of versions, and what is no part of a model.

use std::fs;
use std::os::unix::fs::symlink;

use keepnet::format::{Format, save};

use crate::format_support::small;
use crate::{files, read};

#[test]
fn what_is_no_version_hides_none() {
    let home = tempfile::tempdir().unwrap();
    let versions = home.path().join("versions");
    fs::create_dir(&versions).unwrap();
    save(&small(), &versions.join("1"), Format::SavedModel).unwrap();
    fs::write(versions.join("9"), "").unwrap();
    fs::create_dir(versions.join("10")).unwrap();
    assert!(read(&versions).is_ok());
    // TensorFlow Serving would follow it: another model would be read in its stead.
    symlink("1", versions.join("11")).unwrap();
    let error = read(&versions).unwrap_err().to_string();
    let says = "versions: `11` is not taken for a part of the model: it is a symbolic link; copy";
    assert!(error.contains(says), "{error}");
}

/// As copies that share their files have them, of whoever wrote them.
#[test]
fn links_are_told_as_such_and_not_as_damage() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model");
    save(&small(), &path, Format::SavedModel).unwrap();
    fs::remove_dir_all(path.join("assets.extra")).unwrap();
    for (number, file) in files(&path).iter().enumerate() {
        let other = home.path().join(number.to_string());
        fs::hard_link(file, &other).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("it is a hard link") && !error.contains("damaged"), "{error}");
        fs::remove_file(other).unwrap();
    }
}
