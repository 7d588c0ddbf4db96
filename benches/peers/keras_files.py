"""Saves W1 with the state of Adam from Keras, and loads it: keras_files.py FOLDER.

The files are `theirs.keras` and `theirs.h5` in FOLDER.
"""
import os
import sys
from pathlib import Path

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
import absl.logging
import keras

import timed
import w1_of_keras

absl.logging.set_verbosity(absl.logging.ERROR)  # Keras warns of `.h5`
archive, hdf5 = (Path(sys.argv[1]) / f"theirs.{form}" for form in ["keras", "h5"])
model = w1_of_keras.trained(keras)
timed.serve(
    keras_save=lambda: model.save(archive),
    keras_load=lambda: keras.models.load_model(archive),
    h5_save=lambda: model.save(hdf5),
    h5_load=lambda: keras.models.load_model(hdf5),
)
