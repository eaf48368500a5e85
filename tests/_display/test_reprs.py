"""The repr of each public object is one short line that says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastmlp import (
    Callback,
    CSVLogger,
    EarlyStopping,
    GradientMonitor,
    LambdaCallback,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TimeLimit,
)
from fastmlp.datasets import load_breast_cancer
from fastmlp.tables import TabularModel, prepare


class Own(Callback):
    def __init__(self, limit: int, names: list[str], *, why: str = "none") -> None:
        self.limit, self.names, self.why = limit, names, why


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (EarlyStopping(), "EarlyStopping()"),
        (EarlyStopping("val_r2", patience=3), "EarlyStopping(monitor='val_r2', patience=3)"),
        (ReduceLROnPlateau(factor=0.5), "ReduceLROnPlateau(factor=0.5)"),
        (ModelCheckpoint("a.safetensors"), "ModelCheckpoint(filepath='a.safetensors')"),
        (CSVLogger("log.csv"), "CSVLogger(filename='log.csv')"),
        (TimeLimit(30), "TimeLimit(seconds=30.0)"),
        (GradientMonitor([[1.0]], [1]), "GradientMonitor()"),
        (LambdaCallback(on_train_end=print), "LambdaCallback()"),
        (ProgressBar(), "ProgressBar()"),
        (Own(3, ["a"]), "Own(limit=3)"),
        (load_breast_cancer(), "Dataset(569 samples, 30 features; 357 benign, 212 malignant)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_says_what_it_is(value: object, text: str) -> None:
    assert repr(value) == text


def test_tables_say_their_size_and_their_target(tmp_path: Path) -> None:
    path = tmp_path / "flats.csv"
    path.write_text("area,town,price\n" + "".join(f"{i % 7},{'xy'[i % 2]},{i * 2.5}\n" for i in range(40)))
    table = prepare(path, "price")
    assert repr(table).startswith(f"TrainingTable({str(path)!r}: ")
    assert repr(table).endswith(", 2 columns, target 'price')")
    assert repr(TabularModel.for_table(table)).startswith("TabularModel('price' from 2 columns; Network(3-64-32-1, ")
