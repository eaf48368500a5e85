"""The header of a model file: its JSON, written in one spelling and read by a parser that takes nothing else.

`json.loads` would build whatever a hostile header describes (lists of lists, keys that come twice, NaN) before
anything could be checked. This parser knows only what `encode` writes and stops at the first byte that differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple, NoReturn, TypeVar

T = TypeVar("T")

START = b'{"__metadata__":{"sha256":"'
DIGEST = slice(len(START), len(START) + 64)

_TEXT = re.compile(rb'"(?:[^"\\\x00-\x1f\x7f-\xff]|\\.)*+"')
_WHOLE = re.compile(rb"-?[0-9]{1,19}")  # 19 digits hold every 64-bit number


class Entry(NamedTuple):
    """One tensor as the header describes it."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def encode(metadata: Mapping[str, str], entries: Mapping[str, Entry]) -> bytes:
    """The header's bytes, padded with spaces to a multiple of 8; `metadata` begins with "sha256"."""
    described = {
        name: {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": (entry.begin, entry.end)}
        for name, entry in entries.items()
    }
    header = json.dumps({"__metadata__": dict(metadata), **described}, separators=(",", ":")).encode("ascii")
    return header + b" " * (-len(header) % 8)


def parse(header: bytes) -> tuple[dict[str, str], dict[str, Entry]]:
    """Metadata and tensors of a header that `encode` wrote, in its order; numbers are not judged yet.

    Raises
    ------
    ValueError
        If anything is spelled differently, or a key comes twice.
    """
    if not header.startswith(START):
        raise ValueError(f"its header begins with {header[: len(START)]!r} and not with {START!r}")
    scanner = _Scanner(header)
    metadata: dict[str, str] = {}
    scanner.literal(b'{"__metadata__":{')
    while True:
        key = scanner.text()
        scanner.literal(b":")
        _add(metadata, key, scanner.text())
        if not scanner.follows(b","):
            break
    scanner.literal(b"}")

    entries: dict[str, Entry] = {}
    while scanner.follows(b","):
        name = scanner.text()
        if name == "__metadata__":
            raise ValueError("its header names '__metadata__' twice")
        scanner.literal(b':{"dtype":')
        dtype = scanner.text()
        scanner.literal(b',"shape":')
        shape = scanner.whole_numbers()
        scanner.literal(b',"data_offsets":')
        offsets = scanner.whole_numbers()
        scanner.literal(b"}")
        if len(offsets) != 2:
            raise ValueError(f"tensor {name!r} has {len(offsets)} data_offsets, not 2")
        _add(entries, name, Entry(dtype, shape, *offsets))
    scanner.literal(b"}")
    scanner.literal(b" " * (-scanner.at % 8))
    if scanner.at != len(header):
        scanner.fail("the header's end")
    return metadata, entries


def _add(table: dict[str, T], key: str, value: T) -> None:
    if key in table:
        raise ValueError(f"its header names {key!r} twice")
    table[key] = value


class _Scanner:
    """A position in the header that moves over what is expected and complains of all else."""

    def __init__(self, header: bytes) -> None:
        self.header = header
        self.at = 0

    def fail(self, expected: str) -> NoReturn:
        """Say where the header differs."""
        found = self.header[self.at : self.at + 20]
        raise ValueError(f"its header has {found!r} at byte {self.at} where {expected} was expected")

    def follows(self, wanted: bytes) -> bool:
        """Whether `wanted` comes next; moves over it if so."""
        if not self.header.startswith(wanted, self.at):
            return False
        self.at += len(wanted)
        return True

    def literal(self, wanted: bytes) -> None:
        """Move over `wanted`."""
        if not self.follows(wanted):
            self.fail(repr(wanted.decode()))

    def text(self) -> str:
        """Move over a JSON string and return what it says."""
        match = _TEXT.match(self.header, self.at)
        if not match:
            self.fail("a string of ASCII characters")
        try:
            value = str(json.loads(match[0]))
            value.encode()  # refuses half of a surrogate pair, which no UTF-8 can hold
        except ValueError:
            self.fail("a valid JSON string")
        self.at = match.end()
        return value

    def whole_numbers(self) -> tuple[int, ...]:
        """Move over an array of whole numbers."""
        self.literal(b"[")
        numbers: list[int] = []
        while not self.follows(b"]"):
            if numbers:
                self.literal(b",")
            match = _WHOLE.match(self.header, self.at)
            if not match:
                self.fail("a whole number")
            numbers.append(int(match[0]))
            self.at = match.end()
        return tuple(numbers)
