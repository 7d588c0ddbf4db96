//! Deployment: a program that only predicts. It believes a file when the model in it has proved
//! itself, and says by its exit status what became of that.
//!
//! ```text
//! cargo run --release --example deploy                 trains a model, serves it, and damages a copy
//! cargo run --release --example deploy -- MODEL        serves MODEL, which takes pictures of digits
//! ```
//!
//! | status | meaning |
//! |---|---|
//! | 0 | the model was loaded, has proved itself, and predicted |
//! | 1 | the file could not be read, or the model takes other inputs |
//! | 3 | the file is damaged, of another kind, or newer than this program |
//! | 4 | the model does not give the answers it gave when it was saved, or has no proof |

use std::path::Path;
use std::process::ExitCode;

use keepnet::format::{self, Limits};
use keepnet::train::data::{Split, mnist};
use keepnet::{
    Activation, Dataset, FitOptions, Loss, MappedFile, MappedModel, Model, ModelError, Optimizer,
    Samples, SaveOptions, Sequential, Shape, Verification,
};
use ndarray::ArrayD;

fn main() -> ExitCode {
    let result = match std::env::args_os().nth(1) {
        Some(path) => mnist::embedded()
            .map_err(keepnet::Error::from)
            .map(|data| serve(Path::new(&path), &data.validation)),
        None => {
            let folder = std::env::temp_dir().join(format!("keepnet-{}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("a temporary folder");
            let shown = mnist::embedded().map_err(Into::into).and_then(|data| run(&folder, &data));
            std::fs::remove_dir_all(&folder).expect("our own folder");
            shown.map(|()| 0)
        }
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("deploy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Trains a model, serves it, and shows what is refused; the files are in `folder`.
pub(crate) fn run(folder: &Path, data: &Split) -> Result<(), keepnet::Error> {
    let mut model = Sequential::new(Shape::image(28, 28, 1))
        .conv2d(8, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(10, Activation::Softmax)
        .build(42)?;
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
    model.fit(&data.train, &FitOptions { epochs: 1, batch_size: 64, ..Default::default() })?;

    let (good, damaged) = (folder.join("digits.knet"), folder.join("damaged.knet"));
    model.save(&good)?;
    let mut bytes = std::fs::read(&good).expect("just saved");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).expect("the folder can be written");
    println!("the good model, mapped:");
    let mapped = map_proved(&good)?.expect("it was saved with a proof");
    answer(|images| mapped.predict(images), &data.validation)?;
    println!();
    let unproved = folder.join("unproved.knet");
    model.save_with(&unproved, SaveOptions { proof: false, ..Default::default() })?;

    for (path, expected) in
        [(good, 0), (damaged, 3), (unproved, 4), (folder.join("nothing.knet"), 1)]
    {
        let status = serve(&path, &data.validation);
        println!("→ exit status {status}\n");
        assert_eq!(status, expected, "{}", path.display());
    }
    Ok(())
}

/// What the program does with a model: believes it or not, and predicts. Gives the exit status.
fn serve(path: &Path, requests: &Dataset) -> u8 {
    match load_proved(path) {
        Ok(Some(model)) => match answer(|images| model.predict(images), requests) {
            Ok(()) => 0,
            Err(error) => report(&error, 1),
        },
        Ok(None) => {
            eprintln!("deploy: {}: the model in it has not proved itself", path.display());
            4
        }
        Err(error) if error.refuses_model() => report(&error, 3),
        Err(error) => report(&error, 1),
    }
}

fn report(error: &keepnet::Error, status: u8) -> u8 {
    eprintln!("deploy: {error}");
    status
}

fn load_proved(path: &Path) -> Result<Option<Model>, keepnet::Error> {
    // Every checksum and every digest is checked here.
    let checkpoint = format::load(path, &Limits::default())?;
    // To predict, neither the optimizer nor the history is needed.
    let checkpoint = SaveOptions { proof: true, ..SaveOptions::weights_only() }.apply(checkpoint);
    let model = Model::from_checkpoint_within(&checkpoint, &Limits::default())?;
    let Some(proof) = &checkpoint.proof else { return Ok(None) };
    let proved = model.verify(proof)? == Verification::Identical;
    Ok(proved.then_some(model))
}

/// The same without a copy of the parameters in memory: for large models, and for many processes that
/// serve one.
#[allow(unsafe_code, reason = "to read a file as memory is to trust whoever may change it")]
fn map_proved(path: &Path) -> Result<Option<MappedModel>, keepnet::Error> {
    // SAFETY: models are put in place by `Model::save`, or by renaming, and never written to.
    let file = unsafe { MappedFile::open(path) }?;
    let model = MappedModel::new(file)?; // takes milliseconds, whatever the size
    let proved = model.verify()? == Some(Verification::Identical); // reads it all
    Ok(proved.then_some(model))
}

fn answer(
    predict: impl FnOnce(&Samples) -> Result<ArrayD<f32>, ModelError>,
    requests: &Dataset,
) -> Result<(), keepnet::Error> {
    let few = requests.take(8);
    let answers = predict(&few.inputs()[0])?;
    for (scores, &class) in answers.outer_iter().zip(few.classes()?) {
        let by_score = |a: &(usize, &f32), b: &(usize, &f32)| a.1.total_cmp(b.1);
        let (digit, score) = scores.iter().enumerate().max_by(by_score).expect("ten classes");
        println!("a {class} is taken for a {digit} ({:.1} %)", score * 100.0);
    }
    Ok(())
}
