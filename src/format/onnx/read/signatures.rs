//! How many values the operators take, and which attributes they have, in all versions together. Runtimes
//! refuse other nodes; read by what is known of them alone, they would be other networks.

use std::ops::RangeInclusive;

use super::attributes::Attributes;
use crate::format::onnx::OnnxError;

/// Checks a node, if its operator is known.
pub(super) fn check(attributes: &Attributes<'_>) -> Result<(), OnnxError> {
    let node = attributes.0;
    let Some((takes, has)) = signature(&node.op_type) else { return Ok(()) };
    let first = node.input.iter().take(*takes.start());
    if first.filter(|name| !name.is_empty()).count() < *takes.start() {
        return Err(attributes.fault("takes fewer values than its operator needs"));
    }
    if node.input.len() > *takes.end() {
        return Err(attributes.fault("takes more values than its operator does"));
    }
    // Names that begin so are notes of the program that wrote the file.
    let meant = || node.attribute.iter().filter(|attribute| !attribute.name.starts_with("__"));
    for (place, attribute) in meant().enumerate() {
        let name = attribute.name.as_str();
        let fault = |what| OnnxError::Attribute {
            node: attributes.name(),
            operator: node.op_type.clone(),
            attribute: name.to_owned(),
            what,
        };
        if !has.contains(&name) {
            return Err(fault("is none that the operator has"));
        }
        if meant().take(place).any(|other| other.name == name) {
            return Err(fault("is given twice"));
        }
    }
    Ok(())
}

/// How many values it takes, and its attributes.
fn signature(operator: &str) -> Option<(RangeInclusive<usize>, &'static [&'static str])> {
    const ANY: usize = usize::MAX;
    Some(match operator {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "MatMul" | "PRelu" | "Tile" | "Greater"
        | "GreaterOrEqual" | "Less" | "LessOrEqual" => (2..=2, &[]),
        "Sum" | "Max" | "Min" | "Mean" => (1..=ANY, &[]),
        "Where" => (3..=3, &[]),
        "Erf" | "Neg" | "Sqrt" | "Reciprocal" | "Exp" | "Relu" | "Sigmoid" | "Tanh"
        | "Softplus" | "Softsign" | "Mish" | "HardSwish" | "Identity" | "GlobalMaxPool"
        | "GlobalAveragePool" => (1..=1, &[]),
        "Elu" | "Celu" | "LeakyRelu" | "ThresholdedRelu" | "Swish" => (1..=1, &["alpha"]),
        "Selu" => (1..=1, &["alpha", "gamma"]),
        "HardSigmoid" => (1..=1, &["alpha", "beta"]),
        "Gelu" => (1..=1, &["approximate"]),
        "Shrink" => (1..=1, &["bias", "lambd"]),
        "Clip" => (1..=3, &["max", "min"]),
        "Softmax" | "LogSoftmax" | "Flatten" => (1..=1, &["axis"]),
        "Dropout" => (1..=3, &["ratio", "seed"]),
        "Conv" => (2..=3, &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]),
        "ConvTranspose" => (
            2..=3,
            &[
                "auto_pad",
                "dilations",
                "group",
                "kernel_shape",
                "output_padding",
                "output_shape",
                "pads",
                "strides",
            ],
        ),
        "MaxPool" => (
            1..=1,
            &[
                "auto_pad",
                "ceil_mode",
                "dilations",
                "kernel_shape",
                "pads",
                "storage_order",
                "strides",
            ],
        ),
        "AveragePool" => (
            1..=1,
            &[
                "auto_pad",
                "ceil_mode",
                "count_include_pad",
                "dilations",
                "kernel_shape",
                "pads",
                "strides",
            ],
        ),
        "Gemm" => (2..=3, &["alpha", "beta", "transA", "transB"]),
        "BatchNormalization" => (5..=5, &["epsilon", "momentum", "spatial", "training_mode"]),
        "LayerNormalization" => (2..=3, &["axis", "epsilon", "stash_type"]),
        "GroupNormalization" => (3..=3, &["epsilon", "num_groups", "stash_type"]),
        "InstanceNormalization" => (3..=3, &["epsilon"]),
        "Reshape" => (2..=2, &["allowzero"]),
        "Transpose" => (1..=1, &["perm"]),
        "Concat" => (1..=ANY, &["axis"]),
        "Split" => (1..=2, &["axis", "num_outputs", "split"]),
        "Pad" => (1..=4, &["mode", "pads", "value"]),
        "ReduceMean" | "ReduceMax" => (1..=2, &["axes", "keepdims", "noop_with_empty_axes"]),
        "Squeeze" | "Unsqueeze" => (1..=2, &["axes"]),
        "Slice" => (1..=5, &["axes", "ends", "starts"]),
        "Upsample" => (1..=2, &["mode", "scales"]),
        "Resize" => (
            1..=4,
            &[
                "antialias",
                "axes",
                "coordinate_transformation_mode",
                "cubic_coeff_a",
                "exclude_outside",
                "extrapolation_value",
                "keep_aspect_ratio_policy",
                "mode",
                "nearest_mode",
            ],
        ),
        "Gather" => (2..=2, &["axis"]),
        "Shape" => (1..=1, &["end", "start"]),
        "ConstantOfShape" => (1..=1, &["value"]),
        "Cast" => (1..=1, &["round_mode", "saturate", "to"]),
        "Constant" => (
            0..=0,
            &[
                "sparse_value",
                "value",
                "value_float",
                "value_floats",
                "value_int",
                "value_ints",
                "value_string",
                "value_strings",
            ],
        ),
        _ => return None,
    })
}
