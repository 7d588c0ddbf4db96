"""Single layers: output and gradients of small inputs, all by formula."""

import keras
import tensorflow as tf

from formula import Formula, parameter
from record import full

INPUT, OUTPUT_GRADIENT, PARAMETERS = 1001, 1002, 1011

# 5 rows and 6 columns: an odd and an even side.
IMAGES = (2, 5, 6, 2)
BATCH = (3, 3, 4, 2)


def case(name, layer, settings, shape=IMAGES, *, training=False, scale=2.0, moving=False):
    """What a layer makes of an input, and the gradients of Σ output · `output_gradient`.

    The moving averages are 0 and 1, or by formula if `moving`.
    """
    inputs = Formula(INPUT, shape, scale)
    x = tf.constant(inputs.values(), keras.config.floatx())
    built = getattr(keras.layers, layer)(**settings)
    built.build(shape)
    formulas = {}
    for t, variable in enumerate(built.weights, PARAMETERS):
        if variable.name == "count":  # of Normalization, which no result depends on
            continue
        formula = parameter(t, variable.name, tuple(variable.shape))
        if moving and variable.name.startswith("moving"):
            formula = Formula(t, formula.shape, 1.0, formula.offset)
        variable.assign(formula.values())
        formulas[variable.name] = formula.json()
    if layer == "Normalization":
        built.finalize_state()

    sources = {"input": x, **{v.name: v.value for v in built.trainable_weights}}
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = built(x, training=training) if layer == "BatchNormalization" else built(x)
        dy = Formula(OUTPUT_GRADIENT, tuple(y.shape), 2.0)
        objective = tf.reduce_sum(y * tf.constant(dy.values(), y.dtype))
    gradients = tape.gradient(objective, sources)

    record = {"name": name, "layer": {"class": layer, **settings}}
    if layer == "BatchNormalization":
        record["training"] = training
    record |= {
        "input": inputs.json(),
        "parameters": formulas,
        "output_gradient": dy.json(),
        "output": full(y),
        "gradients": {key: full(gradient) for key, gradient in gradients.items()},
    }
    if training:
        record["after"] = {v.name: full(v.value) for v in built.non_trainable_weights}
    return record


def conv(name, filters, kernel, shape=IMAGES, **settings):
    settings = {"filters": filters, "kernel_size": kernel, "use_bias": False, **settings}
    return case(f"conv2d_{name}", "Conv2D", settings, shape)


def depthwise(name, kernel, **settings):
    settings = {"kernel_size": kernel, "use_bias": False, **settings}
    return case(f"depthwise_{name}", "DepthwiseConv2D", settings)


def pool(name, size, strides, padding, kinds=("Average", "Max"), **more):
    settings = {"pool_size": size, "strides": strides, "padding": padding}
    return [
        case(f"{kind.lower()}_pool_{name}", f"{kind}Pooling2D", settings, **more) for kind in kinds
    ]


def normalization(name, shape=BATCH, training=True, moving=True, **settings):
    settings = {"momentum": 0.99, "epsilon": 0.001, **settings}
    return case(
        f"batch_normalization_{name}",
        "BatchNormalization",
        settings,
        shape,
        training=training,
        moving=moving,
    )


def record():
    same = {"padding": "same"}
    return [
        conv("valid", 3, [3, 3], use_bias=True),
        conv("same", 3, [3, 3], use_bias=True, **same),
        conv("same_even_kernel", 3, [2, 4], **same),
        conv("same_stride_2", 3, [3, 3], strides=[2, 2], **same),
        conv("same_stride_2_even_kernel", 3, [2, 2], strides=[2, 2], **same),
        conv("same_stride_2_3", 3, [3, 3], strides=[2, 3], **same),
        conv("same_stride_beyond_kernel", 3, [1, 1], strides=[2, 2], **same),
        conv("valid_stride_2", 3, [3, 3], strides=[2, 2]),
        conv("same_dilation_2", 3, [3, 3], dilation_rate=[2, 2], **same),
        conv("valid_dilation_2", 3, [2, 2], dilation_rate=[2, 2]),
        conv("groups_2", 4, [3, 3], (2, 5, 6, 4), groups=2),
        conv("same_stride_2_groups_2", 4, [3, 3], (2, 5, 6, 4), groups=2, strides=[2, 2], **same),
        depthwise("valid", [3, 3], use_bias=True),
        depthwise("same_stride_2", [3, 3], strides=[2, 2], **same),
        depthwise("same_multiplier_2", [2, 3], depth_multiplier=2, **same),
        depthwise("same_dilation_2", [3, 3], dilation_rate=[2, 2], **same),
        *pool("valid", [2, 2], [2, 2], "valid"),
        *pool("same", [2, 2], [2, 2], "same"),
        *pool("same_overlapping", [3, 3], [2, 2], "same"),
        *pool("same_overlapping_stride_1", [3, 2], [1, 1], "same"),
        *pool("valid_overlapping", [3, 3], [1, 2], "valid"),
        *pool("valid_gaps", [2, 2], [3, 3], "valid"),
        # All elements are equal: which one has the gradient?
        *pool("valid_ties", [2, 2], [2, 2], "valid", ["Max"], scale=0.0),
        *pool("same_overlapping_ties", [3, 3], [2, 2], "same", ["Max"], scale=0.0),
        case("global_average_pool", "GlobalAveragePooling2D", {}),
        case("global_max_pool", "GlobalMaxPooling2D", {}),
        case("zero_padding", "ZeroPadding2D", {"padding": [[1, 0], [2, 3]]}),
        case("dense", "Dense", {"units": 4}, (3, 7)),
        case("dense_on_images", "Dense", {"units": 4}, (2, 2, 3, 5)),
        normalization("training", moving=False),
        normalization("training_moved"),
        normalization("training_momentum", momentum=0.9, epsilon=1e-5),
        normalization("training_plain", center=False, scale=False),
        normalization("training_vectors", (6, 5)),
        normalization("inference", training=False),
    ]
