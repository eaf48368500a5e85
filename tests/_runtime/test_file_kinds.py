"""Text in UTF-8 is told from other files by the first bytes, whose last character may be cut."""

from __future__ import annotations

import pytest

from fastmlp._runtime.file_kinds import file_kind, is_text

TEXT = "Größe,Preis\n3,4\n"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (TEXT.encode(), True),
        ("Größ".encode()[:-1], True),
        (TEXT.encode("latin-1"), False),
        (TEXT.encode() + b"\0", False),
        (b"", True),
    ],
)
def test_text_is_utf_8_without_control_characters(start: bytes, expected: bool) -> None:
    assert is_text(start) == expected
    assert file_kind(start) is None


@pytest.mark.parametrize(("encoding", "kind"), [("utf-16-le", "UTF-16LE text"), ("utf-16-be", "UTF-16BE text")])
def test_utf_16_is_known_without_its_mark(encoding: str, kind: str) -> None:
    assert file_kind(TEXT.encode(encoding)) == kind
