"""The reference of fastmlp: the networks in plain NumPy."""

from __future__ import annotations

from bench.peers import Predict, Train
from bench.workloads import RATE, Workload
from fastmlp.optimizers import Adam
from fastmlp.reference import Network


def network(workload: Workload) -> Network:
    """Return the network with its initial weights."""
    net = Network(
        list(workload.sizes),
        activation=workload.activation,
        output=workload.output,
        optimizer=Adam(RATE),
        dtype=workload.dtype,
        seed=0,
    )
    net.set_weights(workload.weights())
    return net


def trainer(workload: Workload, threads: int | None) -> Train:
    net, (X, y) = network(workload), workload.data()

    def train(epochs: int) -> list[float]:
        history = net.fit(X, y, epochs=epochs, batch_size=workload.batch_size, shuffle=False, verbose=False)
        return history.history["loss"]

    return train


def predictor(workload: Workload, threads: int | None) -> Predict:
    net, (X, _) = network(workload), workload.data()
    return lambda: net.predict(X)
