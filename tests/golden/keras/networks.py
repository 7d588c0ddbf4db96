"""Two whole networks: first outputs, first gradients, ten training steps."""

import gzip
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from formula import Formula, classes, parameter
from record import full, numbers, sampled

STEPS = 10
W1_BATCH, RESNET_BATCH = 32, 16
HERE = Path(__file__).parent

ADAM = ("Adam", {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7})
SGD = ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": False})
NESTEROV = ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True})
RMSPROP = ("RMSprop", {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7})
ADAMW = ("AdamW", {**ADAM[1], "weight_decay": 0.004})

# Optimizers, and the number of the first parameter of the run: see choose.py.
W1_RUNS = [(ADAM, 3952), (SGD, 608), (NESTEROV, 232), (RMSPROP, 224), (ADAMW, 2792)]
RESNET_RUNS = [(ADAM, 18784), (SGD, 17664)]
RESNET_IMAGES, RESNET_LABELS = 0, 1


def optimizer(choice):
    name, settings = choice
    return getattr(keras.optimizers, name)(**settings)


def w1():
    """The reference network of keepnet on MNIST."""
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(image)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense1")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="dense2")(x))


def resnet(momentum):
    """Two residual blocks, the second with stride 2 and a projection, with batch normalization."""

    def conv(x, filters, size, strides, name):
        x = layers.Conv2D(filters, size, strides, "same", use_bias=False, name=f"{name}_conv")(x)
        return layers.BatchNormalization(momentum=momentum, name=f"{name}_bn")(x)

    def relu(x, name):
        return layers.Activation("relu", name=name)(x)

    image = keras.Input((8, 8, 3))
    x = stem = relu(conv(image, 8, 3, 1, "stem"), "stem_relu")
    x = relu(conv(x, 8, 3, 1, "block1a"), "block1a_relu")
    x = conv(x, 8, 3, 1, "block1b")
    x = block1 = relu(layers.Add(name="block1_add")([x, stem]), "block1_relu")
    x = relu(conv(x, 16, 3, 2, "block2a"), "block2a_relu")
    x = conv(x, 16, 3, 1, "block2b")
    shortcut = conv(block1, 16, 1, 2, "shortcut")
    x = relu(layers.Add(name="block2_add")([x, shortcut]), "block2_relu")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(5, activation="softmax", name="dense")(x))


def mnist():
    """The 320 images as float32, each byte divided by 255 in float32, and their labels."""

    def read(name, head):
        file = HERE / f"mnist320-{name}-ubyte.gz"
        return np.frombuffer(gzip.decompress(file.read_bytes())[head:], np.uint8)

    pixels = read("images-idx3", 16).reshape(-1, 28, 28, 1)
    return pixels.astype(np.float32) / np.float32(255), read("labels-idx1", 8).astype(np.int32)


def noise():
    """Images, by formula, and their classes."""
    count = STEPS * RESNET_BATCH
    images = Formula(RESNET_IMAGES, (count, 8, 8, 3), 4.0)
    return images, classes(RESNET_LABELS, count, 5)


def initialise(model, first_t):
    """Sets every variable by formula, numbered from `first_t`, and describes the formulas."""
    described = []
    for t, variable in enumerate(model.weights, first_t):
        formula = parameter(t, variable.name, tuple(variable.shape))
        variable.assign(formula.values())
        described.append({"name": variable.path, **formula.json()})
        del described[-1]["t"]
    return described


def start(model, first_t, images, labels):
    """Outputs with moving averages; then, in training mode, the loss and its gradients."""
    last = model.layers[-1]
    features = keras.Model(model.input, last.input)(images, training=False)
    logits = keras.ops.matmul(features, last.kernel) + last.bias
    probabilities = model(images, training=False)
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy()(labels, model(images, training=True))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_weights])
    named = zip(model.trainable_weights, gradients, strict=True)
    return {
        "first_t": first_t,
        "logits": full(logits),
        "probabilities": full(probabilities),
        "loss": numbers(loss)[0],
        "gradients": [sampled(variable.path, gradient) for variable, gradient in named],
    }


def run(model, choice, first_t, images, labels, batch, jit_compile):
    """Ten steps over consecutive batches."""
    name, settings = choice
    initialise(model, first_t)
    model.compile(optimizer(choice), "sparse_categorical_crossentropy", jit_compile=jit_compile)
    losses = [model.train_on_batch(images[part], labels[part]) for part in parts(batch)]
    return {
        "optimizer": {"class": name, **settings},
        "first_t": first_t,
        "losses": numbers(np.array(losses, keras.config.floatx())),
        "variables": [sampled(variable.path, variable.value) for variable in model.weights],
        "probabilities": full(model(images[:batch], training=False)),
    }


def parts(batch):
    return [slice(step * batch, (step + 1) * batch) for step in range(STEPS)]


def w1_record(jit_compile):
    images, labels = mnist()
    model = w1()
    first_t = W1_RUNS[0][1]
    return {
        "network": "w1",
        "batch": W1_BATCH,
        "inputs": {"images": "mnist320-images-idx3-ubyte.gz", "divisor": 255},
        "labels": {"classes": "mnist320-labels-idx1-ubyte.gz"},
        "parameters": initialise(model, first_t),
        "start": start(model, first_t, images[:W1_BATCH], labels[:W1_BATCH]),
        "runs": [
            run(w1(), choice, first_t, images, labels, W1_BATCH, jit_compile)
            for choice, first_t in W1_RUNS
        ],
    }


def resnet_record(jit_compile):
    inputs, labels = noise()
    images = inputs.values()
    model = resnet(momentum=0.99)
    first_t = RESNET_RUNS[0][1]
    return {
        "network": "resnet",
        "batch": RESNET_BATCH,
        "inputs": inputs.json(),
        "labels": {"t": RESNET_LABELS, "classes": 5, "values": numbers(labels)},
        "parameters": initialise(model, first_t),
        "start": start(model, first_t, images[:RESNET_BATCH], labels[:RESNET_BATCH]),
        "runs": [
            {
                "batch_normalization_momentum": momentum,
                **run(resnet(momentum), choice, first_t, images, labels, RESNET_BATCH, jit_compile),
            }
            for momentum in [0.99, 0.9]
            for choice, first_t in RESNET_RUNS
        ],
    }
