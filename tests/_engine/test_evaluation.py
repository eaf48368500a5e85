"""`evaluate` computes loss and predictions in one forward pass, with the bits of `predict`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import DTYPES
from numpy.typing import NDArray

from fastmlp import Network
from fastmlp._engine import inference
from fastmlp._engine.engine import engine_of
from fastmlp._engine.purposes import LOSS

PAIRS = (
    ("softmax", "categorical_crossentropy"),  # exact pairs, whose loss reads Z
    ("sigmoid", "binary_crossentropy"),
    ("linear", "mean_squared_error"),
    ("exponential", "poisson"),
    ("softmax", "mean_squared_error"),  # a loss that reads A
    ("relu", "mean_absolute_error"),
    ("gelu", "huber"),
)
CASES = [(*pair, units) for pair in PAIRS for units in (1, 3, 20) if pair[0] != "softmax" or units > 1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("output", "loss", "units"), CASES)
def test_metrics_receive_the_predictions_of_predict(
    output: str, loss: str, units: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network([4, 20, units], output=output, loss=loss, dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    received: list[NDArray[Any]] = []

    def keep(y: Any, predictions: Any) -> float:
        received.append(predictions.copy())
        return 0.0

    for rows in (1, 17, inference.GRADIENT_ROWS + 5):
        X, y = rng.normal(size=(rows, 4)).astype(dtype), np.eye(units)[rng.integers(0, units, rows)]
        expected, alone = network.predict(X), network.loss_and_gradients(X, y)[0]
        with monkeypatch.context() as patch:
            patch.setattr(inference, "predict", None)
            found = network.evaluate(X, y, metrics=[keep])
        np.testing.assert_array_equal(received.pop(), expected)
        assert found["loss"] == alone
        assert network.loss_and_gradients(X, y)[0] == alone
        assert not engine_of(network).plans.get(LOSS, rows).record.writes_output
