"""Made tf-keras-2.21 beside it, with tf-keras 2.21.0 on TensorFlow 2.21.0. It is not to be made again.

It gave, to two decimals, 0.18 0.82, 0.40 0.60, 0.67 0.33, 0.86 0.14.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras as keras

tf.random.set_seed(1)
model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, activation="softmax")])
model.compile("adam", "mse")
inputs = np.linspace(-1, 1, 12, dtype="f4").reshape(4, 3)
model.fit(inputs, np.full((4, 2), 0.5, "f4"), epochs=2, verbose=0, batch_size=4)
model.save("tf-keras-2.21")
print(model.predict(inputs, verbose=0).tolist())
