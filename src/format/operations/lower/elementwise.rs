//! Operations on each number by itself, and on each two numbers.

use super::rows::ROWS;
use super::{Lowering, Traced};
use crate::format::keras::broadcast::{common_shape, repeat};
use crate::format::operations::place::Placed;
use crate::format::operations::sketch::{Step, nearest};
use crate::format::operations::{Constant, Elementwise, LoweringError, Operation};
use crate::model::{Activation, LayerSpec, Merge};
use crate::tensor::Shape;

impl Lowering<'_, '_> {
    pub(super) fn elementwise(
        &mut self,
        operation: &Operation,
        elementwise: Elementwise,
    ) -> Result<Placed, LoweringError> {
        let mut placed = Vec::with_capacity(operation.inputs.len());
        let mut known = None;
        for place in 0..operation.inputs.len() {
            match self.get(operation, place)? {
                Some(Traced::Placed(x)) => placed.push(x),
                Some(Traced::Known(constant)) => known = Some((place, constant)),
                Some(Traced::Rows(_)) => return Err(self.unsupported(ROWS)),
                None => return Err(self.contradiction()),
            }
        }
        match (placed.as_slice(), known) {
            ([x], None) => Ok(x.clone()),
            ([x], Some((place, constant))) if operation.inputs.len() == 2 => {
                self.with_constant(x, elementwise, &constant, place == 0)
            }
            (all, None) => self.merge(elementwise, all),
            (_, Some(_)) => Err(self.unsupported("joins several values and numbers of the file")),
        }
    }

    fn merge(
        &mut self,
        elementwise: Elementwise,
        values: &[Placed],
    ) -> Result<Placed, LoweringError> {
        // All in the order of the first that has all axes.
        let longest = values.iter().rev().max_by_key(|x| x.axes.len());
        let first = longest.ok_or_else(|| self.contradiction())?;
        let is_spread = values.iter().any(|x| x.spread.is_some());
        let first = match is_spread {
            true => first.row_major(&mut self.sketch, self.operation)?,
            false => first.clone(),
        };
        let mut nodes = Vec::with_capacity(values.len());
        for x in values {
            let same = x.axes.len() == first.axes.len();
            nodes.push(match same {
                true => x.arranged(&mut self.sketch, self.operation, &first.axes)?.node,
                false => return Err(self.unsupported("joins values of different numbers of axes")),
            });
        }
        let shapes: Vec<Shape> = nodes.iter().map(|&node| self.sketch.shape(node)).collect();
        let common = common_shape(&shapes.iter().collect::<Vec<_>>());
        for (node, shape) in nodes.iter_mut().zip(&shapes) {
            for spec in repeat(shape, &common) {
                *node = self.layer(spec, &[*node])?;
            }
        }
        let merge = match elementwise {
            Elementwise::Add => Merge::Add,
            Elementwise::Subtract => Merge::Subtract,
            Elementwise::Multiply => Merge::Multiply,
            Elementwise::Maximum => Merge::Maximum,
            Elementwise::Minimum => Merge::Minimum,
            Elementwise::Mean => Merge::Average,
            Elementwise::Divide => {
                return Err(self.unsupported("divides one value by another"));
            }
        };
        if let (Elementwise::Multiply, &[a, b]) = (elementwise, nodes.as_slice())
            && let Some(node) = self.gate(a, b)?
        {
            return Ok(first.at(node));
        }
        Ok(first.at(self.layer(merge, &nodes)?))
    }

    /// x with a constant, which stands first if `swapped`.
    fn with_constant(
        &mut self,
        x: &Placed,
        elementwise: Elementwise,
        constant: &Constant<'_>,
        swapped: bool,
    ) -> Result<Placed, LoweringError> {
        match elementwise {
            Elementwise::Maximum | Elementwise::Minimum => {
                let limit = constant.scalar().map(f64::from);
                let limit =
                    limit.ok_or_else(|| self.unsupported("compares with more than one number"))?;
                return match elementwise {
                    Elementwise::Maximum => self.clip(x, Some(limit), None),
                    _ => self.clip(x, None, Some(limit)),
                };
            }
            Elementwise::Mean => return Err(self.unsupported("is a mean with numbers of the file")),
            _ => {}
        }
        let (x, numbers) = self.along_channels(x, constant)?;
        let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
        let (zero, one) = (vec![0.0], vec![1.0]);
        let (scale, offset) = match (elementwise, swapped) {
            (Elementwise::Add, _) => (one, numbers),
            (Elementwise::Subtract, false) => (one, numbers.iter().map(|n| -n).collect()),
            (Elementwise::Subtract, true) => (vec![-1.0], numbers),
            (Elementwise::Multiply, _) => (numbers, zero),
            (Elementwise::Divide, false) => (numbers.iter().map(|n| n.recip()).collect(), zero),
            _ => return Err(self.unsupported("divides numbers of the file by a value")),
        };
        if scale.iter().chain(&offset).any(|&number| !nearest(number).is_finite()) {
            return Err(self.unsupported("computes with numbers that are not finite"));
        }
        Ok(x.at(self.affine(x.node, scale, offset)?))
    }

    /// x·scale + offset. What is one number each is put together with what x is of this kind already.
    pub(super) fn affine(
        &mut self,
        x: usize,
        scale: Vec<f64>,
        offset: Vec<f64>,
    ) -> Result<usize, LoweringError> {
        if let (&[by], &[plus]) = (scale.as_slice(), offset.as_slice()) {
            let (source, inner_by, inner_plus) = self.sketch.affine(x);
            let (scale, offset) = (vec![inner_by * by], vec![inner_plus * by + plus]);
            return self.step(Step::Affine { scale, offset }, source);
        }
        self.step(Step::Affine { scale, offset }, x)
    }

    /// A value, and numbers of which there is one for all of it or one for each place along the last axis of
    /// its node.
    fn along_channels(
        &mut self,
        x: &Placed,
        constant: &Constant<'_>,
    ) -> Result<(Placed, Vec<f32>), LoweringError> {
        let values = constant.values().ok_or_else(|| self.unsupported("depends on the batch"))?;
        let rank = x.axes.len() + 1;
        // Axes of the value (the batch counted) along which the numbers differ.
        let shift = rank.checked_sub(constant.dims.len()).ok_or_else(|| self.contradiction())?;
        let long: Vec<usize> = (constant.dims.iter().enumerate())
            .filter(|(_, dim)| **dim != 1)
            .map(|(axis, _)| axis + shift)
            .collect();
        match long.as_slice() {
            [] => Ok((x.clone(), values)),
            &[axis] if axis > 0 => {
                if x.dims(&self.sketch).get(axis - 1) != Some(&values.len()) {
                    return Err(self.unsupported("repeats values along an axis"));
                }
                if x.spread.is_some() {
                    return Ok((x.clone(), self.of_channels(x, values)));
                }
                let last = x.axes.len() - 1;
                let x = match x.axes.get(axis - 1) {
                    Some(own) if *own == last => x.clone(),
                    // Any order of the others, with that axis last.
                    _ => {
                        let mut axes: Vec<usize> = (0..x.axes.len()).collect();
                        for (place, own) in axes.iter_mut().enumerate() {
                            *own = match place.cmp(&(axis - 1)) {
                                std::cmp::Ordering::Less => place,
                                std::cmp::Ordering::Equal => last,
                                std::cmp::Ordering::Greater => place - 1,
                            };
                        }
                        x.arranged(&mut self.sketch, self.operation, &axes)?
                    }
                };
                Ok((x, values))
            }
            _ => Err(self.unsupported("takes numbers that differ along several axes")),
        }
    }

    /// x within these limits.
    pub(super) fn clip(
        &mut self,
        x: &Placed,
        low: Option<f64>,
        high: Option<f64>,
    ) -> Result<Placed, LoweringError> {
        let low = low.filter(|&low| low > f64::from(f32::MIN));
        let high = high.filter(|&high| high < f64::from(f32::MAX));
        let node = match (low, high) {
            (None, None) => x.node,
            (Some(0.0), None) => self.layer(Activation::Relu, &[x.node])?,
            // Not f(x − low) + low, which rounds x away where the limit is far from it.
            (Some(low), None) => {
                let function = Activation::Threshold { threshold: low, value: low };
                self.layer(function, &[x.node])?
            }
            (Some(-1.0), Some(1.0)) => self.layer(Activation::HardTanh, &[x.node])?,
            (Some(0.0), Some(high)) if high >= 0.0 => self.layer(limited(high, 0.0), &[x.node])?,
            (Some(low), Some(high)) if low <= high => {
                let above = self.clip(x, Some(low), None)?;
                return self.clip(&above, None, Some(high));
            }
            (Some(_), Some(_)) => return Err(self.contradiction()),
            (None, Some(high)) => {
                let bent = match self.sketch.spec(x.node) {
                    Some(LayerSpec::Activation(Activation::Relu)) => Some(0.0),
                    Some(LayerSpec::Activation(Activation::LeakyRelu { negative_slope })) => {
                        Some(*negative_slope)
                    }
                    _ => None,
                };
                match (bent, self.sketch.source(x.node)) {
                    (Some(slope), Some(source)) if slope >= 0.0 && high >= 0.0 => {
                        self.layer(limited(high, slope), &[source])?
                    }
                    _ if high >= 0.0 => self.layer(limited(high, 1.0), &[x.node])?,
                    // The least of x and h is −(the greatest of −x and −h).
                    _ => {
                        let function = Activation::Threshold { threshold: -high, value: -high };
                        let above = self.affine(x.node, vec![-1.0], vec![0.0])?;
                        let above = self.layer(function, &[above])?;
                        self.affine(above, vec![-1.0], vec![0.0])?
                    }
                }
            }
        };
        Ok(x.at(node))
    }
}

/// x within 0 and `max_value`, or x·`negative_slope` below 0.
pub(super) fn limited(max_value: f64, negative_slope: f64) -> Activation {
    match (max_value, negative_slope) {
        (6.0, 0.0) => Activation::Relu6,
        _ => Activation::ClippedRelu { max_value, negative_slope, threshold: 0.0 },
    }
}
