//! A test for each rule: the file that shows the problem, and one beside it that does not.

use serde_json::json;

use super::Container::{Archive, Folder, Hdf5};
use super::*;
use crate::wire::hdf5::{Group, Node};

fn found_in(
    container: Container,
    version: &str,
    config: &Value,
    compile: Option<&Value>,
    groups: &[&str],
) -> Vec<(Reader, Problem)> {
    let empty = || Node::Group(Group::default());
    let mut root = Group::default();
    root.members.extend(groups.iter().map(|&name| (name.to_owned(), empty())));
    let parts = Parts {
        container,
        texts: Vec::new(),
        config: Some(config),
        compile,
        version: Some(version),
        root: &root,
    };
    let name = if container == Hdf5 { "m.h5" } else { "m.keras" };
    let findings = examine(&parts, name.as_ref()).unwrap().findings;
    findings.into_iter().map(|finding| (finding.reader, finding.problem)).collect()
}

/// What is found of one layer in a Sequential.
fn layer(
    container: Container,
    version: &str,
    class: &str,
    config: Value,
) -> Vec<(Reader, Problem)> {
    let input = json!({"class_name": "InputLayer", "config": {"name": "in"}});
    let layer = json!({"class_name": class, "config": config});
    let model = json!({"class_name": "Sequential", "config": {"layers": [input, layer]}});
    found_in(container, version, &model, None, &[])
}

fn compiled(container: Container, compile: Value) -> Vec<(Reader, Problem)> {
    let model = json!({"class_name": "Sequential", "config": {"layers": []}});
    found_in(container, "2.15.0", &model, Some(&compile), &[])
}

const KERAS_2: &str = "2.15.0";
const KERAS_3: &str = "3.15.1";

fn setting(setting: &'static str) -> Vec<(Reader, Problem)> {
    vec![(Keras3, Problem::Setting { setting })]
}

fn both(problem: Problem) -> Vec<(Reader, Problem)> {
    vec![(Keras3, problem.clone()), (TfKeras2, problem)]
}

#[test]
fn input_shapes_of_keras_3_are_unknown_to_keras_2() {
    let shape = json!([null, 4]);
    let found = layer(Archive, KERAS_3, "InputLayer", json!({"batch_shape": shape}));
    assert_eq!(found, [(TfKeras2, Problem::BatchShape)]);
    assert_eq!(layer(Archive, KERAS_3, "InputLayer", json!({"batch_input_shape": shape})), []);
}

#[test]
fn types_are_objects_of_one_keras_or_names_of_both() {
    let policy = |class| json!({"dtype": {"class_name": class, "config": {"name": "float32"}}});
    let dense = |config| layer(Hdf5, KERAS_2, "Dense", config);
    assert_eq!(dense(policy("DTypePolicy")), [(TfKeras2, Problem::TypeObject)]);
    assert_eq!(dense(policy("Policy")), [(Keras3, Problem::PolicyObject)]);
    assert_eq!(dense(json!({"dtype": "float32"})), []);
    let bfloat16 = json!({"dtype": "bfloat16"});
    let found = layer(Archive, KERAS_2, "Dense", bfloat16.clone());
    assert_eq!(found, [(TfKeras2, Problem::BFloat16)]);
    assert_eq!(dense(bfloat16).len(), 2, "Keras 3 reads it from archives alone");
}

#[test]
fn axes_of_batch_normalization_are_no_list_in_archives() {
    let config = || json!({"axis": [3]});
    let found = layer(Archive, KERAS_2, "BatchNormalization", config());
    assert_eq!(found, [(Keras3, Problem::ListOfAxes)]);
    assert_eq!(layer(Hdf5, KERAS_2, "BatchNormalization", config()), []);
    assert_eq!(layer(Archive, KERAS_2, "BatchNormalization", json!({"axis": 3})), []);
}

#[test]
fn settings_of_keras_2_are_unknown_to_keras_3() {
    for (class, name, value) in [
        ("DepthwiseConv2D", "groups", json!(1)),
        ("SeparableConv2D", "groups", json!(1)),
        ("Conv2DTranspose", "groups", json!(1)),
        ("SpatialDropout2D", "trainable", json!(true)),
        ("RandomFlip", "rng_type", json!("stateful")),
        ("LSTM", "time_major", json!(false)),
    ] {
        assert_eq!(layer(Hdf5, KERAS_2, class, json!({name: value})), setting(name), "{class}");
    }
    assert_eq!(layer(Hdf5, KERAS_2, "Conv2D", json!({"groups": 1})), []);
    let shape = || json!({"batch_input_shape": [null, 4]});
    assert_eq!(layer(Archive, KERAS_2, "Dense", shape()), setting("batch_input_shape"));
    assert_eq!(layer(Hdf5, KERAS_2, "Dense", shape()), []);
}

#[test]
fn classes_that_are_gone_or_not_there_yet() {
    assert_eq!(layer(Hdf5, KERAS_2, "ThresholdedReLU", json!({})), [(Keras3, Problem::Class)]);
    assert_eq!(layer(Hdf5, KERAS_3, "TrueDivide", json!({})), both(Problem::Class));
    assert_eq!(layer(Archive, KERAS_3, "TrueDivide", json!({})), []);
}

#[test]
fn code_is_run_by_nobody() {
    assert_eq!(layer(Archive, KERAS_3, "Lambda", json!({})), both(Problem::OwnCode));
    assert_eq!(layer(Hdf5, KERAS_2, "Lambda", json!({})), [(Keras3, Problem::OwnCode)]);
    assert_eq!(layer(Hdf5, KERAS_2, "mine>Scaling", json!({})), both(Problem::OwnCode));
    let own = json!({"activation": {"class_name": "function", "config": "mine>half"}});
    assert_eq!(layer(Archive, KERAS_3, "Dense", own), both(Problem::OwnCode));
    assert_eq!(layer(Archive, KERAS_3, "Dense", json!({"activation": "relu"})), []);
    assert_eq!(compiled(Hdf5, json!({"loss": "my_loss"})), both(Problem::OwnCode));
    assert_eq!(compiled(Hdf5, json!({"loss": "categorical_crossentropy"})), []);
    let optimizer = |class| json!({"optimizer_config": {"class_name": class, "config": {}}});
    assert_eq!(compiled(Hdf5, optimizer("Custom>Madam")), [(TfKeras2, Problem::OwnCode)]);
    let settings = [(Keras3, Problem::OptimizerSettings)];
    assert_eq!(compiled(Hdf5, optimizer("Custom>Adam")), settings);
    assert_eq!(compiled(Archive, optimizer("Custom>Adam")), []);
}

#[test]
fn a_function_names_an_initializer() {
    let config =
        json!({"kernel_initializer": {"class_name": "function", "config": "random_normal"}});
    assert_eq!(layer(Hdf5, KERAS_2, "Dense", config), both(Problem::FunctionInitializer));
}

#[test]
fn functional_is_looked_for_where_its_writer_kept_it() {
    let found = |container, module: &str, class: &str| {
        let model = json!({"class_name": class, "module": module, "config": {"layers": []}});
        found_in(container, KERAS_2, &model, None, &[])
    };
    let module = |name: &str| Problem::Module { module: name.to_owned() };
    let ours = "keras.src.models.functional";
    assert_eq!(found(Archive, ours, "Functional"), [(TfKeras2, module(ours))]);
    assert_eq!(found(Archive, "keras", "Functional"), [(Keras3, module("keras"))]);
    assert_eq!(found(Archive, "keras", "Model"), []);
    assert_eq!(found(Hdf5, "keras", "Functional"), []);
}

#[test]
fn old_sequentials_are_lists_or_tell_their_shape_in_a_layer() {
    let dropout = json!({"class_name": "Dropout", "config": {"batch_input_shape": [null, 4]}});
    let list = json!({"class_name": "Sequential", "config": [dropout]});
    assert_eq!(found_in(Hdf5, "2.2.4", &list, None, &[]), [(Keras3, Problem::BareList)]);
    let object = json!({"class_name": "Sequential", "config": {"layers": [dropout]}});
    assert_eq!(found_in(Hdf5, "2.3.1", &object, None, &[]), [(Keras3, Problem::ImpliedInput)]);
}

#[test]
fn calls_of_nested_models_count_from_0() {
    let model = |call: u64| {
        let inner = json!({"class_name": "Functional", "name": "inner", "config": {"layers": []},
            "inbound_nodes": [[["in", 0, 0, {}]]]});
        let config = json!({"layers": [inner], "output_layers": [["inner", call, 0]]});
        json!({"class_name": "Functional", "config": config})
    };
    let found = |call| found_in(Hdf5, KERAS_2, &model(call), None, &[]);
    assert_eq!(found(1), [(Keras3, Problem::CallsFromOne)]);
    assert_eq!(found(0), []);
}

#[test]
fn losses_are_named_and_set_as_keras_3_knows_them() {
    let alias = Problem::Alias { name: "mse".to_owned() };
    for loss in [json!("mse"), json!(["mse"]), json!({"out": "mse"})] {
        assert_eq!(compiled(Hdf5, json!({"loss": loss})), [(Keras3, alias.clone())]);
    }
    assert_eq!(compiled(Archive, json!({"loss": "mse"})), []);
    let loss = |config| json!({"loss": {"class_name": "Hinge", "config": config}});
    assert_eq!(compiled(Hdf5, loss(json!({"fn": "hinge"}))), setting("fn"));
    assert_eq!(compiled(Hdf5, loss(json!({"reduction": "auto"}))), setting("reduction: auto"));
}

#[test]
fn optimizers_are_objects_with_the_settings_of_keras_3() {
    let name = json!({"optimizer_config": "adam"});
    assert_eq!(compiled(Hdf5, name), both(Problem::OptimizerName));
    let adam = |config| json!({"class_name": "Adam", "config": config});
    let lr = json!({"optimizer_config": adam(json!({"lr": 0.1}))});
    assert_eq!(compiled(Hdf5, lr), setting("lr"));
    let config =
        json!({"learning_rate": {"class_name": "CosineDecay"}, "is_legacy_optimizer": false});
    let scheduled = json!({"optimizer": adam(config)});
    assert_eq!(compiled(Archive, scheduled), setting("is_legacy_optimizer"));
}

#[test]
fn weight_decay_in_hdf5_is_unknown_to_keras_2() {
    let model = json!({"class_name": "Sequential", "config": {"layers": []}});
    let found = |container, version, rate: Value| {
        let adam = json!({"class_name": "Adam", "config": {"weight_decay": rate}});
        let compile = json!({"optimizer_config": adam});
        found_in(container, version, &model, Some(&compile), &[])
    };
    assert_eq!(found(Hdf5, KERAS_3, json!(0.01)), [(TfKeras2, Problem::WeightDecay)]);
    assert_eq!(found(Hdf5, KERAS_3, Value::Null), [(TfKeras2, Problem::WeightDecay)]);
    assert_eq!(found(Hdf5, KERAS_2, json!(0.01)), []);
    assert_eq!(found(Archive, KERAS_3, json!(0.01)), []);
    let adam = json!({"optimizer_config": {"class_name": "Adam", "config": {}}});
    assert_eq!(found_in(Hdf5, KERAS_3, &model, Some(&adam), &[]), []);
}

#[test]
fn settings_of_keras_1_are_opened_by_neither() {
    let dense = |config| layer(Hdf5, "1.2.2", "Dense", config);
    assert_eq!(dense(json!({"output_dim": 3})), both(Problem::Keras1));
    assert_eq!(dense(json!({"units": 3})), []);
}

#[test]
fn groups_are_named_as_on_unix() {
    let model = json!({"class_name": "Sequential", "config": {"layers": []}});
    let found = |name| found_in(Archive, KERAS_3, &model, None, &[name]);
    assert_eq!(found("layers\\dense"), both(Problem::Backslashes));
    assert_eq!(found("_layer_checkpoint_dependencies"), both(Problem::OldGroups));
    assert_eq!(found("layers"), []);
}

#[test]
fn functions_that_have_changed_give_other_answers() {
    let hard = || json!({"activation": "hard_sigmoid"});
    let found = layer(Hdf5, KERAS_2, "Dense", hard());
    assert_eq!(found, [(Keras3, Problem::HardSigmoid)]);
    assert_eq!(found[0].1.effect(), Effect::OtherAnswers);
    assert_eq!(layer(Hdf5, KERAS_3, "Dense", hard()), []);
    let strided = |format: &str| {
        let config = json!({"strides": [2, 2], "padding": "same", "data_format": format});
        layer(Hdf5, KERAS_2, "Conv2D", config)
    };
    assert_eq!(strided("channels_first"), [(Keras3, Problem::ChannelsFirst)]);
    assert_eq!(strided("channels_last"), []);
}

#[test]
fn the_state_of_the_optimizer_stays_behind() {
    let model = json!({"class_name": "Sequential", "config": {"layers": []}});
    let group = |members: &[&str]| {
        let empty = || Node::Group(Group::default());
        let members = members.iter().map(|&name| (name.to_owned(), empty())).collect();
        Group { members, ..Group::default() }
    };
    let found = |container, version, path: &str, inner: &str| {
        let mut root = Group::default();
        root.members.insert(path.to_owned(), Node::Group(group(&[inner])));
        let config = &model;
        let parts = Parts {
            container,
            texts: Vec::new(),
            config: Some(config),
            compile: None,
            version: Some(version),
            root: &root,
        };
        let name = if container == Hdf5 { "m.h5" } else { "m.keras" };
        examine(&parts, name.as_ref()).unwrap().findings
    };
    let hdf5 = found(Hdf5, KERAS_3, "optimizer_weights", "adam");
    assert_eq!(hdf5[0].problem, Problem::OptimizerOfHdf5);
    assert_eq!(hdf5[0].problem.effect(), Effect::StateLost);
    let archive = found(Archive, KERAS_2, "optimizer", "vars");
    assert_eq!(archive[0].problem, Problem::OptimizerOfKeras2);
    assert_eq!(found(Archive, KERAS_3, "optimizer", "vars"), []);
}

#[test]
fn the_name_and_the_content_agree() {
    let model = json!({"class_name": "Sequential", "config": {"layers": []}});
    let found = |container, name: &str| {
        let root = Group::default();
        let parts = Parts {
            container,
            texts: Vec::new(),
            config: Some(&model),
            compile: None,
            version: None,
            root: &root,
        };
        let findings = examine(&parts, name.as_ref()).unwrap().findings;
        findings.into_iter().map(|finding| finding.reader).collect::<Vec<_>>()
    };
    assert_eq!(found(Hdf5, "m.keras"), [Keras3]);
    assert_eq!(found(Archive, "m.h5"), [Keras3, TfKeras2]);
    assert_eq!(found(Folder, "m"), [TfKeras2]);
    assert_eq!(found(Hdf5, "m.h5"), []);
}
