//! HDF5 that is damaged, or made to do harm: refused in words, at once, within the budget. All is one
//! test, because it counts what the whole process allocates.

mod peak_memory;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keepnet::bytes::Budget;
use keepnet::wire::hdf5::*;
use peak_memory::peak;

/// What may be taken beyond the budget: the window of the inflater, and vectors that grow to twice what
/// they hold.
const BESIDES: u64 = 128 << 10;

/// Reads with so large a budget. It must not take longer or more memory than that is worth.
fn read_within(budget: u64, bytes: &[u8]) -> Result<Group<'_>, Hdf5Error> {
    let start = Instant::now();
    let (answer, peak) = peak(|| read(bytes, &mut Budget::new(budget)));
    let took = start.elapsed();
    assert!(peak <= 2 * budget + BESIDES, "{peak} bytes with a budget of {budget}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    answer
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hdf5")
}

#[test]
fn harm_is_refused() {
    by_name();
    beside_what_is_sound();
    little_budgets();
    cut_and_flipped();
    forged();
}

/// What was refused of a tree.
fn refusals(group: &Group<'_>) -> Vec<Hdf5Error> {
    let each = group.members.values().map(|node| match node {
        Node::Group(group) => refusals(group),
        Node::Dataset(_) => Vec::new(),
        Node::Refused(error) => vec![error.clone()],
    });
    each.flatten().collect()
}

/// Why the one thing of a file is refused that is, whether the whole file is refused for it or not.
fn refusal(budget: u64, bytes: &[u8]) -> (Hdf5Error, bool) {
    let tree = match read_within(budget, bytes) {
        Ok(tree) => tree,
        Err(error) => return (error, true),
    };
    let [Hdf5Error::At { path, source }] = &refusals(&tree)[..] else {
        panic!("{:?}", refusals(&tree));
    };
    let error = Hdf5Error::At { path: path.clone(), source: source.clone() };
    let path = path.split('@').next().unwrap().trim_start_matches('/');
    assert_eq!(tree.dataset(path), Err(error.clone()));
    assert_eq!(tree.group(path), Err(error.clone()));
    assert_eq!(tree.group(&format!("{path}/below")), Err(error.clone()));
    assert_eq!(write(&tree), Err(error.clone()));
    (error, false)
}

/// Each of the files that `files.py` makes for one reason is refused for that one: the whole file only
/// where the work or the memory of all of it is at stake.
fn by_name() {
    let reasons = BTreeMap::from([
        (
            "chunk_bomb",
            "/bomb: 4503599627370496 bytes are claimed for an array, of which 0 are stored",
        ),
        ("committed", "/type: an object that is neither group nor dataset (a committed datatype)"),
        ("cycle", "/group/root: the group at byte"),
        ("deep", "more than 64 deep"),
        (
            "external_link",
            "/group/out: it is an external link, into another file, which is not followed",
        ),
        (
            "external_storage",
            "/weights: a dataset whose values stand in other files (external storage)",
        ),
        ("growing", "/x: a dataset in chunks that can grow is not supported"),
        ("gzip_bomb", "/bomb: a dataset takes 8388608 bytes of memory"),
        ("laughs", "the file would be read 4 times over"),
        ("lzf", "/x: filter 32000 (\"lzf\") is not supported"),
        ("scale_offset", "/x: filter 6 (\"scaleoffset\") is not supported"),
        (
            "shape_bomb",
            "/bomb: 4503599627370496 bytes are claimed for an array, of which 0 are stored",
        ),
        (
            "soft_link",
            "/group/soft: it is a soft link, which is not followed: store the data itself",
        ),
        ("virtual", "/weights: a virtual dataset, made of others, is not supported"),
    ]);
    let mut count = 0;
    for entry in fs::read_dir(golden().join("refused")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let bytes = fs::read(&path).unwrap();
        let start = Instant::now();
        let (error, whole) = refusal(4 << 20, &bytes);
        let took = start.elapsed();
        let kind = name.trim_end_matches("-latest");
        let words = reasons[kind];
        assert_eq!(whole, ["gzip_bomb", "laughs"].contains(&kind), "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
        println!("{name}: {took:?}: {error}");
        count += 1;
    }
    assert_eq!(count, 23);
}

/// A file with one of each is read in little memory, and only that is refused.
fn beside_what_is_sound() {
    let bytes = fs::read(golden().join("../../golden_keras_files/hostile/unread.h5")).unwrap();
    let tree = read_within(1 << 20, &bytes).unwrap();
    assert!(tree.dataset("model_weights/dense/dense/kernel:0").unwrap().is_some());
    assert_eq!(refusals(&tree).len(), 10);
    let bomb = tree.dataset("other/bomb").unwrap_err();
    assert!(!bomb.is_damage());
    let words = "/other/bomb: its chunks would be inflated to 104857600 bytes";
    assert!(bomb.to_string().starts_with(words), "{bomb}");
}

/// Sound files are read where the budget has room for them, and else refused.
fn little_budgets() {
    for entry in fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "h5") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let mut refused = 0;
        for budget in (0..24).map(|power| (1 << power) - 1) {
            match read_within(budget, &bytes) {
                Ok(_) => break,
                Err(error) => assert!(
                    !error.is_damage() && error.to_string().contains("of memory"),
                    "{error}"
                ),
            }
            refused += 1;
        }
        assert!((8..24).contains(&refused), "{}: {refused}", path.display());
    }
}

/// No cut file is taken, and no flipped bit does harm.
fn cut_and_flipped() {
    let (mut taken, mut all) = (0, 0);
    for name in ["small-earliest.h5", "small-latest.h5"] {
        let good = fs::read(golden().join(name)).unwrap();
        assert!(read_within(1 << 20, &good).is_ok());
        for length in 0..good.len() {
            assert!(read_within(1 << 20, &good[..length]).is_err(), "{name} cut to {length}");
        }
        let mut bytes = good.clone();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                taken += u32::from(read_within(1 << 20, &bytes).is_ok());
                all += 1;
                bytes[at] ^= 1 << bit;
            }
        }
    }
    println!("{taken} of {all} flipped bits are not noticed: HDF5 does not check everything");
}

/// What h5py would not write.
fn forged() {
    // 60 KB of text that 4,000 elements name: 240 MB.
    let mut texts = vec!["short".to_owned(); 4_000];
    texts[0] = "long ".repeat(12_000);
    let dataset = Dataset::from(Array::texts(texts));
    let tree = Group {
        members: BTreeMap::from([("texts".into(), Node::Dataset(dataset))]),
        ..Group::default()
    };
    let mut bytes = write(&tree).unwrap().concat();
    let length = 60_000_u32.to_le_bytes();
    let at = bytes.windows(4).rposition(|all| all == length).unwrap();
    let place = bytes[at..at + 16].to_vec();
    bytes[at..at + 16 * 4_000].copy_from_slice(&place.repeat(4_000));
    let error = read_within(8 << 20, &bytes).unwrap_err().to_string();
    assert!(error.contains("/texts: a text takes 60000 bytes of memory"), "{error}");

    // A B-tree that is its own child, and one of another kind.
    let good = fs::read(golden().join("small-earliest.h5")).unwrap();
    let tree = good.windows(4).position(|all| all == b"TREE").unwrap();
    let mut own = good.clone();
    own[tree + 32..tree + 40].copy_from_slice(&(tree as u64).to_le_bytes());
    let error = read_within(1 << 20, &own).unwrap_err().to_string();
    assert!(error.contains("more than 32 deep"), "{error}");
    let mut chunks = good.clone();
    chunks[tree + 4] = 1;
    let error = read_within(1 << 20, &chunks).unwrap_err().to_string();
    assert!(error.contains("the kind of a B-tree at byte"), "{error}");

    // Chunks that stand in one place, and one of more values than it has bytes.
    let chunk = good.windows(5).rposition(|all| all == b"TREE\x01").unwrap();
    let (key, entry) = (chunk + 24, 8 + 3 * 8 + 8);
    let mut twice = good.clone();
    twice.copy_within(key..key + entry, key + entry);
    let error = read_within(1 << 20, &twice).unwrap_err().to_string();
    assert!(error.contains("/chunks: damaged: the place of a chunk"), "{error}");
    let mut long = good;
    long[key] ^= 1;
    let error = read_within(1 << 20, &long).unwrap_err().to_string();
    assert!(error.contains("/chunks: damaged: the checksum of a chunk"), "{error}");
}
