"""What the course of a training suggests."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_files import write

from fastmlp import SGD, EarlyStopping
from fastmlp.tables import TableWarning, TabularModel, prepare
from fastmlp.tables.hints import _root_mean_square, class_hints, curve_hints, duplicate_hints, number_hints

LAST = "The last epoch was the best, so more than {} may give a better model."


@pytest.mark.parametrize(
    ("loss", "validation", "begin"),
    [
        ([3, 2, 1], [3, 2, 1], LAST.format("3 epochs")),
        ([3], [3], LAST.format("1 epoch")),
        ([3, 2, 1], [3, 1, 1], LAST.format("3 epochs")),
        ([3, 2, 1], [3, 1, 2], None),
        ([3, 2, 1], None, None),
        ([1, 2, 3], None, "The training loss was never lower than in the first epoch: the learning rate is probably"),
        ([1, 2, 3], [3, 2, 1], "The training loss was never lower"),
        ([3, 2, 1], [1, 2, 3], "The validation loss was never lower than in the first epoch, though the training"),
        ([1, 1, 2], [2, 1, 2], None),
        ([], None, None),
    ],
)
def test_the_losses_of_the_epochs(loss: Any, validation: Any, begin: str | None) -> None:
    curves = {"loss": loss} if validation is None else {"loss": loss, "val_loss": validation}
    found = curve_hints(curves)
    assert len(found) == (begin is not None)
    assert begin is None or found[0].startswith(begin)


def test_no_better_than_the_class_of_most_training_rows() -> None:
    y, training, sure = np.array([0, 0, 0, 1]), np.array([0, 0, 1]), np.eye(2)
    assert class_hints("validation", y, sure[y], training, "ab") == []
    [hint] = class_hints("validation", y, sure[np.zeros(4, int)], training, "ab")
    assert hint.endswith("always predicting 'a', 0.7500: nothing useful was learned.")
    assert hint.startswith(
        "On the validation rows, the accuracy of 0.7500 is no better than that of always predicting 'a'"
    )
    assert class_hints("training", y, sure[1 - y], training, "ab")
    [hint] = class_hints("validation", y, np.array([[0.9, 0.1]] * 3 + [[0.51, 0.49]]), training, "ab")
    assert hint.endswith(", but its probabilities are better than the shares of the classes.")
    assert (
        class_hints("validation", np.zeros(4, int), sure[np.zeros(4, int)], training, "ab") == []
    )  # nothing to tell apart


@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e200])
def test_no_better_than_the_mean(unit: float) -> None:
    y = np.array([1.0, 2.0, 6.0]) * unit
    assert number_hints("validation", y, y, 3 * unit) == []
    assert (
        number_hints("validation", y, np.full(3, 1.5 * unit), 3 * unit) == []
    )  # the median has the smaller mean error
    [hint] = number_hints("validation", y, np.full(3, 3 * unit), 3 * unit)
    assert "is no better than that of always predicting the mean" in hint
    assert number_hints("validation", y, -y, 3 * unit)


def test_many_test_rows_that_were_seen() -> None:
    assert duplicate_hints(None, None) == duplicate_hints(0.04, 0.0) == duplicate_hints(0.9, 0.5) == []
    assert duplicate_hints(0.5, 0.1)[0].startswith("50 % of the test rows are equal to rows that trained the model")


def test_a_fit_leaves_hints_in_the_model(tmp_path: Path) -> None:
    """The target is noise, and each row stands in the file twice."""
    noise = (np.random.default_rng(0).random(100) < 0.1).astype(int)
    rows = "".join(f"{i * 7 % 100},{i * i % 100},{noise[i]}\n" for i in range(100))
    table = prepare(write(tmp_path / "a.csv", "x,z,y\n" + rows * 2), "y", verbose=False)
    model = TabularModel.for_table(table, (), optimizer=SGD(1e-6))
    model.fit(table, epochs=2, callbacks=[EarlyStopping(patience=20)], verbose=False)
    first, second, third = model.hints
    assert first.startswith("The last epoch was the best")
    assert "is no better than that of always predicting '" in second
    assert "% of the test rows are equal to rows" in third


def test_a_learning_rate_that_is_too_high_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i * 7 % 100},{i * 7 % 100 + i % 3}\n" for i in range(200)))
    table = prepare(path, "y", verbose=False)
    model = TabularModel.for_table(table, (), optimizer=SGD(1.3))
    model.fit(table, epochs=3, batch_size=130, verbose=False)
    assert model.hints[0].startswith("The training loss was never lower than in the first epoch")
    assert "the root mean squared error of" in model.hints[1]


@pytest.mark.parametrize("classes", [1, 2])
def test_no_hint_on_rows_that_are_equal_by_chance_or_on_a_single_class(tmp_path: Path, classes: int) -> None:
    """Of 48 kinds of rows for each class, nearly all stand in the training rows too."""
    drawn = np.random.default_rng(1).integers(0, [3, 4, 4, classes], (240, 4))
    text = "".join(f"{'abc'[a]},{b},{c},{'uv'[d]}\n" for a, b, c, d in drawn)
    path = write(tmp_path / "a.csv", "a,b,c,y\n" + text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)  # of the single class
        table = prepare(path, "y", verbose=False)
    model = TabularModel.for_table(table, (), optimizer=SGD(1e-6))
    model.fit(table, epochs=2, verbose=False)
    assert not any("of the test rows" in hint for hint in model.hints)
    assert classes > 1 or model.hints == ()


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0, 0.0], 0.0), ([3.0, 4.0], 12.5**0.5), ([3e200, 4e200], 1e200 * 12.5**0.5)]
)
def test_the_mean_of_squares_neither_overflows_nor_divides_by_zero(values: list[float], expected: float) -> None:
    assert _root_mean_square(np.array(values)) == pytest.approx(expected, rel=1e-12)
