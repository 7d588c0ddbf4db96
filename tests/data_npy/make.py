#!/usr/bin/env python3
"""Makes the npy files beside it; these were made with NumPy 2.4.6 on a little-endian machine."""

from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

# A quiet NaN with a payload, -0, infinity, the smallest subnormal, 1/3, 2.
bits = np.array([0x7FC0_1234, 0x8000_0000, 0x7F80_0000, 1, 0x3EAA_AAAB, 0x4000_0000], "<u4")
np.save(HERE / "float32.npy", bits.view("<f4").reshape(2, 3))

counting = np.arange(-3, 21).reshape(2, 3, 4)
np.save(HERE / "int64_big_endian_fortran.npy", np.asfortranarray(counting.astype(">i8")))
np.save(HERE / "float64_scalar.npy", np.float64(0.1))
np.save(HERE / "bool_empty.npy", np.zeros((0, 5), "?"))

with open(HERE / "uint8_version2.npy", "wb") as out:
    np.lib.format.write_array(out, np.array([0, 1, 254, 255], "u1"), version=(2, 0))

np.save(HERE / "objects.npy", np.array([None, {}], object), allow_pickle=True)
np.save(HERE / "structured.npy", np.zeros(1, [("a", "<f4"), ("b", "<f4")]))
