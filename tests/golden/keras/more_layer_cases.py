"""Layers of sequences, convolutions made of others or transposed, layers that move values or join them."""

import keras
import tensorflow as tf

from formula import Formula
from layer_cases import OUTPUT_GRADIENT, case
from record import full

INPUT = 1101

IMAGES = (2, 4, 5, 2)
SEQUENCES = (2, 7, 4)


def merge(name, layer, count, *, scale=2.0):
    """What a layer makes of `count` inputs, and the gradients of Σ output · `output_gradient`."""
    formulas = [Formula(INPUT + number, (2, 3, 4), scale) for number in range(count)]
    inputs = [tf.constant(formula.values(), keras.config.floatx()) for formula in formulas]
    built = getattr(keras.layers, layer)()
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = built(inputs)
        dy = Formula(OUTPUT_GRADIENT, tuple(y.shape), 2.0)
        objective = tf.reduce_sum(y * tf.constant(dy.values(), y.dtype))
    return {
        "name": name,
        "layer": {"class": layer},
        "inputs": [formula.json() for formula in formulas],
        "output_gradient": dy.json(),
        "output": full(y),
        "gradients": [full(gradient) for gradient in tape.gradient(objective, inputs)],
    }


def merges():
    return [
        merge("subtract", "Subtract", 2),
        merge("multiply_two", "Multiply", 2),
        merge("multiply_three", "Multiply", 3),
        merge("average_two", "Average", 2),
        merge("average_three", "Average", 3),
        merge("maximum_two", "Maximum", 2),
        merge("maximum_three", "Maximum", 3),
        merge("minimum_two", "Minimum", 2),
        merge("minimum_three", "Minimum", 3),
        # All elements are equal: which input has the gradient?
        merge("maximum_ties", "Maximum", 2, scale=0.0),
        merge("minimum_ties", "Minimum", 2, scale=0.0),
    ]


def conv1d(name, kernel, **settings):
    settings = {"filters": 6, "kernel_size": kernel, "use_bias": False, **settings}
    return case(f"conv1d_{name}", "Conv1D", settings, SEQUENCES)


def pool1d(name, size, strides, padding):
    settings = {"pool_size": size, "strides": strides, "padding": padding}
    return [
        case(f"{kind.lower()}_pool1d_{name}", f"{kind}Pooling1D", settings, SEQUENCES)
        for kind in ("Average", "Max")
    ]


def depthwise(name, kernel, **settings):
    settings = {"kernel_size": kernel, "use_bias": False, **settings}
    return case(f"depthwise_{name}", "DepthwiseConv2D", settings, IMAGES)


def separable(name, kernel, **settings):
    settings = {"filters": 3, "kernel_size": kernel, "use_bias": False, **settings}
    return case(f"separable_{name}", "SeparableConv2D", settings, IMAGES)


def transposed(name, kernel, **settings):
    settings = {"filters": 3, "kernel_size": kernel, "use_bias": False, **settings}
    return case(f"transpose_{name}", "Conv2DTranspose", settings, IMAGES)



def record():
    same = {"padding": "same"}
    return [
        conv1d("valid", 3, use_bias=True),
        conv1d("same", 4, **same),
        conv1d("causal", 3, padding="causal"),
        conv1d("causal_dilation_2", 3, padding="causal", dilation_rate=2),
        conv1d("causal_stride_2", 3, padding="causal", strides=2),
        conv1d("same_stride_3", 2, strides=3, **same),
        conv1d("groups_2", 3, groups=2),
        *pool1d("valid", 2, 2, "valid"),
        *pool1d("same_overlapping", 3, 2, "same"),
        case("global_average_pool1d", "GlobalAveragePooling1D", {}, SEQUENCES),
        case("global_max_pool1d", "GlobalMaxPooling1D", {}, SEQUENCES),
        depthwise("valid_multiplier_3", [3, 2], depth_multiplier=3, use_bias=True),
        depthwise("same_stride_2_multiplier_2", [3, 3], depth_multiplier=2, strides=[2, 2], **same),
        separable("valid", [3, 3], use_bias=True),
        separable("same_stride_2_multiplier_2", [3, 2], depth_multiplier=2, strides=[2, 2], **same),
        separable("same_dilation_2", [2, 2], dilation_rate=[2, 2], **same),
        transposed("valid", [3, 3], use_bias=True),
        transposed("same", [3, 2], **same),
        transposed("valid_stride_2", [3, 3], strides=[2, 2]),
        transposed("same_stride_2", [3, 3], strides=[2, 2], **same),
        transposed("same_stride_2_even_kernel", [4, 2], strides=[2, 2], **same),
        transposed("same_stride_2_3", [3, 5], strides=[2, 3], **same),
        transposed("stride_beyond_kernel", [1, 2], strides=[2, 3]),
        transposed("same_stride_beyond_kernel", [1, 2], strides=[3, 3], **same),
        transposed("valid_output_padding", [3, 3], strides=[2, 2], output_padding=[1, 0]),
        transposed("same_output_padding", [3, 3], strides=[2, 3], output_padding=[0, 2], **same),
        case("permute_images", "Permute", {"dims": [3, 1, 2]}, IMAGES),
        case("permute_sequences", "Permute", {"dims": [2, 1]}, SEQUENCES),
        case("cropping1d", "Cropping1D", {"cropping": [2, 1]}, SEQUENCES),
        case("cropping2d", "Cropping2D", {"cropping": [[1, 0], [1, 2]]}, IMAGES),
        case("zero_padding1d", "ZeroPadding1D", {"padding": [2, 1]}, SEQUENCES),
        case("up_sampling1d", "UpSampling1D", {"size": 3}, SEQUENCES),
        case("up_sampling2d", "UpSampling2D", {"size": [2, 3]}, IMAGES),
        case("repeat_vector", "RepeatVector", {"n": 4}, (3, 5)),
    ]
