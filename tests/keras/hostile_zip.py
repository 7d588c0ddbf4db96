"""Zips that lie of their sizes, say a thing twice, or name paths outside."""

import io
import json
import struct
import zipfile

from containers import MODEL_WEIGHTS
from hostile_base import PLAIN, dense, entry, model, weights, zipped


def patched(data, signature, offset, value):
    """Overwrites `value` at `offset` after each `signature`."""
    data, at = bytearray(data), -1
    while (at := data.find(signature, at + 1)) >= 0:
        data[at + offset : at + offset + len(value)] = value
    return bytes(data)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def doubled(name, data):
    made = io.BytesIO(zipped())
    with zipfile.ZipFile(made, "a") as archive:
        archive._didModify = True
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        archive.NameToInfo.pop(name)
        archive.writestr(info, data)
    return made.getvalue()


def symlink():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(PLAIN))
        info = zipfile.ZipInfo(MODEL_WEIGHTS, (1980, 1, 1, 0, 0, 0))
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/hostname")
    return made.getvalue()


def write(put):
    spaces = json.dumps(PLAIN).encode() + b" " * (16 << 20)
    put(
        "zip-bomb.keras",
        zipped(spaces),
        "inflate 16 MiB of blanks without a budget",
        "keras commit e5d9412",
        None,
    )
    lie = struct.pack("<I", 0xFFFFFFF0)
    put(
        "zip-declares-4gib.keras",
        patched(zipped(), CENTRAL, 24, lie),
        "allocate what the directory declares",
    )
    small = struct.pack("<I", 10)
    put(
        "zip-declares-too-little.keras",
        patched(zipped(), CENTRAL, 24, small),
        "inflate past what is declared",
    )
    put(
        "zip-wrong-crc.keras",
        patched(zipped(), CENTRAL, 16, b"\1\2\3\4"),
        "pass over a checksum",
    )
    put("zip-offset-outside.keras", patched(zipped(), CENTRAL, 42, lie), "read past the end")
    put(
        "zip-encrypted.keras",
        patched(zipped(), CENTRAL, 8, b"\x01\x00"),
        "take encrypted bytes for data",
        "CVE-2025-1945",
    )
    put(
        "zip-unknown-method.keras",
        patched(zipped(), CENTRAL, 10, b"\x63\x00"),
        "take other bytes for data",
    )
    other = json.dumps(model(entry(), dense(name="another"))).encode()
    put(
        "zip-config-twice.keras",
        doubled("config.json", other),
        "choose one of two, as another reader may not",
        "safetensors#401",
    )
    put(
        "zip-weights-twice.keras",
        doubled(MODEL_WEIGHTS, weights()),
        "choose one of two",
        "safetensors#401",
    )
    put(
        "zip-local-name-differs.keras",
        zipped().replace(
            LOCAL + zipped()[4:30] + b"metadata", LOCAL + zipped()[4:30] + b"METADATA", 1
        ),
        "trust one of two names",
        "CVE-2025-1944",
    )
    outside = {"../../../../tmp/keepnet-was-here": b"outside", "/tmp/keepnet-was-here": b"outside"}
    put(
        "zip-path-traversal.keras",
        zipped(extra=outside),
        "write outside its folder",
        "GHSA-hqp4-2352-xf5r",
        None,
    )
    put("zip-symlink.keras", symlink(), "follow a link", "keras PR 22896")
    many = {f"assets/{i}": b"" for i in range(300)}
    put(
        "zip-many-members.keras",
        zipped(extra=many),
        "spend much on members it does not want",
        None,
        None,
    )
    put("zip-empty.keras", b"PK\x05\x06" + bytes(18), "miss that nothing is there")
    put("zip-truncated.keras", zipped()[:-40], "guess where the directory was")
