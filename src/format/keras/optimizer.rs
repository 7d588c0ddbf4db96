//! What an optimizer of Keras remembers, in the order of each of its writers.

use super::error::KerasError;
use super::json::whole;
use super::weights::Weights;
use crate::model::{NamedTensor, Optimizer, OptimizerRule, OptimizerState, Parameter, Slot};
use crate::wire::hdf5::{Dataset, Group, Hdf5Error};

/// A variable of the optimizer, and what the file calls it.
pub(super) type Variable<'f> = (String, &'f Dataset<'f>);

/// The variables in `optimizer/vars` of a `.keras` file, or of the optimizer in a `LossScaleOptimizer`.
///
/// # Errors
/// If some of them were refused.
pub(super) fn by_number<'f>(root: &'f Group<'f>) -> Result<Option<Vec<Variable<'f>>>, Hdf5Error> {
    let places = ["optimizer/inner_optimizer/vars", "optimizer/vars", "optimizer\\vars"];
    let vars = places.into_iter().find_map(|place| root.group(place).transpose()).transpose()?;
    let Some(vars) = vars else { return Ok(None) };
    let mut variables = Vec::new();
    while let name = variables.len().to_string()
        && let Some(dataset) = vars.dataset(&name)?
    {
        variables.push((name, dataset));
    }
    Ok(Some(variables))
}

/// The variables in `optimizer_weights` of an `.h5` file.
///
/// # Errors
/// If some of them were refused.
pub(super) fn by_name<'f>(root: &'f Group<'f>) -> Result<Option<Vec<Variable<'f>>>, Hdf5Error> {
    let Some(group) = root.group("optimizer_weights")? else { return Ok(None) };
    let Some(names) = super::weights::names(group, "weight_names") else { return Ok(None) };
    // The `LossScaleOptimizer` of Keras 3 names what is its own before what is of the optimizer within.
    let own = names.iter().rposition(|name| name.ends_with("/iteration")).unwrap_or(0);
    names
        .into_iter()
        .skip(own)
        .map(|name| Ok(group.dataset(&name)?.map(|dataset| (name, dataset))))
        .collect()
}

/// The state of `optimizer`, or why it cannot be had. `trained` are the parameters that it changes.
pub(super) fn state<'f>(
    variables: &[Variable<'f>],
    optimizer: &Optimizer,
    trained: &[&Parameter],
    weights: &mut Weights<'_, '_>,
) -> Result<OptimizerState<'f>, String> {
    let slots = optimizer.slots();
    let needed = slots.len() * trained.len();
    let (step, rest) = steps(variables, optimizer)?;
    let rest = without_scalar(rest, needed);
    // Keras 2 has kept something for each parameter where AMSGrad or momentum is not used; of Nadam, the
    // product of its momenta follows from the step.
    let unused = rest.get(needed..).unwrap_or_default();
    let is_unused =
        |(_, dataset): &Variable<'_>| slots.is_empty() || dataset.array.shape().elements() <= 1;
    if rest.len() < needed || !unused.iter().all(is_unused) {
        return Err(format!("it has {needed} moments here, the file holds {}", rest.len()));
    }
    let together = if is_of_keras_2(rest) { 1 } else { together(optimizer) };
    let mut found: Vec<_> = slots
        .iter()
        .map(|&name| Slot { name: name.to_owned(), tensors: Vec::with_capacity(trained.len()) })
        .collect();
    for ((slot, place), (stored, dataset)) in order(slots.len(), together, trained.len()).zip(rest)
    {
        let (Some(slot), Some(parameter)) = (found.get_mut(slot), trained.get(place)) else {
            continue;
        };
        let tensor = weights.tensor(parameter, dataset, stored);
        let tensor = tensor.map_err(|error: KerasError| error.to_string())?;
        slot.tensors.push(NamedTensor { name: weights.graph.tensor_name(parameter), tensor });
    }
    Ok(OptimizerState { step, slots: found })
}

/// The steps that are done, and the variables behind their number.
fn steps<'v, 'f>(
    variables: &'v [Variable<'f>],
    optimizer: &Optimizer,
) -> Result<(u64, &'v [Variable<'f>]), String> {
    let Some(((name, first), rest)) = variables.split_first() else {
        return Err("the file holds none of its variables".to_owned());
    };
    // Keras up to 2.2 has not counted the steps of those that need no count.
    let counts = !matches!(
        optimizer.rule,
        OptimizerRule::RmsProp(_) | OptimizerRule::Adagrad(_) | OptimizerRule::Adadelta(_)
    );
    if first.array.shape().rank() > 0 && !counts {
        return Ok((0, variables));
    }
    let step = first.array.as_number().and_then(whole);
    Ok((step.ok_or_else(|| format!("`{name}` is no number of steps"))?, rest))
}

/// Keras 3 keeps the learning rate behind the number of steps, Nadam of Keras 2 the product of its momenta.
fn without_scalar<'v, 'f>(variables: &'v [Variable<'f>], needed: usize) -> &'v [Variable<'f>] {
    match variables.split_first() {
        Some(((_, first), rest)) if first.array.shape().rank() == 0 && rest.len() >= needed => rest,
        _ => variables,
    }
}

/// How many slots of a parameter stand side by side, before the others follow slot by slot.
pub(super) fn together(optimizer: &Optimizer) -> usize {
    match optimizer.rule {
        OptimizerRule::Adam(_)
        | OptimizerRule::Nadam(_)
        | OptimizerRule::Adamax(_)
        | OptimizerRule::Adadelta(_) => 2,
        OptimizerRule::Sgd(_) | OptimizerRule::RmsProp(_) | OptimizerRule::Adagrad(_) => 1,
    }
}

/// Slot and parameter of each variable in turn.
pub(super) fn order(
    slots: usize,
    together: usize,
    trained: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let side_by_side =
        (0..trained).flat_map(move |place| (0..together.min(slots)).map(move |slot| (slot, place)));
    let one_by_one =
        (together..slots).flat_map(move |slot| (0..trained).map(move |place| (slot, place)));
    side_by_side.chain(one_by_one)
}

/// The optimizers of Keras up to 2.10 keep all first moments before all second ones. They name them after
/// the parameter, or number them.
fn is_of_keras_2(variables: &[Variable<'_>]) -> bool {
    let endings = ["/m:0", "/v:0", "/accum_grad:0"];
    variables.iter().any(|(name, _)| {
        name.starts_with("training/") || endings.iter().any(|ending| name.ends_with(ending))
    })
}

#[cfg(test)]
mod tests {
    use super::super::weights;
    use super::*;
    use crate::tensor::{DType, Shape, Tensor};
    use crate::wire::hdf5::{Array, Node};

    fn group(members: impl IntoIterator<Item = (&'static str, Node<'static>)>) -> Group<'static> {
        let members = members.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
        Group { members, ..Group::default() }
    }

    fn variable() -> Node<'static> {
        Node::Dataset(Tensor::new(DType::F32, Shape::default(), vec![0; 4]).unwrap().into())
    }

    /// As Keras 3.15 writes `LossScaleOptimizer(Adam())`, whose count goes on where a step was left out.
    #[test]
    fn the_optimizer_in_a_loss_scale_optimizer_is_the_one() {
        let within = ["iteration", "learning_rate", "c_kernel_momentum", "c_kernel_velocity"];
        let own = ["iteration", "learning_rate", "step_counter", "dynamic_scale"];
        let named = |of: &str, names: [&str; 4]| names.map(|name| format!("{of}/{name}"));
        let names = [named("loss_scale_optimizer", own), named("adam", within)].concat();
        let mut stored = Group::default();
        for name in &names {
            let (of, name) = name.split_once('/').unwrap();
            let of = stored.members.entry(of.to_owned());
            let Node::Group(of) = of.or_insert_with(|| Node::Group(Group::default())) else {
                panic!("{name} is in no group");
            };
            of.members.insert(name.to_owned(), variable());
        }
        stored.attributes.insert("weight_names".to_owned(), Array::texts(names.clone()));
        assert_eq!(weights::names(&stored, "weight_names").unwrap(), names);
        let root = group([("optimizer_weights", Node::Group(stored))]);
        let found: Vec<_> =
            by_name(&root).unwrap().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, names[4..]);

        let vars = |count| {
            let numbers = ["0", "1", "2", "3", "4", "5", "6", "7"];
            let vars = group(numbers.into_iter().take(count).map(|number| (number, variable())));
            ("vars", Node::Group(vars))
        };
        let inner = ("inner_optimizer", Node::Group(group([vars(4)])));
        let root = group([("optimizer", Node::Group(group([vars(8), inner])))]);
        assert_eq!(by_number(&root).unwrap().unwrap().len(), 4);
    }
}
