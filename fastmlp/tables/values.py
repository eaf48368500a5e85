"""From the texts of a column to numbers or to the codes of categories; and what texts look like that are neither."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]

MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "None", "?", "-"})
MISSING_CODE = 0
"""The code of a missing value among a `Categories`' codes; names follow from 1."""

_NAN = math.nan
_SWAP = str.maketrans({",": ".", ".": ","})
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?"
_DAY = r"\d{4}(?P<a>[-/.])\d{1,2}(?P=a)\d{1,2}|\d{1,2}(?P<b>[-/.])\d{1,2}(?P=b)(\d{4}|\d{2})"
_DATE = re.compile(rf"({_DAY})([T ]{_CLOCK}( ?[AaPp][Mm])?( ?(Z|UTC|[+-]\d{{2}}:?\d{{2}}))?)?|{_CLOCK}")
_MARKS = "$€£¥%‰"
_MARKED = re.compile(rf"[(]?[+-]? ?[{_MARKS}]? ?[+-]?\d[\d.,' ]*[{_MARKS}]?[)]?")
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}([.' ]\d{3})+|\d{1,3}(,\d{3})*),\d+(\.\d+)?([eE][+-]?\d+)?")


def number(text: str, decimal: str = ".") -> float | None:
    """The number that a text stands for, NaN where it says that there is none; None if it is no number."""
    text = text.strip()
    if text in MISSING:
        return _NAN
    if decimal == ",":
        text = text.translate(_SWAP)
    try:
        value = float(text)
    except ValueError:
        return None
    return None if "_" in text else value  # Python reads 1_000 as a number


def numbers(texts: Sequence[str], decimal: str = ".") -> Floats | None:
    """Every text as `number` has it; None if one is no number or is infinite, which `number` then tells.

    Most of the time that a table takes goes in here, so the common case, a block of plain numbers, runs through `map`
    alone: 0.23 us a number, one by one 0.35.
    """
    if "_" in "".join(texts):
        return None
    if decimal == ",":
        texts = [text.translate(_SWAP) for text in texts]
    for prepared in (_as_they_are, _missing_replaced, _stripped):
        with contextlib.suppress(ValueError):
            values = np.fromiter(map(float, prepared(texts)), np.float64, len(texts))
            return None if np.isinf(values).any() else values
    return None


def _as_they_are(texts: Sequence[str]) -> Sequence[str]:
    return texts


def _missing_replaced(texts: Sequence[str]) -> list[str]:
    return ["nan" if text in MISSING else text for text in texts]


def _stripped(texts: Sequence[str]) -> list[str]:
    return _missing_replaced([text.strip() for text in texts])


class Categories(dict[str, int]):
    """From a text as it stands in the file to the code of its category; new ones get the next code.

    Attributes
    ----------
    names : dict of str to int
        The categories, without blanks around them, and their codes from 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, int] = {}

    def __missing__(self, text: str) -> int:
        name = text.strip()
        code = MISSING_CODE if name in MISSING else self.names.setdefault(name, len(self.names) + 1)
        self[text] = code
        return code

    def codes(self, texts: Sequence[str]) -> Codes:
        """The code of each text."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, len(texts))


class Known(dict[str, int]):
    """From a text to the place of its category in a model; -1 for one that the model never saw.

    Parameters
    ----------
    names : sequence of str
        The categories of the model, in order.
    missing : int
        The place of a missing value, -1 if it has none.
    """

    def __init__(self, names: Sequence[str], missing: int = -1) -> None:
        super().__init__(zip(names, range(len(names)), strict=True))
        self.update(dict.fromkeys(MISSING, missing))

    def __missing__(self, text: str) -> int:
        # Not kept: a file may hold any number of texts that the model never saw.
        return self.get(text.strip(), -1)

    def codes(self, texts: Sequence[str]) -> Codes:
        """The place of each text's category."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, len(texts))


def is_date(text: str) -> bool:
    """Whether a text looks like a day, a time, or both: 2024-05-31, 31.5.24 or 5/31/2024 10:15."""
    return _DATE.fullmatch(text.strip()) is not None


def has_mark(text: str) -> bool:
    """Whether a text looks like a number with a mark beside it: 12.5%, $1,200.00 or (300)."""
    text = text.strip()
    return _MARKED.fullmatch(text) is not None and any(mark in text for mark in _MARKS + "(")


def has_comma(text: str) -> bool:
    """Whether a text looks like a number that is written with a comma: 1,5 or 1.234,56 or 1,234.56."""
    return _COMMA.fullmatch(text.strip()) is not None
