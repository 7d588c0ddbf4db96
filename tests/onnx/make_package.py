"""The models that the package onnx ships for tests of backends, and what they answer: networks and single
layers that an exporter wrote from PyTorch in 2017 and 2018, the networks of the ONNX model zoo without their
numbers, and the examples that define each operator.

    make_package.py FOLDER
"""

import pathlib
import re
import sys
import warnings

import numpy
import onnx
from onnx import TensorProto, numpy_helper, version_converter
from onnx.backend.test.case.node import collect_testcases

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from answers import answer, keep  # noqa: E402

FOLDER = pathlib.Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)
DATA = pathlib.Path(onnx.__file__).parent / "backend/test/data"

# Why keepnet refuses some of them, by their names.
REFUSED = [
    ("(AvgPool|Conv|MaxPool)3d", "takes neither images nor sequences"),
    ("ConstantPad2d|ReflectionPad2d|ReplicationPad2d", "pads with other numbers than zeros"),
    ("Embedding", "`gather` computes with samples what keepnet has no layer for"),
    ("MaxPool.d_stride_padding_dilation", "is a pool with gaps"),
    ("PoissonNLLLLoss_no_reduce", "takes numbers that differ along several axes"),
    ("Softmin", "keepnet knows no layer for Neg (×1)"),
    ("test_Softsign", "keepnet knows no layer for Abs (×1)"),
    ("alexnet|inception_v1|zfnet512", "LRN (×2)"),
]


def reason(name):
    return next((words for pattern, words in REFUSED if re.search(pattern, name)), None)


def converted():
    for home in sorted((DATA / "pytorch-converted").iterdir()):
        model = onnx.load(home / "model.onnx")
        # Their operators are of set 6, which is set 7 but for how shapes are brought to one.
        if model.opset_import[0].version < 7:
            model = version_converter.convert_version(model, 7)
        path = FOLDER / f"{home.name}.onnx"
        onnx.save(model, path)
        given = {
            value.name: numpy_helper.to_array(
                onnx.load_tensor(home / f"test_data_set_0/input_{number}.pb")
            )
            for number, value in enumerate(inputs(model))
        }
        try:
            answer(path, given=given, refused=reason(path.stem))
        except Exception as error:  # of PRelu, whose slopes were brought to the channels otherwise
            print(f"{path.name}: {str(error)[:120]}")


def inputs(model):
    initializers = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in initializers]


def zoo():
    """Random numbers take the place of the nodes that fill tensors with one."""
    generator = numpy.random.default_rng(0)
    for source in sorted((DATA / "light").glob("*.onnx")):
        if "vgg19" in source.name:  # half a gigabyte
            continue
        model = onnx.load(source)
        path = FOLDER / source.name
        if reason(path.stem):
            onnx.save(model, path)
            keep(path, {}, {}, refused=reason(path.stem))
            continue
        graph = model.graph
        shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        variances = {n.input[4] for n in graph.node if n.op_type == "BatchNormalization"}
        filled, kept = {}, []
        for node in graph.node:
            if node.op_type != "ConstantOfShape":
                kept.append(node)
                continue
            name, shape = node.output[0], shapes[node.input[0]]
            scale = numpy.sqrt(2 / max(1, numpy.prod(shape[1:]))) if len(shape) > 1 else 0.1
            numbers = (scale * generator.standard_normal(shape)).astype("f4")
            filled[name] = numpy.abs(numbers) + 1 if name in variances else numbers
        used = {name for node in kept for name in node.input}
        del graph.node[:], graph.initializer[:]
        graph.node.extend(kept)
        for name, numbers in {**shapes, **filled}.items():
            if name in used:
                graph.initializer.append(numpy_helper.from_array(numbers, name))
        own = [value for value in graph.input if value.name not in shapes]
        del graph.input[:]
        graph.input.extend(own)
        onnx.save(model, path)
        answer(path)


def examples():
    """The first input is what goes in, the others are numbers of the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        model, (given, found) = case.model, case.data_sets[0]
        own = model.graph.input
        is_network = (
            own
            and all(isinstance(array, numpy.ndarray) for array in [*given, *found])
            and own[0].type.tensor_type.elem_type == TensorProto.FLOAT
            and given[0].ndim > 1
            and given[0].size > 0
            and all(array.size > 0 for array in found)
        )
        if not is_network:
            continue
        named = zip([value.name for value in own[1:]], given[1:])
        for name, array in named:
            model.graph.initializer.append(numpy_helper.from_array(array, name))
        del own[1:]
        path = FOLDER / f"{case.name}.onnx"
        onnx.save(model, path)
        names = [value.name for value in model.graph.output]
        keep(path, {own[0].name: given[0]}, dict(zip(names, found)), optional=True)


converted()
zoo()
examples()
