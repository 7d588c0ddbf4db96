"""What is written of a tensor, and how it is written."""

import json
import math

import numpy as np

PRIME, COUNT, WHOLE = 7919, 24, 64
SAMPLING = {"prime": PRIME, "count": COUNT, "whole_up_to": WHOLE}


def numbers(array):
    """A flat list in C order whose decimals give back every bit of float32 or float64."""
    array = np.asarray(array).ravel()
    assert np.isfinite(array).all()
    if array.dtype == np.float32:
        decimals = [float(str(value)) for value in array]  # numpy's shortest decimal
        assert (np.array(decimals, np.float32) == array).all()
        return decimals
    assert array.dtype in (np.float64, np.int32)
    return array.tolist()


def full(array):
    """A small tensor."""
    return {"shape": list(np.shape(array)), "values": numbers(array)}


def positions(size):
    """Where a tensor of `size` elements is sampled."""
    if size <= WHOLE:
        return np.arange(size)
    chosen = np.arange(COUNT) * PRIME % size
    assert len(set(chosen)) == COUNT
    return chosen


def sampled(name, array):
    """A large tensor: Euclidean norm and sum, correctly rounded to float64, and some elements."""
    flat = np.asarray(array).ravel()
    exact = flat.astype(np.float64)
    return {
        "name": name,
        "shape": list(np.shape(array)),
        "norm": math.sqrt(math.fsum(exact * exact)),
        "sum": math.fsum(exact),
        "values": numbers(flat[positions(flat.size)]),
    }


def write(path, value):
    """JSON, one line for each tensor."""
    path.write_text(_lines(value, "") + "\n")


def _lines(value, indent):
    if _height(value) < 3:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    inner = indent + " "
    if isinstance(value, dict):
        parts = (f"{json.dumps(key)}:{_lines(item, inner)}" for key, item in value.items())
        opening, closing = "{", "}"
    else:
        parts = (_lines(item, inner) for item in value)
        opening, closing = "[", "]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closing}"


def _height(value):
    match value:
        case dict():
            return 1 + max(map(_height, value.values()), default=0)
        case list():
            return 1 + max(map(_height, value), default=0)
    return 0
