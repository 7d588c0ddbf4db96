"""Dialects of `.keras`: the zip, the groups inside `model.weights.h5`, `config.json`."""

import json
import shutil
import zipfile

import h5py
import numpy as np

from config_forms import axis, each_layer, layers_of, only_what_matters, short_initializers
from containers import copy_group, in_config, in_weights, read_zip, write_zip


def deflated(source, target):
    write_zip(target, read_zip(source), zipfile.ZIP_DEFLATED)


def without_metadata(source, target):
    write_zip(target, {n: d for n, d in read_zip(source).items() if n != "metadata.json"})


def byte_order_mark(source, target):
    members = read_zip(source)
    members["config.json"] = b"\xef\xbb\xbf" + members["config.json"]
    write_zip(target, members)


def pretty_json(source, target):
    """Sorted and indented, the members in the other order."""
    members = read_zip(source)
    config = json.loads(members["config.json"])
    members["config.json"] = json.dumps(config, indent=4, sort_keys=True).encode()
    write_zip(target, dict(reversed(members.items())))


def zip_comment(source, target):
    write_zip(target, read_zip(source))
    with zipfile.ZipFile(target, "a") as archive:
        archive.comment = b"written by another tool"


def unpacked(source, target):
    target.mkdir()
    for name, data in read_zip(source.with_name("model.keras")).items():
        (target / name).write_bytes(data)


def zip_named_h5(source, target):
    shutil.copy(source, target.with_name("model.h5"))


def windows(path):
    """Keras 2.15 on Windows joined the path with backslashes and made one group of it."""
    parts = path.split("/")
    head = [p for p in parts if p != "vars" and not p.isdigit()]
    tail = [p for p in parts if p == "vars" or p.isdigit()]
    return "/".join(["\\".join(head), *tail] if head else tail)


def leaves(source):
    """Every `vars` group and every variable by path, the groups before what is in them."""
    found = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset) or path.split("/")[-1] == "vars":
            found[path] = item

    source.visititems(visit)
    return sorted(found.items())


def renamed(rename):
    """Moves every group and variable; attributes are left out."""

    def change(source, target):
        for path, item in leaves(source):
            if isinstance(item, h5py.Dataset):
                target.create_dataset(rename(path), data=item[()])
            else:
                target.require_group(rename(path))

    return in_weights(change)


def only_variables(source, target):
    """Without the groups of layers that have none."""
    for path, item in leaves(source):
        if isinstance(item, h5py.Dataset):
            target.create_dataset(path, data=item[()])


def foreign_group(source, target):
    """With a note that some other tool left."""
    copy_group(source, target)
    target.create_dataset("other_tool/note", data=np.arange(3))


def dependencies(source, target):
    """As tf-keras wrote up to 2.14: another list, in which a layer with weights is counted twice."""
    for name, member in source.items():
        if name != "layers":
            source.copy(name, target)
            continue
        layers = target.create_group("_layer_checkpoint_dependencies")
        counts = {}
        for name, layer in sorted(member.items(), key=lambda item: place_in_class(item[0])):
            kind = name.removesuffix(f"_{place_in_class(name)[1]}")
            count = counts.get(kind, 0)
            has_weights = []
            layer.visititems(lambda _, item: has_weights.append(item) if isinstance(item, h5py.Dataset) else None)
            counts[kind] = count + (2 if has_weights else 1)
            dependencies(layer, layers.create_group(f"{kind}_{count}" if count else kind))


def place_in_class(name):
    """`conv2d_12` is the 12th of `conv2d`; those classes whose own name ends so are not in these models."""
    kind, _, number = name.rpartition("_")
    return (kind, int(number)) if kind and number.isdigit() else (name, 0)


WINDOWS = renamed(windows)
DEPENDENCIES = in_weights(dependencies)

ZIPS = {
    "deflated": ("k3-net-w1", deflated),
    "without-metadata": ("k3-net-w1", without_metadata),
    "byte-order-mark": ("k3-net-w1", byte_order_mark),
    "pretty-json": ("k3-net-w1", pretty_json),
    "zip-comment": ("k3-net-w1", zip_comment),
}
GROUPS = {
    "windows": ("k2-optimizer-adam", WINDOWS),
    "windows-nested": ("k2-net-nested-functional", WINDOWS),
    "windows-keras3": ("k3-optimizer-adam", WINDOWS),
    "layer-checkpoint-dependencies": ("k2-optimizer-adam", DEPENDENCIES),
    "layer-checkpoint-dependencies-nested": ("k2-net-nested-sequential", DEPENDENCIES),
    "without-name-attributes": ("k3-optimizer-adam", renamed(lambda path: path)),
    "without-empty-groups": ("k3-net-w1", in_weights(only_variables)),
    "with-foreign-groups": ("k3-net-w1", in_weights(foreign_group)),
}


def compiled(**settings):
    return lambda config: config | {"compile_config": config["compile_config"] | settings}


def both_kerases(config):
    """The form that Keras 3 and tf-keras both open: `batch_input_shape`, plain types."""
    for layer in layers_of(config):
        settings = layer["config"]
        if "batch_shape" in settings:
            settings["batch_input_shape"] = settings.pop("batch_shape")
            settings.pop("optional", None)
        settings["dtype"] = "float32"
        settings.pop("quantization_config", None)
        # tf-keras knows no `input_axes` of an initializer.
        short_initializers(settings)
    config["config"]["dtype"] = "float32"
    return config


def without(*keys):
    """Layers that lack some keys of their envelope."""

    def change(config):
        for layer in layers_of(config):
            for key in keys:
                layer.pop(key, None)
        return config

    return change


def without_input_layer(config):
    layers_of(config).pop(0)
    return config


def unfamiliar_keys(config):
    for layer in layers_of(config):
        layer["note"] = {"by": "another tool"}
    return config | {"note": None}


CONFIGS = {
    "keras-optimizer-string": ("k3-optimizer-adam", compiled(optimizer="adam")),
    "keras-optimizer-minimal": (
        "k3-optimizer-adam",
        compiled(
            optimizer={
                "module": "keras.optimizers",
                "class_name": "Adam",
                "config": {"learning_rate": 0.002},
            }
        ),
    ),
    "keras-both": ("k3-net-lenet5", both_kerases),
    "keras-without-build-config": ("k3-net-w1", without("build_config")),
    "keras-without-module": ("k3-net-w1", without("module", "registered_name")),
    "keras-without-compile-config": (
        "k3-optimizer-adam",
        lambda c: {k: v for k, v in c.items() if k != "compile_config"},
    ),
    "keras-null-compile-config": ("k3-optimizer-adam", lambda c: c | {"compile_config": None}),
    "keras-without-input-layer": ("k3-net-w1", without_input_layer),
    "keras-unfamiliar-keys": ("k3-net-w1", unfamiliar_keys),
    "keras-axis-number": ("k3-net-vgg", axis(3)),
    "keras-minimal": ("k3-net-vgg", each_layer(only_what_matters)),
}

# Name, base, container and rewriting.
DIALECTS = [
    *((name, base, "model.keras", change) for name, (base, change) in (ZIPS | GROUPS).items()),
    *((name, base, "model.keras", in_config(change)) for name, (base, change) in CONFIGS.items()),
    ("unpacked", "k3-net-w1", "model.dir", unpacked),
    ("zip-named-h5", "k3-net-w1", "model.keras", zip_named_h5),
]
