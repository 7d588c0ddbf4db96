"""Saves and loads W1 as a SavedModel with TensorFlow, tf-keras and Keras 3: tensorflow_files.py FOLDER.

FOLDER/ours is keepnet's, which TensorFlow loads and saves again. `tf_keras` and `exported` in FOLDER are
of tf-keras, with the state of Adam, and of Keras 3.
"""
import os
import sys
from pathlib import Path

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import absl.logging
import keras
import tensorflow as tf
import tf_keras

import timed
import w1_of_keras

absl.logging.set_verbosity(absl.logging.ERROR)
ours, again, of_tf_keras, exported = (
    str(Path(sys.argv[1]) / name) for name in ["ours", "again", "tf_keras", "exported"]
)
keras_2, keras_3 = w1_of_keras.trained(tf_keras), w1_of_keras.trained(keras)
loaded = []


def load():
    loaded[:] = [tf.saved_model.load(ours)]


timed.serve(
    load=load,
    save=lambda: tf.saved_model.save(loaded[0], again, signatures=loaded[0].signatures),
    tf_keras_save=lambda: keras_2.save(of_tf_keras, save_format="tf"),
    tf_keras_load=lambda: tf_keras.models.load_model(of_tf_keras),
    export=lambda: keras_3.export(exported, verbose=False),
    exported_load=lambda: tf.saved_model.load(exported),
)
