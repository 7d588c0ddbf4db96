//! What a network consists of, as a table in the manner of Keras.

use std::fmt;

use serde::Serialize;

use super::numbers::{bytes, grouped};
use super::table::{Align, Charset, Table, plain};
use crate::model::{Graph, LayerSpec, NodeId};
use crate::nn::Model;
use crate::tensor::Shape;

/// The size of a network and of each of its nodes. Counts that no machine could hold stop at
/// `u64::MAX`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub name: String,
    /// One per node, in topological order.
    pub rows: Vec<SummaryRow>,
    /// Whether each node takes the one before it and nothing else.
    pub chain: bool,
    /// All numbers the network owns.
    pub parameters: u64,
    /// Those that training changes.
    pub trainable: u64,
    /// Those that it does not: of frozen layers, and moving averages.
    pub frozen: u64,
    /// Multiply-accumulates for one sample.
    pub macs: u64,
    /// Bytes of all parameters as f32.
    pub bytes: u64,
}

/// One application of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryRow {
    /// The layer's name, followed by the number of the application (`dense[1]`) where there are
    /// several.
    pub name: String,
    pub kind: &'static str,
    /// Of one sample.
    pub output_shape: Vec<usize>,
    /// Of the layer; 0 where an earlier application has counted them.
    pub parameters: u64,
    /// Whether the parameters are those of an earlier application.
    pub shared: bool,
    /// Whether training may change the layer.
    pub trainable: bool,
    /// Multiply-accumulates for one sample, of convolutions and dense layers; the rest counts 0.
    pub macs: u64,
    /// The names of the rows whose results this one takes.
    pub inputs: Vec<String>,
}

/// Sums up what `graph` consists of.
pub fn summary(graph: &Graph) -> Summary {
    let layers = graph.layers().len();
    let mut owned = vec![0_u64; layers];
    let mut trainable = 0_u64;
    for parameter in graph.parameters() {
        let count = elements(&parameter.shape);
        owned[parameter.layer] = owned[parameter.layer].saturating_add(count);
        if graph.is_trained(parameter) {
            trainable = trainable.saturating_add(count);
        }
    }
    let mut uses = vec![0_usize; layers];
    graph.nodes().iter().for_each(|node| uses[node.layer] += 1);

    let mut applied = vec![0_usize; layers];
    let mut rows: Vec<SummaryRow> = Vec::with_capacity(graph.nodes().len());
    for (index, node) in graph.nodes().iter().enumerate() {
        let layer = &graph.layers()[node.layer];
        let application = applied[node.layer];
        applied[node.layer] += 1;
        let name = match uses[node.layer] {
            1 => layer.name.clone(),
            _ => format!("{}[{application}]", layer.name),
        };
        rows.push(SummaryRow {
            name,
            kind: layer.spec.kind(),
            output_shape: graph.shape(NodeId(index)).dims().to_vec(),
            parameters: if application == 0 { owned[node.layer] } else { 0 },
            shared: application > 0 && owned[node.layer] > 0,
            trainable: layer.trainable,
            macs: macs(graph, index),
            inputs: node.inputs.iter().map(|input| rows[input.0].name.clone()).collect(),
        });
    }

    let parameters = owned.into_iter().fold(0, u64::saturating_add);
    Summary {
        name: graph.name().to_owned(),
        chain: is_chain(graph),
        parameters,
        trainable,
        frozen: parameters - trainable,
        macs: rows.iter().map(|row| row.macs).fold(0, u64::saturating_add),
        bytes: parameters.saturating_mul(4),
        rows,
    }
}

fn elements(shape: &Shape) -> u64 {
    shape.checked_elements().map_or(u64::MAX, |elements| elements as u64)
}

/// For each element that a layer gives, those that it sums over; of a transposed convolution, for each
/// that it takes, those that it is added to.
fn macs(graph: &Graph, index: usize) -> u64 {
    let node = &graph.nodes()[index];
    let Some(input) = node.inputs.first().map(|&input| graph.shape(input)) else { return 0 };
    let (all, output) = (elements(input), elements(graph.shape(NodeId(index))));
    let channels = input.dims().last().map_or(0, |&channels| channels as u64);
    let product = |factors: &[u64]| factors.iter().copied().fold(1, u64::saturating_mul);
    let area = |[height, width]: [usize; 2]| product(&[height as u64, width as u64]);
    match &graph.layer_of(NodeId(index)).spec {
        LayerSpec::Conv1d(conv) => {
            product(&[conv.kernel as u64, channels / conv.groups as u64, output])
        }
        LayerSpec::Conv2d(conv) => {
            product(&[area(conv.kernel), channels / conv.groups as u64, output])
        }
        LayerSpec::DepthwiseConv2d(conv) => product(&[area(conv.kernel), output]),
        LayerSpec::SeparableConv2d(conv) => {
            let cells = output / conv.filters as u64;
            let between = product(&[channels, conv.depth_multiplier as u64]);
            let each = area(conv.kernel).saturating_add(conv.filters as u64);
            product(&[cells, between, each])
        }
        LayerSpec::Conv2dTranspose(conv) => product(&[area(conv.kernel), conv.filters as u64, all]),
        LayerSpec::Dense(_) => product(&[channels, output]),
        _ => 0,
    }
}

fn is_chain(graph: &Graph) -> bool {
    graph.outputs().len() == 1
        && (graph.nodes().iter().enumerate()).all(|(index, node)| match index.checked_sub(1) {
            None => node.inputs.is_empty(),
            Some(before) => node.inputs == [NodeId(before)],
        })
}

impl Model {
    /// The table of the network's layers, to be printed.
    pub fn summary(&self) -> Summary {
        summary(self.graph())
    }
}

impl Summary {
    /// The table and the totals below it.
    pub fn render(&self, charset: Charset) -> String {
        let mut columns = vec![
            ("Layer (kind)".to_owned(), Align::Left),
            ("Output shape".to_owned(), Align::Left),
            ("Parameters".to_owned(), Align::Right),
            ("MACs".to_owned(), Align::Right),
        ];
        if !self.chain {
            columns.push(("Connected to".to_owned(), Align::Left));
        }
        let mut table = Table::new(columns);
        for row in &self.rows {
            let frozen = if row.trainable || row.parameters == 0 { "" } else { ", frozen" };
            let mut cells = vec![
                format!("{} ({}{frozen})", row.name, row.kind),
                Shape::from(row.output_shape.as_slice()).to_string(),
                if row.shared { "shared".to_owned() } else { grouped(row.parameters) },
                grouped(row.macs),
            ];
            if !self.chain {
                cells.push(row.inputs.join(", "));
            }
            table.row(cells);
        }
        let totals = [
            ("Parameters", grouped(self.parameters), format!("  {} as f32", bytes(self.bytes))),
            ("  trainable", grouped(self.trainable), String::new()),
            ("  frozen", grouped(self.frozen), String::new()),
            ("MACs", grouped(self.macs), "  per sample".to_owned()),
        ];
        let width = totals.iter().map(|(_, number, _)| number.len()).max().unwrap_or(0);
        let mut text = format!("Model: {}\n", plain(&self.name, charset));
        text += &table.render(charset);
        for (what, number, note) in totals {
            text += &format!("{what:<11}  {number:>width$}{note}\n");
        }
        text
    }
}

/// In Unicode, see [`Summary::render`].
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Charset::Unicode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Activation, BatchNormalization, Conv2d, Dense, GraphBuilder, Merge, Padding, Sequential,
    };

    fn mnist() -> Graph {
        Sequential::new(Shape::image(28, 28, 1))
            .name("mnist")
            .conv2d(32, 3, Activation::Relu)
            .max_pool2d(2)
            .conv2d(64, 3, Activation::Relu)
            .max_pool2d(2)
            .flatten()
            .dense(128, Activation::Relu)
            .dense(10, Activation::Softmax)
            .graph()
            .unwrap()
    }

    /// Parameters as Keras 3 prints them for this network; MACs by hand:
    /// 26·26·32·9 + 11·11·64·(9·32) + 1600·128 + 128·10.
    #[test]
    fn a_chain_is_a_table() {
        let expected = "\
Model: mnist
┌───────────────────────────┬──────────────┬────────────┬───────────┐
│ Layer (kind)              │ Output shape │ Parameters │      MACs │
├───────────────────────────┼──────────────┼────────────┼───────────┤
│ input (input)             │ 28×28×1      │          0 │         0 │
│ conv2d (conv2d)           │ 26×26×32     │        320 │   194,688 │
│ max_pool2d (max_pool2d)   │ 13×13×32     │          0 │         0 │
│ conv2d_1 (conv2d)         │ 11×11×64     │     18,496 │ 2,230,272 │
│ max_pool2d_1 (max_pool2d) │ 5×5×64       │          0 │         0 │
│ flatten (flatten)         │ 1600         │          0 │         0 │
│ dense (dense)             │ 128          │    204,928 │   204,800 │
│ dense_1 (dense)           │ 10           │      1,290 │     1,280 │
└───────────────────────────┴──────────────┴────────────┴───────────┘
Parameters     225,034  879.04 KiB as f32
  trainable    225,034
  frozen             0
MACs         2,631,040  per sample
";
        assert_eq!(summary(&mnist()).to_string(), expected);
    }

    #[test]
    fn ascii_has_the_same_figures() {
        let text = summary(&mnist()).render(Charset::Ascii);
        assert!(text.is_ascii());
        assert!(text.contains("| conv2d (conv2d)           | 26x26x32     |        320 |"));
    }

    #[test]
    fn branches_name_what_they_take_and_shared_layers_count_once() {
        let mut builder = GraphBuilder::new();
        let image = builder.input("image", [4, 4, 6]);
        let conv = Conv2d { groups: 3, padding: Padding::Same, ..Conv2d::new(6, 3) };
        let first = builder.named("conv", conv, &[image]);
        let second = builder.again(first, &[first]);
        let norm = builder.named("norm", BatchNormalization::default(), &[second]);
        let sum = builder.named("sum", Merge::Add, &[image, norm]);
        let head = builder.named("head", Dense::new(2), &[sum]);
        builder.output("head", head);
        let mut graph = builder.build("branched").unwrap();
        graph.set_trainable("head", false);

        // conv: 3·3·(6/3)·6 + 6 = 114; norm: 4·6, half of it moving averages; head: 6·2 + 2 = 14.
        // MACs: conv 3·3·2·(4·4·6) = 1,728 each time; head 6·(4·4·2) = 192.
        let expected = "\
Model: branched
┌────────────────────────────┬──────────────┬────────────┬───────┬──────────────┐
│ Layer (kind)               │ Output shape │ Parameters │  MACs │ Connected to │
├────────────────────────────┼──────────────┼────────────┼───────┼──────────────┤
│ image (input)              │ 4×4×6        │          0 │     0 │              │
│ conv[0] (conv2d)           │ 4×4×6        │        114 │ 1,728 │ image        │
│ conv[1] (conv2d)           │ 4×4×6        │     shared │ 1,728 │ conv[0]      │
│ norm (batch_normalization) │ 4×4×6        │         24 │     0 │ conv[1]      │
│ sum (add)                  │ 4×4×6        │          0 │     0 │ image, norm  │
│ head (dense, frozen)       │ 4×4×2        │         14 │   192 │ sum          │
└────────────────────────────┴──────────────┴────────────┴───────┴──────────────┘
Parameters     152  608 B as f32
  trainable    126
  frozen        26
MACs         3,648  per sample
";
        assert_eq!(summary(&graph).to_string(), expected);
    }

    #[test]
    fn json_has_the_figures() {
        let json = serde_json::to_value(summary(&mnist())).unwrap();
        assert_eq!(json["macs"], 2_631_040);
        assert_eq!(json["rows"][1]["output_shape"], serde_json::json!([26, 26, 32]));
        assert_eq!(json["rows"][1]["inputs"], serde_json::json!(["input"]));
    }
}
