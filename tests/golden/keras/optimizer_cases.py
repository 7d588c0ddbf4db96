"""Optimizers alone: three steps on two small tensors with gradients by formula."""

import keras
import tensorflow as tf

from formula import Formula
from record import numbers

INITIAL, GRADIENTS = 3001, 3011
NAMES = ["a", "b"]
SHAPES = [(3, 4), (5,)]
STEPS = 3

SGD = {"learning_rate": 0.1}
MOMENTUM = {"learning_rate": 0.05, "momentum": 0.9}
ADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
RMSPROP = {"learning_rate": 0.001, "rho": 0.9, "epsilon": 1e-7}

CASES = [
    ("SGD", SGD),
    ("SGD", MOMENTUM),
    ("SGD", {**MOMENTUM, "nesterov": True}),
    ("SGD", {**MOMENTUM, "weight_decay": 0.25}),
    ("Adam", ADAM),
    ("Adam", {**ADAM, "learning_rate": 0.25, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125}),
    ("AdamW", {**ADAM, "weight_decay": 0.004}),
    ("AdamW", {**ADAM, "learning_rate": 0.25, "weight_decay": 0.25}),
    ("RMSprop", RMSPROP),
    ("RMSprop", {**RMSPROP, "momentum": 0.9}),
    # The gradients' elements lie within ±1, the norms of `a` above and those of `b` below 1.5.
    ("SGD", {**SGD, "clipvalue": 0.25}),
    ("SGD", {**SGD, "clipnorm": 0.5}),
    ("SGD", {**SGD, "clipnorm": 1.5}),
    ("SGD", {**SGD, "clipnorm": 100.0}),
    ("SGD", {**SGD, "global_clipnorm": 0.5}),
    ("SGD", {**SGD, "global_clipnorm": 100.0}),
    ("Adam", {**ADAM, "global_clipnorm": 0.5}),
]


def case(name, settings, initial, gradients):
    dtype = keras.config.floatx()
    variables = [
        keras.Variable(formula.values(), dtype=dtype, name=variable)
        for variable, formula in zip(NAMES, initial, strict=True)
    ]
    optimizer = getattr(keras.optimizers, name)(**settings)
    optimizer.build(variables)
    after = []
    for step in gradients:
        optimizer.apply([tf.constant(formula.values(), dtype) for formula in step], variables)
        after.append([numbers(variable.value) for variable in variables])
    # Before the slots come iteration and learning rate.
    slots = {slot.name: numbers(slot.value) for slot in optimizer.variables[2:]}
    return {"optimizer": {"class": name, **settings}, "after_each_step": after, "slots": slots}


def record():
    initial = [Formula(INITIAL + i, shape, 2.0) for i, shape in enumerate(SHAPES)]
    gradients = [
        [Formula(GRADIENTS + 10 * step + i, shape, 2.0) for i, shape in enumerate(SHAPES)]
        for step in range(STEPS)
    ]
    return {
        "initial": [formula.json() for formula in initial],
        "gradients": [[formula.json() for formula in step] for step in gradients],
        "cases": [case(name, settings, initial, gradients) for name, settings in CASES],
    }
