//! FORMAT.md, chapters 5 and 6: limits, and what writers refuse.

use std::collections::BTreeMap;

use keepnet::bytes::BudgetError;
use keepnet::format::{FormatError, Limits, SaveOptions, from_bytes, load, save, to_bytes};
use keepnet::{Checkpoint, DType, Model, Sequential, Shape, Tensor};

use crate::format_support::container::Section;
use crate::format_support::refusal::{assert_says, bytes, container, saved};
use crate::format_support::small;

/// How `bytes` are refused within `limits`.
fn error(limits: Limits) -> FormatError {
    from_bytes(&bytes(), &limits).map(drop).unwrap_err()
}

fn beyond() -> [(Limits, &'static str); 3] {
    let limits = Limits::default();
    [
        (Limits { memory: 1000, ..limits }, "Limits::memory"),
        (Limits { text: 100, ..limits }, "Limits::text"),
        (Limits { tensors: 5, ..limits }, "Limits::tensors"),
    ]
}

#[test]
fn f_52_limits_are_named() {
    for (limits, name) in beyond() {
        assert_says(&error(limits).to_string(), &[name]);
    }
}

#[test]
fn f_53_what_is_beyond_a_limit_is_not_damaged() {
    for (limits, _) in beyond() {
        assert!(!error(limits).is_corrupt());
    }
}

/// A text of a newer schema too, though nothing of it is taken but that it is newer.
#[test]
fn a_text_is_bounded_before_its_schema_is_read() {
    let limits = Limits { text: 1 << 14, ..Limits::default() };
    let long = format!("\"schema\": 3,\n  \"anything\": \"{}\"", "x".repeat(1 << 14));
    for id in ["architecture", "compile", "optimizer", "training", "proof"] {
        let file = container().replacing(id, "\"schema\": 1", &long);
        let error = from_bytes(&file, &limits).map(drop).unwrap_err();
        assert!(matches!(error, FormatError::Limit { name: "text", .. }), "{id}: {error}");
    }
}

/// The least limits within which something can be read.
fn least(read: &dyn Fn(&Limits) -> Result<(), FormatError>) -> Limits {
    let mut limits = Limits { memory: 0, text: 0, tensors: 0, ..Limits::default() };
    while let Err(error) = read(&limits) {
        let (limit, needed) = match error.cause() {
            FormatError::Limit { name: "text", found, .. } => (&mut limits.text, *found),
            FormatError::Limit { name: "tensors", found, .. } => (&mut limits.tensors, *found),
            FormatError::Memory(BudgetError { needed, left, total, .. }) => {
                (&mut limits.memory, total - left + needed)
            }
            error => panic!("{error}"),
        };
        assert!(needed > *limit, "{error}");
        *limit = needed;
    }
    limits
}

/// What takes exactly as much as a limit allows is read, in both forms.
#[test]
fn limits_are_exact() {
    let (_home, path) = saved();
    let file = bytes();
    let read_file = |limits: &Limits| from_bytes(&file, limits).map(drop);
    let read_directory = |limits: &Limits| load(&path, limits).map(drop);
    for read in [&read_file as &dyn Fn(&Limits) -> _, &read_directory] {
        let limits = least(read);
        for less in [
            Limits { memory: limits.memory - 1, ..limits },
            Limits { tensors: limits.tensors - 1, ..limits },
        ] {
            assert!(read(&less).is_err(), "{less:?}");
        }
    }
    // The more tensors a directory may have, the longer its manifest may be.
    let limits = least(&read_file);
    assert!(read_file(&Limits { text: limits.text - 1, ..limits }).is_err());
}

/// A model that takes more to run than is loaded by default: within other limits it may have been
/// loaded, and is saved again.
#[test]
fn what_takes_much_to_run_is_saved() {
    let image = Shape::image(1 << 14, 1 << 14, 1);
    let model = Sequential::new(image).global_max_pool2d().build(0).unwrap();
    let bytes = model.to_bytes(SaveOptions::weights_only()).unwrap();
    assert_says(&Model::from_bytes(&bytes).unwrap_err().to_string(), &["Limits::activations"]);
    let limits = Limits { activations: u64::MAX, ..Limits::default() };
    let loaded = Model::from_bytes_with(&bytes, &limits).unwrap();
    assert_eq!(loaded.to_bytes(SaveOptions::weights_only()).unwrap(), bytes);
}

/// Each takes two blocks, its header's and a place in a list that doubles, if not more.
#[test]
fn sections_that_hold_nothing_are_paid_for() {
    let needed = |file: &[u8]| least(&|limits| from_bytes(file, limits).map(drop)).memory;
    let mut container = container();
    let before = needed(&container.put_together());
    let empty = |number: usize| Section::new(&format!("x{number}"), false, &[]);
    container.sections.extend((0..200).map(empty));
    assert!(needed(&container.put_together()) - before >= 200 * 2 * 64);
}

/// The document's table has keepnet's limits, every one of them.
#[test]
fn limits_are_those_of_the_document() {
    let document = include_str!("../../docs/FORMAT.md");
    let limits = format!("{:?}", Limits::default());
    let fields = limits.trim_start_matches("Limits { ").trim_end_matches(" }").split(", ");
    for (name, value) in fields.map(|field| field.split_once(": ").unwrap()) {
        let row = document.lines().find(|line| line.starts_with(&format!("| `Limits::{name}`")));
        let row = row.unwrap_or_else(|| panic!("`Limits::{name}` is not in the document"));
        let most = row.split('|').nth(2).unwrap().trim().replace(',', "");
        assert_eq!(most, value, "Limits::{name}");
    }
}

#[test]
fn f_54_what_does_not_fit_together_is_not_written() {
    let refused = |change: &dyn Fn(&mut Checkpoint<'static>)| {
        let mut checkpoint = small();
        change(&mut checkpoint);
        let error = to_bytes(&checkpoint).unwrap_err();
        assert!(matches!(error, FormatError::Unfit(_)) && !error.is_corrupt());
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model");
        assert!(save(&checkpoint, &path, keepnet::format::Format::Directory).is_err());
        assert!(!path.exists());
        error.to_string()
    };
    let first = |c: &Checkpoint<'static>| c.tensors[0].clone();
    assert_says(&refused(&|c| drop(c.tensors.pop())), &["parameter \"dense/bias\""]);
    assert_says(&refused(&|c| c.tensors.swap(0, 1)), &["conv2d/kernel", "conv2d/bias"]);
    assert_says(&refused(&|c| c.tensors[0].name = "x/y".into()), &["conv2d/kernel", "x/y"]);
    assert_says(&refused(&|c| c.tensors.push(first(c))), &["should be", "conv2d/kernel"]);
    assert_says(
        &refused(&|c| {
            let bytes = c.tensors[0].tensor.bytes().to_vec();
            c.tensors[0].tensor = Tensor::new(DType::F32, [18], bytes).unwrap();
        }),
        &["conv2d/kernel", "3×3×1×2", "18"],
    );
    assert_says(
        &refused(&|c| drop(c.optimizer.as_mut().unwrap().slots.pop())),
        &["velocity", "momentum"],
    );
    assert_says(
        &refused(&|c| drop(c.optimizer.as_mut().unwrap().slots[1].tensors.pop())),
        &["slot 1", "dense/bias"],
    );
    assert_says(&refused(&|c| c.compile.as_mut().unwrap().losses.clear()), &["loss"]);
    assert_says(&refused(&|c| c.proof.as_mut().unwrap().samples = 2), &["output", "2×2", "1×2"]);
}

#[test]
fn f_55_the_same_model_gives_the_same_bytes() {
    let again = |order: &[&str]| {
        let metadata: BTreeMap<_, _> =
            order.iter().map(|&key| (key.to_owned(), key.to_owned())).collect();
        to_bytes(&Checkpoint { metadata, ..small() }).unwrap()
    };
    assert!(again(&["a", "b", "c"]) == again(&["c", "a", "b"]));
    for file in crate::written() {
        let read = from_bytes(&file, &Limits::default()).unwrap();
        assert!(to_bytes(&read).unwrap() == file);
        assert!(to_bytes(&SaveOptions::default().apply(read)).unwrap() == file);
    }
}
