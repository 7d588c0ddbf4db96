"""Configurations that name code, files and servers, or sizes and depths that no one can hold."""

import json

from hostile_base import PLAIN, dense, entry, layer, model, whole, zipped


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


LAMBDA = {
    "class_name": "__lambda__",
    "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None},
}
CODE = [
    (
        "lambda",
        layer("Lambda", name="l", function=LAMBDA),
        "CVE-2024-3660",
        "run marshalled bytecode",
    ),
    (
        "lambda-from-config",
        layer(
            "Lambda",
            name="l",
            function=["4wEAAAAAAAAA", None, None],
            function_type="lambda",
            module="m",
        ),
        "CVE-2026-12481",
        "run marshalled bytecode",
    ),
    (
        "module-function",
        layer("Dense", name="d", units=3, activation=function("os", "getcwd")),
        "CVE-2025-1550",
        "import a module that the file names and call its function",
    ),
    (
        "keras-gadget",
        layer("Dense", name="d", units=3, activation=function("keras.utils", "get_file")),
        "CVE-2025-8747",
        "call another function of Keras",
    ),
    (
        "unsafe-switch",
        layer(
            "Dense",
            name="d",
            units=3,
            activation=function("keras.config", "enable_unsafe_deserialization"),
        ),
        "CVE-2025-9906",
        "let the file turn off a guard",
    ),
    (
        "module-class",
        layer("Popen", "subprocess", args=["true"]),
        "CVE-2025-1550",
        "make an object of any class",
    ),
    (
        "torch-module",
        layer(
            "TorchModuleWrapper", name="t", module={"class_name": "__bytes__", "config": "gASVAA=="}
        ),
        "CVE-2025-49655",
        "unpickle",
    ),
    (
        "string-lookup",
        layer("StringLookup", name="s", vocabulary="/etc/hostname", num_oov_indices=1),
        "CVE-2025-12058",
        "read a file that the configuration names",
    ),
    (
        "integer-lookup-url",
        layer("IntegerLookup", name="s", vocabulary="http://127.0.0.1:9/words"),
        "CVE-2025-12058",
        "ask a server that the configuration names",
    ),
    (
        "tfsm-layer",
        layer("TFSMLayer", name="t", filepath="/etc", call_endpoint="serve"),
        "CVE-2026-1462",
        "open a folder",
    ),
    ("custom-class", layer("Mine", "mine", name="m"), None, "pass over a layer it does not know"),
]
BIG = 1 << 62
NUMBERS = [
    ("huge-units", model(entry(), dense(units=BIG)), "allocate what a setting declares"),
    (
        "huge-input",
        model(entry(batch_shape=[None, 1 << 31, 1 << 31, 1 << 31]), dense()),
        "overflow",
    ),
    ("negative-units", model(entry(), dense(units=-3)), "take a negative size"),
    ("fractional-units", model(entry(), dense(units=2.5)), "round a size"),
    ("text-units", model(entry(), dense(units="3")), "take text for a number"),
    ("zero-units", model(entry(), dense(units=0)), "make a layer of nothing"),
    (
        "huge-kernel",
        model(
            entry(batch_shape=[None, 4, 4, 1]),
            layer("Conv2D", name="c", filters=1 << 40, kernel_size=[BIG, BIG]),
        ),
        "overflow",
    ),
    (
        "zero-strides",
        model(
            entry(batch_shape=[None, 4, 4, 1]),
            layer("MaxPooling2D", name="p", pool_size=[2, 2], strides=[0, 0]),
        ),
        "divide by zero",
    ),
    (
        "huge-padding",
        model(
            entry(batch_shape=[None, 4, 4, 1]),
            layer("ZeroPadding2D", name="z", padding=[[BIG, BIG], [BIG, BIG]]),
        ),
        "overflow",
    ),
    (
        "reshape-overflow",
        model(entry(), layer("Reshape", name="r", target_shape=[1 << 33, 1 << 33, -1])),
        "overflow",
    ),
    (
        "permute-twice",
        model(entry(batch_shape=[None, 4, 4, 1]), layer("Permute", name="p", dims=[1, 1, 9])),
        "index outside",
    ),
    ("rank-64", model(entry(batch_shape=[None] + [1] * 64), dense()), "take any rank"),
    ("same-layer-name", model(entry(), dense(), dense()), "mix two layers of one name"),
    ("no-layers", model(), "make a model of nothing"),
    ("no-config", {"class_name": "Sequential"}, "take what is missing for empty"),
    ("null", None, "take null for a model"),
    ("list", [[[]]], "take a list for a model"),
]


def functional(layers, outputs):
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": layers,
            "input_layers": [["entry", 0, 0]],
            "output_layers": outputs,
        },
        "registered_name": "Functional",
    }


def node(inner, *sources):
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, 3], "dtype": "float32", "keras_history": s},
        }
        for s in sources
    ]
    return inner | {
        "name": inner["config"]["name"],
        "inbound_nodes": [{"args": tensors, "kwargs": {}}],
    }


ENTRY = entry() | {"name": "entry", "inbound_nodes": []}
GRAPHS = [
    (
        "graph-circle",
        functional([ENTRY, node(dense(), ["dense", 0, 0])], [["dense", 0, 0]]),
        "walk in a circle",
    ),
    (
        "graph-no-such-layer",
        functional([ENTRY, node(dense(), ["ghost", 0, 0])], [["dense", 0, 0]]),
        "take any name",
    ),
    (
        "graph-no-such-node",
        functional([ENTRY, node(dense(), ["entry", 7, 0])], [["dense", 0, 0]]),
        "index outside",
    ),
    (
        "graph-huge-node",
        functional([ENTRY, node(dense(), ["entry", 1 << 60, 0])], [["dense", 0, 0]]),
        "allocate",
    ),
    (
        "graph-no-such-output",
        functional([ENTRY, node(dense(), ["entry", 0, 0])], [["ghost", 0, 0]]),
        "take any name",
    ),
    (
        "graph-no-output",
        functional([ENTRY, node(dense(), ["entry", 0, 0])], []),
        "make a model of nothing",
    ),
]


def as_legacy(config):
    return {"class_name": config["class_name"], "config": config["config"]}


def nested(levels):
    """Sequential in Sequential, as text: Python's own writer gives up before."""
    head = b'{"class_name": "Sequential", "config": {"name": "n", "layers": ['
    return head * levels + json.dumps(dense()).encode() + b"]}}" * levels


def write(put):
    for name, spoiled, cve, why in CODE:
        config = model(entry(), spoiled)
        put(f"{name}.keras", zipped(config), why, cve)
        put(f"{name}.h5", whole(as_legacy(config)), why, "CVE-2025-9905" if cve else None)
    for name, config, why in (*NUMBERS, *GRAPHS):
        put(f"{name}.keras", zipped(config), why)
    large = model(
        entry(batch_shape=[None, 4, 4, 1]),
        layer("UpSampling2D", name="u", size=[1 << 20, 1 << 20]),
    )
    put("huge-up-sampling.keras", zipped(large), "allocate what a setting declares", refuse=None)
    traversal = model(entry(), dense(name="../../tmp/keepnet"))
    put(
        "layer-name-path.keras",
        zipped(traversal),
        "make a path of a name",
        "CVE-2026-12479",
        None,
    )
    deep = 100_000
    put(
        "json-nesting.keras",
        zipped(b"[" * deep + b"]" * deep),
        "recurse 100,000 levels",
    )
    put(
        "json-nesting.h5",
        whole(b"[" * 5_000 + b"]" * 5_000),
        "recurse 5,000 levels",
    )
    put(
        "json-nested-models.keras",
        zipped(nested(5_000)),
        "recurse 5,000 models",
    )
    put(
        "json-many-layers.keras",
        zipped(model(entry(), *[dense()] * 20_000)),
        "spend much on many layers",
    )
    put(
        "json-huge-number.keras",
        zipped(b'{"class_name": 1e999999999}'),
        "take infinity for a number",
    )
    long = json.dumps(model(entry(), dense(name="n" * (1 << 20)))).encode()
    put("json-long-name.keras", zipped(long), "keep a name of 1 MiB", None, None)
    put(
        "json-trailing.keras",
        zipped(json.dumps(PLAIN).encode() + b"{}"),
        "pass over what follows",
        None,
        None,
    )
    put(
        "json-duplicate-key.keras",
        zipped(b'{"class_name":"Sequential",' + json.dumps(PLAIN).encode()[1:]),
        "choose one of two",
        "safetensors#401",
    )
    put("json-not-utf8.keras", zipped(b'{"class_name": "\xff\xfe"}'), "take any bytes for text")
