"""The header of a model file: its JSON, written in one spelling and read by a parser that takes nothing else.

`json.loads` would build whatever a hostile header describes (lists of lists, keys that come twice, NaN) before
anything could be checked. This parser knows only what `encode` writes and stops at the first byte that differs. Tensors
are told one after the other and none is kept, since as Python's objects they take many times their bytes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, NoReturn

START = b'{"__metadata__":{"sha256":"'
DIGEST = slice(len(START), len(START) + 64)

NAME_LIMIT = 1000  # bytes that a tensor's name or a key takes in the header, quotes included
METADATA_LIMIT = 100  # keys; each costs a reader more than its bytes
MOST_DIMENSIONS = 64  # NumPy's limit

_TEXT = re.compile(rb'"(?:[^"\\\x00-\x1f\x7f-\xff]++|\\(?:["\\bfnrt]|u[0-9a-fA-F]{4}))*+"')
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


def metadata(header: bytes) -> tuple[dict[str, str], int]:
    """The metadata of a header that `encode` wrote, in its order, and the byte where the tensors begin.

    Raises
    ------
    ValueError
        If anything is spelled differently, or a key comes twice.
    """
    if not header.startswith(START):
        raise ValueError(f"its header begins with {header[: len(START)]!r} and not with {START!r}")
    scanner = _Scanner(header)
    found: dict[str, str] = {}
    scanner.literal(b'{"__metadata__":{')
    while True:
        key = scanner.text(NAME_LIMIT)
        if key in found:
            raise ValueError(f"its header names {key!r} twice")
        if len(found) == METADATA_LIMIT:
            raise ValueError(f"its metadata have more than {METADATA_LIMIT} keys")
        scanner.literal(b":")
        found[key] = scanner.text()
        if not scanner.follows(b","):
            break
    scanner.literal(b"}")
    return found, scanner.at


def entries(header: bytes, begin: int) -> Iterator[tuple[str, Entry]]:
    """The names and tensors of a header from the byte that `metadata` told; numbers are not judged.

    Raises
    ------
    ValueError
        If anything is spelled differently than `encode` does.
    """
    scanner = _Scanner(header, begin)
    while scanner.follows(b","):
        name = scanner.text(NAME_LIMIT)
        if name == "__metadata__":
            raise ValueError("its header names '__metadata__' twice")
        scanner.literal(b':{"dtype":')
        dtype = scanner.text(NAME_LIMIT)
        scanner.literal(b',"shape":')
        shape = scanner.whole_numbers(MOST_DIMENSIONS)
        scanner.literal(b',"data_offsets":')
        offsets = scanner.whole_numbers(2)
        scanner.literal(b"}")
        if len(offsets) != 2:
            raise ValueError(f"tensor {name!r} has {len(offsets)} data_offsets, not 2")
        yield name, Entry(dtype, shape, *offsets)
    scanner.literal(b"}")
    scanner.literal(b" " * (-scanner.at % 8))
    if scanner.at != len(header):
        scanner.fail("the header's end")


class _Scanner:
    """A position in the header that moves over what is expected and complains of all else."""

    def __init__(self, header: bytes, at: int = 0) -> None:
        self.header = header
        self.at = at

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

    def text(self, most: int | None = None) -> str:
        """Move over a JSON string of so many bytes at most, and return what it says."""
        end = len(self.header) if most is None else self.at + most
        match = _TEXT.match(self.header, self.at, end)
        if not match:
            self.fail("a string of ASCII characters" + (f", of {most} at most," if most else ""))
        # Every escape that JSON has and the pattern lets through is one of Python's too. Unlike json.loads, this takes
        # no memory beside the result.
        value = codecs.unicode_escape_decode(memoryview(self.header)[self.at + 1 : match.end() - 1])[0]
        if not value.isascii():
            try:  # JSON spells a character beyond 16 bits as a pair of halves; half a pair alone is refused
                value = value.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                self.fail("a valid JSON string")
        self.at = match.end()
        return value

    def whole_numbers(self, most: int) -> tuple[int, ...]:
        """Move over an array of so many whole numbers at most."""
        self.literal(b"[")
        numbers: list[int] = []
        while not self.follows(b"]"):
            if len(numbers) == most:
                self.fail(f"the end of a list of {most} numbers at most")
            if numbers:
                self.literal(b",")
            match = _WHOLE.match(self.header, self.at)
            if not match:
                self.fail("a whole number")
            numbers.append(int(match[0]))
            self.at = match.end()
        return tuple(numbers)
