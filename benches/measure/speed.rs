//! How fast a network trains and predicts, as a user meets it.

use std::hint::black_box;

use keepnet::{Dataset, FitOptions, Model, Samples};

use super::{Net, Roof, forward_flops, median};

/// How much is measured.
pub(crate) struct Effort {
    pub repetitions: usize,
    /// Next to nothing: only whether it works.
    pub quick: bool,
}

/// What was found for a network: medians.
pub(crate) struct Speed {
    /// Images per second.
    pub train: f64,
    pub infer: f64,
    /// Seconds for one image.
    pub latency: f64,
    /// Floating-point operations to predict one image.
    pub forward_flops: u64,
}

impl Speed {
    /// Floating-point operations to train on one image: each layer's two gradients cost what its
    /// forward pass does. That of the network's own input is counted, though nothing asks for it.
    pub(crate) fn training_flops(&self) -> u64 {
        3 * self.forward_flops
    }

    /// Percent of the images per second that the roof allows if no product is left out.
    pub(crate) fn train_share(&self, roof: &Roof) -> f64 {
        100.0 * self.train * self.training_flops() as f64 / roof.all_threads
    }

    pub(crate) fn infer_share(&self, roof: &Roof) -> f64 {
        100.0 * self.infer * self.forward_flops as f64 / roof.all_threads
    }
}

/// Trains and runs `model`, which is `net`'s.
pub(crate) fn speed(
    net: &Net,
    model: &mut Model,
    effort: &Effort,
) -> Result<Speed, keepnet::Error> {
    let few = 2 * if net.batch > net.predicted { net.batch } else { net.predicted };
    let data = net.data(if effort.quick { few } else { net.images })?;
    Ok(Speed {
        train: train(net, model, &data, effort)?,
        infer: infer(net, model, &data, effort)?,
        latency: latency(model, &data, if effort.quick { 10 } else { net.images / 4 })?,
        forward_flops: forward_flops(model.graph()),
    })
}

/// Images per second of an epoch. The first, in which memory is touched for the first time, does
/// not count.
fn train(
    net: &Net,
    model: &mut Model,
    data: &Dataset,
    effort: &Effort,
) -> Result<f64, keepnet::Error> {
    let options = FitOptions { batch_size: net.batch, ..FitOptions::default() };
    model.fit(data, &options)?;
    let seconds = median(effort.repetitions, || model.fit(data, &options))?;
    Ok(data.len() as f64 / seconds)
}

fn infer(net: &Net, model: &Model, data: &Dataset, effort: &Effort) -> Result<f64, keepnet::Error> {
    let indices: Vec<usize> = (0..data.len()).collect();
    let batches: Vec<Samples> =
        indices.chunks(net.predicted).map(|indices| data.inputs()[0].select(indices)).collect();
    let pass =
        || batches.iter().try_for_each(|batch| model.predict(batch).map(|y| drop(black_box(y))));
    pass()?;
    Ok(data.len() as f64 / median(effort.repetitions, pass)?)
}

/// Seconds to predict one image.
fn latency(model: &Model, data: &Dataset, calls: usize) -> Result<f64, keepnet::Error> {
    let image = data.inputs()[0].select(&[0]);
    Ok(median(calls, || model.predict(&image).map(|y| drop(black_box(y))))?)
}
