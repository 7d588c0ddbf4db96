"""A sound model with one Dense layer, as `.keras` and as `.h5`, for others to spoil."""

import io
import json
import zipfile

import h5py
import numpy as np

from containers import MODEL_WEIGHTS, write_zip

KERNEL, BIAS = "layers/dense/vars/0", "layers/dense/vars/1"
H5_KERNEL = "model_weights/dense/dense/kernel:0"
METADATA = b'{"keras_version": "3.15.1", "date_saved": "2026-11-22@00:00:00"}'


def dense(**settings):
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {
            "name": "dense",
            "units": 3,
            "activation": "linear",
            "use_bias": True,
            **settings,
        },
        "registered_name": None,
    }


def entry(**settings):
    config = {"batch_shape": [None, 2], "dtype": "float32", "name": "entry", **settings}
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": config,
        "registered_name": None,
    }


def model(*layers):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "net", "trainable": True, "layers": list(layers)},
        "registered_name": None,
    }


def layer(class_name, module="keras.layers", **config):
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


PLAIN = model(entry(), dense())


def weights(change=None):
    """The HDF5 member of a model with one Dense layer; `change` may spoil it."""
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.create_dataset(KERNEL, data=np.ones((2, 3), "float32"))
        file.create_dataset(BIAS, data=np.ones(3, "float32"))
        if change:
            change(file, KERNEL)
    return made.getvalue()


def whole(config=None, change=None):
    """A whole `.h5` of the same model, in the form of Keras 2."""
    made = io.BytesIO()
    # The newer layout is the smaller; what is spoiled is so in the layout that Keras writes.
    with h5py.File(made, "w", libver="latest" if config else "earliest") as file:
        legacy = {"batch_input_shape": [None, 2], "dtype": "float32"}
        config = config or {
            "class_name": "Sequential",
            "config": {
                "name": "net",
                "layers": [{"class_name": "Dense", "config": dense(**legacy)["config"]}],
            },
        }
        file.attrs["model_config"] = (
            config if isinstance(config, bytes) else json.dumps(config).encode()
        )
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.asarray([b"dense"])
        group.create_group("dense").attrs["weight_names"] = np.asarray(
            [b"dense/kernel:0", b"dense/bias:0"]
        )
        file.create_dataset(H5_KERNEL, data=np.ones((2, 3), "float32"))
        file.create_dataset("model_weights/dense/dense/bias:0", data=np.ones(3, "float32"))
        if change:
            change(file, H5_KERNEL)
    return made.getvalue()


def zipped(config=PLAIN, member=None, extra=None):
    """A `.keras`, deflated to be small."""
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    made = io.BytesIO()
    members = {
        "metadata.json": METADATA,
        "config.json": text,
        MODEL_WEIGHTS: weights() if member is None else member,
    }
    write_zip(made, members | (extra or {}), zipfile.ZIP_DEFLATED)
    return made.getvalue()
