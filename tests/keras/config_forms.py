"""Says a model's configuration in other words: the forms that other Kerases gave it."""


def layers_of(config):
    return config["config"]["layers"]


def bare_list(config):
    """Keras <= 2.2 wrote a Sequential as a list of layers, the shape in the first of them."""
    return {"class_name": config["class_name"], "config": layers_of(first_layer_shape(config))}


def first_layer_shape(config):
    """No InputLayer: `batch_input_shape` stands in the first layer."""
    entry, first, *rest = layers_of(config)
    first["config"]["batch_input_shape"] = entry["config"]["batch_input_shape"]
    config["config"]["layers"] = [first, *rest]
    config["config"].pop("build_input_shape", None)
    return config


def each_layer(change):
    def changed(config):
        for layer in layers_of(config):
            change(layer["config"])
            if "layers" in layer["config"]:
                changed(layer)
        return config

    return changed


def dtype(value):
    def change(config):
        # An InputLayer has a plain type in every version.
        if "sparse" in config:
            return
        config.pop("dtype", None)
        if value is not None:
            config["dtype"] = value

    return each_layer(change)


def short_initializers(config):
    """As Keras 2 wrote them: no module, and none of the settings that Keras 3 added."""
    for key, value in config.items():
        if key.endswith("initializer") and isinstance(value, dict):
            kept = {k: v for k, v in value["config"].items() if not k.endswith("_axes")}
            config[key] = {"class_name": value["class_name"], "config": kept}


def function_initializers(config):
    if "kernel_initializer" in config:
        config["kernel_initializer"] = {"class_name": "function", "config": "random_normal"}


def only_what_matters(config):
    """The keys that a small tool writes: the others have their defaults."""
    kept = [
        "name",
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "activation",
        "units",
        "pool_size",
        "rate",
        "axis",
        "batch_input_shape",
        "batch_shape",
    ]
    for key in [k for k in config if k not in kept and k != "layers"]:
        del config[key]


def axis(value):
    def change(config):
        if "moving_mean_initializer" in config:
            config["axis"] = value

    return each_layer(change)


def renamed_class(name):
    return lambda config: config | {"class_name": name}


def optimizer(change):
    def changed(training):
        training["optimizer_config"] = change(training["optimizer_config"])
        return training

    return changed


def lr(config):
    """The learning rate's name until Keras 2.2."""
    settings = config["config"]
    settings["lr"] = settings.pop("learning_rate")
    return config


def training(**settings):
    return lambda found: found | settings
