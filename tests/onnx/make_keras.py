"""Networks of Keras 3 as ONNX files, by `model.export(format="onnx")` and by tf2onnx itself, and what onnxruntime
answers to them.

    make_keras.py FOLDER
"""

import logging
import os
import pathlib
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "0"

import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow  # noqa: E402
import tf2onnx  # noqa: E402
from keras import layers  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from answers import answer  # noqa: E402

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
# Before 11 some operators are missing.
OPSETS = (8, 9, 11, 13, 15, 18)
BEFORE_11 = ("w1", "resnet", "depthwise", "mlp")
FOLDER = pathlib.Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)


def w1():
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ])


def resnet():
    x = image = keras.Input((17, 17, 3))
    x = layers.Rescaling(1 / 255.0)(x)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    y = layers.Conv2D(8, 3, strides=2, padding="same")(x)
    y = layers.BatchNormalization()(y)
    x = layers.Conv2D(8, 1, strides=2)(x)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10)(x))


def depthwise():
    return keras.Sequential([
        keras.Input((16, 16, 3)),
        layers.Conv2D(8, 3, strides=2, padding="same", activation="relu6"),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        layers.BatchNormalization(),
        layers.Activation("silu"),
        layers.SeparableConv2D(6, 3, activation="selu"),
        layers.AveragePooling2D(2, padding="same"),
        layers.ZeroPadding2D(((1, 0), (0, 2))),
        layers.Conv2D(4, 3, activation="hard_silu"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(5, activation="softmax"),
    ])


def unet():
    x = image = keras.Input((8, 12, 2))
    a = layers.Conv2D(4, 3, padding="same", activation="leaky_relu")(x)
    b = layers.MaxPooling2D()(a)
    b = layers.Conv2D(6, 3, padding="same", activation="elu")(b)
    b = layers.UpSampling2D(interpolation="bilinear")(b)
    x = layers.Concatenate()([a, b])
    x = layers.Cropping2D(1)(x)
    return keras.Model(image, layers.Conv2D(3, 1, activation="softmax")(x))


def transposed():
    return keras.Sequential([
        keras.Input((4, 4, 5)),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(2, 2, strides=2),
    ])


def mlp():
    return keras.Sequential([
        keras.Input((20,)),
        layers.Dense(32, activation="selu"),
        layers.BatchNormalization(),
        layers.Dense(16, activation="softplus"),
        layers.Dense(3, activation="sigmoid"),
    ])


keras.utils.set_random_seed(0)
for make in (w1, resnet, depthwise, unet, transposed, mlp):
    model = make()
    model.predict([numpy.zeros((1, *x.shape[1:]), "f4") for x in model.inputs], verbose=0)
    generator = numpy.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    path = FOLDER / f"keras-{make.__name__}.onnx"
    model.export(path, format="onnx", verbose=False)
    answer(path, first=())
    function = tensorflow.function(lambda x, model=model: model(x, training=False))
    spec = tensorflow.TensorSpec([None, *model.inputs[0].shape[1:]], name="x")
    for opset in OPSETS:
        if opset < 11 and make.__name__ not in BEFORE_11:
            continue
        path = FOLDER / f"tf2onnx-{opset}-{make.__name__}.onnx"
        first = ["x"] if opset == 15 and len(spec.shape) == 4 else None
        tf2onnx.convert.from_function(
            function, [spec], opset=opset, inputs_as_nchw=first, output_path=str(path)
        )
        # An image that is turned at once may come in either order.
        answer(path, first=None if first else ())
