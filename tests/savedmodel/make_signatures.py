"""Saves modules of TensorFlow 2 with other signatures than `serving_default`, and variables in parts.

    make_signatures.py FOLDER
"""

import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf

folder = pathlib.Path(sys.argv[1])
v1 = tf.compat.v1


class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.arange(12, dtype="f4").reshape(4, 3))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def predict(self, x):
        return tf.matmul(x, self.kernel)


module = Module()
tf.saved_model.save(module, folder / "one", signatures={"predict": module.predict})
both = {"predict": module.predict, "again": module.predict}
tf.saved_model.save(module, folder / "several", signatures=both)
module = tf.Module()
module.kernel = tf.Variable([1.0, 2.0])
tf.saved_model.save(module, folder / "none")

with v1.Graph().as_default(), v1.Session() as session:
    x = v1.placeholder("float32", (None, 4), "x")
    partitioner = v1.fixed_size_partitioner(2)
    kernel = v1.get_variable("kernel", (4, 3), partitioner=partitioner, use_resource=False)
    y = tf.matmul(x, kernel)
    session.run(v1.global_variables_initializer())
    v1.saved_model.simple_save(session, str(folder / "parts"), {"x": x}, {"y": y})
