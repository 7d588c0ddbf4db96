"""The part of the matrix that is committed: small, and one of each kind of file.

Made again they say the same in other bytes: Keras writes the date and addresses of objects.
"""

import json
import shutil

# Folder, and the files of it that are kept beside its description, inputs and predictions.
WANTED = {
    # What each writer makes of each kind of model.
    "k2-batch-normalization": ["model.keras"],
    "k3-net-nested-functional": ["model.keras"],
    "k2-net-nested-functional": ["model.h5"],
    "k3-net-nested-shared": ["model.h5"],
    "k2-net-thawed-layer": ["model.h5"],
    "k3-net-several-ends": ["model.keras"],
    "k3-net-any-size": ["model.keras"],
    "k2-net-moving-operators-legacy": ["model.keras"],
    "k3-net-joining-operators": ["model.h5"],
    "k3-net-dead-ends": ["model.keras"],
    "k2-net-dead-ends": ["model.h5"],
    "k3-net-powers-and-slices": ["model.keras"],
    "k2-net-powers-and-slices-legacy": ["model.h5"],
    "k3-layer-normalization-axes-apart": ["model.keras"],
    "k2-softmax-in-conv1d": ["model.h5"],
    "k3-prelu-in-dense": ["model.keras"],
    "k3-group-normalization": ["model.keras"],
    "k3-rms-normalization-axes": ["model.keras"],
    "k2-up-sampling2d-bilinear-uneven": ["model.keras"],
    "k2-net-channels-first-chain": ["model.h5"],
    "k3-net-arithmetic": ["model.keras"],
    "k3-normalization-adapted": ["model.keras"],
    "k3-policy-bfloat16": ["model.keras"],
    "k2-depthwise-multiplier": ["model.h5"],
    "k2-dense-rank2": ["model.keras", "weights.h5"],
    # Optimizers in each writer's order.
    "k3-optimizer-adam": ["model.keras", "model.h5"],
    "k2-optimizer-adam": ["model.keras", "model.h5"],
    "k2-optimizer-legacy-adam": ["model.h5"],
    "k3-optimizer-adam-amsgrad": ["model.h5"],
    "k2-optimizer-rmsprop-centered": ["model.keras"],
    "k3-optimizer-nadam": ["model.keras"],
    "k3-optimizer-dead-ends-adam": ["model.keras"],
    "k2-optimizer-dead-ends-sgd": ["model.h5"],
    "k2-optimizer-legacy-nadam": ["model.h5"],
    "k3-optimizer-adamax": ["model.keras"],
    "k2-optimizer-legacy-adagrad": ["model.h5"],
    "k2-optimizer-legacy-adadelta": ["model.h5"],
    "k3-schedule-cosine": ["model.keras"],
    # Dialects.
    "dialect-windows": ["model.keras"],
    "dialect-multi-backend-slots": ["model.h5"],
    "dialect-first-layer-shape-flatten": ["model.h5"],
    "dialect-h5-gzip-shuffle-latest": ["model.h5"],
    "dialect-deflated": ["model.keras"],
    # What is refused.
    "k3-refuse-lambda": ["model.keras"],
    "k2-refuse-custom-layer": ["model.h5"],
}


def wanted():
    """Words that select these folders and bases of dialects, for `make.py --only`."""
    return [*WANTED, "k3-net-w1", "k2-flatten"]


def copy(matrix, target):
    """Copies the wanted files of `matrix` into `target`, which keeps what it has beside them."""
    for name, files in WANTED.items():
        source, made = matrix / name, target / name
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for path in [*source.glob("*.npy"), *(source / file for file in files)]:
            shutil.copy(path, made)
        about = json.loads((source / "about.json").read_text()) | {"files": files}
        (made / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    size = sum(p.stat().st_size for name in WANTED for p in (target / name).iterdir())
    print(f"{len(WANTED)} golden folders, {size / 1e3:.0f} kB")
