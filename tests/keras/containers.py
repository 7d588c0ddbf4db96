"""Takes `.keras` and `.h5` files apart and puts them together again, changed."""

import io
import json
import zipfile

import h5py
import numpy as np

MODEL_WEIGHTS = "model.weights.h5"
EPOCH = (1980, 1, 1, 0, 0, 0)


def read_zip(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path, members, compression=zipfile.ZIP_STORED):
    """A zip of `members` in their order, with a fixed date."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data, compression)


def rewritten_h5(data, change, **settings):
    """The bytes of an HDF5 file copied into a new one; `change(source, target)` copies."""
    made = io.BytesIO()
    with h5py.File(io.BytesIO(data), "r") as source, h5py.File(made, "w", **settings) as target:
        change(source, target)
    return made.getvalue()


def copy_group(source, target, rename=lambda path: path, dataset=None, attribute=None):
    """Copies a tree, giving each path, dataset and attribute another form where asked to."""

    def copy_attributes(a, b):
        for name, value in a.attrs.items():
            value = attribute(name, value) if attribute else value
            if value is not None:
                b.attrs[name] = value

    copy_attributes(source, target)

    def visit(path, item):
        place = rename(path)
        if isinstance(item, h5py.Group):
            copy_attributes(item, target.require_group(place))
        else:
            made = (
                dataset(target, place, item[()])
                if dataset
                else target.create_dataset(place, data=item[()])
            )
            copy_attributes(item, made)

    source.visititems(visit)


def fixed_strings(_name, value):
    """Strings as null-padded ones of one length, as Keras <= 2.4 wrote lists."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.asarray([v.encode() if isinstance(v, str) else v for v in value.ravel()]).reshape(
            value.shape
        )
    if isinstance(value, (str, bytes)):
        return np.bytes_(value.encode() if isinstance(value, str) else value)
    return value


def text_attribute(name, change):
    """For `copy_group`: changes the JSON in attribute `name`; None leaves it out."""

    def attribute(found, value):
        if found != name:
            return value
        changed = change(json.loads(value))
        return None if changed is None else json.dumps(changed).encode()

    return attribute


def in_weights(change, **settings):
    """Rewrites the HDF5 member of a `.keras`."""

    def rewrite(source, target):
        members = read_zip(source)
        members[MODEL_WEIGHTS] = rewritten_h5(members[MODEL_WEIGHTS], change, **settings)
        write_zip(target, members)

    return rewrite


def in_config(change):
    """Rewrites the configuration of a `.keras`."""

    def rewrite(source, target):
        members = read_zip(source)
        members["config.json"] = json.dumps(change(json.loads(members["config.json"]))).encode()
        write_zip(target, members)

    return rewrite


def in_h5(change, **settings):
    def rewrite(source, target):
        target.write_bytes(rewritten_h5(source.read_bytes(), change, **settings))

    return rewrite


def in_model_config(change):
    return in_h5(lambda s, t: copy_group(s, t, attribute=text_attribute("model_config", change)))


def in_training_config(change):
    return in_h5(lambda s, t: copy_group(s, t, attribute=text_attribute("training_config", change)))
