"""A monitored score that is undefined is never taken for a number, nor for "not better"."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import everything

from fastmlp import (
    SGD,
    Callback,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    Network,
    ReduceLROnPlateau,
    UndefinedScoreError,
)
from fastmlp.metrics import UndefinedMetricWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
NUMBERS, POSITIVE = X @ [1.0, -2.0, 0.5], (X[:, 0] > 0).astype(int)

MONITORS: dict[str, Callable[[str, Path], Callback]] = {
    "EarlyStopping": lambda name, path: EarlyStopping(name),
    "ReduceLROnPlateau": lambda name, path: ReduceLROnPlateau(name),
    "ModelCheckpoint": lambda name, path: ModelCheckpoint(path, name, save_best_only=True),
}
of_each_monitor = pytest.mark.parametrize("monitor", MONITORS)


def regression(**options: Any) -> Network:
    return Network([3, 5, 1], seed=0, **options)


def detection() -> Network:
    return Network([3, 5, 1], output="sigmoid", seed=0)


@of_each_monitor
@pytest.mark.parametrize(
    ("network", "y", "rows", "metrics", "entry", "reason"),
    [
        (regression, NUMBERS, [0], None, "val_r2", "it needs at least two samples, got 1"),
        (regression, NUMBERS, [4, 4, 4], None, "val_r2", "all true values are equal"),
        (regression, NUMBERS, [4, 4, 4], ["r2"], "val_r2", "all true values are equal"),
        (detection, POSITIVE, np.flatnonzero(POSITIVE == 0), ["recall"], "val_recall", "no sample .* is of class 1"),
        (detection, POSITIVE, np.flatnonzero(POSITIVE == 0), ["f1"], "val_f1", "no sample .* is of class 1"),
        (detection, POSITIVE, np.flatnonzero(POSITIVE == 0), ["precision"], "val_precision", "no sample .* is of cl"),
    ],
)
@pytest.mark.filterwarnings("ignore::fastmlp.metrics.UndefinedMetricWarning")
def test_a_score_that_no_epoch_can_change_is_refused_before_anything_changes(
    network: Any, y: Any, rows: Any, metrics: Any, entry: str, reason: str, monitor: str, tmp_path: Path
) -> None:
    net = network()
    net.fit(X, y)
    before, history = everything(net), net.history
    with pytest.raises(
        ValueError, match=f"{monitor} monitors '{entry}', .* undefined for the validation rows: {reason}"
    ):
        net.fit(
            X,
            y,
            validation_data=(X[rows], y[rows]),
            metrics=metrics,
            callbacks=[MONITORS[monitor](entry, tmp_path / "best")],
        )
    assert everything(net) == before
    assert net.history is history
    assert not (tmp_path / "best").exists()


@pytest.mark.parametrize(
    ("network", "y", "rows", "metric"),
    [(regression, NUMBERS, [0], "r2"), (regression, NUMBERS, [4, 4], "pearson"), (detection, POSITIVE, [0], "roc_auc")],
)
def test_a_requested_metric_without_a_value_is_refused_before_anything_changes(
    network: Any, y: Any, rows: Any, metric: str
) -> None:
    net = network()
    before = everything(net)
    with pytest.raises(ValueError, match=f"metric '{metric}' has no value for the validation rows: "):
        net.fit(X, y, validation_data=(X[rows], y[rows]), metrics=[metric])
    assert everything(net) == before


def test_a_default_metric_without_a_value_is_nan_in_the_history_with_one_warning() -> None:
    net = regression()
    with pytest.warns(UndefinedMetricWarning, match="val_r2 is undefined and counts as NaN: it needs at") as caught:
        history = net.fit(
            X, NUMBERS, validation_data=(X[:1], NUMBERS[:1]), epochs=3, callbacks=[EarlyStopping()]
        ).history
    assert [warning.filename for warning in caught] == [__file__]
    assert list(history) == ["loss", "val_loss", "val_mean_absolute_error", "val_r2"]
    np.testing.assert_equal(history["val_r2"], [math.nan] * 3)
    assert np.isfinite(history["val_mean_absolute_error"]).all()


class Die(Callback):
    """Set all weights to 0 after the second epoch: all units of relu are dead from then on."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch == 1:
            self.network.set_weights([(0 * W, b if b is None else 0 * b) for W, b in self.network.get_weights()])


@of_each_monitor
@pytest.mark.filterwarnings("ignore::fastmlp.metrics.UndefinedMetricWarning")
def test_the_first_nan_raises_and_the_best_epoch_and_the_history_remain(monitor: str, tmp_path: Path) -> None:
    net, path = regression(optimizer=SGD(0.05)), tmp_path / "best.safetensors"
    stopping, validation = EarlyStopping("val_pearson"), (X[:10], NUMBERS[:10])
    watching = stopping if monitor == "EarlyStopping" else MONITORS[monitor]("val_pearson", path)
    weights: list[Any] = []
    after = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(net.get_weights()))
    options = {"epochs": 9, "validation_data": validation, "metrics": ["pearson"]}
    with pytest.raises(UndefinedScoreError, match=f"{monitor} monitors 'val_pearson', which is NaN after epoch 2") as e:
        net.fit(X, NUMBERS, callbacks=[after, watching, Die()], **options)  # type: ignore[arg-type]
    assert net.history is not None
    assert (net.epoch, net.history.epoch) == (3, [0, 1, 2])
    scores = net.history.history["val_pearson"]
    assert np.isfinite(scores).tolist() == [True, True, False]
    best = int(np.argmax(scores[:2]))
    if monitor == "EarlyStopping":
        assert f"best_weights has the weights of epoch {best}" in str(e.value)
        assert (stopping.best_epoch, stopping.best) == (best, scores[best])
        assert stopping.best_weights is not None
        net.set_weights(stopping.best_weights)
    elif monitor == "ModelCheckpoint":
        net = Network.load(path)
    else:
        net.set_weights(weights[best])
    assert net.evaluate(*validation, metrics=["pearson"])["pearson"] == scores[best]
    net.fit(X, NUMBERS)  # training can continue


def test_a_validation_loss_of_nan_raises() -> None:
    """The validation rows overflow float32: infinity minus infinity."""
    stopping, net = EarlyStopping(), Network([3, 2, 1], activation="linear", optimizer=SGD(0.0), seed=0)
    net.set_weights([(np.full((3, 2), [10.0, -10.0]), np.zeros(2)), (np.ones((2, 1)), np.zeros(1))])
    with pytest.raises(UndefinedScoreError, match="EarlyStopping monitors 'val_loss', which is NaN after epoch 0"):
        net.fit(X, NUMBERS, validation_data=(np.full((2, 3), 3e38), [0.0, 1.0]), callbacks=[stopping])
    assert (stopping.best_epoch, stopping.best_weights) == (None, None)
    assert net.epoch == 1


def test_an_error_of_a_monitor_tells_what_was_kept() -> None:
    assert issubclass(UndefinedScoreError, ValueError)
    plateau = ReduceLROnPlateau("loss")
    plateau.network, plateau.entries = regression(), ("loss",)
    plateau.on_train_begin()
    with pytest.raises(
        UndefinedScoreError, match="the network has the weights of that epoch, and its history all epoc"
    ):
        plateau.on_epoch_end(4, {"loss": math.nan})


def test_a_batch_of_weight_0_has_no_loss_and_does_not_count_in_that_of_the_epoch() -> None:
    losses: list[float] = []
    recorder = LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    weights = np.repeat([1.0, 0.0, 2.0], 10)
    net = Network([3, 1], optimizer=SGD(0.01), seed=0)
    history = net.fit(X, NUMBERS, sample_weight=weights, batch_size=10, shuffle=False, callbacks=[recorder]).history
    assert np.isnan(losses).tolist() == [False, True, False]
    assert history["loss"][0] == pytest.approx((losses[0] + 2 * losses[2]) / 3)
