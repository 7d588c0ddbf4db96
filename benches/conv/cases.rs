//! What is measured: layers, and what each direction of one computes with.

use keepnet::benchable;
use keepnet::{Conv2d, Padding, Shape};
use serde_json::{Value, json};

use crate::usual::{Im2col, Matrices};

/// A layer and the samples it is given.
pub(crate) struct Case {
    pub name: &'static str,
    pub samples: usize,
    pub layer: Layer,
}

pub(crate) enum Layer {
    /// And the image it takes.
    Convolution(Conv2d, Shape),
    Dense {
        inputs: usize,
        units: usize,
    },
}

pub(crate) fn cases() -> Vec<Case> {
    let image = |channels| Shape::image(32, 32, channels);
    let same = |conv| Conv2d { padding: Padding::Same, ..conv };
    let strided = Conv2d { strides: [2; 2], ..Conv2d::new(64, 5) };
    let depthwise = Conv2d { groups: 64, ..Conv2d::new(64, 3) };
    let dilated = Conv2d { dilation: [2; 2], ..Conv2d::new(64, 3) };
    let grouped = Conv2d { groups: 4, ..Conv2d::new(64, 3) };
    let convolution = |name, conv, input| Case {
        name,
        samples: keepnet::nn::SHARD, // as in training
        layer: Layer::Convolution(conv, input),
    };
    let dense = |name, inputs, units, samples| Case {
        name,
        samples,
        layer: Layer::Dense { inputs, units },
    };
    vec![
        convolution("28x28x1, 32 of 3x3", Conv2d::new(32, 3), Shape::image(28, 28, 1)), // W1's first
        convolution("13x13x32, 64 of 3x3", Conv2d::new(64, 3), Shape::image(13, 13, 32)), // its second
        convolution("14x14x6, 16 of 5x5", Conv2d::new(16, 5), Shape::image(14, 14, 6)), // LeNet's second
        convolution("32x32x64, 64 of 3x3, same", same(Conv2d::new(64, 3)), image(64)),
        convolution("32x32x64, 128 of 1x1", Conv2d::new(128, 1), image(64)),
        convolution("32x32x64, 64 of 5x5, stride 2, same", same(strided), image(64)),
        convolution("32x32x64, depthwise 3x3, same", same(depthwise), image(64)),
        convolution("32x32x64, 64 of 3x3, dilation 2, same", same(dilated), image(64)),
        convolution("32x32x64, 64 of 3x3, 4 groups, same", same(grouped), image(64)),
        dense("dense 1600 to 128", 1600, 128, 128),
    ]
}

impl Case {
    pub(crate) fn operands(&self) -> Operands {
        match &self.layer {
            Layer::Convolution(conv, input) => Operands::Convolution(
                Box::new(benchable::Convolution::new(conv, input, self.samples)),
                Im2col::new(conv, input, self.samples),
            ),
            &Layer::Dense { inputs, units } => Operands::Dense(
                Box::new(benchable::Dense::new(inputs, units, self.samples)),
                Matrices { inputs, units, samples: self.samples },
            ),
        }
    }

    /// Of one direction: two for each multiply-add, taps in the padding included.
    pub(crate) fn operations(&self) -> u64 {
        let products = match &self.layer {
            Layer::Convolution(conv, input) => {
                let window = conv.window(input).expect("a case that works");
                let (_, _, channels) = input.as_image().expect("an image");
                let cells = window.output[0] * window.output[1];
                let taps = conv.kernel[0] * conv.kernel[1];
                cells * taps * channels / conv.groups * conv.filters
            }
            Layer::Dense { inputs, units } => inputs * units,
        };
        (2 * self.samples * products) as u64
    }

    /// The layer for another program to compute the same.
    pub(crate) fn describe(&self) -> Value {
        match &self.layer {
            Layer::Convolution(conv, input) => json!({
                "name": self.name,
                "operations": self.operations(),
                "samples": self.samples,
                "input": input.dims(),
                "filters": conv.filters,
                "kernel": conv.kernel,
                "strides": conv.strides,
                "dilation": conv.dilation,
                "groups": conv.groups,
                "same": conv.padding == Padding::Same,
            }),
            Layer::Dense { inputs, units } => json!({
                "name": self.name,
                "operations": self.operations(),
                "samples": self.samples,
                "input": [inputs],
                "units": units,
            }),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Direction {
    Forward,
    InputGradient,
    KernelGradient,
}

impl Direction {
    pub(crate) const ALL: [Self; 3] = [Self::Forward, Self::InputGradient, Self::KernelGradient];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::InputGradient => "input gradient",
            Self::KernelGradient => "kernel gradient",
        }
    }
}

/// The numbers of a case, and what the usual way needs beside them.
pub(crate) enum Operands {
    Convolution(Box<benchable::Convolution>, Im2col),
    Dense(Box<benchable::Dense>, Matrices),
}

impl Operands {
    /// Computes one direction as keepnet does.
    pub(crate) fn run(&mut self, direction: Direction) {
        match (self, direction) {
            (Self::Convolution(data, _), Direction::Forward) => data.forward(),
            (Self::Convolution(data, _), Direction::InputGradient) => data.input_gradient(),
            (Self::Convolution(data, _), Direction::KernelGradient) => data.kernel_gradient(),
            (Self::Dense(data, _), Direction::Forward) => data.forward(),
            (Self::Dense(data, _), Direction::InputGradient) => data.input_gradient(),
            (Self::Dense(data, _), Direction::KernelGradient) => data.kernel_gradient(),
        }
    }

    /// Computes it the usual way.
    pub(crate) fn run_usual(&mut self, direction: Direction) {
        match self {
            Self::Convolution(data, im2col) => im2col.run(direction, data),
            Self::Dense(data, matrices) => matrices.run(direction, data),
        }
    }

    /// What either computed last.
    pub(crate) fn result(&self, direction: Direction) -> &[f32] {
        match (self, direction) {
            (Self::Convolution(data, _), Direction::Forward) => &data.y,
            (Self::Convolution(data, _), Direction::InputGradient) => &data.dx,
            (Self::Convolution(data, _), Direction::KernelGradient) => &data.dkernel,
            (Self::Dense(data, _), Direction::Forward) => &data.y,
            (Self::Dense(data, _), Direction::InputGradient) => &data.dx,
            (Self::Dense(data, _), Direction::KernelGradient) => &data.dkernel,
        }
    }
}
