//! The model on the disk, in all forms, and the proof that it comes back unchanged.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bytes::{Digest, atomic};
use crate::format::keras::Hidden;
use crate::format::{self, Format, FormatError, SaveOptions};
use crate::nn::{Model, Verification};
use crate::report::numbers::{bytes, duration, grouped};
use crate::report::{Align, Table};
use crate::tensor::Samples;
use ndarray::ArrayD;
use serde::{Serialize, Serializer};

use super::failure::Failure;
use super::screen::Screen;

/// What the model is called in each form: in keepnet's own and in those of Keras, then, if it is asked for,
/// in all others.
const FORMS: [(Format, &str); 7] = [
    (Format::File, "mnist.knet"),
    (Format::Directory, "mnist_model"),
    (Format::Keras, "mnist.keras"),
    (Format::Hdf5, "mnist.h5"),
    (Format::SavedModel, "mnist_savedmodel"),
    (Format::Safetensors, "mnist.safetensors"),
    (Format::Onnx, "mnist.onnx"),
];
const USUAL: usize = 4;

/// A folder that everything goes into.
pub(crate) struct Out {
    pub(crate) file: PathBuf,
    pub(crate) keras: PathBuf,
    /// Where the model goes, in each form.
    models: Vec<(Format, PathBuf)>,
    pub(crate) predictions: PathBuf,
    pub(crate) training: PathBuf,
}

impl Out {
    /// Makes the folder, and finds out whether saving there will succeed: better now than after
    /// training.
    pub(crate) fn prepare(dir: &Path, all_formats: bool) -> Result<Self, Failure> {
        let write = |path: &Path| {
            let path = path.to_owned();
            move |source| Failure::Write { path, source }
        };
        atomic::create_directories(dir).map_err(write(dir))?;
        let probe = dir.join(format!(".demo-probe-{}", std::process::id()));
        File::create_new(&probe).and_then(|_| fs::remove_file(&probe)).map_err(write(dir))?;
        let forms = FORMS.iter().take(if all_formats { FORMS.len() } else { USUAL });
        let out = Self {
            file: dir.join("mnist.knet"),
            keras: dir.join("mnist.keras"),
            models: forms.map(|&(form, name)| (form, dir.join(name))).collect(),
            predictions: dir.join("predictions.png"),
            training: dir.join("training.png"),
        };
        let models = out.models.iter().map(|(form, path)| (path, Some(*form)));
        for (path, form) in models.chain([(&out.predictions, None), (&out.training, None)]) {
            let Ok(found) = fs::symlink_metadata(path) else { continue };
            let is_folder = matches!(form, Some(Format::Directory | Format::SavedModel));
            let problem = if found.is_symlink() {
                "it is a symbolic link"
            } else if found.is_dir() && !is_folder {
                "it is a directory"
            } else if found.permissions().readonly() {
                "it is read-only"
            } else if is_folder && form != form_at(path)? {
                "it is no model in that form"
            } else {
                continue;
            };
            return Err(Failure::Occupied { path: path.clone(), problem });
        }
        Ok(out)
    }

    /// Saves the model in all forms.
    pub(crate) fn save(&self, model: &Model) -> Result<Vec<Kept>, Failure> {
        self.models.iter().map(|(form, path)| Kept::save(model, *form, path)).collect()
    }
}

/// The form that stands at `path`, if it is any.
fn form_at(path: &Path) -> Result<Option<Format>, Failure> {
    match Format::detect(path) {
        Ok(form) => Ok(Some(form)),
        Err(error) if matches!(error.cause(), FormatError::OtherKind { .. }) => Ok(None),
        Err(error) => Err(crate::error::Error::from(error).into()),
    }
}

/// One form of the model on the disk.
#[derive(Serialize)]
pub(crate) struct Kept {
    form: Format,
    #[serde(serialize_with = "lossy")]
    path: PathBuf,
    files: u64,
    bytes: u64,
    /// Of the file; of keepnet's directory, the digest that its manifest ends in; of a SavedModel, that of the
    /// index that keepnet keeps in it.
    sha256: Digest,
    #[serde(rename = "save_ms", serialize_with = "milliseconds")]
    saved_in: Duration,
    /// What Keras will not see of it.
    #[serde(serialize_with = "texts")]
    hidden: Vec<Hidden>,
    #[serde(flatten)]
    back: Option<Back>,
}

/// What came back.
#[derive(Serialize)]
pub(crate) struct Back {
    #[serde(rename = "load_ms", serialize_with = "milliseconds")]
    loaded_in: Duration,
    /// Numbers of all parameters.
    parameters: usize,
    /// Of these, those of which every bit is as before.
    identical_parameters: usize,
    predictions: usize,
    /// Predictions of which every bit is as before.
    identical: usize,
    /// Whether the model gave the answers that are stored in its file; `None` without such.
    proof: Option<bool>,
}

impl Kept {
    fn save(model: &Model, form: Format, path: &Path) -> Result<Self, Failure> {
        let started = Instant::now();
        let hidden = model.save_as(path, form, SaveOptions::default())?;
        let saved_in = started.elapsed();
        let read = |source| Failure::ReadBack { path: path.to_owned(), source };
        let (files, bytes, sha256) = match form {
            Format::Directory => {
                let (files, bytes) = extent(path).map_err(read)?;
                let inspection = format::inspect(path).map_err(crate::error::Error::from)?;
                (files, bytes, inspection.sha256)
            }
            Format::SavedModel => {
                let (files, bytes) = extent(path).map_err(read)?;
                let index = path.join("assets.extra/keepnet/index");
                (files, bytes, Digest::of(&fs::read(index).map_err(read)?))
            }
            _ => {
                let content = fs::read(path).map_err(read)?;
                (1, content.len() as u64, Digest::of(&content))
            }
        };
        let path = path.to_owned();
        Ok(Self { form, path, files, bytes, sha256, saved_in, hidden, back: None })
    }

    /// Loads the model back, compares its parameters with those of `model`, and has it predict once more
    /// what `expected` was predicted from. Gives how many parameters and predictions differ.
    pub(crate) fn prove(
        &mut self,
        model: &Model,
        images: &Samples,
        expected: &ArrayD<f32>,
    ) -> Result<usize, Failure> {
        let started = Instant::now();
        let loaded = Model::load(&self.path)?;
        let loaded_in = started.elapsed();
        let found = loaded.predict(images)?;
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        let pairs = expected.outer_iter().zip(found.outer_iter());
        let identical =
            pairs.filter(|(before, after)| before.iter().zip(after.iter()).all(same)).count();
        let predictions = expected.shape()[0];
        let (mut parameters, mut identical_parameters) = (0, 0);
        for parameter in model.graph().parameters() {
            let name = model.graph().tensor_name(parameter);
            let values = |model: &Model| model.parameter(&name).unwrap_or_default().to_vec();
            let before = values(model);
            parameters += before.len();
            identical_parameters +=
                before.iter().zip(&values(&loaded)).filter(|&pair| same(pair)).count();
        }
        let proof =
            crate::saving::verify(&self.path)?.map(|found| found == Verification::Identical);
        self.back = Some(Back {
            loaded_in,
            parameters,
            identical_parameters,
            predictions,
            identical,
            proof,
        });
        let different = parameters - identical_parameters + predictions - identical;
        Ok(different + usize::from(proof == Some(false)))
    }

    pub(crate) fn show(&self, screen: &mut Screen) -> io::Result<()> {
        let Self { path, files, sha256, back, .. } = self;
        let (size, saved) = (bytes(self.bytes), duration(self.saved_in));
        let loaded = back.as_ref().map(|back| format!(", loaded in {}", duration(back.loaded_in)));
        let loaded = loaded.unwrap_or_default();
        let (slash, extent, digest) = match self.form {
            Format::Directory => ("/", format!("{size} in {files} files"), "manifest "),
            Format::SavedModel => ("/", format!("{size} in {files} files"), "index    "),
            _ => ("", size, "sha256sum"),
        };
        screen.line(format_args!("{}{slash} ({extent})", path.display()))?;
        screen.line(format_args!("  saved in {saved}{loaded}"))?;
        screen.line(format_args!("  {digest}  {sha256}"))?;
        for hidden in &self.hidden {
            screen.paragraph(&hidden.to_string())?;
        }
        if let Some(back) = back {
            let Back { parameters, identical_parameters, predictions, identical, proof, .. } = back;
            for (identical, all, what) in [
                (identical_parameters, parameters, "parameters"),
                (identical, predictions, "predictions"),
            ] {
                let [some, count] = [identical, all].map(|&count| grouped(count as u64));
                let text = format!("  {some} of {count} {what} identical in every bit");
                screen.verdict(identical == all, &text)?;
            }
            match proof {
                Some(true) => screen.verdict(true, "  the probe in it is answered to the bit")?,
                Some(false) => screen.verdict(false, "  the probe in it is answered otherwise")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// A line for each form: what it takes, and what came back in every bit.
pub(crate) fn table(kept: &[Kept]) -> Table {
    let columns = [
        ("Form", Align::Left),
        ("Size", Align::Right),
        ("Saved", Align::Right),
        ("Loaded", Align::Right),
        ("Parameters", Align::Right),
        ("Answers", Align::Right),
        ("Probe", Align::Left),
    ];
    let mut table =
        Table::new(columns.into_iter().map(|(name, align)| (name.to_owned(), align)).collect());
    for Kept { form, bytes: size, saved_in, back, .. } in kept {
        let Some(back) = back else { continue };
        let told = |some: usize, all: usize| match some == all {
            true => "all".to_owned(),
            false => format!("{} differ", grouped((all - some) as u64)),
        };
        let probe = match back.proof {
            Some(true) => "all",
            Some(false) => "differs",
            None => "-",
        };
        table.row(vec![
            form.to_string(),
            bytes(*size),
            duration(*saved_in),
            duration(back.loaded_in),
            told(back.identical_parameters, back.parameters),
            told(back.identical, back.predictions),
            probe.to_owned(),
        ]);
    }
    table
}

/// How many files are in a directory and those in it, and their bytes.
fn extent(dir: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let (more_files, more_bytes) =
            if metadata.is_dir() { extent(&entry.path())? } else { (1, metadata.len()) };
        files += more_files;
        bytes += more_bytes;
    }
    Ok((files, bytes))
}

fn texts<S: Serializer>(hidden: &[Hidden], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hidden.iter().map(Hidden::to_string))
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::training::new_model;
    use crate::model::Schedule;
    use crate::tensor::Shape;

    #[test]
    fn one_flipped_bit_is_one_different_prediction() {
        let dir = tempfile::tempdir().unwrap();
        let mut model = new_model(&Shape::image(10, 12, 1), 3, Schedule::Constant, 7).unwrap();
        let images = Samples::new(5, [10, 12, 1], vec![0.5; 5 * 120]).unwrap();
        let mut expected = model.predict(&images).unwrap();
        for kept in &mut Out::prepare(dir.path(), true).unwrap().save(&model).unwrap() {
            assert_eq!(kept.prove(&model, &images, &expected).unwrap(), 0);
            assert_eq!(kept.back.as_ref().unwrap().proof, Some(true));
        }
        let value = &mut expected[[3, 1]];
        *value = f32::from_bits(value.to_bits() ^ 1);
        for kept in &mut Out::prepare(dir.path(), true).unwrap().save(&model).unwrap() {
            assert_eq!(kept.prove(&model, &images, &expected).unwrap(), 1);
            assert_eq!(kept.back.as_ref().unwrap().identical, 4);
        }
        let saved = &mut Out::prepare(dir.path(), true).unwrap().save(&model).unwrap();
        let weight = &mut model.parameter_mut("dense/bias").unwrap()[0];
        *weight = f32::from_bits(weight.to_bits() ^ 1);
        let now = model.predict(&images).unwrap();
        for kept in saved {
            assert!(kept.prove(&model, &images, &now).unwrap() > 0);
            let Back { parameters, identical_parameters, .. } = kept.back.as_ref().unwrap();
            assert_eq!(parameters - identical_parameters, 1);
        }
    }
}
