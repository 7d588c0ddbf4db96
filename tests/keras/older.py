"""Makes models with the Keras of an older TensorFlow, and compares keepnet's predictions with its own.

    python older.py OUT KEEPNET         KEEPNET: the program

Run with a Python that has, say, TensorFlow 2.15.1 from PyPI, which brings Keras 2.15.0. Each model is kept as `.keras`, as `.h5`, and as
weights beside the text of `to_json`.
"""

import os
import subprocess
import sys
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

K = tf.keras
L = K.layers
# What is an archive, and not HDF5 by that name.
ARCHIVE = "keras_v3" if tf.__version__.startswith("2.12.") else "keras"
OPTIMIZERS = {
    "adam": lambda: K.optimizers.Adam(1e-3),
    "sgd": lambda: K.optimizers.SGD(0.01, 0.9),
    "rmsprop": lambda: K.optimizers.RMSprop(1e-3),
}


def lenet():
    return K.Sequential(
        [
            L.Conv2D(6, 5, activation="relu", padding="same", input_shape=(28, 28, 1)),
            L.MaxPooling2D(),
            L.Conv2D(16, 5, activation="relu"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(32, activation="relu"),
            L.Dropout(0.3),
            L.Dense(10, activation="softmax"),
        ]
    )


def normalized():
    return K.Sequential(
        [
            L.InputLayer((12, 12, 3)),
            L.Rescaling(1 / 255.0),
            L.RandomFlip("horizontal"),
            L.SeparableConv2D(8, 3, padding="same"),
            L.BatchNormalization(),
            L.ReLU(),
            L.GlobalAveragePooling2D(),
            L.Dense(4),
        ]
    )


def branched():
    image = K.Input((10, 10, 2), name="image")
    one = L.Conv2D(4, 3, padding="same")(image)
    other = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(image)
    x = L.Concatenate()([one, other]) / 2.0 + 1.0
    x = L.LayerNormalization()(L.Add()([x, L.Conv2D(8, 1)(one)]))
    x = L.Flatten()(x)
    outputs = [L.Dense(3, activation="softmax", name="kind")(x), L.Dense(1, activation="sigmoid", name="chance")(x)]
    return K.Model(image, outputs)


def twice():
    inner = K.Sequential([L.Conv1D(4, 3, activation="swish", input_shape=(16, 2)), L.BatchNormalization(), L.GlobalMaxPooling1D()])
    a, b = K.Input((16, 2), name="a"), K.Input((16, 2), name="b")
    return K.Model([a, b], L.Dense(1)(L.Subtract()([inner(a), inner(b)])))


def unpacked(arrays):
    return arrays if len(arrays) > 1 else arrays[0]


def make(model, optimizer, base):
    """Trains a little and saves; inputs and predictions."""
    chance = np.random.default_rng(3)
    inputs = [chance.random((8, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    targets = [np.zeros((8, *tensor.shape[1:]), "float32") for tensor in model.outputs]
    model.compile(optimizer, "mse")
    model.fit(unpacked(inputs), unpacked(targets), epochs=2, batch_size=4, verbose=0)
    model.save(f"{base}.keras", save_format=ARCHIVE)
    model.save(f"{base}.h5")
    model.save_weights(f"{base}.weights.h5")
    Path(f"{base}.json").write_text(model.to_json())
    predicted = model.predict(unpacked(inputs), verbose=0)
    return inputs, predicted if isinstance(predicted, list) else [predicted]


def ask(keepnet, model, path, inputs):
    """What keepnet predicts."""
    folder = path.parent
    command = [keepnet, "predict", path]
    for name, array in zip(model.input_names, inputs, strict=True):
        np.save(folder / f"{name}.npy", array)
        command += ["--input", f"{name}={folder / name}.npy" if len(inputs) > 1 else f"{folder / name}.npy"]
    outputs = [folder / f"out-{name}.npy" for name in model.output_names]
    for name, out in zip(model.output_names, outputs, strict=True):
        command += ["--output", f"{name}={out}" if len(outputs) > 1 else out]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return [np.load(out) for out in outputs]


def main(out, keepnet):
    out.mkdir(parents=True, exist_ok=True)
    files, worst = 0, 0.0
    for build in (lenet, normalized, branched, twice):
        for name, optimizer in OPTIMIZERS.items():
            model = build()
            base = out / f"{build.__name__}-{name}"
            inputs, expected = make(model, optimizer(), base)
            alone = base.with_suffix(".knet")
            weights = [f"{base}.weights.h5", alone, "--architecture", f"{base}.json"]
            subprocess.run([keepnet, "convert", *weights], check=True, capture_output=True)
            for path in (Path(f"{base}.keras"), Path(f"{base}.h5"), alone):
                found = ask(keepnet, model, path, inputs)
                apart = max(float(np.max(np.abs(a - b))) for a, b in zip(found, expected, strict=True))
                assert apart < 1e-5, f"{path}: {apart}"
                files, worst = files + 1, max(worst, apart)
    print(f"TensorFlow {tf.__version__}: {files} files are the same, {worst:.1e} apart at most")


main(Path(sys.argv[1]), sys.argv[2])
