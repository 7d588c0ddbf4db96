"""HDF5 files by h5py: makes them, and tells what is in them.

    files.py golden DIR        writes the committed files (tests/golden/hdf5) and what is in them
    files.py make DIR SEED     writes others: more, larger, drawn by chance
    files.py tell FILE ...     prints what is in the files as JSON, one object for each
"""

import hashlib
import json
import sys
from pathlib import Path

import h5py
import numpy as np

NUMBERS = "<f2 >f2 <f4 >f4 <f8 >f8 i1 <i2 >i2 <i4 >i4 <i8 >i8 u1 <u2 >u2 <u4 >u4 <u8 >u8 ?".split()
VERSIONS = ["earliest", "v108", "v110", "latest"]


def short(value):
    """What is long, as its digest."""
    if isinstance(value, str):
        long = len(value.encode()) > 64
        return "sha256 " + hashlib.sha256(value.encode()).hexdigest() if long else value
    return "sha256 " + hashlib.sha256(value).hexdigest() if len(value) > 32 else value.hex()


def array(value):
    """What h5py gives of an array, for JSON."""
    if isinstance(value, h5py.Empty):
        return {"shape": [0], "type": value.dtype.name, "bytes": ""}
    if isinstance(value, (str, bytes)):
        value = np.array(value, dtype=object)
    value = np.asarray(value)
    shape = list(value.shape)
    if value.dtype.kind in "OSU":
        texts = [x.decode() if isinstance(x, bytes) else str(x) for x in value.reshape(-1).tolist()]
        return {"shape": shape, "texts": [short(text) for text in texts]}
    if value.dtype.names:
        return {"shape": shape, "unread": True}
    if value.dtype.kind == "V":
        return {"shape": shape, "opaque": value.dtype.itemsize, "bytes": short(value.tobytes())}
    little = value.astype(value.dtype.newbyteorder("<"))
    return {"shape": shape, "type": value.dtype.name, "bytes": short(little.tobytes())}


def tell(node):
    attributes = {name: array(node.attrs[name]) for name in node.attrs}
    if isinstance(node, h5py.Group):
        return {"attributes": attributes, "members": {name: tell(node[name]) for name in node}}
    told = array(node[()])
    # As Keras keeps it.
    if told.get("opaque") == 2 and attributes.get("dtype", {}).get("texts") == ["bfloat16"]:
        del attributes["dtype"]
        told = {"shape": told["shape"], "type": "bfloat16", "bytes": told["bytes"]}
    return {"attributes": attributes, "array": told}


def numbers(file, chance):
    for dtype in NUMBERS:
        name = {"<": "little/", ">": "big/"}.get(dtype[0], "byte/") + np.dtype(dtype).name
        values = (chance.random((3, 5)) * 100).astype(dtype)
        file.create_dataset(name, data=values)
        file.attrs[name] = values[0]
        file["scalars/" + name] = values[0, 0]
    file["nothing"] = np.zeros((0, 3), "<f4")
    file["null"] = h5py.Empty("f4")
    file.attrs["null"] = h5py.Empty("f8")
    file.attrs["list_of_none"] = np.array([], dtype="f8")
    file["opaque"] = np.frombuffer(chance.bytes(12), "V3")
    file["bfloat16"] = np.frombuffer(chance.bytes(12), "V2").reshape(2, 3)
    file["bfloat16"].attrs["dtype"] = "bfloat16"
    file["compound"] = np.zeros(2, dtype=[("a", "f4"), ("b", "i4")])
    file.create_dataset("unwritten", shape=(4, 4), dtype="<f4")
    file.create_dataset("filled", shape=(4, 4), dtype=">f4", fillvalue=2.5)
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((5,))
    h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I16LE, space, compact).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.arange(5, dtype="<i2"))


def texts(file, long):
    words = ["a", "ü and a long text", "", "tail  "]
    for name, encoding in [("ascii", "ascii"), ("utf8", "utf-8")]:
        some = [word for word in words if name == "utf8" or word.isascii()]
        of_any_length = h5py.string_dtype(encoding)
        file.create_dataset(f"any/{name}", data=np.array(some, dtype=object), dtype=of_any_length)
        file.attrs[f"any_{name}"] = np.array(some, dtype=object)
        fixed = np.array([word.encode() for word in some]).astype(h5py.string_dtype(encoding, 20))
        file.create_dataset(f"fixed/{name}", data=fixed, dtype=h5py.string_dtype(encoding, 20))
        file.attrs.create(f"fixed_{name}", fixed, dtype=h5py.string_dtype(encoding, 20))
    for name, padding in [("zero", h5py.h5t.STR_NULLTERM), ("spaces", h5py.h5t.STR_SPACEPAD)]:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(6)
        kind.set_strpad(padding)
        filler = b" " if name == "spaces" else b"\0"
        space = h5py.h5s.create_simple((2,))
        data = h5py.h5d.create(file.id, b"padded_" + name.encode(), kind, space)
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"ab" + filler * 4, b"cde" + filler * 3]), kind)
    file.attrs["one"] = "one text"
    file.attrs["bytes"] = b"some bytes"
    file.attrs["names"] = [b"kernel:0", b"bias:0"]
    file.create_dataset("unwritten", shape=(3,), dtype=h5py.string_dtype())
    file.attrs["long"] = '{"class_name": "' + "x" * long + '"}'


def chunks(file, chance, many):
    values = (chance.random((13, 9, 5)) * 10).astype("<f4").round()
    for name, options in {
        "plain": dict(chunks=(8, 4, 2)),
        "gzip": dict(chunks=(8, 4, 2), compression="gzip"),
        "shuffle": dict(chunks=(5, 9, 5), compression="gzip", shuffle=True),
        "all": dict(chunks=(7, 4, 3), compression="gzip", shuffle=True, fletcher32=True),
        "fletcher32": dict(chunks=(13, 9, 5), fletcher32=True),
        "one": dict(chunks=(13, 9, 5)),
        "one_gzip": dict(chunks=(13, 9, 5), compression="gzip"),
        "larger": dict(chunks=(16, 16, 16), maxshape=(16, 16, 16), compression="gzip"),
    }.items():
        file.create_dataset(name, data=values, **options)
    file.create_dataset("big_endian", data=values.astype(">f8"), chunks=(4, 4, 4), shuffle=True)
    file.create_dataset("odd", data=np.arange(7, dtype="u1"), chunks=(7,), fletcher32=True)
    file.create_dataset("partly", shape=(100,), dtype="<i4", chunks=(7,), fillvalue=9)[3:20] = 5
    file.create_dataset("never", shape=(9,), dtype="<i4", chunks=(2,), fillvalue=3)
    file.create_dataset("many", data=(np.arange(many) % 251).astype("u1"), chunks=(1,))
    file.create_dataset("holes", shape=(4 * many,), dtype="u1", chunks=(1,))[3 * many] = 7
    file.create_dataset("many_gzip", data=np.arange(many // 8), chunks=(3,), compression="gzip")
    file.create_dataset("text", data=np.array(["a", "bc"] * 3, dtype=object), chunks=(4,),
                        dtype=h5py.string_dtype(), compression="gzip")
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((3, 3))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple((7, 4))
    h5py.h5d.create(file.id, b"early", h5py.h5t.STD_I32LE, space, early).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.arange(28, dtype="<i4"))


def groups(file, count, version):
    for number in range(count):
        group = file.create_group(f"many/{number}")
        group.attrs["name"] = f"group {number}"
        group["value"] = np.float32(number)
        file.attrs[f"attribute {number}"] = number
    deep = file
    for _ in range(20):
        deep = deep.create_group("deeper")
    deep["bottom"] = np.int8(1)
    file["again"] = file["many/0"]
    ordered = file.create_group("ordered", track_order=True)
    for name in "zyxw":
        ordered[name] = ordered.attrs[name] = name
    if version != "earliest":
        # Larger than a message can be, and than a block of a heap.
        file.attrs["huge"] = np.arange(70_000 // 8)
        file.attrs["large"] = np.arange(5_000, dtype="u1")


def small(file):
    """Some of everything, in few bytes."""
    for number in range(9):
        file.create_group(f"dense/{number}")
        file.attrs[str(number)] = np.int8(number)
    file["dense/0/again"] = file["dense/1"]
    file.attrs["texts"] = ["any", "length"]
    file.attrs["fixed"] = np.array([b"two", b"texts"])
    values = np.arange(30, dtype=">i2").reshape(5, 6)
    file.create_dataset("chunks", data=values, chunks=(2, 6), compression="gzip", shuffle=True,
                        fletcher32=True)
    file.create_dataset("weights", data=np.arange(4, dtype="<f4"))


def sound(home, chance, many, long, version):
    options = dict(libver="latest" if version == "latest" else (version, "latest"))
    for name, fill in {
        "numbers": lambda file: numbers(file, chance),
        "texts": lambda file: texts(file, long),
        "chunks": lambda file: chunks(file, chance, many),
        "groups": lambda file: groups(file, many // 50, version),
    }.items():
        with h5py.File(home / f"{name}-{version}.h5", "w", **options) as file:
            fill(file)


def refused(home):
    """Files that are refused, each for one reason."""
    def make(name, fill, **options):
        with h5py.File(home / f"{name}.h5", "w", **options) as file:
            fill(file)

    def link(name, to):
        def fill(file):
            file["sound"] = np.float32(1)
            file["group/" + name] = to
        return fill

    def external(file):
        file.create_dataset("weights", (4,), "<f4", external=[("/etc/hostname", 0, 16)])

    def virtual(file):
        layout = h5py.VirtualLayout((4,), "<f4")
        layout[:] = h5py.VirtualSource("elsewhere.h5", "weights", (4,))
        file.create_virtual_dataset("weights", layout)

    def laughs(file):
        below = file.create_group("0")
        for level in range(1, 40):
            group = file.create_group(f"level{level}")
            for number in range(4):
                group[f"ha{number}"] = below
            below = group

    def cycle(file):
        file.create_group("group")["root"] = file["/"]

    def deep(file):
        for _ in range(70):
            file = file.create_group("deeper")

    for suffix, version in [("", "earliest"), ("-latest", "latest")]:
        options = dict(libver=version)
        make("soft_link" + suffix, link("soft", h5py.SoftLink("/sound")), **options)
        make("external_link" + suffix, link("out", h5py.ExternalLink("/etc/x.h5", "/")), **options)
        make("external_storage" + suffix, external, **options)
        make("laughs" + suffix, laughs, **options)
        make("cycle" + suffix, cycle, **options)
        make("deep" + suffix, deep, **options)
        # Nothing but a shape of 2^50 values, contiguous, and in chunks; and much of nothing, packed.
        bomb = dict(shape=(1 << 50,), dtype="<f4")
        make("shape_bomb" + suffix, lambda file: file.create_dataset("bomb", **bomb), **options)
        make("chunk_bomb" + suffix,
             lambda file: file.create_dataset("bomb", chunks=(1 << 20,), **bomb), **options)
        zeros = np.zeros(1 << 23, "u1")
        make("gzip_bomb" + suffix, lambda file: file.create_dataset(
            "bomb", data=zeros, chunks=(1 << 20,), compression="gzip"), **options)
    make("virtual", virtual)
    make("lzf", lambda file: file.create_dataset("x", data=np.zeros(9), compression="lzf"))
    make("scale_offset", lambda file: file.create_dataset("x", data=np.arange(9), scaleoffset=0))
    make("committed", lambda file: file.__setitem__("type", np.dtype("<f4")))
    make("growing", lambda file: file.create_dataset(
        "x", data=np.zeros(9), chunks=(2,), maxshape=(None,)), libver="latest")


def main():
    command, *arguments = sys.argv[1:]
    if command == "tell":
        told = {}
        for path in arguments:
            with h5py.File(path) as file:
                told[path] = tell(file)
        print(json.dumps(told))
        return
    home = Path(arguments[0])
    if command == "golden":
        for version in ["earliest", "latest"]:
            sound(home, np.random.default_rng(1), 1100, 70_000, version)
            with h5py.File(home / f"small-{version}.h5", "w", libver=version) as file:
                small(file)
        with h5py.File(home / "small-behind-block.h5", "w", userblock_size=1024) as file:
            small(file)
        (home / "refused").mkdir(exist_ok=True)
        refused(home / "refused")
        for path in sorted(home.glob("*.h5")):
            with h5py.File(path) as file:
                told = json.dumps(tell(file), ensure_ascii=False, indent=1, sort_keys=True)
                path.with_suffix(".json").write_text(told + "\n")
    elif command == "make":
        chance = np.random.default_rng(int(arguments[1]))
        for version in VERSIONS:
            many = int(chance.integers(2_000, 40_000))
            sound(home, chance, many, int(chance.integers(1, 200_000)), version)
    else:
        sys.exit(__doc__)


main()
