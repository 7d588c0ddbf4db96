//! What an optimizer remembers, in the order of the Keras that is to read it.

use super::network::{Described, DescribedLayer};
use super::weights::list;
use crate::format::keras::{Reader, optimizer};
use crate::model::{Checkpoint, OptimizerRule, OptimizerState, Schedule};
use crate::tensor::{DType, Shape, Tensor};
use crate::wire::hdf5::{Dataset, Group, Node};

/// A variable of the optimizer.
pub(super) struct Variable<'c> {
    pub(super) name: String,
    /// In the order of files, if it is of a slot.
    pub(super) number: Option<usize>,
    pub(super) tensor: Tensor<'c>,
}

/// The variables in their order. `None` if the optimizer has not begun.
#[allow(
    clippy::cast_possible_truncation,
    reason = "Keras keeps the learning rate and the product as f32"
)]
pub(super) fn variables<'c>(
    checkpoint: &'c Checkpoint<'_>,
    described: &Described,
    target: Reader,
) -> Option<Vec<Variable<'c>>> {
    let settings = &checkpoint.compile.as_ref()?.optimizer;
    let OptimizerState { step, slots } = checkpoint.optimizer.as_ref()?;
    let scalar = |name: &str, dtype, bytes: &[u8]| {
        let tensor = Tensor::new(dtype, Shape::default(), bytes.to_vec()).ok()?;
        Some(Variable { name: name.to_owned(), number: None, tensor })
    };
    let mut variables = vec![scalar("iteration:0", DType::I64, &step.to_le_bytes())?];
    if settings.schedule == Schedule::Constant && target == Reader::Keras3 {
        let rate = (settings.learning_rate as f32).to_le_bytes();
        variables.push(scalar("learning_rate:0", DType::F32, &rate)?);
    }
    let trained = trained(checkpoint, described);
    let parameters = checkpoint.tensors.len();
    let variable = |slot: usize, trained: &Trained<'_>| {
        let stored = slots.get(slot)?;
        let named = stored.tensors.get(trained.place)?;
        Some(Variable {
            name: trained.name_in(&stored.name),
            number: Some(parameters + slot * stored.tensors.len() + trained.place),
            tensor: named.tensor.borrowed(),
        })
    };
    let order = optimizer::order(slots.len(), optimizer::together(settings), trained.len());
    variables.extend(order.filter_map(|(slot, place)| variable(slot, trained.get(place)?)));
    match settings.rule {
        OptimizerRule::Sgd(_) if slots.is_empty() && target == Reader::TfKeras2 => {
            variables.extend(trained.iter().filter_map(|trained| unused(checkpoint, trained)));
        }
        // tf-keras begins the product of the momenta anew.
        OptimizerRule::Nadam(nadam) if target == Reader::Keras3 => {
            let product = (nadam.momentum_product(*step) as f32).to_le_bytes();
            variables.push(scalar("u_product:0", DType::F32, &product)?);
        }
        _ => {}
    }
    Some(variables)
}

/// The momentum that SGD of Keras 2 keeps even where it uses none.
fn unused<'c>(checkpoint: &Checkpoint<'_>, trained: &Trained<'_>) -> Option<Variable<'c>> {
    let named = checkpoint.tensors.get(trained.parameter)?;
    let shape = named.tensor.shape().clone();
    let zeros = vec![0; named.tensor.bytes().len()];
    let zeros = Tensor::new(DType::F32, shape, zeros).ok()?;
    Some(Variable { name: trained.name_in("momentum"), number: None, tensor: zeros })
}

/// A parameter that training changes.
struct Trained<'d> {
    /// Among those that are trained.
    place: usize,
    /// Among all.
    parameter: usize,
    /// As Keras knows it.
    layer: &'d str,
    name: &'static str,
}

impl Trained<'_> {
    fn name_in(&self, slot: &str) -> String {
        format!("{slot}/{}/{}:0", self.layer, self.name)
    }
}

/// The parameters that training changes, in Keras' order of layers.
fn trained<'d>(checkpoint: &Checkpoint<'_>, described: &'d Described) -> Vec<Trained<'d>> {
    let graph = &checkpoint.graph;
    let all = graph.parameters().iter().enumerate();
    let trained = all.filter(|(_, parameter)| graph.is_trained(parameter)).enumerate();
    let trained: Vec<_> = trained.collect();
    let of = |layer: &'d DescribedLayer| {
        let own =
            trained.iter().filter(|(_, (_, parameter))| Some(parameter.layer) == layer.itself);
        own.map(|&(place, (number, parameter))| Trained {
            place,
            parameter: number,
            layer: &layer.name,
            name: parameter.name,
        })
    };
    described.layers().flat_map(of).collect()
}

/// The group `optimizer_weights` of an `.h5` file, which lists the variables by their names, and where those
/// of slots stand in it.
pub(super) fn by_name<'c>(variables: Vec<Variable<'c>>) -> (Group<'c>, Vec<(usize, String)>) {
    let (mut group, mut names, mut places) = (Group::default(), Vec::new(), Vec::new());
    for Variable { name, number, tensor } in variables {
        group.insert(&name, Node::Dataset(Dataset::from(tensor)));
        places.extend(number.map(|number| (number, name.clone())));
        names.push(name);
    }
    list(&mut group, "weight_names", names);
    (group, places)
}
