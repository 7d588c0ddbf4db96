"""Asks keepnet what Keras was asked, of the files that fetch_outside.py fetched, and prints a table.

    python ask_outside.py OUT KEEPNET

KEEPNET is the program. A row says who wrote a file, which Keras opens it, and how far keepnet's
answers are from those of Keras, in proportion to the largest where that is beyond 1.
"""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np


def answers(keepnet, folder, about):
    """What keepnet answers, one array for each output, or what it says instead."""
    model = folder / about["files"][0]
    if (weights := folder / "weights.h5").exists():
        model = folder / "converted.knet"
        command = [keepnet, "convert", weights, model, "--architecture", folder / "model.keras"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
    paths = [folder / f"found-{output}" for output in about["outputs"]]
    named = paths if len(paths) == 1 else [
        f"{name}={path}" for name, path in zip(outputs_of(model), paths, strict=True)
    ]
    command = [keepnet, "predict", model, "--input", folder / "x.npy"]
    for path in named:
        command += ["--output", path]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else list(map(np.load, paths))


def outputs_of(model):
    with h5py.File(model) as file:
        config = json.loads(file.attrs["model_config"])["config"]
    return [name for name, *_ in config["output_layers"]]


def main():
    out, keepnet = Path(sys.argv[1]), sys.argv[2]
    print("| package | file | bytes | written by | opens in | parameters | apart from Keras |")
    print("|---|---|--:|---|---|--:|--:|")
    for path in sorted(out.glob("*/about.json")):
        folder, about = path.parent, json.loads(path.read_text())
        opens = json.loads((folder / "opens.json").read_text()).values()
        names = {"keras3": "Keras 3", "tfkeras": "tf-keras"}
        readers = {names[reader] for said in opens for reader in said if said[reader] == "ok"}
        found = answers(keepnet, folder, about)
        if not isinstance(found, str):
            pairs = [(a, np.load(folder / y)) for a, y in zip(found, about["outputs"], strict=True)]
            same = all((a.argmax(-1) == b.argmax(-1)).all() for a, b in pairs)
            apart = max(np.abs(a - b).max() / max(1, np.abs(b).max()) for a, b in pairs)
            found = f"{apart:.1e}" + ("" if same else ", another argmax")
        version = f"Keras {about['version']}" if about["version"] else "not told"
        print(
            f"| {about['package'].replace('==', ' ')} | `{Path(about['file']).name}` |"
            f" {about['bytes']:,} | {version} | {', '.join(sorted(readers)) or 'neither'} |"
            f" {about['parameters']:,} | {found} |",
            flush=True,
        )


main()
