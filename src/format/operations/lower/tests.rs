//! What operations compute, by the layers that they become.

use crate::bytes::Budget;
use crate::format::LoadOptions;
use crate::format::operations::{
    Cast, Constant, Elementwise, Input, Kind, Lowered, LoweringError, Operation, Program, ValueId,
    lower,
};
use crate::model::Checkpoint;
use crate::nn::Model;
use crate::tensor::Samples;

/// An input x of number 0 and constants of the numbers from 1; operations, which give the numbers behind.
fn lowered(
    dims: &[Option<usize>],
    is_whole: bool,
    constants: Vec<Constant<'static>>,
    operations: Vec<(Kind, Vec<usize>)>,
) -> Result<Lowered, LoweringError> {
    let value = ValueId(0);
    let input = Input { name: "x".to_owned(), value, dims: Some(dims.to_vec()), is_whole };
    let first = constants.len() + 1;
    let last = ValueId(constants.len() + operations.len());
    let operations = operations.into_iter().enumerate().map(|(place, (kind, inputs))| Operation {
        name: format!("operation {place}"),
        kind,
        inputs: inputs.into_iter().map(|value| Some(ValueId(value))).collect(),
        output: ValueId(first + place),
    });
    let constants = constants.into_iter().enumerate();
    let program = Program {
        inputs: vec![input],
        constants: constants.map(|(place, it)| (ValueId(place + 1), it)).collect(),
        operations: operations.collect(),
        outputs: vec![("y".to_owned(), last)],
        ..Program::default()
    };
    lower(program, &LoadOptions::default(), &mut Budget::new(1 << 20))
}

fn answers(lowered: Lowered, sample: &[usize], x: &[f32]) -> Vec<f32> {
    let model = Model::from_checkpoint(&Checkpoint::new(lowered.graph, lowered.tensors)).unwrap();
    model.predict(&Samples::new(1, sample, x.to_vec()).unwrap()).unwrap().into_iter().collect()
}

#[test]
fn limits_far_away_change_no_bit() {
    let x = [-2e9, -70_000.0, -3.25, -1e-7, 0.0, 1.0 / 3.0, 1.0, 65_503.9, 3e20];
    let sides = [-3e38, -1e30, -65_504.0, -1.0, -0.5, 0.0, 0.25, 1.0, 1e4, 65_504.0, 3e38];
    let dims = [None, Some(x.len())];
    for (place, &low) in sides.iter().enumerate() {
        for &high in &sides[place..] {
            let constants = [low, high].map(Constant::float).to_vec();
            let found = lowered(&dims, false, constants, vec![(Kind::Clip, vec![0, 1, 2])]);
            assert_eq!(answers(found.unwrap(), &[9], &x), x.map(|x| x.clamp(low, high)));
        }
        for (kind, expected) in [
            (Elementwise::Maximum, x.map(|x| if x < low { low } else { x })),
            (Elementwise::Minimum, x.map(|x| if x > low { low } else { x })),
        ] {
            let kind = Kind::Elementwise(kind);
            let found = lowered(&dims, false, vec![Constant::float(low)], vec![(kind, vec![0, 1])]);
            assert_eq!(answers(found.unwrap(), &[9], &x), expected);
        }
    }
}

#[test]
fn the_batch_is_no_axis_that_is_taken_away() {
    for (batch, is_read) in [(None, true), (Some(3), true), (Some(1), false)] {
        let squeezed =
            lowered(&[batch, Some(5), Some(1)], false, vec![], vec![(Kind::Squeeze, vec![0])]);
        assert_eq!(squeezed.is_ok(), is_read, "{squeezed:?}");
    }
}

#[test]
fn lengths_become_floating_point_numbers() {
    let divided = lowered(
        &[None, Some(5), Some(7)],
        false,
        vec![Constant::integers([1]), Constant::integers([2])],
        vec![
            (Kind::Shape, vec![0]),
            (Kind::Gather { axis: 0 }, vec![3, 1]),
            (Kind::Cast(Cast::Floats), vec![4]),
            (Kind::Gather { axis: 0 }, vec![3, 2]),
            (Kind::Cast(Cast::Floats), vec![6]),
            (Kind::Elementwise(Elementwise::Divide), vec![5, 7]),
            (Kind::Elementwise(Elementwise::Multiply), vec![0, 8]),
        ],
    );
    assert_eq!(answers(divided.unwrap(), &[5, 7], &[1.0; 35]), [5.0 / 7.0; 35]);
}

#[test]
fn whole_numbers_are_cast_before_they_are_computed_with() {
    let add = (Kind::Elementwise(Elementwise::Add), Kind::Cast(Cast::Floats));
    let dims = [None, Some(2)];
    let one = || vec![Constant::float(1.0)];
    let cast =
        lowered(&dims, true, one(), vec![(add.1.clone(), vec![0]), (add.0.clone(), vec![2, 1])]);
    assert_eq!(answers(cast.unwrap(), &[2], &[254.0, 255.0]), [255.0, 256.0]);
    let wrapping = lowered(&dims, true, one(), vec![(add.0, vec![0, 1]), (add.1, vec![2])]);
    assert!(matches!(wrapping, Err(LoweringError::Unsupported { .. })), "{wrapping:?}");
}

/// keepnet does not know how many bits a whole number has.
#[test]
fn casts_that_would_change_numbers_are_computed_or_refused() {
    let gathered = |list: Constant<'static>, to: Cast| {
        let cast = vec![
            (Kind::Cast(to), vec![1]),
            (Kind::Cast(Cast::Floats), vec![2]),
            (Kind::Elementwise(Elementwise::Multiply), vec![0, 3]),
        ];
        let length = list.dims[0];
        let found = lowered(&[None, Some(length)], false, vec![list], cast);
        found.map(|found| answers(found, &[length], &vec![1.0; length]))
    };
    let list = |numbers: &[f32]| Constant::list(numbers).unwrap();
    assert_eq!(gathered(list(&[3.7, -1.5]), Cast::Integers).unwrap(), [3.0, -1.0]);
    assert_eq!(gathered(Constant::integers([0, 1]), Cast::Narrow).unwrap(), [0.0, 1.0]);
    for (list, to) in [
        (list(&[3.7; 100]), Cast::Integers),
        (list(&[3.7, 0.0]), Cast::Narrow),
        (Constant::integers([300, -1]), Cast::Narrow),
    ] {
        assert!(gathered(list, to).is_err());
    }
}
