"""By how much Keras differs from itself: compare.py BASE=DIRECTORY OTHER=DIRECTORY …

Prints a table in Markdown: the largest difference of each run from the base, relative to the
largest magnitude in the tensor.
"""

import json
import sys
from pathlib import Path

import numpy as np


def load(directory, name):
    [path] = Path(directory).glob(f"{name}.*.json")
    return json.loads(path.read_text())


def difference(one, other):
    """max |one - other| / max |one|"""
    one, other = np.asarray(one), np.asarray(other)
    size = np.max(np.abs(one))
    return np.max(np.abs(one - other)) / size if size > 0 else np.max(np.abs(other))


def network(record):
    """All quantities of a network: a name, and lists of numbers of which each is compared."""
    start = record["start"]
    yield "first logits", [start["logits"]["values"]]
    yield "first loss", [[start["loss"]]]
    yield "first gradients", [gradient["values"] for gradient in start["gradients"]]
    for run in record["runs"]:
        optimizer = run["optimizer"]
        name = optimizer["class"] + (" Nesterov" if optimizer.get("nesterov") else "")
        if "batch_normalization_momentum" in run:
            name += f", batch normalization {run['batch_normalization_momentum']}"
        yield f"{name}: losses", [[loss] for loss in run["losses"]]
        yield f"{name}: variables", [variable["values"] for variable in run["variables"]]
        yield f"{name}: probabilities", [run["probabilities"]["values"]]


def layers(record):
    cases = record["cases"]
    yield "outputs", [case["output"]["values"] for case in cases]
    yield "gradients", [g["values"] for case in cases for g in case["gradients"].values()]


labels, directories = zip(*(a.split("=") for a in sys.argv[1:]), strict=True)
print(f"| | {' | '.join(labels[1:])} |")
print("|---" * len(labels) + "|")
for file, quantities in [("w1", network), ("resnet", network), ("layers", layers)]:
    base, *others = [list(quantities(load(directory, file))) for directory in directories]
    for (name, expected), *found in zip(base, *others, strict=True):
        worst = [max(map(difference, expected, values)) for _, values in found]
        print(f"| {file}: {name} | {' | '.join(f'{value:.1e}' for value in worst)} |")
