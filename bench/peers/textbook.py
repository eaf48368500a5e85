"""The reference of fastmlp: the networks in plain NumPy."""

from __future__ import annotations

from bench.peers import Predict, Train, ours
from bench.workloads import Workload
from fastmlp.reference import Network


def network(workload: Workload) -> Network:
    """Return the network with its initial weights."""
    return Network.like(ours.network(workload, threads=1))


def trainer(workload: Workload, threads: int | None) -> Train:
    return ours.training(network(workload), workload)


def predictor(workload: Workload, threads: int | None) -> Predict:
    net, (X, _) = network(workload), workload.data()
    return lambda: net.predict(X)
