"""Saves and loads W1 as safetensors with PyTorch: safetensors_files.py FOLDER.

FOLDER/ours_torch.safetensors is keepnet's, with the state of Adam; its tensors are those that are saved as
`again.safetensors` and, in PyTorch's own form, as `again.pt`. `theirs.safetensors` is a `state_dict` of W1.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

import timed
from torch_nets import NETS

ours, again, pickled, theirs = (
    Path(sys.argv[1]) / name
    for name in ["ours_torch.safetensors", "again.safetensors", "again.pt", "theirs.safetensors"]
)
torch.manual_seed(0)
model = nn.Sequential(*NETS["w1"]())
tensors = {name: tensor.clone() for name, tensor in load_file(ours).items()}
timed.serve(
    save=lambda: save_file(tensors, again),
    load=lambda: load_file(again),
    pt_save=lambda: torch.save(tensors, pickled),
    pt_load=lambda: torch.load(pickled),
    weights_save=lambda: save_file(model.state_dict(), theirs),
    weights_load=lambda: model.load_state_dict(load_file(theirs)),
)
