//! The table of other programs' forms in docs/BENCHMARKS.md, from a record.

use serde_json::Value;

/// A form and whose; how long keepnet takes to save it, that program, keepnet to load it, that program.
type Row = (&'static str, [&'static str; 4]);

const ROWS: [Row; 11] = [
    (
        "`.keras` | Keras 3: `save`, `load_model`",
        [
            "keras_save_ms",
            "keras_in_keras_save_ms",
            "keras_theirs_load_ms",
            "keras_in_keras_load_ms",
        ],
    ),
    (
        "`.h5` | Keras 3: the same",
        ["h5_save_ms", "h5_in_keras_save_ms", "h5_theirs_load_ms", "h5_in_keras_load_ms"],
    ),
    (
        "SavedModel of keepnet, by its operations | TensorFlow: `saved_model.save`, `load`",
        [
            "savedmodel_save_ms",
            "savedmodel_in_tf_save_ms",
            "savedmodel_bare_load_ms",
            "savedmodel_in_tf_load_ms",
        ],
    ),
    (
        "SavedModel with Adam | tf-keras: `save`, `load_model`",
        [
            "savedmodel_save_ms",
            "tf_keras_in_tf_keras_save_ms",
            "tf_keras_load_ms",
            "tf_keras_in_tf_keras_load_ms",
        ],
    ),
    (
        "SavedModel to serve | Keras 3: `export`; TensorFlow: `load`",
        [
            "savedmodel_save_ms",
            "keras_export_in_keras_save_ms",
            "keras_export_load_ms",
            "keras_export_in_tf_load_ms",
        ],
    ),
    (
        "safetensors with Adam, layout of PyTorch | `save_file`, `load_file`: tensors alone",
        [
            "safetensors_torch_save_ms",
            "safetensors_in_torch_save_ms",
            "safetensors_torch_load_ms",
            "safetensors_in_torch_load_ms",
        ],
    ),
    (
        "the same | `torch.save`, `torch.load`: tensors alone",
        [
            "safetensors_torch_save_ms",
            "pt_in_torch_save_ms",
            "safetensors_torch_load_ms",
            "pt_in_torch_load_ms",
        ],
    ),
    (
        "safetensors, weights alone | `save_file(state_dict())`, `load_state_dict(load_file())`",
        [
            "safetensors_bare_save_ms",
            "state_dict_in_torch_save_ms",
            "state_dict_load_ms",
            "state_dict_in_torch_load_ms",
        ],
    ),
    (
        "ONNX | PyTorch: `export(dynamo=False)`; onnxruntime: a session",
        [
            "onnx_save_ms",
            "torchscript_in_torch_save_ms",
            "torchscript_load_ms",
            "torchscript_in_onnxruntime_load_ms",
        ],
    ),
    (
        "ONNX | PyTorch: `export(dynamo=True)`; onnxruntime: a session",
        [
            "onnx_save_ms",
            "dynamo_in_torch_save_ms",
            "dynamo_load_ms",
            "dynamo_in_onnxruntime_load_ms",
        ],
    ),
    (
        "ONNX of keepnet, by its operators | onnxruntime: a session",
        ["", "", "onnx_bare_load_ms", "onnx_in_onnxruntime_load_ms"],
    ),
];

/// The table in Markdown; what was not measured is a dash.
pub(crate) fn print(record: &Value) {
    println!("| form | of | keepnet saves | it saves | keepnet loads | it loads | times as fast |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    for (form, names) in ROWS {
        let taken = names.map(|name| record[name].as_f64());
        let [save, its_save, load, its_load] = taken;
        let ratio = |own: Option<f64>, its: Option<f64>| match own.zip(its) {
            Some((own, its)) if its < 10.0 * own => format!("{:.1}", its / own),
            Some((own, its)) => format!("{:.0}", its / own),
            None => "–".to_owned(),
        };
        let ratios = [ratio(save, its_save), ratio(load, its_load)].join(", ");
        let cells =
            taken.map(|taken| taken.map_or_else(|| "–".to_owned(), |taken| taken.to_string()));
        println!("| {form} | {} | {ratios} |", cells.join(" | "));
    }
}
