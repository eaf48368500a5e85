"""fastmlp, through its public interface: `fit` and `predict`."""

from __future__ import annotations

from bench.peers import Predict, Train
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


def trainer(workload: Workload, threads: int | None) -> Train:
    net, (X, y) = network(workload, threads), workload.data()

    def train(epochs: int) -> list[float]:
        history = net.fit(X, y, epochs=epochs, batch_size=workload.batch_size, shuffle=False, verbose=False)
        return history.history["loss"]

    return train


def predictor(workload: Workload, threads: int | None) -> Predict:
    net, (X, _) = network(workload, threads), workload.data()
    return lambda: net.predict(X)
