"""Checks of single arguments. Each returns the value as a plain type, or says what was given and what is expected."""

from __future__ import annotations

import array
import math
import operator
import os
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np

from fastmlp._runtime.names import hint

T = TypeVar("T")


def lookup(given: object, kind: type[T], table: Mapping[str, T], what: str) -> T:
    """Return the entry of `table` with the name `given`, or `given` itself if it is an instance of `kind`.

    Parameters
    ----------
    given : object
        The argument of the user.
    kind : type
        The class of the entries.
    table : mapping
        From name to entry.
    what : str
        What the argument is, for messages: "activation", "loss".

    Raises
    ------
    ValueError
        If the table has no such name; the message suggests the nearest name and lists all.
    TypeError
        If `given` is neither a string nor an instance of `kind`.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, str):
        got = (
            f"the class {given.__name__}"
            if isinstance(given, type)
            else f"{shown(given)} of type {type(given).__name__}"
        )
        instead = _instead(given, kind, what)
        raise TypeError(f"{what} must be a name or an instance of {kind.__name__}, got {got}{instead}")
    if given in table:
        return table[given]
    raise ValueError(f"unknown {what} {given!r}{hint(given, table) or '.'} Known names: {', '.join(table)}")


def _instead(given: object, kind: type, what: str) -> str:
    """Return what to write in place of a class or a function, as the end of a message."""
    if isinstance(given, type) and issubclass(given, kind):
        return f"; write {given.__name__}()"
    if what == "optimizer" and isinstance(given, (int, float)):
        return f"; write Adam({given!r}) or SGD({given!r})"
    if callable(given) and what in ("activation", "loss"):
        return f"; to use a function of your own, register it with fastmlp.register_{what} and give its name"
    return ""


def shown(value: object) -> str:
    """Return a value for a message: its repr in one line, cut to 80 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def whole_number(value: object, what: str, minimum: int = 1) -> int:
    """Return `value` as an int.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is less than `minimum`.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        result = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} must be a whole number, got {shown(value)} of type {type(value).__name__}") from None
    if result < minimum:
        raise ValueError(f"{what} must be at least {minimum}, got {result}")
    return result


def path_text(value: object, what: str) -> str:
    """Return a path as a string.

    Raises
    ------
    TypeError
        If it is no path.
    """
    try:
        return os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} must be a path, got {shown(value)}") from None


def optional_whole_number(value: object, what: str, minimum: int = 1) -> int | None:
    """Return None for None, otherwise what `whole_number` returns."""
    return None if value is None else whole_number(value, what, minimum)


def check_bool(value: object, what: str) -> bool:
    """Return a bool as Python's; NumPy's are accepted too.

    Raises
    ------
    TypeError
        If the value is no bool.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{what} must be True or False, got {shown(value)}")
    return bool(value)


def number(value: object, what: str, minimum: float = 0.0, below: float = math.inf) -> float:
    """Return `value` as a finite float.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is outside [minimum, below).
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{what} must be a number, got {shown(value)} of type {type(value).__name__}")
    try:
        result = float(value)
    except OverflowError:  # an int beyond 1e308
        result = math.inf
    if not (minimum <= result < below):
        limit = "finite" if below == math.inf else f"less than {below:g}"
        raise ValueError(f"{what} must be at least {minimum:g} and {limit}, got {value!r}")
    return result


def repeated_name(hashes: array.array[int], names: Iterable[str]) -> str | None:
    """Return a name that occurs twice, or None. A name is kept in memory only if another one has the same hash.

    Parameters
    ----------
    hashes : array of int64
        The hash of each name, which this function sorts.
    names : iterable of str
        The names, which are read again only if a hash is repeated.
    """
    ordered = np.frombuffer(hashes, np.int64)
    ordered.sort()
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    is_first = np.ones(len(twice), bool)
    is_first[1:] = twice[1:] != twice[:-1]
    repeated = set(twice[is_first].tolist())  # np.unique would import numpy.ma, for which a handle may be lacking
    seen: set[str] = set()
    for name in names if repeated else ():
        if name in seen:
            return name
        if hash(name) in repeated:
            seen.add(name)
    return None
