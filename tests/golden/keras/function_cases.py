"""Activations and losses: values and gradients."""

import keras
import numpy as np
import tensorflow as tf

from formula import Formula, classes
from record import full, numbers

SOFTMAX, SOFTMAX_GRADIENT = 2001, 2002
LOGITS, TARGETS, CLASSES, PREDICTIONS = 2011, 2012, 2013, 2014

# All exact in float32.
POINTS = [2**-20, 2**-10, 0.125, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 5.5, 6, 6.5, 8, 10, 15]
POINTS += [20, 30]
POINTS = [-x for x in reversed(POINTS)] + [0] + POINTS

EXTREME_LOGITS = [
    [0, 0, 0, 0],
    [30, -30, 0, 15],
    [-30, 30, 0, 15],
    [100, -100, 50, 0],
    [-1000, 1000, 1000, 0],
    [2**-20, 0, -(2**-20), 2**-10],
]
EXTREME_CLASSES = [0, 0, 0, 1, 1, 2]

# Certain and impossible classes, and a row whose sum is not one.
EXTREME_PROBABILITIES = [
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [0.5, 0.25, 0.125, 0.125],
    [1 - 2**-22, 2**-24, 2**-24, 2**-23],
    [2**-24, 1 - 2**-22, 2**-24, 2**-23],
    [0.25, 0.25, 0.25, 0.125],
]


def floats(values):
    """A tensor of the float type under test, by way of float32."""
    return tf.constant(np.asarray(values, np.float32), keras.config.floatx())


def differentiate(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape


def hard_sigmoid_keras2(x):
    """As `keras.backend.hard_sigmoid` of tf-keras has it."""
    return tf.clip_by_value(0.2 * x + 0.5, 0, 1)


def relu_layers():
    """The layer ReLU with each of its arguments."""
    for max_value, negative_slope, threshold in [(2, 0, 0), (None, 0.25, 0.75), (5, 0.25, 0.5)]:
        settings = {
            "max_value": max_value,
            "negative_slope": negative_slope,
            "threshold": threshold,
        }
        yield {"class": "clipped_relu", **settings}, keras.layers.ReLU(**settings)


def activations():
    functions = keras.activations
    elementwise = [
        ({"class": "relu"}, functions.relu),
        ({"class": "relu6"}, functions.relu6),
        ({"class": "leaky_relu", "negative_slope": 0.2}, functions.leaky_relu),
        ({"class": "leaky_relu", "negative_slope": 0.3}, keras.layers.LeakyReLU()),
        ({"class": "elu", "alpha": 1.0}, functions.elu),
        ({"class": "elu", "alpha": 0.5}, lambda x: functions.elu(x, alpha=0.5)),
        ({"class": "selu"}, functions.selu),
        ({"class": "gelu", "approximate": False}, functions.gelu),
        ({"class": "silu"}, functions.silu),
        ({"class": "sigmoid"}, functions.sigmoid),
        ({"class": "tanh"}, functions.tanh),
        ({"class": "softplus"}, functions.softplus),
        ({"class": "exponential"}, functions.exponential),
        ({"class": "softsign"}, functions.softsign),
        ({"class": "hard_sigmoid"}, functions.hard_sigmoid),
        ({"class": "hard_sigmoid_keras2"}, hard_sigmoid_keras2),
        ({"class": "hard_silu"}, functions.hard_silu),
        ({"class": "hard_tanh"}, functions.hard_tanh),
        ({"class": "mish"}, functions.mish),
        ({"class": "log_sigmoid"}, functions.log_sigmoid),
        ({"class": "celu", "alpha": 1.0}, functions.celu),
        ({"class": "celu", "alpha": 0.5}, lambda x: functions.celu(x, alpha=0.5)),
        ({"class": "gelu_tanh"}, lambda x: functions.gelu(x, approximate=True)),
        ({"class": "soft_shrink", "threshold": 0.5}, functions.soft_shrink),
        ({"class": "hard_shrink", "threshold": 0.5}, functions.hard_shrink),
        ({"class": "tanh_shrink"}, functions.tanh_shrink),
        ({"class": "squareplus", "b": 4.0}, functions.squareplus),
        ({"class": "sparse_plus"}, functions.sparse_plus),
        ({"class": "sparse_sigmoid"}, functions.sparse_sigmoid),
        (
            {"class": "threshold", "threshold": 0.75, "value": -2.0},
            lambda x: functions.threshold(x, 0.75, -2.0),
        ),
        *relu_layers(),
    ]
    x = floats(POINTS)
    record = {"points": numbers(x), "elementwise": []}
    for name, function in elementwise:
        y, tape = differentiate(function, x)
        values = {"values": numbers(y), "derivatives": numbers(tape.gradient(y, x))}
        record["elementwise"].append({"activation": name, **values})

    ordinary = Formula(SOFTMAX, (6, 5), 8.0)
    extreme = [[1000, 0, -1000, 999, 0], [5, 5, 5, 5, 5], [-80, -81, -82, -200, -90]]
    for name in ["softmax", "log_softmax"]:
        record[name] = []
        for rows in [ordinary.values(), extreme]:
            x = floats(rows)
            dy = Formula(SOFTMAX_GRADIENT, tuple(x.shape), 2.0)
            y, tape = differentiate(getattr(functions, name), x)
            gradient = tape.gradient(y, x, floats(dy.values()))
            part = {"input": full(x), "output_gradient": dy.json()}
            record[name].append({**part, "output": full(y), "gradient": full(gradient)})
    return record


def loss_case(name, batch, form, loss, targets, predictions):
    """The mean over the batch, and its gradient with respect to `predictions`.

    The forms: "probabilities" and "logits" are given to the loss as such; "layer" are logits that
    go through an output layer of softmax or sigmoid, whose loss is told to expect probabilities;
    "values" are just that.
    """
    arguments = {"from_logits": True} if form == "logits" else {}
    function = getattr(keras.losses, loss)(**arguments)
    last = keras.activations.linear
    if form == "layer":
        last = getattr(keras.activations, "sigmoid" if loss.startswith("Binary") else "softmax")
    x = floats(predictions)
    value, tape = differentiate(lambda x: function(targets, last(x)), x)
    gradient = tape.gradient(value, x)
    compiled = compiled_loss(last, loss, arguments, x, targets)
    np.testing.assert_allclose(compiled, value, rtol=1e-6, atol=0)
    return {
        "loss": name,
        "batch": batch,
        "form": form,
        "predictions": full(x),
        "targets": full(targets),
        "value": numbers(value)[0],
        "gradient": full(gradient),
    }


def compiled_loss(last, loss, arguments, x, targets):
    """The same loss as `evaluate` would report it for a model that ends in the activation."""
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Activation(last)(inputs))
    model.compile(loss=getattr(keras.losses, loss)(**arguments), jit_compile=False)
    return model.test_on_batch(x, targets)


def losses():
    shape = (6, 4)
    logits = {"ordinary": Formula(LOGITS, shape, 8.0).values(), "extreme": EXTREME_LOGITS}
    softmax = keras.ops.softmax(Formula(LOGITS, shape, 8.0).values())
    probabilities = {"ordinary": softmax, "extreme": EXTREME_PROBABILITIES}
    indices = {"ordinary": classes(CLASSES, 6, 4), "extreme": np.array(EXTREME_CLASSES, np.int32)}
    soft = keras.ops.softmax(Formula(TARGETS, shape, 4.0).values())
    one_hot = np.eye(4, dtype=np.float32)[EXTREME_CLASSES]
    dense = {"ordinary": floats(soft), "extreme": floats(one_hot)}

    record = []
    for batch in ["ordinary", "extreme"]:
        for form, given in [
            ("probabilities", probabilities),
            ("logits", logits),
            ("layer", logits),
        ]:
            for name, loss, targets in [
                ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", indices),
                ("categorical_crossentropy", "CategoricalCrossentropy", dense),
                ("binary_crossentropy", "BinaryCrossentropy", dense),
            ]:
                record.append(loss_case(name, batch, form, loss, targets[batch], given[batch]))

    predictions = Formula(PREDICTIONS, shape, 4.0).values()
    targets = Formula(TARGETS, shape, 4.0).values()
    predictions[0] = targets[0]  # no distance at all
    for name, loss in [
        ("mean_squared_error", "MeanSquaredError"),
        ("mean_absolute_error", "MeanAbsoluteError"),
    ]:
        record.append(loss_case(name, "ordinary", "values", loss, floats(targets), predictions))
    return record
