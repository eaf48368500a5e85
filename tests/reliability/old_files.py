"""Model files of each release and of each format version, which are kept for ever, and their expected results.

`PYTHONPATH=tests python tests/reliability/old_files.py NAME` adds some. Run it at the commit of a release, and whenever
the format can hold something new (then let `write_models` write that too). It makes a folder in tests/data/models, of
the name given or of fastmlp's version, and never writes into an existing one: a file that was released loads as it is,
or fastmlp is wrong. Copy the lines that it prints into test_old_files.py. Of files that
an older folder holds too, remove the new ones before you commit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from behaviour import Interruption
from numpy.typing import NDArray

import fastmlp
from fastmlp import (
    ELU,
    SGD,
    Adam,
    CategoricalCrossentropy,
    CosineDecay,
    Dense,
    Huber,
    LeakyReLU,
    ModelCheckpoint,
    Network,
    Orthogonal,
    Warmup,
)
from fastmlp._engine.engine import engine_of
from fastmlp._io import checkpoint
from fastmlp.tables import TabularModel, prepare

MODELS = Path(__file__).resolve().parent.parent / "data" / "models"
ROWS, BATCH = 22, 4

# Everything here is plain arithmetic: no release of Python or NumPy may change it.


def numbers(rows: int, columns: int) -> NDArray[np.float64]:
    """Return numbers from -1 to 1, (rows, columns)."""
    return (np.arange(rows * columns) * 7919 % 256 / 128.0 - 1.0).reshape(rows, columns)


def data(network: Network) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return X and y to train on, with labels if the loss takes classes."""
    architecture = network.architecture
    X = numbers(ROWS, architecture.inputs).astype(architecture.dtype)
    if architecture.loss.targets == "classes":
        return X, np.arange(ROWS) * 5 % 7 % architecture.outputs
    return X, (numbers(ROWS, architecture.outputs) / 2 + X[:, :1]).astype(architecture.dtype)


def table() -> str:
    """Return the text of a CSV file."""
    kinds = ("red", "green", "blue", "")
    rows = [
        f"{row},{row * 37 % 100 / 4},{kinds[row * 7 % 11 % 4]},{row % 3 % 2},{row * 13 % 29 % 2 * 'yes' or 'no'}"
        for row in range(40)
    ]
    return "\n".join(["id,size,colour,new,sold", *rows, ""])


def facts(path: Path) -> dict[str, Any]:
    """Return the predictions of the network in a file, and its state after another epoch."""
    network = Network.load(path)
    X, y = data(network)
    found = {"epoch": network.epoch, "step": network.step, "predictions": network.predict(X).tolist()}
    if network.feature_names is not None and network.classes is not None:
        found["names"] = [list(network.feature_names), list(network.classes)]
    history = network.fit(X, y, batch_size=BATCH)
    digest = hashlib.sha256()
    for w, b in network.get_weights():
        digest.update(w.tobytes() + (b"" if b is None else b.tobytes()))
    after = {"epoch": network.epoch, "step": network.step, "weights": digest.hexdigest(), **history.history}
    return {**found, "after an epoch more": after}


def best_facts(path: Path) -> list[Any] | None:
    """Return the name and the value of the best figure in a file, as JSON decodes them."""
    best = checkpoint.read(path).best
    return None if best is None else list(best)


def table_facts(path: Path, folder: Path) -> dict[str, Any]:
    """Return the predictions and metrics of the model in a file for a table."""
    csv = folder / "table.csv"
    csv.write_text(table())
    model = TabularModel.load(path)
    outputs = np.concatenate(list(model.predictions(csv, verbose=False)))
    figures = model.evaluate(csv, verbose=False)
    del figures["rows"]
    if figures["known_share"] is None:  # files of schema version 1 do not know their rows
        del figures["known_share"]
    if model.record is not None:
        figures["record"] = model.record.summary()
    return {"outputs": outputs.tolist(), "names": model.predict(csv).tolist(), **figures}


def write_models(folder: Path) -> None:
    """Write small models that together use everything in the format."""
    rate = Warmup(5, CosineDecay(0.02, 100, 0.5))
    layers: list[int | Dense] = [3, Dense(6, ELU(0.5), dropout=0.2, l2=1e-3, use_bias=False)]
    layers += [Dense(5, LeakyReLU(0.2), l1=1e-4, weight_init=Orthogonal(0.5)), Dense(3, "softmax")]
    within = Network(
        layers, loss=CategoricalCrossentropy(label_smoothing=0.1), optimizer=Adam(rate, global_clipnorm=1.0), seed=7
    )
    with contextlib.suppress(KeyboardInterrupt):
        within.fit(*data(within), epochs=2, batch_size=BATCH, callbacks=[Interruption(8)])
    within.save(folder / "within_an_epoch.safetensors")

    double = Network(
        [2, Dense(7, "gelu"), 2], loss=Huber(0.5), optimizer=SGD(0.1, momentum=0.5), dtype="float64", seed=8
    )
    double.fit(*data(double), epochs=2, batch_size=BATCH)
    double.save(folder / "without_optimizer.safetensors", optimizer=False)

    best = Network([3, Dense(6, "tanh"), 3], output="softmax", optimizer="rmsprop", seed=9)
    watched = ModelCheckpoint(folder / "best.safetensors", "loss", save_best_only=True)
    best.fit(*data(best), epochs=2, batch_size=BATCH, callbacks=[watched])

    named = Network([3, 4, 2], output="softmax", seed=10)
    engine_of(named).names.features = ("größe", "b", 'c"')
    named.fit(*data(named), batch_size=BATCH, classes=["no", "yes"])
    named.save(folder / "names.safetensors")

    csv = folder / "table.csv"
    csv.write_text(table())
    prepared = prepare(csv, "sold", verbose=False)
    model = TabularModel.for_table(prepared, [5], activation="tanh")
    model.fit(prepared, epochs=3, verbose=False)
    model.save(folder / "table.safetensors")
    csv.unlink()


def main() -> None:
    """Add the folder of the current release."""
    folder = MODELS / (sys.argv[1] if len(sys.argv) > 1 else fastmlp.__version__)
    folder.mkdir(parents=True)  # an error if it is there: files of a release are never written anew
    write_models(folder)
    expected = {path.name: facts(path) for path in sorted(folder.glob("*.safetensors"))}
    expected["table.safetensors"]["table"] = table_facts(folder / "table.safetensors", folder)
    (folder / "table.csv").unlink()
    expected["best.safetensors"]["best"] = best_facts(folder / "best.safetensors")
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for path in sorted(folder.iterdir()):
        print(f'    "{folder.name}/{path.name}": "{hashlib.sha256(path.read_bytes()).hexdigest()}",')


if __name__ == "__main__":
    main()
