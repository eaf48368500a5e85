"""Files that are not CSV are named by what they are, with what to do; CSV files are not."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastmlp import Network
from fastmlp.tables import TableError
from fastmlp.tables.other_formats import recognise
from fastmlp.tables.reader import Reader

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
TEXT = FRAME.write_csv()


def zipped(*members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in members:
            archive.writestr(member, TEXT)
    return buffer.getvalue()


def in_memory(write: str) -> bytes:
    buffer = io.BytesIO()
    getattr(FRAME, write)(buffer)
    return buffer.getvalue()


def database(path: Path) -> bytes:
    connection = sqlite3.connect(path)
    connection.execute("create table data (a, b)")
    connection.commit()
    connection.close()
    return path.read_bytes()


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3))
    return buffer.getvalue()


def model(path: Path) -> bytes:
    Network([3, 2]).save(path)
    return path.read_bytes()


CASES = {
    "parquet": (
        lambda _: in_memory("write_parquet"),
        "a Parquet file, not CSV in UTF-8; convert it in Python with pandas: pandas.read_parquet('data').to_csv(",
    ),
    "gzip": (
        lambda _: gzip.compress(TEXT.encode()),
        "compressed by gzip, not CSV in UTF-8; decompress it first: gzip -dc data > new.csv",
    ),
    "feather": (lambda _: in_memory("write_ipc"), "an Arrow or Feather file"),
    "stream": (lambda _: in_memory("write_ipc_stream"), "an Arrow stream"),
    "zip": (lambda _: zipped("a.csv"), "a zip archive, not CSV in UTF-8; unzip it, or save the sheet as CSV"),
    "xlsx": (
        lambda _: zipped("[Content_Types].xml", "xl/workbook.xml"),
        "an Excel workbook (.xlsx), not CSV in UTF-8; save the sheet as CSV",
    ),
    "npz": (lambda _: arrays(), "a NumPy archive (.npz)"),
    "npy": (lambda _: array(), "a NumPy array"),
    "sqlite": (lambda folder: database(folder / "db"), "an SQLite database"),
    "pickle": (lambda _: pickle.dumps(FRAME.rows()), "a Python pickle"),
    "json records": (lambda _: b" [\n " + json.dumps({"a": 1}).encode(), "JSON, not CSV"),
    "json lines": (lambda _: b'{"a": 1}\n{"a": 2}\n', "JSON, not CSV"),
    "page": (lambda _: b"<!DOCTYPE html><html>", "an HTML or XML page"),
    "model": (lambda folder: model(folder / "model"), "a fastmlp model"),
    "utf-16": (lambda _: TEXT.encode("utf-16-le"), "UTF-16LE text"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_another_format_is_named(tmp_path: Path, name: str) -> None:
    make, what = CASES[name]
    path = tmp_path / "data"
    path.write_bytes(make(tmp_path))
    with pytest.raises(TableError) as error:
        Reader(path)
    assert str(error.value).startswith(f"{path}: the file is {what}")


@pytest.mark.parametrize(
    "text",
    [TEXT, "[a],[b]\n1,2\n", "{a},b\n", "PAR,b\n", "<a>,b\n", "a;b\n\u00e9;2\n", "a\n", "BZ,h\n", "\x00"],
)
def test_a_text_file_is_not_taken_for_another_format(text: str) -> None:
    assert recognise(text.encode()) is None


def test_what_the_messages_advise_makes_a_csv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FRAME.write_parquet("data")
    recognised = recognise(Path("data").read_bytes())
    assert recognised is not None
    code = recognised[1].format(name="data").removeprefix("convert it in Python with pandas: ")
    eval(code, {"pandas": pd})
    assert Path("new.csv").read_text() == TEXT
