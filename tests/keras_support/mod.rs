//! The folders that `tests/keras/make.py` writes: a model of Keras, its inputs, and what Keras answers.
#![allow(dead_code)] // each test uses some of it

use std::fs;
use std::path::{Path, PathBuf};

use keepnet::format::LoadOptions;
use keepnet::format::keras::Report;
use keepnet::wire::npy;
use keepnet::{Checkpoint, Model, Samples};
use ndarray::ArrayD;
use serde_json::Value;

/// A model, and what Keras says of it.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    about: Value,
}

impl Case {
    /// Every folder in `root` with a description, by name.
    pub(crate) fn all(root: &Path) -> Vec<Self> {
        let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
        let mut cases: Vec<_> = folders.filter_map(Self::open).collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        cases
    }

    fn open(folder: PathBuf) -> Option<Self> {
        let about = fs::read(folder.join("about.json")).ok()?;
        let name = folder.file_name()?.to_str()?.to_owned();
        Some(Self { about: serde_json::from_slice(&about).unwrap(), name, folder })
    }

    fn strings(&self, key: &str) -> Vec<&str> {
        self.about[key].as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect()
    }

    /// The classes of the model's layers.
    pub(crate) fn classes(&self) -> Vec<&str> {
        self.strings("layers")
    }

    /// The files of whole models.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = self.strings("files").into_iter().filter(|name| name.starts_with("model."));
        files.map(|name| self.folder.join(name)).collect()
    }

    /// The files of weights alone.
    pub(crate) fn weights(&self) -> Vec<PathBuf> {
        let files = self.strings("files").into_iter().filter(|name| name.starts_with("weights."));
        files.map(|name| self.folder.join(name)).collect()
    }

    /// Why it must be refused, if it must: begins with the class or function that it is about.
    pub(crate) fn refuse(&self) -> Option<&str> {
        self.about["refuse"].as_str()
    }

    /// How far apart predictions may be: f16 and bf16 compute with less.
    pub(crate) fn tolerance(&self) -> f32 {
        self.about["tolerance"].as_f64().unwrap() as f32
    }

    pub(crate) fn inputs(&self) -> Vec<Samples> {
        self.arrays("inputs").into_iter().map(Samples::from).collect()
    }

    pub(crate) fn array(&self, name: &str) -> ArrayD<f32> {
        npy::read(&fs::read(self.folder.join(name)).unwrap()).unwrap()
    }

    pub(crate) fn arrays(&self, key: &str) -> Vec<ArrayD<f32>> {
        self.strings(key).into_iter().map(|name| self.array(name)).collect()
    }

    /// The class of the optimizer, if it was compiled, and its steps.
    pub(crate) fn compiled(&self) -> Option<(&str, u64)> {
        let compiled = self.about["compiled"].as_object()?;
        Some((compiled["optimizer"].as_str()?, compiled["iterations"].as_u64()?))
    }

    pub(crate) fn load(&self, file: &Path) -> Result<(Model, Report), String> {
        match Model::load_reported(file, self.options()) {
            Ok((model, report)) => Ok((model, report.expect("it is of Keras"))),
            // The path might hold the words that are looked for.
            Err(error) => Err(error.to_string().replace(&file.display().to_string(), "")),
        }
    }

    /// How it is loaded: with the shapes of its inputs.
    pub(crate) fn options(&self) -> LoadOptions {
        // What must be refused may take words.
        let is_told = self.about.get("inputs").is_some() && self.refuse().is_none();
        let inputs = if is_told { self.inputs() } else { Vec::new() };
        let input_shapes = inputs.iter().map(|input| input.shape().clone()).collect();
        LoadOptions { input_shapes, ..Default::default() }
    }

    /// The largest difference of a prediction from Keras', where that is beyond 1 in proportion to it.
    pub(crate) fn compare(&self, model: &Model) -> Result<f32, String> {
        let found = model.predict_all(&self.inputs()).map_err(|error| error.to_string())?;
        let expected = self.arrays("outputs");
        if found.len() != expected.len() {
            return Err(format!("{} outputs, Keras has {}", found.len(), expected.len()));
        }
        let mut worst = 0.0_f32;
        for (found, expected) in found.iter().zip(&expected) {
            if found.shape() != expected.shape() {
                return Err(format!("shape {:?}, Keras {:?}", found.shape(), expected.shape()));
            }
            for (a, b) in found.iter().zip(expected) {
                let apart = (a - b).abs() / larger(b.abs(), 1.0);
                worst = larger(worst, apart);
            }
            self.same_argmax(found, expected)?;
        }
        match worst <= self.tolerance() {
            true => Ok(worst),
            false => Err(format!("{worst:e} from Keras")),
        }
    }

    /// Where Keras has its largest output, keepnet has its own, unless they are as good as equal.
    fn same_argmax(&self, found: &ArrayD<f32>, expected: &ArrayD<f32>) -> Result<(), String> {
        for (found, expected) in found.outer_iter().zip(expected.outer_iter()) {
            let values = |array: ndarray::ArrayViewD<'_, f32>| array.iter().copied().collect();
            let (found, expected): (Vec<f32>, Vec<f32>) = (values(found), values(expected));
            let largest = |values: &[f32]| {
                (0..values.len())
                    .reduce(|best, at| if values[at] > values[best] { at } else { best })
            };
            let (Some(ours), Some(theirs)) = (largest(&found), largest(&expected)) else {
                continue;
            };
            let close = 2.0 * self.tolerance() * larger(expected[theirs].abs(), 1.0);
            if ours != theirs && expected[theirs] - expected[ours] > close {
                return Err(format!("argmax {ours}, Keras {theirs}"));
            }
        }
        Ok(())
    }

    /// What the optimizer of Keras remembers of the parameters, end to end in its order.
    pub(crate) fn moments_in_order(&self) -> Vec<f32> {
        let numbers = self.array("optimizer.npy");
        let variables = named(self.variables(), numbers.as_slice().unwrap());
        let is_moment = |name: &str| {
            let name = name.trim_end_matches(":0");
            !name.ends_with("iteration") && !name.ends_with("learning_rate")
        };
        let moments = variables.iter().filter(|(name, _)| is_moment(name));
        moments.flat_map(|(_, numbers)| *numbers).copied().collect()
    }

    /// Names and shapes of the optimizer's variables.
    fn variables(&self) -> &[Value] {
        self.about["compiled"]["variables"].as_array().unwrap()
    }

    /// Names and shapes under a key of the description.
    pub(crate) fn tensors(&self, key: &str) -> &[Value] {
        self.about[key].as_array().unwrap()
    }

    /// How far Keras is from itself with oneDNN or XLA, at most over all tensors of a kind.
    pub(crate) fn keras_apart(&self, kind: &str) -> f32 {
        let runs = self.about["apart"].as_object().unwrap().values();
        let numbers = runs.flat_map(|run| run[kind].as_array().unwrap());
        numbers.map(|number| number.as_f64().unwrap() as f32).fold(0.0, larger)
    }

    /// Whether the optimizer remembers what Keras' does, to the bit.
    pub(crate) fn compare_moments(&self, checkpoint: &Checkpoint<'_>) -> Result<(), String> {
        let state = checkpoint.optimizer.as_ref().ok_or("no optimizer")?;
        let expected = match self.about["rewritten_from"].as_str() {
            Some(base) => self.array(&format!("../{base}/optimizer.npy")),
            None => self.array("optimizer.npy"),
        };
        let variables = named(self.variables(), expected.as_slice().unwrap());
        for slot in &state.slots {
            for named in &slot.tensors {
                let expected = variable(&variables, &slot.name, &named.name)?;
                if *named.tensor.to_f32().unwrap() != *expected {
                    return Err(format!("{} of {} differs", slot.name, named.name));
                }
            }
        }
        Ok(())
    }
}

/// Numbers that lie end to end, by the names of the tensors that they are of.
pub(crate) fn named<'a>(tensors: &'a [Value], mut numbers: &'a [f32]) -> Vec<(&'a str, &'a [f32])> {
    let named = tensors.iter().map(|tensor| {
        let dims = tensor["shape"].as_array().unwrap().iter();
        let length = dims.map(|dim| dim.as_u64().unwrap() as usize).product();
        let (own, rest) = numbers.split_at(length);
        numbers = rest;
        (tensor["name"].as_str().unwrap(), own)
    });
    let named = named.collect();
    assert!(numbers.is_empty(), "{} numbers too many", numbers.len());
    named
}

/// What an optimizer of Keras remembers of a parameter such as `conv/kernel`. Its variables are named
/// `adam/net_conv_kernel_momentum` (Keras 3), `Adam/m/conv/kernel:0` (tf-keras) or
/// `Adam/conv/kernel/m:0` (its legacy optimizers).
pub(crate) fn variable<'a>(
    variables: &[(&'a str, &'a [f32])],
    slot: &str,
    parameter: &str,
) -> Result<&'a [f32], String> {
    let named_so = |parameter: &str| -> Vec<_> {
        let parameter = parameter.replace('/', "_");
        let is_it = |name: &str| {
            let (_, name) = name.split_once('/').unwrap_or(("", name));
            let name = name.trim_end_matches(":0").replace('/', "_");
            slot_names(slot).iter().any(|slot| {
                let ending = format!("{parameter}_{slot}");
                name == format!("{slot}_{parameter}")
                    || name == ending
                    || name.ends_with(&format!("_{ending}"))
            })
        };
        variables.iter().filter(|(name, _)| is_it(name)).collect()
    };
    // Some name the model that the layer is in, others do not.
    let (_, inner) = parameter.split_once('/').unwrap_or_default();
    let found = [parameter, inner].map(named_so).into_iter().find(|found| !found.is_empty());
    match found.as_deref() {
        Some([(_, numbers)]) => Ok(numbers),
        found => {
            let count = found.map_or(0, <[_]>::len);
            Err(format!("{count} variables of Keras are {slot} of {parameter}"))
        }
    }
}

/// What the Kerases call a slot of keepnet.
fn slot_names(slot: &str) -> &'static [&'static str] {
    match slot {
        "momentum" => &["momentum", "m"],
        "velocity" => &["velocity", "v", "rms"],
        "velocity_hat" => &["velocity_hat", "vhat"],
        "norm" => &["norm", "u", "v"],
        "average_gradient" => &["average_gradient", "mg"],
        "accumulator" => &["accumulator"],
        "accumulated_grad" => &["accumulated_grad", "accum_grad"],
        "accumulated_delta_var" => &["accumulated_delta_var", "accum_var"],
        _ => panic!("a slot {slot}"),
    }
}

/// The larger one; NaN is larger than all.
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if a.is_nan() || b <= a { a } else { b }
}
