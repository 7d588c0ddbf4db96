//! What a network is said to take before it is built is what it takes at most: the limits of loading
//! rest on it. The whole process is measured, so the tests stand alone and take turns.

mod format_support;
mod peak_memory;

use std::sync::{Mutex, MutexGuard, PoisonError};

use keepnet::model::NodeId;
use keepnet::nn::SHARD;
use keepnet::train::data::Dataset;
use keepnet::*;
use peak_memory::peak;
use proptest::prelude::*;

/// A failed test must not fail the next.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What goes with the network's text and its parameters and not with its images: steps, names,
/// parameters and what is derived from them.
fn described(graph: &Graph) -> u64 {
    let parameters: usize = graph.parameters().iter().map(|p| p.shape.elements() + 16).sum();
    // Derived kernels stand in vectors of 16.
    64 * 1024 + 8 * 1024 * graph.nodes().len() as u64 + 4 * 40 * parameters as u64
}

fn costs(graph: &Graph, training: bool) -> (u64, u64) {
    let costs = (0..graph.nodes().len()).map(|node| graph.cost(NodeId(node), training));
    costs.fold((0, 0), |sum, cost| (sum.0 + cost.tables, sum.1 + cost.sample * SHARD as u64))
}

/// Builds the network and runs one sample through it; gives the peaks of both.
fn measured(graph: &Graph) -> [u64; 2] {
    let (model, tables) = peak(|| Model::new(graph.clone(), 1));
    let zeros = |&node: &NodeId| {
        let shape = graph.shape(node).clone();
        let values = vec![0.0; shape.elements()];
        Samples::new(1, shape, values).unwrap()
    };
    let inputs: Vec<Samples> = graph.inputs().iter().map(zeros).collect();
    let (outputs, activations) = peak(|| model.predict_all(&inputs).unwrap());
    assert_eq!(outputs.len(), graph.outputs().len());
    [tables, activations]
}

#[track_caller]
fn check(graph: &Graph) {
    let (tables, activations) = costs(graph, false);
    let [building, running] = measured(graph);
    let besides = described(graph);
    assert!(building <= tables + besides, "{building} > {tables} + {besides}\n{graph:#?}");
    assert!(running <= activations + besides, "{running} > {activations} + {besides}\n{graph:#?}");
}

/// Trains one step on one shard; gives the peak.
fn trained(graph: &Graph) -> u64 {
    let mut model = Model::new(graph.clone(), 1);
    let shape = graph.shape(graph.inputs()[0]).clone();
    let targets = graph.shape(graph.outputs()[0].node).clone();
    let samples = |shape: Shape| {
        let values = vec![0.0; SHARD * shape.elements()];
        Samples::new(SHARD, shape, values).unwrap()
    };
    let data = Dataset::new(samples(shape), Targets::Values(samples(targets))).unwrap();
    model.compile(Optimizer::sgd(0.001, 0.0), Loss::MeanSquaredError).unwrap();
    let options = FitOptions { epochs: 1, batch_size: SHARD, ..FitOptions::default() };
    peak(|| model.fit(&data, &options).unwrap()).1
}

/// Networks whose tables and activations outweigh all else.
fn heavy() -> Vec<Graph> {
    let conv = |kernel: [usize; 2], strides: [usize; 2], dilation: [usize; 2]| Conv2d {
        kernel,
        strides,
        dilation,
        padding: Padding::Same,
        ..Conv2d::new(2, 1)
    };
    let pool = |kind, pool: [usize; 2], strides: [usize; 2], padding| Pool2d {
        kind,
        pool,
        strides,
        padding,
    };
    let chain = |shape: [usize; 3], layer: LayerSpec| {
        let first = Conv2d { padding: Padding::Same, ..Conv2d::new(1, 1) };
        let chain = Sequential::new(Shape::from(shape)).layer(first).layer(layer);
        chain.global_max_pool2d().graph().unwrap()
    };
    vec![
        chain([96, 80, 2], conv([3, 3], [1, 1], [1, 1]).into()),
        chain([96, 80, 3], conv([5, 4], [2, 3], [1, 1]).into()),
        chain([64, 64, 1], conv([31, 29], [1, 1], [1, 1]).into()),
        chain([61, 64, 1], conv([3, 3], [1, 2], [17, 9]).into()),
        chain([600, 1, 1], conv([599, 1], [1, 1], [1, 1]).into()),
        chain([600, 1, 1], conv([301, 1], [7, 1], [1, 1]).into()),
        chain([300, 3, 1], conv([90, 2], [4, 1], [3, 1]).into()),
        chain([64, 64, 16], pool(PoolKind::Max, [2, 2], [2, 2], Padding::Valid).into()),
        chain([64, 64, 3], pool(PoolKind::Max, [9, 9], [1, 1], Padding::Same).into()),
        chain([64, 64, 3], pool(PoolKind::Average, [40, 33], [1, 1], Padding::Valid).into()),
        chain([700, 1, 1], pool(PoolKind::Max, [700, 1], [1, 1], Padding::Same).into()),
        chain([90, 90, 2], LayerSpec::from(Arrange::ZeroPadding2d([9; 4]))),
        chain([90, 80, 3], Arrange::Permute { dims: vec![2, 1, 3] }.into()),
        chain([50, 60, 7], Arrange::Permute { dims: vec![3, 2, 1] }.into()),
        chain([90, 80, 1], Arrange::Cropping2d([3, 0, 1, 2]).into()),
        chain([60, 50, 1], Arrange::UpSampling2d { size: [2, 3] }.into()),
        chain([60, 50, 1], BilinearUpSampling2d { size: [2, 3] }.into()),
        chain([60, 50, 1], GroupNormalization::new(1).into()),
        chain(
            [96, 80, 2],
            SeparableConv2d { depth_multiplier: 9, ..SeparableConv2d::new(1, 3) }.into(),
        ),
        chain(
            [60, 50, 2],
            Conv2dTranspose { strides: [2, 3], ..Conv2dTranspose::new(2, 4) }.into(),
        ),
    ]
}

#[test]
fn heavy_networks_take_no_more_than_is_said() {
    let _turn = turn();
    for graph in heavy() {
        check(&graph);
        let (tables, activations) = costs(&graph, true);
        let (found, besides) = (trained(&graph), 4 * described(&graph));
        let said = tables + activations + besides;
        assert!(found <= said, "{found} > {tables} + {activations} + {besides}\n{graph:#?}");
    }
}

/// A bound that is far off would refuse what could well be run.
#[test]
fn what_is_said_of_a_usual_network_is_near() {
    let _turn = turn();
    let graph = Sequential::new(Shape::image(64, 64, 3))
        .conv2d(16, 3, Activation::Relu)
        .max_pool2d(2)
        .conv2d(32, 3, Activation::Relu)
        .flatten()
        .dense(10, Activation::Softmax)
        .graph()
        .unwrap();
    let (tables, activations) = costs(&graph, false);
    let [building, running] = measured(&graph);
    assert!(tables < 8 * building, "{tables}, {building} measured");
    assert!(activations < 4 * running, "{activations}, {running} measured");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_network_takes_more_than_is_said(graph in format_support::graphs()) {
        let _turn = turn();
        check(&graph);
    }
}
