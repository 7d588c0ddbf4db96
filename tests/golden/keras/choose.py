"""Finds first parameters from which training passes no tie: choose.py [CANDIDATES]

A relu near zero and a pooling window with two nearly equal values are decided by rounding, and
one decision can move the gradients by a hundredth. From such a point two correct programs part.
So networks.py starts each run where the closest decision of all ten steps, computed in float64,
is farther away than the rounding of float32 reaches.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow  # noqa: E402

import networks  # noqa: E402

# Closer than this two values are equal by construction, such as those of a blank region, where
# every program takes the first.
EQUAL = 1e-12


def w1_distances(model):
    """A function from images to each decision's distance, by the scale of its layer."""
    conv1, conv2, dense1 = (model.get_layer(name) for name in ["conv1", "conv2", "dense1"])
    inputs = keras.Model(model.input, [conv1.input, conv2.input, dense1.input])

    def distances(images):
        x1, x2, x3 = inputs(images)
        for x, layer in [(x1, conv1), (x2, conv2)]:
            z = np.asarray(keras.ops.conv(x, layer.kernel) + layer.bias)
            n, height, width, channels = z.shape
            height, width = height // 2, width // 2
            windows = z[:, : 2 * height, : 2 * width].reshape(n, height, 2, width, 2, channels)
            windows = windows.transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)
            second, first = np.sort(windows, axis=1)[:, -2:].T
            # The winner against the next, or against relu's zero.
            yield np.where(first > 0, first - np.maximum(second, 0), -first) / deviation(z)
        z = np.asarray(keras.ops.matmul(x3, dense1.kernel) + dense1.bias)
        yield np.abs(z) / deviation(z)

    return distances


def resnet_distances(model):
    relus = [layer.input for layer in model.layers if layer.name.endswith("relu")]
    inputs = keras.Model(model.input, relus)

    def distances(images):
        for z in map(np.asarray, inputs(images, training=True)):
            yield np.abs(z) / deviation(z)

    return distances


def deviation(z):
    return np.sqrt(np.mean(z * z))


def closest(model, distances, images, labels, batch, least):
    """The distance of the closest decision of a run, or None if one is not above `least`."""
    found = np.inf
    for part in networks.parts(batch):
        for distance in distances(images[part]):
            found = min(found, distance[distance > EQUAL].min())
            if found <= least:
                return None
        model.train_on_batch(images[part], labels[part])
    return found


def choose(model, distances, data, runs, stride, candidates):
    for choice, chosen in runs:
        optimizer = networks.optimizer(choice)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        optimizer.build(model.trainable_variables)
        fresh = [np.array(variable) for variable in optimizer.variables]
        best, margin = chosen, 0
        others = (stride * number for number in range(1, candidates + 1))
        for first_t in [chosen, *others]:
            networks.initialise(model, first_t)
            for variable, value in zip(optimizer.variables, fresh, strict=True):
                variable.assign(value)
            found = closest(model, distances, *data, margin)
            if found is not None:
                best, margin = first_t, found
                print(f"{choice[0]}, first_t {best}: {margin:.1e}", flush=True)
        if best != chosen:
            print(f"better than the one in networks.py: {best}")


tensorflow.get_logger().setLevel("ERROR")
keras.config.set_floatx("float64")
candidates = int(sys.argv[1]) if len(sys.argv) > 1 else 400
images, labels = networks.mnist()
model = networks.w1()
data = (images, labels, networks.W1_BATCH)
choose(model, w1_distances(model), data, networks.W1_RUNS, 8, candidates)
inputs, labels = networks.noise()
model = networks.resnet(0.99)
data = (inputs.values(), labels, networks.RESNET_BATCH)
choose(model, resnet_distances(model), data, networks.RESNET_RUNS, 32, candidates)
