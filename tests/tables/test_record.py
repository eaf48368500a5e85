"""The record of a training in a model file: what it holds, what is refused, and files without it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from table_files import flats, write

from fastmlp import EarlyStopping, LambdaCallback, ModelFormatError
from fastmlp._engine.engine import engine_of
from fastmlp.tables import Identifier, TabularModel, prepare
from fastmlp.tables.record import TrainingRecord, from_dict


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TabularModel:
    """Return a model of a class, trained with a column that was left out."""
    folder = tmp_path_factory.mktemp("record")
    rows = "".join(f"{i},{i * 7 % 60},{'ab'[i * 7 % 60 > 30]}\n" for i in range(60))
    table = prepare(write(folder / "a.csv", "id,x,y\n" + rows), "y", keep=["x"], verbose=False)
    model = TabularModel.for_table(table, (4,))
    model.fit(table, epochs=30, callbacks=[EarlyStopping()], verbose=False)
    return model


def test_it_comes_back_with_the_model(model: TabularModel, tmp_path: Path) -> None:
    record = model.record
    assert record is not None
    assert record.rows == {"training": 39, "validation": 12, "test": 9}
    assert record.left_out == (Identifier("id", "range"),)
    for figures in (record.validation, record.test):
        assert figures is not None
        assert list(figures) == ["accuracy", "f1", "roc_auc"]
    model.save(tmp_path / "model")
    again = TabularModel.load(tmp_path / "model")
    assert again.record is not None
    assert again.record.to_dict() == record.to_dict()
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_an_r_squared_that_cannot_be_measured_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i}.5,{i * i}\n" for i in range(7)))
    table = prepare(path, "y", task="regression", verbose=False)
    assert (len(table.X_validation), len(table.X_test)) == (1, 1)
    model = TabularModel.for_table(table, ())
    model.fit(table, epochs=1, verbose=False)
    assert model.record is not None
    assert model.record.test is not None
    assert model.record.test["r2"] is None
    model.save(tmp_path / "model")
    assert TabularModel.load(tmp_path / "model").evaluate(path, verbose=False)["known_share"] == pytest.approx(6 / 7)


def test_an_interrupted_fit_has_seen_its_rows_and_a_refused_one_has_not(tmp_path: Path) -> None:
    table = prepare(flats(tmp_path / "a.csv"), "price", verbose=False)
    model = TabularModel.for_table(table, (4,))
    with pytest.raises(ValueError, match="epochs"):
        model.fit(table, epochs=0, verbose=False)
    assert model.record is None

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(table, epochs=3, callbacks=[LambdaCallback(on_epoch_end=interrupt)], verbose=False)
    assert model.record is not None
    assert model.record.validation is model.record.test is None
    assert len(model.record.seen.hashes) == 102
    assert engine_of(model.network).units == {}


def changed(stored: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    found = copy.deepcopy(stored)
    *way, last = path
    part = found
    for key in way:
        part = part[key]
    part[last] = to
    return found


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("more", 1, "the record of a training must have the keys rows, left_out"),
        ("rows", {"training": 3}, "rows of the training must have the keys training, validation, test"),
        ("rows.test", -1, "test rows must be at least 0"),
        ("rows.test", 1.5, "test rows must be a whole number"),
        ("left_out", "id", "left_out must be a list"),
        ("left_out", ["id"], "a column that was left out must have the keys name, reason"),
        ("left_out", [{"name": "id", "reason": "guess"}], "a known reason"),
        ("left_out", [{"name": 3, "reason": "name"}], "must have a name"),
        ("test", {"luck": 1.0}, "figures must be some of accuracy, f1"),
        ("test", [], "figures must be some of"),
        ("test", {"r2": float("nan")}, "r2 must be at least"),
        ("test", {"r2": "1"}, "r2 must be a number"),
        ("seen", None, "the seen rows must have the keys below, hashes"),
        ("seen.below", 2**40, "which is at most 4294967296"),
    ],
)
def test_a_broken_record_is_refused(model: TabularModel, tmp_path: Path, path: str, value: Any, message: str) -> None:
    assert model.record is not None
    broken = changed(model.record.to_dict(), *path.split("."), to=value)
    table = json.dumps({**model.schema.to_dict(), "training": broken})
    engine_of(model.network).save(tmp_path / "model", optimizer=False, table=table)
    with pytest.raises(ModelFormatError, match=f"the description of the table is wrong: .*{message}"):
        TabularModel.load(tmp_path / "model")


def test_a_record_may_lack_figures_but_not_be_null(model: TabularModel) -> None:
    assert model.record is not None
    stored = model.record.to_dict()
    assert from_dict({**stored, "test": None, "validation": {}}).test is None
    with pytest.raises(ValueError, match="the record of a training must have the keys"):
        from_dict(None)
    assert TrainingRecord({"training": 1, "validation": 0, "test": 0}).summary()["test"] is None


def test_a_file_without_a_record_loads(model: TabularModel, tmp_path: Path) -> None:
    table = json.dumps(model.schema.to_dict())
    engine_of(model.network).save(tmp_path / "model", optimizer=False, table=table)
    found = TabularModel.load(tmp_path / "model")
    assert found.record is None
    found.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
