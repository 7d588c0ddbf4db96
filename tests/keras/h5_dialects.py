"""Dialects of `.h5` and of HDF5: attributes, lists of names, datasets of other kinds."""

import shutil

import numpy as np

from config_forms import (
    axis,
    bare_list,
    dtype,
    each_layer,
    first_layer_shape,
    function_initializers,
    lr,
    only_what_matters,
    optimizer,
    renamed_class,
    short_initializers,
    training,
)
from containers import (
    copy_group,
    fixed_strings,
    in_h5,
    in_model_config,
    in_training_config,
    in_weights,
    rewritten_h5,
)


def hdf5_named_keras(source, target):
    """In 2018 some gave their HDF5 files the ending that came to mean a zip: told by content."""
    shutil.copy(source, target.with_name("model.keras"))


def stored(**settings):
    """Datasets made with other settings of h5py, except scalars: they cannot have chunks."""

    def dataset(target, path, value):
        value = np.asarray(value)
        return target.create_dataset(
            path, data=value, **(settings if value.size and value.ndim else {})
        )

    return lambda s, t: copy_group(s, t, dataset=dataset)


def converted(dtype):
    """Weights kept as another type of float."""

    def dataset(target, path, value):
        value = np.asarray(value)
        return target.create_dataset(
            path, data=value.astype(dtype) if value.dtype == np.float32 else value
        )

    return lambda s, t: copy_group(s, t, dataset=dataset)


STORAGE = {
    "latest": (copy_group, {"libver": "latest"}),
    "earliest-userblock": (copy_group, {"userblock_size": 512}),
    "chunked": (stored(chunks=True), {}),
    "gzip-shuffle": (stored(chunks=True, compression="gzip", shuffle=True), {}),
    "gzip-shuffle-latest": (
        stored(chunks=True, compression="gzip", shuffle=True),
        {"libver": "latest"},
    ),
    "fletcher32": (stored(chunks=True, fletcher32=True), {}),
    "resizable": (stored(chunks=True, maxshape=None), {}),
    "big-endian": (converted(">f4"), {}),
    "float64": (converted("<f8"), {}),
    "tracked-order": (copy_group, {"track_order": True}),
    "fixed-strings": (lambda s, t: copy_group(s, t, attribute=fixed_strings), {}),
}


MODEL_CONFIGS = {
    "bare-list": ("k2-net-w1", bare_list),
    "first-layer-shape": ("k2-net-w1", first_layer_shape),
    "first-layer-shape-dropout": ("k2-dropouts", first_layer_shape),
    "first-layer-shape-flatten": ("k2-flatten", first_layer_shape),
    "no-dtype": ("k2-net-w1", dtype(None)),
    "policy-object": ("k2-net-w1", dtype({"class_name": "Policy", "config": {"name": "float32"}})),
    "short-initializers": ("k3-net-w1", each_layer(short_initializers)),
    "function-initializers": ("k2-net-w1", each_layer(function_initializers)),
    "minimal": ("k2-net-vgg", each_layer(only_what_matters)),
    "axis-negative": ("k2-net-vgg", axis(-1)),
    "axis-number": ("k2-net-vgg", axis(3)),
    "class-model": ("k2-net-resnet", renamed_class("Model")),
    "class-model-keras3": ("k3-net-resnet", renamed_class("Model")),
}
TRAINING_CONFIGS = {
    "lr": ("k2-optimizer-legacy-adam", optimizer(lr)),
    "optimizer-string": ("k2-optimizer-legacy-adam", optimizer(lambda c: c["class_name"].lower())),
    "optimizer-lowercase": (
        "k2-optimizer-legacy-adam",
        optimizer(lambda c: c | {"class_name": "adam"}),
    ),
    "loss-reduction-auto": (
        "k2-optimizer-adam",
        training(
            loss={
                "class_name": "SparseCategoricalCrossentropy",
                "config": {
                    "reduction": "auto",
                    "name": "sparse_categorical_crossentropy",
                    "from_logits": False,
                },
            }
        ),
    ),
    "metrics-nested": ("k2-optimizer-adam", training(metrics=[["accuracy", "mse"]])),
    "loss-unknown": ("k2-optimizer-adam", training(loss="my_own_loss")),
    "optimizer-unknown": (
        "k2-optimizer-adam",
        optimizer(lambda c: c | {"class_name": "Custom>Madam"}),
    ),
    "not-compiled": ("k2-optimizer-adam", lambda _: None),
}


def split_names(source, target):
    """Lists of names over 64 KiB are split over several attributes; here, short ones."""
    copy_group(source, target)
    for group in (target["model_weights"], target["optimizer_weights"]):
        for name in ("layer_names", "weight_names"):
            if name in group.attrs:
                values = group.attrs[name]
                del group.attrs[name]
                middle = len(values) // 2
                group.attrs[f"{name}0"], group.attrs[f"{name}1"] = values[:middle], values[middle:]


def without_versions(source, target):
    copy_group(
        source, target, attribute=lambda n, v: None if n in ("keras_version", "backend") else v
    )


def other_versions(source, target):
    versions = {"keras_version": "3.4.1.dev2024072003", "backend": "tensorflow"}
    copy_group(source, target, attribute=lambda n, v: versions.get(n, v))


def without_top_level(source, target):
    copy_group(source, target)
    del target["model_weights/top_level_model_weights"]


def bare_names(source, target):
    """Weights called `kernel` and `bias` and no more, as some versions did."""
    for name, value in source.attrs.items():
        target.attrs[name] = value
    kept, made = source["model_weights"], target.create_group("model_weights")
    for name, value in kept.attrs.items():
        made.attrs[name] = value
    for layer in kept:
        group, names = made.create_group(layer), []
        for path in kept[layer].attrs["weight_names"]:
            short = (
                path.decode().split("/")[-1].split(":")[0]
                if isinstance(path, bytes)
                else path.split("/")[-1]
            )
            names.append(short.split(":")[0].encode())
            group.create_dataset(names[-1].decode(), data=kept[layer][path][()])
        group.attrs["weight_names"] = np.asarray(names) if names else np.zeros(0)
    source.copy("optimizer_weights", target)


def multi_backend_slots(source, target):
    """Keras 2.0 to 2.2: `training/Adam/Variable:0` …, iterations, all m, all v."""
    copy_group(source, target)
    kept = source["optimizer_weights"]
    del target["optimizer_weights"]
    made, names = target.create_group("optimizer_weights"), []
    for index, path in enumerate(kept.attrs["weight_names"]):
        number = "" if index == 1 else f"_{index - 1}"
        name = "training/Adam/iterations:0" if index == 0 else f"training/Adam/Variable{number}:0"
        made.create_dataset(name, data=kept[path][()])
        names.append(name.encode())
    made.attrs["weight_names"] = np.asarray(names)


def weights_alone(source, target):
    """The content of `model_weights` at the root, as `save_weights` of Keras 2 wrote it."""
    data = source.with_name("model.h5").read_bytes()
    target.write_bytes(rewritten_h5(data, lambda s, t: copy_group(s["model_weights"], t)))


TREES = {
    "split-names": ("k2-optimizer-adam", split_names),
    "without-versions": ("k2-optimizer-adam", without_versions),
    "development-version": ("k2-optimizer-adam", other_versions),
    "without-top-level": ("k2-optimizer-adam", without_top_level),
    "bare-names": ("k2-optimizer-adam", bare_names),
    "multi-backend-slots": ("k2-optimizer-legacy-adam", multi_backend_slots),
}

# Name, base, container and rewriting.
DIALECTS = [
    *(
        (name, base, "model.h5", in_model_config(change))
        for name, (base, change) in MODEL_CONFIGS.items()
    ),
    *(
        (name, base, "model.h5", in_training_config(change))
        for name, (base, change) in TRAINING_CONFIGS.items()
    ),
    *((name, base, "model.h5", in_h5(change)) for name, (base, change) in TREES.items()),
    *(
        (f"h5-{name}", "k2-optimizer-adam", "model.h5", in_h5(change, **how))
        for name, (change, how) in STORAGE.items()
    ),
    *(
        (f"keras-{name}", "k3-optimizer-adam", "model.keras", in_weights(change, **how))
        for name, (change, how) in STORAGE.items()
    ),
    ("hdf5-named-keras", "k2-net-w1", "model.h5", hdf5_named_keras),
    ("only-weights", "k3-net-resnet", "weights.h5", weights_alone),
]
