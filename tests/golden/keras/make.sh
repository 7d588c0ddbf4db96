#!/usr/bin/env bash
# Makes the golden files of this directory, or with `make.sh compare` prints by how much Keras
# differs from itself. Needs Python 3.11 or later; installs TensorFlow into .venv beside this file.
set -euo pipefail
cd "$(dirname "$0")"

venv=${VENV:-.venv}
if [[ ! -x $venv/bin/python ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement requirements.txt
fi
make() { "$venv/bin/python" make.py "$@"; }

case ${1:-} in
    "")
        make --dtype float32
        # For single layers the rounding of float32 is too small to need a second file.
        make --dtype float64 w1 resnet activations losses optimizers training
        ;;
    compare)
        scratch=$(mktemp -d)
        trap 'rm -rf "$scratch"' EXIT
        mkdir "$scratch"/{base,again,onednn,threads,xla,float64}
        networks=(w1 resnet layers)
        {
            make --out "$scratch/base" "${networks[@]}"
            make --out "$scratch/again" "${networks[@]}"
            make --out "$scratch/onednn" --onednn "${networks[@]}"
            make --out "$scratch/threads" --threads 2 "${networks[@]}"
            make --out "$scratch/xla" --jit-compile "${networks[@]}"
            make --out "$scratch/float64" --dtype float64 "${networks[@]}"
        } >&2
        "$venv/bin/python" compare.py "base=$scratch/base" "again=$scratch/again" \
            "oneDNN=$scratch/onednn" "2 threads=$scratch/threads" "XLA=$scratch/xla" \
            "float64=$scratch/float64"
        ;;
    *)
        echo "usage: make.sh [compare]" >&2
        exit 2
        ;;
esac
