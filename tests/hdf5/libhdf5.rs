//! h5py and h5dump, which stand on the HDF5 library, on freshly made files, both ways.
//!
//! It needs a Python with h5py: the one that the environment variable `KEEPNET_PYTHON` names, or else
//! `python3`; and `h5dump`. Without them, and without that variable or `KEEPNET_NEEDS_H5DUMP`, which
//! `.ci/run` sets, the tests say so and pass.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keepnet::DType;
use keepnet::bytes::Budget;
use keepnet::wire::hdf5::{Array, Group, Node, read, write};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::golden::assert_same;
use crate::told::tell;
use crate::trees::trees;

const BUDGET: u64 = 1 << 30;

/// The Python to run, if there is one with h5py.
fn python() -> Option<String> {
    let asked = std::env::var("KEEPNET_PYTHON").ok();
    let python = asked.clone().unwrap_or_else(|| "python3".to_owned());
    let has_h5py = Command::new(&python).args(["-c", "import h5py"]).output();
    if has_h5py.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(asked.is_none(), "KEEPNET_PYTHON={python} is no Python with h5py");
    println!("passed over: {python} is no Python with h5py");
    None
}

fn run(python: &str, arguments: &[&str]) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hdf5/files.py");
    let output = Command::new(python).arg("-B").arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What h5py finds in files.
fn told(python: &str, paths: &[PathBuf]) -> BTreeMap<String, Value> {
    let mut arguments = vec!["tell"];
    arguments.extend(paths.iter().map(|path| path.to_str().unwrap()));
    serde_json::from_slice(&run(python, &arguments)).unwrap()
}

#[test]
fn h5py_and_keepnet_read_the_same() {
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let seed =
        std::env::var("PROPTEST_RNG_SEED").unwrap_or_else(|_| std::process::id().to_string());
    run(&python, &["make", home.path().to_str().unwrap(), &seed]);
    let paths: Vec<_> = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(paths.len(), 16);
    for (path, expected) in told(&python, &paths) {
        let bytes = fs::read(&path).unwrap();
        let tree = read(&bytes, &mut Budget::new(BUDGET));
        let tree = tree.unwrap_or_else(|error| panic!("{path} (seed {seed}): {error}"));
        assert_same(&tell(&tree), &expected, &format!("{path} (seed {seed})"));
    }
    println!("{} files", paths.len());
}

/// Trees by chance, without what h5py makes something else of.
fn written(home: &Path, count: usize) -> Vec<(PathBuf, Group<'static>)> {
    /// Numbers of another kind: h5py reads bfloat16 of attributes as float32, and no boolean but 0 and 1.
    fn plain(array: &mut Array<'static>) {
        if let Array::Numbers(tensor) = array
            && matches!(tensor.dtype(), DType::BF16 | DType::Bool)
        {
            let dtype = if tensor.dtype() == DType::Bool { DType::U8 } else { DType::I16 };
            let (shape, bytes) = (tensor.shape().clone(), tensor.bytes().to_vec());
            *array = Array::Numbers(keepnet::Tensor::new(dtype, shape, bytes).unwrap());
        }
    }
    fn plain_group(group: &mut Group<'static>) {
        group.attributes.values_mut().for_each(plain);
        for node in group.members.values_mut() {
            match node {
                Node::Group(group) => plain_group(group),
                Node::Dataset(dataset) => {
                    dataset.attributes.values_mut().for_each(plain);
                    // Bfloat16 is read as it is meant.
                    if dataset.array.tensor().is_some_and(|tensor| tensor.dtype() == DType::Bool) {
                        plain(&mut dataset.array);
                    }
                }
                Node::Refused(error) => panic!("{error}"),
            }
        }
    }
    let (mut runner, trees) = (TestRunner::deterministic(), trees());
    let mut all = Vec::new();
    for number in 0..count {
        let mut tree = trees.new_tree(&mut runner).unwrap().current();
        plain_group(&mut tree);
        let path = home.join(format!("{number}.h5"));
        fs::write(&path, write(&tree).unwrap().concat()).unwrap();
        all.push((path, tree));
    }
    all
}

#[test]
fn h5py_reads_what_is_written() {
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let written = written(home.path(), 200);
    let paths: Vec<_> = written.iter().map(|(path, _)| path.clone()).collect();
    let told = told(&python, &paths);
    for (path, tree) in &written {
        let path = path.to_str().unwrap();
        assert_same(&told[path], &tell(tree), path);
    }
    println!("{} files", paths.len());
}

#[test]
fn h5dump_reads_what_is_written() {
    if Command::new("h5dump").arg("--version").output().is_err() {
        assert!(std::env::var_os("KEEPNET_NEEDS_H5DUMP").is_none(), "there is no h5dump");
        println!("passed over: there is no h5dump");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut datasets = 0;
    for (path, tree) in written(home.path(), 60) {
        let h5dump = |arguments: &[&str]| {
            let output = Command::new("h5dump").args(arguments).arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "{}: {said}", path.display());
            output.stdout
        };
        let all = String::from_utf8(h5dump(&[])).unwrap();
        assert_eq!(all.matches("DATASET \"").count(), count(&tree), "{all}");
        // The numbers themselves.
        for (name, node) in &tree.members {
            let Node::Dataset(dataset) = node else { continue };
            let Some(tensor) = dataset.array.tensor().filter(|tensor| !tensor.bytes().is_empty())
            else {
                continue;
            };
            let bytes = home.path().join("bytes");
            h5dump(&["-d", &format!("/{name}"), "-b", "LE", "-o", bytes.to_str().unwrap()]);
            assert_eq!(fs::read(bytes).unwrap(), tensor.bytes(), "{name} of {}", path.display());
            datasets += 1;
        }
    }
    println!("{datasets} datasets compared");
    assert!(datasets > 0);
}

/// How many datasets there are.
fn count(group: &Group<'_>) -> usize {
    let each = group.members.values().map(|node| match node {
        Node::Group(group) => count(group),
        Node::Dataset(_) => 1,
        Node::Refused(error) => panic!("{error}"),
    });
    each.sum()
}
