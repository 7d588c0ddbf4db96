//! Data sets: the embedded one, folders of IDX files, splits.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use keepnet::train::data::{DataError, Dataset, mnist};
use keepnet::wire::idx::{Idx, IdxError, Values};
use keepnet::{Samples, Shape, Targets};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// Where Debian's package dataset-fashion-mnist puts its files.
const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";

fn classes(data: &Dataset) -> &[u32] {
    match &data.targets()[0] {
        Targets::Classes(classes) => classes,
        Targets::Values(_) => panic!("class targets expected"),
    }
}

/// Samples whose one value is their index, of these classes.
fn numbered(classes: Vec<u32>) -> Dataset {
    let values: Vec<f32> = (0..classes.len()).map(|index| index as f32).collect();
    Dataset::new(Samples::new(values.len(), [1], values).unwrap(), classes).unwrap()
}

/// The indices that samples of [`numbered`] carry.
fn numbers(data: &Dataset) -> Vec<usize> {
    data.inputs()[0].to_array().iter().map(|&value| value as usize).collect()
}

fn per_class(classes: &[u32]) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for &class in classes {
        *counts.entry(class).or_default() += 1;
    }
    counts
}

mod embedded {
    use super::*;

    #[test]
    fn holds_mnists_first_ten_thousand_in_proportion() {
        let split = mnist::embedded().unwrap();
        assert_eq!((split.train.len(), split.validation.len()), (8_000, 2_000));
        assert_eq!(split.train.inputs()[0].shape(), &Shape::image(28, 28, 1));
        let held_back = per_class(classes(&split.validation));
        // Of 1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944 and 978 images a fifth is 200.2,
        // 225.4, 198.2, 206.4, 196, 172.6, 202.8, 214, 188.8 and 195.6: the four largest
        // remainders are rounded up.
        let expected = [200, 225, 198, 206, 196, 173, 203, 214, 189, 196];
        assert_eq!(held_back.into_values().collect::<Vec<_>>(), expected);
        assert_eq!(split.validation.class_names().unwrap()[9], "9");
    }

    /// The split belongs to every published score: it must never change. The digest was also found
    /// by a program in Python that follows the words of `split_stratified`.
    #[test]
    fn is_the_same_split_for_everyone() {
        let split = mnist::embedded().unwrap();
        let mut digest = Sha256::new();
        let mut image = [0.0; 784];
        for part in [&split.train, &split.validation] {
            for index in 0..part.len() {
                part.inputs()[0].copy_sample(index, &mut image);
                digest.update(image.map(|value| (value * 255.0).round() as u8));
            }
            classes(part).iter().for_each(|class| digest.update(class.to_le_bytes()));
        }
        let digest: String = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, "892a4581f00390c3615c934d99612a03d106e829315ee3423b6ef0c373afd73a");
    }
}

mod folders {
    use super::*;

    fn write(dir: &Path, name: &str, shape: impl Into<Shape>, values: Values) {
        let idx = Idx::new(shape, values).unwrap();
        let path = dir.join(name);
        let file = fs::File::create(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "gz") {
            idx.write(GzEncoder::new(file, Compression::fast())).unwrap();
        } else {
            idx.write(file).unwrap();
        }
    }

    /// A set of 3 and 2 images of 2 × 3 pixels, under these names.
    fn folder(names: [&str; 4]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let pixels = |first: u8, count: u8| Values::U8((first..first + 6 * count).collect());
        write(dir.path(), names[0], [3, 2, 3], pixels(0, 3));
        write(dir.path(), names[1], [3], Values::U8([7, 0, 255].into()));
        write(dir.path(), names[2], [2, 2, 3], pixels(100, 2));
        write(dir.path(), names[3], [2], Values::U8([1, 2].into()));
        dir
    }

    const NAMES: [&str; 4] = [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ];

    #[test]
    fn are_read_in_every_spelling() {
        for names in [
            NAMES.map(str::to_owned),
            NAMES.map(|name| format!("{name}.gz")),
            NAMES.map(|name| name.replace("-idx", ".idx")),
            NAMES.map(|name| name.replace("-idx", ".idx") + ".gz"),
        ] {
            let dir = folder(names.each_ref().map(String::as_str));
            let split = mnist::from_dir(dir.path()).unwrap();
            assert_eq!(split.train.inputs()[0].shape(), &Shape::image(2, 3, 1));
            assert_eq!(classes(&split.train), [7, 0, 255]);
            assert_eq!(classes(&split.validation), [1, 2]);
            let mut image = [0.0; 6];
            split.validation.inputs()[0].copy_sample(1, &mut image);
            assert_eq!(
                image,
                [106, 107, 108, 109, 110, 111].map(|byte: u8| f32::from(byte) / 255.0)
            );
        }
    }

    #[test]
    fn that_lack_a_file_say_which() {
        let dir = folder(NAMES);
        fs::remove_file(dir.path().join(NAMES[3])).unwrap();
        let message = mnist::from_dir(dir.path()).unwrap_err().to_string();
        let expected = "there is no t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz or \
                        t10k-labels.idx1-ubyte here";
        assert_eq!(message, format!("{}: {expected}", dir.path().display()));
    }

    #[test]
    fn with_a_damaged_file_say_which_and_where() {
        let dir = folder(NAMES);
        let path = dir.path().join(NAMES[2]);
        fs::write(&path, &fs::read(&path).unwrap()[..20]).unwrap();
        let error = mnist::from_dir(dir.path()).unwrap_err();
        let truncated = IdxError::Truncated { expected: 28, found: 20 };
        assert!(
            matches!(&error, DataError::Idx { path: p, source } if *p == path && *source == truncated)
        );
        let expected = "the file ends at offset 20, expected 28 bytes";
        assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
    }

    #[test]
    fn whose_files_do_not_belong_together_are_refused() {
        let load = |name, shape: &[usize], values| {
            let dir = folder(NAMES);
            write(dir.path(), name, shape, values);
            mnist::from_dir(dir.path()).unwrap_err()
        };
        let bytes = |count| Values::U8((0..count).collect());
        let error = load(NAMES[1], &[2], bytes(2));
        assert!(matches!(error, DataError::Labels { images: 3, labels: 2, .. }), "{error}");
        let error = load(NAMES[2], &[2, 3, 2], bytes(12));
        assert!(matches!(error, DataError::ImageShape { .. }), "{error}");
        let error = load(NAMES[0], &[3, 6], bytes(18));
        assert!(matches!(error, DataError::Content { .. }), "{error}");
        let error = load(NAMES[1], &[3], Values::I32([1, 2, 3].into()));
        assert_eq!(
            error.to_string().rsplit_once(": ").unwrap().1,
            "expected u8 labels, one per image, found 3 values of type int32"
        );
    }

    #[test]
    fn of_mnist_begin_with_the_embedded_images() {
        let Ok(dir) = std::env::var("KEEPNET_MNIST_DIR") else {
            eprintln!("skipped: KEEPNET_MNIST_DIR does not name a folder of MNIST");
            return;
        };
        let mnist = mnist::from_dir(dir).unwrap();
        assert_eq!((mnist.train.len(), mnist.validation.len()), (60_000, 10_000));
        let images = |data: &Dataset| {
            let mut images = Vec::new();
            let mut image = [0.0_f32; 784];
            for (index, &class) in classes(data).iter().enumerate() {
                data.inputs()[0].copy_sample(index, &mut image);
                images.push((image.map(f32::to_bits), class));
            }
            images
        };
        // The split takes them apart but keeps their order.
        let embedded = mnist::embedded().unwrap();
        let (train, validation) = (images(&embedded.train), images(&embedded.validation));
        let (mut train, mut validation) = (train.iter().peekable(), validation.iter().peekable());
        for image in &images(&mnist.train.take(10_000)) {
            let part = if train.peek() == Some(&image) { &mut train } else { &mut validation };
            assert!(part.next() == Some(image));
        }
        assert_eq!((train.next(), validation.next()), (None, None));
    }

    #[test]
    fn of_fashion_mnist_are_read() {
        if !Path::new(FASHION_MNIST).is_dir() {
            eprintln!("skipped: there is no {FASHION_MNIST} (package dataset-fashion-mnist)");
            return;
        }
        let fashion = mnist::from_dir(FASHION_MNIST).unwrap();
        assert_eq!(fashion.train.inputs()[0].shape(), &Shape::image(28, 28, 1));
        // As its README says: 6,000 and 1,000 images of each of ten classes.
        for (data, each) in [(&fashion.train, 6_000), (&fashion.validation, 1_000)] {
            assert_eq!(per_class(classes(data)), (0..10).map(|class| (class, each)).collect());
        }
    }
}

mod sets {
    use super::*;

    #[test]
    fn need_equal_counts() {
        let samples = |count| Samples::new(count, [1], vec![0.0; count]).unwrap();
        let error = Dataset::new(samples(3), vec![0, 1]).unwrap_err();
        assert_eq!(error.to_string(), "target 0 has 2 samples, input 0 has 3");
        let error = Dataset::with_several(vec![samples(3), samples(4)], vec![vec![0; 3].into()]);
        assert_eq!(error.unwrap_err().to_string(), "input 1 has 4 samples, input 0 has 3");
        let none = Dataset::with_several(vec![], vec![vec![].into()]);
        assert!(matches!(none, Err(DataError::Empty { what: "input" })));
        let none = Dataset::with_several(vec![samples(1)], vec![]);
        assert!(matches!(none, Err(DataError::Empty { what: "target" })));
    }

    #[test]
    fn select_and_take_keep_inputs_beside_targets() {
        let data = numbered(vec![5, 6, 7, 8]);
        let picked = data.select(&[3, 0, 3]);
        assert_eq!((numbers(&picked), classes(&picked)), (vec![3, 0, 3], &[8, 5, 8][..]));
        let taken = data.take(2);
        assert_eq!((numbers(&taken), classes(&taken)), (vec![0, 1], &[5, 6][..]));
        assert_eq!(data.take(9).len(), 4);
        assert!(data.take(0).is_empty());
    }

    #[test]
    fn name_every_class() {
        let data = numbered(vec![0, 2]);
        let error = data.clone().with_class_names(["shirt", "shoe"]).unwrap_err();
        assert!(matches!(error, DataError::ClassName { class: 2, names: 2 }));
        let data = data.with_class_names(["shirt", "shoe", "bag"]).unwrap();
        assert_eq!(data.take(1).class_names().unwrap()[2], "bag");
    }
}

mod splits {
    use super::*;

    proptest! {
        #[test]
        fn hold_back_every_class_in_proportion(
            classes_of in prop::collection::vec(0_u32..5, 0..80),
            part in 0.0..=1.0,
            seed: u64,
        ) {
            let total = classes_of.len();
            let asked = (total as f64 * part) as usize;
            let data = numbered(classes_of.clone());
            let split = data.split_stratified(asked, seed).unwrap();
            let (train, validation) = (numbers(&split.train), numbers(&split.validation));
            prop_assert_eq!(validation.len(), asked);
            prop_assert!(train.is_sorted() && validation.is_sorted());
            let mut all = [train, validation].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..total).collect::<Vec<_>>());
            for (&class, &count) in &per_class(&classes_of) {
                let exact = (count * asked) as f64 / total as f64;
                let found = per_class(classes(&split.validation)).get(&class).map_or(0, |&n| n);
                prop_assert!((found as f64 - exact).abs() < 1.0, "{found} for {exact}");
            }
            let again = data.split_stratified(asked, seed).unwrap();
            prop_assert_eq!(numbers(&again.validation), numbers(&split.validation));
        }
    }

    #[test]
    fn follow_the_seed() {
        let data = numbered((0..1_000).map(|index| index % 10).collect());
        let held_back = |seed| numbers(&data.split_stratified(200, seed).unwrap().validation);
        assert_ne!(held_back(1), held_back(2));
        // The same places would be drawn in every class if the class were no part of the key.
        let places = |class| -> Vec<usize> {
            held_back(1).iter().filter(|&i| i % 10 == class).map(|i| i / 10).collect()
        };
        assert_ne!(places(0), places(1));
    }

    #[test]
    fn that_cannot_be_are_refused() {
        let data = numbered(vec![0, 1]);
        let error = data.split_stratified(3, 0).unwrap_err();
        assert_eq!(error.to_string(), "cannot hold back 3 of 2 samples");
        let values = Samples::new(2, [1], vec![0.0; 2]).unwrap();
        let data = Dataset::new(values.clone(), values).unwrap();
        assert!(matches!(data.split_stratified(1, 0), Err(DataError::NotClasses)));
    }
}
