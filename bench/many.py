"""Many networks at once: `fit_many` beside a loop of fits, a vmapped JAX scan and batched products of PyTorch.

`python -m bench.many` prints microseconds for a step of one network, by the best of some rounds that alternate. JAX and
PyTorch cannot mix shapes, and train float32 networks of one shape with Adam, each with its own order of rows. They take
part if they are installed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from fastmlp import EarlyStopping, Network, datasets, fit_many

ROUNDS = 3
REST = 0.13  # seconds after a competitor whose threads spin


@dataclass(frozen=True)
class Task:
    """Networks of one shape, and their data."""

    sizes: list[int]
    output: str
    networks: int
    batch_size: int
    epochs: int
    X: Any
    y: Any

    @property
    def name(self) -> str:
        return f"{self.networks} x {'-'.join(map(str, self.sizes))}"

    def steps(self, rows: int) -> int:
        """Return the steps of all networks."""
        return -(-rows // self.batch_size) * self.epochs * self.networks

    def make(self) -> list[Network]:
        return [Network(self.sizes, output=self.output, seed=seed) for seed in range(self.networks)]


def tasks() -> list[Task]:
    data, rng = datasets.load_breast_cancer(), np.random.default_rng(0)
    X = ((data.X - data.X.mean(axis=0)) / data.X.std(axis=0)).astype(np.float32)
    X2 = rng.normal(size=(5000, 8)).astype(np.float32)
    y2 = (np.sin(X2[:, :1]) + X2[:, 1:2] * X2[:, 2:3]).astype(np.float32)
    return [
        Task([30, 16, 8, 2], "softmax", 1000, 32, 20, X, data.y.astype(np.int64)),
        Task([8, 64, 64, 1], "linear", 200, 128, 10, X2, y2),
    ]


def together(task: Task, threads: int) -> float:
    """Return the seconds of `fit_many` on a number of threads, networks not included."""
    networks, before = task.make(), numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        started = time.perf_counter()
        fit_many(networks, task.X, task.y, epochs=task.epochs, batch_size=task.batch_size)
        return time.perf_counter() - started
    finally:
        numba.set_num_threads(before)


def loop(task: Task) -> float:
    """Return the seconds of a loop of fits, of a fifth of the networks, times 5."""
    networks = task.make()[::5]
    started = time.perf_counter()
    for network in networks:
        network.fit(task.X, task.y, epochs=task.epochs, batch_size=task.batch_size)
    return 5 * (time.perf_counter() - started)


def validated(task: Task, many: bool) -> float:
    """Return the seconds with validation and early stopping, by `fit_many` or by a loop of a fifth of the fits."""
    train = 3 * len(task.X) // 4
    networks = task.make()[:: 1 if many else 5]
    X, y, held_out = task.X[:train], task.y[:train], (task.X[train:], task.y[train:])
    options: dict[str, Any] = {"epochs": task.epochs, "batch_size": task.batch_size}
    started = time.perf_counter()
    if many:
        rows = {"rows": np.arange(train), "validation_rows": np.arange(train, len(task.X))}
        fit_many(networks, task.X, task.y, early_stopping=EarlyStopping(patience=task.epochs), **rows, **options)
        return time.perf_counter() - started
    for network in networks:
        network.fit(X, y, validation_data=held_out, callbacks=[EarlyStopping(patience=task.epochs)], **options)
    return 5 * (time.perf_counter() - started)


def jax_vmap(task: Task) -> Callable[[], float]:
    """Return a function that trains all networks by a jitted vmap over a scan, and returns the seconds."""
    import jax
    import jax.numpy as jnp

    X, y, batch = jnp.asarray(task.X), jnp.asarray(task.y), task.batch_size
    rows, steps = len(task.X), -(-len(task.X) // batch)
    pairs = list(zip(task.sizes[:-1], task.sizes[1:], strict=True))

    def outputs(weights: Any, x: Any) -> Any:
        for index, (W, b) in enumerate(weights):
            x = x @ W + b
            x = jax.nn.relu(x) if index < len(weights) - 1 else x
        return x

    def loss(weights: Any, x: Any, targets: Any, mask: Any) -> Any:
        out = outputs(weights, x)
        if task.output == "softmax":
            losses = -jnp.take_along_axis(jax.nn.log_softmax(out), targets[:, None], 1)[:, 0]
        else:
            losses = ((out - targets) ** 2).mean(axis=1)
        return (losses * mask).sum() / mask.sum()

    def step(carry: Any, batch_of: Any) -> Any:
        weights, m, v, t = carry
        numbers, mask = batch_of
        gradient = jax.grad(loss)(weights, X[numbers], y[numbers], mask)
        t = t + 1
        m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = jax.tree.map(lambda w, a, b: w - rate * a / (jnp.sqrt(b) + 1e-8), weights, m, v)
        return (weights, m, v, t), None

    def epoch(carry: Any, key: Any) -> Any:
        order = jnp.concatenate([jax.random.permutation(key, rows), jnp.zeros(steps * batch - rows, int)])
        mask = (jnp.arange(steps * batch) < rows).astype(jnp.float32)
        return jax.lax.scan(step, carry, (order.reshape(steps, batch), mask.reshape(steps, batch)))

    def train(key: Any) -> Any:
        keys = jax.random.split(key, len(pairs) + 1)
        weights = [
            (jax.random.normal(k, pair) * math.sqrt(2 / pair[0]), jnp.zeros(pair[1]))
            for k, pair in zip(keys, pairs, strict=False)
        ]
        zeros = jax.tree.map(jnp.zeros_like, weights)
        return jax.lax.scan(epoch, (weights, zeros, zeros, 0.0), jax.random.split(keys[-1], task.epochs))[0][0]

    all_of_them = jax.jit(jax.vmap(train))
    seeds = jax.random.split(jax.random.key(0), task.networks)
    jax.block_until_ready(all_of_them(seeds))

    def run() -> float:
        started = time.perf_counter()
        jax.block_until_ready(all_of_them(seeds))
        return time.perf_counter() - started

    return run


def torch_batched(task: Task) -> Callable[[], float]:
    """Return a function that trains all networks by batched products, for one epoch, times the epochs."""
    import torch

    X, y, count = torch.from_numpy(task.X), torch.from_numpy(task.y), task.networks

    def run() -> float:
        weights = []
        for inputs, units in zip(task.sizes[:-1], task.sizes[1:], strict=True):
            W = torch.randn(count, inputs, units) * math.sqrt(2 / inputs)
            weights += [W.requires_grad_(), torch.zeros(count, 1, units, requires_grad=True)]
        optimizer = torch.optim.Adam(weights, 1e-3, fused=True)
        orders = torch.stack([torch.randperm(len(X)) for _ in range(count)])
        started = time.perf_counter()
        for first in range(0, len(X), task.batch_size):
            numbers = orders[:, first : first + task.batch_size]
            A = X[numbers]
            for index in range(0, len(weights), 2):
                A = torch.baddbmm(weights[index + 1], A, weights[index])
                A = torch.relu(A) if index < len(weights) - 2 else A
            if task.output == "softmax":
                losses = torch.nn.functional.cross_entropy(A.flatten(0, 1), y[numbers].flatten(), reduction="sum")
            else:
                losses = ((A - y[numbers]) ** 2).mean(dim=2).sum()
            optimizer.zero_grad(set_to_none=True)
            (losses / numbers.shape[1]).backward()
            optimizer.step()
        return task.epochs * (time.perf_counter() - started)

    return run


def competitors(task: Task) -> dict[str, Callable[[], float]]:
    """Return what is measured, by name."""
    most = numba.config.NUMBA_NUM_THREADS
    found: dict[str, Callable[[], float]] = {
        f"fit_many, {threads} thread{'s' * (threads > 1)}": lambda threads=threads: together(task, threads)  # type: ignore[misc]
        for threads in (1, most)
    }
    found |= {
        "loop of fits": lambda: loop(task),
        "fit_many with validation and stopping": lambda: validated(task, many=True),
        "loop with validation and stopping": lambda: validated(task, many=False),
    }
    for name, make in (("JAX, vmap", jax_vmap), ("PyTorch, batched", torch_batched)):
        try:
            found[name] = make(task)
        except ImportError:
            print(f"{name} is not installed")
    return found


def main() -> None:
    for task in tasks():
        runs = competitors(task)
        fit_many(task.make()[:4], task.X, task.y)  # loads the kernels
        best = dict.fromkeys(runs, math.inf)
        for _ in range(ROUNDS):
            for name, run in runs.items():
                best[name] = min(best[name], run())
                time.sleep(REST)
        print(f"{task.name}, batch {task.batch_size}, {len(task.X)} rows, {task.epochs} epochs: us a network-step")
        for name, seconds in best.items():
            rows = 3 * len(task.X) // 4 if "validation" in name else len(task.X)
            print(f"  {name:<40}{1e6 * seconds / task.steps(rows):8.2f}")


if __name__ == "__main__":
    main()
