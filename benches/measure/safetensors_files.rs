//! W1 as safetensors: keepnet beside PyTorch.

use std::error::Error;

use keepnet::format::safetensors::Layout;
use keepnet::format::{Format, SaveOptions};

use crate::figures::Figure;
use crate::forms::Forms;
use crate::in_turn::{Timing, in_turn};
use crate::peer::Peer;

/// Names an interpreter that has PyTorch and safetensors.
const PYTHON: &str = "KEEPNET_TORCH_PYTHON";

/// The files, in the layouts of Keras and of PyTorch; the script reads the second.
const KERAS: &str = "ours.safetensors";
const TORCH: &str = "ours_torch.safetensors";

pub(crate) fn of_safetensors(
    forms: &Forms<'_>,
    rounds: usize,
) -> Result<Vec<Figure>, Box<dyn Error>> {
    const FORM: Format = Format::Safetensors;
    let (keras_options, torch_options) = (options(Layout::Keras), options(Layout::Torch));
    forms.put(FORM, KERAS, keras_options)?;
    forms.put(FORM, TORCH, torch_options)?;
    let weights = SaveOptions { layout: Layout::Torch, ..SaveOptions::weights_only() };
    forms.put(FORM, "weights.safetensors", weights)?;
    let torch = Peer::start(PYTHON, "safetensors_files.py", forms.folder())?;
    let asked = |work| torch.as_ref().map(|torch| torch.work(work));
    let theirs = match torch {
        Some(_) => forms.load_weights("theirs.safetensors")?,
        None => None,
    };
    let timings = vec![
        Timing::new(
            "safetensors_save_ms",
            "ms: W1 as safetensors, to a file system in memory",
            forms.save(FORM, KERAS, keras_options),
        ),
        Timing::new(
            "safetensors_torch_save_ms",
            "ms, in the layout of PyTorch",
            forms.save(FORM, TORCH, torch_options),
        ),
        Timing::new(
            "safetensors_in_torch_save_ms",
            "ms, the same tensors in PyTorch: `save_file`",
            asked("save"),
        )
        .first("safetensors_in_torch_save_first_ms"),
        Timing::new(
            "pt_in_torch_save_ms",
            "ms, the same tensors in PyTorch's own form: `torch.save`",
            asked("pt_save"),
        )
        .first("pt_in_torch_save_first_ms"),
        Timing::new(
            "safetensors_save_fsync_ms",
            "ms, flushed and put in place",
            forms.save_flushed(FORM, KERAS, keras_options),
        ),
        Timing::new(
            "safetensors_torch_save_fsync_ms",
            "ms, the same in the layout of PyTorch",
            forms.save_flushed(FORM, TORCH, torch_options),
        ),
        Timing::new(
            "safetensors_load_ms",
            "ms, the whole model, every check included",
            forms.load(KERAS),
        ),
        Timing::new(
            "safetensors_torch_load_ms",
            "ms, the same from the layout of PyTorch",
            forms.load(TORCH),
        ),
        Timing::new(
            "safetensors_in_torch_load_ms",
            "ms, the tensors in PyTorch: `load_file`",
            asked("load"),
        )
        .first("safetensors_in_torch_load_first_ms"),
        Timing::new(
            "pt_in_torch_load_ms",
            "ms, the tensors from PyTorch's own form: `torch.load`",
            asked("pt_load"),
        )
        .first("pt_in_torch_load_first_ms"),
        Timing::new(
            "safetensors_bare_load_ms",
            "ms, weights alone into the network, in the layout of PyTorch",
            forms.load_weights("weights.safetensors")?,
        ),
        Timing::new(
            "safetensors_bare_save_ms",
            "ms, weights alone, to a file system in memory",
            forms.save(FORM, "weights.safetensors", weights),
        ),
        Timing::new(
            "state_dict_in_torch_save_ms",
            "ms, weights alone in PyTorch: `save_file(state_dict())`",
            asked("weights_save"),
        )
        .first("state_dict_in_torch_save_first_ms"),
        Timing::new("state_dict_load_ms", "ms, that file into the network, in keepnet", theirs),
        Timing::new(
            "state_dict_in_torch_load_ms",
            "ms, in PyTorch: `load_state_dict(load_file())`",
            asked("weights_load"),
        )
        .first("state_dict_in_torch_load_first_ms"),
    ];
    in_turn(rounds, timings)
}

fn options(layout: Layout) -> SaveOptions {
    SaveOptions { layout, ..SaveOptions::default() }
}
