"""Models that keepnet cannot run: it must name the layer, its class and what to do."""

from case import Case, sequential


def scaling(k):
    """A class of the user's own."""

    @k.utils.register_keras_serializable(package="mine")
    class Scaling(k.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")

        def call(self, x):
            return x * self.scale

    return Scaling


def with_custom_activation(k):
    @k.utils.register_keras_serializable(package="mine")
    def half_relu(x):
        return k.activations.relu(x) / 2

    return sequential(k, (4,), k.layers.Dense(3, activation=half_relu))


def with_custom_dense(k):
    """A class of the user's own by the name of a layer of Keras."""

    @k.utils.register_keras_serializable(package="mine")
    class Dense(k.layers.Dense):
        def call(self, x):
            return 2 * super().call(x)

    return sequential(k, (4,), Dense(3))


def with_string_lookup(k):
    entry = k.Input((1,), dtype="string")
    return k.Model(entry, k.layers.StringLookup(vocabulary=["a", "b"])(entry), name="words")


def with_lambda(k):
    return sequential(k, (4,), k.layers.Lambda(lambda x: x + 1), k.layers.Dense(3))


def with_custom(k):
    return sequential(k, (4,), scaling(k)(name="scaling"), k.layers.Dense(3))


def with_lstm(k):
    return sequential(k, (5, 3), k.layers.LSTM(4), k.layers.Dense(3))


def with_attention(k):
    entry = k.Input((5, 4))
    return k.Model(entry, k.layers.MultiHeadAttention(2, 3)(entry, entry), name="attention")


def with_conv3d(k):
    return sequential(k, (4, 4, 4, 1), k.layers.Conv3D(2, 2))


def with_embedding(k):
    return sequential(k, (5,), k.layers.Embedding(8, 3), k.layers.Flatten(), k.layers.Dense(3))


def with_random_crop(k):
    return sequential(k, (6, 6, 1), k.layers.RandomCrop(4, 4), k.layers.Flatten())


def with_operator(k):
    entry = k.Input((4,))
    return k.Model(entry, k.ops.erf(k.layers.Dense(3)(entry)), name="erf")


def with_average(k):
    entry = k.Input((4, 3))
    return k.Model(entry, k.ops.average(k.layers.Dense(3)(entry), axis=1), name="average")


def with_reciprocal(k):
    entry = k.Input((4,))
    return k.Model(entry, 1 / k.layers.Dense(3)(entry), name="reciprocal")


def with_reversal(k):
    entry = k.Input((4,))
    return k.Model(entry, k.layers.Dense(3)(entry)[..., ::-1], name="reversal")


def with_rescaled_rows(k):
    return sequential(k, (3, 3), k.layers.Rescaling([[1.0], [2.0], [3.0]]))


def cases():
    yield Case("refuse-lambda", with_lambda, refuse="Lambda holds Python code")
    yield Case(
        "refuse-custom-layer", with_custom, refuse="mine>Scaling is a class of the user's own"
    )
    yield Case(
        "refuse-custom-activation",
        with_custom_activation,
        refuse="mine>half_relu is a function of the user's own",
    )
    yield Case(
        "refuse-custom-dense", with_custom_dense, refuse="mine>Dense is a class of the user's own"
    )
    yield Case(
        "refuse-operator-average",
        with_average,
        ("keras3",),
        refuse="the operator Average is not the layer",
    )
    yield Case(
        "refuse-operator-reciprocal",
        with_reciprocal,
        ("keras3",),
        refuse="the operator TrueDivide of a number is none of keepnet",
    )
    yield Case(
        "refuse-operator-reversal",
        with_reversal,
        refuse="slices with a step are none of keepnet",
    )
    yield Case(
        "refuse-rescaled-rows", with_rescaled_rows, refuse="each row has a number of its own"
    )
    yield Case(
        "refuse-string-lookup", with_string_lookup, refuse="StringLookup is no layer of keepnet"
    )
    yield Case("refuse-lstm", with_lstm, refuse="LSTM is no layer of keepnet")
    yield Case(
        "refuse-attention", with_attention, refuse="MultiHeadAttention is no layer of keepnet"
    )
    yield Case(
        "refuse-random-crop",
        with_random_crop,
        ("tfkeras",),
        refuse="RandomCrop is no layer of keepnet",
    )
    yield Case("refuse-conv3d", with_conv3d, refuse="Conv3D is no layer of keepnet")
    yield Case(
        "refuse-embedding",
        with_embedding,
        low=0.0,
        high=7.0,
        refuse="Embedding is no layer of keepnet",
    )
    yield Case(
        "refuse-operator", with_operator, ("keras3",), refuse="Erf is no operator of keepnet"
    )
