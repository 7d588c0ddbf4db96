//! The order in which Keras lists the layers of a model that is no chain, whatever order the file has
//! (`map_graph` in `keras.src.ops.function`, `_map_graph_network` in `tf_keras.src.engine.functional`):
//! by their distance from the outputs, farthest first; of those at the same distance, as they are met
//! on the way back from the outputs. Where numbers are looked for depends on it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::network::{Call, DescribedLayer};

/// The layers that lead to the outputs, and the inputs.
pub(super) fn order(layers: &[DescribedLayer], inputs: &[Call], outputs: &[Call]) -> Vec<usize> {
    let sources = |(layer, call): Call| {
        let calls = layers.get(layer).map_or(&[][..], |layer| &layer.calls);
        calls.get(call).map_or(&[][..], Vec::as_slice)
    };
    let mut met: BTreeMap<usize, usize> = BTreeMap::new();
    let mut begun = BTreeSet::new();
    // Each behind those whose results it takes.
    let mut finished = Vec::new();
    for &output in outputs {
        let mut stack = vec![(output, false)];
        while let Some((call, is_finished)) = stack.pop() {
            if is_finished {
                finished.push(call);
            } else if begun.insert(call) {
                let place = met.len();
                met.entry(call.0).or_insert(place);
                stack.push((call, true));
                stack.extend(sources(call).iter().rev().map(|&source| (source, false)));
            }
        }
    }
    let mut distances: BTreeMap<usize, usize> = BTreeMap::new();
    let mut of_calls: BTreeMap<Call, usize> = BTreeMap::new();
    for &call in finished.iter().rev() {
        let of_call = of_calls.get(&call).copied().unwrap_or(0);
        let distance = distances.entry(call.0).or_default();
        *distance = of_call.max(*distance);
        for &source in sources(call) {
            let before = of_calls.entry(source).or_default();
            *before = (*before).max(*distance + 1);
        }
    }
    for &(input, _) in inputs {
        distances.entry(input).or_default();
    }
    let mut order: Vec<usize> = distances.keys().copied().collect();
    order.sort_by_key(|layer| (Reverse(distances.get(layer).copied()), met.get(layer).copied()));
    order
}
