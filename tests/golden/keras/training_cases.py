"""Learning rates step by step, and callbacks over given figures."""

import math

import keras
import numpy as np
import tensorflow as tf

from record import numbers

schedules = keras.optimizers.schedules
STEPS = 24
EXPONENTIAL = {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.7}
COSINE = {"initial_learning_rate": 0.1, "decay_steps": 12}
WARM_UP = {"warmup_target": 0.1, "warmup_steps": 5}

SCHEDULES = [
    ("ExponentialDecay", EXPONENTIAL),
    ("ExponentialDecay", {**EXPONENTIAL, "staircase": True}),
    ("ExponentialDecay", {**EXPONENTIAL, "decay_rate": 1.2}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 7], "values": [0.1, 0.05, 0.01]}),
    ("PiecewiseConstantDecay", {"boundaries": [0, 1, 20], "values": [0.1, 0.2, 0.05, 0.0]}),
    ("CosineDecay", COSINE),
    ("CosineDecay", {**COSINE, "alpha": 0.25}),
    ("CosineDecay", {**COSINE, **WARM_UP, "initial_learning_rate": 0.0}),
    ("CosineDecay", {**COSINE, **WARM_UP, "initial_learning_rate": 0.02, "alpha": 0.25}),
    ("CosineDecay", {**COSINE, **WARM_UP, "initial_learning_rate": 0.1, "warmup_steps": 1}),
]

NAN = math.nan
FALLING = [1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.25, 0.2]
PLATEAU = [1.0, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]
SLOW = [1.0, 0.95, 0.9, 0.86, 0.75, 0.74, 0.73, 0.64, 0.6, 0.6, 0.6, 0.6]
BROKEN = [1.0, NAN, 0.9, NAN, NAN, 0.8, NAN, NAN, NAN, 0.7, NAN, NAN, NAN, NAN, 0.1]
WORSE = [0.5, 0.6, 0.4, 0.7, 0.8, 0.45, 0.9, 0.3, 0.35, 0.31, 0.32, 0.33]
# Keras takes a NaN for the best if it comes first, and then for the best of all.
FIRST_NAN = [NAN, 0.9, 0.8, 0.85, 0.7, 0.9, 0.9, 0.9]
SEQUENCES = [FALLING, PLATEAU, SLOW, BROKEN, WORSE, FIRST_NAN]

MIN, MAX = {"mode": "min"}, {"mode": "max"}
BEST = {"restore_best_weights": True}

CALLBACKS = [
    ("EarlyStopping", MIN),
    ("EarlyStopping", {**MIN, **BEST, "patience": 1}),
    ("EarlyStopping", {**MIN, "patience": 2}),
    ("EarlyStopping", {**MIN, **BEST, "patience": 3}),
    ("EarlyStopping", {**MIN, **BEST, "patience": 2, "min_delta": 0.125}),
    ("EarlyStopping", {**MIN, **BEST, "patience": 3, "min_delta": -0.125}),
    ("EarlyStopping", {**MAX, "patience": 2, "min_delta": 0.125}),
    ("EarlyStopping", {**MAX, **BEST, "patience": 4}),
    ("EarlyStopping", {**MIN, **BEST, "patience": 99}),
    ("ReduceLROnPlateau", {**MIN, "patience": 0}),
    ("ReduceLROnPlateau", {**MIN, "patience": 2, "factor": 0.5}),
    ("ReduceLROnPlateau", {**MIN, "patience": 2, "factor": 0.5, "cooldown": 1}),
    ("ReduceLROnPlateau", {**MIN, "patience": 1, "factor": 0.5, "cooldown": 3}),
    ("ReduceLROnPlateau", {**MIN, "patience": 1, "factor": 0.25, "min_lr": 0.03125}),
    ("ReduceLROnPlateau", {**MIN, "patience": 1, "factor": 0.25, "min_lr": 2.0}),
    ("ReduceLROnPlateau", {**MIN, "patience": 2, "factor": 0.5, "min_delta": 0.125}),
    ("ReduceLROnPlateau", {**MAX, "patience": 2, "factor": 0.5, "min_delta": 0.0}),
    ("ModelCheckpoint", {**MIN, "save_best_only": True}),
    ("ModelCheckpoint", {**MAX, "save_best_only": True}),
]


def rates(name, settings):
    """What plain descent takes from a variable whose gradient is 1, from step to step."""
    dtype = keras.config.floatx()
    variable = keras.Variable(0.0, dtype=dtype)
    optimizer = keras.optimizers.SGD(getattr(schedules, name)(**settings))
    optimizer.build([variable])
    taken = []
    for _ in range(STEPS):
        variable.assign(0.0)
        optimizer.apply([tf.constant(1.0, dtype)], [variable])
        taken.append(0.0 - variable.numpy())
    return numbers(np.array(taken))


class Saved(keras.Model):
    """One weight, which is the number of the epoch; notes when it is saved."""

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="zeros")
        self.epoch, self.saved = None, []

    def save(self, *_, **__):
        self.saved.append(self.epoch)


def fit(model, callback, figures):
    """One fit as Keras' trainer tells a callback of it; what becomes of the model."""
    model.stop_training, model.saved = False, []
    callback.on_train_begin()
    after = []
    for epoch, figure in enumerate(figures):
        model.epoch = epoch
        model.weight.assign(float(epoch))
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"val_loss": figure})
        after.append(model.optimizer.learning_rate.numpy())
        if model.stop_training:
            break
    callback.on_train_end()
    return {
        "figures": [None if math.isnan(figure) else figure for figure in figures],
        "epochs": len(after),
        "weight": int(model.weight.numpy()),
        "rates": numbers(np.array(after)),
        "saved": model.saved,
    }


def fits(name, settings):
    """Each sequence of figures twice with one callback: what it remembers of the first fit shows."""
    found = []
    for figures in SEQUENCES:
        path = {"filepath": "best.keras"} if name == "ModelCheckpoint" else {}
        callback = getattr(keras.callbacks, name)(monitor="val_loss", **path, **settings)
        model = Saved()
        model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse")
        callback.set_model(model)
        found.append([fit(model, callback, figures) for _ in range(2)])
    return found


def record():
    return {
        "schedules": [
            {"schedule": {"class": name, **settings}, "rates": rates(name, settings)}
            for name, settings in SCHEDULES
        ],
        "callbacks": [
            {"callback": {"class": name, **settings}, "fits": fits(name, settings)}
            for name, settings in CALLBACKS
        ],
    }
