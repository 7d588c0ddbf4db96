"""Tensors that any language can make again, bit for bit, from a number and a shape.

Nothing here knows Keras. README.md states the formula in words; the tests of keepnet repeat it.
"""

import math
from dataclasses import dataclass

import numpy as np

TEXT = (
    "z = (t << 32 | i) + 0x9E3779B97F4A7C15; z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9; "
    "z = (z ^ z >> 27) * 0x94D049BB133111EB; k = (z ^ z >> 31) >> 40; "
    "value = offset + (k / 2^24 - 0.5) * scale"
)


def integers(t, count):
    """k of elements 0 to `count` of tensor `t`: uniform in 0 .. 2^24 (SplitMix64's mixer)."""
    z = (np.uint64(t) << np.uint64(32)) | np.arange(count, dtype=np.uint64)
    z += np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(40)


@dataclass(frozen=True)
class Formula:
    """The tensor number `t` of a shape: uniform in offset ± scale / 2, in C order.

    `scale` is a power of two or zero, so that the product is exact in float32 and the sum is
    rounded at most once.
    """

    t: int
    shape: tuple
    scale: float
    offset: float = 0.0

    def values(self):
        """The tensor as float32."""
        assert self.scale == 0 or math.frexp(self.scale)[0] == 0.5
        k = integers(self.t, math.prod(self.shape)).astype(np.float32)
        centred = k * np.float32(2**-24) - np.float32(0.5)
        values = np.float32(self.offset) + centred * np.float32(self.scale)
        return values.reshape(self.shape)

    def json(self):
        return {"shape": list(self.shape), "t": self.t, "scale": self.scale, "offset": self.offset}


def classes(t, count, number_of_classes):
    """Class indices: k · classes / 2^24, rounded down."""
    return (integers(t, count) * np.uint64(number_of_classes) >> np.uint64(24)).astype(np.int32)


def parameter(t, name, shape):
    """The initial value of a layer's parameter, by the name that Keras gives it.

    Kernels have the power of two nearest to the width of Glorot's uniform distribution.
    """
    match name:
        case "kernel" | "depthwise_kernel" | "pointwise_kernel":
            receptive = math.prod(shape[:-2])
            fans = receptive * (shape[-2] + shape[-1])
            width = 2 * math.sqrt(6 / fans)
            return Formula(t, shape, 2.0 ** round(math.log2(width)))
        case "bias" | "beta":
            return Formula(t, shape, 0.125)
        case "gamma":
            return Formula(t, shape, 0.25, 1.0)
        case "alpha":
            return Formula(t, shape, 0.5, 0.25)
        case "mean":
            return Formula(t, shape, 1.0)
        case "variance":
            return Formula(t, shape, 0.5, 1.0)
        case "moving_mean":
            return Formula(t, shape, 0.0)
        case "moving_variance":
            return Formula(t, shape, 0.0, 1.0)
    raise ValueError(f"no formula for a parameter named {name}")


EXAMPLES = [
    Formula(0, (4,), 1.0),
    Formula(1, (3, 3, 1, 32), 0.25),
    Formula(7, (1600, 128), 0.125),
    Formula(100, (160, 8, 8, 3), 4.0),
    Formula(4294967295, (4,), 0.25, 1.0),
]
"""Whose first values the header of every file states."""
