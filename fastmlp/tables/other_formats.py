"""Name a file that is not CSV by what it is, and say how to make a CSV file of it."""

from __future__ import annotations

from fastmlp._runtime.file_kinds import file_kind

_ICONV = "convert it: iconv -f {encoding} -t UTF-8 {{name}} > new.csv"
_PANDAS = "convert it in Python with pandas: pandas.{read}({{name!r}}).to_csv('new.csv', index=False)"
_UNPACK = "decompress it first: {tool} -dc {{name}} > new.csv"
_SHEET = "save the sheet as CSV"
_ARRAYS = "load it with numpy.load, and train with fastmlp.Network, which takes arrays"
_OTHER = "give the file with the data itself"

_ADVICE = {  # by what the file is; {name} stands for the name of the file
    "UTF-32 text": _ICONV.format(encoding="UTF-32"),
    "UTF-16 text": _ICONV.format(encoding="UTF-16"),
    "UTF-16LE text": _ICONV.format(encoding="UTF-16LE"),
    "UTF-16BE text": _ICONV.format(encoding="UTF-16BE"),
    "compressed by gzip": _UNPACK.format(tool="gzip"),
    "compressed by bzip2": _UNPACK.format(tool="bzip2"),
    "compressed by xz": _UNPACK.format(tool="xz"),
    "compressed by zstd": _UNPACK.format(tool="zstd"),
    "a 7z archive": "extract the CSV file first",
    "a zip archive": "unzip it, or save the sheet as CSV",
    "a Parquet file": _PANDAS.format(read="read_parquet"),
    "an Arrow or Feather file": _PANDAS.format(read="read_feather"),
    "a Feather file": _PANDAS.format(read="read_feather"),
    "an Arrow stream": "read it with pyarrow, and give the table itself to fastmlp.tables",
    "an SQLite database": "export a table: sqlite3 -header -csv {name} 'SELECT * FROM TABLE'",
    "an HDF5 file": _PANDAS.format(read="read_hdf"),
    "a NumPy array": _ARRAYS,
    "a NumPy archive (.npz)": _ARRAYS,
    "an old Excel workbook": _SHEET,
    "an Excel workbook (.xlsx)": _SHEET,
    "an OpenDocument workbook (.ods)": _SHEET,
    "a Stata file": _PANDAS.format(read="read_stata"),
    "an SPSS file": _PANDAS.format(read="read_spss"),
    "a Python pickle": _PANDAS.format(read="read_pickle"),
    "JSON": _PANDAS.format(read="read_json"),
    "an HTML or XML page": "download the data itself, or save the table as CSV",
}


def recognise(start: bytes) -> tuple[str, str] | None:
    """Return what a file is and what to do about it, given its first bytes. None if it may be CSV.

    In what to do, `{name}` stands for the name of the file.
    """
    kind = file_kind(start)
    return None if kind is None else (kind, _ADVICE.get(kind, _OTHER))
