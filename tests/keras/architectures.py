"""Whole networks: chains, graphs, shared layers, nested models, several ends, operators."""

from case import Case, sequential
from layer_cases import K2, K3


def w1(k, filters=(4, 8), units=16, side=12):
    """The benchmark's network for digits, in small."""
    L = k.layers
    return sequential(
        k,
        (side, side, 1),
        L.Conv2D(filters[0], 3, activation="relu"),
        L.MaxPooling2D(2),
        L.Conv2D(filters[1], 3, activation="relu"),
        L.MaxPooling2D(2),
        L.Flatten(),
        L.Dense(units, activation="relu"),
        L.Dropout(0.5),
        L.Dense(10, activation="softmax"),
    )


def lenet5(k):
    L = k.layers
    return sequential(
        k,
        (16, 16, 1),
        L.Conv2D(6, 5, activation="tanh", padding="same"),
        L.AveragePooling2D((2, 2)),
        L.Conv2D(8, 5, activation="tanh"),
        L.AveragePooling2D((2, 2)),
        L.Flatten(),
        L.Dense(12, activation="tanh"),
        L.Dense(10, activation="softmax"),
    )


def vgg(k):
    L = k.layers
    blocks = []
    for filters in (4, 6):
        blocks += [L.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(2)]
        blocks += [L.BatchNormalization(), L.MaxPooling2D(), L.Dropout(0.25)]
    return sequential(
        k, (12, 12, 3), *blocks, L.Flatten(), L.Dense(8, "relu"), L.Dense(5, "softmax")
    )


def resnet(k):
    L = k.layers
    entry = x = k.Input((10, 10, 3))
    x = L.Conv2D(4, 3, padding="same", use_bias=False)(x)
    for filters, stride in ((4, 1), (6, 2)):
        y = L.BatchNormalization()(x)
        y = L.ReLU()(y)
        y = L.Conv2D(filters, 3, stride, padding="same", use_bias=False)(y)
        y = L.BatchNormalization()(y)
        y = L.Activation("relu")(y)
        y = L.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        if stride > 1:
            x = L.Conv2D(filters, 1, stride, use_bias=False)(x)
        x = L.Add()([x, y])
    x = L.GlobalAveragePooling2D()(x)
    return k.Model(entry, L.Dense(4, activation="softmax")(x), name="resnet")


def mobilenet(k):
    L = k.layers
    entry = k.Input((12, 12, 3))
    x = L.ZeroPadding2D(((0, 1), (0, 1)))(entry)
    x = L.Conv2D(4, 3, 2, use_bias=False, name="Conv1")(x)
    x = L.BatchNormalization(epsilon=1e-3, momentum=0.999, name="bn_Conv1")(x)
    x = y = L.ReLU(6.0, name="Conv1_relu")(x)
    y = L.Conv2D(8, 1, use_bias=False)(y)
    y = L.BatchNormalization()(y)
    y = L.ReLU(6.0)(y)
    y = L.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = L.BatchNormalization()(y)
    y = L.ReLU(6.0)(y)
    y = L.Conv2D(4, 1, use_bias=False)(y)
    y = L.BatchNormalization()(y)
    x = L.Add()([x, y])
    x = L.GlobalAveragePooling2D(keepdims=True)(x)
    x = L.Dropout(0.1)(x)
    x = L.Conv2D(5, 1, padding="same")(x)
    x = L.Reshape((5,))(x)
    return k.Model(entry, L.Activation("softmax")(x), name="mobilenet")


def xception(k):
    L = k.layers
    entry = k.Input((10, 10, 1))
    x = L.Conv2D(4, 3, use_bias=False, kernel_regularizer="l2")(entry)
    x = L.Activation("relu")(L.BatchNormalization()(x))
    residual = L.BatchNormalization()(L.Conv2D(6, 1, 2, padding="same", use_bias=False)(x))
    x = L.SeparableConv2D(6, 3, padding="same", use_bias=False)(x)
    x = L.Activation("relu")(L.BatchNormalization()(x))
    x = L.SeparableConv2D(6, 3, padding="same", use_bias=False)(x)
    x = L.MaxPooling2D(3, 2, padding="same")(L.BatchNormalization()(x))
    x = L.Conv2D(4, 3, padding="same")(L.add([x, residual]))
    x = L.GlobalAveragePooling2D()(x)
    return k.Model(entry, L.Activation("softmax", name="predictions")(x), name="xception")


def inception(k):
    L = k.layers
    entry = k.Input((8, 8, 3))
    one = L.Conv2D(2, 1, activation="relu")(entry)
    three = L.Conv2D(3, 3, padding="same", activation="relu")(L.Conv2D(2, 1)(entry))
    pooled = L.Conv2D(2, 1)(L.AveragePooling2D(3, 1, padding="same")(entry))
    x = L.concatenate([one, three, pooled], axis=3)
    return k.Model(entry, L.Dense(4, "softmax")(L.Flatten()(x)), name="inception")


def densenet(k):
    L = k.layers
    entry = x = k.Input((8, 8, 2))
    for _ in range(3):
        y = L.Conv2D(2, 3, padding="same")(
            L.Activation("relu")(L.BatchNormalization(epsilon=1.001e-5)(x))
        )
        x = L.Concatenate()([x, y])
    return k.Model(entry, L.GlobalMaxPooling2D()(x), name="densenet")


def squeeze_excite(k):
    L = k.layers
    entry = x = k.Input((6, 6, 4))
    s = L.Reshape((1, 1, 4))(L.GlobalAveragePooling2D()(x))
    s = L.Conv2D(4, 1, activation="sigmoid")(L.Conv2D(2, 1, activation="swish")(s))
    return k.Model(entry, L.Multiply()([x, s]), name="squeeze")


def autoencoder(k):
    L = k.layers
    return sequential(
        k,
        (12, 12, 1),
        L.Conv2D(4, 3, activation="relu", padding="same"),
        L.MaxPooling2D(2, padding="same"),
        L.Conv2D(2, 3, activation="relu", padding="same"),
        L.MaxPooling2D(2, padding="same"),
        L.Conv2D(2, 3, activation="relu", padding="same"),
        L.UpSampling2D(2),
        L.Conv2DTranspose(4, 3, 2, activation="relu", padding="same"),
        L.Conv2D(1, 3, activation="sigmoid", padding="same"),
    )


def unet(k):
    L = k.layers
    entry = k.Input((8, 8, 1))
    a = L.Conv2D(3, 3, padding="same", activation="relu")(entry)
    b = L.Conv2D(4, 3, padding="same", activation="relu")(L.MaxPooling2D()(a))
    c = L.Concatenate()([a, L.Conv2DTranspose(3, 2, 2)(b)])
    return k.Model(entry, L.Conv2D(1, 1, activation="sigmoid")(c), name="unet")


def dag(k):
    L = k.layers
    entry = k.Input((6, 6, 2), name="image")
    left = L.Conv2D(3, 3, name="left")(entry)
    right = L.Conv2D(3, 3, name="right", activation="relu")(entry)
    both = L.Maximum(name="larger")([left, right])
    more = L.Subtract(name="less")([both, left])
    return k.Model(
        entry,
        L.Dense(3, name="out")(L.Flatten(name="flat")(L.Average()([more, right]))),
        name="dag",
    )


def shared_layer(k):
    L = k.layers
    a, b = k.Input((6, 6, 1), name="a"), k.Input((6, 6, 1), name="b")
    conv, dense = L.Conv2D(2, 3, activation="relu", name="conv"), L.Dense(3, name="dense")
    ends = [dense(L.Flatten(name=f"flat_{n}")(conv(x))) for n, x in (("a", a), ("b", b))]
    return k.Model([a, b], L.Subtract(name="difference")(ends), name="siamese")


def applied_twice(k):
    L = k.layers
    entry = k.Input((5,))
    dense = L.Dense(5, activation="tanh", name="again")
    return k.Model(entry, dense(dense(entry)), name="twice")


def nested_sequential(k):
    L = k.layers
    features = k.Sequential(
        [k.Input((8, 8, 1)), L.Conv2D(3, 3), L.BatchNormalization(), L.Flatten()], name="features"
    )
    return sequential(
        k, (8, 8, 1), features, L.Dense(4), L.BatchNormalization(), L.Dense(3, "softmax")
    )


def nested_functional(k):
    L = k.layers
    entry = k.Input((8, 8, 3), name="backbone_input")
    x = L.BatchNormalization()(L.Conv2D(3, 3)(entry))
    x = L.Add()([x, L.Conv2D(3, 1)(x)])
    backbone = k.Model(entry, x, name="backbone")
    outer = k.Input((8, 8, 3))
    x = L.GlobalAveragePooling2D()(backbone(L.Rescaling(2.0)(outer)))
    return k.Model(outer, L.Dense(4, "softmax")(x), name="classifier")


def frozen_backbone(k):
    model = nested_functional(k)
    model.get_layer("backbone").trainable = False
    return model


def thawed_layer(k):
    """A frozen backbone with a layer that trains again: tf-keras puts its weights first."""
    L = k.layers
    inner = k.Input((4,))
    x = L.Dense(4, "tanh")(inner)
    backbone = k.Model(inner, L.Dense(4, "tanh")(x), name="backbone")
    backbone.trainable = False
    backbone.layers[-1].trainable = True
    outer = k.Input((4,))
    return k.Model(outer, L.Dense(3, "softmax")(backbone(outer)), name="classifier")


def nested_shared(k):
    L = k.layers
    tower = k.Sequential([k.Input((6,)), L.Dense(4, "relu"), L.Dense(2)], name="tower")
    a, b = k.Input((6,), name="a"), k.Input((6,), name="b")
    return k.Model([a, b], L.Concatenate()([tower(a), tower(b)]), name="towers")


def nested_deep(k):
    L = k.layers
    inner = k.Sequential([k.Input((4,)), L.Dense(3, "relu"), L.Dense(4)], name="inner")
    middle_in = k.Input((4,))
    middle = k.Model(middle_in, L.Add()([middle_in, inner(middle_in)]), name="middle")
    return sequential(k, (4,), middle, L.Dense(2), name="outer")


def several_ends(k):
    L = k.layers
    image, number = k.Input((6, 6, 1), name="image"), k.Input((3,), name="number")
    x = L.Concatenate()([L.Flatten()(L.Conv2D(2, 3)(image)), number])
    outputs = [L.Dense(3, "softmax", name="kind")(x), L.Dense(1, name="size")(x)]
    return k.Model([image, number], outputs, name="ends")


def named_ends(k):
    model = several_ends(k)
    return k.Model(
        {"image": model.inputs[0], "number": model.inputs[1]},
        {"kind": model.outputs[0], "size": model.outputs[1]},
        name="named",
    )


def dead_ends(k):
    """A model inside the model with a result that nobody takes, and an input that leads nowhere."""
    L = k.layers
    inner = k.Input((5,))
    x = L.Dense(4, "relu", name="trunk")(inner)
    results = [L.Dense(3, name="taken")(x), L.Dense(2, name="left")(L.Dense(3)(x))]
    heads = k.Model(inner, results, name="heads")
    unused, entry = k.Input((7,), name="unused"), k.Input((5,), name="entry")
    result, _ = heads(entry)
    return k.Model([unused, entry], L.Dense(2, name="last")(result), name="ends")


def divided(k):
    L = k.layers
    entry = k.Input((6, 6, 1))
    return k.Model(entry, L.Dense(3)(L.Flatten()(entry / 255.0)), name="divided")


def arithmetic(k):
    entry = k.Input((5,))
    x = entry * 2.0 + 1.0
    x = 1.0 - x
    x = x - 0.5
    return k.Model(entry, k.layers.Dense(3)(x + entry) * 0.5, name="arithmetic")


def operators(k):
    L, ops = k.layers, k.ops
    entry = k.Input((4, 6))
    x = ops.relu(L.Dense(4)(entry))
    x = ops.reshape(x, (-1, 16))
    x = ops.multiply(x, 0.5)
    return k.Model(entry, ops.softmax(L.Dense(3)(x)), name="operators")


def operators_legacy(k):
    import tensorflow as tf

    L = k.layers
    entry = k.Input((4, 6))
    x = tf.nn.relu(L.Dense(4)(entry))
    x = tf.reshape(x, (-1, 16))
    return k.Model(entry, tf.nn.softmax(L.Dense(3)(x)), name="operators")


def moving_operators(k):
    ops = k.ops
    entry = k.Input((4, 6, 3))
    x = ops.transpose(ops.transpose(entry, (0, 3, 1, 2)), (0, 2, 3, 1))
    x = ops.pad(x, [[0, 0], [1, 1], [1, 2], [0, 0]])
    x = ops.concatenate([x, ops.cast(x, "float32")], axis=1)
    a, b = ops.mean(x, axis=[1, 2]), ops.max(x, axis=(1, 2), keepdims=True)
    a = ops.squeeze(ops.expand_dims(a, -1), -1)
    b = ops.squeeze(ops.expand_dims(b, 1))
    c = ops.mean(ops.reshape(x, (-1, 108, 3)), axis=1)
    x = ops.image.resize(ops.image.resize(x, (24, 18)), (24, 36), interpolation="nearest")
    d = ops.max(ops.transpose(x, (0, 3, 1, 2)), axis=[2, 3])
    return k.Model(entry, ops.concatenate([a, b, c, d], axis=-1), name="moving")


def moving_operators_legacy(k):
    import tensorflow as tf

    entry = k.Input((4, 6, 3))
    x = tf.transpose(tf.transpose(entry, [0, 3, 1, 2]), perm=(0, 2, 3, 1))
    x = tf.pad(x, [[0, 0], [1, 1], [1, 2], [0, 0]])
    x = tf.concat([x, tf.cast(x, tf.float32)], axis=1)
    a, b = tf.reduce_mean(x, [1, 2]), tf.reduce_max(x, axis=(1, 2), keepdims=True)
    a = tf.squeeze(tf.expand_dims(a, -1), -1)
    b = tf.squeeze(tf.expand_dims(b, 1), axis=[1, 2, 3])
    c = tf.reduce_mean(tf.reshape(x, (-1, 108, 3)), axis=1)
    x = tf.image.resize(tf.image.resize(x, (24, 18)), [24, 36], method="nearest")
    d = tf.reduce_max(tf.transpose(x, (0, 3, 1, 2)), axis=[2, 3])
    return k.Model(entry, tf.concat([a, b, c, d], -1), name="moving")


def joining_operators(k):
    import numpy as np

    ops = k.ops
    entry = k.Input((4, 3))
    x = (entry - np.array([0.1, 0.2, 0.3], "float32")) / np.array([1.0, 2.0, 3.0], "float32")
    y = ops.maximum(x, 0.0) + ops.maximum(-x, 0.1)
    y = ops.multiply(y, ops.minimum(x, entry)) - ops.maximum(x, entry)
    return k.Model(entry, k.layers.Dense(3)(ops.add(x, y)), name="joining")


def joining_operators_legacy(k):
    import tensorflow as tf

    entry = k.Input((4, 3))
    x = (entry - [0.1, 0.2, 0.3]) / tf.constant([1.0, 2.0, 3.0])
    y = tf.maximum(x, 0.0) + tf.maximum(-x, 0.1)
    y = tf.multiply(y, tf.minimum(x, entry)) - tf.maximum(x, entry)
    return k.Model(entry, k.layers.Dense(3)(tf.add_n([x, y, 2.0 * y])), name="joining")


def powers_and_slices(k):
    ops = k.ops
    entry = k.Input((4, 5, 3))
    x = ops.minimum(entry**2, 0.5) + ops.square(entry) * ops.minimum(entry, 0.0) - entry**3
    results = [x[:, 1:3, 0], x[..., 1:], x[:, -1, :-1], x[:, None, :2, 3:, 2], x[:, 1:]]
    return k.Model(entry, [k.layers.Flatten()(result) for result in results], name="slices")


def powers_and_slices_legacy(k):
    import tensorflow as tf

    entry = k.Input((4, 5, 3))
    x = tf.nn.bias_add(tf.minimum(entry**2, 0.5), [0.1, 0.2, 0.3])
    x = x + tf.square(entry) * tf.minimum(0.0, entry) - tf.pow(entry, 3)
    results = [x[:, 1:3, 0], x[..., 1:], x[:, -1, :-1], x[:, None, :2, 3:, 2], x[:, 1:]]
    return k.Model(entry, [k.layers.Flatten()(result) for result in results], name="slices")


def functions(k):
    ops, entry = k.ops, k.Input((4, 3))
    results = [
        ops.relu6(3 * entry),
        ops.sigmoid(entry),
        ops.tanh(entry),
        ops.log_softmax(entry),
        ops.softmax(entry, axis=1),
        ops.silu(entry),
        ops.gelu(entry),
        ops.gelu(entry, approximate=False),
        ops.elu(entry, 0.5),
        ops.selu(entry),
        ops.celu(entry, 0.7),
        ops.softplus(entry),
        ops.softsign(entry),
        ops.leaky_relu(entry, 0.1),
        ops.hard_sigmoid(4 * entry),
        ops.hard_silu(4 * entry),
        ops.hard_tanh(2 * entry),
        ops.log_sigmoid(entry),
        ops.soft_shrink(entry, 0.2),
        ops.hard_shrink(entry, 0.3),
        ops.tanh_shrink(entry),
        ops.squareplus(entry, 3),
        ops.sparse_plus(entry),
        ops.sparse_sigmoid(entry),
        ops.threshold(entry, 0.1, -0.5),
        ops.exp(entry),
        ops.clip(entry, 0.0, 0.5),
        k.activations.relu(entry, 0.1, max_value=0.5),
    ]
    return k.Model(entry, ops.concatenate(results, axis=-1), name="functions")


def functions_legacy(k):
    import tensorflow as tf

    entry = k.Input((4, 3))
    results = [
        tf.nn.relu6(3 * entry),
        tf.sigmoid(entry),
        tf.tanh(entry),
        tf.nn.log_softmax(entry),
        tf.nn.softmax(entry, axis=1),
        tf.nn.silu(entry),
        tf.nn.gelu(entry),
        tf.nn.gelu(entry, approximate=True),
        tf.nn.elu(entry),
        tf.nn.selu(entry),
        tf.nn.softplus(entry),
        tf.nn.softsign(entry),
        tf.nn.leaky_relu(entry),
        tf.nn.leaky_relu(entry, alpha=0.1),
        tf.math.log_sigmoid(entry),
        tf.exp(entry),
        tf.clip_by_value(entry, 0.0, 0.5),
        k.activations.hard_sigmoid(entry),
        k.activations.relu(entry, 0.1, max_value=0.5),
    ]
    return k.Model(entry, tf.concat(results, axis=-1), name="functions")


def inputs_crosswise(k):
    """The inputs are listed in another order than they are used."""
    L = k.layers
    a, b = k.Input((3,), name="a"), k.Input((4,), name="b")
    x = L.Concatenate()([L.Dense(2)(L.Dense(2)(b)), a])
    return k.Model([b, a], [x, L.Dense(2)(x)], name="crosswise")


def without_input_layer(k):
    """Nobody says the shape: it is that of the first batch."""
    import numpy as np

    L = k.layers
    model = k.Sequential([L.Conv2D(2, 3, activation="relu"), L.Flatten(), L.Dense(3)], name="late")
    model(np.zeros((1, 6, 6, 1), "float32"))
    return model


def input_shape_in_layer(k):
    L = k.layers
    return k.Sequential(
        [L.Conv2D(2, 3, input_shape=(6, 6, 1)), L.Flatten(), L.Dense(3)], name="old"
    )


def any_size(k):
    L = k.layers
    return sequential(k, (None, None, 2), L.Conv2D(3, 3), L.GlobalMaxPooling2D(), L.Dense(2))


def fixed_batch(k):
    L = k.layers
    entry = k.Input(batch_size=4, shape=(5,))
    return k.Model(entry, L.Dense(3)(entry), name="fixed")


def dotted_names(k):
    L = k.layers
    entry = k.Input((5,), name="Entry")
    x = L.Dense(4, name="block.1-dense_1")(entry)
    return k.Model(entry, L.Dense(3, name="Logits")(x), name="my_Model.v2")


def strange_names(k):
    L = k.layers
    entry = k.Input((5,), name="Eingang")
    x = L.Dense(4, name="größe")(entry)
    return k.Model(entry, L.Dense(3, name="with space")(x), name="netz")


def channels_first_chain(k):
    L, first = k.layers, "channels_first"
    return sequential(
        k,
        (2, 8, 8),
        L.Conv2D(3, 3, padding="same", data_format=first),
        L.BatchNormalization(axis=1),
        L.Activation("relu"),
        L.MaxPooling2D(2, data_format=first),
        L.Flatten(data_format=first),
        L.Dense(3, "softmax"),
    )


def mixed_layouts(k):
    L = k.layers
    return sequential(
        k,
        (8, 8, 4),
        L.Conv2D(4, 3),
        L.MaxPooling2D(2, data_format="channels_first"),
        L.Flatten(),
        L.Dense(3),
    )


def audio(k):
    L = k.layers
    return sequential(
        k,
        (32, 2),
        L.Conv1D(4, 5, strides=2, padding="causal", activation="relu"),
        L.BatchNormalization(),
        L.MaxPooling1D(2),
        L.SpatialDropout1D(0.2),
        L.Conv1D(6, 3, dilation_rate=2, activation="relu"),
        L.GlobalAveragePooling1D(),
        L.Dense(3, "softmax"),
    )


def deep(k):
    return sequential(k, (4,), *[k.layers.Dense(4, "tanh") for _ in range(16)])


ALL = [
    w1,
    lenet5,
    vgg,
    resnet,
    mobilenet,
    xception,
    inception,
    densenet,
    squeeze_excite,
    autoencoder,
    unet,
    dag,
    shared_layer,
    applied_twice,
    nested_sequential,
    nested_functional,
    frozen_backbone,
    thawed_layer,
    nested_shared,
    nested_deep,
    several_ends,
    named_ends,
    inputs_crosswise,
    input_shape_in_layer,
    fixed_batch,
    dotted_names,
    channels_first_chain,
    mixed_layouts,
    audio,
    deep,
]


def cases():
    for build in ALL:
        yield Case(f"net-{build.__name__.replace('_', '-')}", build)
    yield Case("net-divided", divided, low=0.0, high=255.0)
    yield Case("net-arithmetic", arithmetic)
    yield Case("net-operators", operators, K3)
    yield Case("net-operators-legacy", operators_legacy, K2)
    yield Case("net-moving-operators", moving_operators, K3)
    yield Case("net-moving-operators-legacy", moving_operators_legacy, K2)
    yield Case("net-joining-operators", joining_operators, K3)
    yield Case("net-joining-operators-legacy", joining_operators_legacy, K2)
    yield Case("net-powers-and-slices", powers_and_slices, K3)
    yield Case("net-powers-and-slices-legacy", powers_and_slices_legacy, K2)
    yield Case("net-functions", functions, K3)
    yield Case("net-functions-legacy", functions_legacy, K2)
    yield Case("net-dead-ends", dead_ends, unused_inputs=(0,))
    yield Case("net-strange-names", strange_names, K3)
    yield Case("net-without-input-layer", without_input_layer)
    yield Case("net-any-size", any_size, tags=("any-size",))
