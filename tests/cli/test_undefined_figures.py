"""Figures that are undefined are left out, or null."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastmlp.cli import main


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f"{a},{a * a % 7},{(3 * a) % 5}.5" for a in (4, 1, 9, 2, 12, 8, 5, 7, 3, 6, 11, 13)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,y", *rows]))
    return tmp_path / "data.csv"


def test_one_validation_row_has_no_r2(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", "data.csv", "--target", "y", "--epochs", "2", "--validation", "0.1", "--test", "0", "--out", "m"]
    assert main(train) == 0
    assert "R squared" not in capsys.readouterr().out
    assert main([*train, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["validation"]["rows"], found["validation"]["r2"]) == (1, None)
    data.write_text("a,b,y\n1,2,3\n")
    assert main(["evaluate", "m", "data.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["r2"] is None
