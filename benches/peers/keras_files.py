"""Saves W1 with the state of Adam from Keras, and times it: keras_files.py FOLDER RUNS.

Leaves `theirs.keras` and `theirs.h5` in FOLDER, and prints the medians of saving and loading both.
"""
import json
import os
import sys
import time
from pathlib import Path
from statistics import median

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
import absl.logging
import keras
from keras import layers

import workload

absl.logging.set_verbosity(absl.logging.ERROR)  # Keras warns of `.h5`


def milliseconds(runs, work):
    seconds = []
    for _ in range(runs + 1):  # the first is a rehearsal
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return round(median(seconds[1:]) * 1e3, 2)


def main():
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    x, y = workload.images("w1")
    model = keras.Sequential([
        keras.Input(x.shape[1:]),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:512], y[:512], batch_size=128, verbose=0)
    found = {}
    for form in ["keras", "h5"]:
        path = folder / f"theirs.{form}"
        found[form] = {
            "save_ms": milliseconds(runs, lambda: model.save(path)),
            "load_ms": milliseconds(runs, lambda: keras.models.load_model(path)),
        }
    print(json.dumps(found))


main()
