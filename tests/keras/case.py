"""One entry of the matrix: how a model is made, and what is said of it.

A case is written against the names that Keras 3 and tf-keras share. `build(k)` is given the module,
`keras` or `tf_keras`, and returns a model; `writers` leaves to one what the other lacks.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

BATCH = 4
# The size given to a side that may have any.
ANY = 6
BOTH = ("keras3", "tfkeras")


@dataclass
class Case:
    """One model, made by each of `writers`."""

    name: str
    build: Callable
    writers: tuple[str, ...] = BOTH
    # Gives the arguments of `compile` for a module; and how many steps are trained then.
    compile: Callable | None = None
    steps: int = 0
    # What the inputs are drawn from, uniformly.
    low: float = -1.0
    high: float = 1.0
    # How far another implementation may be from these predictions: f16 and bf16 compute with less.
    tolerance: float = 1e-5
    # Why a reader must refuse the file, where it must.
    refuse: str | None = None
    # Whether files of weights alone are written too: not where they show nothing new.
    weights_alone: bool = True
    tags: tuple[str, ...] = field(default=())
    # The places of inputs that lead to no output: keepnet takes none such.
    unused_inputs: tuple[int, ...] = ()

    def generator(self, use):
        """The random numbers of one use: both writers draw the same inputs and weights."""
        return np.random.default_rng(zlib.crc32(f"{self.name} {use}".encode()))


def sequential(k, shape, *layers, name="net"):
    """A Sequential model with an InputLayer of `shape`, without the batch."""
    return k.Sequential([k.Input(shape), *layers], name=name)


def sides(tensor):
    """The shape of a tensor without its batch."""
    return [side or ANY for side in tensor.shape[1:]]


def inputs(case, model):
    """A batch for each input of `model`."""
    generator = case.generator("inputs")

    def batch(tensor):
        shape = (BATCH, *sides(tensor))
        if "string" in str(tensor.dtype):
            return generator.choice([b"a", b"b", b"c"], shape)
        return generator.uniform(case.low, case.high, shape).astype("float32")

    return [batch(tensor) for tensor in model.inputs]


def targets(case, model, step):
    """What a step of training is told: classes, one-hot, or numbers in [0, 1)."""
    generator = case.generator(f"targets {step}")
    made = []
    for tensor in model.outputs:
        width = tensor.shape[-1]
        classes = generator.integers(0, width, BATCH)
        if "classes" in case.tags:
            made.append(classes.astype("int64"))
        elif "one-hot" in case.tags:
            made.append(np.eye(width, dtype="float32")[classes])
        else:
            made.append(generator.uniform(0, 1, (BATCH, *sides(tensor))).astype("float32"))
    return made if len(made) > 1 else made[0]


def set_weights(case, model):
    """Gives every weight a value that no initializer gives, so that a weight left out shows."""
    generator = case.generator("weights")
    values = []
    for variable, value in zip(model.weights, model.get_weights(), strict=True):
        name = variable.name.split("/")[-1].split(":")[0]
        if not np.issubdtype(value.dtype, np.floating) and value.dtype.name != "bfloat16":
            drawn = value
        elif name in ("gamma", "moving_variance", "variance"):
            drawn = generator.uniform(0.5, 1.5, value.shape)
        else:
            fan_in = max(1, int(np.prod(value.shape[:-1])))
            drawn = generator.normal(0, 1 / np.sqrt(fan_in), value.shape)
        values.append(np.asarray(drawn).astype(value.dtype))
    model.set_weights(values)
    # Keras 3's Normalization answers from a copy of its weights.
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
