"""Digests of trained networks, which subprocesses print so that tests can compare bits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from cases import DTYPES, tensors

from fastmlp import SGD, Adam, AdamW, Dense, LayerNormalization, Lion, Nadam, Network, Scale
from fastmlp._engine.program_runner import ProgramRunner
from fastmlp._engine.thread_tuner import ThreadTuner
from fastmlp.optimizers import Optimizer


def digest(arrays: Iterable[Any]) -> str:
    """Return the SHA-256 of the bits of some arrays."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def state_of(network: Network) -> str:
    """Return the digest of the weights, the slots of the optimizer and the losses of the last fit."""
    history = network.history.history["loss"] if network.history else []
    parameters = network._engine.parameters
    return digest([*tensors(network.get_weights()), parameters.slots, parameters.transposed, history])


# Work for threads ----------------------------------------------------------------------------------------------------

SHAPES: dict[str, tuple[list[Any], int]] = {
    "wide": ([130, Dense(150, "tanh", dropout=0.2, l2=0.01), Dense(120, "gelu"), 10], 160),
    "long": ([9, Dense(17, "tanh"), Dense(33, "softmax"), 3], 3000),
    "wide columns": (
        [130, Scale(), Dense(150, "tanh"), Scale(activation="relu", l2=0.01), Dense(120), LayerNormalization(), 10],
        160,
    ),
    "long columns": ([9, LayerNormalization(), Dense(33, "tanh"), LayerNormalization(activation="gelu"), 3], 3000),
}
"""Layers and rows of a batch. Each step takes more than 1.5 MFLOP, so that a second thread is used.

On several threads, some layers of the wide networks are computed by units. The rows of the long ones are grouped.
"""


def big_network(shape: str, dtype: str, threads: int | None = None, optimizer: Any = None) -> Network:
    layers, _ = SHAPES[shape]
    return Network(layers, output="softmax", optimizer=optimizer or Adam(0.01), dtype=dtype, seed=3, threads=threads)


def big_data(shape: str, dtype: str) -> dict[str, Any]:
    layers, batch = SHAPES[shape]
    rng = np.random.default_rng(0)
    rows = 2 * batch + 33
    X = rng.normal(size=(rows, layers[0])).astype(dtype)
    return {"X": X, "y": rng.integers(0, layers[-1], rows), "sample_weight": rng.uniform(0, 2, rows)}


@contextmanager
def always_parallel() -> Iterator[list[int]]:
    """Use threads whenever there is work for them. Yield a list that collects the threads of each parallel call."""
    counted: list[int] = []
    choose, call = ThreadTuner.parallel, ProgramRunner._call

    def counting(self: ProgramRunner, parallel: bool, arguments: Any) -> int:
        if parallel:
            counted.append(self.plan.threads)
        return call(self, parallel, arguments)

    ThreadTuner.parallel = lambda self: self.max_threads > 1  # type: ignore[method-assign]
    ProgramRunner._call = counting  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        ThreadTuner.parallel, ProgramRunner._call = choose, call  # type: ignore[method-assign]


RULES: dict[str, list[Optimizer]] = {
    "wide float32": [
        Adam(0.01),
        SGD(0.1, momentum=0.9),
        SGD(0.1, clipvalue=1e-4),
        AdamW(0.01, global_clipnorm=0.1),
        Nadam(0.01, global_clipnorm=1e-3),
        Lion(0.01, weight_decay=0.1),
    ],
    "wide float64": [Adam(0.01), SGD(0.1, momentum=0.9, global_clipnorm=0.1)],
    "long float32": [Adam(0.01), SGD(0.1, momentum=0.9, global_clipnorm=0.1)],
    "long float64": [Adam(0.01), AdamW(0.01, amsgrad=True, clipvalue=1e-4)],
    "wide columns float32": [AdamW(0.01, global_clipnorm=0.1)],
    "wide columns float64": [Adam(0.01)],
    "long columns float32": [Adam(0.01)],
    "long columns float64": [SGD(0.1, momentum=0.9, global_clipnorm=0.1)],
}
"""The optimizers that are trained with each number of threads, by shape and dtype."""


def by_threads(most: int) -> Iterator[tuple[str, int, str]]:
    """Yield a description of the training, the number of threads and the digest, for 1, 2, 3, 4 and 8 threads."""
    for shape, (_, batch) in SHAPES.items():
        for dtype in DTYPES:
            for optimizer in RULES[f"{shape} {dtype}"]:
                for threads in (1, 2, 3, 4, 8):
                    network = big_network(shape, dtype, threads, optimizer)
                    with always_parallel() as counted:
                        network.fit(**big_data(shape, dtype), epochs=2, batch_size=batch)
                    assert set(counted) == ({threads} if threads > 1 else set()), counted
                    X = big_data(shape, dtype)["X"]
                    loss, gradients = network.loss_and_gradients(X, big_data(shape, dtype)["y"])
                    answers = digest([network.predict(X), [loss], *tensors(gradients)])
                    yield f"{shape} {dtype} {optimizer!r}", threads, state_of(network) + answers


def passes_by_threads() -> Iterator[tuple[str, int, str]]:
    """Yield the shape and dtype, the number of threads and the digest of all passes, for 1, 2, 4 and 8 threads."""
    for shape, (layers, rows) in SHAPES.items():
        for dtype in DTYPES:
            rng = np.random.default_rng(0)
            data = rng.normal(size=(rows, layers[0])).astype(dtype), rng.integers(0, layers[-1], rows)
            dA = rng.normal(size=(rows, layers[-1]))
            for threads in (1, 2, 4, 8):
                network = big_network(shape, dtype, threads, Adam(0.01, global_clipnorm=0.1))
                with always_parallel() as counted:
                    results = [network.forward(data[0], training=True), *tensors(network.backward(None, dA))]
                    gradients, dX = network.backward(data[0], dA, return_input_gradient=True)
                    results += [*tensors(gradients), dX, *tensors(network.gradients(*data))]
                    network.train_on_batch(*data)
                    network.apply_gradients(gradients)
                    network.train_on_gradient(data[0], dA)
                assert set(counted) == ({threads} if threads > 1 else set()), counted
                yield f"{shape} {dtype}", threads, digest([*results, network.flat_weights()])
