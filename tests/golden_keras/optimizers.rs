//! Optimizers: three steps along given gradients, on two tensors; and Keras' settings in our terms.

use keepnet::{
    Adam, CompileSettings, Dataset, Dense, GraphBuilder, Loss, Model, Optimizer, OptimizerRule,
    OutputLoss, RmsProp, Samples, Sgd, Targets,
};
use serde_json::Value;

use crate::VARIABLE;
use crate::read::{assert_close, both, list, number, numbers, shape, tensor, text};
use crate::step::{clipping, unit_vectors, whole_batch};

/// The optimizer that Keras' class and arguments mean.
pub(crate) fn optimizer(settings: &Value) -> Optimizer {
    let set = |key: &str| number(&settings[key]);
    let or_zero = |key: &str| settings.get(key).map_or(0.0, number);
    let adam = || Adam {
        beta_1: set("beta_1"),
        beta_2: set("beta_2"),
        epsilon: set("epsilon"),
        amsgrad: false,
    };
    let rule = match text(&settings["class"]) {
        "Adam" | "AdamW" => OptimizerRule::Adam(adam()),
        "SGD" => {
            let nesterov = settings.get("nesterov").and_then(Value::as_bool).unwrap_or(false);
            OptimizerRule::Sgd(Sgd { momentum: or_zero("momentum"), nesterov })
        }
        "RMSprop" => {
            let (rho, epsilon) = (set("rho"), set("epsilon"));
            let momentum = or_zero("momentum");
            OptimizerRule::RmsProp(RmsProp { rho, momentum, epsilon, centered: false })
        }
        other => panic!("no optimizer {other}"),
    };
    Optimizer {
        rule,
        learning_rate: set("learning_rate"),
        schedule: keepnet::Schedule::Constant,
        weight_decay: or_zero("weight_decay"),
        clipping: clipping(settings),
    }
}

/// Two kernels whose rows unit vectors pick: each output is a row, so that the gradient of a mean
/// squared error is chosen by its targets.
fn two_kernels(shapes: &[Vec<usize>]) -> Model {
    let samples = shapes[0][0];
    let mut builder = GraphBuilder::new();
    for (name, dims) in ["a", "b"].into_iter().zip(shapes) {
        let (rows, units) = rows_and_units(dims);
        let size = if rows == samples { samples } else { 1 };
        let input = builder.input(&format!("of_{name}"), [size]);
        let dense = Dense { use_bias: false, ..Dense::new(units) };
        let output = builder.named(name, dense, &[input]);
        builder.output(name, output);
    }
    Model::new(builder.build("two_kernels").expect("sound"), 0)
}

/// A vector is a kernel of one row.
fn rows_and_units(dims: &[usize]) -> (usize, usize) {
    match *dims {
        [rows, units] => (rows, units),
        [units] => (1, units),
        _ => panic!("a vector or a matrix"),
    }
}

/// The targets that give kernel `name` the gradient `g`: of Σ (y − t)² / 2k, t = y − k·g.
const K: f64 = 1024.0;

fn data(model: &Model, shapes: &[Vec<usize>], gradients: &[Vec<f32>]) -> Dataset {
    let samples = shapes[0][0];
    let (mut inputs, mut targets) = (vec![unit_vectors(samples)], Vec::new());
    // The one row of `b` enters with the first sample alone.
    let first = (0..samples).map(|sample| if sample == 0 { 1.0 } else { 0.0 });
    inputs.push(Samples::new(samples, [1], first.collect::<Vec<f32>>()).expect("one each"));
    for ((name, dims), gradient) in ["a", "b"].into_iter().zip(shapes).zip(gradients) {
        let (_, units) = rows_and_units(dims);
        let kernel = model.parameter(&format!("{name}/kernel")).expect("a kernel");
        let target = |(&w, &g): (&f32, &f32)| (f64::from(w) - K * f64::from(g)) as f32;
        let mut rows: Vec<f32> = kernel.iter().zip(gradient).map(target).collect();
        rows.resize(samples * units, 0.0);
        targets.push(Targets::Values(Samples::new(samples, [units], rows).expect("rows")));
    }
    Dataset::with_several(inputs, targets).expect("as many of each")
}

fn check(file: &Value, case: &Value) {
    let what = format!("{}, {}", case["optimizer"], text(&file["header"]["dtype"]));
    let initial = list(&file["initial"]);
    let shapes: Vec<Vec<usize>> = initial.iter().map(shape).collect();
    let mut model = two_kernels(&shapes);
    for (name, tensor_) in ["a/kernel", "b/kernel"].into_iter().zip(initial) {
        model.parameter_mut(name).expect("a kernel").copy_from_slice(&tensor(tensor_));
    }
    let losses = ["a", "b"].into_iter().zip(&shapes).map(|(output, dims)| {
        // The mean is over samples and units.
        let elements = shapes[0][0] * rows_and_units(dims).1;
        let weight = elements as f64 / (2.0 * K);
        OutputLoss { weight, ..OutputLoss::new(output, Loss::MeanSquaredError) }
    });
    let settings = CompileSettings {
        optimizer: optimizer(&case["optimizer"]),
        losses: losses.collect(),
        metrics: Vec::new(),
    };
    model.compile_with(settings).expect("settings in range");
    let steps = list(&file["gradients"]).iter().zip(list(&case["after_each_step"]));
    for (step, (gradients, after)) in steps.enumerate() {
        let gradients: Vec<Vec<f32>> = list(gradients).iter().map(tensor).collect();
        let data = data(&model, &shapes, &gradients);
        model.fit(&data, &whole_batch(&data)).expect("data that fits");
        for (name, after) in ["a/kernel", "b/kernel"].into_iter().zip(list(after)) {
            let found = model.parameter(name).expect("a kernel");
            let what = format!("{what}, {name} after step {step}");
            assert_close(&what, found, &numbers(after), VARIABLE);
        }
    }
    let checkpoint = model.to_checkpoint();
    let state = checkpoint.optimizer.expect("compiled");
    assert_eq!(state.step, 3);
    let mut compared = 0;
    for slot in &state.slots {
        for named in &slot.tensors {
            let key = format!("{}_{}", &named.name[..1], slot.name);
            let expected = numbers(&case["slots"][&key]);
            let mut found = vec![0.0; expected.len()];
            named.tensor.copy_to_f32(&mut found).expect("as many elements");
            assert_close(&format!("{what}, {key}"), &found, &expected, VARIABLE);
            compared += 1;
        }
    }
    assert_eq!(compared, case["slots"].as_object().expect("slots by name").len(), "{what}");
}

#[test]
fn optimizers() {
    for file in both("optimizers") {
        let cases = list(&file["cases"]);
        assert_eq!(cases.len(), 17);
        cases.iter().for_each(|case| check(&file, case));
    }
}
