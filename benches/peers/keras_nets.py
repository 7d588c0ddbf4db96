"""The networks of benches/measure/nets.rs in Keras on TensorFlow: keras_nets.py NET [--threads N]."""
import os

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
import keras
import tensorflow as tf
from keras import layers

import workload


def conv(x, filters, size, strides=1, padding="valid"):
    return layers.Conv2D(filters, size, strides, padding, activation="relu")(x)


def pool(x):
    return layers.MaxPooling2D(2)(x)


def dense(x, *units):
    x = layers.Flatten()(x)
    for count in units:
        x = layers.Dense(count, activation="relu")(x)
    return layers.Dense(10, activation="softmax")(x)


def norm(x, filters, size, strides):
    x = layers.Conv2D(filters, size, strides, "same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def w1(x):
    return dense(pool(conv(pool(conv(x, 32, 3)), 64, 3)), 128)


def dense_conv(x):
    return dense(conv(conv(x, 32, 3), 64, 3, 2), 128)


def lenet(x):
    return dense(pool(conv(pool(conv(x, 6, 5, padding="same")), 16, 5)), 120, 84)


def vgg(x):
    for filters in (64, 128):
        x = conv(x, filters, 3, padding="same")
        x = pool(conv(x, filters, 3, padding="same"))
    return dense(x, 256)


def resnet(x):
    x = layers.ReLU()(norm(x, 16, 3, 1))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        inner = layers.ReLU()(norm(x, filters, 3, strides))
        shortcut = x if strides == 1 else norm(x, filters, 1, strides)
        x = layers.ReLU()(layers.Add()([norm(inner, filters, 3, 1), shortcut]))
    return dense(layers.GlobalAveragePooling2D()(x))


def main():
    options = workload.arguments()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    keras.utils.set_random_seed(0)
    x, y = workload.images(options.net)
    sizes = workload.NETS[options.net]
    image = keras.Input(x.shape[1:])
    model = keras.Model(image, globals()[options.net](image))
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy")

    # Over arrays, `fit` and `predict` take long to start. So there is `train` beside `fit`, whose
    # batches go on from call to call, and `infer` beside `predict`, which takes batch after batch.
    batch, predicted = sizes["batch"], sizes["predicted"]
    endless = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(batch).repeat()
    steps = -(-len(x) // batch)
    batches = [tf.constant(x[i:i + predicted]) for i in range(0, len(x), predicted)]
    one = tf.constant(x[:1])
    workload.report(
        options,
        train=lambda: model.fit(endless, steps_per_epoch=steps, verbose=0),
        infer=lambda: [model.predict_on_batch(batch) for batch in batches],
        one=lambda: model.predict_on_batch(one),
        fit=lambda: model.fit(x, y, batch_size=batch, verbose=0),
        predict=lambda: model.predict(x, batch_size=predicted, verbose=0),
    )


main()
