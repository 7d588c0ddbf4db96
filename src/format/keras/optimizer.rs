//! What an optimizer of Keras remembers, in the order of each of its writers.

use super::error::KerasError;
use super::json::whole;
use super::weights::Weights;
use crate::model::{NamedTensor, Optimizer, OptimizerState, Parameter, Slot};
use crate::wire::hdf5::{Dataset, Group};

/// A variable of the optimizer, and what the file calls it.
pub(super) type Variable<'f> = (String, &'f Dataset<'f>);

/// The variables in `optimizer/vars` of a `.keras` file.
pub(super) fn by_number<'f>(root: &'f Group<'f>) -> Option<Vec<Variable<'f>>> {
    let vars = root.group("optimizer/vars").or_else(|| root.group("optimizer\\vars"))?;
    let names = (0_u32..).map(|number| number.to_string());
    Some(names.map_while(|name| Some((name.clone(), vars.dataset(&name)?))).collect())
}

/// The variables in `optimizer_weights` of an `.h5` file.
pub(super) fn by_name<'f>(root: &'f Group<'f>) -> Option<Vec<Variable<'f>>> {
    let group = root.group("optimizer_weights")?;
    let names = super::weights::names(group, "weight_names")?;
    names.into_iter().map(|name| group.dataset(&name).map(|dataset| (name, dataset))).collect()
}

/// The state of `optimizer`, or why it cannot be had. `trained` are the parameters that it changes.
pub(super) fn state<'f>(
    variables: &[Variable<'f>],
    optimizer: &Optimizer,
    trained: &[&Parameter],
    weights: &mut Weights<'_, '_>,
) -> Result<OptimizerState<'f>, String> {
    let Some(((name, first), rest)) = variables.split_first() else {
        return Err("the file holds none of its variables".to_owned());
    };
    let step = first.array.as_number().and_then(whole);
    let step = step.ok_or_else(|| format!("`{name}` is no number of steps"))?;
    let slots = optimizer.slots();
    let needed = slots.len() * trained.len();
    let rest = without_rates(rest, needed);
    // Keras 2 has kept something for each parameter where AMSGrad or momentum is not used.
    let unused = rest.get(needed..).unwrap_or_default();
    let is_unused =
        |(_, dataset): &Variable<'_>| slots.is_empty() || dataset.array.shape().elements() <= 1;
    if rest.len() < needed || !unused.iter().all(is_unused) {
        return Err(format!("it has {needed} moments here, the file holds {}", rest.len()));
    }
    let interleaved = slots.len() > 1 && optimizer_interleaves(optimizer) && !is_of_keras_2(rest);
    let slots = slots.iter().enumerate().map(|(slot, name)| {
        let tensors = trained.iter().enumerate().map(|(place, parameter)| {
            let at = match interleaved {
                true => place * slots.len() + slot,
                false => slot * trained.len() + place,
            };
            let (stored, dataset) = rest.get(at).ok_or("a moment is missing")?;
            let tensor = weights.tensor(parameter, dataset, stored);
            let tensor = tensor.map_err(|error: KerasError| error.to_string())?;
            Ok(NamedTensor { name: weights.graph.tensor_name(parameter), tensor })
        });
        Ok(Slot { name: (*name).to_owned(), tensors: tensors.collect::<Result<_, String>>()? })
    });
    Ok(OptimizerState { step, slots: slots.collect::<Result<_, String>>()? })
}

/// Keras 3 keeps the learning rate behind the number of steps.
fn without_rates<'v, 'f>(variables: &'v [Variable<'f>], needed: usize) -> &'v [Variable<'f>] {
    match variables.split_first() {
        Some(((_, first), rest)) if first.array.shape().rank() == 0 && rest.len() >= needed => rest,
        _ => variables,
    }
}

/// Whether both moments of a parameter stand side by side.
fn optimizer_interleaves(optimizer: &Optimizer) -> bool {
    matches!(optimizer.rule, crate::model::OptimizerRule::Adam(_))
}

/// The optimizers of Keras up to 2.10 keep all first moments before all second ones. They name them after
/// the parameter, or number them.
fn is_of_keras_2(variables: &[Variable<'_>]) -> bool {
    variables.iter().any(|(name, _)| {
        name.starts_with("training/") || name.ends_with("/m:0") || name.ends_with("/v:0")
    })
}
