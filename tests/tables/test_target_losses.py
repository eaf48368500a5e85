"""The losses that a target can have, from the training to the predictions, and the unit in which they are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_files import flats, lines

from fastmlp import EarlyStopping, Huber, LambdaCallback, losses, metrics
from fastmlp.cli import main
from fastmlp.tables import TabularModel, prepare
from fastmlp.tables.target_losses import CLASS_LOSSES, NUMBER_LOSSES


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return flats(tmp_path_factory.mktemp("flats") / "flats.csv", 200)


@pytest.mark.parametrize(
    ("target", "loss"),
    [*(("sold", loss) for loss in CLASS_LOSSES), *(("price", loss) for loss in NUMBER_LOSSES)],
)
def test_every_loss_trains_and_predicts(
    path: str, target: str, loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rate = ["--learning-rate", "0.01"]
    assert main(["train", path, "--target", target, "--loss", loss, *rate, "--quiet"]) == 0
    model = TabularModel.load("model.safetensors")
    assert model.network.architecture.loss.name == loss
    assert model.record is not None
    assert model.record.test is not None
    found = model.predict(path)
    rows = lines(200)[1:]
    if target == "sold":
        assert np.mean(found == [row[5] for row in rows]) > 0.9
        assert (model.record.test["accuracy"] or 0) > 0.85
    else:
        assert metrics.r2([float(row[4]) for row in rows], found) > 0.95
        assert (model.record.test["r2"] or 0) > 0.9


@pytest.mark.parametrize(("target", "what"), [("sold", "classes"), ("price", "numbers")])
@pytest.mark.parametrize("loss", losses.LOSSES)
def test_a_loss_that_does_not_suit_the_target_is_refused(path: str, target: str, what: str, loss: str) -> None:
    table = prepare(path, target, verbose=False)
    if loss in (CLASS_LOSSES if what == "classes" else NUMBER_LOSSES):
        assert TabularModel.for_table(table, loss=loss).network.architecture.loss.name == loss
        return
    with pytest.raises(
        ValueError, match=f"the loss {loss} does not suit the target '{target}', which holds {what}; take"
    ):
        TabularModel.for_table(table, loss=loss)


def test_the_command_refuses_a_loss_before_the_training(
    path: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", path, "--target", "price", "--loss", "hinge", "--quiet"]) == 1
    assert capsys.readouterr().err.startswith(
        "fastmlp: the loss hinge does not suit the target 'price', which holds numbers"
    )
    assert main(["train", path, "--target", "price", "--loss", "hubber"]) == 2
    assert "unknown loss 'hubber'; did you mean 'huber'?" in capsys.readouterr().err
    assert main(["train", "--loss", "huber"]) == 2
    assert "--loss needs a file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loss", [*NUMBER_LOSSES, Huber(0.1)])
def test_losses_and_errors_are_in_the_unit_of_the_target(path: str, loss: Any) -> None:
    """Every place in which a fit reports: history, callbacks after steps and epochs, and early stopping."""
    table = prepare(path, "price", verbose=False)
    deviation = float(table.schema.target.deviation)  # type: ignore[union-attr]
    model = TabularModel.for_table(table, (4,), loss=loss)
    name = model.network.architecture.loss.name
    unit = deviation if name == "mean_absolute_error" else deviation**2
    steps: list[float] = []
    epochs: list[dict[str, float]] = []
    stopping = EarlyStopping(patience=50, restore_best_weights=False)
    listener = LambdaCallback(
        on_train_batch_end=lambda _, logs: steps.append(logs["loss"]),
        on_epoch_end=lambda _, logs: epochs.append(dict(logs)),
    )
    history = model.fit(table, epochs=4, batch_size=1000, callbacks=[listener, stopping], verbose=False).history
    figures = model.table_figures(table)
    assert figures is not None
    assert history["val_mean_absolute_error"][-1] == pytest.approx(figures["mean_absolute_error"], rel=1e-5)
    assert history["val_r2"][-1] == pytest.approx(figures["r2"], rel=1e-4)
    scaled = model.network.evaluate(table.X_validation, table.y_validation)["loss"]
    assert history["val_loss"][-1] == pytest.approx(scaled * unit, rel=1e-6)
    if name == "mean_squared_error":
        assert history["val_loss"][-1] == pytest.approx(figures["root_mean_squared_error"] ** 2, rel=1e-5)
    assert steps == history["loss"]
    assert [entry["loss"] for entry in epochs] == history["loss"]
    assert stopping.best == min(history["val_loss"])
    assert model.network.fit(table.X, table.y, verbose=False).history["loss"][0] < 10  # its own fits are standardised
