"""Opens what keepnet saved in Kerases of other ages, and compares predictions.

    python versions.py OUT              all of VERSIONS, installed into OUT with pip

Run with a Python that has TensorFlow 2.21, from the root of the repository, after `cargo test --test keras_matrix`, which leaves
the files in target/keras-written. Prints a line for each version and form, and why a file is not taken.
"""

import os
import subprocess
import sys
from pathlib import Path

VERSIONS = [
    ("keras", "3.0.5"),
    ("keras", "3.3.3"),
    ("keras", "3.6.0"),
    ("keras", "3.9.2"),
    ("keras", "3.12.0"),
    ("tf-keras", "2.18.0"),
]
# What Keras 3.0 needs beside what 3.15 does.
MORE = ["dm-tree", "attrs", "wrapt"]
WRITTEN = Path("target/keras-written")


def install(out, *packages):
    if not out.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", out, *packages], check=True
        )


def ask(out):
    install(out / "more", *MORE)
    for package, version in VERSIONS:
        home = out / f"{package}-{version}"
        install(home, f"{package}=={version}")
        environment = os.environ | {
            "PYTHONPATH": f"{home}:{out / 'more'}",
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        for form in ["keras", "h5"]:
            command = [sys.executable, "-W", "ignore", __file__, "--open", package, form]
            subprocess.run(command, env=environment, check=True)


def open_all(package, form):
    import numpy as np

    if package == "keras":
        import keras

        paths = WRITTEN.glob(f"keras3.{form}/k3-*.{form}")
    else:
        import tf_keras as keras

        paths = WRITTEN.glob(f"tfkeras.{form}/k2-*.{form}")
    taken, left = 0, []
    for path in sorted(path for path in paths if ".weights." not in path.name):
        name = path.name.removesuffix(f".{form}")
        inputs, expected = (
            [np.load(array) for array in sorted(path.parent.glob(f"{name}.{letter}[0-9.]*npy"))] for letter in "xy"
        )
        try:
            found = keras.models.load_model(path).predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
            found = found if isinstance(found, (list, tuple)) else [found]
            pairs = zip(found, expected, strict=True)
            apart = max(float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)))) for a, b in pairs)
            if apart > 1e-5:
                raise ValueError(f"{apart:.1e} apart")
            taken += 1
        except Exception as error:
            reason = str(error).strip().splitlines()[-1]
            left.append(f"  {name}: {type(error).__name__}: {reason[:120]}")
        keras.backend.clear_session()
    print(f"{package} {keras.__version__} .{form}: {taken} of {taken + len(left)}", *left, sep="\n", flush=True)


if sys.argv[1] == "--open":
    open_all(*sys.argv[2:])
else:
    ask(Path(sys.argv[1]).absolute())
