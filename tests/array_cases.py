"""Arrays of every dtype and layout, and networks to train on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from behaviour import bits, small_network

from fastmlp import Dense, Network

ROWS, COLUMNS = 41, 3

Layout = Callable[[Any], Any]


class Frame:
    """An object with `__array__`, such as the data frames of some libraries."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.values, dtype)


def strided(array: Any) -> Any:
    """Return a view of every second row and column of a larger array, with the values of `array`."""
    larger = np.zeros(tuple(2 * n for n in array.shape), array.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def backwards(array: Any) -> Any:
    """Return a view with negative strides and the values of `array`."""
    reverse = tuple(slice(None, None, -1) for _ in array.shape)
    return array[reverse].copy()[reverse]


def unaligned(array: Any) -> Any:
    """Return a copy whose elements begin at odd addresses."""
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: Any) -> Any:
    """Return a copy that cannot be written."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def memmapped(array: Any, folder: Path) -> Any:
    """Return a memory-mapped file with the values and the order of `array`."""
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


LAYOUTS: dict[str, Layout] = {
    "C": lambda a: a.copy(),
    "Fortran": np.asfortranarray,
    "strided": strided,
    "negative strides": backwards,
    "unaligned": unaligned,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": read_only,
    "a list": lambda a: a.tolist(),
    "objects": lambda a: a.astype(object),
    "a frame": Frame,
}
DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32", "float64", "longdouble"]


def numbers_of(dtype: str, shape: tuple[int, ...]) -> Any:
    """Return numbers that this dtype, float32 and float64 hold exactly."""
    values = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, shape)
    scale = 1 if np.dtype(dtype).kind in "bui" else np.dtype(dtype).type(1 / 64)
    return values.astype(dtype) * scale if scale != 1 else values.astype(dtype)


NETWORKS: dict[str, Callable[[str], Network]] = {
    "labels": lambda dtype: small_network(dtype=dtype),
    "rows": lambda dtype: Network([COLUMNS, Dense(6, "tanh", dropout=0.2), 2], dtype=dtype, seed=7),
    "a column": lambda dtype: Network([COLUMNS, Dense(6, "tanh"), 1], dtype=dtype, seed=7),
    "shares": lambda dtype: Network([COLUMNS, Dense(6, "tanh"), 1], output="sigmoid", dtype=dtype, seed=7),
}


def targets_of(kind: str, dtype: str) -> Any:
    """Return targets of that dtype for `NETWORKS[kind]`."""
    if kind == "labels":
        return (np.arange(ROWS) * 7 % 3 % (2 if dtype == "bool" else 3)).astype(dtype)
    if kind == "shares":
        return (np.arange(ROWS) * 5 % 2).astype(dtype)
    return numbers_of(dtype, (ROWS, 2) if kind == "rows" else (ROWS,))


def outcome(network: Network, X: Any, y: Any, weights: Any, **options: Any) -> list[Any]:
    """Return all that a fit, an evaluation, a prediction and gradients give, to be compared bit for bit."""
    history = network.fit(X, y, sample_weight=weights, epochs=2, batch_size=16, **options).history
    loss, gradients = network.loss_and_gradients(X, y, weights)
    return [
        bits(network),
        history,
        network.evaluate(X, y, weights),
        network.predict(X).tobytes(),
        loss,
        [(w.tobytes(), b.tobytes()) for w, b in gradients if b is not None],
    ]
