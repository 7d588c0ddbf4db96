"""Operators as exporters and people write them, a model or two for each, and what onnxruntime answers. What
keepnet has no layer for it is to refuse, and to say why.

    make_operators.py FOLDER
"""

import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from answers import answer  # noqa: E402

FOLDER = pathlib.Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)
IMAGE = (6, 5, 4)
GENERATOR = numpy.random.default_rng(1)


def random(*shape):
    return GENERATOR.normal(size=shape).astype("f4")


def ints(*numbers):
    return numpy.array(numbers, "i8")


def save(name, nodes, shape=IMAGE, opset=17, refused=None, batch="N", outputs=("y",), first=None,
         **constants):
    """A model of `nodes` from x to `outputs`; constants are arrays or tensors."""
    as_tensor = lambda name, value: (  # noqa: E731
        value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(value, name)
    )
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs],
        [as_tensor(name, value) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path = FOLDER / f"{name}.onnx"
    onnx.save(model, path)
    answer(path, refused=refused, first=first)


def node(operator, inputs="x", output="y", **attributes):
    outputs = output.split()
    return helper.make_node(operator, inputs.split(" "), outputs, **attributes)


def one(name, operator, shape=IMAGE, opset=17, refused=None, inputs="x", attributes=None, **constants):
    """A model of one operator, whose inputs after x are constants."""
    inputs = " ".join([inputs, *constants]) if constants else inputs
    save(name, [node(operator, inputs, **(attributes or {}))], shape, opset, refused, **constants)


# Functions of each number.
for operator, opset, attributes in [
    ("HardSwish", 14, {}),
    ("HardSigmoid", 7, {}),
    ("HardSigmoid", 17, {"alpha": 1 / 6}),
    ("HardSigmoid", 17, {"alpha": 0.3, "beta": 0.4}),
    ("Gelu", 20, {}),
    ("Gelu", 20, {"approximate": "tanh"}),
    ("Mish", 18, {}),
    ("Softplus", 7, {}),
    ("Softsign", 7, {}),
    ("Celu", 12, {"alpha": 0.7}),
    ("Elu", 7, {"alpha": 0.7}),
    ("Selu", 7, {}),
    ("Selu", 7, {"alpha": 1.5, "gamma": 2.0}),
    ("LeakyRelu", 7, {"alpha": 0.2}),
    ("ThresholdedRelu", 10, {"alpha": 0.3}),
    ("Shrink", 9, {"lambd": 0.4, "bias": 0.4}),
    ("Shrink", 9, {"lambd": 0.4, "bias": 0.0}),
    ("Exp", 7, {}),
    ("Tanh", 7, {}),
    ("Sigmoid", 7, {}),
    ("Identity", 7, {}),
    ("Dropout", 7, {"ratio": 0.4}),
    ("Softmax", 13, {"axis": 1}),
    ("LogSoftmax", 13, {"axis": -1}),
    ("LpNormalization", 17, {"refused": "LpNormalization (×1)"}),
    ("Softmax", 11, {"axis": 1, "refused": "is a softmax over several axes at once"}),
]:
    refused = attributes.pop("refused", None)
    words = "-".join([operator, str(opset), *(f"{k}={str(v)[:6]}" for k, v in attributes.items())])
    one(words, operator, opset=opset, attributes=attributes, refused=refused)
one("Clip-6", "Clip", opset=7, attributes={"min": -0.5, "max": 0.7})
one("Clip-max", "Clip", inputs="x ", high=numpy.float32(0.5))
one("Relu6", "Clip", low=numpy.float32(0), high=numpy.float32(6))
one("PRelu", "PRelu", slope=random(6, 1, 1))
one("Dropout-12", "Dropout", ratio=numpy.float32(0.5))
one("Dropout-off", "Dropout", ratio=numpy.float32(0.5), training=numpy.bool_(False))
one(
    "Dropout-training",
    "Dropout",
    refused="drops numbers as in training",
    ratio=numpy.float32(0.5),
    training=numpy.bool_(True),
)

# Means and pools.
one("ReduceMean-13", "ReduceMean", opset=13, attributes={"axes": [2, 3]})
one("ReduceMean-18", "ReduceMean", opset=18, attributes={"keepdims": 0}, axes=ints(-1, -2))
one("ReduceMax-12", "ReduceMax", opset=12, attributes={"axes": [-2, -1], "keepdims": 0})
one("ReduceMean-last", "ReduceMean", opset=13, attributes={"axes": [1, 2], "keepdims": 0})
one("ReduceMean-channels", "ReduceMean", opset=13, attributes={"axes": [1]},
    refused="takes in other axes than those of images")
one("ReduceMean-all", "ReduceMean", opset=13, refused="takes in all axes")
one("GlobalAveragePool-1d", "GlobalAveragePool", shape=(6, 9))
one("AveragePool-ceil", "AveragePool", attributes={
    "kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1})
one("AveragePool-counts", "AveragePool", attributes={
    "kernel_shape": [3, 3], "pads": [1, 0, 1, 2], "count_include_pad": 1})
one("MaxPool-same-lower", "MaxPool", attributes={
    "kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"})
one("MaxPool-dilated", "MaxPool", attributes={"kernel_shape": [2, 2], "dilations": [2, 1]},
    refused="is a pool with gaps")
one("LpPool", "LpPool", attributes={"kernel_shape": [2, 2]}, refused="LpPool (×1)")

# Normalisations.
one("LayerNormalization-last", "LayerNormalization", scale=random(4), bias=random(4))
one("LayerNormalization-image", "LayerNormalization", attributes={"axis": 1, "epsilon": 1e-3},
    scale=random(*IMAGE), bias=random(*IMAGE))
one("LayerNormalization-no-bias", "LayerNormalization", attributes={"axis": 2}, scale=random(5, 4))
one("LayerNormalization-vector", "LayerNormalization", shape=(7,), scale=random(7), bias=random(7))
one("GroupNormalization-18", "GroupNormalization", opset=18, attributes={"num_groups": 3},
    scale=random(3), bias=random(3))
one("GroupNormalization-21", "GroupNormalization", opset=21,
    attributes={"num_groups": 2, "epsilon": 0.01}, scale=random(6), bias=random(6))
one("InstanceNormalization", "InstanceNormalization", scale=random(6), bias=random(6))
one("InstanceNormalization-1d", "InstanceNormalization", shape=(6, 9), scale=random(6), bias=random(6))
save("GroupNormalization-torch", [
    node("Reshape", "x grouping", "grouped"),
    node("InstanceNormalization", "grouped ones zeros", "normal"),
    node("Shape", "x", "whole"),
    node("Reshape", "normal whole", "back"),
    node("Mul", "back scale", "scaled"),
    node("Add", "scaled bias", "y"),
], grouping=ints(0, 3, -1), ones=numpy.ones(3, "f4"), zeros=numpy.zeros(3, "f4"),
    scale=random(6, 1, 1), bias=random(6, 1, 1))
one("BatchNormalization-7", "BatchNormalization", opset=7, scale=random(6), bias=random(6),
    mean=random(6), variance=numpy.abs(random(6)) + 0.5)
one("BatchNormalization-vector", "BatchNormalization", shape=(6,), scale=random(6), bias=random(6),
    mean=random(6), variance=numpy.abs(random(6)) + 0.5)
one("LRN", "LRN", attributes={"size": 3}, refused="LRN (×1)")

# What moves numbers.
one("Flatten", "Flatten")
one("Flatten--3", "Flatten", attributes={"axis": -3})
one("Flatten--1", "Flatten", shape=(5,), attributes={"axis": -1})
one("Flatten-rows", "Flatten", attributes={"axis": -1}, refused="with the rows of all samples")
for axis in (0, 2):
    one(f"Flatten-{axis}", "Flatten", attributes={"axis": axis},
        refused="flattens from another axis than 1 on")
one("Reshape-14", "Reshape", opset=14, wanted=ints(0, -1, 4))
one("Reshape-batch", "Reshape", wanted=ints(-1, 4), refused="with the rows of all samples")
one("Squeeze-11", "Squeeze", shape=(3, 1, 4), opset=11, attributes={"axes": [2]})
one("Squeeze-13", "Squeeze", shape=(3, 1, 1), axes=ints(-1, -2))
save("Squeeze-batch", [node("Squeeze", "x axes")], shape=(3, 4), batch=1, axes=ints(0),
     refused="takes the axis of the batch away")
one("Unsqueeze-11", "Unsqueeze", shape=(3, 4), opset=11, attributes={"axes": [1, 4]})
one("Unsqueeze-13", "Unsqueeze", shape=(3, 4), axes=ints(-1))
one("Unsqueeze-batch", "Unsqueeze", shape=(3, 4), axes=ints(0), refused="puts an axis before the batch")
one("Transpose", "Transpose", attributes={"perm": [0, 3, 1, 2]})
# Images come as in the file unless their channels stand first there.
for perm, first in [
    ((0, 1, 2, 3), "xy"), ((0, 3, 2, 1), "x"), ((0, 1, 3, 2), "x"), ((0, 2, 1, 3), "x"), ((0, 2, 3, 1), "x")
]:
    save(
        "Conv-Transpose-" + "".join(map(str, perm)),
        [node("Conv", "x kernel", "c", pads=[1] * 4), node("Transpose", "c", perm=perm)],
        shape=(3, 6, 5), first=first, kernel=random(4, 3, 3, 3),
    )
save("Resize-channels-last", [
    node("Resize", "x  scales", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
], shape=(4, 5, 3), first="", scales=numpy.array([1, 2, 2, 1], "f4"))
one("Tile", "Tile", repeats=ints(1, 2, 1, 3))
one("Tile-vector", "Tile", shape=(5,), repeats=ints(1, 3))
one("Tile-batch", "Tile", repeats=ints(2, 1, 1, 1), refused="gives another number of samples")
one("Expand", "Expand", shape=(3, 1, 4), wanted=ints(1, 3, 2, 4), refused="Expand (×1)")
one("Pad-10", "Pad", opset=10, attributes={"pads": [0, 0, 1, 0, 0, 0, 2, 3]})
one("Pad-13", "Pad", pads=ints(0, 0, 1, 0, 0, 0, 2, 3))
save("Pad-18", [node("Pad", "x pads  axes")], opset=18, pads=ints(1, 0, 0, 2), axes=ints(-2, -1))
one("Pad-cuts", "Pad", pads=ints(0, 0, -1, 0, 0, 0, 1, -2))
one("Pad-channels", "Pad", pads=ints(0, 1, 0, 0, 0, 2, 0, 0))
one("Pad-reflect", "Pad", attributes={"mode": "reflect"}, pads=ints(0, 0, 1, 1, 0, 0, 1, 1),
    refused="pads with other numbers than zeros")
one("Pad-ones", "Pad", pads=ints(0, 0, 1, 1, 0, 0, 1, 1), value=numpy.float32(1),
    refused="pads with other numbers than zeros")
one("Slice-9", "Slice", opset=9, attributes={"starts": [1, -3], "ends": [9, -1], "axes": [2, 3]})
one("Slice-channels", "Slice", starts=ints(2), ends=ints(5), axes=ints(1))
one("Slice-steps", "Slice", starts=ints(0), ends=ints(9), axes=ints(2), steps=ints(2),
    refused="takes one of several values")
for name, opset, attributes, constants in [
    ("7", 7, {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 3.0]}, {}),
    ("9", 9, {"mode": "nearest"}, {"scales": numpy.array([1, 1, 2, 2], "f4")}),
]:
    one(f"Upsample-{name}", "Upsample", opset=opset, attributes=attributes, **constants)
SCALES = numpy.array([1, 1, 2, 3], "f4")
one("Resize-10", "Resize", opset=10, attributes={"mode": "nearest"}, scales=SCALES)
one("Resize-11", "Resize", opset=11, attributes={"mode": "nearest"}, roi=SCALES[:0], scales=SCALES)
one("Resize-floor", "Resize", opset=13, inputs="x ", attributes={
    "mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric",
}, scales=SCALES)
one("Resize-linear", "Resize", opset=13, inputs="x ", attributes={"mode": "linear"}, scales=SCALES)
one("Resize-sizes", "Resize", opset=13, inputs="x  ", attributes={
    "mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric",
}, sizes=ints(2, 6, 10, 8))
one("Resize-corners", "Resize", opset=13, inputs="x ", attributes={
    "mode": "linear", "coordinate_transformation_mode": "align_corners",
}, scales=SCALES, refused="resizes by a mode, or by places of pixels")
one("Resize-half", "Resize", opset=13, inputs="x ", attributes={"mode": "nearest"},
    scales=numpy.array([1, 1, 0.5, 1], "f4"), refused="resizes by other than whole factors")
one("DepthToSpace", "DepthToSpace", shape=(8, 3, 3), attributes={"blocksize": 2},
    refused="DepthToSpace (×1)")

# Channels in parts, and together again.
KERNEL = {"k": random(4, 3, 3, 3), "l": random(4, 3, 3, 3)}
PARTS = [
    node("Conv", "a k", "c"), node("Conv", "b l", "d"), node("Concat", "c d", "y", axis=1),
]
save("Split-11", [node("Split", "x", "a b", axis=1, split=[3, 3]), *PARTS], opset=11, **KERNEL)
save("Split-13", [node("Split", "x sizes", "a b", axis=1), *PARTS], sizes=ints(3, 3), **KERNEL)
save("Split-equal", [node("Split", "x", "a b", axis=1), *PARTS], **KERNEL)
save("Split-18", [node("Split", "x", "a b", axis=1, num_outputs=2), *PARTS], opset=18, **KERNEL)
save("Split-uneven", [
    node("Split", "x", "a b", axis=2, num_outputs=2), node("Concat", "b a", "y", axis=2),
], opset=18)
save("Split-last", [
    node("Split", "x sizes", "a b c", axis=-1), node("Concat", "c a", "y", axis=3),
], sizes=ints(1, 2, 1))
save("Split-batch", [node("Split", "x", "a b", axis=0), node("Add", "a b")], batch=2,
     refused="takes some of the samples")

# Nodes that give nothing but numbers of the file, and numbers of every type in every field.
save("Constant-value", [
    helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(random(6, 1, 1), "c")),
    node("Mul", "x c"),
])
save("Constant-float", [
    helper.make_node("Constant", [], ["c"], value_float=0.25), node("Add", "x c"),
])
save("Constant-ints", [
    helper.make_node("Constant", [], ["c"], value_ints=[0, 30, 4]), node("Reshape", "x c"),
])
save("ConstantOfShape", [
    helper.make_node("ConstantOfShape", ["s"], ["c"]), node("Add", "x c"),
], s=ints(1), refused="ConstantOfShape (×1)")
for kind in ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16", "INT8", "UINT8", "INT16", "UINT16",
             "INT32", "INT64", "UINT32", "UINT64"):
    numbers = [1.0, 2.0, 3.0, 5.0, 7.0, 100.0]
    if "FLOAT" not in kind and kind != "DOUBLE":
        numbers = [int(number) for number in numbers]
    if kind[:3] == "INT":
        numbers[1] = -numbers[1]
    tensor = helper.make_tensor("c", getattr(TensorProto, kind), [6, 1, 1], numbers)
    if tensor.raw_data:  # of a type that has no field of its own
        print(f"{kind}: raw")
    save(f"typed-{kind}", [
        node("Cast", "c", "d", to=TensorProto.FLOAT), node("Mul", "x d"),
    ], c=tensor)

# Several of what has no layer are told together.
save("unknown", [
    node("Sin", "x", "a"), node("Sin", "a", "b"), node("Ceil", "b", "y"),
], refused="Ceil (×1), Sin (×2)")
