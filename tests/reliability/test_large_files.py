"""A file of more than 2^31 numbers, most of it a hole that takes no room: its last rows count like any others.

Read for offsets that might have 32 bits: every kernel computes places from words of the plan, which are int64, and
`ctypes` hands over int64 and whole addresses (`Kernel.function_for`); loop variables and literals are int64 to Numba.
`Emitter.loop` counts in int64. Row numbers, positions and strides are never narrowed; the 32-bit integers that there
are hold lanes of a vector and shares of one (`simd.INT32`).
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from behaviour import Tried, run_python

LARGE = """
import json, os, sys, time
import numpy as np
from fastmlp import Network

folder, rows, tail = sys.argv[1], int(sys.argv[2]), 5000
columns, head = 16, rows - tail
rng = np.random.default_rng(0)
own = rng.normal(size=(tail, columns)).astype("f4")
classes = (own[:, 0] > 0).astype("i8")

def written(name, dtype, shape, last):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.truncate(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    mapped = np.memmap(path, dtype, "r+", shape=shape)
    mapped[len(mapped) - tail:] = last
    mapped.flush()
    del mapped
    return np.memmap(path, dtype, "r", shape=shape)

X = written("X", "f4", (rows, columns), own)
y = written("y", "i8", (rows,), classes)
found = {"numbers": X.size, "bytes on disk": os.stat(os.path.join(folder, "X")).st_blocks * 512}

def network():
    return Network([columns, 4, 2], output="softmax", seed=0)

# All rows predicted: those of the hole alike, the last as by themselves.
predicted, alone = network().predict(X), network().predict(own)
found["last rows"] = predicted[head:].tobytes() == alone.tobytes()
found["hole"] = bool((predicted[:head] == predicted[0]).all())
del predicted
# Turned round, so that all strides are negative and the last rows are read first; and a part of the columns.
turned = network().predict(X[::-1][: tail * 2])
found["turned"] = turned[:tail].tobytes() == alone[::-1].tobytes()
narrow = Network([columns // 2, 2], seed=0)
found["columns"] = narrow.predict(X[head:, ::2]).tobytes() == narrow.predict(own[:, ::2].copy()).tobytes()
steps = rows // 16  # a stride of more than 2^31 bytes between rows
far = X[rows - 1 :: -steps]
found["far rows"] = network().predict(far).tobytes() == network().predict(far.copy()).tobytes()

# Trained on in order: the last batch decides, and counts as one of a small array does.
def trained(x, t, batch):
    net = network()
    weights = []
    net.fit(x, t, batch_size=batch, shuffle=False)
    return [w.tobytes() + b.tobytes() for w, b in net.get_weights()], net.step

batch = -(-rows // 64)
batch += -batch % 16
whole = trained(X, y, batch)
chunks = trained(lambda: ((X[i : i + batch], y[i : i + batch]) for i in range(0, rows, batch)), None, batch)
found["fit as by chunks"], found["steps"] = whole == chunks, whole[1]
if rows < 1 << 20:  # otherwise that takes a minute
    last = rows - rows % batch
    changed = X[last:].copy()
    changed[-1, -1] += 1
    pieces = [(X[i : i + batch], y[i : i + batch]) for i in range(0, last, batch)]
    found["the last row counts"] = whole != trained([*pieces, (changed, y[last:])], None, batch)

# The last label and the last number are checked.
wrong = []
for name, mapped, value in (("X", X, np.nan), ("y", y, 2)):
    array = np.memmap(os.path.join(folder, name), mapped.dtype, "r+", shape=mapped.shape)
    kept = array[-1].copy()
    array[-1] = value
    try:
        network().fit(X, y, batch_size=batch, shuffle=False)
        wrong.append("taken")
    except ValueError as error:
        wrong.append(str(error))
    array[-1] = kept
found["errors"] = wrong
print(json.dumps(found))
"""


# 2^21 numbers, or more than 2^31.
@pytest.mark.parametrize("rows", [(1 << 17) + 8111, pytest.param((1 << 27) + 8111, marks=pytest.mark.heavy)])
def test_the_last_rows_of_an_enormous_file_count(rows: int, tmp_path: Path, tried: Tried) -> None:
    with open(tmp_path / "hole", "wb") as file:
        file.truncate(64 << 20)
    if not hasattr(os.stat_result, "st_blocks") or os.stat(tmp_path / "hole").st_blocks * 512 > 1 << 20:
        pytest.skip("this file system has no files with holes")
    if shutil.disk_usage(tmp_path).free < 1 << 30:
        pytest.skip("the disk has less than 1 GB left")
    code = f"import sys; sys.argv = ['', {str(tmp_path)!r}, '{rows}']\n{LARGE}"
    found = json.loads(run_python(code, seconds=400)[0])
    assert found["bytes on disk"] < 64 << 20
    for name in ("last rows", "hole", "turned", "columns", "far rows", "fit as by chunks"):
        assert found[name], name
    assert found.get("the last row counts", True)
    assert found["steps"] == 64
    assert f"X[{rows - 1}, 0] is nan" in found["errors"][0]
    assert "got labels from 0 to 2" in found["errors"][1]
    tried("a file with a hole, in millions of numbers", found["numbers"] // 10**6)
