"""The header of a model file: JSON in one spelling, and a parser that accepts no other.

`json.loads` would build whatever a hostile header describes (lists of lists, repeated keys, NaN) before anything could
be checked. This parser accepts only what `encode` writes and stops at the first byte that differs. It yields one tensor
at a time and keeps none, because Python objects take many times the bytes of the text that describes them.
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
METADATA_LIMIT = 100  # keys; each costs a reader more memory than its bytes
DIMENSION_LIMIT = 64  # NumPy's

_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f\x7f-\xff]++|\\(?:["\\bfnrt]|u[0-9a-fA-F]{4}))*+"')
_INTEGER = re.compile(rb"-?[0-9]{1,19}")  # 19 digits hold every 64-bit number


class Entry(NamedTuple):
    """One tensor as the header describes it."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def encode(metadata: Mapping[str, str], entries: Mapping[str, Entry]) -> bytes:
    """Return the header's bytes, padded with spaces to a multiple of 8; `metadata` must begin with "sha256"."""
    described = {
        name: {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": (entry.begin, entry.end)}
        for name, entry in entries.items()
    }
    header = json.dumps({"__metadata__": dict(metadata), **described}, separators=(",", ":")).encode("ascii")
    return header + b" " * (-len(header) % 8)


def metadata(header: bytes) -> tuple[dict[str, str], int]:
    """Parse the metadata of a header that `encode` wrote.

    Returns
    -------
    metadata : dict of str to str
        In the order of the file.
    begin : int
        The position of the first byte after the metadata, where `entries` continues.

    Raises
    ------
    ValueError
        If the spelling differs from that of `encode`, or a key is repeated.
    """
    if not header.startswith(START):
        raise ValueError(f"its header begins with {header[: len(START)]!r}, expected {START!r}")
    scanner = _Scanner(header)
    found: dict[str, str] = {}
    scanner.literal(b'{"__metadata__":{')
    while True:
        key = scanner.string(NAME_LIMIT)
        if key in found:
            raise ValueError(f"its header names {key!r} twice")
        if len(found) == METADATA_LIMIT:
            raise ValueError(f"its metadata have more than {METADATA_LIMIT} keys")
        scanner.literal(b":")
        found[key] = scanner.string()
        if not scanner.follows(b","):
            break
    scanner.literal(b"}")
    return found, scanner.position


def entries(header: bytes, begin: int) -> Iterator[tuple[str, Entry]]:
    """Yield the name and the entry of one tensor after the other; the caller checks that the numbers are possible.

    Parameters
    ----------
    header : bytes
        The header.
    begin : int
        The position that `metadata` returned.

    Raises
    ------
    ValueError
        If the spelling differs from that of `encode`.
    """
    scanner = _Scanner(header, begin)
    while scanner.follows(b","):
        name = scanner.string(NAME_LIMIT)
        if name == "__metadata__":
            raise ValueError("its header names '__metadata__' twice")
        scanner.literal(b':{"dtype":')
        dtype = scanner.string(NAME_LIMIT)
        scanner.literal(b',"shape":')
        shape = scanner.integers(DIMENSION_LIMIT)
        scanner.literal(b',"data_offsets":')
        offsets = scanner.integers(2)
        scanner.literal(b"}")
        if len(offsets) != 2:
            raise ValueError(f"tensor {name!r} has {len(offsets)} data_offsets, expected 2")
        yield name, Entry(dtype, shape, *offsets)
    scanner.literal(b"}")
    scanner.literal(b" " * (-scanner.position % 8))
    if scanner.position != len(header):
        scanner.fail("the header's end")


class _Scanner:
    """A position in the header, moved over what is expected; anything else raises ValueError."""

    def __init__(self, header: bytes, position: int = 0) -> None:
        self.header = header
        self.position = position

    def fail(self, expected: str) -> NoReturn:
        """Raise ValueError with the position, what the header has there and what was expected."""
        found = self.header[self.position : self.position + 20]
        raise ValueError(f"its header has {found!r} at byte {self.position} where {expected} was expected")

    def follows(self, wanted: bytes) -> bool:
        """Return whether `wanted` comes next, and move over it if so."""
        if not self.header.startswith(wanted, self.position):
            return False
        self.position += len(wanted)
        return True

    def literal(self, wanted: bytes) -> None:
        """Move over `wanted`."""
        if not self.follows(wanted):
            self.fail(repr(wanted.decode()))

    def string(self, limit: int | None = None) -> str:
        """Move over a JSON string of at most `limit` bytes and return its value."""
        end = len(self.header) if limit is None else self.position + limit
        match = _STRING.match(self.header, self.position, end)
        if not match:
            self.fail("a string of ASCII characters" + (f", of at most {limit} bytes," if limit else ""))
        # Python knows every JSON escape that the pattern accepts. Unlike json.loads, this takes no memory beside the
        # result.
        value = codecs.unicode_escape_decode(memoryview(self.header)[self.position + 1 : match.end() - 1])[0]
        if not value.isascii():
            try:  # JSON spells a character beyond 16 bits as two surrogates; a single surrogate is refused
                value = value.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                self.fail("a valid JSON string")
        self.position = match.end()
        return value

    def integers(self, limit: int) -> tuple[int, ...]:
        """Move over a JSON array of at most `limit` integers and return them."""
        self.literal(b"[")
        numbers: list[int] = []
        while not self.follows(b"]"):
            if len(numbers) == limit:
                self.fail(f"the end of a list of at most {limit} numbers")
            if numbers:
                self.literal(b",")
            match = _INTEGER.match(self.header, self.position)
            if not match:
                self.fail("a whole number")
            numbers.append(int(match[0]))
            self.position = match.end()
        return tuple(numbers)
