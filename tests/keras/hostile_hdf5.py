"""HDF5 that links elsewhere, declares what is not there, or holds what no weight is."""

import zlib

import h5py
import numpy as np

from hostile_base import weights, whole, zipped


def replaced(make):
    """A change that puts something else in the kernel's place."""

    def change(file, path):
        del file[path]
        make(file, path)

    return change


def external_storage(file, path):
    file.create_dataset(
        path, shape=(2, 3), dtype="float32", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
    )


def external_link(file, path):
    file[path] = h5py.ExternalLink("/etc/hostname", "/")


def soft_link(file, path):
    file["elsewhere"] = np.ones((2, 3), "float32")
    file[path] = h5py.SoftLink("/elsewhere")


def soft_link_circle(file, path):
    file[path] = h5py.SoftLink(f"/{path}")


def virtual(file, path):
    layout = h5py.VirtualLayout(shape=(2, 3), dtype="float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "data", shape=(2, 3))
    file.create_virtual_dataset(path, layout)


def shape_bomb(file, path):
    file.create_dataset(
        path, shape=(1 << 31, 1 << 20), dtype="float32", chunks=(1024, 1024), compression="gzip"
    )


def shape_bomb_contiguous(file, path):
    space = h5py.h5s.create_simple((1 << 31, 1 << 20))
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(file.id, path.encode(), h5py.h5t.IEEE_F32LE, space, settings)


def deflate_bomb(file, path):
    """One chunk of 8 MiB of zeros; its shape is not the layer's."""
    data = np.zeros((1024, 2048), "float32")
    file.create_dataset(path, data=data, chunks=data.shape, compression="gzip", compression_opts=9)


def deflate_lie(file, path):
    """A chunk that inflates to more than its 24 bytes."""
    made = file.create_dataset(
        path, shape=(2, 3), dtype="float32", chunks=(2, 3), compression="gzip"
    )
    made.id.write_direct_chunk((0, 0), zlib.compress(bytes(2 << 20), 9))


def unknown_filter(file, path):
    file.create_dataset(path, data=np.ones((2, 3), "float32"), compression="lzf")


def wrong_rank(file, path):
    file.create_dataset(path, data=np.ones(6, "float32"))


def transposed(file, path):
    file.create_dataset(path, data=np.ones((3, 2), "float32"))


def strings(file, path):
    file.create_dataset(path, data=np.asarray([b"abcd"] * 6).reshape(2, 3))


def compound(file, path):
    file.create_dataset(path, data=np.zeros((2, 3), [("re", "f4"), ("im", "f4")]))


def group(file, path):
    file.create_group(path)


HDF5 = [
    (external_storage, "CVE-2026-1669", "read another file of this machine as weights"),
    (external_link, "keras commit d2dbae5", "follow a link into another file"),
    (soft_link, "keras commit 23370f1", "follow a soft link"),
    (soft_link_circle, "keras commit 23370f1", "follow a link to itself for ever"),
    (virtual, "keras commit 460ec47", "read another file through a virtual dataset"),
    (shape_bomb, "CVE-2026-0897", "allocate the 8 PiB that a shape declares"),
    (shape_bomb_contiguous, "CVE-2026-0897", "allocate the 8 PiB that a shape declares"),
    (deflate_bomb, "CVE-2026-12570", "inflate 8 MiB for a kernel of 24 bytes"),
    (deflate_lie, "CVE-2026-12570", "inflate a chunk past its size"),
    (unknown_filter, None, "take filtered bytes for numbers"),
    (wrong_rank, None, "guess another shape"),
    (transposed, None, "guess another shape"),
    (strings, None, "take text for numbers"),
    (compound, None, "take a compound for numbers"),
    (group, None, "take a group for a dataset"),
]


def circle(file, path):
    """A group that holds its own root: hard links may."""
    file[path.rsplit("/", 1)[0] + "/again"] = file["/"]


def unread(file, path):
    """Beside the model, in a group that no layer's is: what nobody has to understand."""
    for make in (
        external_storage,
        external_link,
        soft_link,
        virtual,
        shape_bomb,
        shape_bomb_contiguous,
        unknown_filter,
        compound,
    ):
        make(file, f"other/{make.__name__}")
    file["other/committed"] = np.dtype("float32")
    file["other/again"] = file["other"]


def unread_bomb(file, path):
    """100 MiB of zeros beside the model."""
    unread(file, path)
    data = np.zeros(25 << 20, "float32")
    settings = {"chunks": data.shape, "compression": "gzip", "compression_opts": 9}
    file.create_dataset("other/bomb", data=data, **settings)


def missing(file, path):
    del file[path]


def no_weight_names(file, _):
    del file["model_weights/dense"].attrs["weight_names"]


def names_outside(file, _):
    names = [b"../../model_weights/dense/dense/kernel:0", b"/etc/hostname"]
    file["model_weights/dense"].attrs["weight_names"] = np.asarray(names)


def many_names(file, _):
    file["model_weights"].attrs["layer_names"] = np.asarray([b"dense"] * 1000)


def same_name_twice(file, _):
    file["model_weights"].attrs["layer_names"] = np.asarray([b"dense", b"dense"])


def write(put):
    for change, cve, why in HDF5:
        name = change.__name__.replace("_", "-")
        put(f"{name}.keras", zipped(member=weights(replaced(change))), why, cve)
        put(f"{name}.h5", whole(change=replaced(change)), why, cve)
    put("group-circle.keras", zipped(member=weights(circle)), "walk in a circle", refuse=None)
    put("group-circle.h5", whole(change=circle), "walk in a circle", refuse=None)
    why = "refuse a model for what it does not use"
    put("unread.keras", zipped(member=weights(unread)), why, refuse=False)
    put("unread.h5", whole(change=unread_bomb), why, refuse=False)
    put(
        "missing-weight.keras",
        zipped(member=weights(missing)),
        "leave a weight at its initial value",
    )
    put("missing-weight.h5", whole(change=missing), "leave a weight at its initial value")
    put("no-weight-names.h5", whole(change=no_weight_names), "guess the order of the weights")
    put(
        "names-outside.h5",
        whole(change=names_outside),
        "leave the layer's group",
        "path traversal",
    )
    put("many-names.h5", whole(change=many_names), "take more layers than the model has")
    put("same-name-twice.h5", whole(change=same_name_twice), "take one layer's weights twice")
    data = whole()
    put("truncated.h5", data[: len(data) * 2 // 3], "read past the end")
    put("not-hdf5.keras", zipped(member=b"not HDF5 at all"), "take anything for HDF5")
    put("no-superblock.h5", b"\x89HDF\r\n\x1a\n", "read past the end")
