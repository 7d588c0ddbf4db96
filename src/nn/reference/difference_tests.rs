//! The differences against gradients derived by hand, and the comparison against faults.

use proptest::prelude::*;

use super::graphs;
use super::*;
use crate::model::{Activation, BatchNormalization, Conv2d, Dense, Loss, Pool2d, Sequential};

/// A problem in use, of one input.
fn problem(chain: Sequential, batch: usize, objective: Objective) -> Problem {
    let graph = chain.graph().expect("a chain that fits");
    let case = Case::new(graph, batch, 1.0, 5);
    Problem { case, mode: Mode::Inference, objective }
}

/// All derivatives, put in place as an engine would give them.
fn gradients(problem: &Problem) -> Gradients {
    let differences = problem.differences(usize::MAX, 0);
    let tensor = |variable, like: &Vec<f64>| {
        let own = differences.iter().filter(|difference| difference.variable == variable);
        let mut values = vec![f64::NAN; like.len()];
        own.for_each(|difference| values[difference.element] = difference.value);
        Some(values)
    };
    let parameters = problem.case.parameters.iter().enumerate();
    let inputs = problem.case.inputs.iter().enumerate();
    Gradients {
        parameters: parameters.map(|(i, p)| tensor(Variable::Parameter(i), p)).collect(),
        inputs: inputs.map(|(i, x)| tensor(Variable::Input(i), x)).collect(),
    }
}

#[track_caller]
fn assert_close(found: &Option<Vec<f64>>, expected: &[f64]) {
    let found = found.as_ref().expect("a gradient");
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-7 * b.abs().max(1.0);
    let all = found.len() == expected.len() && found.iter().zip(expected).all(close);
    assert!(all, "found {found:?}, expected {expected:?}");
}

/// y = x·W + b: dW = xᵀ·c, db = Σ c, dx = c·Wᵀ.
#[test]
fn dense_by_hand() {
    let cotangents = vec![vec![1., 2., 3., -1., 0.5, 4.]]; // 2 samples × 3 units
    let mut problem =
        problem(Sequential::new([2]).layer(Dense::new(3)), 2, Objective::Cotangents(cotangents));
    problem.case.inputs = vec![vec![1., 2., 3., 4.]];
    problem.case.parameters[0] = vec![1., 0., -1., 2., 5., 3.];
    let gradients = gradients(&problem);
    assert_close(&gradients.parameters[0], &[-2., 3.5, 15., -2., 6., 22.]);
    assert_close(&gradients.parameters[1], &[0., 2.5, 7.]);
    assert_close(&gradients.inputs[0], &[1. - 3., 2. + 10. + 9., -1. - 4., -2. + 2.5 + 12.]);
}

/// A 1×1 convolution is a dense layer at each pixel; only the strides leave pixels out.
#[test]
fn strided_pointwise_convolution_by_hand() {
    let conv = Conv2d { strides: [1, 2], ..Conv2d::new(1, 1) };
    let objective = Objective::Cotangents(vec![vec![1., 10.]]);
    let mut problem = problem(Sequential::new([1, 3, 2]).layer(conv), 1, objective);
    problem.case.inputs = vec![vec![1., 2., 3., 4., 5., 6.]];
    problem.case.parameters = vec![vec![7., -8.], vec![0.]];
    let gradients = gradients(&problem);
    assert_close(&gradients.parameters[0], &[51., 62.]);
    assert_close(&gradients.parameters[1], &[11.]);
    assert_close(&gradients.inputs[0], &[7., -8., 0., 0., 70., -80.]);
}

/// dz = p ∘ (c − Σ c·p)
#[test]
fn softmax_by_hand() {
    let objective = Objective::Cotangents(vec![vec![1., 2., 4.]]);
    let mut problem = problem(Sequential::new([3]).activation(Activation::Softmax), 1, objective);
    let p = [0.25, 0.25, 0.5];
    problem.case.inputs = vec![p.iter().map(|p: &f64| p.ln()).collect()];
    // Σ c·p = 2.75
    let expected = [0.25 * (1. - 2.75), 0.25 * (2. - 2.75), 0.5 * (4. - 2.75)];
    assert_close(&gradients(&problem).inputs[0], &expected);
}

/// dx = γ/σ · (c − mean c − x̂ · mean(c·x̂)), dγ = Σ c·x̂, dβ = Σ c (Ioffe and Szegedy, 2015).
#[test]
fn batch_normalization_by_hand() {
    let norm = BatchNormalization { epsilon: 1.0, ..Default::default() };
    let objective = Objective::Cotangents(vec![vec![1., 0., 2., 5.]]);
    let mut problem = problem(Sequential::new([1]).layer(norm), 4, objective);
    // Mean 3, variance 3, so σ = 2.
    problem.case.inputs = vec![vec![2., 2., 2., 6.]];
    problem.case.parameters = vec![vec![3.], vec![7.], vec![1.], vec![8.]];
    problem.mode = problem.case.training(0);
    let normal = [-0.5, -0.5, -0.5, 1.5];
    // mean c = 2; Σ c·x̂ = −1.5 + 7.5 = 6, its mean 1.5
    let c = [1., 0., 2., 5.];
    let expected: Vec<f64> = (0..4).map(|i| 3. / 2. * (c[i] - 2. - normal[i] * 1.5)).collect();
    let found = gradients(&problem);
    assert_close(&found.inputs[0], &expected);
    assert_close(&found.parameters[0], &[6.]);
    assert_close(&found.parameters[1], &[8.]);
    // Moving averages are no weights.
    assert!(found.parameters[2].as_ref().is_some_and(|values| values[0].is_nan()));
    // In use, and frozen, the layer is linear: dx = c·γ/√(8 + 1).
    problem.case.graph.set_trainable("batch_normalization", false);
    assert_close(&gradients(&problem).inputs[0], &c);
    let frozen = problem.differences(9, 0);
    assert!(frozen.iter().all(|difference| difference.variable == Variable::Input(0)));
}

/// The largest value takes all.
#[test]
fn max_pooling_by_hand() {
    let objective = Objective::Cotangents(vec![vec![5.]]);
    let mut problem = problem(Sequential::new([2, 2, 1]).layer(Pool2d::max(2)), 1, objective);
    problem.case.inputs = vec![vec![1., 4., 3., 2.]];
    assert_close(&gradients(&problem).inputs[0], &[0., 5., 0., 0.]);
}

/// Behind a softmax dz = (p − t) / batch; the penalty adds 2·l2·w.
#[test]
fn losses_by_hand() {
    let layer = Dense { use_bias: false, kernel_l2: 0.5, ..Dense::new(2) };
    let chain = Sequential::new([1]).layer(layer).activation(Activation::Softmax);
    let kind = Loss::SparseCategoricalCrossentropy;
    let objective = Objective::Losses(vec![(kind, 2.0, Target::Classes(vec![0, 1]))]);
    let mut problem = problem(chain, 2, objective);
    problem.case.inputs = vec![vec![1., -1.]];
    problem.case.parameters = vec![vec![0., 3.0_f64.ln()]];
    // p = (¼, ¾) for x = 1 and (¾, ¼) for x = −1; dW = weight · Σ x·(p − t) / 2 + 2·½·w
    let expected = [-0.75 - 0.75, 0.75 + 0.75 + 3.0_f64.ln()];
    assert_close(&gradients(&problem).parameters[0], &expected);
}

#[test]
fn kinks_are_left_out() {
    let objective = Objective::Cotangents(vec![vec![1., 1., 1.]]);
    let mut relu = problem(Sequential::new([3]).activation(Activation::Relu), 1, objective);
    relu.case.inputs = vec![vec![0.0, 1.0, -5e-7]];
    let left: Vec<usize> = relu.differences(9, 0).iter().map(|d| d.element).collect();
    assert_eq!(left, [1]);
    let objective = Objective::Cotangents(vec![vec![1.]]);
    let mut pool = problem(
        Sequential::new([1, 3, 1]).layer(Pool2d { pool: [1, 3], ..Pool2d::max(1) }),
        1,
        objective,
    );
    pool.case.inputs = vec![vec![2.0, 1.0, 2.0]];
    let left: Vec<usize> = pool.differences(9, 0).iter().map(|d| d.element).collect();
    assert_eq!(left, [1]);
}

/// A dense layer's problem, its gradients, and the comparison of the two.
fn checked(fault: impl FnOnce(&mut Gradients)) -> Result<(), String> {
    let chain = Sequential::new([2]).named("head", Dense::new(3));
    let mut problem = problem(chain, 2, Objective::Cotangents(vec![vec![1.; 6]]));
    problem.case.inputs = vec![vec![1., 2., 3., 4.]];
    problem.case.parameters[0] = vec![1., 1., 1., 2., 2., 2.];
    let expected = problem.differences(usize::MAX, 3);
    let mut found = gradients(&problem);
    fault(&mut found);
    check(&problem.case.graph, &found, &expected, 1e-5, 0.0).map_err(|fault| fault.to_string())
}

fn tensor(gradient: &mut Option<Vec<f64>>) -> &mut Vec<f64> {
    gradient.as_mut().expect("a gradient")
}

#[test]
fn comparison_accepts_what_is_right() {
    assert_eq!(checked(|_| {}), Ok(()));
    // 1e-5 of the largest, 6
    assert_eq!(checked(|found| tensor(&mut found.parameters[0])[0] += 5.9e-5), Ok(()));
    assert_eq!(checked(|found| found.inputs[0] = None), Ok(()));
}

#[test]
fn comparison_names_what_is_wrong() {
    let wrong = checked(|found| tensor(&mut found.parameters[0])[5] = -6.5).expect_err("wrong");
    let start = "1 of 13 gradients are wrong\n\
                 layer `head` (dense), parameter `kernel`, element [1, 2]: expected ";
    assert!(wrong.starts_with(start) && wrong.ends_with(", found -6.5"), "{wrong}");
    let input = checked(|found| tensor(&mut found.inputs[0])[3] = 0.0).expect_err("wrong");
    assert!(input.contains("\ninput `input`, element [1, 1]: expected 6"), "{input}");
}

#[test]
fn comparison_refuses_what_is_missing() {
    let nan = checked(|found| tensor(&mut found.parameters[1])[0] = f64::NAN).expect_err("NaN");
    assert!(nan.ends_with("found NaN"), "{nan}");
    let none = checked(|found| found.parameters[1] = None).expect_err("no gradient");
    assert!(none.starts_with("3 of 13") && none.ends_with("found nothing"), "{none}");
    let short = checked(|found| tensor(&mut found.inputs[0]).truncate(3)).expect_err("too short");
    assert!(short.starts_with("1 of 13"), "{short}");
}

/// Almost all derivatives of a generated problem exist: it stands beside few kinks.
fn assert_sound(problem: &Problem) -> Result<(), TestCaseError> {
    let (count, graph) = (6, &problem.case.graph);
    let differences = problem.differences(count, 1);
    let trained = graph.parameters().iter().zip(&problem.case.parameters);
    let lengths = trained.filter(|(p, _)| graph.is_trained(p)).map(|(_, values)| values.len());
    let lengths = lengths.chain(problem.case.inputs.iter().map(Vec::len));
    let asked: usize = lengths.map(|length| length.min(count)).sum();
    prop_assert!(differences.iter().all(|difference| difference.value.is_finite()));
    prop_assert!(differences.len() * 10 >= asked * 9, "{} of {asked}", differences.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn single_layers_can_be_checked(problem in graphs::problems(graphs::single_layers())) {
        assert_sound(&problem)?;
    }

    #[test]
    fn branching_graphs_can_be_checked(problem in graphs::problems(graphs::branching())) {
        assert_sound(&problem)?;
    }

    #[test]
    fn grown_graphs_can_be_checked(problem in graphs::problems(graphs::grown())) {
        assert_sound(&problem)?;
    }

    #[test]
    fn losses_can_be_checked(problem in graphs::loss_problems()) {
        assert_sound(&problem)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn classic_networks_can_be_checked(problem in graphs::problems(graphs::classic())) {
        assert_sound(&problem)?;
    }
}
