//! Gradients by way of training steps.

use std::collections::BTreeMap;

use keepnet::{
    Clipping, CompileSettings, Dataset, Dense, FitOptions, Graph, GraphBuilder, LayerSpec, Loss,
    Merge, Model, Optimizer, OutputLoss, Samples, Shape, Targets,
};

/// A power of two, so that multiplying by it rounds nothing, and so large that of w − rate·g nothing
/// but g is left at the precision of f32.
const RATE: f64 = (1_u64 << 30) as f64;

/// One step over all of `data` at once; gives the loss before it and the gradient of every
/// parameter that is trained.
pub(crate) fn gradients(
    model: &mut Model,
    data: &Dataset,
    loss: Loss,
    weight: f64,
) -> (f64, BTreeMap<String, Vec<f32>>) {
    let output = model.graph().outputs()[0].name.clone();
    let settings = CompileSettings {
        optimizer: Optimizer::sgd(RATE, 0.0),
        losses: vec![OutputLoss { weight, ..OutputLoss::new(output, loss) }],
        metrics: Vec::new(),
    };
    model.compile_with(settings).expect("settings in range");
    let graph = model.graph().clone();
    let trained = graph.parameters().iter().filter(|parameter| graph.is_trained(parameter));
    let names: Vec<String> = trained.map(|parameter| graph.tensor_name(parameter)).collect();
    let values = |model: &Model, name: &str| model.parameter(name).expect("its own").to_vec();
    let before: Vec<Vec<f32>> = names.iter().map(|name| values(model, name)).collect();
    let history = model.fit(data, &whole_batch(data)).expect("data that fits");
    let loss = history.epochs[0].get("loss").expect("always there");
    let gradients = names.into_iter().zip(before).map(|(name, before)| {
        let after = values(model, &name);
        let slope = |(&b, &a): (&f32, &f32)| ((f64::from(b) - f64::from(a)) / RATE) as f32;
        let gradient = before.iter().zip(&after).map(slope).collect();
        (name, gradient)
    });
    (loss, gradients.collect())
}

/// All samples in one step, in their order.
pub(crate) fn whole_batch(data: &Dataset) -> FitOptions {
    FitOptions { epochs: 1, batch_size: data.len(), shuffle: false, ..FitOptions::default() }
}

/// A layer whose input and output show in training: the sample number s enters as the unit vector s,
/// which picks row s of the kernel of layer `x`, so the gradient of that kernel is the gradient of the
/// input; to the output the same is added out of the kernel of layer `y`, which is zero and gets the
/// gradient of the output.
pub(crate) struct Probed {
    graph: Graph,
    samples: usize,
    output: Shape,
}

impl Probed {
    /// The layer under test gets the name `it`; `dims` are those of the whole batch of inputs.
    pub(crate) fn new(dims: &[usize], spec: impl Into<LayerSpec>) -> Self {
        Self::of_several(dims, 1, spec)
    }

    /// A layer that takes several inputs of these dimensions, which go by the names `x`, `x_1`, ….
    pub(crate) fn of_several(dims: &[usize], count: usize, spec: impl Into<LayerSpec>) -> Self {
        let (samples, spec) = (dims[0], spec.into());
        let mut alone = GraphBuilder::new();
        let inputs: Vec<_> =
            (0..count).map(|number| alone.input(&input_name(number), &dims[1..])).collect();
        let it = alone.add(spec.clone(), &inputs);
        alone.output("it", it);
        let alone = alone.build("alone").expect("a layer that takes its inputs");
        let output = alone.shape(alone.outputs()[0].node).clone();
        let mut builder = GraphBuilder::new();
        let unit_vectors = builder.input("unit_vectors", [samples]);
        let mut rows = |name: &str, shape: &Shape| {
            let dense = Dense { use_bias: false, ..Dense::new(shape.elements()) };
            let flat = builder.named(name, dense, &[unit_vectors]);
            builder.add(LayerSpec::Reshape(shape.clone()), &[flat])
        };
        let inputs: Vec<_> =
            (0..count).map(|number| rows(&input_name(number), &Shape::from(&dims[1..]))).collect();
        let y = rows("y", &output);
        let it = builder.named("it", spec, &inputs);
        let sum = builder.add(Merge::Add, &[it, y]);
        builder.output("sum", sum);
        Self { graph: builder.build("probed").expect("shapes that fit"), samples, output }
    }

    /// With these parameters, `x` among them.
    pub(crate) fn model(&self, parameters: &BTreeMap<&str, Vec<f32>>) -> Model {
        let mut model = Model::new(self.graph.clone(), 0);
        for (name, values) in parameters {
            model.parameter_mut(name).expect("a parameter").copy_from_slice(values);
        }
        model.parameter_mut("y/kernel").expect("a parameter").fill(0.0);
        model
    }

    fn data(&self, targets: Vec<f32>) -> Dataset {
        let targets = Samples::new(self.samples, self.output.clone(), targets);
        let targets = Targets::Values(targets.expect("a target for each element"));
        Dataset::new(self.inputs(), targets).expect("as many targets as samples")
    }

    pub(crate) fn inputs(&self) -> Samples {
        unit_vectors(self.samples)
    }

    fn elements(&self) -> usize {
        self.samples * self.output.elements()
    }

    /// What the layer gives while training: the gradient of Σ y² / 2. The moving averages move.
    pub(crate) fn output(&self, model: &mut Model) -> Vec<f32> {
        let weight = self.elements() as f64 / 2.0;
        let data = self.data(vec![0.0; self.elements()]);
        gradients(model, &data, Loss::MeanSquaredError, weight)
            .1
            .remove("y/kernel")
            .expect("trained")
    }

    /// The gradients of Σ y·dy, where `output` is what the layer gives: those of Σ (y − t)² / 2k with
    /// t = y − k·dy. A large k keeps the rounding of t small beside dy.
    pub(crate) fn gradients(
        &self,
        model: &mut Model,
        output: &[f32],
        dy: &[f32],
    ) -> BTreeMap<String, Vec<f32>> {
        const K: f64 = 1024.0;
        let target = |(&y, &dy): (&f32, &f32)| (f64::from(y) - K * f64::from(dy)) as f32;
        let data = self.data(output.iter().zip(dy).map(target).collect());
        let weight = self.elements() as f64 / (2.0 * K);
        gradients(model, &data, Loss::MeanSquaredError, weight).1
    }
}

/// The name of an input's layer.
pub(crate) fn input_name(number: usize) -> String {
    if number == 0 { "x".to_owned() } else { format!("x_{number}") }
}

/// `count` samples, each a unit vector.
pub(crate) fn unit_vectors(count: usize) -> Samples {
    let unit = |at: usize| if at.is_multiple_of(count + 1) { 1.0 } else { 0.0 };
    Samples::new(count, [count], (0..count * count).map(unit).collect::<Vec<f32>>())
        .expect("square")
}

/// Keras' name for a way of clipping.
pub(crate) fn clipping(settings: &serde_json::Value) -> Clipping {
    let limit = |key: &str| settings.get(key).map(crate::read::number);
    match (limit("clipvalue"), limit("clipnorm"), limit("global_clipnorm")) {
        (Some(limit), None, None) => Clipping::Value(limit),
        (None, Some(limit), None) => Clipping::Norm(limit),
        (None, None, Some(limit)) => Clipping::GlobalNorm(limit),
        (None, None, None) => Clipping::None,
        _ => panic!("one way of clipping at a time"),
    }
}
