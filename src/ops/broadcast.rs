//! Numbers that stand for some axes of a sample and repeat along the others.

use crate::tensor::Shape;

/// Which of a layer's own numbers belongs to each value of a sample.
#[derive(Clone, Debug)]
pub(crate) struct Broadcast {
    dims: Vec<usize>,
    /// How far apart the numbers of neighbours along each axis are: 0 where they are one.
    strides: Vec<usize>,
}

impl Broadcast {
    /// For samples of `shape`; `own` tells of each axis whether the numbers differ along it.
    pub(crate) fn new(shape: &Shape, own: &[bool]) -> Self {
        let dims = shape.dims().to_vec();
        let mut strides = vec![0; dims.len()];
        let mut next = 1;
        for (axis, stride) in strides.iter_mut().enumerate().rev().filter(|(axis, _)| own[*axis]) {
            *stride = next;
            next *= dims[axis];
        }
        Self { dims, strides }
    }

    /// Values of a sample.
    pub(crate) fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// Gives each value of a sample, in `full`, its number.
    pub(crate) fn expand(&self, full: &mut [f32], number: impl Fn(usize) -> f32) {
        let mut full = full.iter_mut();
        walk(&self.dims, &self.strides, 0, &mut |place| {
            if let Some(value) = full.next() {
                *value = number(place);
            }
        });
    }

    /// Adds each value of `full` to its number in `sums`, in row-major order.
    pub(crate) fn add_up(&self, sums: &mut [f64], full: &[f32]) {
        let mut full = full.iter();
        walk(&self.dims, &self.strides, 0, &mut |place| {
            if let Some(&value) = full.next() {
                sums[place] += f64::from(value);
            }
        });
    }
}

/// Tells `visit` the number of each value below `place`, in row-major order.
fn walk(dims: &[usize], strides: &[usize], place: usize, visit: &mut impl FnMut(usize)) {
    match (dims, strides) {
        ([dim, dims @ ..], [stride, strides @ ..]) => {
            for index in 0..*dim {
                walk(dims, strides, place + index * stride, visit);
            }
        }
        _ => visit(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_repeat_along_the_axes_that_are_not_their_own() {
        let shape = Shape::from([2, 3, 2]);
        let places = |own: [bool; 3]| {
            let mut full = vec![f32::NAN; 12];
            Broadcast::new(&shape, &own).expand(&mut full, |place| place as f32);
            full
        };
        assert_eq!(places([false; 3]), [0.0; 12]);
        let all: Vec<f32> = (0..12).map(|place| place as f32).collect();
        assert_eq!(places([true; 3]), all);
        assert_eq!(places([false, false, true]), [0., 1.].repeat(6));
        assert_eq!(places([false, true, false]), [0., 0., 1., 1., 2., 2.].repeat(2));
        let outer = [0., 1., 0., 1., 0., 1., 2., 3., 2., 3., 2., 3.];
        assert_eq!(places([true, false, true]), outer);
    }

    #[test]
    fn sums_gather_what_shares_a_number() {
        let values: Vec<f32> = (0..6).map(|value| value as f32).collect();
        let mut sums = vec![0.0; 3];
        Broadcast::new(&Shape::from([2, 3]), &[false, true]).add_up(&mut sums, &values);
        assert_eq!(sums, [3.0, 5.0, 7.0]);
    }
}
