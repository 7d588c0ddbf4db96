//! Matrix products by another hand: `matrixmultiply`, in f64.

use proptest::prelude::*;

use super::{Finish, Gather, GatherMatmul, Isa, LANES, Source, Weights};

/// x (rows, depth) · w (depth, columns) in f64.
fn product(x: &[f32], w: &[f32], [rows, depth, columns]: [usize; 3]) -> Vec<f64> {
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let (x, w) = (wide(&x[..rows * depth]), wide(&w[..depth * columns]));
    let mut y = vec![0.0; rows * columns];
    let stride = |columns: usize| columns as isize;
    // SAFETY: each matrix is row-major and holds as many values as its extents and strides say.
    unsafe {
        matrixmultiply::dgemm(
            rows,
            depth,
            columns,
            1.0,
            x.as_ptr(),
            stride(depth),
            1,
            w.as_ptr(),
            stride(columns),
            1,
            0.0,
            y.as_mut_ptr(),
            stride(columns),
            1,
        );
    }
    y
}

proptest! {
    #[test]
    fn dense_layers_are_matrix_products(
        rows in 1_usize..30, depth in 1_usize..50, columns in 1_usize..70, seed in 1_u32..,
    ) {
        let value = |i: usize| ((i as u32).wrapping_mul(seed | 1) >> 8) as f32 / 8_388_608.0 - 1.0;
        let x: Vec<f32> = (0..rows * depth).map(value).collect();
        let w: Vec<f32> = (0..depth * columns + LANES).map(|i| value(i + 7_919)).collect();
        let expected = product(&x, &w, [rows, depth, columns]);
        let gather = Gather::single(depth);
        for isa in Isa::available() {
            let mut y = vec![0.0; rows * columns];
            let source = Source {
                values: &x, samples: rows, length: depth, offset: 0, gather: &gather,
            };
            GatherMatmul {
                y: &mut y,
                y_length: columns,
                y_offset: 0,
                init: None,
                x: source,
                w: Weights { values: &w, start: 0, tap_stride: 0, stride: columns },
                columns,
                finish: Finish::Store,
            }
            .run(isa);
            for (y, expected) in y.iter().zip(&expected) {
                // Each of `depth` terms up to 1 is rounded once.
                prop_assert!((f64::from(*y) - expected).abs() <= 6e-8 * (depth * depth) as f64);
            }
        }
    }
}
