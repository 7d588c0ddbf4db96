"""Ten more steps as Keras takes them: what keepnet must do after loading the same file.

    python train_on.py OUT

Run with keras 3.15.1, tf-keras 2.21.0, TensorFlow 2.21.0.

OUT/<k3|k2>-<optimizer>-<net>/ holds the model after five steps as `start.keras` and `start.h5`, ten
batches `x.npy` (10, 8, 8, 8, 1) with their classes `t.npy` (10, 8), and of each of three runs,
`onednn0`, `onednn1` and `xla` (without oneDNN): `losses-*.npy` (10), `weights-*.npy` and
`optimizer-*.npy`, the numbers of all tensors end to end in the order of `about.json`. `apart` there
says how far the other two runs are from `onednn0`, tensor by tensor: Keras' difference from itself.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

STEPS_BEFORE, STEPS, BATCH = 5, 10, 8
OPTIMIZERS = {
    "adam": ("Adam", {"learning_rate": 0.002}),
    "settled": ("Adam", {"learning_rate": 0.0004}),
    "sgd": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.002}),
}
# With one of the networks, and as optimizers of Keras <= 2.10 not at all.
MORE_OPTIMIZERS = {
    "amsgrad": ("Adam", {"learning_rate": 0.002, "amsgrad": True}),
    "centered": ("RMSprop", {"learning_rate": 0.002, "centered": True, "momentum": 0.5}),
    "nadam": ("Nadam", {"learning_rate": 0.002}),
    "adamax": ("Adamax", {"learning_rate": 0.002}),
    "adagrad": ("Adagrad", {"learning_rate": 0.02}),
    "adadelta": ("Adadelta", {"learning_rate": 0.5}),
}
# Adam after so many steps that what Keras loses by taking powers of its betas in f32 no longer shows.
SETTLED = 5000
NETS = ("plain", "norm", "frozen")
RUNS = ("onednn0", "onednn1", "xla")


def network(k, net):
    """No bias before a normalization: it has no gradient but noise, which Adam makes large."""
    L = k.layers
    normalized = net != "plain"

    def convolution(filters, name):
        yield L.Conv2D(
            filters,
            3,
            use_bias=not normalized,
            activation=None if normalized else "relu",
            name=name,
        )
        if normalized:
            yield L.BatchNormalization(momentum=0.9, name=f"{name}_norm")
            yield L.ReLU(name=f"{name}_relu")

    model = k.Sequential(
        [
            k.Input((8, 8, 1)),
            *convolution(4, "first"),
            L.MaxPooling2D(name="pool"),
            *convolution(6, "second"),
            L.Flatten(name="flatten"),
            L.Dense(8, activation="relu", name="hidden"),
            L.Dense(3, activation="softmax", name="out"),
        ],
        name="net",
    )
    if net == "frozen":
        model.get_layer("first").trainable = False
        model.get_layer("second_norm").trainable = False
    return model


def batches(steps, seed):
    """Images of three kinds of stripes under noise, so that there is something to learn."""
    import numpy as np

    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 3, (steps, BATCH))
    row, column = np.mgrid[0:8, 0:8]
    kinds = np.stack([row % 2, column % 2, (row + column) % 2]).astype("float32")
    images = kinds[classes] + generator.normal(0, 0.7, (steps, BATCH, 8, 8)).astype("float32")
    return images[..., None].astype("float32"), classes.astype("int64")


def train(model, images, classes):
    """The loss of each step alone: `train_on_batch` would give the mean since the start."""
    losses = []
    for x, t in zip(images, classes, strict=True):
        model.reset_metrics()
        losses.append(model.train_on_batch(x, t, return_dict=True)["loss"])
    return losses


def variables_of(optimizer):
    variables = optimizer.variables
    return variables() if callable(variables) else variables


def tensors(model):
    """Names and values of weights and of the optimizer's variables."""
    import numpy as np

    weights = [(getattr(w, "path", w.name), np.asarray(w)) for w in model.weights]
    slots = [(getattr(v, "path", v.name), np.asarray(v)) for v in variables_of(model.optimizer)]
    return weights, slots


def combinations(keras, tf_keras):
    for short, k in (("k3", keras), ("k2", tf_keras)):
        for optimizer in OPTIMIZERS:
            for net in NETS:
                yield short, k, k.optimizers, optimizer, net, f"{short}-{optimizer}-{net}"
        for optimizer in MORE_OPTIMIZERS:
            # tf-keras forgets the product of the momenta when it loads, and outside of eager mode takes
            # it once for each variable.
            if (short, optimizer) != ("k2", "nadam"):
                yield short, k, k.optimizers, optimizer, "norm", f"{short}-{optimizer}-norm"
    for optimizer in OPTIMIZERS:
        if optimizer == "settled":
            continue
        yield (
            "k2",
            tf_keras,
            tf_keras.optimizers.legacy,
            optimizer,
            "norm",
            f"k2-legacy-{optimizer}-norm",
        )


def start(out, keras, tf_keras):
    """Trains every model a little and saves it."""
    import numpy as np

    for short, k, optimizers, optimizer, net, name in combinations(keras, tf_keras):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        k.utils.set_random_seed(7)
        model = network(k, net)
        kind, settings = (OPTIMIZERS | MORE_OPTIMIZERS)[optimizer]
        model.compile(
            getattr(optimizers, kind)(**settings),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
        train(model, *batches(STEPS_BEFORE, seed=1))
        if optimizer == "settled":
            model.optimizer.iterations.assign(SETTLED)
        model.save(folder / "start.keras")
        model.save(folder / "start.h5")
        images, classes = batches(STEPS, seed=2)
        np.save(folder / "x.npy", images)
        np.save(folder / "t.npy", classes)
        weights, slots = tensors(model)
        about = {
            "name": name,
            "writer": {"k3": "keras3", "k2": "tfkeras"}[short],
            "version": k.__version__,
            "optimizer": (kind, settings),
            "legacy_optimizer": optimizers is not k.optimizers,
            "iterations": int(np.asarray(model.optimizer.iterations)),
            "weights": [{"name": n, "shape": list(v.shape)} for n, v in weights],
            "slots": [{"name": n, "shape": list(v.shape)} for n, v in slots],
        }
        (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")


def go_on(out, keras, tf_keras, run):
    """Loads every model and takes the ten steps."""
    import numpy as np

    for _, k, _, _, _, name in combinations(keras, tf_keras):
        folder = out / name
        # tf-keras does not restore a legacy optimizer from `.keras`.
        model = k.models.load_model(folder / ("start.h5" if "legacy" in name else "start.keras"))
        iterations = int(np.asarray(model.optimizer.iterations))
        expected = json.loads((folder / "about.json").read_text())["iterations"]
        assert iterations == expected, f"{name}: {iterations} iterations came back"
        model.jit_compile = run == "xla"
        losses = train(model, np.load(folder / "x.npy"), np.load(folder / "t.npy"))
        np.save(folder / f"losses-{run}.npy", np.asarray(losses, "float32"))
        for kind, found in zip(("weights", "optimizer"), tensors(model), strict=True):
            flat = np.concatenate([np.ravel(v).astype("float64") for _, v in found])
            np.save(folder / f"{kind}-{run}.npy", flat)


def largest(path, kind, run, tensors):
    """The largest difference of each tensor between `run` and the first run."""
    import numpy as np

    first, other = (
        np.load(path.with_name(f"{kind}-{r}.npy")).astype("float64") for r in (RUNS[0], run)
    )
    ends = np.cumsum([int(np.prod(tensor["shape"])) for tensor in tensors])
    return [float(np.max(part)) for part in np.split(np.abs(first - other), ends[:-1])]


def compare(out):
    """Writes into each `about.json` how far the runs are apart."""
    for path in sorted(out.glob("*/about.json")):
        about = json.loads(path.read_text())
        about["apart"] = {
            run: {
                "losses": max(largest(path, "losses", run, [{"shape": [STEPS]}])),
                "weights": largest(path, "weights", run, about["weights"]),
                "optimizer": largest(path, "optimizer", run, about["slots"]),
            }
            for run in RUNS[1:]
        }
        path.write_text(json.dumps(about, indent=1) + "\n")
        for run, apart in about["apart"].items():
            said = (
                f"{kind} {max([value] if kind == 'losses' else value):.2e}"
                for kind, value in apart.items()
            )
            print(path.parent.name, run, *said)


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--stage", choices=["start", *RUNS], help=argparse.SUPPRESS)
    arguments = arguments.parse_args()
    if arguments.stage is None:
        # TensorFlow reads its settings when it is imported, so each stage is a process.
        for stage in ("start", *RUNS):
            settings = {
                "KERAS_BACKEND": "tensorflow",
                "TF_ENABLE_ONEDNN_OPTS": str(int(stage == "onednn1")),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "CUDA_VISIBLE_DEVICES": "-1",
            }
            command = [sys.executable, __file__, str(arguments.out), "--stage", stage]
            subprocess.run(command, env=os.environ | settings, check=True)
        return compare(arguments.out)

    import keras
    import tensorflow as tf
    import tf_keras

    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Without tracing each step, which XLA needs: the same arithmetic in less time.
    tf.config.run_functions_eagerly(arguments.stage != "xla")
    if arguments.stage == "start":
        start(arguments.out, keras, tf_keras)
    else:
        go_on(arguments.out, keras, tf_keras, arguments.stage)


if __name__ == "__main__":
    main()
