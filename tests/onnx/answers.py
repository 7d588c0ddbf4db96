"""What a model is given and what it answers, kept beside it."""

import json

import numpy
import onnxruntime

COUNT = 2


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def answer(path, count=COUNT, given=None, **remarks):
    """Keeps what onnxruntime answers to `given`, by the names of the inputs, or to random numbers."""
    runtime = session(path)
    if given is None:
        generator = numpy.random.default_rng(0)
        given = {}
        for value in runtime.get_inputs():
            shape = [count] + [dim if isinstance(dim, int) else 16 for dim in value.shape[1:]]
            if isinstance(value.shape[0], int):
                shape[0] = value.shape[0]
            given[value.name] = generator.normal(size=shape).astype("<f4")
    names = [value.name for value in runtime.get_outputs()]
    keep(path, given, dict(zip(names, runtime.run(None, given))), **remarks)


def keep(path, given, found, refused=None, optional=False, first=None):
    """Writes `path` + `.json`, and the numbers that go in and come out, each beside it.

    `refused` is a part of what keepnet says of a model that it does not read. A model that is `optional` it
    may refuse, with whatever words. `first` are the names of the inputs and outputs whose channels are to
    come last in keepnet, all others being as they are here; without it what keepnet says of them is believed.
    """
    case = {"model": path.name, "refused": refused, "optional": optional}
    for place, arrays in [("inputs", given), ("outputs", found)]:
        case[place] = []
        for number, (name, array) in enumerate(arrays.items()):
            file = f"{path.name}.{place}.{number}"
            array.astype("<f4").tofile(path.parent / file)
            entry = {"name": name, "shape": list(array.shape), "file": file}
            if first is not None:
                entry["first"] = name in first
            case[place].append(entry)
    (path.parent / f"{path.name}.json").write_text(json.dumps(case))
