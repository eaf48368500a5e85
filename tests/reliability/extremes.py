"""Numbers at the edge of what a dtype holds, and data with nothing in it: run by `test_extremes.py` in a process."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from behaviour import Interruption, bits
from cases import outputs_for

from fastmlp import (
    SGD,
    Adam,
    Callback,
    Dense,
    Network,
    NonFiniteLossError,
    RMSprop,
)
from fastmlp._data import arrays
from fastmlp.activations import ACTIVATIONS
from fastmlp.losses import LOSSES
from fastmlp.optimizers import OPTIMIZERS, StepOptimizer

ROWS, COLUMNS = 40, 5
HUGE = {"float32": 1e38, "float64": 1e300}  # finite, and their squares are not

RATES: dict[str, StepOptimizer] = {
    **{name: each for name, each in OPTIMIZERS.items() if isinstance(each, StepOptimizer)},
    "momentum": SGD(momentum=0.9),
    "nesterov": SGD(momentum=0.9, nesterov=True),
    "clipped by norm": SGD(global_clipnorm=1.0),
    "clipped by value": SGD(clipvalue=0.5),
    "adam, clipped by norm": Adam(global_clipnorm=1.0),
    "centered": RMSprop(centered=True, momentum=0.9),
}
DATA = [
    "ordinary",
    "one huge number in X",
    "huge numbers in X",
    "huge numbers of both signs in X",
    "a huge target",
    "huge targets",
    "a constant column",
    "a column of zeros",
    "X of zeros",
    "equal rows",
    "equal targets",
    "a batch of weight zero",
    "huge weights",
    "tiny weights",
    "subnormal X",
    "negative zeros",
]


def dataset(name: str, loss: str, dtype: str) -> tuple[Any, Any, Any]:
    """Return X, y and weights that suit a loss."""
    rng, huge = np.random.default_rng(0), HUGE[dtype]
    X, weights = rng.normal(size=(ROWS, COLUMNS)), np.ones(ROWS)
    kind = LOSSES[loss].targets
    y = X @ rng.normal(size=(COLUMNS, 3))
    y = y[:, : LOSSES[loss].target_columns(outputs_for(LOSSES[loss], 3))]
    y = y if kind == "values" else np.abs(y) if kind in ("counts", "positive") else np.eye(3)[y.argmax(axis=1)]
    if name == "one huge number in X":
        X[ROWS // 2, 1] = huge
    elif name == "huge numbers in X":
        X[:] = huge
    elif name == "huge numbers of both signs in X":
        X = np.sign(X) * huge
    elif name == "a huge target" and kind in ("values", "counts", "positive"):
        y[ROWS - 1, 0] = huge
    elif name == "huge targets" and kind in ("values", "counts", "positive"):
        y[:] = huge
    elif name == "a constant column":
        X[:, 1] = 7
    elif name == "a column of zeros":
        X[:, 0] = 0
    elif name == "X of zeros":
        X[:] = 0
    elif name == "equal rows":
        X[:] = X[0]
    elif name == "equal targets":
        y[:] = y[0]
    elif name == "a batch of weight zero":
        weights[8:16] = 0
    elif name == "huge weights":
        weights[:] = 9e99
    elif name == "tiny weights":
        weights[:] = 1e-306
    elif name == "subnormal X":
        X *= {"float32": 1e-42, "float64": 1e-310}[dtype]
    elif name == "negative zeros":
        X[:] = -0.0
    return X.astype(dtype), y.astype(dtype), weights


def cases() -> Iterator[tuple[str, ...]]:
    losses = [name for name in LOSSES if name != "kl_divergence"]
    rates = ["usual", "1e10", "huge"]
    return itertools.product(RATES, ACTIVATIONS, losses, DATA, rates, ("float32", "float64"))


def trained(every: int) -> dict[str, Any]:
    """Check that each fit ends with finite weights, or with NonFiniteLossError and the earlier weights, bit for bit."""
    wrong, ended, failed = [], 0, 0
    for number, case in enumerate(itertools.islice(cases(), None, None, every)):
        optimizer, activation, loss, name, rate, dtype = case
        rates = {"usual": {}, "1e10": {"learning_rate": 1e10}, "huge": {"learning_rate": 1e30}}[rate]
        hidden = Dense(6, activation, dropout=0.25 * (number % 2), l2=1e-3 * (number % 3))
        chosen = dataclasses.replace(RATES[optimizer], **rates)
        layers = [COLUMNS, hidden, outputs_for(LOSSES[loss], 3)]
        network = Network(layers, loss=loss, optimizer=chosen, dtype=dtype, seed=1)
        X, y, weights = dataset(name, loss, dtype)
        before = bits(network)
        try:
            network.fit(X, y, sample_weight=weights, epochs=2, batch_size=8, shuffle=False)
            ended += 1
        except NonFiniteLossError as error:
            failed += 1
            if error.epoch == 0 and bits(network) != before:
                wrong.append(f"{case}: not as before")
        kept = network.__getstate__()
        if not all(np.isfinite(kept[vector]).all() for vector in ("weights", "slots")):
            wrong.append(f"{case}: not finite")
        if name == "tiny weights" and rate == "usual" and network.step != 10:
            wrong.append(f"{case}: did not train")
        predicted = network.predict(np.zeros((2, COLUMNS)))
        overflows = network.architecture.layers[-1].activation.name == "exponential"
        if rate == "usual" and not overflows and not np.isfinite(predicted).all():
            wrong.append(f"{case}: predicts what is not finite")
    return {"wrong": wrong[:20], "ended": ended, "failed": failed}


def undone(every: int) -> dict[str, Any]:
    """Check that an error in the third epoch leaves the network of two epochs, or finite weights after a callback's."""
    wrong, count = [], 0
    for case in itertools.islice(itertools.product(RATES, ("float32", "float64"), range(1, 6)), None, None, every):
        optimizer, dtype, at = case

        def make(name: str = optimizer, kind: str = dtype) -> Network:
            return Network([COLUMNS, Dense(6, dropout=0.25), 3], optimizer=RATES[name], dtype=kind, seed=1)

        X, y, _ = dataset("ordinary", "mean_squared_error", dtype)
        network, other, epoch = make(), make(), 0

        def chunks(x: Any = X, t: Any = y, kind: str = dtype, place: int = at) -> Iterator[Any]:
            nonlocal epoch
            epoch += 1
            for number in range(5):
                spoiled = t[:8] * 0 + HUGE[kind] if (epoch, number) == (3, place - 1) else t[:8]
                yield x[8 * number : 8 * number + 8], spoiled

        count += 1
        try:
            network.fit(chunks, epochs=4, batch_size=8)
            wrong.append(f"{case}: no error")
        except NonFiniteLossError as error:
            if (error.epoch, error.batch) != (2, at - 1):
                wrong.append(f"{case}: {error}")
        epoch = 10
        other.fit(chunks, epochs=2, batch_size=8)
        if bits(network) != bits(other):
            wrong.append(f"{case}: not the network of two epochs")
        wrong += interrupted(case, dataclasses.replace(RATES[optimizer], learning_rate=HUGE[dtype]), dtype, at)
    return {"wrong": wrong[:20], "count": count}


def interrupted(case: Any, optimizer: StepOptimizer, dtype: str, at: int) -> list[str]:
    """Check that a fit which is interrupted right after its weights overflowed leaves finite weights."""
    X, y, _ = dataset("ordinary", "mean_squared_error", dtype)
    network = Network([COLUMNS, 6, 3], optimizer=optimizer, dtype=dtype, seed=1)
    with contextlib.suppress(KeyboardInterrupt, NonFiniteLossError):
        network.fit(X, y, epochs=3, batch_size=8, callbacks=[Interruption(at)])
    state = network.__getstate__()
    finite = np.isfinite(state["weights"]).all() and np.isfinite(state["slots"]).all()
    return [] if finite else [f"{case}: interrupted with weights that are not finite"]


def asked(every: int) -> dict[str, Any]:
    """Check that predictions and losses of huge, tiny and empty data are computed even if `numpy.seterr` is "raise"."""
    wrong, count = [], 0
    everything = itertools.product(LOSSES, DATA, ("relu", "tanh"), ("float32", "float64"))
    for case in itertools.islice(everything, None, None, every):
        loss, name, activation, dtype = case
        layers = [COLUMNS, Dense(6, activation), outputs_for(LOSSES[loss], 3)]
        network = Network(layers, loss=loss, dtype=dtype, seed=1)
        ordinary, (X, y, weights) = dataset("ordinary", loss, dtype), dataset(name, loss, dtype)
        x, t, w = ordinary
        before = bits(network)
        with np.errstate(all="raise"):
            network.predict(X), network.predict_classes(X), network.hidden_activations(X), network.input_gradients(X)
            network.evaluate(X, y, weights), network.loss_and_gradients(X, y, weights)
            network.evaluate(X.astype(np.longdouble) * np.longdouble(2) ** -200, y, weights)
            if bits(network) != before:
                wrong.append(f"{case}: a question changed the network")
            network.fit(x, t, sample_weight=w, validation_data=(X, y, weights), batch_size=8)
            network.fit(x * 1e-200, t, epochs=1, batch_size=8)
        other = Network(layers, loss=loss, dtype=dtype, seed=1)
        other.fit(x, t, sample_weight=w, batch_size=8)
        other.fit(x * 1e-200, t, epochs=1, batch_size=8)
        if bits(network) != bits(other):
            wrong.append(f"{case}: other bits where NumPy raises")
        count += 1
    return {"wrong": wrong[:20], "count": count}


PLACES = ["X", "labels", "values", "weights", "validation"]
WRITTEN = [np.nan, np.inf, -np.inf, 1e300, -1.0, 1e9, -1e9, 2.0**62]


def rewritten(every: int) -> dict[str, Any]:
    """Check that a callback which writes into the data causes an error with the earlier weights, or finite weights."""
    wrong, count, usual = [], 0, arrays.STAGE_BYTES
    everything = itertools.product(PLACES, WRITTEN, ("float32", "float64"), (usual, 200), range(1, 6))
    for case in itertools.islice(everything, None, None, every):
        place, value, dtype, arrays.STAGE_BYTES, at = case
        X, rows, weights = dataset("ordinary", "categorical_crossentropy", dtype)
        y = rows.argmax(axis=1) if place == "labels" else rows
        validation = X.copy(), rows.copy(), weights.copy()
        target = {"X": X, "labels": y, "values": y, "weights": weights, "validation": validation[0]}[place]

        class Write(Callback):
            def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
                if self.network.step == at:  # noqa: B023
                    with np.errstate(all="ignore"):
                        target[:] = np.array(value).astype(target.dtype)  # noqa: B023

        network = Network([COLUMNS, Dense(6, "tanh"), 3], output="softmax", dtype=dtype, seed=1)
        before = bits(network)
        try:
            network.fit(
                X, y, sample_weight=weights, validation_data=validation, epochs=2, batch_size=8, callbacks=[Write()]
            )
        except (NonFiniteLossError, ValueError):
            if network.epoch == 0 and bits(network) != before:
                wrong.append(f"{case}: not as before")
        state = network.__getstate__()
        if not (np.isfinite(state["weights"]).all() and np.isfinite(state["slots"]).all()):
            wrong.append(f"{case}: not finite")
        count += 1
    arrays.STAGE_BYTES = usual
    return {"wrong": wrong[:20], "count": count}


if __name__ == "__main__":
    what = {"trained": trained, "undone": undone, "asked": asked, "rewritten": rewritten}[sys.argv[1]]
    print(json.dumps(what(int(sys.argv[2]))))
