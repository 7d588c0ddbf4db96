"""Saves networks as directories without a description of their layers, with what TensorFlow makes of them.

    make_graphs.py FOLDER
"""

import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

folder = pathlib.Path(sys.argv[1])
random = np.random.default_rng(3)
keras.utils.set_random_seed(3)
cases = []


def case(name, outputs, **inputs):
    """Keeps what a network is given, and what it gives: by the names of its signature."""

    def kept(entries):
        kept = []
        for number, (entry, values) in enumerate(sorted(entries.items())):
            values = np.asarray(values, "f4")
            kind = "inputs" if entries is inputs else "outputs"
            values.tofile(folder / f"{name}-{kind}-{number}")
            kept.append({"name": entry, "shape": values.shape, "file": f"{name}-{kind}-{number}"})
        return kept

    cases.append({"name": name, "inputs": kept(inputs), "outputs": kept(outputs)})


def numbers(*shape):
    return random.normal(size=shape).astype("f4")


def served(name, **inputs):
    """What TensorFlow answers, by the signature."""
    signature = tf.saved_model.load(folder / name).signatures["serving_default"]
    given = {entry: tf.constant(values) for entry, values in inputs.items()}
    case(name, {entry: value.numpy() for entry, value in signature(**given).items()}, **inputs)


# Keras 3, `export`, and tf-keras without its description of the layers. The layers are the same.


def w1(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((28, 28, 1)), layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(), layers.Dropout(0.2),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip


def lenet(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((28, 28, 1)), layers.Conv2D(6, 5, padding="same", activation="tanh"), layers.AveragePooling2D(2),
        layers.Conv2D(16, 5, activation="tanh"), layers.AveragePooling2D(2), layers.Flatten(),
        layers.Dense(120, activation="tanh"), layers.Dense(84, activation="sigmoid"), layers.Dense(10),
    ])  # fmt: skip


def resnet(k):
    layers = k.layers
    image = k.Input((17, 13, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    for filters, strides in ((8, 1), (12, 2)):
        y = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        y = layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-5)(y))
        y = layers.BatchNormalization(scale=False)(layers.Conv2D(filters, 3, padding="same")(y))
        if strides > 1:
            x = layers.BatchNormalization(center=False)(layers.Conv2D(filters, 1, strides=strides)(x))
        x = layers.Activation("relu")(layers.Add()([x, y]))
    return k.Model(image, layers.Dense(5, activation="softmax", name="classes")(layers.GlobalAveragePooling2D()(x)))


def depthwise(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((16, 16, 3)), layers.Rescaling(1 / 127.5, -1),
        layers.Normalization(mean=(0.1, 0.2, 0.3), variance=(0.5, 1.0, 2.0)), layers.ZeroPadding2D(((0, 1), (0, 1))),
        layers.Conv2D(8, 3, strides=2), layers.ReLU(6.0), layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        layers.BatchNormalization(), layers.LeakyReLU(), layers.SeparableConv2D(10, 3, strides=2, padding="same"),
        layers.ELU(), layers.Conv2D(12, 3, groups=2, padding="same", activation="selu"),
        layers.Conv2D(6, 3, dilation_rate=2, padding="same", activation="softplus"), layers.GlobalMaxPooling2D(),
        layers.Dense(4, activation="softsign"),
    ])  # fmt: skip


def mlp(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((7,)), layers.Dense(6, activation="gelu"), layers.BatchNormalization(),
        layers.Dense(5, activation="silu"), layers.LeakyReLU(), layers.Dense(4), layers.Softmax(),
    ])  # fmt: skip


def transposed(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((5, 6, 2)), layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(3, 4, strides=(1, 3)), layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Cropping2D(((1, 0), (2, 3))), layers.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=0),
        layers.UpSampling2D((2, 3)),
    ])  # fmt: skip


def sequence(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((12, 3)), layers.Conv1D(5, 3, padding="causal", activation="relu"), layers.MaxPooling1D(2),
        layers.Conv1D(4, 2, strides=2), layers.GlobalAveragePooling1D(), layers.Dense(2),
    ])  # fmt: skip


def gaps(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((23, 3)), layers.Conv1D(5, 3, padding="causal", dilation_rate=2, activation="relu"),
        layers.Conv1D(4, 2, padding="same", dilation_rate=3, use_bias=False), layers.BatchNormalization(),
        layers.Conv1D(6, 3, dilation_rate=4), layers.Flatten(), layers.Dense(2),
    ])  # fmt: skip


def groups(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((7, 5, 3)), layers.Conv2D(8, 3, padding="same"), layers.GroupNormalization(4),
        layers.Conv2D(6, 3, activation="relu"), layers.GroupNormalization(2, center=False, epsilon=1e-5),
        layers.Conv2D(4, 1), layers.GroupNormalization(1, scale=False), layers.GroupNormalization(-1),
        layers.Flatten(), layers.GroupNormalization(3, center=False, scale=False), layers.Dense(2),
    ])  # fmt: skip


def tokens(k):
    layers = k.layers
    return k.Sequential([
        layers.Input((6, 5)), layers.Dense(8, activation="relu"), layers.LayerNormalization(),
        layers.Dense(4), layers.ELU(0.5), layers.LayerNormalization(axis=(1, 2), epsilon=1e-5), layers.Flatten(),
        layers.Dense(6, activation="tanh"), layers.BatchNormalization(scale=False),
        layers.LayerNormalization(center=False, scale=False), layers.Dense(2),
    ])  # fmt: skip


def branches(k):
    layers = k.layers
    image, other = k.Input((8, 8, 2), name="image"), k.Input((4,), name="other")
    x = layers.Conv2D(4, 1, activation="relu")(image)
    x = layers.Concatenate()([x, layers.MaxPooling2D(3, strides=1, padding="same")(image)])
    x = layers.Permute((2, 1, 3))(layers.AveragePooling2D(3, strides=2, padding="same")(x))
    x = layers.Dense(4)(layers.Reshape((-1,))(x))
    joined = layers.Maximum()([x, layers.Dense(4, use_bias=False)(other)])
    return k.Model([image, other], [layers.Multiply()([joined, x]), layers.Subtract()([x, joined])])


def moved(model):
    """Averages and the like that are not those that a network starts with."""
    for weight in model.weights:
        values = weight.numpy()
        if values.ndim < 2:
            values = values + random.uniform(0.1, 0.5, values.shape).astype("f4")
        weight.assign(values)
    return model


for make in (w1, lenet, resnet, depthwise, mlp, transposed, sequence, gaps, groups, tokens, branches):
    for k, name in ((keras, "keras"), (tf_keras, "tf_keras")):
        if k is tf_keras and make in (tokens, groups):
            continue  # it normalises layers by an operation for batches, groups by weighted averages
        name = f"{name}-{make.__name__}"
        model = moved(make(k))
        if k is keras:
            model.export(folder / name, verbose=False)
        else:
            model.save(folder / name, save_format="tf")
            (folder / name / "keras_metadata.pb").unlink()
        signature = tf.saved_model.load(folder / name).signatures["serving_default"]
        entries = signature.structured_input_signature[1].items()
        served(name, **{entry: numbers(3, *spec.shape[1:]) for entry, spec in entries})

keras.config.set_dtype_policy("mixed_float16")
layers = keras.layers
half = [layers.Input((6, 5, 3)), layers.Conv2D(4, 3, name="first"), layers.Flatten(), layers.Dense(2, name="last")]
keras.Sequential(half, name="mixed").export(folder / "half", verbose=False)
keras.config.set_dtype_policy("float32")


# Functions of TensorFlow 2 without Keras.


class Module(tf.Module):
    """What exporters of other libraries write: operations by hand, and a function that is called twice."""

    def __init__(self):
        super().__init__()
        names = ("gamma", "beta", "mean", "variance")
        self.kernel = tf.Variable(numbers(3, 3, 2, 4), name="first/kernel")
        self.norm = [tf.Variable(np.abs(numbers(4)) + 0.5, name=f"norm/{name}") for name in names]
        self.bias = tf.Variable(numbers(4), name="second/bias")
        self.square = tf.Variable(numbers(3, 3, 4, 4), name="second/kernel")
        self.steps = tf.Variable(3, name="steps")
        self.half = tf.Variable(numbers(5, 36).astype("f2"), name="last/kernel")

    @tf.function
    def block(self, x):
        x = tf.nn.conv2d(x, self.square, 1, [[0, 0], [1, 1], [0, 2], [0, 0]]) + self.bias
        gamma, beta, mean, variance = self.norm
        scale = gamma / tf.sqrt(variance + 1e-3)
        return tf.nn.relu((x - mean) * scale + beta) - 0.5

    @tf.function(input_signature=[tf.TensorSpec((None, 9, 9, 2), name="images")])
    def serve(self, images):
        x = tf.clip_by_value(tf.nn.conv2d(images, self.kernel, 2, "SAME"), -1.0, 2.0)
        left, right = tf.split(self.block(self.block(x)), 2, 3)
        x = tf.concat([right, tf.slice(left, (0, 0, 0, 0), (-1, -1, 5, 2))], 3)
        x = tf.nn.avg_pool2d(tf.nn.swish(x), 2, 2, "SAME")
        batch, rows, columns, channels = tf.unstack(tf.shape(x))
        x = tf.reshape(x, (batch, rows * columns * channels))
        x = tf.nn.softmax(tf.matmul(x, tf.cast(self.half, "float32"), transpose_b=True) / 16.0)
        return {"probabilities": x, "logarithms": tf.nn.log_softmax(x)}


module = Module()
tf.saved_model.save(module, folder / "module", signatures=module.serve)
served("module", images=numbers(4, 9, 9, 2))


class Once(tf.Module):
    """One sample at a time, and a constant in the place of a variable."""

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3), name="image")])
    def serve(self, image):
        x = tf.nn.depthwise_conv2d(image, self.kernel, (1, 1, 1, 1), "VALID", dilations=(2, 2))
        x = tf.squeeze(tf.reduce_max(x, (1, 2), keepdims=True), (1, 2))
        return {"answer": tf.maximum(tf.reshape(x, (1, 6)), 0.1) * tf.constant(2.0, shape=(6,))}


once = Once()
once.kernel = tf.constant(numbers(2, 2, 3, 2))
tf.saved_model.save(once, folder / "once", signatures=once.serve)
served("once", image=numbers(1, 4, 4, 3))


class Unknown(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
    def serve(self, x):
        return {"y": tf.cumsum(tf.cumsum(tf.sin(tf.nn.relu(x)), 1), 1)}


unknown = Unknown()
tf.saved_model.save(unknown, folder / "unknown", signatures=unknown.serve)


# TensorFlow 1.

v1 = tf.compat.v1


def network(x, channels, resource=False):
    """Layers by hand; the images are channels last, and only computed on otherwise."""
    first = channels == "NCHW"
    moved = lambda values: (values[0], values[3], *values[1:3]) if first else values
    variable = lambda name, *shape: v1.get_variable(name, initializer=0.2 * numbers(*shape), use_resource=resource)
    if first:
        x = tf.transpose(x, (0, 3, 1, 2))
    kernel, bias = variable("conv1/weights", 3, 3, 2, 6), variable("conv1/biases", 6)
    x = tf.nn.conv2d(x, kernel, moved((1, 2, 2, 1)), "SAME", data_format=channels)
    x = tf.nn.relu6(tf.nn.bias_add(x, bias, data_format=channels))
    x = tf.nn.max_pool2d(x, moved((1, 3, 3, 1)), moved((1, 2, 2, 1)), "VALID", data_format=channels)
    norm = [v1.get_variable(f"norm/{name}", initializer=np.abs(numbers(6)) + 0.5, use_resource=resource)
            for name in ("gamma", "beta", "mean", "variance")]  # fmt: skip
    x, _, _ = v1.nn.fused_batch_norm(x, *norm, is_training=False, data_format=channels)
    depthwise = variable("depthwise/weights", 2, 2, 6, 1)
    x = tf.nn.depthwise_conv2d(x, depthwise, moved((1, 1, 1, 1)), "SAME", data_format=channels)
    x = tf.nn.elu(x)
    if first:
        x = tf.transpose(x, (0, 2, 3, 1))
    x = tf.reshape(x, (-1, 5 * 4 * 6))
    keep = v1.placeholder_with_default(1.0, (), "keep")
    x = v1.nn.xw_plus_b(x * keep, variable("fc/weights", 120, 3), variable("fc/biases", 3))
    return tf.nn.sigmoid(x, name="answer")


def of_tensorflow_1(name, channels="NHWC", resource=False, frozen=False, like=None):
    """Saved from a session. A graph that cannot run here answers like another."""
    global random
    random = np.random.default_rng(5)
    images = numbers(3, 23, 19, 2)
    with v1.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder("float32", (None, 23, 19, 2), "images")
        y = network(x, channels, resource)
        session.run(v1.global_variables_initializer())
        answer = like if like is not None else session.run(y, {x: images})
        if not frozen:
            v1.saved_model.simple_save(session, str(folder / name), {"images": x}, {"answer": y})
        else:
            definition = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["answer"])
    if frozen:
        with v1.Graph().as_default(), v1.Session() as session:
            x, y = v1.import_graph_def(definition, return_elements=["images:0", "answer:0"], name="")
            v1.saved_model.simple_save(session, str(folder / name), {"images": x}, {"answer": y})
    case(name, {"answer": answer}, images=images)
    return answer


answer = of_tensorflow_1("v1")
of_tensorflow_1("v1-resource", resource=True)
of_tensorflow_1("v1-frozen", frozen=True)
of_tensorflow_1("v1-channels-first", "NCHW", like=answer)
(folder / "made.json").write_text(json.dumps(cases))
