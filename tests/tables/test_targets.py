"""The choice between classification and regression, and the errors for targets that cannot be learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_files import write

from fastmlp import Network
from fastmlp.tables import TableError, TableWarning, TabularModel, TrainingTable, prepare, sample
from fastmlp.tables.schema import ClassTarget, NumberTarget


def table(path: str, target: str = "y", **options: Any) -> TrainingTable:
    return prepare(path, target, verbose=False, **options)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", "c"] * 20, ("a", "b", "c")),
        ([2, 10, 1] * 20, ("1", "2", "10")),
        (["1", "1.0", "0"] * 20, ("0", "1")),
        (["True", "False"] * 20, ("False", "True")),
        (list(range(20)) * 3, tuple(str(i) for i in range(20))),
        (list(range(21)) * 3, None),
        ([0.5, 1.0] * 20, None),
        (list(range(10)) * 2, None),
    ],
)
def test_the_values_of_the_target_decide_the_task(
    tmp_path: Path, values: list[Any], classes: tuple[str, ...] | None
) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)))
    found = table(path).schema.target
    assert (found.classes if isinstance(found, ClassTarget) else None) == classes


def test_the_task_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{i % 3 / 2}\n" for i in range(60)))
    assert isinstance(table(path).schema.target, NumberTarget)
    assert table(path, task="classification").schema.target == ClassTarget("y", ("0.0", "0.5", "1.0"), "value")
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{i % 3}\n" for i in range(60)))
    assert isinstance(table(path, task="regression").schema.target, NumberTarget)


def test_large_whole_numbers_are_different_classes_if_declared_categorical(tmp_path: Path) -> None:
    values = [2**53 + i % 3 for i in range(60)]
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)))
    target = table(path, categorical=["y"]).schema.target
    assert isinstance(target, ClassTarget)
    assert target.classes == tuple(str(2**53 + i) for i in range(3))


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (
            [0, 1] * 30 + [""],
            {},
            "{file}:62: column 'y': the target is missing (found ''); fill it in or remove the row, "
            "or leave all such rows out with skip_missing_target=True",
        ),
        (
            ["NA", "no"],
            {},
            "{file}:2: column 'y': the target is missing (found 'NA'); fill it in or remove the row, "
            "or leave all such rows out with skip_missing_target=True",
        ),
        (
            [""] * 3,
            {},
            "{file}:2: column 'y': the target is missing (found ''); fill it in or remove the row, "
            "or leave all such rows out with skip_missing_target=True",
        ),
        (
            [*range(2000), "x"],
            {},
            "{file}:2002: column 'y': found 'x' among numbers (2,000 of 2,001 values are numbers); correct it or "
            "remove the row, or read the column as categories with categorical=['y']",
        ),
        (
            [*range(2000), "inf"],
            {},
            "{file}:2002: column 'y': found 'inf', which is not finite; correct it or remove the row",
        ),
        (
            [f"2024-05-{i % 28 + 1:02}" for i in range(60)],
            {},
            "{file}:2: column 'y': found '2024-05-01', a date or time; convert it to numbers, such as days since a "
            "fixed day, or choose another target with target=...",
        ),
        (
            [3] * 60,
            {"task": "regression"},
            "{file}: column 'y': found only 3 in the 39 training rows, so there is nothing to predict; choose another "
            "target with target=..., or give more rows",
        ),
        (
            ["yes", "no"] * 30,
            {"task": "regression"},
            "{file}: column 'y': found texts such as 'yes', but regression predicts numbers; choose another "
            "target with target=..., or use task='classification'",
        ),
        (
            [i / 2 for i in range(1200)],
            {"task": "classification"},
            "{file}: column 'y': found 1,200 different numbers, which are too many for classes; use task='regression'",
        ),
        (
            [f"user {i}" for i in range(60)],
            {},
            "{file}: column 'y': found 60 different texts such as 'user 0' in 60 rows, which are too many for "
            "classes; choose another target with target=...",
        ),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(
    tmp_path: Path, values: list[Any], options: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)))
    with pytest.raises(TableError) as error:
        table(path, **options)
    assert str(error.value) == message.format(file=path)


def test_one_class_alone_is_learned_with_a_warning_and_has_the_probability_1(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},yes\n" for i in range(60)))
    with pytest.warns(
        TableWarning, match=r"a\.csv: column 'y': found the class 'yes' in every row, so every prediction"
    ):
        found = table(path)
    model = TabularModel.for_table(found, (4,))
    assert np.isfinite(model.fit(found, epochs=2, verbose=False).history["loss"]).all()
    model.save(tmp_path / "model")
    model = TabularModel.load(tmp_path / "model")
    assert np.concatenate(list(model.predictions(path, verbose=False))).tolist() == [[1.0]] * 60
    assert model.predict(path).tolist() == ["yes"] * 60
    figures = {"rows": 60, "accuracy": 1.0, "f1": 1.0, "confusion_matrix": [[60]], "known_share": 0.85}
    assert model.evaluate(path, verbose=False) == figures
    with pytest.raises(ValueError, match="the network's output must be sigmoid for the table's target, got linear"):
        TabularModel(Network([found.schema.width, 2, 1], output="linear"), found.schema)


def test_rows_without_a_target_can_be_left_out(tmp_path: Path) -> None:
    rows = [f"{i % 7},{'ab'[i % 2]},{'' if i % 10 == 3 else i % 3}\n" for i in range(100)]
    path = write(tmp_path / "a.csv", "x,z,y\n" + "".join(rows))
    found = table(path, skip_missing_target=True)
    assert (found.skipped, found.rows) == (10, 90)
    kept = write(tmp_path / "kept.csv", "x,z,y\n" + "".join(row for i, row in enumerate(rows) if i % 10 != 3))
    expected = table(kept, skip_missing_target=True)
    assert (expected.skipped, expected.rows) == (0, 90)
    assert found.schema == expected.schema
    assert found.X.tobytes() == expected.X.tobytes()
    assert found.y.tobytes() == expected.y.tobytes()
    model = TabularModel.for_table(found, (3,))
    with pytest.raises(TableError, match=r"a\.csv:5: column 'y': found '', but the target must be one of the model's"):
        model.evaluate(path, verbose=False)
    figures = model.evaluate(path, skip_missing_target=True, verbose=False)
    assert figures == {**model.evaluate(kept, verbose=False), "skipped": 10}


def test_rows_without_a_target_at_the_beginning_of_a_large_file_are_left_out(tmp_path: Path) -> None:
    rows = [f"{i % 7},{'' if i < 2500 else i % 3}\n" for i in range(4000)]
    found = table(write(tmp_path / "a.csv", "x,y\n" + "".join(rows)), skip_missing_target=True)
    assert (found.skipped, found.rows) == (2500, 1500)
    assert found.schema.target == ClassTarget("y", ("0", "1", "2"), "value")
    assert np.bincount(found.y).min() > 300


@pytest.mark.parametrize("value", ["", "NA"])
def test_a_target_that_is_missing_everywhere_is_refused(tmp_path: Path, value: str) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{value}\n" for i in range(60)))
    with pytest.raises(TableError, match=r"a\.csv: column 'y': the target is missing in every row; choose another"):
        table(path, skip_missing_target=True)


def test_a_whole_block_of_rows_without_a_target_is_left_out_of_figures_and_samples(tmp_path: Path) -> None:
    rows = [f"{i % 7},{'' if i < 2500 else i % 3}\n" for i in range(4000)]
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(rows))
    model = TabularModel.for_table(table(path, skip_missing_target=True), ())
    kept = write(tmp_path / "kept.csv", "x,y\n" + "".join(rows[2500:]))
    figures = model.evaluate(path, skip_missing_target=True, verbose=False)
    assert figures == {**model.evaluate(kept, verbose=False), "skipped": 2500}
    X, _ = sample(model, path, 20, skip_missing_target=True, verbose=False)
    assert X.tobytes() == sample(model, kept, 20, verbose=False)[0].tobytes()
