//! Which Keras opens a file, and what stands in the way. Each rule is what Keras 3.15 and tf-keras 2.21
//! were seen to do; a file of which nothing is found may still surprise another release.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::error::Owner;
use super::json::Object;
use super::layers::Dialect;
use super::{Format, FormatError, Limits, Parts, with_parts};
use crate::bytes::fs::RealFs;

/// What a model of Keras is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Container {
    /// A ZIP archive: `.keras`.
    Archive,
    /// The members of such an archive in a directory.
    Folder,
    /// An HDF5 file: `.h5`.
    Hdf5,
}

/// Who opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reader {
    Keras3,
    TfKeras2,
}

/// What a problem comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// The file is not opened.
    Refused,
    /// It is opened, and predicts something else.
    OtherAnswers,
    /// It is opened, but training does not go on from where it stood.
    StateLost,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// tf-keras takes SavedModel directories only.
    Folder,
    /// Keras chooses the reader by the name.
    FileName { container: Container },
    /// Inputs of Keras 3.
    BatchShape,
    /// Types of Keras 3.
    TypeObject,
    /// Types of Keras 2.
    PolicyObject,
    /// bfloat16 in HDF5 is two opaque bytes.
    BFloat16,
    /// Where Keras looks for the class `Functional`.
    Module { module: String },
    /// The BatchNormalization of Keras 2.
    ListOfAxes,
    /// Something that only the other Keras writes.
    Setting { setting: &'static str },
    /// A class or function that only the other Keras has.
    Class,
    /// What a program must bring along.
    OwnCode,
    /// A Sequential of Keras up to 2.2.
    BareList,
    /// Keras 2 up to 2.4 says in the first layer what a Sequential takes.
    ImpliedInput,
    /// Nested models of Keras 2 count their calls from 1.
    CallsFromOne,
    /// A loss or metric that Keras 3 resolves in the wrong place.
    Alias { name: String },
    /// A name in the place of a class with its settings.
    OptimizerName,
    /// Keras 2 up to 2.2 names functions.
    FunctionInitializer,
    /// Groups as Windows writes paths.
    Backslashes,
    /// Groups of Keras 2.12.
    OldGroups,
    /// The formula of another Keras.
    HardSigmoid,
    /// Keras 3 computes such strides otherwise.
    ChannelsFirst,
    /// Keras 3 does not restore it, and `fit` stops.
    OptimizerOfHdf5,
    /// Keras 3 counts a learning rate among the variables.
    OptimizerOfKeras2,
}

impl Problem {
    pub fn effect(&self) -> Effect {
        match self {
            Self::HardSigmoid | Self::ChannelsFirst => Effect::OtherAnswers,
            Self::OptimizerOfHdf5 | Self::OptimizerOfKeras2 => Effect::StateLost,
            _ => Effect::Refused,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("it opens no directory of this kind"),
            Self::FileName { container: Container::Hdf5 } => {
                f.write_str("it is an HDF5 file, and its name says otherwise: rename it to `.h5`")
            }
            Self::FileName { .. } => {
                f.write_str("it is an archive, and its name says otherwise: rename it to `.keras`")
            }
            Self::BatchShape => f.write_str("Keras 2 knows `batch_input_shape`, not `batch_shape`"),
            Self::TypeObject => f.write_str("Keras 2 knows no `DTypePolicy`"),
            Self::PolicyObject => f.write_str("the `Policy` of Keras 2 is not understood"),
            Self::BFloat16 => f.write_str("bfloat16 weights cannot be read"),
            Self::Module { module } => {
                write!(f, "there is no `Functional` in the module `{module}`")
            }
            Self::ListOfAxes => f.write_str("`axis` is a list, where one number is expected"),
            Self::Setting { setting } => write!(f, "`{setting}` is not known"),
            Self::Class => f.write_str("there is no such class"),
            Self::OwnCode => f.write_str("it runs code of its own"),
            Self::BareList => f.write_str("the layers are a bare list, as Keras 2.2 wrote them"),
            Self::ImpliedInput => f.write_str("no input layer tells what shape it takes"),
            Self::CallsFromOne => {
                f.write_str("the calls of a model inside the model are counted from 1")
            }
            Self::Alias { name } => {
                write!(f, "the loss or metric `{name}` is not found by this name")
            }
            Self::OptimizerName => f.write_str("the optimizer is a name without settings"),
            Self::FunctionInitializer => f.write_str("an initializer is the name of a function"),
            Self::Backslashes => {
                f.write_str("the weights stand in groups with backslashes, written on Windows")
            }
            Self::OldGroups => f.write_str("the weights stand in `_layer_checkpoint_dependencies`"),
            Self::HardSigmoid => f.write_str("`hard_sigmoid` is another function since Keras 3"),
            Self::ChannelsFirst => {
                f.write_str("strides with `same` padding and `channels_first` fall elsewhere")
            }
            Self::OptimizerOfHdf5 => f.write_str(
                "the optimizer's state in an HDF5 file is not restored, and `fit` stops",
            ),
            Self::OptimizerOfKeras2 => f.write_str(
                "the optimizer's state has no learning rate among it, and is passed over",
            ),
        }
    }
}

/// A problem that one Keras has, with something in the file or with all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub reader: Reader,
    pub problem: Problem,
    pub owner: Option<Owner>,
}

/// What can be told of a model of Keras without building it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Diagnosis {
    pub container: Container,
    /// Such as `Keras 3.15.1`, where the file tells.
    pub writer: Option<String>,
    /// Whose words the file is taken to be written in: 2 or 3.
    pub dialect: u32,
    /// The classes of layers by their names, those of models inside the model included.
    pub layers: BTreeMap<String, usize>,
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// The worst of what `reader` makes of the file; `None` if nothing is found.
    pub fn worst(&self, reader: Reader) -> Option<Effect> {
        let own = self.findings.iter().filter(|finding| finding.reader == reader);
        own.map(|finding| finding.problem.effect()).min()
    }
}

/// Tells of the model of Keras at `path` which Keras opens it, and what stands in the way.
///
/// # Errors
/// If it is no model of Keras, or too damaged to be understood.
pub fn diagnose(path: &Path, limits: &Limits) -> Result<Diagnosis, FormatError> {
    let form = Format::detect(path)?;
    if !matches!(form, Format::Keras | Format::Hdf5) {
        return Err(FormatError::NotOfKeras { found: form }.at(path));
    }
    let diagnosis = with_parts(&RealFs, path, form, limits, |parts, _| Ok(examine(parts, path)));
    diagnosis.map_err(|error| error.at(path))
}

fn examine(parts: &Parts<'_>, path: &Path) -> Diagnosis {
    let mut exam = Exam {
        container: parts.container,
        is_keras2: parts.dialect() == Dialect::Keras2,
        layers: BTreeMap::new(),
        findings: Vec::new(),
    };
    exam.name(path);
    exam.groups(parts);
    exam.model(parts.config, false);
    if let Some(compile) = parts.compile {
        exam.compile(compile);
    }
    exam.optimizer_state(parts);
    Diagnosis {
        container: parts.container,
        writer: parts.version.map(|version| format!("Keras {version}")),
        dialect: if exam.is_keras2 { 2 } else { 3 },
        layers: exam.layers,
        findings: exam.findings,
    }
}

use Reader::{Keras3, TfKeras2};

struct Exam {
    container: Container,
    is_keras2: bool,
    layers: BTreeMap<String, usize>,
    findings: Vec<Finding>,
}

impl Exam {
    fn find(&mut self, reader: Reader, problem: Problem, owner: Option<&Owner>) {
        let finding = Finding { reader, problem, owner: owner.cloned() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn both(&mut self, problem: Problem, owner: Option<&Owner>) {
        self.find(Keras3, problem.clone(), owner);
        self.find(TfKeras2, problem, owner);
    }

    fn is_hdf5(&self) -> bool {
        self.container == Container::Hdf5
    }

    fn name(&mut self, path: &Path) {
        let container = self.container;
        let has = |name: &str| path.extension().is_some_and(|it| it.eq_ignore_ascii_case(name));
        match container {
            Container::Folder => self.find(TfKeras2, Problem::Folder, None),
            // tf-keras looks into the file.
            Container::Hdf5 if !has("h5") && !has("hdf5") => {
                self.find(Keras3, Problem::FileName { container }, None);
            }
            Container::Archive if !has("keras") => {
                self.both(Problem::FileName { container }, None);
            }
            _ => {}
        }
    }

    fn groups(&mut self, parts: &Parts<'_>) {
        let names = || parts.root.members.keys();
        if names().any(|name| name.contains('\\')) {
            self.both(Problem::Backslashes, None);
        }
        if names().any(|name| name == "_layer_checkpoint_dependencies") {
            self.both(Problem::OldGroups, None);
        }
    }

    fn optimizer_state(&mut self, parts: &Parts<'_>) {
        if self.is_hdf5() {
            if parts.root.group("optimizer_weights").is_some_and(|group| !group.members.is_empty())
            {
                self.find(Keras3, Problem::OptimizerOfHdf5, None);
            }
        } else if self.is_keras2 && parts.root.group("optimizer/vars").is_some() {
            self.find(Keras3, Problem::OptimizerOfKeras2, None);
        }
    }

    /// A model and all that it is made of.
    fn model(&mut self, model: &Value, is_nested: bool) {
        let config = model.get("config");
        if let Some(layers) = config.and_then(Value::as_array) {
            self.find(Keras3, Problem::BareList, None);
            layers.iter().for_each(|layer| self.layer(layer, is_nested));
            return;
        }
        let layers = config.and_then(|config| config.get("layers")).and_then(Value::as_array);
        let layers = layers.map(Vec::as_slice).unwrap_or_default();
        if let Some(object) = Object::of(model) {
            if object.class == "Sequential" {
                self.first_layer(layers);
            } else if !self.is_hdf5() {
                self.module(&object);
            }
        }
        if self.is_hdf5() && counts_calls_from_one(config, layers) {
            self.find(Keras3, Problem::CallsFromOne, None);
        }
        layers.iter().for_each(|layer| self.layer(layer, is_nested));
    }

    fn module(&mut self, object: &Object<'_>) {
        let module = object.whole.get("module").and_then(Value::as_str).unwrap_or_default();
        let problem = || Problem::Module { module: module.to_owned() };
        match module {
            "keras.src.models.functional" => self.find(TfKeras2, problem(), None),
            "keras" if object.class == "Model" => {}
            _ => self.find(Keras3, problem(), None),
        }
    }

    fn first_layer(&mut self, layers: &[Value]) {
        let Some(first) = layers.first().and_then(Object::of) else { return };
        let tells_shape = first.config.contains_key("batch_input_shape");
        if self.is_hdf5() && first.class != "InputLayer" && tells_shape {
            self.find(Keras3, Problem::ImpliedInput, Some(&owner(&first)));
        }
    }

    fn layer(&mut self, value: &Value, is_nested: bool) {
        let class = value.get("class_name").and_then(Value::as_str).unwrap_or_default();
        let known = class.rsplit_once('>').map_or(class, |(_, class)| class);
        *self.layers.entry(known.to_owned()).or_default() += 1;
        if matches!(known, "Sequential" | "Functional" | "Model") {
            return self.model(value, true);
        }
        let Some(object) = Object::of(value) else { return };
        let owner = owner(&object);
        let owner = Some(&owner);
        let has = |setting: &str| object.config.get(setting).is_some_and(|value| !value.is_null());
        let text = |setting: &str| object.config.get(setting).and_then(Value::as_str);
        let registered = value.get("registered_name").and_then(Value::as_str);
        if class.contains('>') || registered.is_some_and(|name| name.contains('>')) {
            self.both(Problem::OwnCode, owner);
        }
        if known == "InputLayer" && has("batch_shape") {
            self.find(TfKeras2, Problem::BatchShape, owner);
        }
        self.dtype(&object, owner);
        let keyword = |setting| Problem::Setting { setting };
        match known {
            "Lambda" => {
                self.find(Keras3, Problem::OwnCode, owner);
                if !self.is_hdf5() {
                    self.find(TfKeras2, Problem::OwnCode, owner);
                }
            }
            "BatchNormalization"
                if object.config.get("axis").is_some_and(Value::is_array)
                    && (!self.is_hdf5() || is_nested) =>
            {
                self.find(Keras3, Problem::ListOfAxes, owner);
            }
            "DepthwiseConv2D" | "SeparableConv2D" | "Conv2DTranspose" if has("groups") => {
                self.find(Keras3, keyword("groups"), owner);
            }
            "SpatialDropout1D" | "SpatialDropout2D" if self.is_keras2 && has("trainable") => {
                self.find(Keras3, keyword("trainable"), owner);
            }
            "ThresholdedReLU" | "TFOpLambda" | "SlicingOpLambda" | "TensorFlowOpLayer" => {
                self.find(Keras3, Problem::Class, owner);
            }
            "LSTM" | "GRU" | "SimpleRNN" if has("time_major") => {
                self.find(Keras3, keyword("time_major"), owner);
            }
            _ if known.starts_with("Random") && has("rng_type") => {
                self.find(Keras3, keyword("rng_type"), owner);
            }
            _ if known != "InputLayer" && !self.is_hdf5() && has("batch_input_shape") => {
                self.find(Keras3, keyword("batch_input_shape"), owner);
            }
            _ => {}
        }
        if self.is_keras2 && text("activation") == Some("hard_sigmoid") {
            self.find(Keras3, Problem::HardSigmoid, owner);
        }
        let strides = object.config.get("strides").and_then(Value::as_array);
        let strides = strides.is_some_and(|strides| strides.iter().any(|stride| stride != 1));
        if self.is_keras2
            && known == "Conv2D"
            && strides
            && text("padding") == Some("same")
            && text("data_format") == Some("channels_first")
        {
            self.find(Keras3, Problem::ChannelsFirst, owner);
        }
        let is_function = |value: &Value| {
            value.get("class_name").is_some_and(|class| class == "function")
                && value.get("module").is_none()
        };
        let is_foreign = |value: &Value| {
            let name = value.get("config").unwrap_or(value);
            name.as_str().is_some_and(|name| name.contains('>'))
        };
        if object.config.get("activation").is_some_and(is_foreign) {
            self.both(Problem::OwnCode, owner);
        } else if object.config.values().any(is_function) {
            self.both(Problem::FunctionInitializer, owner);
        }
        // Operators of Keras 3 bring no module along into HDF5.
        let operators = ["TrueDivide", "Divide", "Relu", "Sigmoid", "Negative"];
        if self.is_hdf5() && operators.contains(&known) {
            self.both(Problem::Class, owner);
        }
    }

    fn dtype(&mut self, object: &Object<'_>, owner: Option<&Owner>) {
        let Some(dtype) = object.config.get("dtype") else { return };
        let policy = dtype.get("class_name").and_then(Value::as_str);
        let name = dtype.pointer("/config/name").unwrap_or(dtype).as_str().unwrap_or_default();
        match policy {
            Some("DTypePolicy") => self.find(TfKeras2, Problem::TypeObject, owner),
            Some("Policy") => self.find(Keras3, Problem::PolicyObject, owner),
            _ => {}
        }
        if name == "bfloat16" {
            self.find(TfKeras2, Problem::BFloat16, None);
            if self.is_hdf5() {
                self.find(Keras3, Problem::BFloat16, None);
            }
        }
    }

    fn compile(&mut self, compile: &Value) {
        if self.is_hdf5() && compile.get("optimizer_config").is_some_and(Value::is_string) {
            self.both(Problem::OptimizerName, None);
        }
        let optimizer = compile.get("optimizer").or_else(|| compile.get("optimizer_config"));
        if let Some(optimizer) = optimizer.and_then(Object::of) {
            let owner = owner(&optimizer);
            let owner = Some(&owner);
            if !OPTIMIZERS.contains(&optimizer.class.to_ascii_lowercase().as_str()) {
                self.find(TfKeras2, Problem::OwnCode, owner);
            }
            if optimizer.config.contains_key("lr") {
                self.find(Keras3, Problem::Setting { setting: "lr" }, owner);
            }
            let scheduled = optimizer.config.get("learning_rate").is_some_and(Value::is_object);
            let old = optimizer.config.contains_key("is_legacy_optimizer");
            if !self.is_hdf5() && scheduled && old {
                let problem = Problem::Setting { setting: "is_legacy_optimizer" };
                self.find(Keras3, problem, owner);
            }
        }
        compile.get("loss").into_iter().for_each(|loss| self.losses(loss));
    }

    /// One loss, or a list or a dictionary of them.
    fn losses(&mut self, value: &Value) {
        let function = value.get("class_name").is_some_and(|class| class == "function");
        let name = if function { value.get("config") } else { Some(value) };
        if let Some(name) = name.and_then(Value::as_str) {
            if self.is_hdf5() && matches!(name, "mse" | "mae") {
                self.find(Keras3, Problem::Alias { name: name.to_owned() }, None);
            }
            let plain = name.replace('_', "").to_ascii_lowercase();
            if !LOSSES.contains(&plain.as_str()) {
                let owner = Owner { class: name.to_owned(), name: None };
                self.both(Problem::OwnCode, Some(&owner));
            }
            return;
        }
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.losses(value)),
            Value::Object(values) => match Object::of(value) {
                Some(object) => {
                    let owner = owner(&object);
                    if object.config.contains_key("fn") {
                        self.find(Keras3, Problem::Setting { setting: "fn" }, Some(&owner));
                    }
                    if object.config.get("reduction").is_some_and(|rule| rule == "auto") {
                        let setting = "reduction: auto";
                        self.find(Keras3, Problem::Setting { setting }, Some(&owner));
                    }
                }
                None => values.values().for_each(|value| self.losses(value)),
            },
            _ => {}
        }
    }
}

/// Losses that come with Keras, without underscores and in small letters.
const LOSSES: [&str; 31] = [
    "mse",
    "mae",
    "mape",
    "msle",
    "bce",
    "kld",
    "meansquarederror",
    "meanabsoluteerror",
    "meanabsolutepercentageerror",
    "meansquaredlogarithmicerror",
    "binarycrossentropy",
    "binaryfocalcrossentropy",
    "categoricalcrossentropy",
    "categoricalfocalcrossentropy",
    "sparsecategoricalcrossentropy",
    "kldivergence",
    "kullbackleiblerdivergence",
    "poisson",
    "hinge",
    "squaredhinge",
    "categoricalhinge",
    "huber",
    "huberloss",
    "logcosh",
    "logcoshloss",
    "cosinesimilarity",
    "cosineproximity",
    "dice",
    "tversky",
    "circle",
    "ctc",
];

/// Optimizers of tf-keras 2, in small letters.
const OPTIMIZERS: [&str; 12] = [
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "adagrad",
    "adadelta",
    "rmsprop",
    "sgd",
    "ftrl",
    "lion",
    "adafactor",
    "lossscaleoptimizer",
];

fn owner(object: &Object<'_>) -> Owner {
    let name = object.config.get("name").or_else(|| object.whole.get("name"));
    Owner { class: object.class.to_owned(), name: name.and_then(Value::as_str).map(str::to_owned) }
}

/// Whether a call is referred to that would be one too many if a nested model's calls began at 0.
fn counts_calls_from_one(config: Option<&Value>, layers: &[Value]) -> bool {
    let nested = layers.iter().filter(|layer| {
        let class = layer.get("class_name").and_then(Value::as_str);
        matches!(class, Some("Sequential" | "Functional" | "Model"))
    });
    let calls: BTreeMap<&str, u64> = nested
        .filter_map(|layer| {
            let nodes = layer.get("inbound_nodes")?.as_array()?.len() as u64;
            Some((layer.get("name")?.as_str()?, nodes))
        })
        .collect();
    let nodes = layers.iter().filter_map(|layer| layer.get("inbound_nodes"));
    let ends = config.and_then(|config| config.get("output_layers"));
    nodes.chain(ends).any(|value| refers_beyond(value, &calls))
}

fn refers_beyond(value: &Value, calls: &BTreeMap<&str, u64>) -> bool {
    match value {
        Value::Array(values) => {
            if let [Value::String(name), Value::Number(call), Value::Number(_), ..] =
                values.as_slice()
                && let Some(&count) = calls.get(name.as_str())
            {
                return call.as_u64().is_some_and(|call| call >= count);
            }
            values.iter().any(|value| refers_beyond(value, calls))
        }
        Value::Object(values) => values.values().any(|value| refers_beyond(value, calls)),
        _ => false,
    }
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
