"""What the commands share: options and how their texts become values."""

from __future__ import annotations

import argparse
import csv
import errno
import math
import os
from collections.abc import Callable
from typing import Any

from fastmlp._io import atomic

SUFFIX = ".safetensors"
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "space": " "}


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Declare what every command on a model and a CSV file takes."""
    add_separator(parser)
    add_output_options(parser)


def add_separator(parser: argparse._ActionsContainer) -> None:
    """Declare what stands between the fields of a CSV file."""
    parser.add_argument(
        "--separator",
        type=separator,
        metavar="X",
        help="what stands between the fields: a character, or comma, semicolon, tab, bar (default: is found)",
    )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Declare how a command prints."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--quiet", action="store_true", help="print the results but no progress")


def verbose(arguments: argparse.Namespace) -> bool | str:
    """Whether lines of progress are shown: in a terminal, unless the user wants none."""
    return False if arguments.quiet or arguments.json else "auto"


def whole(least: int) -> Callable[[str], int]:
    """A converter to whole numbers of at least `least`."""

    def convert(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) < 2**63:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)

    return convert


def positive(text: str) -> float:
    """A number above 0."""
    value = _float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


def penalty(text: str) -> float:
    """A number that is at least 0."""
    value = _float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {text!r}")
    return value


def share(text: str) -> float:
    """A number from 0 to less than 1."""
    value = _float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and less than 1, got {text!r}")
    return value


def layers(text: str) -> list[int]:
    """The units of hidden layers, "64,32"; "none" is none."""
    if text == "none":
        return []
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) < 2**31 for part in parts):
        raise argparse.ArgumentTypeError(f"must be whole numbers such as 64,32, or none, got {text!r}")
    return [int(part) for part in parts]


def activation(text: str) -> str:
    """The name of an activation."""
    from fastmlp import activations

    return _known(text, activations.resolve)


def optimizer(text: str) -> str:
    """The name of an optimizer."""
    from fastmlp import optimizers

    return _known(text, optimizers.resolve)


def names(text: str) -> list[str]:
    """Columns, "age,city"; one whose name holds a comma stands in double quotes."""
    try:
        return [name.strip() for name in next(csv.reader([text]), []) if name.strip()]
    except csv.Error as error:
        raise argparse.ArgumentTypeError(f"must be names such as age,city, got {text!r}: {error}") from None


def separator(text: str) -> str:
    """One character, or the name of one."""
    from fastmlp.tables.file_format import is_separator

    found = _SEPARATORS.get(text, text)
    if not is_separator(found):
        raise argparse.ArgumentTypeError(f"must be one character, or {', '.join(_SEPARATORS)}, got {text!r}")
    return found


def existing_model(text: str) -> str:
    """The path of a model, whose suffix may be left out.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    ValueError
        If it does not even begin as a model does: most often the CSV file, given in the wrong place.
    """
    for path in (text, text + SUFFIX):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                begin = file.read(9)
            if begin[8:] not in (b"{", b""):
                raise ValueError(
                    f"{path!r} is not a valid fastmlp model; the model comes first, a file that `fastmlp train` wrote, "
                    "then the CSV file"
                )
            return path
    raise FileNotFoundError(
        errno.ENOENT, "there is no such model; `fastmlp train data.csv --target COLUMN` writes one", text
    )


def file_name(text: str) -> str:
    """The path of a file, or its beginning: no folder."""
    if not os.path.basename(text):
        raise argparse.ArgumentTypeError(f"must name a file, got {text!r}")
    return text


def html_name(text: str) -> str:
    """The path of a page."""
    if not text.lower().endswith((".html", ".htm")):
        raise argparse.ArgumentTypeError(f"must be a file that ends in .html, got {text!r}")
    return file_name(text)


def require_writable(path: str, *read: str, option: str = "--out") -> None:
    """Fail before the work and not after it.

    Raises
    ------
    OSError
        If the folder where `path` goes is missing or cannot be written to, if `path` is a folder, a device or a pipe,
        or one of the files that are read.
    """
    atomic.require_writable(path, option)
    if os.path.exists(path) and any(os.path.exists(other) and os.path.samefile(path, other) for other in read):
        raise FileExistsError(errno.EEXIST, f"{option} would replace a file that is read; give another name", path)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _known(text: str, resolve: Callable[[str], Any]) -> str:
    try:
        resolve(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
