//! W1 as ONNX: keepnet beside PyTorch's exporters, onnxruntime and onnx.

use std::error::Error;

use keepnet::format::{Format, SaveOptions};

use crate::figures::Figure;
use crate::forms::Forms;
use crate::in_turn::{Timing, in_turn};
use crate::peer::Peer;

/// Name interpreters that have PyTorch with onnxscript; onnx and onnxruntime.
const TORCH: &str = "KEEPNET_TORCH_PYTHON";
const PYTHON: &str = "KEEPNET_ONNX_PYTHON";

pub(crate) fn of_onnx(forms: &Forms<'_>, rounds: usize) -> Result<Vec<Figure>, Box<dyn Error>> {
    const FORM: Format = Format::Onnx;
    const OURS: &str = "ours.onnx";
    let all = SaveOptions::default();
    forms.put(FORM, OURS, all)?;
    forms.put_bare(FORM, "bare.onnx")?;
    let torch = Peer::start(TORCH, "torch_exports.py", forms.folder())?;
    let onnx = Peer::start(PYTHON, "onnx_files.py", forms.folder())?;
    let asked = |work| onnx.as_ref().map(|onnx| onnx.work(work));
    let export = |work| torch.as_ref().map(|torch| torch.work(work));
    // What PyTorch wrote is there where PyTorch is.
    let asked_of_theirs = |work| torch.as_ref().and_then(|_| asked(work));
    let theirs = |name| torch.as_ref().and_then(|_| forms.load(name));
    let timings = vec![
        Timing::new(
            "onnx_save_ms",
            "ms: W1 as ONNX, to a file system in memory",
            forms.save(FORM, OURS, all),
        ),
        Timing::new(
            "onnx_save_fsync_ms",
            "ms, flushed and put in place",
            forms.save_flushed(FORM, OURS, all),
        ),
        Timing::new(
            "onnx_load_ms",
            "ms, with all that keepnet keeps there, every check included",
            forms.load(OURS),
        ),
        Timing::new(
            "onnx_bare_load_ms",
            "ms, without that, by its operators",
            forms.load("bare.onnx"),
        ),
        Timing::new(
            "onnx_in_onnxruntime_load_ms",
            "ms, keepnet's in onnxruntime: `InferenceSession`",
            asked("ours_session"),
        )
        .first("onnx_in_onnxruntime_load_first_ms"),
        Timing::new("onnx_in_onnx_load_ms", "ms, in onnx: `onnx.load`", asked("ours_load")),
        Timing::new(
            "dynamo_in_torch_save_ms",
            "ms, in PyTorch: `torch.onnx.export(dynamo=True)`",
            export("dynamo"),
        )
        .first("dynamo_in_torch_save_first_ms"),
        Timing::new("dynamo_load_ms", "ms, that in keepnet", theirs("dynamo.onnx")),
        Timing::new(
            "dynamo_in_onnxruntime_load_ms",
            "ms, in onnxruntime",
            asked_of_theirs("dynamo_session"),
        ),
        Timing::new("dynamo_in_onnx_load_ms", "ms, in onnx", asked_of_theirs("dynamo_load")),
        Timing::new(
            "torchscript_in_torch_save_ms",
            "ms, in PyTorch: `torch.onnx.export(dynamo=False)`",
            export("torchscript"),
        )
        .first("torchscript_in_torch_save_first_ms"),
        Timing::new("torchscript_load_ms", "ms, that in keepnet", theirs("torchscript.onnx")),
        Timing::new(
            "torchscript_in_onnxruntime_load_ms",
            "ms, in onnxruntime",
            asked_of_theirs("torchscript_session"),
        ),
        Timing::new(
            "torchscript_in_onnx_load_ms",
            "ms, in onnx",
            asked_of_theirs("torchscript_load"),
        ),
    ];
    in_turn(rounds, timings)
}
