//! Pooling on every instruction set against plain loops, bit by bit.

use super::*;
use crate::kernels::reference::{self, Pooling, assert_same_bits};
use crate::model::Padding;
use crate::ops::global_pool2d;

/// Image, window, strides, padding.
type Window = ([usize; 2], [usize; 2], [usize; 2], Padding);

const WINDOWS: [Window; 12] = [
    ([1, 1], [1, 1], [1, 1], Padding::Valid),
    ([4, 6], [2, 2], [2, 2], Padding::Valid),
    ([5, 7], [2, 2], [2, 2], Padding::Valid), // a row and a column that no window covers
    ([5, 7], [2, 2], [2, 2], Padding::Same),
    ([7, 7], [3, 3], [2, 2], Padding::Valid), // up to four windows over a cell
    ([8, 7], [3, 3], [2, 2], Padding::Same),
    ([5, 6], [3, 3], [1, 1], Padding::Same), // up to nine
    ([4, 5], [2, 2], [1, 1], Padding::Valid),
    ([7, 8], [2, 2], [3, 3], Padding::Valid), // gaps between windows
    ([6, 5], [3, 2], [2, 1], Padding::Same),
    ([9, 9], [9, 9], [9, 9], Padding::Valid),
    ([7, 7], [3, 3], [3, 3], Padding::Explicit { top: 1, bottom: 2, left: 2, right: 0 }),
];

/// Numbers of which many are equal, and zeros of both signs.
fn with_ties(count: usize, seed: u64) -> Vec<f32> {
    reference::values(count, seed)
        .into_iter()
        .map(|value| (value / 4.0).round_ties_even())
        .collect()
}

/// Now and then no number, or an infinite one.
fn with_strangers(count: usize) -> Vec<f32> {
    let mut values = with_ties(count, 3);
    let strangers = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for (value, stranger) in values.iter_mut().skip(1).step_by(7).zip(strangers.iter().cycle()) {
        *value = *stranger;
    }
    values
}

fn check(pool: &Pool2d, input: &Shape, samples: usize) {
    let (height, width, channels) = input.as_image().expect("an image");
    let window = Window2d::new([height, width], pool.pool, pool.strides, pool.padding, [1; 2])
        .expect("a window that fits");
    let twin = Pooling {
        samples,
        input: window.input,
        output: window.output,
        window: pool.pool,
        strides: pool.strides,
        before: window.before,
        channels,
    };
    let geometry = Geometry::new(pool, input);
    let count = samples * input.elements();
    for x in [reference::values(count, 1), with_ties(count, 2), with_strangers(count)] {
        let (y_expected, places) = twin.largest(&x);
        let means = twin.mean(&x);
        let dy = reference::values(means.len(), 4);
        let dx_expected = match pool.kind {
            PoolKind::Max => twin.largest_gradient(&places, &dy),
            PoolKind::Average => twin.mean_gradient(&dy),
        };
        for isa in Isa::available() {
            let mut y = vec![f32::NAN; means.len()];
            let mut dx = vec![f32::NAN; count];
            match pool.kind {
                PoolKind::Max => {
                    forward(isa, &mut y, &mut [], &x, samples, &geometry);
                    assert_same_bits(&y, &y_expected, &("largest, none remembered", isa, twin));
                    y.fill(f32::NAN);
                    let mut winners = vec![0xAAAA; samples * geometry.winners()];
                    forward(isa, &mut y, &mut winners, &x, samples, &geometry);
                    assert_same_bits(&y, &y_expected, &("largest", isa, twin));
                    max_gradient(isa, &mut dx, &winners, &dy, samples, &geometry);
                }
                PoolKind::Average => {
                    forward(isa, &mut y, &mut [], &x, samples, &geometry);
                    assert_same_bits(&y, &means, &("mean", isa, twin));
                    let mut shares = vec![f32::NAN; means.len() / samples];
                    average_gradient(isa, &mut dx, &mut shares, &dy, samples, &geometry);
                }
            }
            assert_same_bits(&dx, &dx_expected, &("gradient", pool.kind, isa, twin));
        }
    }
}

#[test]
fn all_windows_at_all_widths() {
    for kind in [PoolKind::Max, PoolKind::Average] {
        for (image, pool, strides, padding) in WINDOWS {
            for channels in [1, 3, 6, 15, 16, 17, 32, 33] {
                let pool = Pool2d { kind, pool, strides, padding };
                check(&pool, &Shape::image(image[0], image[1], channels), 3);
            }
        }
    }
}

/// Pooling of whole images is pooling by one window, but its gradients are not sums.
#[test]
fn whole_images_are_one_window() {
    for channels in [1, 6, 16, 33] {
        let twin = Pooling {
            samples: 3,
            input: [5, 4],
            output: [1, 1],
            window: [5, 4],
            strides: [1, 1],
            before: [0, 0],
            channels,
        };
        let geometry = global_pool2d::Geometry { cells: 20, channels };
        for x in [with_ties(60 * channels, 5), with_strangers(60 * channels)] {
            let (expected, places) = twin.largest(&x);
            for isa in Isa::available() {
                let mut y = vec![f32::NAN; 3 * channels];
                let mut argmax = vec![u32::MAX; 3 * channels];
                global_pool2d::max(isa, &mut y, &mut argmax, &x, geometry);
                assert_same_bits(&y, &expected, &(isa, channels));
                let of_sample = |(index, &place): (usize, &u32)| {
                    index / channels * 20 * channels + place as usize
                };
                let found: Vec<usize> = argmax.iter().enumerate().map(of_sample).collect();
                assert_eq!(found, places, "{isa:?}, {channels}");
            }
        }
    }
}
