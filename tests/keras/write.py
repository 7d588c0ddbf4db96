"""Writes one model in every container of its Keras, with inputs, predictions, a description."""

import json
import warnings

import numpy as np
import tensorflow as tf

from case import inputs, set_weights, targets


def train(case, k, model):
    """Compiles the model and takes the steps of the case."""
    if case.compile is None:
        return
    model.compile(**case.compile(k))
    batch = inputs(case, model)
    for step in range(case.steps):
        model.train_on_batch(batch if len(batch) > 1 else batch[0], targets(case, model, step))


def plain(value):
    """A list or dictionary of outputs as a list of f32 arrays."""
    if isinstance(value, dict):
        value = list(value.values())
    value = value if isinstance(value, (list, tuple)) else [value]
    return [np.asarray(output).astype("float32") for output in value]


def arranged(model, batch):
    """The batch as the model takes it: an array, a list or a dictionary."""
    for attribute in ("_inputs_struct", "_nested_inputs"):
        named = getattr(model, attribute, None)
        if isinstance(named, dict):
            return dict(zip(named, batch, strict=True))
    return batch if len(batch) > 1 else batch[0]


def predict(model, batch):
    """What Keras itself answers, at inference.

    TensorFlow has no `channels_first` kernels on the CPU, except under XLA, which then answers.
    """
    batch = arranged(model, batch)
    try:
        return plain(model(batch, training=False))
    except tf.errors.OpError:
        tf.config.run_functions_eagerly(False)
        compiled = tf.function(lambda x: model(x, training=False), jit_compile=True)
        try:
            return plain(compiled(tf.nest.map_structure(tf.constant, batch)))
        finally:
            tf.config.run_functions_eagerly(True)


def optimizer_variables(model):
    """The optimizer's variables in the order in which it keeps them, with their names."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return []
    variables = optimizer.variables
    variables = variables() if callable(variables) else variables
    return [(getattr(v, "path", v.name), v) for v in variables]


def optimizer_state(model):
    """The values of these variables, with their names."""
    return [(name, np.asarray(variable)) for name, variable in optimizer_variables(model)]


def classes(model):
    """The classes of all layers, those of nested models too."""
    found = set()
    for layer in model.layers:
        found.add(type(layer).__name__)
        if hasattr(layer, "layers"):
            found.update(classes(layer))
    return sorted(found)


def save_arrays(folder, letter, arrays):
    """`x.npy` for one array, `x0.npy`, `x1.npy` … for several; returns the names."""
    names = (
        [f"{letter}.npy"] if len(arrays) == 1 else [f"{letter}{i}.npy" for i in range(len(arrays))]
    )
    for name, array in zip(names, arrays, strict=True):
        np.save(folder / name, array)
    return names


def containers(case, model, folder, writer):
    """Saves the model everywhere; returns what each file is, or why it could not be written."""
    tasks = {
        "model.keras": lambda path: model.save(path),
        "model.h5": lambda path: model.save(path),
    }
    if case.weights_alone:
        tasks["weights.weights.h5"] = lambda path: model.save_weights(path)
    if case.weights_alone and writer == "tfkeras":
        tasks["weights.h5"] = lambda path: model.save_weights(path, save_format="h5")
    written, failed = [], {}
    for name, task in tasks.items():
        path = folder / name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                task(str(path))
            written.append(name)
        except Exception as error:
            path.unlink(missing_ok=True)
            failed[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return written, failed


def described(case, k, writer, model, outputs):
    state = optimizer_state(model)
    optimizer = getattr(model, "optimizer", None)
    iterations = None if optimizer is None else int(np.asarray(optimizer.iterations))
    about = {
        "name": case.name,
        "writer": writer,
        "version": k.__version__,
        "layers": classes(model),
        "parameters": int(sum(w.size for w in model.get_weights())),
        "tolerance": case.tolerance,
        "argmax": [o.reshape(len(o), -1).argmax(-1).tolist() for o in outputs],
        "compiled": None
        if optimizer is None
        else {
            "optimizer": type(optimizer).__name__,
            "iterations": iterations,
            "variables": [
                {"name": n, "shape": list(v.shape), "dtype": str(v.dtype)} for n, v in state
            ],
        },
        "refuse": case.refuse,
    }
    return about, state


def write(case, k, writer, folder):
    """Makes the model of `case` and writes it into `folder`; returns its description."""
    k.utils.set_random_seed(1)
    k.backend.clear_session()
    model = case.build(k)
    set_weights(case, model)
    train(case, k, model)
    batch = inputs(case, model)
    outputs = predict(model, batch)
    folder.mkdir(parents=True)
    about, state = described(case, k, writer, model, outputs)
    taken = [array for i, array in enumerate(batch) if i not in case.unused_inputs]
    about["inputs"], about["outputs"] = (
        save_arrays(folder, "x", taken),
        save_arrays(folder, "y", outputs),
    )
    # The optimizer's variables end to end, in their order; f64 holds an iteration exactly.
    if state:
        np.save(
            folder / "optimizer.npy",
            np.concatenate([np.ravel(v).astype("float64") for _, v in state]),
        )
    about["files"], about["not_written"] = containers(case, model, folder, writer)
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    return about
