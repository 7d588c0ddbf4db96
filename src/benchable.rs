//! What `benches/` measures of the inside. Not part of the interface: it may change at any time.

use crate::kernels::{Isa, LANES, Operands, roof};
use crate::model::{Conv2d, Optimizer, Pool2d, Window2d};
use crate::nn::SHARD;
use crate::ops::conv2d::{self, Behind, Geometry, Parameters, Pass, Scratch};
use crate::ops::{dense, pool2d};
use crate::tensor::{Aligned, Shape};
use crate::train::optimizer;

/// The name of the instruction set in use.
pub fn isa() -> &'static str {
    Isa::current().name()
}

/// Runs rounds of multiply-adds on registers alone, and gives how many floating-point operations
/// they were.
pub fn multiply_adds(rounds: u64) -> u64 {
    roof::multiply_adds(Isa::current(), rounds)
}

/// A convolution with all its operands, in NHWC and HWIO. `x`, `kernel` and `dy` are followed by a
/// vector of zeros, which the kernels may read.
pub struct Convolution {
    geometry: Geometry,
    samples: usize,
    arranged: Aligned,
    scratch: Scratch,
    winners: Vec<u16>,
    pub x: Aligned,
    pub kernel: Aligned,
    /// The same for all filters.
    pub bias: Vec<f32>,
    pub y: Aligned,
    pub dx: Aligned,
    pub dkernel: Aligned,
    pub dy: Aligned,
}

impl Convolution {
    /// Fills the operands with numbers between −0.5 and 0.5.
    ///
    /// # Panics
    /// If `conv` cannot take `input`.
    pub fn new(conv: &Conv2d, input: &Shape, samples: usize) -> Self {
        let geometry = Geometry::with_input_gradient(conv, input);
        Self::with_geometry(conv, input, samples, geometry)
    }

    /// One with relu and max pooling of 2 × 2 behind it: `y` and `dy` are those of the pooled result.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn pooled(conv: &Conv2d, input: &Shape, samples: usize) -> Self {
        Self::with_geometry(conv, input, samples, Geometry::pooled(conv, input))
    }

    fn with_geometry(conv: &Conv2d, input: &Shape, samples: usize, geometry: Geometry) -> Self {
        let (_, _, channels) = input.as_image().expect("as above");
        let y_length = samples * geometry.cells() * conv.filters;
        let kernel_length = conv.kernel[0] * conv.kernel[1] * channels / conv.groups * conv.filters;
        let kernel = numbers(kernel_length);
        let mut arranged = Aligned::zeros(geometry.arranged_length());
        conv2d::arrange_kernel(&mut arranged, &kernel, &geometry);
        Self {
            winners: vec![0; samples * geometry.winners()],
            scratch: Scratch::new([&geometry].into_iter(), true),
            geometry,
            samples,
            arranged,
            x: numbers(samples * input.elements()),
            kernel,
            bias: vec![0.0; conv.filters],
            y: Aligned::zeros(y_length),
            dx: Aligned::zeros(samples * input.elements()),
            dkernel: Aligned::zeros(kernel_length),
            dy: numbers(y_length),
        }
    }

    /// `y` of `x`, `kernel` and `bias`.
    pub fn forward(&mut self) {
        let Self { y, x, kernel, bias, samples, geometry, scratch, winners, .. } = self;
        let pass = Pass { isa: Isa::current(), geometry, samples: *samples, scratch };
        let parameters = Parameters { kernel, bias: Some(bias) };
        if geometry.is_pooled() {
            conv2d::pooled::forward(pass, y, winners, x, parameters, true);
        } else {
            conv2d::forward(pass, y, x, parameters, Behind::default());
        }
    }

    /// Chooses the bias, the same for all filters, with which relu leaves about this share of the
    /// windows of a pooled convolution alive.
    pub fn keep_alive(&mut self, share: f64) {
        let (mut low, mut high) = (-1e3, 1e3);
        for _ in 0..20 {
            let middle = (low + high) / 2.0;
            self.bias.fill(middle);
            self.forward();
            *(if self.alive() < share { &mut low } else { &mut high }) = middle;
        }
    }

    /// The share of the values of `y` that are above zero.
    pub fn alive(&self) -> f64 {
        self.y.iter().filter(|&&y| y > 0.0).count() as f64 / self.y.len() as f64
    }

    /// `dx` of `dy` and `kernel`.
    pub fn input_gradient(&mut self) {
        let Self { dx, dy, kernel, arranged, samples, geometry, scratch, winners, .. } = self;
        let pass = Pass { isa: Isa::current(), geometry, samples: *samples, scratch };
        if geometry.is_pooled() {
            let gradient = conv2d::pooled::Gradient { dy, winners };
            conv2d::pooled::input_gradient(pass, dx, gradient, arranged);
        } else {
            conv2d::input_gradient(pass, dx, dy, kernel, arranged);
        }
    }

    /// `dkernel` of `x` and `dy`.
    pub fn kernel_gradient(&mut self) {
        let Self { dkernel, x, dy, samples, geometry, scratch, winners, .. } = self;
        let pass = Pass { isa: Isa::current(), geometry, samples: *samples, scratch };
        if geometry.is_pooled() {
            let gradient = conv2d::pooled::Gradient { dy, winners };
            conv2d::pooled::kernel_gradient(pass, dkernel, x, gradient);
        } else {
            conv2d::kernel_gradient(pass, dkernel, x, dy);
        }
    }
}

/// A dense layer with all its operands, as [`Convolution`].
pub struct Dense {
    geometry: dense::Geometry,
    inputs: usize,
    units: usize,
    samples: usize,
    arranged: Aligned,
    pub x: Aligned,
    pub kernel: Aligned,
    pub y: Aligned,
    pub dx: Aligned,
    pub dkernel: Aligned,
    pub dy: Aligned,
}

impl Dense {
    /// Fills the operands with numbers between −0.5 and 0.5.
    pub fn new(inputs: usize, units: usize, samples: usize) -> Self {
        let geometry = dense::Geometry::new(inputs, units);
        let kernel = numbers(inputs * units);
        let mut arranged = Aligned::zeros(geometry.arranged_length());
        dense::arrange_kernel(&mut arranged, &kernel, &geometry);
        Self {
            geometry,
            inputs,
            units,
            samples,
            arranged,
            x: numbers(samples * inputs),
            kernel,
            y: Aligned::zeros(samples * units),
            dx: Aligned::zeros(samples * inputs),
            dkernel: Aligned::zeros(inputs * units),
            dy: numbers(samples * units),
        }
    }

    /// `y` of `x` and `kernel`.
    pub fn forward(&mut self) {
        let Self { y, x, kernel, samples, geometry, .. } = self;
        let parameters = dense::Parameters { kernel, bias: None };
        dense::forward(Isa::current(), y, x, parameters, false, *samples, geometry);
    }

    /// `dx` of `dy` and `kernel`.
    pub fn input_gradient(&mut self) {
        let Self { dx, dy, arranged, samples, geometry, .. } = self;
        dense::input_gradient(Isa::current(), dx, dy, arranged, *samples, geometry);
    }

    /// `dkernel` of `x` and `dy`, over the shards of a batch, as training takes a large layer.
    pub fn kernel_gradient(&mut self) {
        let Self { inputs, units, dkernel, x, dy, samples, geometry, .. } = self;
        let operands = |shard: usize| Operands {
            x: &x[shard * SHARD * *inputs..],
            dy: &dy[shard * SHARD * *units..],
            rows: SHARD.min(*samples - shard * SHARD),
        };
        let shards = samples.div_ceil(SHARD);
        dense::kernel_gradient_of_batch(Isa::current(), dkernel, shards, operands, geometry);
    }
}

/// A pooling of some images with all its operands.
pub struct Pooling {
    geometry: pool2d::Geometry,
    winners: Vec<u16>,
    pub x: Aligned,
    pub y: Aligned,
}

impl Pooling {
    /// # Panics
    /// If `pool` cannot take `input`.
    pub fn new(pool: &Pool2d, input: &Shape) -> Self {
        let geometry = pool2d::Geometry::new(pool, input);
        let (height, width, channels) = input.as_image().expect("as above");
        let size = [height, width];
        let window = Window2d::new(size, pool.pool, pool.strides, pool.padding, [1; 2]);
        let output = window.expect("as above").output;
        Self {
            winners: vec![0; geometry.winners()],
            geometry,
            x: numbers(input.elements()),
            y: Aligned::zeros(output[0] * output[1] * channels),
        }
    }

    /// `y` of `x`.
    pub fn forward(&mut self) {
        let Self { geometry, winners, x, y } = self;
        pool2d::forward(Isa::current(), y, winners, x, 1, geometry);
    }
}

/// Parameters that Adam changes, all of them at once.
pub struct Adam {
    optimizer: Optimizer,
    steps: u64,
    parameters: Aligned,
    slots: [Aligned; 2],
    gradient: Aligned,
}

impl Adam {
    /// After `steps` steps. From the second on, a third of the gradient is zero, as behind a relu that
    /// is never above zero again: their moments go through all magnitudes down to the least.
    pub fn new(parameters: usize, steps: u64) -> Self {
        let values = || Aligned::from(&numbers(parameters)[..parameters]);
        let mut adam = Self {
            optimizer: Optimizer::adam(0.001),
            steps: 0,
            parameters: values(),
            slots: [Aligned::zeros(parameters), Aligned::zeros(parameters)],
            gradient: values(),
        };
        adam.step();
        adam.gradient.iter_mut().step_by(3).for_each(|value| *value = 0.0);
        (1..steps).for_each(|_| adam.step());
        adam
    }

    /// One more.
    pub fn step(&mut self) {
        let Self { optimizer, steps, parameters, slots, gradient } = self;
        *steps += 1;
        let all = 0..parameters.len();
        optimizer::step(optimizer, *steps, parameters, slots, gradient, std::slice::from_ref(&all));
    }
}

/// Numbers whose period, a prime, divides no extent in use; then a vector of zeros.
fn numbers(length: usize) -> Aligned {
    const PERIOD: usize = 251;
    let mut numbers = Aligned::zeros(length + LANES);
    for (index, number) in numbers[..length].iter_mut().enumerate() {
        *number = (index * 97 % PERIOD) as f32 / PERIOD as f32 - 0.5;
    }
    numbers
}
