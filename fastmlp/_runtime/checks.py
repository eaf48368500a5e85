"""Checks of single arguments: each returns the value in its plain form, or says what was given and what is expected."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

T = TypeVar("T")

# What others call it, where spelling alone would offer the wrong thing or nothing; for messages only.
_ELSEWHERE: dict[str, tuple[str, ...]] = {
    "identity": ("linear",),
    "logistic": ("sigmoid",),
    "swish": ("silu",),
    "mse": ("mean_squared_error",),
    "rmse": ("root_mean_squared_error",),
    "mae": ("mean_absolute_error",),
    "l1": ("mean_absolute_error",),
    "bce": ("binary_crossentropy",),
    "cross_entropy": ("categorical_crossentropy",),
    "crossentropy": ("categorical_crossentropy",),
    "nll": ("categorical_crossentropy",),
    "xavier": ("glorot_uniform",),
    "xavier_uniform": ("glorot_uniform",),
    "xavier_normal": ("glorot_normal",),
    "kaiming": ("he_uniform",),
    "kaiming_uniform": ("he_uniform",),
    "kaiming_normal": ("he_normal",),
    "momentum": ("sgd",),
    "acc": ("accuracy",),
    "auc": ("roc_auc",),
}


def lookup(given: object, kind: type[T], table: Mapping[str, T], what: str) -> T:
    """The entry of `table` that `given` names, or `given` itself where it is one already.

    Raises
    ------
    ValueError
        If the table has no such name; the message offers the nearest one and lists all.
    TypeError
        If `given` is neither a string nor an instance of `kind`.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, str):
        hint = ""
        if isinstance(given, type) and issubclass(given, kind):
            hint = f"; write {given.__name__}()"
        elif callable(given) and what in ("activation", "loss"):
            hint = f"; functions of your own are registered, with fastmlp.register_{what}, and then named"
        got = f"{given!r} of type {type(given).__name__}{hint}"
        raise TypeError(f"{what} must be a name or an object of {kind.__name__}, got {got}")
    if given in table:
        return table[given]
    plain = given.lower().replace("-", "_")
    elsewhere = [name for name in _ELSEWHERE.get(plain, ()) if name in table]
    near = elsewhere or difflib.get_close_matches(plain, table, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown {what} {given!r}{hint} There are: {', '.join(table)}")


def whole_number(value: object, what: str, least: int = 1) -> int:
    """`value` as an int of at least `least`.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is smaller than `least`.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        result = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} must be a whole number, got {value!r} of type {type(value).__name__}") from None
    if result < least:
        raise ValueError(f"{what} must be at least {least}, got {result}")
    return result


def number(value: object, what: str, least: float = 0.0, below: float = math.inf) -> float:
    """`value` as a finite float in [least, below).

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is outside the range.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{what} must be a number, got {value!r} of type {type(value).__name__}")
    try:
        result = float(value)
    except OverflowError:  # an int beyond 1e308
        result = math.inf
    if not (least <= result < below):
        limit = "finite" if below == math.inf else f"less than {below:g}"
        raise ValueError(f"{what} must be at least {least:g} and {limit}, got {value!r}")
    return result
