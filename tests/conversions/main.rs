//! Every form of a model becomes every other one: keepnet and the programs that the forms are of answer to it
//! as the model did that it was made from.
//!
//! The programs are asked where the environment variables of `peers` name a Python with them; without, this
//! is said, and keepnet alone is asked.

#[path = "../format_support/mod.rs"]
mod format_support;
#[path = "../networks/mod.rs"]
mod networks;
#[path = "../peers/mod.rs"]
mod peers;
mod runtimes;
mod table;
mod without_kept;

use std::fs;
use std::path::{Path, PathBuf};

use format_support::assert_same_bits;
use keepnet::format::keras::Reader;
use keepnet::format::safetensors::Layout;
use keepnet::format::{Format, LoadOptions};
use keepnet::*;
use networks::{filled, networks};
use runtimes::{Program, Runtimes};
use table::{Table, larger};

/// Each form, and the name that a model in it has.
const FORMS: [(Format, &str); 7] = [
    (Format::File, "m.knet"),
    (Format::Directory, "m"),
    (Format::Keras, "m.keras"),
    (Format::Hdf5, "m.h5"),
    (Format::SavedModel, "savedmodel"),
    (Format::Safetensors, "m.safetensors"),
    (Format::Onnx, "m.onnx"),
];

/// What a model is saved as: a number in [`FORMS`], for whom, and the program that is asked what it makes of it.
struct Target {
    form: usize,
    reader: Reader,
    layout: Layout,
    program: Option<Program>,
}

const fn of(form: usize, program: Option<Program>) -> Target {
    Target { form, reader: Reader::Keras3, layout: Layout::Keras, program }
}

const fn of_tf_keras(form: usize) -> Target {
    Target { reader: Reader::TfKeras2, ..of(form, Some(Program::TfKeras)) }
}

const TARGETS: [Target; 10] = [
    of(0, None),
    of(1, None),
    of(2, Some(Program::Keras)),
    of_tf_keras(2),
    of(3, Some(Program::Keras)),
    of_tf_keras(3),
    of(4, Some(Program::TensorFlow)),
    of(5, None),
    Target { layout: Layout::Torch, ..of(5, Some(Program::PyTorch)) },
    of(6, Some(Program::OnnxRuntime)),
];

/// How far the answers of others may be from keepnet's, which are all of −1 to 1.
const TOLERANCE: f32 = 1e-6;

const SAMPLES: usize = 4;

/// Numbers between −2 and 2 for the first input of a network.
fn inputs(graph: &Graph) -> Samples {
    let shape = graph.shape(graph.inputs()[0]).clone();
    let values = (0..SAMPLES * shape.elements()).map(|i| (i * 7919 % 1009) as f32 / 252.0 - 2.0);
    Samples::new(SAMPLES, shape, values.collect::<Vec<_>>()).unwrap()
}

/// A model that has been trained for some steps, so that everything in it is worth keeping.
fn trained(graph: Graph) -> Model {
    let mut model = filled(graph);
    model.compile(Optimizer::adam(0.001), Loss::MeanSquaredError).unwrap();
    let x = inputs(model.graph());
    let shape = model.graph().shape(model.graph().outputs()[0].node).clone();
    let targets = vec![0.25; SAMPLES * shape.elements()];
    let targets = Targets::Values(Samples::new(SAMPLES, shape, targets).unwrap());
    let options = FitOptions { epochs: 2, batch_size: 2, ..Default::default() };
    model.fit(&Dataset::new(x, targets).unwrap(), &options).unwrap();
    model
}

fn answers(model: &Model) -> Vec<f32> {
    model.predict(&inputs(model.graph())).unwrap().into_iter().collect()
}

/// The largest difference of a prediction.
fn apart(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, larger)
}

/// `model` as a target, in a folder.
fn saved(model: &Model, home: &Path, target: &Target) -> PathBuf {
    let (form, name) = FORMS[target.form];
    let path = home.join(name);
    let options =
        SaveOptions { target: target.reader, layout: target.layout, ..SaveOptions::default() };
    model.save_as(&path, form, options).unwrap_or_else(|error| panic!("{name}: {error}"));
    path
}

/// What is read of a model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// All that keepnet has put there.
    Whole,
    /// What others know of.
    Bare,
}

#[test]
fn every_form_becomes_every_other_one() {
    let home = tempfile::tempdir().unwrap();
    let mut runtimes = Runtimes::new(home.path());
    let [mut whole, mut bare] = [View::Whole, View::Bare].map(|view| matrix(view, &mut runtimes));
    let answered = runtimes.ask();
    println!("{} files were asked for", answered.len());
    for (case, apart) in answered {
        let table = if case.view == View::Whole { &mut whole } else { &mut bare };
        table.theirs(case.program, case.from, case.to, apart);
    }
    println!("With all that keepnet keeps:\n{whole}\nWithout what keepnet keeps:\n{bare}");
    assert_eq!(whole.worst_of_ours(), 0.0, "keepnet's own answers differ, see above");
    assert!(bare.worst_of_ours() <= TOLERANCE, "keepnet's own answers differ, see above");
    let theirs = larger(whole.worst_of_theirs(), bare.worst_of_theirs());
    assert!(theirs <= TOLERANCE, "others answer otherwise, see above");
}

/// What keepnet answers after each conversion, and the files to ask others for.
fn matrix(view: View, runtimes: &mut Runtimes<'_>) -> Table {
    let mut table = Table::default();
    for graph in networks() {
        let model = trained(graph);
        let (expected, right) = (model.to_checkpoint(), answers(&model));
        for (from, (form, _)) in FORMS.into_iter().enumerate() {
            let Some(first) = read(&model, &of(from, None), view) else { continue };
            for target in &TARGETS {
                let home = runtimes.folder();
                let path = saved(&first, &home, target);
                let again = Model::load(&path).unwrap();
                match view {
                    View::Whole => assert_same_bits(&expected, &again.to_checkpoint()),
                    View::Bare => assert_eq!(values(&first), values(&again), "from {form}"),
                }
                table.ours(from, target.form, apart(&right, &answers(&again)));
                match target
                    .program
                    .filter(|&program| runtimes.runs(program, model.graph(), again.graph()))
                {
                    Some(program) => {
                        let case = runtimes::Case { view, program, from, to: target.form };
                        runtimes.add(case, model.graph(), &path, &right);
                    }
                    None => fs::remove_dir_all(home).unwrap(),
                }
            }
        }
    }
    table
}

/// What comes back of `model` from a form, if anything.
fn read(model: &Model, from: &Target, view: View) -> Option<Model> {
    let home = tempfile::tempdir().unwrap();
    let path = saved(model, home.path(), from);
    if view == View::Whole {
        return Some(Model::load(path).unwrap());
    }
    let bare = match FORMS[from.form].0 {
        // There is nothing in them but what keepnet keeps.
        Format::File | Format::Directory => return None,
        // Weights alone: who reads them has the architecture.
        Format::Safetensors => {
            without_kept::strip(&path).unwrap();
            Model::load(&path).unwrap_err();
            let mut bare = Model::new(model.graph().clone(), 1);
            bare.load_weights_from(&path).unwrap();
            bare
        }
        _ => {
            without_kept::strip(&path).unwrap();
            let (bare, report) = Model::load_reported(&path, LoadOptions::default()).unwrap();
            assert!(!report.unwrap().is_proven);
            bare
        }
    };
    let sorted = |model: &Model| {
        let mut values = values(model);
        values.sort();
        values
    };
    assert_eq!(sorted(model), sorted(&bare), "{}", FORMS[from.form].0);
    Some(bare)
}

/// The bytes of all weights.
fn values(model: &Model) -> Vec<Vec<u8>> {
    let checkpoint = model.to_checkpoint();
    checkpoint.tensors.iter().map(|named| named.tensor.bytes().to_vec()).collect()
}
