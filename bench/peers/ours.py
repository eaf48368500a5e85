"""fastmlp, through its public interface: `fit` and `predict`."""

from __future__ import annotations

import functools
from typing import Any

from bench.peers import Call, Predict, Train
from bench.workloads import RATE, Workload
from fastmlp import Adam, Network


def network(workload: Workload, threads: int | None) -> Network:
    """Return the network with its initial weights."""
    net = Network(
        list(workload.sizes),
        activation=workload.activation,
        output=workload.output,
        optimizer=Adam(RATE),
        dtype=workload.dtype,
        seed=0,
        threads=threads,
    )
    net.set_weights(workload.weights())
    return net


def training(net: Any, workload: Workload) -> Train:
    """Return a function that trains a network, fastmlp's or its reference, on the data of the workload."""
    X, y = workload.data()

    def train(epochs: int) -> list[float]:
        history = net.fit(X, y, epochs=epochs, batch_size=workload.batch_size, shuffle=False, verbose=False)
        losses: list[float] = history.history["loss"]
        return losses

    return train


def trainer(workload: Workload, threads: int | None) -> Train:
    return training(network(workload, threads), workload)


def caller(workload: Workload, threads: int | None, way: str) -> Call:
    """Return a function that calls a method of the network once, for all rows."""
    net, (X, y) = network(workload, threads), workload.data()
    arguments = {"train_on_batch": (X, y), "train_on_gradient": (X, y), "predict": (X,)}[way]
    return functools.partial(getattr(net, way), *arguments)


def predictor(workload: Workload, threads: int | None) -> Predict:
    net, (X, _) = network(workload, threads), workload.data()
    return lambda: net.predict(X)
