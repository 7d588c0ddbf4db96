"""Makes the matrix of Keras files for keepnet to read: what both Kerases write, and dialects of it.

    python make.py OUT                  every model, a folder each
    python make.py OUT --only NAME...   those whose name has one of the words
    python make.py --golden FOLDER      the small ones that are committed

Run with keras 3.15.1, tf-keras 2.21.0, TensorFlow 2.21.0.

OUT/<k3|k2>-<name>/ holds `about.json`, the inputs `x.npy` (or `x0.npy`, `x1.npy` … in the model's
order), Keras' predictions `y.npy`, `optimizer.npy` where it was compiled, and the model:
`model.keras`, `model.h5`, `weights.weights.h5`, and from tf-keras also `weights.h5`.
OUT/dialect-<name>/ is the like, rewritten.
"""

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ |= {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402

import architectures  # noqa: E402
import compile_cases  # noqa: E402
import dialects  # noqa: E402
import golden  # noqa: E402
import layer_cases  # noqa: E402
import refused_cases  # noqa: E402
from write import write  # noqa: E402

WRITERS = {"keras3": ("k3", keras), "tfkeras": ("k2", tf_keras)}
SOURCES = (layer_cases, architectures, compile_cases, refused_cases)


def made(out, only):
    """Writes every case by each of its writers; yields what is said of it, None where it failed."""
    for source in SOURCES:
        for case in source.cases():
            for writer in case.writers:
                short, k = WRITERS[writer]
                name = f"{short}-{case.name}"
                if only and not any(word in name for word in only):
                    continue
                shutil.rmtree(out / name, ignore_errors=True)
                try:
                    yield name, write(case, k, writer, out / name)
                except Exception:
                    shutil.rmtree(out / name, ignore_errors=True)
                    print(f"{name}: not made\n{traceback.format_exc(limit=-3)}", file=sys.stderr)
                    yield name, None


def matrix(out, only):
    """Every model and dialect whose name has one of the words `only`."""
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    summary = dict(made(out, only))
    summary |= dialects.rewrite(out, only)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if None in summary.values():
        sys.exit("a part of the matrix was not made")
    print(f"{len(summary)} models, {size / 1e6:.1f} MB, {time.monotonic() - started:.0f} s")


def main():
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument("out", type=Path, nargs="?")
    arguments.add_argument("--only", nargs="+", default=[])
    arguments.add_argument("--golden", type=Path)
    arguments = arguments.parse_args()
    # The same arithmetic without the seconds that tracing a step takes; the files do not tell.
    tf.config.run_functions_eagerly(True)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if arguments.out:
        matrix(arguments.out, arguments.only)
    if arguments.golden:
        with tempfile.TemporaryDirectory() as scratch:
            source = arguments.out or Path(scratch)
            if not arguments.out:
                matrix(source, golden.wanted())
            golden.copy(source, arguments.golden)


if __name__ == "__main__":
    main()
