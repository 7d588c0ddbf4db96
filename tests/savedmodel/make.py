"""Saves models with tf-keras as directories, with what they answer and what their optimizers remember.

    make.py FOLDER
"""

import json
import os
import pathlib
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.core.protobuf import saved_model_pb2
from tf_keras import layers
from tf_keras.protobuf import saved_metadata_pb2

folder = pathlib.Path(sys.argv[1])
random = np.random.default_rng(3)
tf.random.set_seed(3)


def convolutional():
    return keras.Sequential(
        [
            layers.Input((9, 9, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(2, depth_multiplier=2),
            layers.PReLU(),
            layers.SeparableConv2D(5, 2, activation="elu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def nested():
    inner = keras.Sequential([layers.Dense(5, activation="tanh"), layers.BatchNormalization()], name="inner")
    outer = keras.Sequential([inner, layers.LayerNormalization()], name="outer")
    image = keras.Input((6,))
    hidden = layers.Dense(4)(outer(image))
    return keras.Model(image, layers.Add()([hidden, layers.Dense(4, use_bias=False)(image)]))


def frozen():
    model = keras.Sequential([layers.Input((7,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(2)])
    model.layers[0].trainable = False
    return model


legacy = keras.optimizers.legacy
CASES = {
    "adam": (convolutional, keras.optimizers.Adam(0.01), ["momentum", "velocity"]),
    "sgd": (nested, keras.optimizers.SGD(0.01, momentum=0.9), ["momentum"]),
    "frozen": (frozen, keras.optimizers.Adam(0.01), ["momentum", "velocity"]),
    "legacy-adam": (nested, legacy.Adam(0.01), {"momentum": "m", "velocity": "v"}),
    "legacy-sgd": (convolutional, legacy.SGD(0.01, momentum=0.9), {"momentum": "momentum"}),
    "legacy-rmsprop": (frozen, legacy.RMSprop(0.01), {"velocity": "rms"}),
    "legacy-adadelta": (
        frozen,
        legacy.Adadelta(0.01),
        {"accumulated_grad": "accum_grad", "accumulated_delta_var": "accum_var"},
    ),
}


def remembered(model, slots):
    """Sums by slot, in the order of the weights."""
    weights = model.trainable_weights
    total = lambda variable: float(np.sum(variable.numpy(), dtype="f8"))
    if isinstance(slots, dict):
        return {name: [total(model.optimizer.get_slot(w, slot)) for w in weights] for name, slot in slots.items()}
    together = len(slots)
    variables = [v for v in model.optimizer.variables if v.shape.rank > 0]
    return {name: [total(v) for v in variables[place::together]] for place, name in enumerate(slots)}


def into_the_objects(path):
    """Metadata of Keras where TensorFlow up to 2.4 has them: among the objects in saved_model.pb."""
    file = path / "keras_metadata.pb"
    metadata = saved_metadata_pb2.SavedMetadata.FromString(file.read_bytes())
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    nodes = model.meta_graphs[0].object_graph_def.nodes
    for node in metadata.nodes:
        nodes[node.node_id].user_object.identifier = node.identifier
        nodes[node.node_id].user_object.metadata = node.metadata
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    file.unlink()


cases = []
for name, (make, optimizer, slots) in CASES.items():
    model = make()
    inputs = random.normal(size=(20, *model.input_shape[1:])).astype("f4")
    targets = random.normal(size=(20, *model.output_shape[1:])).astype("f4")
    model.compile(optimizer, "mse")
    model.fit(inputs, targets, epochs=3, batch_size=10, verbose=0)
    for age in ("", "-2.4"):
        path = folder / f"{name}{age}"
        model.save(path / "model", save_format="tf")
        if age:
            into_the_objects(path / "model")
        inputs.tofile(path / "inputs")
        model.predict(inputs, verbose=0).tofile(path / "outputs")
        cases.append({"name": path.name, "steps": 6, "slots": remembered(model, slots)})
(folder / "made.json").write_text(json.dumps(cases))
