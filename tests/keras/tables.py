"""Makes docs/KERAS-MATRIX.md of what the tests of keras_matrix noted down in target/.

    python3 tests/keras/tables.py > docs/KERAS-MATRIX.md
"""

import json
from pathlib import Path

TARGET = Path(__file__).parents[2] / "target"
FORMS = ["keras", "h5"]


def lines(name):
    return [json.loads(line) for line in (TARGET / name).read_text().splitlines()]


def figure(apart):
    return "0" if apart == 0 else f"{apart:.1e}".replace("e-0", "e-")


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|---|" + "--:|" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print()


def written():
    """What each Kerases said of each model in each form: how far apart, or that it has no such layer."""
    said = {}
    for keras in ["keras3", "tfkeras"]:
        for form in FORMS:
            for line in lines(f"keras-written/{keras}.{form}.jsonl"):
                name, ending = line["file"].split(".", 1)
                if ending == form and "apart" in line:
                    said[name, keras, form] = line
    return said


def models(read, said):
    names = sorted({line["file"].split("/")[0] for line in read})
    found = {}
    for line in read:
        name, file = line["file"].split("/")
        form = file.removeprefix("model.") if file.startswith("model.") else file
        # The same model in other containers: the worst of them.
        apart = line.get("apart", "refused")
        cell = found.get((name, "h5" if form.startswith("h5") else "keras"))
        if cell is None or (apart != "refused" and apart > cell):
            found[name, "h5" if form.startswith("h5") else "keras"] = apart
    for name in names:
        cells = [found.get((name, form)) for form in FORMS]
        cells += [said.get((name, keras, form), {}).get("apart") for keras in ["keras3", "tfkeras"] for form in FORMS]
        yield [name, *("–" if it is None else it if it == "refused" else figure(it) for it in cells)]


def layers(read, said):
    rows = {}
    for line in read:
        if "apart" not in line:
            continue
        name = line["file"].split("/")[0]
        for layer in ["(f16 and bf16)"] if line["is_half"] else line["classes"]:
            row = rows.setdefault(layer, [[], {}])
            row[0].append(line["apart"])
            for place in [(keras, form) for keras in ["keras3", "tfkeras"] for form in FORMS]:
                if (name, *place) in said:
                    row[1].setdefault(place, set()).add(name)
    for layer, (aparts, by) in sorted(rows.items()):
        counts = [len(by.get((keras, form), ())) for keras in ["keras3", "tfkeras"] for form in FORMS]
        yield [layer, len(aparts), figure(max(aparts)), *counts]


def optimizers(read):
    rows = {}
    for line in read:
        if "optimizer" in line:
            row = rows.setdefault(line["optimizer"], [0, 0])
            row[0] += 1
            row[1] += line["restored"]
    return [[name, *row] for name, row in sorted(rows.items())]


read, said = lines("keras-read.jsonl"), written()
refused = sum("apart" not in line for line in read)
print(
    f"""# The matrix of Keras models

`tests/keras/make.py` makes these models with Keras 3.15.1 (`k3-`) and tf-keras 2.21.0 (`k2-`), `cargo test --test keras_matrix` compares keepnet
with both, and `tests/keras/tables.py` makes this page of what it found. Figures are the largest difference of a prediction, beyond 1 in proportion to it.

{len({line["file"].split("/")[0] for line in read})} models, {len(read)} files: {len(read) - refused} answer as in Keras, {refused} are refused, as they must be.

## By layer

Files that were read, and models that keepnet saved and that a Keras opened with keepnet's predictions, by the layers in them.
"""
)
table(["layer", "read", "worst", "Keras 3 `.keras`", "Keras 3 `.h5`", "tf-keras `.keras`", "tf-keras `.h5`"], layers(read, said))
print(
    """## By optimizer

Files of trained models, and those whose optimizer goes on. Where it does not, the load report says so: what Keras has not written, what keepnet has no rule for.
"""
)
table(["optimizer", "files", "goes on"], optimizers(read))
print(
    """## Training on

Ten more steps on the same batches: the largest relative difference of a loss, and weights and moments in units of what Keras differs from itself with oneDNN or XLA.
"""
)
trained = [
    [line["start"], figure(line["losses"]), f"{line['weights']:.1f}", f"{line['moments']:.1f}"]
    for line in lines("keras-trained.jsonl")
]
table(["start", "losses", "weights", "moments"], trained)
print(
    """## By model

Read by keepnet from `.keras` (archive or folder) and `.h5`; saved by keepnet and read by Keras 3 and by tf-keras. – is what there is no file of, or what that Keras does not have.
"""
)
table(["model", "`.keras`", "`.h5`", "Keras 3 `.keras`", "Keras 3 `.h5`", "tf-keras `.keras`", "tf-keras `.h5`"], models(read, said))
