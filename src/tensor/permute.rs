//! Tensors with their axes in another order.

use super::{Shape, Tensor};

/// The most axes: each is a call upon the other.
const MAX_RANK: usize = 32;

impl Tensor<'_> {
    /// The same numbers with the axes in another order: axis `i` of the result is axis `axes[i]` of this.
    /// `None` if `axes` does not name every axis once, or there are more than [`MAX_RANK`].
    pub(crate) fn permuted(&self, axes: &[usize]) -> Option<Tensor<'static>> {
        let dims = self.shape().dims();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..dims.len()) || dims.len() > MAX_RANK {
            return None;
        }
        let mut strides = vec![1; dims.len()];
        for axis in (1..dims.len()).rev() {
            strides[axis - 1] = strides[axis] * dims[axis];
        }
        let size = self.dtype().size();
        // What an axis of the result is long, and how far its neighbours stand from each other here.
        let walks: Vec<_> = axes.iter().map(|&axis| (dims[axis], strides[axis] * size)).collect();
        let mut bytes = Vec::with_capacity(self.bytes().len());
        if !self.bytes().is_empty() {
            copy(self.bytes(), &walks, size, &mut bytes);
        }
        let shape = Shape::new(axes.iter().map(|&axis| dims[axis]).collect::<Vec<_>>());
        Tensor::new(self.dtype(), shape, bytes).ok()
    }
}

fn copy(from: &[u8], walks: &[(usize, usize)], size: usize, to: &mut Vec<u8>) {
    match *walks {
        [] => to.extend_from_slice(&from[..size]),
        [(length, stride)] if stride == size => to.extend_from_slice(&from[..length * size]),
        // Nearly all tensors have elements of four bytes, which the compiler moves at once if it knows.
        [(length, stride)] if size == 4 => {
            (0..length).for_each(|place| to.extend_from_slice(&from[place * stride..][..4]));
        }
        [(length, stride), ref rest @ ..] => {
            (0..length).for_each(|place| copy(&from[place * stride..], rest, size, to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn every_number_stands_where_its_axes_say() {
        let values: Vec<f32> = (0_u8..24).map(f32::from).collect();
        let tensor = Tensor::from_f32([2, 3, 4], &values).unwrap();
        let turned = tensor.permuted(&[2, 0, 1]).unwrap();
        assert_eq!(turned.shape(), &Shape::from([4, 2, 3]));
        let turned_values = turned.to_f32().unwrap();
        let wide: Vec<u8> =
            values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
        let wide = Tensor::new(DType::F64, [2, 3, 4], wide).unwrap().permuted(&[2, 0, 1]).unwrap();
        let wide_values = wide.bytes().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes));
        assert!(wide_values.eq(turned_values.iter().map(|&value| f64::from(value))));
        for (a, b, c) in
            (0..2).flat_map(|a| (0..3).flat_map(move |b| (0..4).map(move |c| (a, b, c))))
        {
            assert_eq!(turned_values[(c * 2 + a) * 3 + b], values[(a * 3 + b) * 4 + c]);
        }
        assert_eq!(turned.permuted(&[1, 2, 0]).unwrap(), tensor);
        let empty = Tensor::from_f32([0, 3], &[]).unwrap();
        assert_eq!(empty.permuted(&[1, 0]).unwrap().shape(), &Shape::from([3, 0]));
        assert!(tensor.permuted(&[0, 1]).is_none() && tensor.permuted(&[0, 0, 1]).is_none());
    }
}
