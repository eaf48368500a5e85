"""Tell what a file is by its first bytes, so that messages can name a file of another kind."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

_UTF32, _UTF16 = "UTF-32 text", "UTF-16 text"

_SIGNATURES = {  # by the first bytes
    codecs.BOM_UTF32_LE: _UTF32,  # before UTF-16, whose mark is the beginning of this one
    codecs.BOM_UTF32_BE: _UTF32,
    codecs.BOM_UTF16_LE: _UTF16,
    codecs.BOM_UTF16_BE: _UTF16,
    b"\x1f\x8b": "compressed by gzip",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow or Feather file",
    b"FEA1": "a Feather file",
    b"\xff\xff\xff\xff": "an Arrow stream",
    b"SQLite format 3\0": "an SQLite database",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF-": "a PDF document",
    b"<stata_dta>": "a Stata file",
    b"$FL2@(#)": "an SPSS file",
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9": "a PyTorch file",  # of versions before 1.6
}
_ZIP = b"PK\x03\x04"
_IN_ZIP = {  # names of members, in this order
    b"xl/": "an Excel workbook (.xlsx)",
    b"[Content_Types].xml": "an Excel workbook (.xlsx)",
    b"opendocument.spreadsheet": "an OpenDocument workbook (.ods)",
    b".npy": "a NumPy archive (.npz)",
    b"/data.pkl": "a PyTorch file",
    b"model.weights.h5": "a Keras model",
    b"metadata.json": "a Keras model",  # the first member, before weights that may be long
}
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_JSON = re.compile(rb"\s*(\[\s*[\[{\"]|\{\s*[\"}])")
_MARKUP = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_ONNX = re.compile(rb"\x08[\x03-\x1f][\x12\x3a]")  # the format's version, then the producer or the graph
_PATTERNS: tuple[tuple[Callable[[bytes], object], str], ...] = (
    (_PICKLE.match, "a Python pickle"),
    (_ONNX.match, "an ONNX model"),
    (_JSON.match, "JSON"),
    (_MARKUP.match, "an HTML or XML page"),
    (lambda start: start[8:10] == b'{"' and start[2:8] == bytes(6), "a fastmlp model"),
    (lambda start: _is_utf16(start[1::2], start[::2]), "UTF-16LE text"),
    (lambda start: _is_utf16(start[::2], start[1::2]), "UTF-16BE text"),
)


def file_kind(start: bytes) -> str | None:
    """Return what a file is, such as "a Parquet file", given its first bytes. None if it is UTF-8 text or unknown."""
    if start.startswith(_ZIP):
        return next((kind for member, kind in _IN_ZIP.items() if member in start), "a zip archive")
    found = next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)
    return found or next((kind for matches, kind in _PATTERNS if matches(start)), None)


def is_text(start: bytes) -> bool:
    """Return whether a file is UTF-8 text, given its first bytes; the last character may be cut."""
    if re.search(rb"[\x00-\x08\x0e-\x1f]", start):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def _is_utf16(high: bytes, low: bytes) -> bool:
    """Return whether bytes are UTF-16, given every second byte: most of the high ones are NUL, and none of the low."""
    return len(high) > 1 and high.count(0) > len(high) / 2 and not low.count(0)
