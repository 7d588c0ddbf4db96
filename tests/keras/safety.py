"""Makes small hostile files: one for each known attack on readers of Keras files that applies.

    python safety.py OUT                (run with keras 3.15.1, h5py 3.14.0)

Nothing in them does harm: what would be read, imported or called is a harmless stand-in, and no
file is large until someone believes what it says of itself. `manifest.json` lists each file, the
attack's identifier where it has one, whether it must be refused (null: it may also be read as if
what is wrong were not there), and what the reader must not do.
"""

import argparse
import json
from pathlib import Path

import hostile_config
import hostile_hdf5
import hostile_zip
from hostile_base import whole, zipped


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument("out", type=Path)
    out = arguments.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    manifest = []

    def put(name, data, must_not, cve=None, refuse=True):
        (out / name).write_bytes(data)
        manifest.append({"file": name, "cve": cve, "refuse": refuse, "must_not": must_not})

    put("sound.keras", zipped(), "be refused", refuse=False)
    put("sound.h5", whole(), "be refused", refuse=False)
    for source in (hostile_hdf5, hostile_zip, hostile_config):
        source.write(put)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{len(manifest)} files, {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
