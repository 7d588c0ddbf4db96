"""Asks keepnet what Keras was asked, of the files that fetch_outside.py fetched, and prints a table.

    python ask_outside.py OUT KEEPNET

KEEPNET is the program. A row says who wrote a file, which Keras opens it, and how far keepnet's
answers are from those of Keras, in proportion to the largest where that is beyond 1.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np


def answers(keepnet, folder, about):
    """What keepnet answers, or what it says instead."""
    found = folder / "found.npy"
    model = folder / about["files"][0]
    if (weights := folder / "weights.h5").exists():
        model = folder / "converted.knet"
        command = [keepnet, "convert", weights, model, "--architecture", folder / "model.keras"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
    command = [keepnet, "predict", model, "--input", folder / "x.npy", "--output", found]
    done = subprocess.run(command, capture_output=True, text=True)
    return np.load(found) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


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
            expected = np.load(folder / about["outputs"][0])
            same = (found.argmax(-1) == expected.argmax(-1)).all()
            apart = np.abs(found - expected).max() / max(1, np.abs(expected).max())
            found = f"{apart:.1e}" + ("" if same else ", another argmax")
        version = f"Keras {about['version']}" if about["version"] else "not told"
        print(
            f"| {about['package'].replace('==', ' ')} | `{Path(about['file']).name}` |"
            f" {about['bytes']:,} | {version} | {', '.join(sorted(readers)) or 'neither'} |"
            f" {about['parameters']:,} | {found} |",
            flush=True,
        )


main()
