"""Arrays of every kind, for every argument that takes an array; `test_kinds.py` runs this in a separate process."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import functools
import itertools
import json
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from array_cases import Frame, backwards, read_only, strided, unaligned
from behaviour import small_network

from fastmlp import Dense, Network
from fastmlp._data import arrays
from fastmlp._engine.warmup import kernels_among
from fastmlp.kernels.host.jit import Kernel

ROWS, COLUMNS, OUTPUTS = 41, 3, 2
DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64", "longdouble"]
OTHER_ORDER = ">" if sys.byteorder == "little" else "<"

Given = Any
Pair = tuple[Given, Any]
"""The argument, and the same numbers as a plain array."""


class Own(np.ndarray):
    """An array of a subclass."""


def in_a_record(a: Any) -> Any:
    """Return a field of packed records: unaligned and not contiguous."""
    records = np.zeros(len(a), np.dtype([("x", "u1"), ("a", a.dtype, a.shape[1:])]))
    records["a"] = a
    return records["a"]


def of_bytes(a: Any) -> Any:
    """Return an array in the memory of a bytes object, which is read-only."""
    return np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape)


def memmapped(a: Any) -> Any:
    with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as file:
        np.save(file, a)
    mapped = np.load(file.name, mmap_mode="r")
    if sys.platform != "win32":  # where an open file cannot be deleted
        Path(file.name).unlink()
    return mapped


def numbers(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that converts an array to Python objects of a kind."""

    def of(a: Any) -> Any:
        made = np.empty(a.shape, object)
        made.reshape(-1)[:] = [kind(value) for value in a.reshape(-1).tolist()]
        return made

    return of


def tuples(a: Any) -> Any:
    return tuple(tuple(row) for row in a.tolist()) if a.ndim == 2 else tuple(a.tolist())


def rows_in_a_list(a: Any) -> Any:
    return [np.array(row) for row in a]


def by_array_module(a: Any) -> Any:
    """Return an `array.array`, which has one dimension, or for a table a memoryview of it."""
    plain = np.ascontiguousarray(a, np.float64)
    flat = array.array("d", plain.reshape(-1).tolist())
    return flat if a.ndim == 1 else memoryview(flat).cast("B").cast("d", list(a.shape))


def a_matrix(a: Any) -> Any:
    """Return a `numpy.matrix`, which NumPy discourages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.asmatrix(a.copy()) if a.ndim == 2 else a


def one_row(a: Any) -> Any:
    """Return a view that repeats one row, with a stride of 0."""
    return np.broadcast_to(a[:1].copy(), a.shape)


def one_number(a: Any) -> Any:
    """Return a view that repeats one number: both strides are 0."""
    return np.broadcast_to(a.reshape(-1)[:1].copy().reshape((1,) * a.ndim), a.shape)


FORMS: dict[str, Callable[[Any], Any]] = {
    "C": lambda a: a.copy(),
    "Fortran": np.asfortranarray,
    "strided": strided,
    "negative strides": backwards,
    "zero stride": one_row,
    "zero strides": one_number,
    "unaligned": unaligned,
    "a field of records": in_a_record,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(OTHER_ORDER)),
    "read-only": read_only,
    "of bytes": of_bytes,
    "memory-mapped": memmapped,
    "memory-mapped Fortran": lambda a: memmapped(np.asfortranarray(a)),
    "memory-mapped backwards": lambda a: memmapped(a[::-1])[::-1],
    "objects": lambda a: a.astype(object),
    "a list": lambda a: a.tolist(),
    "a list of rows": rows_in_a_list,
    "tuples": tuples,
    "decimals": numbers(lambda value: decimal.Decimal(float(value))),
    "fractions": numbers(lambda value: fractions.Fraction(float(value))),
    "a frame": Frame,
    "a frame of Fortran": lambda a: Frame(np.asfortranarray(a)),
    "a subclass": lambda a: a.view(Own),
    "masked, but nowhere": np.ma.array,
    "a memoryview": lambda a: memoryview(a.copy()) if a.dtype != np.longdouble else a,
    "array.array": by_array_module,
    "a matrix": a_matrix,
}


def frames() -> dict[str, Callable[[Any], Any]]:
    """Return conversions to the data frames of pandas, if it is installed."""
    try:
        import pandas as pd
    except ImportError:
        return {}

    def frame(a: Any, **options: Any) -> Any:
        return pd.DataFrame(a, **options) if a.ndim == 2 else pd.Series(a, **options)

    def nullable(a: Any) -> Any:
        return frame(a).convert_dtypes() if a.dtype not in (np.float16, np.longdouble) else frame(a)

    return {
        "pandas": lambda a: frame(a.copy()),
        "pandas, other index": lambda a: frame(a.copy(), index=np.arange(len(a))[::-1] + 100),
        "pandas, nullable": nullable,
        "pandas, columns of several dtypes": lambda a: frame(a).astype({0: object}) if a.ndim == 2 else frame(a),
        "pandas, categories": lambda a: frame(a).astype("category") if a.dtype.kind in "iu" else frame(a),
    }


def refused(a: Any) -> dict[str, tuple[Callable[[], Any], str]]:
    """Return makers of arguments that must be refused, with part of the message. `a` is a valid array."""
    wide = a.astype(np.float64)

    def spoiled(value: Any, place: int, dtype: Any) -> Any:
        made = a.astype(dtype)
        made.reshape(-1)[place] = value
        return made

    def masked(value: float) -> Any:
        hidden = np.zeros(a.shape, bool)
        hidden.reshape(-1)[1] = True
        return np.ma.array(spoiled(value, 1, np.float64), mask=hidden)

    class Broken:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            return [1, 2]

    cases: dict[str, tuple[Callable[[], Any], str]] = {
        "masked NaN": (lambda: masked(float("nan")), "some are masked; fill them in"),
        "masked number": (lambda: masked(1.0), "some are masked; fill them in"),
        "masked by an object": (lambda: Frame2(masked(1.0)), "some are masked; fill them in"),
        "masked rows in a list": (lambda: [*masked(1.0)], "masked"),
        "records": (lambda: np.zeros(ROWS, "f4,f4,f4"), "structured_to_unstructured"),
        "recarray": (lambda: np.rec.array(np.zeros(ROWS, "f4,f4,f4")), "structured_to_unstructured"),
        "dates": (lambda: a.astype(np.int64).astype("M8[s]"), "datetime64"),
        "durations": (lambda: a.astype(np.int64).astype("m8[s]"), "timedelta64"),
        "date objects": (lambda: numbers(lambda _: datetime.date(2020, 1, 1))(a), "objects such as datetime.date"),
        "complex": (lambda: a + 1j, "np.real gives its real part"),
        "complex without imaginary part": (lambda: a.astype(complex), "np.real gives its real part"),
        "complex objects": (lambda: numbers(complex)(a), "objects such as"),
        "texts": (lambda: a.astype(str), "numbers"),
        "bytes": (lambda: a.astype("S"), "real numbers, got an array of |S"),
        "text objects": (lambda: numbers(str)(a), "numbers"),
        "None among objects": (lambda: spoiled(None, -1, object), "objects such as None"),
        "signalling NaN": (lambda: spoiled(decimal.Decimal("sNaN"), 0, object), "signaling NaN"),
        "infinite decimal": (lambda: spoiled(decimal.Decimal("1e400"), 0, object), "is inf"),
        "huge whole number": (lambda: spoiled(10**400, 0, object), "float64 cannot hold"),
        "huge fraction": (lambda: spoiled(fractions.Fraction(10**400, 3), 0, object), "float64 cannot hold"),
        "a list that ends early": (lambda: [*wide.tolist()[:-1], [1.0] * 7], "rows differ in length"),
        "no dimension": (lambda: np.float64(1), "must have"),
        "a number": (lambda: 5, "must have"),
        "three dimensions": (lambda: np.ones((ROWS, COLUMNS, 1)), "must have shape"),
        "a range": (lambda: range(ROWS + 1), "must have"),
        "a dict": (lambda: {"a": 1}, "objects such as {"),
        "a set": (lambda: {1, 2}, "objects such as {"),
        "a deque": (lambda: collections.deque([None] * ROWS), "objects such as None"),
        "a class": (lambda: Broken, "must"),
        "a generator": (lambda: (row for row in wide), "must"),
        "a broken __array__": (Broken, "must be an array"),
        "Ellipsis": (lambda: ..., "objects such as Ellipsis"),
        "void": (lambda: np.zeros(ROWS, "V8"), "real numbers, got an array of |V8"),
    }
    for dtype in ("float16", "float32", "float64", "longdouble", f"{OTHER_ORDER}f4", f"{OTHER_ORDER}f8", "object"):
        for value, place in itertools.product((np.nan, np.inf, -np.inf), (0, a.size // 2, a.size - 1)):
            row, *column = (int(i) for i in np.unravel_index(place, a.shape))
            where = f"[{', '.join(str(i) for i in [row, *column])}] is {value}; "
            cases[f"{value} at {place} in {dtype}"] = (lambda v=value, p=place, d=dtype: spoiled(v, p, d), where)
    try:
        import scipy.sparse

        for name in ("csr_matrix", "csc_array", "coo_array"):
            make = getattr(scipy.sparse, name)
            cases[f"scipy {name}"] = (lambda m=make: m(np.atleast_2d(wide)), "its toarray() gives them all")
    except ImportError:
        pass
    try:
        import pandas as pd

        cases["pandas, NaN"] = (lambda: pd.DataFrame(spoiled(np.nan, 0, float)), "is nan; leave such rows out")
        cases["pandas, NA"] = (lambda: pd.DataFrame(spoiled(pd.NA, 0, object)).convert_dtypes(), "leave such rows out")
        cases["pandas, texts"] = (lambda: pd.DataFrame(wide).astype(str), "must hold real numbers")
    except ImportError:
        pass
    return cases


class Frame2(Frame):
    """A frame whose `__array__` returns its array unchanged, with its mask."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.values


# Where arrays go -----------------------------------------------------------------------------------------------------


def classifier(dtype: str) -> Network:
    return small_network(dtype=dtype)


def regression(dtype: str) -> Network:
    return Network([COLUMNS, Dense(6, "tanh", dropout=0.2), OUTPUTS], dtype=dtype, seed=7)


def good(role: str, dtype: str = "float64") -> Any:
    """Return an array for a role whose values every dtype can hold."""
    most = 2 if dtype == "bool" else 100
    rng = np.random.default_rng(len(role))
    if role == "labels":
        return (np.arange(ROWS) * 7 % 3 % most).astype(dtype)
    shape = {"X": (ROWS, COLUMNS), "values": (ROWS, OUTPUTS), "weights": (ROWS,)}[role]
    whole = rng.integers(0, most, shape)
    return whole.astype(dtype) if np.dtype(dtype).kind in "bui" else (whole / 64).astype(dtype)


X, LABELS, VALUES, WEIGHTS = (good(role) for role in ("X", "labels", "values", "weights"))
ROLES = ["X", "labels", "values", "weights"]
Entry = Callable[[Network, Any], Any]


def entries(role: str) -> dict[str, Entry]:
    """Return all methods that take an array of a role; their other arrays are plain."""
    y = VALUES if role == "values" else LABELS

    def with_it(given: Any) -> tuple[Any, Any, Any]:
        """Return X, y and the weights, with `given` in place of one of them."""
        return {
            "X": (given, y, WEIGHTS),
            "labels": (X, given, WEIGHTS),
            "values": (X, given, WEIGHTS),
            "weights": (X, y, given),
        }[role]

    def fit(network: Network, given: Any, **options: Any) -> Any:
        x, t, w = with_it(given)
        return network.fit(x, t, sample_weight=w, epochs=2, batch_size=16, **options).history

    def asked(method: str) -> Entry:
        return lambda network, given: getattr(network, method)(*with_it(given))

    found: dict[str, Entry] = {
        "fit": fit,
        "fit in order": lambda n, given: fit(n, given, shuffle=False),
        "fit and split": lambda n, given: fit(n, given, validation_split=0.3),
        "validation_data": lambda n, given: n.fit(X, y, batch_size=16, validation_data=with_it(given)).history,
        "chunks": lambda n, given: n.fit([(X, y, WEIGHTS), with_it(given)], batch_size=16, epochs=2).history,
        "evaluate": asked("evaluate"),
        "train_on_batch": asked("train_on_batch"),
        "loss_and_gradients": asked("loss_and_gradients"),
    }
    if role == "X":
        for method in ("predict", "predict_classes", "hidden_activations", "input_gradients"):
            found[method] = lambda n, given, m=method: getattr(n, m)(given)
    return found


def state_of(network: Network) -> dict[str, Any]:
    """Return the state of a network, except the duration of the last fit."""
    state = network.__getstate__()
    return {name: bytes(state[name]) for name in ("weights", "slots", "state")}


def network_for(role: str, dtype: str) -> Network:
    return regression(dtype) if role == "values" else classifier(dtype)


def plain_copy(role: str, a: Any, dtype: str) -> Any:
    """Return a plain, contiguous copy in a suitable dtype."""
    wanted = np.int64 if role == "labels" else np.float64 if role == "weights" else dtype
    return np.array(np.asarray(a), wanted, order="C")


def digest(thing: Any) -> Any:
    """Return the bits of the result of any method."""
    if isinstance(thing, np.ndarray):
        return (thing.shape, str(thing.dtype), thing.tobytes())
    if isinstance(thing, (list, tuple)):
        return [digest(each) for each in thing]
    return {key: digest(value) for key, value in thing.items()} if isinstance(thing, dict) else repr(thing)


def seen(given: Any) -> Any:
    """Return what a call must not change of an argument: its bytes and its flags."""
    if isinstance(given, np.ndarray):
        base = given.base if isinstance(given.base, np.ndarray) else given
        if given.dtype.hasobject:
            return [repr(value) for value in given.reshape(-1)]
        return zlib.crc32(np.ascontiguousarray(base).tobytes()), str(given.flags), given.strides, str(given.dtype)
    if isinstance(given, Frame):
        return seen(given.values)
    return repr(given.to_numpy().tolist()) if hasattr(given, "to_numpy") else repr(given)


@functools.cache
def all_kernels() -> list[Kernel]:
    modules = [module for name, module in sys.modules.items() if name.startswith("fastmlp.kernels")]
    return list({id(kernel): kernel for m in modules for kernel in kernels_among(vars(m).values())}.values())


def kernels() -> int:
    """Return the number of compiled versions of kernels."""
    return sum(len(kernel._addresses) for kernel in all_kernels())


# The two products ----------------------------------------------------------------------------------------------------


def taken(every: int) -> dict[str, Any]:
    """Check every `every`-th case: an array of any kind, dtype and role gives the results of a plain copy."""
    forms = {**FORMS, **frames()}
    usual = arrays.STAGE_BYTES, arrays.SCAN_BYTES
    sizes = {"small": usual, "as if large": (16 * 40, 5 * 12)}
    wrong, count = [], 0
    expected: dict[Any, Any] = {}
    arrays.STAGE_BYTES, arrays.SCAN_BYTES = sizes["as if large"]
    for role, dtype in itertools.product(ROLES, ("float32", "float64")):  # loads all kernels that arrays decide about
        for entry in entries(role).values():
            entry(network_for(role, dtype), np.asfortranarray(good(role, "float16")))
            entry(network_for(role, dtype), np.array(good(role, "int64")))  # labels of int64 are checked by a kernel
            entry(network_for(role, dtype), np.array(good(role, dtype)))  # and so are numbers in the network's dtype
    before = kernels()
    where = [(role, entry) for role in ROLES for entry in entries(role)]
    cases = itertools.product(where, ("float32", "float64"), sizes, forms, DTYPES)
    for (role, name), dtype, size, form, given_dtype in itertools.islice(cases, None, None, every):
        arrays.STAGE_BYTES, arrays.SCAN_BYTES = sizes[size]
        a, entry = good(role, given_dtype), entries(role)[name]
        given, same = forms[form](a), {"zero stride": one_row, "zero strides": one_number}.get(form, np.copy)
        own = plain_copy(role, same(a), dtype)
        key = (role, name, dtype, size, own.tobytes())
        if key not in expected:
            network = network_for(role, dtype)
            expected[key] = digest(entry(network, own)), state_of(network)
        was, network = seen(given), network_for(role, dtype)
        result = digest(entry(network, given)), state_of(network)
        case, count = f"{form} of {given_dtype} as {role} of {name}, {dtype}, {size}", count + 1
        if result != expected[key]:
            wrong.append(f"{case}: other bits")
        if seen(given) != was:
            wrong.append(f"{case}: changed")
        if kernels() != before:
            wrong.append(f"{case}: a new kernel")
    arrays.STAGE_BYTES, arrays.SCAN_BYTES = usual
    return {"count": count, "wrong": wrong[:20], "kernels": before}


def not_taken(every: int) -> dict[str, Any]:
    """Check every `every`-th case: a refused argument is named in the message, with advice, and changes nothing."""
    wrong, count = [], 0
    for role, entry, dtype, name, make, said in itertools.islice(_refusals(), None, None, every):
        network = network_for(role, dtype)
        if entry != "chunks":
            network.train_on_batch(X, VALUES if role == "values" else LABELS)  # its slots hold something
        before, case, count = state_of(network), f"{name} as {role} of {entry}, {dtype}", count + 1
        try:
            entries(role)[entry](network, make())
            wrong.append(f"{case}: taken")
            continue
        except (TypeError, ValueError) as error:
            message = str(error)
        called = {"X": "X", "labels": "y", "values": "y", "weights": "sample_weight"}[role]
        of = {"validation_data": " of validation_data", "chunks": " of chunk 1"}.get(entry, "")
        if said not in message or f"{called}{of}" not in message:
            wrong.append(f"{case}: {message}")
        after = state_of(network)
        changed = [key for key in before if after[key] != before[key] and (entry, key) != ("chunks", "state")]
        if changed:  # chunks are known only when their epoch has begun, which is noted in the state
            wrong.append(f"{case}: {changed} changed")
    return {"count": count, "wrong": wrong[:20]}


def _refusals() -> Iterator[tuple[str, str, str, str, Callable[[], Any], str]]:
    # Some are right elsewhere: a range is a y, a list that ends early may be one of labels, and texts are labels.
    for_x = {"no dimension", "a number", "three dimensions", "a range", "a list that ends early", "a class"}
    where = [(role, entry) for role in ROLES for entry in entries(role)]
    for (role, entry), dtype in itertools.product(where, ("float32", "float64")):
        for name, (make, said) in refused(good(role)).items():
            if role == "labels" and name in ("texts", "text objects"):
                continue
            if role == "X" or not (name in for_x or name == "a generator" or name.startswith("pandas")):
                yield role, entry, dtype, name, make, said


if __name__ == "__main__":
    print(json.dumps({"taken": taken, "not_taken": not_taken}[sys.argv[1]](int(sys.argv[2]))))
