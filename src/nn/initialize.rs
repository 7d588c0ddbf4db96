//! First values of the parameters, each tensor from a random stream of its own.

use super::layout::Layout;
use crate::model::{Graph, Initializer, Parameter};
use crate::ops::random::{self, Purpose, Stream};
use crate::tensor::Aligned;

/// All parameters of a graph at the start of training with `seed`.
pub(super) fn parameters(graph: &Graph, layout: &Layout, seed: u64) -> Aligned {
    let mut values = Aligned::zeros(layout.len());
    let mut number_in_layer = 0;
    let mut layer = usize::MAX;
    for (parameter, range) in graph.parameters().iter().zip(layout.ranges()) {
        number_in_layer = if parameter.layer == layer { number_in_layer + 1 } else { 0 };
        layer = parameter.layer;
        let stream = Stream::new(seed, Purpose::Initialize, layer as u32, 0, number_in_layer);
        fill(&mut values[range.clone()], parameter, &stream);
    }
    values
}

fn fill(values: &mut [f32], parameter: &Parameter, stream: &Stream) {
    let (fan_in, fan_out) = fans(parameter);
    let mut uniform = |variance: f64| {
        let limit = (3.0 * variance).sqrt() as f32;
        for (value, word) in values.iter_mut().zip(stream.words()) {
            *value = (random::uniform(word) * 2.0 - 1.0) * limit;
        }
    };
    match parameter.initializer {
        Initializer::GlorotUniform => uniform(2.0 / (fan_in + fan_out)),
        Initializer::HeUniform => uniform(2.0 / fan_in),
        Initializer::GlorotNormal => normal(values, stream, 2.0 / (fan_in + fan_out)),
        Initializer::HeNormal => normal(values, stream, 2.0 / fan_in),
        Initializer::Zeros => values.fill(0.0),
        Initializer::Ones => values.fill(1.0),
    }
}

fn normal(values: &mut [f32], stream: &Stream, variance: f64) {
    let deviation = (variance.sqrt() / random::TRUNCATED_NORMAL_DEVIATION) as f32;
    for (value, word) in values.iter_mut().zip(stream.words()) {
        *value = random::truncated_normal(word) * deviation;
    }
}

/// How many values meet in an output, and how many outputs a value goes to, as Keras counts them:
/// the last two axes times the cells of the window; for a vector its length both ways.
fn fans(parameter: &Parameter) -> (f64, f64) {
    match *parameter.shape.dims() {
        [ref window @ .., inputs, outputs] => {
            let cells = window.iter().product::<usize>() as f64;
            (cells * inputs as f64, cells * outputs as f64)
        }
        [length] => (length as f64, length as f64),
        [] => (1.0, 1.0),
    }
}
