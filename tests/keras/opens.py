"""Says which files of the matrix each Keras opens, and whether it then answers the same.

    python opens.py FOLDER...           (run with keras 3.15.1, tf-keras 2.21.0, TensorFlow 2.21.0)

Writes FOLDER/opens.json: file, Keras, and `ok`, `differs: …` or the error that it gave.
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ |= {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tf_keras  # noqa: E402

from write import predict  # noqa: E402

READERS = {"keras3": keras, "tfkeras": tf_keras}


def said(error):
    """The kind of an error, its first words and its last, where Keras says the reason."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 400 else f"{text[:200]} … {text[-200:]}"
    return f"{type(error).__name__}: {text}"


def opened(k, path, batch, expected):
    """`ok`, `differs: …`, or the error that Keras gave."""
    k.backend.clear_session()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = k.models.load_model(str(path))
        answers = predict(model, batch)
    except Exception as error:
        return said(error)
    if [a.shape for a in answers] != [e.shape for e in expected]:
        return f"differs: shapes {[a.shape for a in answers]}"
    apart = max(
        float(np.max(np.abs(a - e), initial=0.0)) for a, e in zip(answers, expected, strict=True)
    )
    return "ok" if apart <= 1e-5 else f"differs: by {apart:.3g}"


def record(folder):
    """Writes `opens.json` of one folder."""
    about = json.loads((folder / "about.json").read_text())
    batch = [np.load(folder / name) for name in about["inputs"]]
    expected = [np.load(folder / name) for name in about["outputs"]]
    found = {
        name: {reader: opened(k, folder / name, batch, expected) for reader, k in READERS.items()}
        for name in ("model.keras", "model.h5", "model.dir")
        if (folder / name).exists()
    }
    (folder / "opens.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for folder in sys.argv[1:]:
        record(Path(folder))
