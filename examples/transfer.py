"""Layers that have learned the digits 0 to 4 serve for the digits 5 to 9, first at rest, then trained with the others.

A new last layer on layers at rest learns 325 numbers in place of 16,901. Pictures of 8 x 8 points are so simple that a
new network learns them better: the layers at rest save time, not pictures. Run it with
`python examples/transfer.py`, after `pip install fastmlp[sklearn]`.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from fastmlp import Adam, Network

PICTURES = 100  # of the digits 5 to 9, for training


def digits(low, seed=0):
    """Return pictures of five digits from `low` on, with the labels 0 to 4, in a random order."""
    X, y = load_digits(return_X_y=True)
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero((y >= low) & (y < low + 5)))
    return X[chosen] / 16, y[chosen] - low


def train_on_first_digits(seed=0):
    """Return a network that tells the digits 0 to 4 apart."""
    net = Network([64, 128, 64, 5], output="softmax", optimizer=Adam(0.01), seed=seed)
    net.fit(*digits(0, seed), epochs=40)
    return net


def accuracy_after(net, epochs, seed=0):
    """Train on some of the digits 5 to 9, and return the accuracy on all others."""
    X, y = digits(5, seed)
    net.fit(X[:PICTURES], y[:PICTURES], epochs=epochs, batch_size=10)
    return net.evaluate(X[PICTURES:], y[PICTURES:])["accuracy"]


def compare(seed=0):
    """Return the accuracies of a new network, of layers at rest under a new one, and of these when all are trained."""
    fresh = Network([64, 128, 64, 5], output="softmax", optimizer=Adam(0.01), seed=seed)
    other = train_on_first_digits(seed).with_layers(2, [5], output="softmax", seed=seed)
    other.freeze(range(2))
    at_rest = accuracy_after(other, 80, seed)
    other.unfreeze()
    return accuracy_after(fresh, 100, seed), at_rest, accuracy_after(other, 20, seed)


if __name__ == "__main__":
    fresh, at_rest, unfrozen = compare()
    print(f"a new network: {fresh:.1%}; layers of other digits, at rest: {at_rest:.1%}; then trained: {unfrozen:.1%}")
