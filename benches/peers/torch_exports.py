"""Exports W1 from PyTorch as ONNX: torch_exports.py FOLDER.

`dynamo.onnx` and `torchscript.onnx` in FOLDER are of either exporter.
"""
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

import timed
from torch_nets import NETS

warnings.filterwarnings("ignore")
dynamo, torchscript = (Path(sys.argv[1]) / f"{name}.onnx" for name in ["dynamo", "torchscript"])
torch.manual_seed(0)
model = nn.Sequential(*NETS["w1"](), nn.Softmax(1)).eval()
images = torch.zeros(2, 1, 28, 28)


def export(path, **options):
    torch.onnx.export(model, (images,), path, **options)


timed.serve(
    dynamo=lambda: export(
        dynamo, dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False
    ),
    torchscript=lambda: export(
        torchscript, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}}
    ),
)
