"""ArrowFiles: Parquet and Arrow files as chunks, with the bits of a fit on the frame."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import assert_same_bits

from fastmlp import ArrowFiles, Network, arrow

pyarrow = pytest.importorskip("pyarrow")
feather = pytest.importorskip("pyarrow.feather")

rng = np.random.default_rng(0)
FRAME = pd.DataFrame(rng.normal(size=(1000, 4)).astype(np.float32), columns=list("abcd"))
FRAME["label"] = np.where(FRAME.a > 0, "yes", "no")
FRAME["other"], FRAME["w"] = FRAME.b * 2, 1.0 + np.arange(1000) % 3
INPUTS = list("abcd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FRAME[:600].to_parquet(tmp_path / "1.parquet", row_group_size=77)
    FRAME[600:].to_parquet(tmp_path / "2.parquet", row_group_size=500)
    return tmp_path


@pytest.mark.parametrize("rows", [1, 300, 1000, 5000])
def test_the_bits_are_those_of_the_frame(folder: Path, rows: int) -> None:
    files = ArrowFiles(folder, "label", features=INPUTS, sample_weight="w", rows=rows)
    sizes = [len(X) for X, _, _ in files]
    assert sizes == [rows] * (1000 // rows) + [1000 % rows] * (1000 % rows > 0)
    found, expected = (Network([4, 8, 2], output="softmax", seed=0) for _ in range(2))
    found.fit(files, epochs=2, shuffle=False, classes=["no", "yes"])
    expected.fit(FRAME[INPUTS], FRAME.label, epochs=2, shuffle=False, sample_weight=FRAME.w)
    assert_same_bits(found.flat_weights(), expected.flat_weights())
    assert found.feature_names == ("a", "b", "c", "d")


def test_several_targets_and_files_of_another_format(tmp_path: Path) -> None:
    for place, part in enumerate((FRAME[:500], FRAME[500:])):
        feather.write_feather(part[[*INPUTS, "other"]], tmp_path / f"{place}.arrow")
    paths = [tmp_path / "0.arrow", tmp_path / "1.arrow"]
    files = ArrowFiles(paths, ["d", "other"], format="feather")
    assert (files.features, files.targets) == (("a", "b", "c"), ("d", "other"))
    assert repr(files) == "ArrowFiles(2 files, 3 features, target ('d', 'other'))"
    found, expected = (Network([3, 8, 2], seed=0) for _ in range(2))
    found.fit(files, shuffle=False)
    expected.fit(FRAME[["a", "b", "c"]], FRAME[["d", "other"]].to_numpy(), shuffle=False)
    assert_same_bits(found.flat_weights(), expected.flat_weights())


def test_files_whose_types_and_columns_differ_in_order(tmp_path: Path) -> None:
    FRAME[:500][[*INPUTS, "label"]].to_parquet(tmp_path / "1.parquet")
    FRAME[500:][["label", *reversed(INPUTS)]].astype(dict.fromkeys(INPUTS, np.float64)).to_parquet(
        tmp_path / "2.parquet"
    )
    found, expected = (Network([4, 8, 2], output="softmax", seed=0) for _ in range(2))
    found.fit(ArrowFiles(tmp_path, "label", rows=300), shuffle=False, classes=["no", "yes"])
    expected.fit(FRAME[INPUTS], FRAME.label, shuffle=False)
    assert_same_bits(found.flat_weights(), expected.flat_weights())


def test_a_missing_value_is_told(tmp_path: Path) -> None:
    frame = FRAME.copy()
    frame.loc[703, "c"] = np.nan
    frame.to_parquet(tmp_path / "x.parquet")
    files = ArrowFiles(tmp_path / "x.parquet", "label", features=INPUTS, rows=100)
    with pytest.raises(ValueError, match=r"X of chunk 7.*'c'"):
        Network([4, 8, 2], output="softmax", seed=0).fit(files, classes=["no", "yes"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "labl"}, ValueError, "no column 'labl'; did you mean 'label'"),
        ({"features": ["a", "x"]}, ValueError, "no column 'x'. Columns: a, b, c, d, label, other, w"),
        ({"features": ["a", 1]}, ValueError, "no column 1"),
        ({"features": ["a", "a"]}, ValueError, "column 'a' is named twice"),
        ({"features": ["a", "label"]}, ValueError, "column 'label' is named twice"),
        ({"features": []}, ValueError, "at least one target and one feature"),
        ({"target": []}, ValueError, "at least one target and one feature"),
        ({"format": "csv"}, ValueError, "format must be one of 'parquet', 'ipc'"),
        ({"rows": 0}, ValueError, "rows must be at least 1"),
        ({"paths": 3}, TypeError, "a path"),
        ({"paths": "no such folder"}, FileNotFoundError, "no such folder"),
        ({"paths": __file__}, ValueError, "cannot read .*test_arrow.py' as a file of the format parquet"),
    ],
)
def test_errors(folder: Path, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ArrowFiles(**{"paths": folder, "target": "label", **options})


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'ArrowFiles needs pyarrow: pip install "fastmlp\[arrow\]"'):
        ArrowFiles(folder, "label")
    assert arrow.ArrowFiles is ArrowFiles
