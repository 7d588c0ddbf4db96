"""Makes golden files of one float type; make.sh runs this as it should be run."""

import argparse
import os
import platform
from pathlib import Path

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--dtype", choices=["float32", "float64"], default="float32")
arguments.add_argument("--out", type=Path, default=Path(__file__).parent)
arguments.add_argument("--threads", type=int, default=1)
arguments.add_argument("--onednn", action="store_true")
arguments.add_argument("--jit-compile", action="store_true", help="train the networks under XLA")
arguments.add_argument("names", nargs="*", help="the files to make, without ending; else all")
arguments = arguments.parse_args()

# TensorFlow reads these when it is imported.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = str(int(arguments.onednn))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow  # noqa: E402

import formula  # noqa: E402
import function_cases  # noqa: E402
import layer_cases  # noqa: E402
import more_layer_cases  # noqa: E402
import networks  # noqa: E402
import norm_cases  # noqa: E402
import optimizer_cases  # noqa: E402
import training_cases  # noqa: E402
from record import SAMPLING, numbers, write  # noqa: E402

tensorflow.get_logger().setLevel("ERROR")
tensorflow.config.threading.set_intra_op_parallelism_threads(arguments.threads)
tensorflow.config.threading.set_inter_op_parallelism_threads(arguments.threads)
keras.config.set_floatx(arguments.dtype)

header = {
    "program": "keepnet tests/golden/keras/make.py",
    "versions": {
        "keras": keras.__version__,
        "tensorflow": tensorflow.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    },
    "dtype": arguments.dtype,
    "onednn": arguments.onednn,
    "threads": arguments.threads,
    "jit_compile": arguments.jit_compile,
    "formula": formula.TEXT,
    "formula_examples": [
        {**example.json(), "first": numbers(example.values().ravel()[:4])}
        for example in formula.EXAMPLES
    ],
    "sampling": SAMPLING,
}

contents = {
    "w1": lambda: networks.w1_record(arguments.jit_compile),
    "resnet": lambda: networks.resnet_record(arguments.jit_compile),
    "layers": lambda: {"cases": layer_cases.record()},
    "more_layers": lambda: {
        "cases": more_layer_cases.record(),
        "merges": more_layer_cases.merges(),
    },
    "norms": lambda: {"cases": norm_cases.record()},
    "activations": function_cases.activations,
    "losses": lambda: {"cases": function_cases.losses()},
    "optimizers": optimizer_cases.record,
    "training": training_cases.record,
}
for name in arguments.names or contents:
    path = arguments.out / f"{name}.{arguments.dtype}.json"
    write(path, {"header": header, **contents[name]()})
    print(f"{path.stat().st_size:>8} bytes  {path}")
