"""One network predicts an interval: three quantiles of a number, and how many new rows lie below each.

Run it with `python examples/quantiles.py`.
"""

from __future__ import annotations

import numpy as np

from fastmlp import Adam, CosineDecay, Network, Quantile

LEVELS = (0.05, 0.5, 0.95)


def rows(count, seed):
    """Return x and y, whose spread grows with x."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (count, 1))
    return x, np.sin(6 * x[:, 0]) + (0.1 + 0.5 * x[:, 0]) * rng.normal(size=count)


def train(seed=0, epochs=60):
    """Return a network that has learned the quantiles from 4,000 rows."""
    X, y = rows(4000, seed)
    optimizer = Adam(CosineDecay(0.01, epochs * 80))
    net = Network([1, 32, 32, len(LEVELS)], loss=Quantile(LEVELS), optimizer=optimizer, seed=seed)
    net.fit(X, y, epochs=epochs, batch_size=50)
    return net


def coverage(net, seed=1):
    """Return the share of 10,000 new rows that lies below each quantile."""
    X, y = rows(10000, seed)
    return (y[:, None] <= net.predict(X)).mean(axis=0)


if __name__ == "__main__":
    for level, share in zip(LEVELS, coverage(train()), strict=True):
        print(f"below the quantile {level}: {share:.1%} of the new rows")
