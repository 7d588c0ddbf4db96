//! What the measuring programs share: the network and the memory.

mod memory;

pub(crate) use memory::peak_rss_mib;

use keepnet::{Activation, Loss, Model, ModelError, Optimizer, Sequential, Shape};

/// W1, the reference network of `docs/BENCHMARKS.md`, compiled with Adam at 0.001: 5.26 MFLOP
/// forward per image.
pub(crate) fn w1(seed: u64) -> Result<Model, keepnet::Error> {
    let mut model = untrained(seed)?;
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
    Ok(model)
}

fn untrained(seed: u64) -> Result<Model, ModelError> {
    Sequential::new(Shape::image(28, 28, 1))
        .conv2d(32, 3, Activation::Relu)
        .max_pool2d(2)
        .conv2d(64, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(128, Activation::Relu)
        .dense(10, Activation::Softmax)
        .build(seed)
}
