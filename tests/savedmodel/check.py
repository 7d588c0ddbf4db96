"""Runs SavedModels of keepnet in TensorFlow, in each way that it loads them, and compares predictions.

    check.py FOLDER

FOLDER/cases.json names the cases, each a folder with `model` and the numbers that are given and expected.
"""

import contextlib
import ctypes
import io
import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf

folder = pathlib.Path(sys.argv[1])
cases = json.loads((folder / "cases.json").read_text())
faults = []
largest = {}


def numbers(case, entry):
    values = np.fromfile(folder / case["name"] / entry["file"], dtype="<f4")
    return values.reshape(entry["shape"])


def compare(way, case, found):
    expected = {entry["name"]: numbers(case, entry) for entry in case["outputs"]}
    if set(found) != set(expected):
        faults.append(f"{case['name']} by {way}: gives {sorted(found)}, not {sorted(expected)}")
        return
    for name, values in expected.items():
        got = np.asarray(found[name])
        if got.shape != values.shape:
            faults.append(f"{case['name']} by {way}: {name} is {got.shape}, not {values.shape}")
            continue
        finite = np.isfinite(values) & np.isfinite(got)
        size = np.maximum(1.0, np.abs(values))
        with np.errstate(invalid="ignore"):
            difference = (np.abs(got - values) / size)[finite].max(initial=0.0)
        largest[way] = max(largest.get(way, 0.0), float(difference))
        if difference > case["tolerance"]:
            faults.append(f"{case['name']} by {way}: {name} differs by {difference}")
        # What is infinite here may be no number there, but what is finite is finite in both.
        if (np.isfinite(values) != np.isfinite(got)).any():
            faults.append(f"{case['name']} by {way}: {name} is not finite in the same places")


def by_signature(path, case, inputs):
    loaded = tf.saved_model.load(path)
    for name in ("serving_default", "serve"):
        compare(name, case, loaded.signatures[name](**inputs))
    variables = list(loaded.variables)
    trained = [variable for variable in variables if variable.trainable]
    if [len(variables), len(trained)] != [case["variables"], case["trained"]]:
        faults.append(f"{case['name']}: {len(trained)} of {len(variables)} variables are trainable")
    return loaded, trained


def by_session(path, case, inputs):
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
        signature = graph.signature_def["serving_default"]
        feed = {signature.inputs[name].name: values for name, values in inputs.items()}
        fetch = {name: info.name for name, info in signature.outputs.items()}
        compare("session", case, session.run(fetch, feed))
    return signature


def by_layer(path, case, inputs):
    import keras

    for endpoint in ("serve", "serving_default"):
        layer = keras.layers.TFSMLayer(path, call_endpoint=endpoint)
        if len(inputs) == 1:
            compare("TFSMLayer", case, layer(*inputs.values()))
        if len(layer.trainable_weights) != case["trained"]:
            faults.append(f"{case['name']}: {len(layer.trainable_weights)} weights are trainable")


def by_gradient(loaded, trained, case, inputs):
    with tf.GradientTape() as tape:
        results = loaded.signatures["serving_default"](**inputs)
        loss = tf.add_n([tf.reduce_sum(result**2) for result in results.values()])
    try:
        gradients = tape.gradient(loss, trained)
    except tf.errors.InvalidArgumentError as error:
        # TensorFlow has no gradient of dilated convolutions for processors, whoever wrote them.
        if "dilation rates larger than 1" in str(error):
            return
        raise
    if any(gradient is None for gradient in gradients):
        faults.append(f"{case['name']}: a variable has no gradient")


def by_saving_again(loaded, case, inputs):
    again = str(folder / case["name"] / "again")
    tf.saved_model.save(loaded, again, signatures=loaded.signatures)
    compare("saved again", case, tf.saved_model.load(again).signatures["serving_default"](**inputs))


class Output(ctypes.Structure):
    """`TF_Output`: a result of an operation."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def by_c(path, case, inputs, signature):
    """The loader of C++, which TensorFlow Serving uses, and a session of C++."""
    home = pathlib.Path(tf.__file__).parent
    c = ctypes.CDLL(str(next(path for path in home.glob("libtensorflow_cc.so*"))))
    for name in (
        "NewStatus", "NewGraph", "NewSessionOptions", "LoadSessionFromSavedModel",
        "GraphOperationByName", "AllocateTensor", "TensorData",
    ):  # fmt: skip
        getattr(c, f"TF_{name}").restype = ctypes.c_void_p
    c.TF_Message.restype = ctypes.c_char_p
    c.TF_Dim.restype = ctypes.c_int64
    status = ctypes.c_void_p(c.TF_NewStatus())
    graph = ctypes.c_void_p(c.TF_NewGraph())
    options = ctypes.c_void_p(c.TF_NewSessionOptions())
    tags = (ctypes.c_char_p * 1)(b"serve")

    def check():
        if c.TF_GetCode(status) != 0:
            raise RuntimeError(c.TF_Message(status).decode())

    session = c.TF_LoadSessionFromSavedModel(
        options, None, path.encode(), tags, 1, graph, None, status
    )
    check()
    session = ctypes.c_void_p(session)

    def output(info):
        name, _, index = info.name.partition(":")
        return Output(c.TF_GraphOperationByName(graph, name.encode()), int(index))

    def tensor(values):
        dims = (ctypes.c_int64 * values.ndim)(*values.shape)
        made = c.TF_AllocateTensor(1, dims, values.ndim, ctypes.c_size_t(values.nbytes))
        ctypes.memmove(c.TF_TensorData(ctypes.c_void_p(made)), values.tobytes(), values.nbytes)
        return made

    def array(given):
        given = ctypes.c_void_p(given)
        shape = [c.TF_Dim(given, axis) for axis in range(c.TF_NumDims(given))]
        count = int(np.prod(shape))
        numbers = (ctypes.c_float * count).from_address(c.TF_TensorData(given))
        return np.array(numbers, "f4").reshape(shape)

    fed = (Output * len(inputs))(*(output(signature.inputs[name]) for name in inputs))
    values = (ctypes.c_void_p * len(inputs))(*map(tensor, inputs.values()))
    names = list(signature.outputs)
    wanted = (Output * len(names))(*(output(signature.outputs[name]) for name in names))
    given = (ctypes.c_void_p * len(names))()
    c.TF_SessionRun(
        session, None, fed, values, len(inputs), wanted, given, len(names), None, 0, None, status
    )
    check()
    compare("C++", case, dict(zip(names, map(array, given))))


def by_the_tool(path, case, inputs):
    """What `saved_model_cli run` does: TensorFlow 1's loader in Python, and a session."""
    from tensorflow.python.tools import saved_model_cli

    home = folder / case["name"] / "tool"
    with contextlib.redirect_stdout(io.StringIO()):
        saved_model_cli.run_saved_model_with_feed_dict(
            path, "serve", "serving_default", inputs, str(home), True
        )
    names = [entry["name"] for entry in case["outputs"]]
    compare("saved_model_cli", case, {name: np.load(home / f"{name}.npy") for name in names})


for case in cases["cases"]:
    path = str(folder / case["name"] / "model")
    inputs = {entry["name"]: tf.constant(numbers(case, entry)) for entry in case["inputs"]}
    try:
        loaded, trained = by_signature(path, case, inputs)
        if cases["ways"] == "all":
            arrays = {name: values.numpy() for name, values in inputs.items()}
            signature = by_session(path, case, arrays)
            by_c(path, case, arrays, signature)
            by_the_tool(path, case, arrays)
            by_layer(path, case, inputs)
            by_gradient(loaded, trained, case, inputs)
            by_saving_again(loaded, case, inputs)
    except Exception as error:
        faults.append(f"{case['name']}: {type(error).__name__}: {str(error)[:600]}")

for way, difference in sorted(largest.items()):
    print(f"{way}: at most {difference:.1e} apart, {len(cases['cases'])} models")
for fault in faults:
    print("FAULT", fault)
sys.exit(1 if faults else 0)
