//! What moves numbers more than it computes, beside a copy that moves as many bytes, half of them from
//! and half of them to.

use std::hint::black_box;

use keepnet::benchable::{Adam, Convolution, Pooling};
use keepnet::{Conv2d, Padding, Pool2d, Shape};

use crate::table::{PAIRS, median, ratio, seconds};

pub(crate) fn print() {
    println!("\n{:<54}{:>8}{:>10}{:>10}", "", "KiB", "GB/s", "% of copy");
    let image = Shape::image(32, 32, 64);
    let mut largest = Pooling::new(&Pool2d::max(2), &image);
    let pooled = bytes(image.elements() + largest.y.len());
    row("32x32x64, max pooling 2x2, winners kept", pooled, || largest.forward());
    let mut mean = Pooling::new(&Pool2d::average(2), &image);
    row("32x32x64, average pooling 2x2", pooled, || mean.forward());
    let depthwise = Conv2d { groups: 64, padding: Padding::Same, ..Conv2d::new(64, 3) };
    let mut depthwise = Convolution::new(&depthwise, &image, 1);
    let moved = bytes(2 * image.elements());
    row("32x32x64, depthwise 3x3, same", moved, || depthwise.forward());

    const PARAMETERS: usize = 225_000; // as many as W1 has
    for steps in [10, 3_000] {
        let mut adam = Adam::new(PARAMETERS, steps);
        // The gradient is read; parameters and two moments are read and written.
        let name = format!("Adam, {PARAMETERS} parameters, after {steps} steps");
        row(&name, bytes(7 * PARAMETERS), || adam.step());
    }
}

fn bytes(values: usize) -> usize {
    values * size_of::<f32>()
}

fn row(name: &str, bytes: usize, mut work: impl FnMut()) {
    let (from, mut to) = (vec![1_u8; bytes / 2], vec![0_u8; bytes / 2]);
    let copy = || black_box(&mut to).copy_from_slice(black_box(&from));
    let share = 100.0 * ratio(copy, &mut work);
    let speed = bytes as f64 / median((0..PAIRS).map(|_| seconds(&mut work))) / 1e9;
    println!("{name:<54}{:>8}{speed:>10.1}{share:>10.1}", bytes / 1024);
}
