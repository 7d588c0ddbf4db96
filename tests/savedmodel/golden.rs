//! Directories that tf-keras 2.21 and Keras 3.15 wrote, read without TensorFlow.

use std::fs;
use std::path::{Path, PathBuf};

use keepnet::bytes::Budget;
use keepnet::format::keras::Notice;
use keepnet::format::{Limits, load_reported};
use keepnet::wire::tensorflow::{AttrValue, DataType, Index, NodeDef, SavedModel, attr_value};
use keepnet::*;
use prost::Message;

use crate::{files, read};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/savedmodel/golden").join(name)
}

fn golden() -> PathBuf {
    folder("tf-keras-2.21")
}

/// It has no description of the layers.
fn export() -> PathBuf {
    folder("keras-3.15-export")
}

/// A copy to be damaged.
fn copy(from: &Path, home: &Path) -> PathBuf {
    let to = home.join("copy");
    for file in files(from) {
        let place = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(file, place).unwrap();
    }
    to
}

#[test]
fn it_answers_as_in_tf_keras_and_its_optimizer_goes_on() {
    let (checkpoint, report) = load_reported(&golden(), &Limits::default()).unwrap();
    let report = report.unwrap();
    assert_eq!(report.writer.as_deref(), Some("Keras 2.21.0"));
    assert_eq!((report.optimizer_steps, report.notices.as_slice()), (Some(2), &[][..]));
    let compile = checkpoint.compile.as_ref().unwrap();
    assert_eq!(compile.optimizer.slots(), ["momentum", "velocity"]);
    let model = Model::from_checkpoint(&checkpoint).unwrap();
    let inputs: Vec<f32> = (0..12).map(|step| step as f32 / 5.5 - 1.0).collect();
    let found = model.predict(&Samples::new(4, [3], inputs).unwrap()).unwrap();
    let expected = [0.175_946_7, 0.824_053_3, 0.398_482_9, 0.601_517_1];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }
}

#[test]
fn no_changed_byte_of_its_tensors_gives_other_weights() {
    let home = tempfile::tempdir().unwrap();
    let path = copy(&golden(), home.path());
    let expected = read(&path).unwrap();
    for name in ["variables.index", "variables.data-00000-of-00001"] {
        let file = path.join("variables").join(name);
        let whole = fs::read(&file).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            fs::write(&file, bytes).unwrap();
            match read(&path) {
                Ok(found) => assert_eq!(found, expected, "byte {place} of {name}"),
                Err(error) => assert!(error.is_corrupt(), "{error}"),
            }
        }
        fs::write(&file, whole).unwrap();
    }
    assert_eq!(read(&path).unwrap(), expected);
}

#[test]
fn its_bundle_is_read_as_tensorflow_wrote_it() {
    let variables = golden().join("variables");
    let index = fs::read(variables.join("variables.index")).unwrap();
    let index = Index::read(&index, &mut Budget::new(1 << 20)).unwrap();
    assert_eq!(index.shards, 1);
    let data = fs::read(variables.join("variables.data-00000-of-00001")).unwrap();
    let bundle = index.with_shards(vec![data]).unwrap();
    let value = |name: &str| bundle.tensor(&format!("{name}/.ATTRIBUTES/VARIABLE_VALUE")).unwrap();
    let kernel = value("layer_with_weights-0/kernel").unwrap();
    assert_eq!((kernel.dtype(), kernel.shape().dims()), (DType::F32, &[3, 2][..]));
    let steps = value("optimizer/_iterations").unwrap();
    assert_eq!((steps.dtype(), steps.bytes()), (DType::I64, &2_i64.to_le_bytes()[..]));
    assert!(bundle.text("_CHECKPOINTABLE_OBJECT_GRAPH").unwrap().is_some());
}

#[test]
fn what_keras_3_exports_answers_as_there() {
    let (checkpoint, report) = load_reported(&export(), &Limits::default()).unwrap();
    let report = report.unwrap();
    assert_eq!(report.writer.as_deref(), Some("TensorFlow 2.21.0"));
    assert_eq!(report.notices, []);
    let layers = checkpoint.graph.layers().iter().map(|layer| layer.name.as_str());
    let names = ["image", "first", "norm_1", "max_pooling2d_1", "flatten_1", "last"];
    assert_eq!(layers.collect::<Vec<_>>(), names);
    let model = Model::from_checkpoint(&checkpoint).unwrap();
    let inputs: Vec<f32> = (0..144).map(|step| step as f32 / 71.5 - 1.0).collect();
    let found = model.predict(&Samples::new(2, [6, 6, 2], inputs).unwrap()).unwrap();
    let expected = [0.265_396_5, 0.281_360_7, 0.453_242_9, 0.261_934_5, 0.356_005_1, 0.382_060_3];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }
}

/// As Keras exports what was trained in half precision, with casts before and behind every operation.
#[test]
fn what_is_rounded_there_is_told_once_for_each_layer() {
    let home = tempfile::tempdir().unwrap();
    let path = copy(&export(), home.path());
    let file = path.join("saved_model.pb");
    let sound = SavedModel::decode(&*fs::read(&file).unwrap()).unwrap();
    for (half, name) in [(DataType::Half, "float16"), (DataType::Bfloat16, "bfloat16")] {
        let mut model = sound.clone();
        let graph = model.meta_graphs[0].graph_def.as_mut().unwrap();
        let functions = graph.library.as_mut().unwrap().function.iter_mut();
        for function in functions {
            let nodes = &mut function.node_def;
            let Some(place) = nodes.iter().position(|node| node.op == "Relu") else { continue };
            let relu = nodes[place].name.clone();
            let mut before = std::mem::take(&mut nodes[place].input[0]);
            for (number, to) in [half, DataType::Float, half, DataType::Float].iter().enumerate() {
                let to = attr_value::Value::Type((*to).into());
                let name = format!("{relu}_{number}");
                let input = std::mem::replace(&mut before, format!("{name}:y:0"));
                nodes.push(NodeDef {
                    name,
                    op: "Cast".to_owned(),
                    input: vec![input],
                    attr: [("DstT".to_owned(), AttrValue { value: Some(to) })].into(),
                });
            }
            nodes[place].input[0] = before;
        }
        fs::write(&file, model.encode_to_vec()).unwrap();
        let (_, report) = load_reported(&path, &Limits::default()).unwrap();
        let told = Notice::Unrounded { value: "first_1".to_owned(), to: name };
        assert_eq!(report.unwrap().notices, [told]);
    }
}

/// Whatever its graph says, it is read or refused, in little time.
#[test]
fn any_changed_graph_is_read_or_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = copy(&export(), home.path());
    let model = path.join("saved_model.pb");
    let whole = fs::read(&model).unwrap();
    let mut read_again = 0;
    for place in (0..whole.len()).step_by(17) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&model, bytes).unwrap();
        read_again += usize::from(read(&path).is_ok());
    }
    assert!(read_again > 0);
}
