"""What onnx.checker and onnxruntime make of the files that keepnet wrote into a folder.

    check.py FOLDER
"""

import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

FOLDER = pathlib.Path(sys.argv[1])
TOLERANCE = 1e-5


def numbers(entry):
    return numpy.fromfile(FOLDER / entry["file"], "<f4").reshape(entry["shape"])


def difference(case):
    path = FOLDER / case["model"]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == [i["name"] for i in case["inputs"]]
    assert [o.name for o in session.get_outputs()] == [o["name"] for o in case["outputs"]]
    found = session.run(None, {entry["name"]: numbers(entry) for entry in case["inputs"]})
    worst = 0.0
    for entry, found in zip(case["outputs"], found):
        expected = numbers(entry)
        assert found.shape == expected.shape, f"{entry['name']}: {found.shape}, not {expected.shape}"
        off = numpy.max(numpy.abs(found - expected) / numpy.maximum(1.0, numpy.abs(expected)))
        assert off <= TOLERANCE, f"{entry['name']}: off by {off}"
        worst = max(worst, float(off))
    return worst


failed, worst = 0, 0.0
cases = json.loads((FOLDER / "cases.json").read_text())
for case in cases:
    try:
        worst = max(worst, difference(case))
    except Exception as error:  # every case is to be told of
        failed += 1
        print(f"{case['model']}: {type(error).__name__}: {error}"[:600])
print(f"{len(cases) - failed} of {len(cases)} files agree, within {worst:.1e}")
sys.exit(failed > 0)
