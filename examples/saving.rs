//! The first pieces of code in `docs/SAVING.md`: save, load, leave out, prove, resume.
//!
//! `cargo run --release --example saving [FOLDER]` leaves its files in FOLDER (by default `out`).

use std::path::{Path, PathBuf};

use keepnet::train::data::{Split, mnist};
use keepnet::{
    Activation, FitOptions, Loss, Model, Optimizer, SaveOptions, Sequential, Shape, Verification,
    verify,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(|| PathBuf::from("out"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    run(&folder, mnist::embedded()?)?;
    println!("everything came back to the bit; the files are in {}", folder.display());
    Ok(())
}

/// All of it, on `data`, with the files in `folder`.
pub(crate) fn run(folder: &Path, data: Split) -> Result<(), keepnet::Error> {
    let model = save_and_load(folder, &data)?;
    leave_out(&model)?;
    prove(folder, &model)?;
    resume(&data)
}

fn save_and_load(folder: &Path, data: &Split) -> Result<Model, keepnet::Error> {
    // 1. Train.
    let mut model = Sequential::new(Shape::image(28, 28, 1))
        .conv2d(8, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(10, Activation::Softmax)
        .build(42)?;
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
    model.fit(&data.train, &FitOptions { epochs: 1, batch_size: 64, ..Default::default() })?;

    // 2. Save. The extension chooses the form.
    model.save(folder.join("saving.knet"))?; // one file
    model.save(folder.join("saving_model/"))?; // a directory

    // 3. Load. The content decides, not the name.
    let from_file = Model::load(folder.join("saving.knet"))?;
    let from_directory = Model::load(folder.join("saving_model/"))?;

    // 4. The proof: the same predictions, in every bit.
    let images = &data.validation.inputs()[0];
    let expected = model.predict(images)?;
    assert_eq!(from_file.predict(images)?, expected);
    assert_eq!(from_directory.predict(images)?, expected);
    Ok(model)
}

fn leave_out(model: &Model) -> Result<(), keepnet::Error> {
    let everything = model.to_bytes(SaveOptions::default())?;
    let to_share = model.to_bytes(SaveOptions::weights_only())?;
    assert!(to_share.len() < everything.len() / 2);
    Ok(())
}

fn prove(folder: &Path, model: &Model) -> Result<(), keepnet::Error> {
    let path = folder.join("saving.knet");
    model.save(&path)?;
    assert_eq!(verify(&path)?, Some(Verification::Identical));
    Ok(())
}

fn resume(data: &Split) -> Result<(), keepnet::Error> {
    let mut model = Sequential::new(Shape::image(28, 28, 1))
        .flatten()
        .dense(10, Activation::Softmax)
        .build(7)?;
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;

    let epochs = |epochs| FitOptions { epochs, batch_size: 64, ..Default::default() };
    let mut interrupted = model.clone();
    interrupted.fit(&data.train, &epochs(1))?;
    let saved = interrupted.to_bytes(SaveOptions::default())?; // then the power fails

    let mut resumed = Model::from_bytes(&saved)?;
    resumed.fit(&data.train, &epochs(1))?;

    model.fit(&data.train, &epochs(2))?; // the run that nothing happened to
    let all = SaveOptions::default();
    assert_eq!(resumed.to_bytes(all)?, model.to_bytes(all)?);
    Ok(())
}
