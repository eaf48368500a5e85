"""Name a file that is not CSV by what it is, and say how to make a CSV file of it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

Recognised = tuple[str, str]
"""What a file is, and what to do. `{name}` stands for the name of the file."""

_UTF32 = ("UTF-32 text", "convert it: iconv -f UTF-32 -t UTF-8 {name} > new.csv")
_UTF16 = ("UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 {name} > new.csv")
_PANDAS = "convert it in Python with pandas: pandas.{read}({{name!r}}).to_csv('new.csv', index=False)"
_ARCHIVE = "unzip it, or save the sheet as CSV"
_UNPACK = "decompress it first: {tool} -dc {{name}} > new.csv"

_SIGNATURES: dict[bytes, Recognised] = {  # by the first bytes
    codecs.BOM_UTF32_LE: _UTF32,  # before UTF-16, whose mark is the beginning of this one
    codecs.BOM_UTF32_BE: _UTF32,
    codecs.BOM_UTF16_LE: _UTF16,
    codecs.BOM_UTF16_BE: _UTF16,
    b"\x1f\x8b": ("compressed by gzip", _UNPACK.format(tool="gzip")),
    b"BZh": ("compressed by bzip2", _UNPACK.format(tool="bzip2")),
    b"\xfd7zXZ\0": ("compressed by xz", _UNPACK.format(tool="xz")),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", _UNPACK.format(tool="zstd")),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "extract the CSV file first"),
    b"PAR1": ("a Parquet file", _PANDAS.format(read="read_parquet")),
    b"ARROW1": ("an Arrow or Feather file", _PANDAS.format(read="read_feather")),
    b"FEA1": ("a Feather file", _PANDAS.format(read="read_feather")),
    b"\xff\xff\xff\xff": ("an Arrow stream", "read it with pyarrow, and give the table itself to fastmlp.tables"),
    b"SQLite format 3\0": ("an SQLite database", "export a table: sqlite3 -header -csv {name} 'SELECT * FROM TABLE'"),
    b"\x89HDF\r\n": ("an HDF5 file", _PANDAS.format(read="read_hdf")),
    b"\x93NUMPY": ("a NumPy array", "load it with numpy.load, and train with fastmlp.Network, which takes arrays"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV"),
    b"%PDF-": ("a PDF document", "give the file with the data itself"),
    b"<stata_dta>": ("a Stata file", _PANDAS.format(read="read_stata")),
    b"$FL2@(#)": ("an SPSS file", _PANDAS.format(read="read_spss")),
}
_ZIP = b"PK\x03\x04"
_IN_ZIP: dict[bytes, Recognised] = {  # names of members, in this order
    b"xl/": ("an Excel workbook (.xlsx)", "save the sheet as CSV"),
    b"[Content_Types].xml": ("an Excel workbook (.xlsx)", "save the sheet as CSV"),
    b"opendocument.spreadsheet": ("an OpenDocument workbook (.ods)", "save the sheet as CSV"),
    b".npy": ("a NumPy archive (.npz)", "load it with numpy.load, and train with fastmlp.Network, which takes arrays"),
}
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_JSON = re.compile(rb"\s*(\[\s*[\[{\"]|\{\s*[\"}])")
_MARKUP = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_PATTERNS: tuple[tuple[Callable[[bytes], object], Recognised], ...] = (
    (_PICKLE.match, ("a Python pickle", _PANDAS.format(read="read_pickle"))),
    (_JSON.match, ("JSON", _PANDAS.format(read="read_json"))),
    (_MARKUP.match, ("an HTML or XML page", "download the data itself, or save the table as CSV")),
    (lambda start: start[8:10] == b'{"' and start[2:8] == bytes(6), ("a fastmlp model", "give the file with the data")),
    (
        lambda start: _is_utf16(start[1::2], start[::2]),
        ("UTF-16 text", "convert it: iconv -f UTF-16LE -t UTF-8 {name} > new.csv"),
    ),
    (
        lambda start: _is_utf16(start[::2], start[1::2]),
        ("UTF-16 text", "convert it: iconv -f UTF-16BE -t UTF-8 {name} > new.csv"),
    ),
)


def recognise(start: bytes) -> Recognised | None:
    """Return what a file is and what to do about it, given its first bytes. None if it may be CSV."""
    if start.startswith(_ZIP):
        return next((what for member, what in _IN_ZIP.items() if member in start), ("a zip archive", _ARCHIVE))
    found = next((what for signature, what in _SIGNATURES.items() if start.startswith(signature)), None)
    return found or next((what for matches, what in _PATTERNS if matches(start)), None)


def _is_utf16(high: bytes, low: bytes) -> bool:
    """Return whether bytes are UTF-16, given every second byte: most of the high ones are NUL, and none of the low."""
    return len(high) > 1 and high.count(0) > len(high) / 2 and not low.count(0)
