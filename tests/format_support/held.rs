//! Which tensors a checkpoint holds, in the order of files.

use keepnet::format::Role;
use keepnet::{Checkpoint, NamedTensor, TrainingState};

pub fn held<'c>(checkpoint: &'c Checkpoint<'c>) -> Vec<(Role, &'c NamedTensor<'c>)> {
    let of_role = |role| move |tensor| (role, tensor);
    let mut held: Vec<_> = checkpoint.tensors.iter().map(of_role(Role::Parameter)).collect();
    let slots = checkpoint.optimizer.iter().flat_map(|state| &state.slots);
    for (number, slot) in (0..).zip(slots) {
        held.extend(slot.tensors.iter().map(of_role(Role::Slot(number))));
    }
    let outputs = checkpoint.proof.iter().flat_map(|proof| &proof.outputs);
    held.extend(outputs.map(of_role(Role::ProofOutput)));
    let best = checkpoint.training.iter().flat_map(TrainingState::weights);
    for (number, best) in (0..).zip(best) {
        held.extend(best.iter().map(of_role(Role::Best(number))));
    }
    held
}
