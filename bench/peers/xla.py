"""JAX: one jitted `lax.scan` over the batches of an epoch, with donated state, which is updated in place."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from bench.peers import Predict, Train
from bench.workloads import BETA_1, BETA_2, EPSILON, RATE, Workload

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}

# The number of threads follows from the processors that the process may use: see `bench.worker`.


def outputs(parameters: Any, X: Any, activation: str) -> Any:
    """Return the outputs of the network without the softmax."""
    *hidden, (W, b) = parameters
    for V, c in hidden:
        X = ACTIVATIONS[activation](X @ V + c)
    return X @ W + b


def trainer(workload: Workload, threads: int | None) -> Train:
    jax.config.update("jax_enable_x64", workload.dtype == "float64")
    softmax = workload.output == "softmax"

    def loss_of(parameters: Any, X: Any, y: Any) -> Any:
        z = outputs(parameters, X, workload.activation)
        if softmax:
            return -(jax.nn.log_softmax(z) * y).sum(axis=1).mean()
        return ((z - y) ** 2).mean()

    def step(state: Any, batch: Any) -> Any:
        parameters, first, second, t = state
        loss, gradient = jax.value_and_grad(loss_of)(parameters, *batch)
        t = t + 1
        first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, gradient)
        second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradient)
        rate, root = RATE / (1 - BETA_1**t), jnp.sqrt(1 - BETA_2**t)
        parameters = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + EPSILON), parameters, first, second
        )
        return (parameters, first, second, t), loss

    @partial(jax.jit, donate_argnums=0)
    def epoch(state: Any, batches: Any) -> Any:
        state, losses = lax.scan(step, state, batches)
        return state, losses.mean()

    X, y = workload.data()
    rows = jax.nn.one_hot(y, workload.sizes[-1]) if softmax else jnp.asarray(y)  # 0 and 1 are faster than a gather
    batches = tuple(jnp.asarray(a).reshape(workload.steps, workload.batch_size, -1) for a in (X, rows))
    parameters = [(jnp.array(W), jnp.array(b)) for W, b in workload.weights()]
    state = (parameters, *(jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)), jnp.zeros((), workload.dtype))

    def train(epochs: int) -> list[float]:
        nonlocal state
        losses = []
        for _ in range(epochs):
            state, loss = epoch(state, batches)
            losses.append(loss)
        jax.block_until_ready(state)
        return [float(loss) for loss in losses]

    return train


def predictor(workload: Workload, threads: int | None) -> Predict:
    jax.config.update("jax_enable_x64", workload.dtype == "float64")

    @jax.jit
    def predict(parameters: Any, X: Any) -> Any:
        z = outputs(parameters, X, workload.activation)
        return jax.nn.softmax(z) if workload.output == "softmax" else z

    parameters = [(jnp.array(W), jnp.array(b)) for W, b in workload.weights()]
    X = jnp.asarray(workload.data()[0])
    return lambda: predict(parameters, X).block_until_ready()
