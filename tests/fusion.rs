//! What is computed in one step, a layer with the activation and the pooling behind it, gives the bits
//! of its layers one after the other; and where somebody reads between them, nothing is lost.

use keepnet::{
    Activation, Arrange, BatchNormalization, CompileSettings, Conv2d, Dataset, Dense, FitOptions,
    GlobalPool2d, Graph, GraphBuilder, LayerSpec, Loss, Merge, Model, NodeId, Optimizer,
    OutputLoss, Padding, Pool2d, PoolKind, Samples, Shape, Targets,
};

const ACTIVATIONS: [Activation; 31] = [
    Activation::Linear,
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu { negative_slope: 0.2 },
    Activation::Elu { alpha: 1.0 },
    Activation::Selu,
    Activation::Gelu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Softplus,
    Activation::Softmax,
    Activation::LogSoftmax,
    Activation::ClippedRelu { max_value: 0.75, negative_slope: 0.2, threshold: 0.1 },
    Activation::Exponential,
    Activation::Softsign,
    Activation::HardSigmoid,
    Activation::HardSigmoidKeras2,
    Activation::HardSilu,
    Activation::HardTanh,
    Activation::Mish,
    Activation::LogSigmoid,
    Activation::Celu { alpha: 0.7 },
    Activation::GeluTanh,
    Activation::SoftShrink { threshold: 0.2 },
    Activation::HardShrink { threshold: 0.2 },
    Activation::TanhShrink,
    Activation::Squareplus { b: 4.0 },
    Activation::SparsePlus,
    Activation::SparseSigmoid,
    Activation::Threshold { threshold: 0.1, value: -0.5 },
];

/// Three batches, each of a shard and a short one.
const SAMPLES: usize = 63;

/// Numbers in [−1, 1) that follow no pattern (SplitMix64; Steele, Lea and Flood 2014).
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let number = |index: usize| {
        let mut z = (seed << 32 | index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(number).collect()
}

fn samples(shape: &Shape, seed: u64) -> Samples {
    let values = numbers(SAMPLES * shape.elements(), seed);
    Samples::new(SAMPLES, shape.clone(), values).expect("as many as the shape says")
}

/// A graph from an image of 9 × 8 × 3 to whatever `build` names as outputs.
fn graph(build: impl FnOnce(&mut GraphBuilder, NodeId)) -> Graph {
    let mut builder = GraphBuilder::new();
    let image = builder.input("image", Shape::image(9, 8, 3));
    build(&mut builder, image);
    builder.build("graph").expect("sound")
}

/// A graph that ends in ten probabilities.
fn classifier(build: impl FnOnce(&mut GraphBuilder, NodeId) -> NodeId) -> Graph {
    graph(|net, image| {
        let x = build(net, image);
        let x = net.add(LayerSpec::Flatten, &[x]);
        let x = net.add(Dense { activation: Activation::Softmax, ..Dense::new(10) }, &[x]);
        net.output("classes", x);
    })
}

/// What a layer that changes nothing gives: too far for anything to be done in one step.
fn apart(net: &mut GraphBuilder, x: NodeId) -> NodeId {
    net.add(LayerSpec::from(Arrange::ZeroPadding2d([0; 4])), &[x])
}

/// Parameters, losses and answers after six steps with `loss`, from the parameters that are drawn for
/// another graph of the same parameters.
fn trained(graph: &Graph, like: &Graph, loss: Loss) -> Vec<u64> {
    let names = |graph: &Graph| -> Vec<String> {
        graph.parameters().iter().map(|parameter| graph.tensor_name(parameter)).collect()
    };
    let (mut model, drawn) = (Model::new(graph.clone(), 1), Model::new(like.clone(), 1));
    for (name, of_drawn) in names(graph).iter().zip(names(like)) {
        let values = drawn.parameter(&of_drawn).expect("its own");
        model.parameter_mut(name).expect("its own").copy_from_slice(values);
    }
    let losses = graph.outputs().iter().map(|output| OutputLoss::new(&*output.name, loss));
    let optimizer = Optimizer::adam(0.01);
    let settings = CompileSettings { optimizer, losses: losses.collect(), metrics: Vec::new() };
    model.compile_with(settings).expect("losses that fit");
    let targets = (2..).zip(graph.outputs()).map(|(seed, output)| match loss {
        Loss::SparseCategoricalCrossentropy => {
            let classes = numbers(SAMPLES, seed);
            classes.iter().map(|x| (x * 5.0 + 5.0) as u32).collect::<Vec<_>>().into()
        }
        _ => Targets::Values(samples(graph.shape(output.node), seed)),
    });
    let inputs = samples(&Shape::image(9, 8, 3), 1);
    let data = Dataset::with_several(vec![inputs.clone()], targets.collect()).expect("as many");
    model
        .fit(&data, &FitOptions { epochs: 2, batch_size: 21, ..FitOptions::default() })
        .expect("data that fits");

    let parameters = names(graph).into_iter().flat_map(|name| {
        model
            .parameter(&name)
            .expect("its own")
            .iter()
            .map(|x| x.to_bits().into())
            .collect::<Vec<_>>()
    });
    let losses =
        model.history().epochs.iter().map(|epoch| epoch.get("loss").expect("kept").to_bits());
    let answers = model.predict_all(&[inputs]).expect("inputs that fit");
    let answers = answers.iter().flatten().map(|x| x.to_bits().into());
    parameters.chain(losses).chain(answers).collect()
}

#[track_caller]
fn assert_same_training(one: &Graph, other: &Graph, loss: Loss, what: &dyn std::fmt::Debug) {
    assert!(trained(one, one, loss) == trained(other, one, loss), "{what:?}");
}

const CROSSENTROPY: Loss = Loss::SparseCategoricalCrossentropy;

/// 17 filters, more than a vector.
fn conv(padding: Padding, activation: Activation) -> Conv2d {
    Conv2d { padding, activation, ..Conv2d::new(17, 3) }
}

#[test]
fn a_relu_layer_before_a_pooling_is_that_of_the_convolution() {
    for padding in [Padding::Valid, Padding::Same] {
        let one = classifier(|net, x| {
            let x = net.add(conv(padding, Activation::Relu), &[x]);
            net.add(Pool2d::max(2), &[x])
        });
        let two = classifier(|net, x| {
            let x = net.add(conv(padding, Activation::Linear), &[x]);
            let x = net.add(Activation::Relu, &[x]);
            net.add(Pool2d::max(2), &[x])
        });
        assert_same_training(&one, &two, CROSSENTROPY, &padding);
    }
}

#[test]
fn an_activation_layer_is_the_activation_of_the_layer_before_it() {
    for activation in ACTIVATIONS {
        for groups in [1, 3] {
            let conv = |activation| Conv2d { groups, activation, ..Conv2d::new(18, 3) };
            let own = classifier(|net, x| net.add(conv(activation), &[x]));
            let behind = classifier(|net, x| {
                let x = net.add(conv(Activation::Linear), &[x]);
                net.add(activation, &[x])
            });
            assert_same_training(&own, &behind, CROSSENTROPY, &(activation, groups));
        }
        let dense = |activation| Dense { activation, ..Dense::new(5) };
        let own = classifier(|net, x| net.add(dense(activation), &[x]));
        let behind = classifier(|net, x| {
            let x = net.add(dense(Activation::Linear), &[x]);
            net.add(activation, &[x])
        });
        assert_same_training(&own, &behind, CROSSENTROPY, &activation);
    }
}

/// The activation that the loss is computed with, as a layer of its own.
#[test]
fn an_activation_layer_before_a_loss_is_that_of_the_layer_before_it() {
    for (activation, loss) in [
        (Activation::Softmax, Loss::SparseCategoricalCrossentropy),
        (Activation::Sigmoid, Loss::BinaryCrossentropy),
        (Activation::Tanh, Loss::MeanSquaredError),
    ] {
        let ending = |own: Activation, behind: Option<Activation>| {
            graph(|net, x| {
                let x = net.add(LayerSpec::Flatten, &[x]);
                let x = net.add(Dense { activation: own, ..Dense::new(10) }, &[x]);
                let x = behind.map_or(x, |activation| net.add(activation, &[x]));
                net.output("classes", x);
            })
        };
        let (own, behind) =
            (ending(activation, None), ending(Activation::Linear, Some(activation)));
        assert_same_training(&own, &behind, loss, &activation);
    }
}

/// Normalisations, sums of two and of three, and layers of no arithmetic, each with an activation
/// right behind it and with one further on.
#[test]
fn layers_take_in_the_activation_behind_them() {
    type Build = fn(&mut GraphBuilder, NodeId) -> NodeId;
    let layers: [(&str, Build); 5] = [
        ("normalisation", |net, x| net.add(BatchNormalization::default(), &[x])),
        ("sum of two", |net, x| {
            let y = net.add(conv(Padding::Same, Activation::Tanh), &[x]);
            net.add(Merge::Add, &[x, y])
        }),
        ("sum of three", |net, x| {
            let y = net.add(conv(Padding::Same, Activation::Tanh), &[x]);
            net.add(Merge::Add, &[x, y, x])
        }),
        ("concatenation", |net, x| net.add(Merge::Concatenate { axis: -1 }, &[x, x])),
        ("pooling", |net, x| net.add(Pool2d::average(3), &[x])),
    ];
    for (name, layer) in layers {
        for activation in ACTIVATIONS {
            let build = |near: bool| {
                classifier(|net, x| {
                    let x = net.add(conv(Padding::Same, Activation::Linear), &[x]);
                    let mut x = layer(net, x);
                    if !near {
                        x = apart(net, x);
                    }
                    net.add(activation, &[x])
                })
            };
            assert_same_training(&build(true), &build(false), CROSSENTROPY, &(name, activation));
        }
    }
}

/// A convolution before a pooling which another layer reads as well, or which is an output.
#[test]
fn what_others_read_is_kept() {
    for activation in [Activation::Relu, Activation::Linear] {
        let read_elsewhere = |near: bool| {
            classifier(|net, x| {
                let conv = net.add(conv(Padding::Same, activation), &[x]);
                let x = if near { conv } else { apart(net, conv) };
                let pooled = net.add(Pool2d::max(2), &[x]);
                let pooled = net.add(LayerSpec::Flatten, &[pooled]);
                let means = GlobalPool2d { kind: PoolKind::Average, keep_dims: false };
                let means = net.add(means, &[conv]);
                net.add(Merge::Concatenate { axis: 1 }, &[pooled, means])
            })
        };
        let (near, far) = (read_elsewhere(true), read_elsewhere(false));
        assert_same_training(&near, &far, CROSSENTROPY, &("read elsewhere", activation));

        let output = |near: bool| {
            graph(|net, x| {
                let conv = net.add(conv(Padding::Same, activation), &[x]);
                let x = if near { conv } else { apart(net, conv) };
                let pooled = net.add(Pool2d::max(2), &[x]);
                net.output("pooled", pooled).output("image", conv);
            })
        };
        let (near, far) = (output(true), output(false));
        assert_same_training(&near, &far, Loss::MeanSquaredError, &("an output", activation));
    }

    // The relu is read too: the convolution may take it in, but not the pooling.
    let activated = |near: bool| {
        graph(|net, x| {
            let x = net.add(conv(Padding::Same, Activation::Linear), &[x]);
            let active = net.add(Activation::Relu, &[x]);
            let x = if near { active } else { apart(net, active) };
            let pooled = net.add(Pool2d::max(2), &[x]);
            net.output("pooled", pooled).output("active", active);
        })
    };
    let (near, far) = (activated(true), activated(false));
    assert_same_training(&near, &far, Loss::MeanSquaredError, &"an active output");

    // What goes into the activation is an output, or is read: that stays a step of its own.
    let before = |near: bool| {
        graph(|net, x| {
            let x = net.add(conv(Padding::Same, Activation::Linear), &[x]);
            let y = if near { x } else { apart(net, x) };
            let active = net.add(Activation::Relu, &[y]);
            net.output("active", active).output("before", x);
        })
    };
    let (near, far) = (before(true), before(false));
    assert_same_training(&near, &far, Loss::MeanSquaredError, &"not active");

    let activated_twice = |near: bool| {
        classifier(|net, x| {
            let x = net.add(conv(Padding::Same, Activation::Linear), &[x]);
            let y = if near { x } else { apart(net, x) };
            let (relu, tanh) = (net.add(Activation::Relu, &[y]), net.add(Activation::Tanh, &[x]));
            net.add(Merge::Concatenate { axis: -1 }, &[relu, tanh])
        })
    };
    let (near, far) = (activated_twice(true), activated_twice(false));
    assert_same_training(&near, &far, CROSSENTROPY, &"activated twice");
}
