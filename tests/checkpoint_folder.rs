//! A folder of checkpoints belongs to one training.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use keepnet::train::callbacks::Every;
use keepnet::train::data::mnist;
use keepnet::{
    Activation, CheckpointFolder, Dataset, FitOptions, Loss, Model, ModelCheckpoint, Optimizer,
    Sequential, Shape, TrainError,
};

fn model(seed: u64) -> Model {
    let net = Sequential::new(Shape::image(28, 28, 1)).flatten().dense(10, Activation::Softmax);
    let mut model = net.build(seed).unwrap();
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy).unwrap();
    model
}

fn data() -> Dataset {
    mnist::embedded().unwrap().train.take(64)
}

/// Eight steps with a checkpoint after every second.
fn train(seed: u64, folder: &Path) -> Result<(), TrainError> {
    let options = FitOptions { batch_size: 16, epochs: 2, ..Default::default() };
    let mut checkpoints =
        ModelCheckpoint::new(CheckpointFolder::new(folder).unwrap(), Every::Steps(2));
    model(seed).fit_with(&data(), &options, &mut checkpoints).map(|_| ())
}

fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn checkpoints_of_another_training_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    train(1, home.path()).unwrap();
    let before = content(home.path());
    assert_eq!(before.len(), 3, "the last three stay");
    let folder = CheckpointFolder::new(home.path()).unwrap();
    assert!(!folder.belongs_to(&model(2)).unwrap());

    let error = train(2, home.path()).unwrap_err();
    let TrainError::Callback(source) = error else { panic!("{error}") };
    assert!(source.to_string().contains("another training"), "{source}");
    let after = content(home.path());
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
}

#[test]
fn only_sound_checkpoints_count_among_the_newest() {
    let home = tempfile::tempdir().unwrap();
    for step in [5, 7] {
        fs::write(home.path().join(format!("step-{step:07}.knet")), "damaged").unwrap();
    }
    train(1, home.path()).unwrap();
    let steps = CheckpointFolder::new(home.path()).unwrap().steps().unwrap();
    assert_eq!(steps, [4, 5, 6, 7, 8]);
}
