"""Loads W1 with onnxruntime and with onnx: onnx_files.py FOLDER.

FOLDER has `ours.onnx` of keepnet; `dynamo.onnx` and `torchscript.onnx` of PyTorch, if those are asked for.
"""
import sys
from functools import partial
from pathlib import Path

import onnx
import onnxruntime

import timed


def session(path):
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


paths = {name: str(Path(sys.argv[1]) / f"{name}.onnx") for name in ["ours", "dynamo", "torchscript"]}
timed.serve(
    **{f"{name}_session": partial(session, path) for name, path in paths.items()},
    **{f"{name}_load": partial(onnx.load, path) for name, path in paths.items()},
)
