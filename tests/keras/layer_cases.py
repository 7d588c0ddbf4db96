"""Every layer that a reader knows, each on its own in a small net: settings, layouts, paddings."""

from case import BOTH, Case, sequential

K3 = ("keras3",)
K2 = ("tfkeras",)
IMAGE = (8, 7, 3)
FIRST = "channels_first"


def leaky(L, slope):
    """LeakyReLU, whose slope has another name in Keras 3."""
    try:
        return L.LeakyReLU(negative_slope=slope)
    except (TypeError, ValueError):
        return L.LeakyReLU(alpha=slope)


CONVOLUTIONS = {
    "conv1d": ((10, 3), lambda L: [L.Conv1D(4, 3, activation="relu")]),
    "conv1d-causal": ((10, 3), lambda L: [L.Conv1D(4, 3, padding="causal", dilation_rate=2)]),
    "conv1d-same-strided": ((11, 3), lambda L: [L.Conv1D(4, 4, 2, padding="same", use_bias=False)]),
    "conv2d": (IMAGE, lambda L: [L.Conv2D(4, 3, activation="relu")]),
    "conv2d-same-strided": (IMAGE, lambda L: [L.Conv2D(4, 3, 2, padding="same")]),
    "conv2d-even-same": (IMAGE, lambda L: [L.Conv2D(4, (2, 4), padding="same")]),
    "conv2d-rectangular": (IMAGE, lambda L: [L.Conv2D(4, (3, 2), strides=(2, 1))]),
    "conv2d-dilated": (IMAGE, lambda L: [L.Conv2D(4, 3, dilation_rate=2, padding="same")]),
    "conv2d-groups": ((8, 7, 4), lambda L: [L.Conv2D(6, 3, groups=2)]),
    "conv2d-no-bias": (IMAGE, lambda L: [L.Conv2D(4, 3, use_bias=False, activation="tanh")]),
    "conv2d-channels-first": ((3, 8, 7), lambda L: [L.Conv2D(4, 3, data_format=FIRST)]),
    "conv2d-channels-first-same-strided": (
        (3, 8, 7),
        lambda L: [L.Conv2D(4, 3, 2, padding="same", data_format=FIRST)],
    ),
    # Along the last axis, which is not the channels'.
    "conv2d-channels-first-softmax": (
        (3, 8, 7),
        lambda L: [L.Conv2D(4, 3, data_format=FIRST, activation="softmax")],
    ),
    "depthwise": (IMAGE, lambda L: [L.DepthwiseConv2D(3)]),
    "depthwise-multiplier": (
        IMAGE,
        lambda L: [L.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2, activation="relu")],
    ),
    "depthwise-dilated": (IMAGE, lambda L: [L.DepthwiseConv2D(2, dilation_rate=2, use_bias=False)]),
    "depthwise-channels-first": ((3, 8, 7), lambda L: [L.DepthwiseConv2D(3, data_format=FIRST)]),
    "separable": (IMAGE, lambda L: [L.SeparableConv2D(5, 3)]),
    "separable-multiplier": (
        IMAGE,
        lambda L: [
            L.SeparableConv2D(5, 3, 2, padding="same", depth_multiplier=2, activation="relu")
        ],
    ),
    "separable-no-bias": (IMAGE, lambda L: [L.SeparableConv2D(5, (3, 2), use_bias=False)]),
    "separable-channels-first": ((3, 8, 7), lambda L: [L.SeparableConv2D(5, 3, data_format=FIRST)]),
    "transpose": (IMAGE, lambda L: [L.Conv2DTranspose(4, 3)]),
    "transpose-strided": (IMAGE, lambda L: [L.Conv2DTranspose(4, 3, 2)]),
    "transpose-strided-same": (IMAGE, lambda L: [L.Conv2DTranspose(4, 3, 2, padding="same")]),
    "transpose-output-padding": (
        IMAGE,
        lambda L: [L.Conv2DTranspose(4, 3, 2, padding="same", output_padding=1)],
    ),
    "transpose-small-kernel": (IMAGE, lambda L: [L.Conv2DTranspose(4, 2, 3, use_bias=False)]),
    "transpose-channels-first": (
        (3, 8, 7),
        lambda L: [L.Conv2DTranspose(4, 3, 2, data_format=FIRST)],
    ),
}

# Keras 3.15.1 on the CPU answers these unlike the same convolution with `channels_last`.
WRONG_IN_KERAS3 = {"conv2d-channels-first-same-strided", "separable-channels-first"}

POOLINGS = {
    "max-pooling1d": ((10, 3), lambda L: [L.MaxPooling1D(2)]),
    "max-pooling1d-same": ((11, 3), lambda L: [L.MaxPooling1D(3, 2, padding="same")]),
    "average-pooling1d": ((10, 3), lambda L: [L.AveragePooling1D(2)]),
    "average-pooling1d-same": ((11, 3), lambda L: [L.AveragePooling1D(3, 2, padding="same")]),
    "max-pooling2d": (IMAGE, lambda L: [L.MaxPooling2D()]),
    "max-pooling2d-overlapping-same": (IMAGE, lambda L: [L.MaxPooling2D(3, 2, padding="same")]),
    "max-pooling2d-rectangular": (IMAGE, lambda L: [L.MaxPooling2D((2, 3), (1, 2))]),
    "max-pooling2d-channels-first": ((3, 8, 7), lambda L: [L.MaxPooling2D(data_format=FIRST)]),
    "average-pooling2d": (IMAGE, lambda L: [L.AveragePooling2D((2, 2))]),
    "average-pooling2d-same": (IMAGE, lambda L: [L.AveragePooling2D(3, 2, padding="same")]),
    "average-pooling2d-channels-first": (
        (3, 8, 7),
        lambda L: [L.AveragePooling2D(2, data_format=FIRST)],
    ),
    "global-max1d": ((10, 3), lambda L: [L.GlobalMaxPooling1D()]),
    "global-average1d": ((10, 3), lambda L: [L.GlobalAveragePooling1D()]),
    "global-max2d": (IMAGE, lambda L: [L.GlobalMaxPooling2D()]),
    "global-average2d": (IMAGE, lambda L: [L.GlobalAveragePooling2D()]),
    "global-average2d-keepdims": (IMAGE, lambda L: [L.GlobalAveragePooling2D(keepdims=True)]),
    "global-max2d-channels-first": ((3, 8, 7), lambda L: [L.GlobalMaxPooling2D(data_format=FIRST)]),
    "global-average2d-channels-first": (
        (3, 8, 7),
        lambda L: [L.GlobalAveragePooling2D(data_format=FIRST)],
    ),
}

SHAPES = {
    "flatten": (IMAGE, lambda L: [L.Flatten(), L.Dense(3)]),
    "flatten-channels-first": ((3, 4, 5), lambda L: [L.Flatten(data_format=FIRST), L.Dense(3)]),
    "reshape": ((24,), lambda L: [L.Reshape((4, 3, 2)), L.Conv2D(2, 2)]),
    "reshape-inferred": (IMAGE, lambda L: [L.Reshape((-1, 3)), L.Conv1D(2, 3)]),
    "permute": (IMAGE, lambda L: [L.Permute((3, 1, 2)), L.Conv2D(2, 2)]),
    "zero-padding1d": ((6, 3), lambda L: [L.ZeroPadding1D((1, 2))]),
    "zero-padding2d": (IMAGE, lambda L: [L.ZeroPadding2D(1), L.Conv2D(2, 3)]),
    "zero-padding2d-uneven": (IMAGE, lambda L: [L.ZeroPadding2D(((0, 1), (2, 3)))]),
    "zero-padding2d-channels-first": (
        (3, 8, 7),
        lambda L: [L.ZeroPadding2D((1, 2), data_format=FIRST)],
    ),
    "cropping1d": ((8, 3), lambda L: [L.Cropping1D((1, 2))]),
    "cropping2d": (IMAGE, lambda L: [L.Cropping2D(((1, 2), (0, 1)))]),
    "cropping2d-channels-first": ((3, 8, 7), lambda L: [L.Cropping2D((1, 2), data_format=FIRST)]),
    "up-sampling1d": ((5, 3), lambda L: [L.UpSampling1D(3)]),
    "up-sampling2d": (IMAGE, lambda L: [L.UpSampling2D((2, 3))]),
    "up-sampling2d-bilinear": (IMAGE, lambda L: [L.UpSampling2D(2, interpolation="bilinear")]),
    "up-sampling2d-bilinear-uneven": (
        (4, 5, 2),
        lambda L: [L.UpSampling2D((3, 2), interpolation="bilinear"), L.Conv2D(2, 3)],
    ),
    "up-sampling2d-bilinear-channels-first": (
        (3, 4, 5),
        lambda L: [L.UpSampling2D((1, 4), data_format=FIRST, interpolation="bilinear")],
    ),
    "up-sampling2d-channels-first": ((3, 4, 5), lambda L: [L.UpSampling2D(2, data_format=FIRST)]),
    "repeat-vector": ((5,), lambda L: [L.RepeatVector(3), L.Dense(2)]),
}

DENSE = {
    "dense-rank2": (
        (5,),
        lambda L: [L.Dense(4, activation="relu"), L.Dense(3, activation="softmax")],
    ),
    "dense-rank3": ((6, 5), lambda L: [L.Dense(4)]),
    "dense-rank4": ((4, 3, 5), lambda L: [L.Dense(4, use_bias=False)]),
    "dropouts": (
        (6, 6, 3),
        lambda L: [
            L.Dropout(0.5, seed=1),
            L.SpatialDropout2D(0.3),
            L.GaussianNoise(0.2),
            L.GaussianDropout(0.2),
            L.AlphaDropout(0.1),
            L.ActivityRegularization(l2=0.01),
            L.Conv2D(2, 3),
        ],
    ),
    "dropout-noise-shape": (
        (6, 3),
        lambda L: [L.Dropout(0.5, noise_shape=(None, 1, 3)), L.Conv1D(2, 3)],
    ),
    "spatial-dropout1d": ((6, 3), lambda L: [L.SpatialDropout1D(0.3), L.Conv1D(2, 3)]),
}

NORMALIZATIONS = {
    "batch-normalization": (IMAGE, lambda L: [L.BatchNormalization()]),
    "batch-normalization-dense": ((5,), lambda L: [L.Dense(4), L.BatchNormalization(momentum=0.9)]),
    "batch-normalization-no-scale": (IMAGE, lambda L: [L.BatchNormalization(scale=False)]),
    "batch-normalization-no-center": (IMAGE, lambda L: [L.BatchNormalization(center=False)]),
    "batch-normalization-bare": (
        IMAGE,
        lambda L: [L.BatchNormalization(scale=False, center=False, epsilon=1e-5)],
    ),
    "batch-normalization-axis1": (
        (3, 8, 7),
        lambda L: [L.ZeroPadding2D(1, data_format=FIRST), L.BatchNormalization(axis=1)],
    ),
    "layer-normalization": (IMAGE, lambda L: [L.LayerNormalization()]),
    "layer-normalization-axis1": ((4, 3, 2), lambda L: [L.LayerNormalization(axis=1)]),
    "layer-normalization-axes-apart": (
        (4, 3, 2),
        lambda L: [L.LayerNormalization(axis=[1, 3]), L.Conv2D(2, 2)],
    ),
    "layer-normalization-axes": ((4, 3, 2), lambda L: [L.LayerNormalization(axis=[2, 3])]),
    "layer-normalization-bare": ((5,), lambda L: [L.LayerNormalization(scale=False, center=False)]),
    "layer-normalization-no-center": (
        (5,),
        lambda L: [L.LayerNormalization(center=False, epsilon=1e-6)],
    ),
    "group-normalization": ((4, 4, 6), lambda L: [L.GroupNormalization(3)]),
    "group-normalization-instance": (
        (4, 4, 6),
        lambda L: [L.GroupNormalization(-1, epsilon=1e-5, scale=False)],
    ),
    "group-normalization-dense": ((6,), lambda L: [L.GroupNormalization(2, center=False)]),
    "group-normalization-axis1": ((6, 4, 5), lambda L: [L.GroupNormalization(2, axis=1)]),
    "rescaling": ((6, 6, 3), lambda L: [L.Rescaling(1 / 127.5, offset=-1), L.Conv2D(2, 3)]),
    "rescaling-per-channel": (
        (4, 4, 3),
        lambda L: [L.Rescaling([0.5, 1.0, 2.0], [1.0, 0.0, -1.0])],
    ),
    "normalization-constant": (
        (4, 4, 3),
        lambda L: [L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])],
    ),
    "normalization-one-number": (
        (4, 4, 3),
        lambda L: [L.Normalization(axis=None, mean=2.0, variance=3.0)],
    ),
    "normalization-invert": (
        (4, 4, 2),
        lambda L: [L.Normalization(mean=[1.0, 2.0], variance=[1.0, 4.0], invert=True)],
    ),
}

ACTIVATION_LAYERS = {
    "relu-layer": ((5,), lambda L: [L.Dense(6), L.ReLU()]),
    "relu-layer-all": ((5,), lambda L: [L.Dense(6), L.ReLU(1.5, 0.1, 0.2)]),
    "relu6-layer": (IMAGE, lambda L: [L.Conv2D(4, 3), L.ReLU(6.0)]),
    "leaky-relu-layer": ((5,), lambda L: [L.Dense(6), leaky(L, 0.2)]),
    "prelu": ((4, 3, 2), lambda L: [L.PReLU()]),
    "prelu-shared": ((4, 3, 2), lambda L: [L.PReLU(shared_axes=[1, 2])]),
    "elu-layer": ((5,), lambda L: [L.Dense(6), L.ELU(0.7)]),
    "softmax-layer": ((5,), lambda L: [L.Dense(6), L.Softmax()]),
    "softmax-layer-axis": ((4, 3, 2), lambda L: [L.Softmax(axis=1)]),
    "softmax-layer-axes": ((4, 3, 2), lambda L: [L.Softmax(axis=[1, 3])]),
    "softmax-in-dense": ((4, 3), lambda L: [L.Dense(2, activation=L.Softmax(axis=1))]),
    "softmax-in-conv1d": (
        (5, 3),
        lambda L: [L.Conv1D(4, 2, activation=L.Softmax(axis=(1, 2))), L.Dense(3)],
    ),
    "prelu-in-dense": ((4, 3), lambda L: [L.Dense(5, activation=L.PReLU()), L.Dense(3)]),
    "prelu-in-conv2d": (
        IMAGE,
        lambda L: [
            L.Conv2D(4, 3, use_bias=False, activation=L.PReLU(shared_axes=[1, 2])),
            L.Activation(L.PReLU()),
        ],
    ),
    "activation-in-layer": (
        IMAGE,
        lambda L: [L.Conv2D(2, 3, activation=leaky(L, 0.1)), L.Flatten()],
    ),
}

INITIALIZED = {
    "regularized": (
        IMAGE,
        lambda L: [
            L.Conv2D(
                4,
                3,
                kernel_initializer="he_normal",
                bias_initializer="ones",
                kernel_regularizer="l2",
                bias_regularizer="l1",
                activity_regularizer="l2",
                kernel_constraint="max_norm",
            ),
            L.Flatten(),
            L.Dense(3, kernel_initializer="lecun_uniform", kernel_regularizer="l1"),
        ],
    ),
}

RANDOM = {
    "random-flip": lambda L: [L.RandomFlip("horizontal")],
    "random-rotation": lambda L: [L.RandomRotation(0.1)],
    "random-zoom": lambda L: [L.RandomZoom(0.1, 0.2)],
    "random-translation": lambda L: [L.RandomTranslation(0.1, 0.2)],
    "random-contrast": lambda L: [L.RandomContrast(0.2)],
    "random-brightness": lambda L: [L.RandomBrightness(0.2)],
    "random-all": lambda L: [
        L.RandomFlip(),
        L.RandomRotation((-0.1, 0.2), fill_mode="nearest"),
        L.RandomZoom(0.1),
        L.Rescaling(1 / 255),
    ],
}
RANDOM_3 = {
    "rand-augment": lambda L: [L.RandAugment()],
    "aug-mix": lambda L: [L.AugMix()],
    "random-shear": lambda L: [L.RandomShear(0.1, 0.1)],
    "random-hue": lambda L: [L.RandomHue(0.1)],
    "random-saturation": lambda L: [L.RandomSaturation(0.1)],
    "random-sharpness": lambda L: [L.RandomSharpness(0.1)],
    "random-grayscale": lambda L: [L.RandomGrayscale(0.5)],
    "random-color-jitter": lambda L: [L.RandomColorJitter(brightness_factor=0.1)],
    "random-erasing": lambda L: [L.RandomErasing()],
    "random-gaussian-blur": lambda L: [L.RandomGaussianBlur()],
    "random-invert": lambda L: [L.RandomInvert()],
    "random-perspective": lambda L: [L.RandomPerspective()],
    "random-posterization": lambda L: [L.RandomPosterization(4)],
    "random-color-degeneration": lambda L: [L.RandomColorDegeneration(0.5)],
}

ACTIVATIONS = [
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "linear",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]
ACTIVATIONS_3 = [
    "celu",
    "hard_shrink",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "relu6",
    "silu",
    "soft_shrink",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh_shrink",
]

POLICIES = {
    "mixed_float16": 5e-3,
    "mixed_bfloat16": 4e-2,
    "float16": 5e-3,
    "bfloat16": 4e-2,
    "float64": 1e-5,
}


def one(name, shape, layers, **said):
    return Case(name, lambda k: sequential(k, shape, *layers(k.layers)), **said)


def activation(name, writers, **said):
    """The name as a setting of a layer and as a layer."""

    def build(k):
        L = k.layers
        return sequential(k, (5,), L.Dense(6, activation=name), L.Dense(4), L.Activation(name))

    return Case(f"activation-{name.replace('_', '-')}", build, writers, weights_alone=False, **said)


def policy(name, tolerance):
    def build(k):
        L = k.layers
        return k.Sequential(
            [
                k.Input((6, 6, 2)),
                L.Conv2D(4, 3, activation="relu", dtype=name),
                L.BatchNormalization(dtype=name),
                L.MaxPooling2D(dtype=name),
                L.Flatten(dtype=name),
                L.Dense(3, dtype=name),
                L.Activation("softmax", dtype="float32"),
            ],
            name="net",
        )

    return Case(f"policy-{name.replace('_', '-')}", build, tolerance=tolerance)


def adapted(k):
    import numpy as np

    layer = k.layers.Normalization()
    layer.adapt(np.random.default_rng(1).uniform(0, 255, (32, 4, 4, 3)).astype("float32"))
    return sequential(k, (4, 4, 3), layer, k.layers.Conv2D(2, 3))


def merge(name, make, shapes=((4, 4, 2), (4, 4, 2)), **said):
    def build(k):
        entries = [k.Input(shape, name=f"in{i}") for i, shape in enumerate(shapes)]
        return k.Model(entries, make(k.layers)(entries), name="net")

    return Case(f"merge-{name}", build, **said)


def cases():
    tables = [CONVOLUTIONS, POOLINGS, SHAPES, DENSE, NORMALIZATIONS, ACTIVATION_LAYERS, INITIALIZED]
    for table in tables:
        for name, (shape, layers) in table.items():
            pixels = {"high": 255.0, "low": 0.0} if name == "rescaling" else {}
            alone = table in (DENSE, NORMALIZATIONS)
            writers = K2 if name in WRONG_IN_KERAS3 else BOTH
            yield one(name, shape, layers, writers=writers, weights_alone=alone, **pixels)
    for name, layers in RANDOM.items():
        yield one(
            name,
            (6, 6, 3),
            lambda L, layers=layers: [*layers(L), L.Conv2D(2, 3)],
            weights_alone=False,
        )
    for name, layers in RANDOM_3.items():
        yield one(
            name,
            (6, 6, 3),
            lambda L, layers=layers: [*layers(L), L.Conv2D(2, 3)],
            writers=K3,
            weights_alone=False,
        )
    for name in ACTIVATIONS:
        yield activation(name, ("keras3", "tfkeras"))
    for name in ACTIVATIONS_3:
        yield activation(name, K3)
    # τ is a sum of partial sums, where it should be one of them.
    yield activation("sparsemax", K3, refuse="sparsemax of Keras 3.15 is none")
    for name, tolerance in POLICIES.items():
        yield policy(name, tolerance)
    yield Case("normalization-adapted", adapted, low=0.0, high=255.0)
    yield one(
        "layer-normalization-rms",
        (5,),
        lambda L: [L.LayerNormalization(rms_scaling=True)],
        writers=K3,
    )
    yield one(
        "layer-normalization-rms-axis1",
        (5, 3),
        lambda L: [L.LayerNormalization(axis=1, rms_scaling=True)],
        writers=K3,
    )
    yield one("rms-normalization", (5,), lambda L: [L.RMSNormalization()], writers=K3)
    yield one(
        "rms-normalization-axes",
        (4, 3, 2),
        lambda L: [L.RMSNormalization(axis=[2, 3], epsilon=0.1)],
        writers=K3,
    )
    yield one("identity", (5,), lambda L: [L.Identity(), L.Dense(3)])
    yield one("thresholded-relu", (5,), lambda L: [L.Dense(6), L.ThresholdedReLU(0.3)], writers=K2)
    yield merge("add", lambda L: L.Add())
    yield merge("add-three", lambda L: L.Add(), ((3,),) * 3)
    yield merge("add-broadcast", lambda L: L.Add(), ((4, 4, 2), (1, 1, 2)))
    yield merge("subtract", lambda L: L.Subtract())
    yield merge("multiply", lambda L: L.Multiply())
    yield merge("average", lambda L: L.Average(), ((4, 4, 2),) * 3)
    yield merge("maximum", lambda L: L.Maximum())
    yield merge("minimum", lambda L: L.Minimum())
    yield merge("concatenate", lambda L: L.Concatenate(), ((4, 4, 2), (4, 4, 3)))
    yield merge("concatenate-axis", lambda L: L.Concatenate(axis=1), ((4, 4, 2), (3, 4, 2)))
