//! Normalisations that files spell out in sums and products: found again, so that they come back with their
//! averages and can be trained.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cast, Channels, Constant, Elementwise, Function, Groups, Kind, Program, ValueId};
use crate::model::PoolKind;

/// Puts one operation in the place of each normalisation that is spelled out, and leaves out what leads to
/// no output.
pub(super) fn join_normalizations(program: &mut Program<'_>) {
    let found: Vec<(usize, Normalization, Kind)> = {
        let reading = Reading::of(program);
        let found = (0..program.operations.len()).filter_map(|place| {
            let normalization = reading.normalization(program.operations.get(place)?.output)?;
            let kind = reading.kind(&normalization)?;
            Some((place, normalization, kind))
        });
        found.collect()
    };
    for (place, normalization, kind) in found {
        let Normalization { x, mean, variance, gamma, beta, .. } = normalization;
        let inputs = match kind {
            Kind::BatchNormalization { .. } => {
                vec![Some(x), gamma, beta, Some(mean), Some(variance)]
            }
            _ => vec![Some(x), gamma, beta],
        };
        if let Some(operation) = program.operations.get_mut(place) {
            (operation.kind, operation.inputs) = (kind, inputs);
        }
    }
    let mut leading: BTreeSet<ValueId> = program.outputs.iter().map(|(_, value)| *value).collect();
    for operation in program.operations.iter().rev() {
        if leading.contains(&operation.output) {
            leading.extend(operation.inputs.iter().flatten());
        }
    }
    program.operations.retain(|operation| leading.contains(&operation.output));
}

/// (x − mean) / √(variance + ε) · γ + β
#[derive(Clone, Copy, Debug, PartialEq)]
struct Normalization {
    x: ValueId,
    mean: ValueId,
    variance: ValueId,
    epsilon: f64,
    gamma: Option<ValueId>,
    beta: Option<ValueId>,
}

/// γ / √(variance + ε)
#[derive(Clone, Copy, Debug, PartialEq)]
struct Factor {
    variance: ValueId,
    epsilon: f64,
    gamma: Option<ValueId>,
}

/// A program, and which operation each value comes from.
struct Reading<'r, 'p> {
    program: &'r Program<'p>,
    makers: BTreeMap<ValueId, usize>,
    /// Values that are others under another name.
    same: BTreeMap<ValueId, ValueId>,
}

/// Whether a shape is that of the numbers, but for axes of length 1 before it.
fn is_own_shape(numbers: &Constant<'_>, shape: &Constant<'_>) -> bool {
    let Some(shape) = shape.known() else { return false };
    let own = numbers.dims.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX));
    own.skip_while(|&dim| dim == 1).eq(shape.into_iter().skip_while(|&dim| dim == 1))
}

impl<'r, 'p> Reading<'r, 'p> {
    fn of(program: &'r Program<'p>) -> Self {
        let makers = program.operations.iter().enumerate();
        let makers = makers.map(|(place, it)| (it.output, place)).collect();
        let mut same = BTreeMap::new();
        for operation in &program.operations {
            let is_same = match operation.kind {
                Kind::Identity | Kind::Cast(Cast::Floats) => true,
                // Numbers that get axes of length 1 before their own.
                Kind::Reshape { .. } => {
                    let [from, to] = [0, 1].map(|place| {
                        let value = operation.inputs.get(place).copied().flatten()?;
                        program.constants.get(same.get(&value).unwrap_or(&value))
                    });
                    from.zip(to).is_some_and(|(from, to)| is_own_shape(from, to))
                }
                _ => false,
            };
            if let (true, Some(&Some(x))) = (is_same, operation.inputs.first()) {
                same.insert(operation.output, same.get(&x).copied().unwrap_or(x));
            }
        }
        Self { program, makers, same }
    }

    /// What a value is made by, and of what.
    fn made(&self, value: ValueId) -> Option<(&'r Kind, &'r [Option<ValueId>])> {
        let operation = self.program.operations.get(*self.makers.get(&value)?)?;
        Some((&operation.kind, &operation.inputs))
    }

    /// The value that `value` is, maybe under another name.
    fn same(&self, value: ValueId) -> ValueId {
        self.same.get(&value).copied().unwrap_or(value)
    }

    fn constant(&self, value: ValueId) -> Option<&'r Constant<'p>> {
        self.program.constants.get(&self.same(value))
    }

    /// Whether a value is numbers of the file, maybe in another shape.
    fn is_numbers(&self, value: ValueId) -> bool {
        self.constant(value).is_some()
            || matches!(
                self.made(self.same(value)),
                Some((Kind::Reshape { .. }, &[Some(of), Some(_)])) if self.constant(of).is_some()
            )
    }

    /// The two values that `value` is a sum, a product, … of.
    fn pair(&self, value: ValueId, elementwise: Elementwise) -> Option<[ValueId; 2]> {
        match self.made(self.same(value))? {
            (Kind::Elementwise(found), &[Some(a), Some(b)]) if *found == elementwise => {
                Some([a, b].map(|value| self.same(value)))
            }
            _ => None,
        }
    }

    /// The same in both orders, where the order does not matter.
    fn pairs(
        &self,
        value: ValueId,
        elementwise: Elementwise,
    ) -> impl Iterator<Item = [ValueId; 2]> + use<> {
        let pair = self.pair(value, elementwise);
        pair.into_iter().flat_map(|[a, b]| [[a, b], [b, a]])
    }

    fn function(&self, value: ValueId, function: Function) -> Option<ValueId> {
        match self.made(self.same(value))? {
            (Kind::Function(found), &[Some(x)]) if *found == function => Some(self.same(x)),
            _ => None,
        }
    }

    /// x, if the value is −x.
    fn negative(&self, value: ValueId) -> Option<ValueId> {
        let mut products = self.pairs(value, Elementwise::Multiply);
        let product = products.find(|[_, by]| {
            self.constant(*by).and_then(Constant::scalar).is_some_and(|by| by == -1.0)
        });
        product.map(|[x, _]| x).or_else(|| self.function(value, Function::Negative))
    }

    fn normalization(&self, value: ValueId) -> Option<Normalization> {
        if let Some(found) = self.centred(value) {
            return Some(found);
        }
        // (x − mean)·factor + β
        let moved = self.pairs(value, Elementwise::Add).find_map(|[y, beta]| {
            let found = self.centred(y)?;
            self.is_numbers(beta).then_some(Normalization { beta: Some(beta), ..found })
        });
        // x·factor + (β − mean·factor)
        moved.or_else(|| {
            self.pairs(value, Elementwise::Add).find_map(|[product, offset]| {
                self.pairs(product, Elementwise::Multiply).find_map(|[x, by]| {
                    let Factor { variance, epsilon, gamma } = self.factor(by)?;
                    let (mean, beta) = self.offset(offset, by)?;
                    Some(Normalization { x, mean, variance, epsilon, gamma, beta })
                })
            })
        })
    }

    /// (x − mean)·factor, or (x − mean)/√(variance + ε), times γ
    fn centred(&self, value: ValueId) -> Option<Normalization> {
        let of = |difference: ValueId, factor: Factor| {
            let [x, mean] = self.pair(difference, Elementwise::Subtract)?;
            let Factor { variance, epsilon, gamma } = factor;
            Some(Normalization { x, mean, variance, epsilon, gamma, beta: None })
        };
        let over_root = |value| {
            let [difference, root] = self.pair(value, Elementwise::Divide)?;
            let (variance, epsilon) = self.root(root)?;
            of(difference, Factor { variance, epsilon, gamma: None })
        };
        over_root(value).or_else(|| {
            self.pairs(value, Elementwise::Multiply).find_map(|[y, by]| {
                if let Some(factor) = self.factor(by) {
                    return of(y, factor);
                }
                if !self.is_numbers(by) {
                    return None;
                }
                let plain = self.pairs(y, Elementwise::Multiply);
                let plain = plain.map(|[y, by]| of(y, self.factor(by)?)).find_map(|it| it);
                let found = plain.or_else(|| over_root(y)).filter(|it| it.gamma.is_none())?;
                Some(Normalization { gamma: Some(by), ..found })
            })
        })
    }

    /// mean and β of β − mean·factor.
    fn offset(&self, value: ValueId, factor: ValueId) -> Option<(ValueId, Option<ValueId>)> {
        let is_factor = |by: ValueId| by == factor || self.factor(by) == self.factor(factor);
        let scaled = |value: ValueId| {
            let mut products = self.pairs(value, Elementwise::Multiply);
            products.find(|[_, by]| is_factor(*by)).map(|[mean, _]| mean)
        };
        let lessened = |value: ValueId| {
            let of_negative = scaled(value).and_then(|mean| self.negative(mean));
            of_negative.or_else(|| scaled(self.negative(value)?))
        };
        if let Some([beta, product]) = self.pair(value, Elementwise::Subtract) {
            return self.is_numbers(beta).then_some((scaled(product)?, Some(beta)));
        }
        lessened(value).map(|mean| (mean, None)).or_else(|| {
            self.pairs(value, Elementwise::Add).find_map(|[product, beta]| {
                self.is_numbers(beta).then_some((lessened(product)?, Some(beta)))
            })
        })
    }

    fn factor(&self, value: ValueId) -> Option<Factor> {
        let reciprocal = |value| {
            let (variance, epsilon) = self.root(self.function(value, Function::Reciprocal)?)?;
            Some(Factor { variance, epsilon, gamma: None })
        };
        let scaled = || {
            let mut products = self.pairs(value, Elementwise::Multiply);
            products.find_map(|[factor, gamma]| {
                let found = Factor { gamma: Some(gamma), ..reciprocal(factor)? };
                self.is_numbers(gamma).then_some(found)
            })
        };
        let divided = || {
            let [gamma, root] = self.pair(value, Elementwise::Divide)?;
            let one = self.constant(gamma)?.scalar() == Some(1.0);
            let (variance, epsilon) = self.root(root)?;
            Some(Factor { variance, epsilon, gamma: (!one).then_some(gamma) })
        };
        reciprocal(value).or_else(scaled).or_else(divided)
    }

    /// The variance and ε of √(variance + ε).
    fn root(&self, value: ValueId) -> Option<(ValueId, f64)> {
        let sum = self.function(value, Function::SquareRoot)?;
        self.pairs(sum, Elementwise::Add).find_map(|[variance, epsilon]| {
            let epsilon = self.constant(epsilon)?.scalar()?;
            Some((variance, f64::from(epsilon)))
        })
    }

    /// What keepnet calls it: by averages of the file, or by those of each sample.
    fn kind(&self, it: &Normalization) -> Option<Kind> {
        let Normalization { x, mean, variance, epsilon, .. } = *it;
        let mut vectors = [it.gamma, it.beta].into_iter().flatten();
        if self.constant(mean).is_some() && self.constant(x).is_none() {
            // A number for each channel, which stands last.
            let lengths = vectors.chain([mean, variance]).map(|value| {
                let constant = self.constant(value)?;
                constant.tensor()?;
                <[usize; 1]>::try_from(constant.dims.as_slice()).ok()
            });
            let lengths = lengths.collect::<Option<Vec<[usize; 1]>>>()?;
            let is_one_length = lengths.windows(2).all(|pair| pair.first() == pair.last());
            let is_wide = lengths.first().is_some_and(|[length]| *length > 1);
            let kind = Kind::BatchNormalization { epsilon, channels: Channels::Last };
            return (is_one_length && is_wide).then_some(kind);
        }
        let axes = self.averaged(mean, x)?;
        let is_deviation = |value: ValueId| {
            let pair = self.pair(value, Elementwise::Subtract);
            pair.is_some_and(|[a, b]| a == x && b == mean)
        };
        let squares = self.average(variance).filter(|(_, along)| *along == axes)?.0;
        let [a, b] = self.pair(squares, Elementwise::Multiply)?;
        if a != b || !is_deviation(a) {
            return None;
        }
        let is_in_turn = axes.windows(2).all(|pair| matches!(pair, [a, b] if a + 1 == *b));
        if is_in_turn && vectors.all(|value| self.constant(value).is_some()) {
            let (axis, over) = (axes.first().copied()?, Some(axes.len()));
            return Some(Kind::LayerNormalization { axis, over, epsilon });
        }
        // All axes but those of the samples and of the groups.
        let (&last, cells) = axes.split_last()?;
        let rank = axes.len() + 2;
        let is_last = usize::try_from(last).is_ok_and(|last| last + 1 == rank);
        let groups = Groups::Split { rank };
        (is_last && cells.iter().copied().eq(1..last - 1))
            .then_some(Kind::GroupNormalization { groups, epsilon })
    }

    /// The axes along which `value` averages x.
    fn averaged(&self, value: ValueId, x: ValueId) -> Option<Vec<i64>> {
        self.average(value).filter(|(of, _)| *of == x).map(|(_, axes)| axes)
    }

    /// What `value` is an average of, and along which axes, which stay.
    fn average(&self, value: ValueId) -> Option<(ValueId, Vec<i64>)> {
        match self.made(self.same(value))? {
            (Kind::Reduce { kind: PoolKind::Average, keep: true }, &[Some(of), Some(axes)]) => {
                Some((self.same(of), self.constant(axes)?.known()?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Budget;
    use crate::format::LoadOptions;
    use crate::format::operations::{Input, Lowered, LoweringError, Operation, lower};
    use crate::model::LayerSpec;

    /// (x − mean) / √(mean of squares + 0.25) along these axes.
    fn normalized(sample: &[usize], axes: &[i64]) -> Result<Lowered, LoweringError> {
        let mut program = Program {
            inputs: vec![Input {
                name: "x".to_owned(),
                value: ValueId(0),
                dims: Some([None].into_iter().chain(sample.iter().copied().map(Some)).collect()),
                is_whole: false,
            }],
            constants: [
                (ValueId(1), Constant::integers(axes.iter().copied())),
                (ValueId(2), Constant::float(0.25)),
            ]
            .into(),
            ..Program::default()
        };
        let mean = Kind::Reduce { kind: PoolKind::Average, keep: true };
        for (kind, inputs) in [
            (mean.clone(), vec![0, 1]),
            (Kind::Elementwise(Elementwise::Subtract), vec![0, 3]),
            (Kind::Elementwise(Elementwise::Multiply), vec![4, 4]),
            (mean, vec![5, 1]),
            (Kind::Elementwise(Elementwise::Add), vec![2, 6]),
            (Kind::Function(Function::SquareRoot), vec![7]),
            (Kind::Elementwise(Elementwise::Divide), vec![4, 8]),
        ] {
            program.operations.push(Operation {
                name: "normalization".to_owned(),
                kind,
                inputs: inputs.into_iter().map(|value| Some(ValueId(value))).collect(),
                output: ValueId(program.operations.len() + 3),
            });
        }
        program.outputs.push(("y".to_owned(), ValueId(9)));
        lower(program, &LoadOptions::default(), &mut Budget::new(1 << 20))
    }

    #[test]
    fn only_the_last_axes_are_normalised_along() {
        for (axes, trailing) in [(&[-1][..], 1), (&[2], 1), (&[1, 2], 2), (&[-2, -1], 2)] {
            let graph = normalized(&[3, 4], axes).unwrap().graph;
            let [_, layer] = graph.layers() else { panic!("{:?}", graph.layers()) };
            let LayerSpec::LayerNormalization(found) = &layer.spec else { panic!("{layer:?}") };
            assert_eq!((found.trailing_axes, found.epsilon), (trailing, 0.25));
            assert!(!found.scale && !found.center);
        }
        for axes in [&[1][..], &[-2]] {
            assert!(matches!(normalized(&[3, 4], axes), Err(LoweringError::Unsupported { .. })));
        }
        assert!(normalized(&[3, 4], &[2, 1]).is_err());
    }

    #[test]
    fn all_axes_but_that_of_groups_are_normalised_along() {
        let graph = normalized(&[5, 2, 3], &[1, 3]).unwrap().graph;
        let [_, joined, layer, split] = graph.layers() else { panic!("{:?}", graph.layers()) };
        let LayerSpec::GroupNormalization(found) = &layer.spec else { panic!("{layer:?}") };
        assert_eq!((found.groups, found.epsilon), (2, 0.25));
        assert!(!found.scale && !found.center);
        let shapes = [[5, 6].as_slice(), &[5, 2, 3]];
        for (layer, dims) in [joined, split].into_iter().zip(shapes) {
            assert!(matches!(&layer.spec, LayerSpec::Reshape(shape) if shape.dims() == dims));
        }
        // Others are left, or the value has more axes.
        for (sample, axes) in [(&[5, 2, 3][..], &[2, 1][..]), (&[5, 2, 3, 4], &[1, 3])] {
            assert!(matches!(normalized(sample, axes), Err(LoweringError::Unsupported { .. })));
        }
    }
}
