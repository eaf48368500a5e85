"""JAX: one jitted `lax.scan` over the batches of an epoch, with donated state, which is updated in place."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.peers import Call, Predict, Train
from bench.workloads import BETA_1, BETA_2, EPSILON, RATE, Workload

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}

# The number of threads follows from the processors that the process may use: see `bench.worker`.


def outputs(parameters: Any, X: Any, activation: str) -> Any:
    """Return the outputs of the network without the softmax."""
    *hidden, (W, b) = parameters
    for V, c in hidden:
        X = ACTIVATIONS[activation](X @ V + c)
    return X @ W + b


def loss_of(workload: Workload, parameters: Any, X: Any, y: Any) -> Any:
    """Return the mean loss, for classes given as rows of 0 and 1."""
    z = outputs(parameters, X, workload.activation)
    if workload.output == "softmax":
        return -(jax.nn.log_softmax(z) * y).sum(axis=1).mean()
    return ((z - y) ** 2).mean()


def first_state(workload: Workload) -> Any:
    """Return the parameters, both moments of Adam, and the number of steps."""
    parameters = [(jnp.array(W), jnp.array(b)) for W, b in workload.weights()]
    return parameters, *(jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)), jnp.zeros((), workload.dtype)


def adam(state: Any, gradient: Any) -> Any:
    """Return the state after a step of Adam."""
    parameters, first, second, t = state
    t = t + 1
    first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, gradient)
    second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradient)
    rate, root = RATE / (1 - BETA_1**t), jnp.sqrt(1 - BETA_2**t)
    parameters = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + EPSILON), parameters, first, second)
    return parameters, first, second, t


def trainer(workload: Workload, threads: int | None) -> Train:
    jax.config.update("jax_enable_x64", workload.dtype == "float64")

    def step(state: Any, batch: Any) -> Any:
        loss, gradient = jax.value_and_grad(partial(loss_of, workload))(state[0], *batch)
        return adam(state, gradient), loss

    @partial(jax.jit, donate_argnums=0)
    def epoch(state: Any, batches: Any) -> Any:
        state, losses = lax.scan(step, state, batches)
        return state, losses.mean()

    X, y = workload.data()
    # Rows of 0 and 1 are faster than a gather.
    rows = jax.nn.one_hot(y, workload.sizes[-1]) if workload.output == "softmax" else jnp.asarray(y)
    batches = tuple(jnp.asarray(a).reshape(workload.steps, workload.batch_size, -1) for a in (X, rows))
    state = first_state(workload)

    def train(epochs: int) -> list[float]:
        nonlocal state
        losses = []
        for _ in range(epochs):
            state, loss = epoch(state, batches)
            losses.append(loss)
        jax.block_until_ready(state)
        return [float(loss) for loss in losses]

    return train


def caller(workload: Workload, threads: int | None, way: str) -> Call:
    jax.config.update("jax_enable_x64", workload.dtype == "float64")
    X, y = workload.data()
    state = first_state(workload)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, X: Any, y: Any) -> Any:
        loss, gradient = jax.value_and_grad(partial(loss_of, workload))(state[0], X, y)
        return adam(state, gradient), loss

    @partial(jax.jit, donate_argnums=0)
    def step_on_gradient(state: Any, X: Any, dA: Any) -> Any:
        _, pull = jax.vjp(lambda parameters: outputs(parameters, X, workload.activation), state[0])
        return adam(state, *pull(dA))

    predict = jax.jit(partial(outputs, activation=workload.activation))

    def call() -> Any:
        nonlocal state
        if way == "predict":
            return np.asarray(predict(state[0], X))
        if way == "train_on_batch":
            state, loss = step(state, X, y)
            return float(loss)
        state = jax.block_until_ready(step_on_gradient(state, X, y))
        return None

    return call


def predictor(workload: Workload, threads: int | None) -> Predict:
    jax.config.update("jax_enable_x64", workload.dtype == "float64")

    @jax.jit
    def predict(parameters: Any, X: Any) -> Any:
        z = outputs(parameters, X, workload.activation)
        return jax.nn.softmax(z) if workload.output == "softmax" else z

    parameters = [(jnp.array(W), jnp.array(b)) for W, b in workload.weights()]
    X = jnp.asarray(workload.data()[0])
    return lambda: predict(parameters, X).block_until_ready()
