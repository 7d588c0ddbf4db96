//! A model's answers to a probe that anyone can derive again.

use ndarray::ArrayD;

use super::error::ModelError;
use super::model::Model;
use super::{ARITHMETIC_REVISION, SHARD};
use crate::model::{LayerSpec, NamedTensor, NodeId, ProbeRange, Proof, Rescaling};
use crate::ops::random::{Purpose, Stream, uniform};
use crate::tensor::{Samples, Tensor};

/// Samples in the probe that is saved with a model.
const SAMPLES: u32 = 4;

/// A probe is run within the limits on activations, which are checked for one shard.
const _: () = assert!(Proof::MAX_SAMPLES as usize <= SHARD);

/// How far the answers of another revision of the arithmetic may lie apart, as a share of the largest
/// answer, or of 1 if that is less.
const OTHER_ARITHMETIC: f64 = 1e-3;

/// How a model's answers compare with those in its proof.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verification {
    /// Every bit agrees.
    Identical,
    /// They differ, though the same arithmetic should give the same bits, or by more than another
    /// revision can account for: this is not the model that was saved.
    Different { largest: f64 },
    /// They were computed by another revision of the arithmetic, and differ by so little, if at all.
    OtherArithmetic { revision: u32, largest: f64 },
}

impl Model {
    /// The inputs of the probe keyed by `seed`, drawn from `ranges`.
    fn probe(&self, seed: u64, samples: u32, ranges: &[ProbeRange]) -> Vec<Samples> {
        let graph = self.graph();
        let input = |((index, node), range): ((u32, NodeId), &ProbeRange)| {
            let ProbeRange { low, high } = *range;
            let drawn = |word| (low + (high - low) * f64::from(uniform(word))) as f32;
            let shape = graph.shape(node);
            let length = shape.elements();
            let sample = |sample| {
                let stream = Stream::new(seed, Purpose::Probe, index, 0, u64::from(sample));
                stream.words().take(length).map(drawn)
            };
            let mut values = Vec::with_capacity(samples as usize * length);
            (0..samples).for_each(|number| values.extend(sample(number)));
            Samples::new(samples as usize, shape.clone(), values)
                .expect("as many as the shape says")
        };
        (0..).zip(graph.inputs().iter().copied()).zip(ranges).map(input).collect()
    }

    /// The ranges that reach all of the network: where an input is rescaled, those that become
    /// [0, 1).
    fn probe_ranges(&self) -> Vec<ProbeRange> {
        let graph = self.graph();
        let rescaled = |input| {
            graph.nodes().iter().find_map(|node| match &graph.layers()[node.layer].spec {
                LayerSpec::Rescaling(rescaling) if node.inputs == [input] => Some(*rescaling),
                _ => None,
            })
        };
        let range = |&input| {
            let unit = ProbeRange::UNIT;
            let Some(Rescaling { scale, offset }) = rescaled(input) else { return unit };
            let ends = [(0.0 - offset) / scale, (1.0 - offset) / scale];
            let [low, high] = if ends[0] < ends[1] { ends } else { [ends[1], ends[0]] };
            Some(ProbeRange { low, high }).filter(ProbeRange::is_sound).unwrap_or(unit)
        };
        graph.inputs().iter().map(range).collect()
    }

    /// What this model answers to the probe keyed by its seed; `None` if an answer is not finite,
    /// which would prove nothing.
    ///
    /// # Errors
    /// If this thread's floating-point environment is not the usual one.
    pub fn prove(&self) -> Result<Option<Proof<'static>>, ModelError> {
        let inputs = self.probe_ranges();
        let outputs = self.predict_all(&self.probe(self.seed, SAMPLES, &inputs))?;
        if outputs.iter().flatten().any(|value| !value.is_finite()) {
            return Ok(None);
        }
        let tensors = self.graph().outputs().iter().zip(&outputs).map(|(output, values)| {
            let tensor = Tensor::from_f32(values.shape(), flat(values));
            NamedTensor::new(&*output.name, tensor.expect("an array of that shape").into_owned())
        });
        Ok(Some(Proof {
            arithmetic_revision: ARITHMETIC_REVISION,
            seed: self.seed,
            samples: SAMPLES,
            outputs: tensors.collect(),
            inputs,
        }))
    }

    /// Runs the probe of `proof` and compares the answers bit by bit.
    ///
    /// # Errors
    /// If the proof is not one of this graph's, or its probe cannot be drawn.
    pub fn verify(&self, proof: &Proof<'_>) -> Result<Verification, ModelError> {
        let (found, limit) = (proof.samples, Proof::MAX_SAMPLES);
        if !(1..=limit).contains(&found) {
            return Err(ModelError::ProofSamples { found, limit });
        }
        let (expected, found) = (self.graph().inputs().len(), proof.inputs.len());
        if expected != found || !proof.inputs.iter().all(ProbeRange::is_sound) {
            return Err(ModelError::ProbeRanges { expected, found });
        }
        let probe = self.probe(proof.seed, proof.samples, &proof.inputs);
        let outputs = self.predict_all(&probe)?;
        let names = self.graph().outputs().iter().map(|output| output.name.as_str());
        let mut identical = true;
        let (mut largest, mut size) = (0.0, 1.0);
        for (index, (name, found)) in names.zip(&outputs).enumerate() {
            let Some(NamedTensor { tensor, .. }) =
                proof.outputs.get(index).filter(|expected| expected.name == name)
            else {
                return Err(ModelError::MissingTensor { name: name.to_owned() });
            };
            let mut expected = vec![0.0; found.len()];
            tensor
                .copy_to_f32(&mut expected)
                .map_err(|source| ModelError::Tensor { name: name.to_owned(), source })?;
            for (&expected, &found) in expected.iter().zip(flat(found)) {
                // An answer that is no number proves nothing.
                identical &= expected.to_bits() == found.to_bits() && expected.is_finite();
                if expected.is_finite() && f64::from(expected).abs() > size {
                    size = f64::from(expected).abs();
                }
                let difference = (f64::from(expected) - f64::from(found)).abs();
                // A difference that is no number counts as endless.
                let difference = if difference.is_nan() { f64::INFINITY } else { difference };
                largest = if difference > largest { difference } else { largest };
            }
        }
        Ok(match (identical, proof.arithmetic_revision) {
            (true, ARITHMETIC_REVISION) => Verification::Identical,
            (false, ARITHMETIC_REVISION) => Verification::Different { largest },
            // Another order of summation changes the last digits, no more.
            (_, _) if largest > OTHER_ARITHMETIC * size => Verification::Different { largest },
            (_, revision) => Verification::OtherArithmetic { revision, largest },
        })
    }
}

fn flat(array: &ArrayD<f32>) -> &[f32] {
    array.as_slice().expect("predictions are in row-major order")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Activation, Sequential};

    /// A model that answers with the very bits of its proof, but none of them is a number.
    #[test]
    fn answers_that_are_no_numbers_are_not_identical() {
        let network = Sequential::new([2]).dense(1, Activation::Linear);
        let model = Model::new(network.graph().unwrap(), 1);
        let mut checkpoint = model.to_checkpoint().into_owned();
        for NamedTensor { tensor, .. } in &mut checkpoint.tensors {
            let none = vec![f32::NAN; tensor.shape().elements()];
            *tensor = Tensor::from_f32(tensor.shape().clone(), &none).unwrap().into_owned();
        }
        let endless = Model::from_checkpoint(&checkpoint).unwrap();
        assert_eq!(endless.prove().unwrap(), None);
        let mut proof = model.prove().unwrap().unwrap();
        let probe = endless.probe(proof.seed, proof.samples, &proof.inputs);
        let answers = &endless.predict_all(&probe).unwrap()[0];
        let shape = proof.outputs[0].tensor.shape().clone();
        proof.outputs[0].tensor = Tensor::from_f32(shape, flat(answers)).unwrap().into_owned();
        let verdict = endless.verify(&proof).unwrap();
        assert!(matches!(verdict, Verification::Different { .. }), "{verdict:?}");
    }
}
