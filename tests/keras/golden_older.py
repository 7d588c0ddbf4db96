"""Makes the golden file of Keras 2.12, whose `.keras` files differ from all later ones: the weights of functional models stand
in another group, and the settings of a ReLU are numbers of NumPy, which Keras 2.12 itself fails to read.

    python golden_older.py tests/golden_keras_files/keras-2.12-functional

Run with a Python that has TensorFlow 2.12.1 from PyPI.
"""

import json
import os
import sys
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

K = tf.keras
L = K.layers

out = Path(sys.argv[1])
out.mkdir()
K.utils.set_random_seed(1)
image = K.Input((6, 6, 2))
x = L.Conv2D(2, 3)(image)
x = L.ReLU()(L.BatchNormalization()(L.Conv2D(3, 2)(x)))
model = K.Model(image, L.Dense(4, activation="softmax")(L.Flatten()(x)))
model.compile(K.optimizers.SGD(0.05, 0.9), "categorical_crossentropy")
x = np.random.default_rng(2).random((4, 6, 6, 2)).astype("float32")
model.fit(x, np.eye(4, dtype="float32"), epochs=3, batch_size=2, verbose=0)
model.save(out / "model.keras", save_format="keras_v3")
y = model.predict(x, verbose=0)
np.save(out / "x.npy", x)
np.save(out / "y.npy", y)
variables = model.optimizer.variables
np.save(out / "optimizer.npy", np.concatenate([v.numpy().ravel().astype("float32") for v in variables]))
about = {
    "name": out.name,
    "writer": "keras2",
    "version": K.__version__,
    "layers": sorted({type(layer).__name__ for layer in model.layers} - {"InputLayer"}),
    "parameters": model.count_params(),
    "tolerance": 1e-5,
    "argmax": [y.argmax(-1).tolist()],
    "compiled": {"optimizer": "SGD", "iterations": 6, "variables": [{"name": v.name, "shape": v.shape.as_list()} for v in variables]},
    "refuse": None,
    "inputs": ["x.npy"],
    "outputs": ["y.npy"],
    "files": ["model.keras"],
    "not_written": {},
}
(out / "about.json").write_text(json.dumps(about, indent=1) + "\n")
