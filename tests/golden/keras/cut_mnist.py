"""Cuts the first 320 images and labels of the MNIST training set: cut_mnist.py DIRECTORY

The directory holds train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz as published.
"""

import gzip
import struct
import sys
from pathlib import Path

COUNT = 320
HERE = Path(__file__).parent

for name, head in [("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8)]:
    whole = gzip.decompress((Path(sys.argv[1]) / f"train-{name}.gz").read_bytes())
    magic, count = struct.unpack(">II", whole[:8])
    size = (len(whole) - head) // count
    cut = struct.pack(">II", magic, COUNT) + whole[8 : head + COUNT * size]
    (HERE / f"mnist320-{name}.gz").write_bytes(gzip.compress(cut, 9, mtime=0))
