"""Decide which texts of a column stand for the same value: by text, as numbers, or as truth values.

One value may be spelled in several ways: another program writes 1.0 for 1, or TRUE for True. And two codes may be one
number, such as 01 and 1. The texts of the training file decide, in this order:

1. "truth": every text is a spelling of true or false: true, t, 1 or false, f, 0, with capital letters or without.
2. "text": some text is a number, but not as programs write numbers (01, +5, 1e5, ١, whole numbers from 2**53 on), or
   two texts are one number and differ in more than a fraction of zeros (1.1 and 1.10). Such texts are codes.
3. "value": texts that are numbers are compared as numbers, so that 1, 1.0 and 1.00 are the same. Other texts are
   compared as texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from fastmlp.tables.values import MISSING, Codes, parse_number

Match = Literal["text", "value", "truth", "number"]
"""How texts are compared. "number" is the rule of class names in schemas of version 1: see `CategoryIndex`."""

MATCHES = ("text", "value", "truth")

_TRUTH = {"true": True, "t": True, "false": False, "f": False}
_PLAIN = re.compile(r"-?([0-9]|[1-9][0-9]+)?([.,][0-9]*)?([eE][+-][0-9]{1,3})?")
_ZERO_FRACTION = re.compile(r"[.,]0*(?=$|[eE])")
_FIRST_INEXACT = 2**53  # float64 cannot represent the next whole number


def find_match(texts: Iterable[str], decimal: str) -> Match:
    """Return how the texts of a column are compared.

    Parameters
    ----------
    texts : iterable of str
        The different texts, without blanks around them and without missing values.
    decimal : {".", ","}
        The decimal sign.
    """
    texts = list(texts)
    plain = {text: _plain_number(text, decimal) for text in texts}
    if texts and all(text.lower() in _TRUTH or plain[text] in (0.0, 1.0) for text in texts):
        return "truth"
    spelling: dict[float, str] = {}
    for text in texts:
        value = plain[text]
        if value is None:
            if finite_number(text, decimal) is not None:
                return "text"
            continue
        digits = _ZERO_FRACTION.sub("", text) if value else "0"  # programs also write -0.0 for 0
        if spelling.setdefault(value, digits) != digits:
            return "text"
    return "value" if spelling else "text"


def key(text: str, match: Match, decimal: str) -> str | float | bool:
    """Return what a text stands for: two texts are the same value if their keys are equal.

    Parameters
    ----------
    text : str
        A text without blanks around it.
    match : {"text", "value", "truth", "number"}
        How texts are compared.
    decimal : {".", ","}
        The decimal sign.
    """
    if match == "text":
        return text
    if match == "truth" and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    value = finite_number(text, decimal)
    return text if value is None else value  # 1 == True and 0 == False, as keys too


def merge(texts: Sequence[str], match: Match, decimal: str) -> dict[str | float | bool, str]:
    """Return the different values among texts: their keys, and the first text of each."""
    merged: dict[str | float | bool, str] = {}
    for text in texts:
        merged.setdefault(key(text, match, decimal), text)
    return merged


class CategoryIndex(dict[str, int]):
    """Map from texts to the indices of a model's categories, -1 for texts that the model does not know.

    Parameters
    ----------
    names : sequence of str
        The categories of the model, in order.
    match : {"text", "value", "truth", "number"}
        How texts are compared. With "number" the names are numbers with a decimal point, whatever `decimal` is.
    decimal : {".", ","}
        The decimal sign of the texts.
    missing : int
        The index of a missing value, -1 if the model has none.
    """

    def __init__(self, names: Sequence[str], match: Match = "text", decimal: str = ".", missing: int = -1) -> None:
        super().__init__({} if match == "number" else zip(names, range(len(names)), strict=True))
        self.update(dict.fromkeys(MISSING, missing))
        self._match, self._decimal = match, decimal
        own_decimal = "." if match == "number" else decimal
        self._index_of_key = {key(name, match, own_decimal): index for index, name in enumerate(names)}

    def __missing__(self, text: str) -> int:
        """Return the index of a text with blanks around it or in another spelling, or -1 for an unknown text.

        Unknown texts are not remembered, because a file may contain any number of them.
        """
        text = text.strip()
        if text in self:
            return self[text]
        return self._index_of_key.get(key(text, self._match, self._decimal), -1)

    def indices(self, texts: Sequence[str]) -> Codes:
        """Return the index of each text."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, len(texts))


def truth_as_numbers(texts: Iterable[str]) -> list[str]:
    """Return texts in which the words of true and false are replaced by 1 and 0."""
    numbers = {word: str(int(truth)) for word, truth in _TRUTH.items()}
    return [numbers.get(text.strip().lower(), text) for text in texts]


def finite_number(text: str, decimal: str) -> float | None:
    """Return the finite number that a text stands for, or None. A missing value is not a number."""
    value = parse_number(text, decimal)
    return None if value is None or not math.isfinite(value) else value


def _plain_number(text: str, decimal: str) -> float | None:
    """Return the number that a text stands for, if the text is one that programs write for it, else None."""
    value = finite_number(text, decimal)
    if value is None or not _PLAIN.fullmatch(text) or (text.lstrip("-").isdigit() and abs(value) >= _FIRST_INEXACT):
        return None
    return value
