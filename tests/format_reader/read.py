#!/usr/bin/env python3
"""Reads keepnet models, both forms. Written from docs/FORMAT.md and docs/DIRECTORY.md alone, to show
that they suffice; a refusal names their rule. Needs Python 3.9 and NumPy.

    read.py [--json] MODEL...    says what each model holds; ends with 1 if one is refused

Checked is all that shows damage: checksums, digests, canonical texts, and that the tensors are those
of the architecture, by role and name. Whether layers fit together is left to keepnet's own reader.
"""
import decimal, functools, hashlib, json, math, os, re, stat, struct, sys
import numpy as np

NAMES = "float16 bfloat16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()
TYPES = dict(zip(NAMES, "<f2 |V2 <f4 <f8 |i1 <i2 <i4 <i8 |u1 <u2 <u4 <u8 |b1".split()))
SECTIONS = "architecture compile optimizer training history metadata proof index tensors".split()
CRITICAL, TEXTS = {"architecture", "index", "tensors"}, {"compile", "optimizer", "training", "history", "metadata", "proof"}
ROLES = {"slot": "optimizer", "proof_output": "proof", "best": "training"}
START, BEFORE, AFTER = b'{\n  "format": "keepnet directory",\n', b',\n  "sha256": "', b'"\n}\n'
KERNELS, TABLE = "conv1d conv2d depthwise_conv2d conv2d_transpose dense".split(), range(256)
for _ in range(8): TABLE = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in TABLE]
class Refused(Exception): pass
def must(holds, rule):
    if not holds: raise Refused(rule)
def padded(length): return -(-length // 64) * 64
def sha256(data): return hashlib.sha256(data).hexdigest()
def crc32c(data):
    return functools.reduce(lambda crc, byte: crc >> 8 ^ TABLE[(crc ^ byte) & 255], data, 0xFFFFFFFF) ^ 0xFFFFFFFF
def check_version(major, minor, least):
    must(major >= 1 and (major > 1 or least <= minor), "F-3")
    must(major == 1 and least == 0, f"F-4: version {major}.{least} is newer than this reader")
def real(value):
    digits, e, power = repr(value).replace("e+", "e").replace("e-0", "e-").partition("e")
    near, exact = abs(decimal.Decimal(f"{digits}e{power or 0}")), abs(decimal.Decimal(value))
    tie = near < exact and near + decimal.Decimal((0, (1,), near.as_tuple().exponent)) - exact == exact - near
    return (f"{digits[:-1]}{int(digits[-1]) + 1}" if tie else digits) + e + power  # Python's ties are even
def canonical(value, depth=0):
    if isinstance(value, float): return real(value)
    if isinstance(value, list): return f"[{', '.join(canonical(item, depth) for item in value)}]"
    if isinstance(value, dict) and value:
        line = "\n" + "  " * depth
        members = (f"{line}  {canonical(key)}: {canonical(item, depth + 1)}" for key, item in value.items())
        return "{" + ",".join(members) + line + "}"
    return json.dumps(value, ensure_ascii=False)
def text(data):
    value = json.loads(data.decode())
    must(f"{canonical(value)}\n".encode() == data, "F-22")
    return value
class Records:
    def __init__(self, data): self.data, self.at = data, 0
    def take(self, length):
        must(length <= len(self.data) - self.at, "F-26")
        self.at += length
        return self.data[self.at - length:self.at]
    def number(self, kind="Q"):
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0]
    def text(self): return self.take(self.number()).decode()
    def list(self, item): return [item() for _ in range(self.number())]
    def role(self):
        choice = self.number("I")
        must(choice <= 4, "F-27")
        section = self.take(12).rstrip(b"\0").decode() if choice == 4 else None
        number = self.number("I") if choice in (1, 3, 4) else None
        return ("parameter", {"slot": number}, "proof_output", {"best": number}, {"of": {"section": section, "number": number}})[choice]
    def to_end(self, item):
        while self.at < len(self.data): yield item()
def parameters(layer):
    """Names of the parameters of a layer, and whether they are trained."""
    kind, settings = (layer["spec"], {}) if isinstance(layer["spec"], str) else next(iter(layer["spec"].items()))
    names = {"batch_normalization": ["gamma", "beta", "moving_mean", "moving_variance"], **dict.fromkeys(KERNELS, ["kernel", "bias"]),
             "separable_conv2d": ["depthwise_kernel", "pointwise_kernel", "bias"], **dict.fromkeys(("layer_normalization", "group_normalization"), ["gamma", "beta"]),
             "prelu": ["alpha"], "normalization": ["mean", "variance"][:2 * (settings.get("statistics") == "stored")]}.get(kind, [])
    switch = {"bias": "use_bias", "gamma": "scale", "beta": "center"}
    return [(f"{layer['name']}/{name}", layer["trainable"] and not name.startswith(("moving", "mean", "variance")))
            for name in names if settings.get(switch.get(name), True)]
def decode(found, architecture, sections):
    """What the sections but index and tensors hold, and the tensors they call for: role, name, long name."""
    known, unknown = ([id for id, _ in found if (id in SECTIONS) == side] for side in (True, False))
    must(known == [id for id in SECTIONS if id in known], "F-13")
    must(len(set(unknown)) == len(unknown), "F-17")
    for id, critical in found: must(critical == (id in CRITICAL), f"F-8 or F-16: {id}")
    must(architecture["schema"] in (1, 2), "F-42: the schema of the architecture is unknown")
    schemas = {id: json.loads(sections[id].decode())["schema"] for id in known if id in TEXTS - {"metadata"}}
    must(all(type(schema) is int and 0 < schema < 2 ** 64 for schema in schemas.values()), "F-28")
    newer = [id for id in schemas if schemas[id] > 1 + (id == "compile")]
    texts = {id: text(sections[id]) for id in known if id in TEXTS and id not in newer}
    model = {"skipped": unknown + newer, "architecture": architecture, "metadata": {}, **texts}
    every = [parameter for layer in architecture["layers"] for parameter in parameters(layer)]
    wanted = [("parameter", name, name) for name, _ in every]
    for number, slot in enumerate(model.get("optimizer", {}).get("slots", [])):
        wanted += [({"slot": number}, name, f"{slot}/{name}") for name, trained in every if trained]
    wanted += [("proof_output", o["name"], f"proof/{o['name']}") for o in architecture["outputs"] if "proof" in model]
    fit = model.get("training", {}).get("fit") or {"callbacks": {}}
    remembering = (callback for callback in fit["callbacks"].values() if callback["weights"])
    return model, wanted + [({"best": number}, name, f"best/{name}") for number, _ in enumerate(remembering) for name, _ in every]
def pairs(entries, wanted, skipped):
    """Each entry with what is wanted of it, or with nothing if its section is passed over."""
    wanted = iter(wanted)
    for entry in entries:
        kind, value = (entry["role"], 0) if isinstance(entry["role"], str) else next(iter(entry["role"].items()))
        section = value["section"] if kind == "of" else ROLES.get(kind)
        yield entry, None if section in skipped else next(wanted, ("nothing",) * 3)
    must(next(wanted, None) is None, "F-33")
def tensor(entry, wanted, data):
    """What the index says of a tensor, checked, and its array."""
    must(sha256(data) == entry["sha256"], f"F-40: {entry['name']}")
    if wanted is None: return {}
    must((entry["role"], entry["name"]) == wanted[:2], f"F-34: {entry['name']} instead of {wanted[1]}")
    must(len(data) == math.prod(entry["shape"]) * np.dtype(TYPES[entry["dtype"]]).itemsize, "F-37")
    return {**entry, "array": np.frombuffer(data, TYPES[entry["dtype"]]).reshape(entry["shape"])}

def read_file(data):
    def block(at):
        must(len(data) >= at + 64, "F-11: cut short")
        must(crc32c(data[at:at + 60]) == int.from_bytes(data[at + 60:at + 64], "little"), f"F-1: byte {at}")
        return data[at:at + 64]
    must(data.startswith(b"\xB7KNT\r\n\x1A\n"), "F-2")
    blocks, found, sections, digests, at = block(0), [], {}, {}, 64
    check_version(*struct.unpack_from("<3H", blocks, 8))
    must(not any(blocks[14:60]), "F-6")
    while True:
        header = block(at)
        id, flags, length, crc, digest = struct.unpack("<12sIQI32s", header[:60])
        at, id = at + 64, id.rstrip(b"\0").decode("ascii")
        must(id and set(id) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") and flags in (0, 1), "F-7 or F-8")
        if id == "footer":
            must((flags, crc) == (1, 0) and length == at == len(data), "F-19 or F-20")
            must(sha256(blocks) == digest.hex(), "F-21")
            break
        must(at + padded(length) <= len(data), "F-11: cut short")
        payload, padding = data[at:at + length], data[at + length:at + padded(length)]
        must(crc32c(payload + padding) == crc and not any(padding), f"F-9 or F-12: {id}")
        must(id == "tensors" or sha256(payload) == digest.hex(), f"F-10: {id}")
        blocks, at = blocks + header, at + padded(length)
        found, sections[id], digests[id] = found + [(id, flags == 1)], payload, digest.hex()
    must(CRITICAL <= sections.keys(), "F-14")
    model, wanted = decode(found, text(sections["architecture"]), sections)
    records, numbers, at, tensors = Records(sections["index"]), sections["tensors"], 0, []
    entries = list(records.to_end(lambda: {
        "role": records.role(), "name": records.text(), "dtype": records.text(), "shape": records.list(records.number),
        "offset": records.number(), "length": records.number(), "sha256": records.take(32).hex()}))
    for entry, expected in pairs(entries, wanted, model["skipped"]):
        must(entry.pop("offset") == at, "F-38")
        end, length = at + entry["length"], padded(entry.pop("length"))
        must(at + length <= len(numbers) and not any(numbers[end:at + length]), "F-39")
        tensors.append(tensor(entry, expected, numbers[at:end]))
        at += length
    must(at == len(numbers), "F-39")
    must(sha256(bytes.fromhex("".join(entry["sha256"] for entry in entries))) == digests["tensors"], "F-10")
    return {**model, "tensors": [tensor for tensor in tensors if tensor]}

def read_directory(path):
    def content(name):
        status = os.lstat(os.path.join(path, name))
        must(stat.S_ISREG(status.st_mode) and status.st_nlink == 1, f"D-9: {name}")
        return open(os.path.join(path, name), "rb").read()
    manifest = content("manifest.json")
    body = manifest[:-len(BEFORE + AFTER) - 64]
    must(body.startswith(START), "D-1")
    must(manifest == body + BEFORE + sha256(body).encode() + AFTER, "D-2")
    manifest = text(body + b"\n}\n")
    check_version(*manifest["version"].values())
    places = [entry["file"] for entry in manifest["extra"] + manifest["tensors"]]
    listed = {os.path.relpath(os.path.join(at, n), path) for at, inner, files in os.walk(path) for n in inner + files}
    must(listed == {"manifest.json", *places, *map(os.path.dirname, places)}, "D-7 or D-8")
    must(not any(os.path.islink(os.path.join(path, name)) for name in listed), "D-10")
    found, sections, tensors = [], {}, []
    for entry in manifest["extra"]:
        id = entry["section"]
        must(entry["file"] == f"extra/{id}.{'json' if id in TEXTS else 'bin'}" and id not in CRITICAL, "D-6 or D-15")
        found.append((id, entry["critical"]))
        sections[id] = content(entry["file"])
        must((len(sections[id]), sha256(sections[id])) == (entry["length"], entry["sha256"]), f"D-17: {id}")
    model, wanted = decode(found, manifest["architecture"], sections)
    for number, (entry, expected) in enumerate(pairs(manifest["tensors"], wanted, model["skipped"])):
        name = "".join(c if c.isascii() and c.isalnum() or c == "_" else "-" for c in expected[2][:64]) if expected else "[A-Za-z0-9_-]{0,64}"
        must(re.fullmatch(f"tensors/{number:04}-{name}[.]npy", entry["file"]), "D-5")
        data, shape = content(entry.pop("file")), str(tuple(entry["shape"]))
        must(sha256(data) == entry.pop("file_sha256"), f"D-14: {name}")
        header = f"{{'descr': '{TYPES[entry['dtype']]}', 'fortran_order': False, 'shape': {shape}, }}"
        length = padded(len(header) + 11)
        header = b"\x93NUMPY\1\0" + struct.pack("<H", length - 10) + f"{header:{length - 11}}\n".encode()
        must(data.startswith(header), f"D-12: {name}")
        tensors.append(tensor(entry, expected, data[length:]))
    return {**model, "tensors": [tensor for tensor in tensors if tensor]}
def read(path):
    """The model at `path`: its sections, its tensors with their arrays, and what was skipped."""
    return read_directory(path) if os.path.isdir(path) else read_file(open(path, "rb").read())
def main(paths, as_json):
    models = {}
    for path in paths:
        try:
            models[path] = read(path)
            for tensor in models[path]["tensors"]: del tensor["array"]
        except (Refused, LookupError, OSError, RecursionError, TypeError, ValueError, struct.error) as error:
            models[path] = {"refused": repr(error)}
    print(json.dumps(models, indent=1) if as_json else "\n".join(f"{path}: {model.get('refused', 'sound')}" for path, model in models.items()))
    return int(any("refused" in model for model in models.values()))
if __name__ == "__main__":
    sys.exit(main([path for path in sys.argv[1:] if path != "--json"], "--json" in sys.argv))
