//! A model whose parameters stay in its file predicts what the loaded one does, and what either takes
//! of memory. The whole process is measured, so the tests take turns.
#![allow(unsafe_code)] // files are mapped that nobody else knows of

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepnet::format::inspect;
use keepnet::train::data::mnist;
use keepnet::*;

/// A failed test must not fail the next.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn map(path: &Path) -> Result<MappedModel, Error> {
    // SAFETY: the file is in a folder of this test's own.
    MappedModel::new(unsafe { MappedFile::open(path) }?)
}

/// Trained for a few steps, some of it frozen; no width is a multiple of 16.
fn trained() -> Model {
    let mut model = Sequential::new(Shape::image(28, 28, 1))
        .conv2d(5, 3, Activation::Relu)
        .layer(BatchNormalization::default())
        .max_pool2d(2)
        .conv2d(7, 3, Activation::Linear)
        .global_average_pool2d()
        .dense(11, Activation::Tanh)
        .dense(10, Activation::Softmax)
        .build(3)
        .unwrap();
    model.compile(Optimizer::adam(0.01), Loss::SparseCategoricalCrossentropy).unwrap();
    model.set_trainable("conv2d", false).unwrap();
    let data = mnist::embedded().unwrap().train.take(64);
    let options = FitOptions { epochs: 1, batch_size: 32, ..Default::default() };
    model.fit(&data, &options).unwrap();
    model.metadata.insert("by".to_owned(), "a test".to_owned());
    model
}

fn images() -> Samples {
    mnist::embedded().unwrap().validation.take(40).inputs()[0].clone()
}

#[test]
fn it_predicts_and_proves_what_the_loaded_model_does() {
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    let model = trained();
    for options in [SaveOptions::default(), SaveOptions::weights_only()] {
        model.save_with(&path, options).unwrap();
        let (loaded, mapped) = (Model::load(&path).unwrap(), map(&path).unwrap());
        let expected = model.predict(&images()).unwrap();
        assert_eq!(loaded.predict(&images()).unwrap(), expected);
        assert_eq!(mapped.predict(&images()).unwrap(), expected);
        assert_eq!(mapped.verify().unwrap(), options.proof.then_some(Verification::Identical));
        assert_eq!(mapped.predict_all(&[images()]).unwrap(), std::slice::from_ref(&expected));
        assert_eq!((mapped.graph(), mapped.metadata()), (loaded.graph(), &loaded.metadata));
        assert_eq!(mapped.metadata().is_empty(), !options.metadata);
        assert_eq!(mapped.summary().to_string(), loaded.summary().to_string());

        // What is saved instead leaves the mapped file whole.
        Model::new(model.graph().clone(), 9).save(&path).unwrap();
        assert_eq!(mapped.predict(&images()).unwrap(), expected);
    }
}

/// The parameters are taken over as they were read: training goes on with them all the same.
#[test]
fn a_model_loaded_without_a_copy_trains_to_the_same_bytes() {
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    let mut model = trained();
    model.save(&path).unwrap();
    let mut read = Model::load(&path).unwrap();
    let mut from_bytes = Model::from_bytes(&fs::read(&path).unwrap()).unwrap();
    let data = mnist::embedded().unwrap().train.take(64);
    let options = FitOptions { epochs: 1, batch_size: 32, ..Default::default() };
    let after = [&mut model, &mut read, &mut from_bytes].map(|model| {
        model.fit(&data, &options).unwrap();
        model.to_bytes(SaveOptions::default()).unwrap()
    });
    assert!(after[1] == after[0] && after[2] == after[0]);
}

/// What is mapped cannot be saved: an example in the documentation of [`MappedModel`] does not
/// compile. So damage that predictions have not told of has two ways on, and both refuse it.
#[test]
fn numbers_are_checked_when_asked_for() {
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.knet");
    let model = trained();
    model.save(&path).unwrap();
    let good = fs::read(&path).unwrap();
    let expected = model.predict(&images()).unwrap();
    for tensor in inspect(&path).unwrap().tensors {
        let end = (tensor.offset + tensor.length) as usize;
        let mut bad = good.clone();
        bad[end - 1] ^= 1;
        fs::write(&path, &bad).unwrap();
        let mapped = map(&path).unwrap();
        mapped.predict(&images()).unwrap();
        let error = mapped.verify().unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("section `tensors`"), "{error}");
        assert!(Model::load(&path).is_err());
        // Kernels read what stands behind a tensor, but nothing comes of it.
        let mut bad = good.clone();
        bad[end..end.next_multiple_of(64)].fill(0xFF);
        if bad != good {
            fs::write(&path, &bad).unwrap();
            let mapped = map(&path).unwrap();
            assert_eq!(mapped.predict(&images()).unwrap(), expected);
            assert!(mapped.verify().is_err());
        }
    }
}

/// By how many MiB the peak of memory rises over what is held before.
#[cfg(target_os = "linux")]
fn rise<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let field = |name: &str| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    };
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = field("VmRSS");
    let done = work();
    (done, field("VmHWM") - before)
}

#[cfg(target_os = "linux")]
#[test]
fn loading_takes_no_more_memory_than_the_tensors_and_mapping_none() {
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large.knet");
    // 4 × 4096 × 4096 numbers: 256 MiB.
    let layers = (0..4).fold(Sequential::new([4096]), |net, _| net.dense(4096, Activation::Linear));
    let model = layers.build(0).unwrap();
    let (saved, saving) = rise(|| model.save_with(&path, SaveOptions::weights_only()));
    saved.unwrap();
    drop(model);
    let mib = fs::metadata(&path).unwrap().len() as f64 / 1024.0 / 1024.0;
    let (loaded, loading) = rise(|| Model::load(&path).unwrap());
    drop(loaded);
    let (mapped, mapping) = rise(|| map(&path).unwrap());
    println!(
        "figures: {mib:.0} MiB: saving {saving:.1}, loading {loading:.1}, mapping {mapping:.1}"
    );
    assert!(saving < 0.05 * mib && loading < 1.1 * mib && mapping < 0.05 * mib);
    drop(mapped);
}
