"""The forms that older and other Kerases wrote, made by rewriting files of the matrix.

Each says the same model in another way, so the predictions stay those of its base. What is
rewritten is what was seen in files in public use: of Keras 2.0 to 2.15, of Windows, of other tools.
"""

import json
import shutil

import h5_dialects
import keras_dialects


def rewrite(out, only):
    """Writes every dialect beside its base; returns what is said of each."""
    summary = {}
    for short, base, container, change in keras_dialects.DIALECTS + h5_dialects.DIALECTS:
        name = f"dialect-{short}"
        if only and not any(word in name for word in only):
            continue
        folder, source = out / name, out / base
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        about = json.loads((source / "about.json").read_text())
        for file in (*about["inputs"], *about["outputs"]):
            shutil.copy(source / file, folder / file)
        change(source / container, folder / container)
        files = sorted(p.name for p in folder.glob("[mw]*"))
        about |= {"name": name, "rewritten_from": base, "files": files}
        (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")
        summary[name] = about
    return summary
