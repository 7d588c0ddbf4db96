//! What keepnet writes as ONNX, read by its operators alone.

use std::fs;

use keepnet::format::keras::Notice;
use keepnet::format::{Format, Limits, save};
use keepnet::wire::onnx::{Attribute, AttributeKind, Model as File, Node, Tensor};
use keepnet::*;
use prost::Message;

use super::networks::filled;
use super::{inputs, layers};

/// The larger one; NaN wins.
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if a >= b || a.is_nan() { a } else { b }
}

/// What is off, relative to numbers above 1.
fn difference(model: &Model, other: &Model) -> f32 {
    let (ours, theirs) = (inputs(model.graph()), inputs(other.graph()));
    let (ours, theirs) = (model.predict_all(&ours).unwrap(), other.predict_all(&theirs).unwrap());
    assert_eq!(ours.len(), theirs.len());
    let off = ours.iter().zip(&theirs).flat_map(|(a, b)| {
        assert_eq!(a.shape(), b.shape());
        a.iter().zip(b).map(|(a, b)| (a - b).abs() / larger(a.abs(), 1.0))
    });
    off.fold(0.0, larger)
}

/// What is put together of operators that other layers are made of too.
const NOT_READ: [&str; 6] = [
    "functions",
    "layer_normalization_Deviation",
    "layer_normalization_RootMeanSquare",
    "normalization_false",
    "normalization_true",
    "transpose1d",
];

#[test]
fn what_keepnet_writes_it_reads_by_the_operators_alone() {
    let folder = tempfile::tempdir().unwrap();
    let whole = layers::whole().into_iter();
    let mut failed = Vec::new();
    for (name, graph) in whole.chain(layers::single()) {
        let model = filled(graph);
        let path = folder.path().join(format!("{name}.onnx"));
        save(&model.to_checkpoint(), &path, Format::Onnx).unwrap();
        let mut file = File::decode(&*fs::read(&path).unwrap()).unwrap();
        (file.metadata_props, file.training_info) = (Vec::new(), Vec::new());
        fs::write(&path, file.encode_to_vec()).unwrap();
        let is_read = !NOT_READ.iter().any(|it| name.starts_with(it));
        match Model::load(&path) {
            Ok(again) => {
                let off = difference(&model, &again);
                if off > 1e-5 || !is_read {
                    failed.push(format!("{name}: off by {off}"));
                }
            }
            Err(error) if is_read => failed.push(format!("{name}: {error}")),
            Err(_) => {}
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Halves in the middle are computed as f32, which is told: predictions differ.
#[test]
fn rounding_that_is_left_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let graph = Sequential::new(Shape::vector(4)).layer(LayerSpec::Identity).graph().unwrap();
    save(&Model::new(graph, 0).to_checkpoint(), &path, Format::Onnx).unwrap();
    let mut file = File::decode(&*fs::read(&path).unwrap()).unwrap();
    (file.metadata_props, file.producer_name) = (Vec::new(), String::new());
    let network = file.graph.as_mut().unwrap();
    let ends = (network.input[0].name.clone(), network.output[0].name.clone());
    let cast = |from: &str, to: &str, dtype: i32| Node {
        op_type: "Cast".to_owned(),
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        attribute: vec![Attribute {
            name: "to".to_owned(),
            i: dtype.into(),
            r#type: AttributeKind::Int.into(),
            ..Attribute::default()
        }],
        ..Node::default()
    };
    for (dtype, name) in [(Tensor::FLOAT16, "float16"), (Tensor::BFLOAT16, "bfloat16")] {
        let mut file = file.clone();
        file.graph.as_mut().unwrap().node =
            vec![cast(&ends.0, "half", dtype), cast("half", &ends.1, Tensor::FLOAT)];
        fs::write(&path, file.encode_to_vec()).unwrap();
        let (_, report) = Model::load_reported(&path, &Limits::default()).unwrap();
        let told = Notice::Unrounded { value: "half".to_owned(), to: name };
        assert_eq!(report.unwrap().notices, [told]);
    }
}
