"""Loads what keepnet wrote in Keras and says what came of it, one JSON line for each file.

    python check.py DIR --writer keras3|tfkeras

Run with keras 3.15.1, tf-keras 2.21.0, TensorFlow 2.21.0.

DIR holds `<name>.keras`, `<name>.h5` and `<name>.weights.h5` (any; weights alone need one of the
others for the architecture), with inputs `<name>.x.npy` (or `<name>.x0.npy`, `<name>.x1.npy` …) and
keepnet's predictions `<name>.y.npy` (likewise). `<name>.train.json` says what must come back of the
optimizer and how training goes on:

    {"iterations": 3, "slots": "FILE.npy", "x": "FILE.npy", "t": "FILE.npy", "losses": [...]}

`slots` holds all numbers of the optimizer's variables but iteration and learning rate, end to end
in the order of that Keras; `x` and `t` hold a batch in each row of their first axis; `losses` are
keepnet's own over these batches. All members are optional. The exit status is 1 when a file did not
load, or a prediction, the optimizer or a loss is not as it must be.
"""

import argparse
import json
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ |= {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402

from opens import said  # noqa: E402
from write import optimizer_state, optimizer_variables, predict  # noqa: E402

KERASES = {"keras3": keras, "tfkeras": tf_keras}
ENDINGS = (".weights.h5", ".keras", ".h5")
PREDICTIONS, LOSSES, MOMENTS = 1e-5, 1e-4, 1e-6


def arrays(folder, name, letter):
    """`<name>.x.npy` or `<name>.x0.npy` …"""
    single = folder / f"{name}.{letter}.npy"
    if single.exists():
        return [np.load(single)]
    found = sorted(folder.glob(f"{name}.{letter}[0-9]*.npy"), key=lambda p: int(p.suffixes[-2][2:]))
    return [np.load(path) for path in found]


def farthest(a, b):
    if [x.shape for x in a] != [x.shape for x in b]:
        raise ValueError(f"shapes {[x.shape for x in a]}, expected {[x.shape for x in b]}")
    return max(
        float(np.max(np.abs(x.astype("float64") - y), initial=0.0))
        for x, y in zip(a, b, strict=True)
    )


def load(k, path, name):
    """The model of a file; of weights alone, the model beside them, its own numbers wiped."""
    if not path.name.endswith(".weights.h5"):
        return k.models.load_model(str(path))
    beside = next(
        p for p in (path.with_name(f"{name}{e}") for e in (".keras", ".h5")) if p.exists()
    )
    model = k.models.load_model(str(beside))
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    for variable_name, variable in optimizer_variables(model):
        if "learning_rate" not in variable_name:
            variable.assign(np.zeros_like(variable))
    model.load_weights(str(path))
    return model


def optimizer(model, expected, folder):
    """What came back of the optimizer."""
    state = optimizer_state(model)
    found = {
        "optimizer": type(model.optimizer).__name__,
        "iterations": int(np.asarray(model.optimizer.iterations)),
    }
    slots = [
        v
        for n, v in state
        if n.split("/")[-1].split(":")[0] not in ("iteration", "iter", "learning_rate")
    ]
    flat = np.concatenate([np.ravel(v).astype("float64") for v in slots]) if slots else np.zeros(0)
    found["slots"], found["slots_not_zero"] = len(slots), bool(np.any(flat))
    if "iterations" in expected:
        found["iterations_ok"] = found["iterations"] == expected["iterations"]
    if "slots" in expected:
        wanted = np.ravel(np.load(folder / expected["slots"])).astype("float64")
        came_back = flat.shape == wanted.shape
        found["slots_apart"] = farthest([flat], [wanted]) if came_back else None
        found["slots_ok"] = came_back and found["slots_apart"] <= MOMENTS
    return found


def some_batch(model, inputs, outputs):
    """Something to fit to when nothing is said: the model's own answers, or their classes."""
    sparse = "sparse" in str(getattr(model.loss, "name", model.loss)).lower()
    targets = [y.argmax(-1) if sparse else y for y in outputs]
    return inputs if len(inputs) > 1 else inputs[0], targets if len(targets) > 1 else targets[0]


def going_on(model, expected, folder, inputs, outputs):
    """Trains on; compares losses where keepnet's are given."""
    try:
        if "x" in expected:
            losses = []
            for x, t in zip(*(np.load(folder / expected[key]) for key in ("x", "t")), strict=True):
                model.reset_metrics()
                losses.append(float(model.train_on_batch(x, t, return_dict=True)["loss"]))
            found = {"fit": "ok", "losses": losses}
            if "losses" in expected:
                ours = np.asarray(expected["losses"])
                found["losses_apart"] = float(
                    np.max(np.abs(np.asarray(losses) - ours) / np.abs(ours))
                )
                found["losses_ok"] = found["losses_apart"] <= LOSSES
            return found
        model.fit(*some_batch(model, inputs, outputs), epochs=1, verbose=0)
        return {"fit": "ok"}
    except Exception as error:
        return {"fit": said(error)}


def checked(k, path, name):
    folder = path.parent
    inputs, outputs = arrays(folder, name, "x"), arrays(folder, name, "y")
    told = folder / f"{name}.train.json"
    expected = json.loads(told.read_text()) if told.exists() else {}
    k.backend.clear_session()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = load(k, path, name)
        found = {"load": "ok", "warnings": sorted({str(w.message)[:200] for w in caught})}
        if inputs:
            found["apart"] = farthest(predict(model, inputs), outputs)
            found["predictions_ok"] = found["apart"] <= PREDICTIONS
    except Exception as error:
        return {"load": said(error)}
    if getattr(model, "optimizer", None) is not None:
        found |= optimizer(model, expected, folder)
        if inputs or "x" in expected:
            found |= going_on(model, expected, folder, inputs, outputs)
    elif expected:
        found["optimizer"] = None
        found["iterations_ok"] = False
    return found


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument("folder", type=Path)
    arguments.add_argument(
        "--writer", choices=list(KERASES), default="keras3", help="the Keras that loads"
    )
    arguments = arguments.parse_args()
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    tf.config.run_functions_eagerly(True)
    failed = False
    for path in sorted(arguments.folder.iterdir()):
        ending = next((e for e in ENDINGS if path.name.endswith(e)), None)
        if ending is None:
            continue
        name = path.name.removesuffix(ending)
        found = checked(KERASES[arguments.writer], path, name)
        well = (
            found["load"] == "ok"
            and found.get("fit", "ok") == "ok"
            and all(value for key, value in found.items() if key.endswith("_ok"))
        )
        failed |= not well
        print(
            json.dumps({"file": path.name, "keras": arguments.writer, "ok": well, **found}),
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
