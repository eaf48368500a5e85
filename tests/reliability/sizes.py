"""Networks and data of sizes around every limit; `test_sizes.py` runs this in a separate process."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from behaviour import bits

from fastmlp import Dense, Network
from fastmlp.reference import Network as Reference

WIDTHS = [1, 2, 15, 16, 17, 33]
ROWS = [1, 2, 15, 16, 17, 31, 33, 65]
BATCHES = [1, 2, 15, 16, 17, 32, 64, 10**12]
DEPTHS = [1, 2, 3, 60]


def cases() -> Iterator[tuple[Any, ...]]:
    return itertools.product(
        WIDTHS, WIDTHS, WIDTHS, ROWS, BATCHES, DEPTHS, ("float32", "float64"), ("numbers", "classes")
    )


def made(case: tuple[Any, ...], kind: Any) -> Any:
    """Return a network of class `kind` with the size of a case."""
    inputs, units, outputs, _, _, depth, dtype, targets = case
    hidden = [Dense(units, "tanh", dropout=0.1 if depth == 2 else 0.0, l2=1e-3) for _ in range(depth - 1)]
    outputs, output = (max(outputs, 2), "softmax") if targets == "classes" else (outputs, "linear")
    return kind([inputs, *hidden, outputs], output=output, dtype=dtype, seed=3)


def tried(every: int) -> dict[str, Any]:
    """Compare training and results of every size with the reference, and the bits of predictions in any batches."""
    wrong, count = [], 0
    for case in itertools.islice(cases(), None, None, every):
        inputs, _, outputs, rows, batch, depth, dtype, targets = case
        rng = np.random.default_rng(rows)
        X = rng.normal(size=(rows, inputs))
        y = rng.integers(0, max(outputs, 2), rows) if targets == "classes" else rng.normal(size=(rows, outputs))
        network, reference = made(case, Network), made(case, Reference)
        network.fit(X, y, batch_size=batch, epochs=2)
        reference.fit(X, y, batch_size=min(batch, rows), epochs=2)
        close = {"rtol": 2e-3, "atol": 2e-4} if dtype == "float32" else {"rtol": 1e-7, "atol": 1e-9}
        predicted = network.predict(X)
        # In 60 layers of float32, rounding errors grow in 130 steps: the reference is 0.2 from itself in float64.
        rounded = depth == 60 and dtype == "float32"
        if not rounded and not np.allclose(predicted, reference.predict(X), **close):
            wrong.append(f"{case}: not as the reference")
        by_rows = np.concatenate([network.predict(X[row : row + 1]) for row in range(rows)])
        if not all(same.tobytes() == predicted.tobytes() for same in (by_rows, network.predict(X, batch_size=batch))):
            wrong.append(f"{case}: other bits row by row")
        chunked = made(case, Network)
        chunked.fit(
            [(X[:1], y[:1]), (X[1:], y[1:]), (X[:0], y[:0])], batch_size=min(batch, rows), epochs=2, shuffle=False
        )
        plain = made(case, Network)
        plain.fit(X, y, batch_size=batch, epochs=2, shuffle=False)
        if bits(chunked) != bits(plain):
            wrong.append(f"{case}: other bits in chunks")
        options = {"batch_size": batch, "metrics": ["accuracy" if targets == "classes" else "mean_absolute_error"]}
        if rows > 1:
            network.fit(X, y, **options, validation_split=1e-9)  # one row is kept out
            network.fit(X, y, **options, validation_split=0.999999)  # one row trains
        network.fit(X, y, **options, validation_data=(X[:1], y[:1]))
        shapes = [
            network.input_gradients(X[:0]).shape,
            network.predict(X[:0]).shape,
            network.predict_classes(X[:0]).shape,
        ]
        shapes += [activations.shape for activations in network.hidden_activations(X[:0])]
        if any(shape[0] != 0 for shape in shapes) or shapes[1] != (0, predicted.shape[1]) or len(shapes) != 2 + depth:
            wrong.append(f"{case}: no rows gave {shapes}")
        count += 1
    return {"wrong": wrong[:20], "count": count}


if __name__ == "__main__":
    print(json.dumps(tried(int(sys.argv[1]))))
