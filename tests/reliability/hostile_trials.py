"""Trials of hostile files, which tests run in a separate process. Each trial prints the number of its cases."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cases import LEARNERS
from hostile_files import Loads, good_files, good_table, mutation, table_mutation, works
from model_files import PARTS, as_version_1, dumped, joined, sealed, split

from fastmlp import Dense, Nadam, Network
from fastmlp.optimizers import SGD
from fastmlp.schedules import SCHEDULES
from fastmlp.tables import TableError, TableWarning, TabularModel


def _resident() -> int:
    """Return the peak memory of this process in bytes, or 0 if the system does not report it."""
    with contextlib.suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 0


def cuts(version: str, which: int, folder: str) -> None:
    """Load a file that is cut at each byte, without and with a corrected digest."""
    good = good_files(Path(folder), version)[which]
    loads, path = Loads(), Path(folder, "cut")
    for length in range(len(good)):
        for blob in (good[:length], sealed(good[:length])):
            path.write_bytes(blob)
            assert loads.load(path) is None
    print(loads.refused)


def flips(version: str, which: int, stride: int, folder: str) -> None:
    """Load a file with one bit of the header or of its length flipped, and a correct digest."""
    good = good_files(Path(folder), version)[which]
    loads, path = Loads(), Path(folder, "flipped")
    for bit in range(0, 8 * (8 + int.from_bytes(good[:8], "little")), stride):
        blob = bytearray(good)
        blob[bit // 8] ^= 1 << bit % 8
        path.write_bytes(sealed(bytes(blob)))
        network = loads.load(path)
        if network is not None:
            works(network)
    print(loads.refused + loads.accepted, loads.refused)


def mutations(version: str, count: int, folder: str) -> None:
    """Load files with random changes."""
    good = good_files(Path(folder), version)
    loads, path, before = Loads(), Path(folder, "changed"), 0
    for seed in range(count):
        path.write_bytes(mutation(good[seed % len(good)], seed))
        network = loads.load(path, measured=seed % 8 == 0 and seed < 8000)
        if network is not None:
            works(network)
        before = before or (_resident() if seed == min(500, count // 4) else 0)
    assert _resident() - before < 100e6
    print(loads.refused + loads.accepted, loads.refused, loads.accepted)


def table_mutations(version: str, count: int, folder: str) -> None:
    """Load files with random changes in the description of the table."""
    good, csv = good_table(Path(folder), version)
    loads, path = Loads(), Path(folder, "changed")
    for seed in range(count):
        path.write_bytes(table_mutation(good, seed))
        model = loads.load(path, kind=TabularModel)
        if model is not None:
            with contextlib.suppress(TableError, TableWarning):  # a column, class or category has another name now
                model.evaluate(csv, verbose=False)
            model.save(path)
    print(loads.refused + loads.accepted, loads.refused, loads.accepted)


def large_headers(version: str, size: int, folder: str) -> None:
    """Load headers of about `size` bytes, one of each hostile kind."""
    small, path, loads = Path(folder, "small"), Path(folder, "large"), Loads()
    Network([1, 1], seed=0).save(small)
    blob = small.read_bytes()
    own = split(as_version_1(blob) if version == "1" else blob)[0]["__metadata__"]

    def entry(name: str, dtype: str = "F32", shape: str = "[0]", size: int = 0) -> str:
        return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{size}]}}'

    def said(changes: dict[str, str] | None = None) -> str:
        return dumped({**own, **(changes or {})}, (",", ":"))

    def file(metadata: str, *entries: str) -> bytes:
        text = ('{"__metadata__":' + ",".join([metadata, *entries]) + "}").encode()
        text += b" " * (-len(text) % 8)
        return sealed(len(text).to_bytes(8, "little") + text)

    headers: dict[str, Callable[[], bytes]] = {
        "a shape of many numbers": lambda: file(said(), entry("w", shape="[" + "1," * (size // 2) + "1]")),
        "a long number": lambda: file(said(), entry("w", shape="[" + "1" * size + "]")),
        "many keys": lambda: file(said()[:-1] + "".join(f',"{key}":""' for key in range(size // 14)) + "}"),
        "many tensors": lambda: file(said(), *(entry(f"{name}") for name in range(size // 65))),
        "one tensor many times": lambda: file(said(), *[entry("w")] * (size // 65)),
        "a long name": lambda: file(said(), entry("n" * size)),
        "a long dtype": lambda: file(said(), entry("w", "F" * size)),
        "a text without end": lambda: file(said()[:-2] + "a" * size),
        "a long text": lambda: file(said({"x": "a" * size})),
        "a long text of other letters": lambda: file(said({"x": "é" * (size // 6)})),
        "a long text of many alphabets": lambda: file(said({"x": "😀" * (size // 12)})),
    }
    descriptions = _descriptions_of_version_1(own, size) if version == "1" else _descriptions_of_version_2(own, size)
    blobs = ((kind, make()) for kind, make in headers.items())
    blobs_of_descriptions = ((kind, file(said(changes))) for kind, changes in descriptions)
    # Python takes 2 or 4 bytes for a character that the file spells in 6 or 12; and what a layer is, some 600.
    larger = ("a long text of other letters", "a long text of many alphabets", "many layers")
    for kind, wrong in itertools.chain(blobs, blobs_of_descriptions):
        path.write_bytes(wrong)
        assert loads.load(path, measured=True, more=2 * (kind in larger)) is None
    layers = "architecture" if version == "1" else "layers"
    units = {layers: own[layers].replace('"units": 1', '"units": 1000000000')}
    path.write_bytes(file(said(units), entry("layers.0.W", shape="[1,1000000000]")))
    assert loads.load(path, measured=True) is None
    print(loads.refused)


def _descriptions_of_version_1(own: dict[str, str], size: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the kind of each hostile text, and metadata with it, about `size` characters long."""
    architecture = own["architecture"]
    begin, end = architecture.index("[") + 1, architecture.rindex('], "loss"')
    layer, rest = architecture[begin:end], architecture[end:]
    objects = "{}," * (size // 3)
    yield "quotes", {"architecture": '"' * (size // 2)}
    yield "brackets", {"architecture": "[" * size}
    yield "an architecture and blanks", {"architecture": architecture + " " * size}
    yield "layers that are none", {"architecture": '{"layers": [' + "[]," * (size // 3) + rest}
    yield "a layer of objects", {"architecture": '{"layers": [[' + objects + rest}
    yield "objects in place of a loss", {"architecture": f'{{"layers": [{layer}], "loss": ' + objects}
    yield "many layers", {"architecture": '{"layers": [' + ", ".join([layer] * (size // 500)) + rest}
    yield "counters of objects", {"training": "[" + objects}
    yield "a best figure of objects", {"best": "[" + objects}


def _descriptions_of_version_2(own: dict[str, str], size: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the kind of each hostile text, and metadata with it, about `size` characters long."""
    layer, objects, short = own["layers"][1:-1], "{}," * (size // 3), "{}," * 3200
    for key in (*PARTS, "best"):
        yield "quotes", {key: '"' * (size // 2)}
        yield "brackets", {key: "[" * size}
        yield "objects", {key: f"[{objects}{{}}]"}
        yield "objects without end", {key: f"[{objects}"}
        yield "a text", {key: '["' + "x" * size + '"]'}
        yield "blanks", {key: " " * size}
        yield "something after its end", {key: own.get(key, "{}") + " " * size + "{}"}
        yield "a part that is short enough to be decoded", {key: f'{{"x": [{short}{{}}]}}'}
    yield "layers that are none", {"layers": "[" + "[]," * (size // 3)}
    yield "a layer of objects", {"layers": f"[[{objects}"}
    yield "blanks between layers", {"layers": f"[{layer}," + " " * size + f"{layer}]"}
    yield "blanks without end", {"layers": f"[{layer}" + " " * size}
    yield "many layers", {"layers": "[" + ", ".join([layer] * (size // 500)) + "]"}
    yield "layers without a comma", {"layers": f"[{layer}]" * (size // 500)}


def large_counters(version: str, folder: str) -> None:
    """Train every optimizer, with and without each schedule, from the largest step that a file may contain."""
    path, loads = Path(folder, "model"), Loads()
    slow = Nadam(beta_1=1 - 1e-15, momentum_decay=1e6)  # the product of whose factors never fades
    scheduled = [SGD(schedule) for schedule in SCHEDULES.values()]
    for optimizer in (*LEARNERS.values(), *scheduled, slow):
        Network([2, Dense(3, dropout=0.5), 2], optimizer=optimizer, seed=1).save(path)
        blob = path.read_bytes()
        header, data = split(as_version_1(blob) if version == "1" else blob)
        training = json.loads(header["__metadata__"]["training"])
        for counters in (
            {"epoch": 2**62 - 1, "step": 2**62 - 1},
            {"step": 2**31},
            {"rows": 2**62 - 1, "batch_size": 1, "batch": 2**62 - 3},
        ):
            header["__metadata__"]["training"] = json.dumps({**training, **counters})
            path.write_bytes(sealed(joined(header, data)))
            works(loads.load(path))
    print(loads.accepted)


def changing(refused: int, folder: str) -> None:
    """Load a file while another thread truncates, extends and rewrites it in place."""
    good = [blob for version in ("1", "2") for blob in good_files(Path(folder), version)]
    loads, over = Loads(), threading.Event()
    path = Path(folder, "changing")
    path.write_bytes(good[0])

    def change() -> None:
        with open(path, "r+b", buffering=0) as file:
            while not over.is_set():
                for blob in good:
                    file.seek(0)
                    file.write(blob)
                    file.truncate(len(blob) // 2)
                    file.seek(0)
                    file.write(blob)
                    file.truncate()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        while loads.refused < refused:
            network = loads.load(path)
            assert network is None or network.architecture.inputs in (1, 2, 3)
    finally:
        over.set()
        thread.join()
    print(loads.refused + loads.accepted)


if __name__ == "__main__":  # one trial after the other, as they are asked for
    for line in sys.stdin:
        exec(line)
        sys.stdout.flush()
