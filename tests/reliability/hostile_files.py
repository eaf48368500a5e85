"""Model files that are damaged on purpose, with a correct digest, so that the checks behind the digest are reached."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from behaviour import Interruption
from cases import data_for
from model_files import as_version_1, dumped, joined, sealed, split
from table_files import flats

from fastmlp import (
    ELU,
    SGD,
    Adam,
    CosineDecay,
    Dense,
    Huber,
    ModelFormatError,
    Network,
    NonFiniteLossError,
    RMSprop,
    StepDecay,
    Warmup,
)
from fastmlp._engine import checkpointing
from fastmlp._engine.engine import engine_of
from fastmlp._io import checkpoint
from fastmlp.activations import ACTIVATIONS
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.schedules import SCHEDULES
from fastmlp.tables import TabularModel, prepare

# Good files ----------------------------------------------------------------------------------------------------------


def good_files(folder: Path, version: str) -> list[bytes]:
    """Return files of small models that together use everything in the format except a table."""
    found = [path.read_bytes() for path in _write_good_files(folder)]
    return [as_version_1(blob) for blob in found] if version == "1" else found


def _write_good_files(folder: Path) -> list[Path]:
    within = Network(
        [3, Dense(6, ELU(0.5), dropout=0.2, l2=1e-3), Dense(5, l1=1e-4), Dense(3, "softmax")],
        optimizer=Adam(Warmup(5, CosineDecay(0.02, 100, 0.5)), global_clipnorm=1.0),
        seed=7,
    )
    X, y = data_for(within, 20, "float32")
    engine_of(within).names.features = ("größe", "b", 'c"')
    with contextlib.suppress(KeyboardInterrupt):
        within.fit(X, y, epochs=2, batch_size=4, callbacks=[Interruption(7)], classes=["no", "yes", "?"])
    within.save(folder / "within")

    double = Network(
        [2, Dense(17, "tanh", use_bias=False), 2],
        loss=Huber(0.5),
        dtype="float64",
        seed=1,
        optimizer=RMSprop(StepDecay(0.1, 3, 0.5), centered=True, momentum=0.5),
    )
    double.fit(*data_for(double, 20, "float64"), epochs=2, batch_size=4)
    double.save(folder / "double")
    best = dataclasses.replace(checkpoint.read(folder / "double"), best=("val_loss", 0.25))
    checkpoint.write(folder / "double", best)

    plain = Network([1, 1], optimizer=SGD(0.1, clipvalue=0.5), seed=2)
    plain.fit(*data_for(plain, 20, "float32"), epochs=1)
    plain.save(folder / "plain", optimizer=False)
    return [folder / name for name in ("within", "double", "plain")]


def good_table(folder: Path, version: str) -> tuple[bytes, str]:
    """Return the file of a model for a table, and the path of the table."""
    csv = flats(folder / "table.csv", 40)
    table = prepare(csv, "sold", verbose=False)
    model = TabularModel.for_table(table, [3], seed=1)
    model.fit(table, epochs=1, verbose=False)
    model.save(folder / "table")
    blob = (folder / "table").read_bytes()
    return as_version_1(blob) if version == "1" else blob, csv


# Changes -------------------------------------------------------------------------------------------------------------


def repadded(blob: bytes, chance: random.Random) -> bytes:
    """Return the bytes unchanged, or with the length and padding that fit the changed header."""
    end = blob.rfind(b"}", 0, 8 + int.from_bytes(blob[:8], "little") + 64) + 1
    if chance.random() < 0.5 or end <= 8:
        return blob
    header = blob[8:end] + b" " * (-(end - 8) % 8)
    return len(header).to_bytes(8, "little") + header + blob[end:].lstrip(b" ")


def other_bytes(blob: bytes, chance: random.Random) -> bytes:
    """Return the file with bits flipped, bytes changed, or parts removed, doubled, exchanged or inserted."""
    data = bytearray(blob)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        at, size = chance.randrange(len(data) + 1), chance.choice((1, 2, 8, 64, 300))
        other = chance.randrange(len(data) + 1)
        kind = chance.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 2 and at < len(data):
            data[at] = ord(chance.choice('0123456789-[]{},:" e\\nNaN'))
        elif kind == 3:
            del data[at : at + size]
        elif kind == 4:
            data[at:at] = data[at : at + size]
        elif kind == 5:
            data[at:at] = data[other : other + size]
        elif kind == 6:
            data[at:at] = chance.randbytes(size)
        elif kind == 7:
            del data[at:]
        if not data:
            break
    return bytes(data)


DESCRIBED = [
    entry.to_dict() for table in (ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, INITIALIZERS) for entry in table.values()
]
NUMBERS: list[Any] = [
    0, -1, 1, 2, 3, 16, 2**31, 2**53, 2**62 - 1, 2**62, 2**63 - 1, 2**63, 2**64, 10**12, 10**30, 10**400, 0.5, 1.0,
    -0.0, 5e-324, 1e-30, 1e30, 1e308, -1e308, float("nan"), float("inf"), -float("inf"),
]  # fmt: skip
OTHERS: list[Any] = [
    None, True, False, "", "NaN", "relu", "x" * 3000, "\ud800", "float64", "f4", ">f4", "f4,f4", "O", [], {}, [[]],
    [0] * 300,
]  # fmt: skip


def other_value(value: Any, chance: random.Random) -> Any:
    """Return a replacement for a value of a description."""
    kind = chance.randrange(6)
    if kind == 0 or (kind == 1 and isinstance(value, (int, float))):
        return chance.choice(NUMBERS)
    if kind == 1:
        return copy.deepcopy(chance.choice(OTHERS))
    if kind == 2:
        return copy.deepcopy(chance.choice(DESCRIBED))
    if kind == 3 and isinstance(value, (int, float)) and abs(value) < 2**64:
        return value * chance.choice((-1, 2, 0.5)) + chance.choice((0, 1, -1))
    if kind == 4:
        return chance.choice(("<[1>", "<{5>", "<[500>", "<{5000>", "<[5000>"))
    return [copy.deepcopy(value) for _ in range(chance.choice((0, 2, 20)))] if kind == 5 else {"name": value}


def change_somewhere(tree: Any, chance: random.Random) -> None:
    """Change, remove, double or rename one thing in a tree of lists and dicts."""
    places = list(_places(tree))
    holder, key = chance.choice(places)
    kind = chance.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif kind == 1:
        holder[chance.choice(["x", "name", "seed", "units", key + "x"])] = holder.pop(key)
    elif kind == 2:
        other, its = chance.choice(places)
        holder[key] = copy.deepcopy(other[its])
    elif kind == 3 and isinstance(holder, dict):
        holder["more"] = chance.choice(NUMBERS)
    else:
        holder[key] = other_value(holder[key], chance)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], (dict, list)) and tree[key]:
            yield from _places(tree[key])


def other_description(blob: bytes, chance: random.Random, only: str = "") -> bytes:
    """Return the file with one JSON text of the metadata changed, in spelling or in content."""
    header, data = split(blob)
    metadata = header["__metadata__"]
    key = only or chance.choice([name for name in metadata if name not in ("sha256", "format", "format_version")])
    if chance.random() < 0.2:
        text = other_bytes(metadata[key].encode(), chance).decode("latin-1")
    else:
        tree = json.loads(metadata[key])
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            if tree:
                change_somewhere(tree, chance)
        text = dumped(tree)
    metadata[key] = text
    return joined(header, data)


def other_header(blob: bytes, chance: random.Random) -> bytes:
    """Return the file with a changed header: shapes, offsets, names or dtypes."""
    header, data = split(blob)
    for _ in range(chance.choice((1, 1, 2, 4))):
        change_somewhere(header, chance)
    return joined(header, data)


def other_numbers(blob: bytes, chance: random.Random) -> bytes:
    """Return the file with other numbers in its tensors."""
    header, data = split(blob)
    numbers = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 30))):
        kind = chance.choice(("<f4", "<f8"))
        value = chance.choice([0.0, -0.0, -1.0, 1e-45, 3e38, -3e38, 1e300, -1e300, np.nan, np.inf, -np.inf, 1e19])
        with np.errstate(over="ignore"):
            piece = np.array(value).astype(kind).tobytes()
        at = chance.randrange(len(numbers) // 8) * 8
        numbers[at : at + len(piece)] = piece
    return joined(header, bytes(numbers))


CHANGES: dict[Callable[[bytes, random.Random], bytes], int] = {
    other_bytes: 40,
    other_description: 40,
    other_header: 10,
    other_numbers: 10,
}


def mutation(blob: bytes, seed: int) -> bytes:
    """Return a damaged file, which the seed decides. Half of the files with changed bytes have a correct digest."""
    chance = random.Random(seed)
    (change,) = chance.choices(list(CHANGES), list(CHANGES.values()))
    wrong = change(blob, chance)
    if change is other_bytes:
        return sealed(repadded(wrong, chance)) if chance.random() < 0.5 and len(wrong) > 8 else wrong
    return sealed(wrong)


def table_mutation(blob: bytes, seed: int) -> bytes:
    """Return a file whose description of its table is damaged, as the seed decides."""
    return sealed(other_description(blob, random.Random(seed), "table"))


# What comes of it ----------------------------------------------------------------------------------------------------

SPARE_BYTES = 300_000
"""The bytes that a load may take in addition to the limit by the file's size: a layer's description of 10,000
characters takes up to 250,000 as Python's objects (one empty dict after the other)."""


class Loads:
    """A loader that checks that each file is refused or gives a network, within a limit of memory."""

    def __init__(self) -> None:
        self.refused = self.accepted = 0
        self.peak = 0
        plain = checkpointing.Parameters

        def at_once(architecture: Any) -> Any:
            self.peak = tracemalloc.get_traced_memory()[1]  # all is validated now
            return plain(architecture)

        checkpointing.Parameters = at_once  # type: ignore[assignment, misc]

    def load(self, path: Path, measured: bool = False, kind: Any = Network, more: int = 0) -> Any:
        """Return the network, or None if the file is refused. `more` raises its memory limit, in header sizes."""
        if measured:
            tracemalloc.start()
        try:
            found, said = kind.load(path), ""
            self.accepted += 1
        except ModelFormatError as error:
            self.peak = tracemalloc.get_traced_memory()[1]
            self.refused += 1
            found, said = None, str(error)
        finally:
            tracemalloc.stop()
        assert found is not None or (str(path) in said and len(said) < 5000), said
        if measured:
            blob = path.read_bytes()
            header = min(int.from_bytes(blob[:8], "little"), len(blob))
            most = 2 * len(blob) + more * header + SPARE_BYTES
            assert self.peak <= most, f"{self.peak} bytes taken for {len(blob)}, of them {header} of the header"
        return found


def works(network: Network) -> None:
    """Check that a network predicts, and that it trains for an epoch or raises an error with a reason."""
    X, y = data_for(network, 10, network.architecture.dtype.name)
    assert network.predict(X).shape == (10, network.architecture.outputs)
    with contextlib.suppress(NonFiniteLossError):
        network.fit(X, y, batch_size=4, verbose=False)
