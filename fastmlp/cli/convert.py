"""Convert the texts of command-line options to values. Each function raises `ArgumentTypeError` for a wrong text."""

from __future__ import annotations

import argparse
import csv
import math
import os
from collections.abc import Callable
from typing import Any

_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "space": " "}
_DECIMALS = {"point": ".", "dot": ".", "comma": ","}


def whole_number(least: int) -> Callable[[str], int]:
    """Return a converter to whole numbers of at least `least`."""

    def convert(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) < 2**63:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)

    return convert


def positive(text: str) -> float:
    """Return a number above 0."""
    value = _float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


def penalty(text: str) -> float:
    """Return a number of at least 0."""
    value = _float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {text!r}")
    return value


def share(text: str) -> float:
    """Return a number of at least 0 and less than 1."""
    value = _float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and less than 1, such as 0.2 for 20 %, got {text!r}")
    return value


def layers(text: str) -> list[int]:
    """Return the number of units of each hidden layer, from a text such as "64,32" or "none"."""
    if text == "none":
        return []
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) < 2**31 for part in parts):
        raise argparse.ArgumentTypeError(f"must be whole numbers such as 64,32, or none, got {text!r}")
    return [int(part) for part in parts]


def activation(text: str) -> str:
    """Return the name of an activation."""
    from fastmlp import activations

    return _checked(text, activations.resolve)


def optimizer(text: str) -> str:
    """Return the name of an optimizer."""
    from fastmlp import optimizers

    return _checked(text, optimizers.resolve)


def loss(text: str) -> str:
    """Return the name of a loss."""
    from fastmlp import losses

    return _checked(text, losses.resolve)


def names(text: str) -> list[str]:
    """Return column names, from a text such as "age,city". A name that contains a comma stands in double quotes."""
    try:
        return [name.strip() for name in next(csv.reader([text]), []) if name.strip()]
    except csv.Error as error:
        raise argparse.ArgumentTypeError(f"must be names such as age,city, got {text!r}: {error}") from None


def separator(text: str) -> str:
    """Return a separator, from the character itself or its name."""
    from fastmlp.tables.file_format import is_separator

    character = _SEPARATORS.get(text, text)
    if not is_separator(character):
        raise argparse.ArgumentTypeError(f"must be one character, or {', '.join(_SEPARATORS)}, got {text!r}")
    return character


def decimal(text: str) -> str:
    """Return a decimal sign, from the character itself or its name."""
    character = _DECIMALS.get(text, text)
    if character not in (".", ","):
        raise argparse.ArgumentTypeError(f"must be . or , or one of {', '.join(_DECIMALS)}, got {text!r}")
    return character


def file_path(text: str) -> str:
    """Return the path of a file to write. It may not end in the separator of folders."""
    if not os.path.basename(text):
        raise argparse.ArgumentTypeError(f"must name a file, got {text!r}")
    return text


def html_path(text: str) -> str:
    """Return the path of an HTML file to write."""
    if not text.lower().endswith((".html", ".htm")):
        raise argparse.ArgumentTypeError(f"must be a file that ends in .html, got {text!r}")
    return file_path(text)


def _float(text: str) -> float:
    """Return a number, NaN if the text is not one."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _checked(text: str, resolve: Callable[[str], Any]) -> str:
    """Return `text` if `resolve` knows it."""
    try:
        resolve(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
