"""What a model was compiled with: every optimizer after three steps, schedules, losses, metrics.

Losses and metrics are given by name and as objects.
"""

from case import Case, sequential
from layer_cases import K2, K3

STEPS = 3


def classifier(k):
    L = k.layers
    return sequential(
        k,
        (6, 6, 1),
        L.Conv2D(2, 3, activation="relu", name="conv"),
        L.BatchNormalization(name="norm"),
        L.Flatten(),
        L.Dense(3, activation="softmax", name="out"),
    )


def small(k):
    return sequential(k, (4,), k.layers.Dense(3, activation="sigmoid", name="out"))


def dead_ends(k):
    """Part of the model inside leads to no output, but Keras trains it, or counts it, all the same."""
    L = k.layers
    inner = k.Input((6,), name="inner")
    x = L.Dense(4, "relu", name="trunk")(inner)
    results = [L.Dense(3, name="left")(x), L.Dense(5, name="taken")(x)]
    _, result = k.Model(inner, results, name="heads")(entry := k.Input((6,), name="entry"))
    return k.Model(entry, L.Dense(3, "softmax", name="last")(result), name="ends")


def frozen(k):
    model = classifier(k)
    model.get_layer("conv").trainable = False
    model.get_layer("norm").trainable = False
    return model


def ends(k):
    L = k.layers
    entry = k.Input((4,), name="entry")
    return k.Model(
        entry, [L.Dense(2, name="left")(entry), L.Dense(2, name="right")(entry)], name="ends"
    )


# Settings that both writers know.
OPTIMIZERS = {
    "sgd": ("SGD", {}),
    "sgd-momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "sgd-nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop-centered": ("RMSprop", {"centered": True, "momentum": 0.5, "rho": 0.8}),
    "adam": ("Adam", {}),
    "adam-amsgrad": ("Adam", {"amsgrad": True}),
    "adamw": ("AdamW", {"weight_decay": 0.01}),
    "nadam": ("Nadam", {}),
    "adamax": ("Adamax", {}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {"learning_rate": 0.5}),
    "adam-clipped": ("Adam", {"clipnorm": 1.0}),
    "sgd-clipped": ("SGD", {"clipvalue": 0.1}),
    "sgd-global-clipnorm": ("SGD", {"global_clipnorm": 0.5}),
    "adam-weight-decay": ("Adam", {"weight_decay": 0.001}),
    "adam-ema": ("Adam", {"use_ema": True, "ema_momentum": 0.9}),
    "ftrl": ("Ftrl", {}),
    "lion": ("Lion", {}),
}
OPTIMIZERS_3 = {
    "adam-accumulating": ("Adam", {"gradient_accumulation_steps": 2}),
    "adam-loss-scale": ("Adam", {"loss_scale_factor": 128.0}),
    "lamb": ("Lamb", {}),
    "adafactor": ("Adafactor", {}),
    "muon": ("Muon", {}),
}
# tf-keras keeps the optimizers of Keras <= 2.10, with their own order of slots.
LEGACY = {
    "sgd": ("SGD", {}),
    "sgd-momentum": ("SGD", {"momentum": 0.9, "decay": 1e-4}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop-centered": ("RMSprop", {"centered": True, "momentum": 0.5}),
    "adam": ("Adam", {}),
    "adam-amsgrad": ("Adam", {"amsgrad": True, "decay": 1e-3}),
    "nadam": ("Nadam", {}),
    "adamax": ("Adamax", {}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
}
SCHEDULES = {
    "exponential": ("ExponentialDecay", (0.01, 10, 0.9), {"staircase": True}),
    "piecewise": ("PiecewiseConstantDecay", ([2, 5], [0.01, 0.005, 0.001]), {}),
    "polynomial": ("PolynomialDecay", (0.01, 10), {"end_learning_rate": 1e-4, "power": 2.0}),
    "inverse-time": ("InverseTimeDecay", (0.01, 10, 0.5), {}),
    "cosine": ("CosineDecay", (0.01, 10), {"alpha": 0.1}),
    "cosine-warmup": ("CosineDecay", (0.0, 10), {"warmup_target": 0.01, "warmup_steps": 4}),
    "cosine-restarts": ("CosineDecayRestarts", (0.01, 4), {}),
}
# Name, settings of the object, kind of target.
LOSSES = [
    (
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        {"from_logits": True},
        "classes",
    ),
    ("categorical_crossentropy", "CategoricalCrossentropy", {"label_smoothing": 0.1}, "one-hot"),
    ("binary_crossentropy", "BinaryCrossentropy", {"from_logits": True}, "numbers"),
    ("mean_squared_error", "MeanSquaredError", {"reduction": "sum"}, "numbers"),
    ("mse", None, {}, "numbers"),
    ("mean_absolute_error", "MeanAbsoluteError", {}, "numbers"),
    ("mae", None, {}, "numbers"),
    ("huber", "Huber", {"delta": 0.5}, "numbers"),
    ("kl_divergence", "KLDivergence", {}, "numbers"),
    ("hinge", "Hinge", {}, "numbers"),
    ("log_cosh", "LogCosh", {}, "numbers"),
    ("poisson", "Poisson", {}, "numbers"),
    ("cosine_similarity", "CosineSimilarity", {"axis": -1}, "numbers"),
]
METRICS = {
    "strings": lambda k: ["accuracy", "sparse_categorical_crossentropy"],
    "acc": lambda k: ["acc"],
    "sparse": lambda k: ["sparse_categorical_accuracy"],
    "objects": lambda k: [
        k.metrics.SparseCategoricalAccuracy(name="right"),
        k.metrics.SparseTopKCategoricalAccuracy(k=2),
    ],
    "many": lambda k: [
        k.metrics.SparseCategoricalCrossentropy(),
        "sparse_categorical_accuracy",
    ],
}


def optimizer(name, choice, writers, namespace=lambda k: k.optimizers, build=classifier):
    kind, settings = choice

    def compile(k):
        return {
            "optimizer": getattr(namespace(k), kind)(**settings),
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        }

    return Case(name, build, writers, compile=compile, steps=STEPS, tags=("classes",))


def schedule(name, kind, positional, named):
    def compile(k):
        rate = getattr(k.optimizers.schedules, kind)(*positional, **named)
        return {"optimizer": k.optimizers.Adam(rate), "loss": "sparse_categorical_crossentropy"}

    return Case(
        f"schedule-{name}",
        small,
        compile=compile,
        steps=STEPS,
        tags=("classes",),
        weights_alone=False,
    )


def losses():
    for name, class_name, settings, kind in LOSSES:
        plain = f"loss-{name.replace('_', '-')}"
        yield Case(
            plain,
            small,
            compile=lambda k, n=name: {"optimizer": "sgd", "loss": n},
            steps=1,
            tags=(kind,),
            weights_alone=False,
        )
        if class_name:
            yield Case(
                f"{plain}-object",
                small,
                compile=lambda k, c=class_name, s=settings: {
                    "optimizer": "sgd",
                    "loss": getattr(k.losses, c)(**s),
                },
                steps=1,
                tags=(kind,),
                weights_alone=False,
            )


def two_ends(name, arguments):
    return Case(
        f"compile-{name}",
        ends,
        compile=lambda k: {"optimizer": "adam", **arguments},
        steps=1,
        tags=("numbers",),
    )


def own_loss(k):
    """A loss and a metric of the user's own: the model itself is one that any reader can run."""

    def my_loss(truth, found):
        return k.losses.mean_squared_error(truth, found) * 2

    def my_metric(truth, found):
        return k.losses.mean_absolute_error(truth, found)

    return {"optimizer": "adam", "loss": my_loss, "metrics": [my_metric]}


def mixed(k):
    L, name = k.layers, "mixed_float16"
    return sequential(
        k,
        (4,),
        L.Dense(3, dtype=name, name="hidden"),
        L.Dense(3, "softmax", dtype="float32", name="out"),
    )


def cases():
    for name, choice in OPTIMIZERS.items():
        yield optimizer(f"optimizer-{name}", choice, ("keras3", "tfkeras"))
    for name, choice in OPTIMIZERS_3.items():
        yield optimizer(f"optimizer-{name}", choice, K3)
    for name, choice in LEGACY.items():
        yield optimizer(f"optimizer-legacy-{name}", choice, K2, lambda k: k.optimizers.legacy)
    yield optimizer("optimizer-frozen-layers", ("Adam", {}), ("keras3", "tfkeras"), build=frozen)
    yield optimizer(
        "optimizer-legacy-frozen-layers", ("Adam", {}), K2, lambda k: k.optimizers.legacy, frozen
    )
    for kind in ("Adam", "SGD"):
        choice = kind, {"momentum": 0.9} if kind == "SGD" else {}
        yield optimizer(f"optimizer-dead-ends-{kind.lower()}", choice, ("keras3", "tfkeras"), build=dead_ends)
    for name, (kind, positional, named) in SCHEDULES.items():
        yield schedule(name, kind, positional, named)
    yield from losses()
    for name, metrics in METRICS.items():
        yield Case(
            f"metrics-{name}",
            small,
            compile=lambda k, m=metrics: {
                "optimizer": "adam",
                "loss": "sparse_categorical_crossentropy",
                "metrics": m(k),
            },
            steps=1,
            tags=("classes",),
            weights_alone=False,
        )
    yield two_ends("loss-list", {"loss": ["mse", "mae"], "loss_weights": [1.0, 0.5]})
    yield two_ends(
        "loss-dict",
        {"loss": {"left": "mse", "right": "huber"}, "loss_weights": {"left": 2.0, "right": 1.0}},
    )
    yield two_ends("metrics-dict", {"loss": "mse", "metrics": {"left": ["mae"], "right": ["mse"]}})
    yield Case(
        "compile-untrained",
        small,
        compile=lambda k: {
            "optimizer": "adam",
            "loss": "categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        tags=("one-hot",),
    )
    yield Case(
        "compile-mixed-float16",
        mixed,
        compile=lambda k: {"optimizer": "adam", "loss": "categorical_crossentropy"},
        steps=STEPS,
        tolerance=5e-3,
        tags=("one-hot",),
    )
    yield Case(
        "compile-eager",
        small,
        compile=lambda k: {
            "optimizer": "sgd",
            "loss": "mse",
            "run_eagerly": True,
            "steps_per_execution": 2,
        },
        tags=("numbers",),
    )
    yield Case("compile-own-loss", small, compile=own_loss, steps=1, tags=("numbers",))
    yield Case("compile-no-loss", small, compile=lambda k: {"optimizer": "adam"})
