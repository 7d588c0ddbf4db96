//! Every damage of a kind, not a sample of it: each bit, each length, each sector, each place of a
//! section. All of it is refused, as what it is, and nothing is given of a file that is refused.
//!
//! Each test prints how many files it tried (`cargo test --test format_damage_exhaustive -- --nocapture`).

mod format_support;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use format_support::container::Container;
use format_support::small;
use keepnet::format::*;
use keepnet::*;
use rayon::prelude::*;
use tempfile::TempDir;

/// The signature: of what is damaged here, nothing says whether it ever was a model.
const SIGNATURE: Range<usize> = 0..8;

/// A file of the file form below 64 KiB, with every section.
fn file() -> Vec<u8> {
    let bytes = to_bytes(&small()).unwrap();
    assert!(bytes.len() <= 64 << 10 && Container::take_apart(&bytes).sections.len() == 9);
    bytes
}

/// Another with the same sections, as long and as sound.
fn other_file() -> Vec<u8> {
    let mut other = small();
    other.training.as_mut().unwrap().epoch += 1;
    other.history.as_mut().unwrap().epochs[0].epoch += 1;
    for (number, NamedTensor { tensor, .. }) in other.tensors.iter_mut().enumerate() {
        let values = vec![number as u8; tensor.bytes().len()];
        *tensor = Tensor::new(tensor.dtype(), tensor.shape().clone(), values).unwrap();
    }
    other.metadata.insert("author".into(), "Eve".into());
    to_bytes(&other).unwrap()
}

/// Asserts that `bytes` are refused because of what they are.
#[track_caller]
fn refused(bytes: &[u8], what: &dyn std::fmt::Debug) {
    let error = from_bytes(bytes, &Limits::default()).map(drop).unwrap_err();
    assert!(error.refuses_model(), "{what:?}: {error}");
    if bytes.get(SIGNATURE) == Some(&file_signature()) {
        assert!(error.is_corrupt(), "{what:?}: {error}");
    }
}

fn file_signature() -> [u8; 8] {
    *b"\xB7KNT\r\n\x1A\n"
}

fn tried(count: usize, what: &str) {
    println!("{count} files {what}: all refused");
}

/// Each block of 64 bytes that heads something (the header, sections, the footer) with what follows.
fn regions(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut starts = vec![0, 64];
    while let Some(&start) = starts.last()
        && &bytes[start..start + 6] != b"footer"
    {
        let length = u64::from_le_bytes(bytes[start + 16..start + 24].try_into().unwrap());
        starts.push(start + 64 + (length as usize).next_multiple_of(64));
    }
    let ends = starts[1..].iter().copied().chain([bytes.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

fn every_bit(good: &[u8]) {
    (0..good.len()).into_par_iter().for_each_init(
        || good.to_vec(),
        |bad, at| {
            for bit in 0..8 {
                bad[at] ^= 1 << bit;
                refused(bad, &(at, bit));
                bad[at] ^= 1 << bit;
            }
        },
    );
    tried(good.len() * 8, "with one bit flipped");
}

#[test]
fn every_bit_of_a_file() {
    every_bit(&file());
}

/// Mostly numbers, where the other is mostly text.
#[test]
fn every_bit_of_64_kib() {
    let model = Sequential::new(Shape::image(8, 8, 1))
        .conv2d(8, 3, Activation::Relu)
        .flatten()
        .dense(52, Activation::Softmax)
        .build(1)
        .unwrap();
    let good = model.to_bytes(SaveOptions::default()).unwrap();
    assert!((60 << 10..=64 << 10).contains(&good.len()), "{}", good.len());
    every_bit(&good);
}

#[test]
fn every_length_of_a_file() {
    let good = file();
    for length in 0..good.len() {
        refused(&good[..length], &length);
    }
    tried(good.len(), "cut short");
    let ends = [vec![0; 4096], vec![0xFF; 4096], good[..4096].to_vec()];
    for end in &ends {
        for more in 1..=end.len() {
            refused(&[good.as_slice(), &end[..more]].concat(), &more);
        }
    }
    tried(ends.len() * 4096, "made longer");
}

#[test]
fn every_zeroed_sector_of_a_file() {
    let good = file();
    let mut count = 0;
    for sector in [64, 512, 4096] {
        for start in (0..good.len()).step_by(sector) {
            for value in [0, 0xFF] {
                let mut bad = good.clone();
                let end = good.len().min(start + sector);
                bad[start..end].fill(value);
                // No sector of a file is zero already: no padding is that long.
                refused(&bad, &(sector, start, value));
                count += 1;
            }
        }
    }
    tried(count, "with a sector overwritten");
}

#[test]
fn every_splice_of_two_files() {
    let (one, other) = (file(), other_file());
    let mut count = 0;
    // At every byte: the header of one, the body of the other, and all between.
    for (one, other) in [(&one, &other), (&other, &one)] {
        for cut in 0..one.len().min(other.len()) {
            let spliced = [&one[..cut], &other[cut..]].concat();
            if spliced != *one && spliced != *other {
                refused(&spliced, &cut);
                count += 1;
            }
        }
    }
    // Every section of one, its checksums included, in the place of that of the other.
    let (ones, others) = (regions(&one), regions(&other));
    assert_eq!(ones.len(), others.len());
    for (place, donor) in ones.iter().zip(&others) {
        let spliced = [&one[..place.start], &other[donor.clone()], &one[place.end..]].concat();
        if spliced != one {
            refused(&spliced, place);
            count += 1;
        }
    }
    tried(count, "spliced of two");
}

#[test]
fn every_order_of_sections() {
    let good = file();
    let regions = regions(&good);
    let sections: Vec<&[u8]> = regions.iter().map(|region| &good[region.clone()]).collect();
    let last = sections.len() - 1;
    let mut count = 0;
    let mut try_out = |sections: &[&[u8]], what: &dyn std::fmt::Debug| {
        refused(&sections.concat(), what);
        count += 1;
    };
    // As they stand in the file, header and footer too; and nothing is sealed again.
    for from in 0..=last {
        let mut without = sections.clone();
        let moved = without.remove(from);
        try_out(&without, &("removed", from));
        for to in 0..=last {
            let mut bad = without.clone();
            bad.insert(to, moved);
            if to != from {
                try_out(&bad, &("moved", from, to));
            }
            let mut bad = sections.clone();
            bad.insert(to, moved);
            try_out(&bad, &("doubled", from, to));
            let mut bad = sections.clone();
            bad.swap(from, to);
            if to > from + 1 {
                try_out(&bad, &("swapped", from, to));
            }
        }
    }
    tried(count, "with sections moved, doubled or removed");

    // And with checksums that agree.
    let container = Container::take_apart(&good);
    let mut count = 0;
    for from in 0..container.sections.len() {
        for to in 0..=container.sections.len() {
            let mut bad = container.clone();
            bad.sections.insert(to, container.sections[from].clone());
            refused(&bad.put_together(), &("doubled", from, to));
            count += 1;
            if to != from && to < container.sections.len() {
                let mut bad = container.clone();
                let moved = bad.sections.remove(from);
                bad.sections.insert(to, moved);
                refused(&bad.put_together(), &("moved", from, to));
                count += 1;
            }
        }
    }
    tried(count, "with sections moved or doubled, and sealed again");
}

/// A model in the directory form, on a disk that is memory where there is one: the tests write a
/// file some hundred thousand times.
fn directory() -> (TempDir, PathBuf) {
    let memory = Path::new("/dev/shm");
    let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let home = home.unwrap();
    let path = home.path().join("model");
    save(&small(), &path, Format::Directory).unwrap();
    (home, path)
}

/// Paths within a directory.
fn files(root: &Path) -> Vec<String> {
    let mut files = vec!["manifest.json".to_owned()];
    for part in ["tensors", "extra"] {
        for entry in fs::read_dir(root.join(part)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            files.push(format!("{part}/{name}"));
        }
    }
    files.sort();
    files
}

#[track_caller]
fn directory_refused(root: &Path, what: &dyn std::fmt::Debug) {
    let error = load(root, &Limits::default()).map(drop).unwrap_err();
    assert!(error.refuses_model(), "{what:?}: {error}");
    // Only a manifest that no longer looks like one makes it something else than a damaged model.
    let other = matches!(error.cause(), FormatError::OtherKind { .. });
    assert!(error.is_corrupt() || other, "{what:?}: {error}");
}

/// Runs `each` for every file of a directory form, given the directory, the file and its content,
/// which is put back afterwards. Gives the sum of what it gives.
fn for_every_file(each: impl Fn(&Path, &Path, &[u8]) -> usize + Sync) -> usize {
    let (_home, root) = directory();
    let names = files(&root);
    assert!(names.len() > 15, "{names:?}");
    let of_file = |name: &String| {
        let (_home, root) = directory();
        let path = root.join(name);
        let good = fs::read(&path).unwrap();
        let count = each(&root, &path, &good);
        fs::write(&path, &good).unwrap();
        load(&root, &Limits::default()).unwrap();
        count
    };
    names.par_iter().with_max_len(1).map(of_file).sum()
}

#[test]
fn every_bit_of_every_file_of_a_directory() {
    let count = for_every_file(|root, path, good| {
        let mut bad = good.to_vec();
        for at in 0..good.len() {
            for bit in 0..8 {
                bad[at] ^= 1 << bit;
                fs::write(path, &bad).unwrap();
                directory_refused(root, &(path, at, bit));
                bad[at] ^= 1 << bit;
            }
        }
        good.len() * 8
    });
    tried(count, "of directories with one bit flipped");
}

#[test]
fn every_length_of_every_file_of_a_directory() {
    let count = for_every_file(|root, path, good| {
        for length in 0..good.len() {
            fs::write(path, &good[..length]).unwrap();
            directory_refused(root, &(path, length));
        }
        for more in 1..=4096 {
            fs::write(path, [good, &vec![0; more]].concat()).unwrap();
            directory_refused(root, &(path, "longer by", more));
        }
        good.len() + 4096
    });
    tried(count, "of directories cut short or made longer");
}

#[test]
fn every_zeroed_sector_and_every_mixture_of_directories() {
    let (_home, other) = directory();
    fs::remove_dir_all(&other).unwrap();
    let checkpoint = from_bytes_owned(&other_file());
    save(&checkpoint, &other, Format::Directory).unwrap();
    let count = for_every_file(|root, path, good| {
        let mut count = 0;
        for sector in [64, 512, 4096] {
            for start in (0..good.len()).step_by(sector) {
                let mut bad = good.to_vec();
                bad[start..good.len().min(start + sector)].fill(0);
                if bad != good {
                    fs::write(path, &bad).unwrap();
                    directory_refused(root, &(path, sector, start));
                    count += 1;
                }
            }
        }
        // This file from another model; this file from beside it; and none.
        for name in files(root) {
            let own = root.join(&name);
            for donor in [other.join(&name), own.clone()] {
                let foreign = fs::read(donor).unwrap();
                if foreign != good {
                    fs::write(path, &foreign).unwrap();
                    directory_refused(root, &(path, &name));
                    fs::write(path, good).unwrap();
                    count += 1;
                }
            }
        }
        fs::remove_file(path).unwrap();
        directory_refused(root, &(path, "removed"));
        count + 1
    });
    tried(count, "of directories with sectors zeroed or files exchanged");
}

fn from_bytes_owned(bytes: &[u8]) -> Checkpoint<'static> {
    from_bytes(bytes, &Limits::default()).unwrap().into_owned()
}
