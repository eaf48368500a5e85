"""Each kernel alone, beside NumPy doing the same: products, block functions of activations and losses, updates.

A kernel gets the blocks that a step gives it. NumPy gets arrays of at least MANY elements, or so many blocks in one
call: on 256 elements its figure would be that of a call from Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastmlp.kernels import random
from fastmlp.kernels._jit import Reals, arguments_of, kernel
from fastmlp.kernels.activations import ACTIVATIONS
from fastmlp.kernels.layout import BLOCK, CONSTANT_COUNT, DECAY, PANEL
from fastmlp.kernels.losses import EXACT_PAIRS
from fastmlp.kernels.optimizers import UPDATES
from fastmlp.kernels.panels import transpose
from fastmlp.kernels.product import panel_product
from fastmlp.kernels.simd import call, reals_at
from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop
from fastmlp.parameters import address, aligned_zeros
from fastmlp.reference.activations import ACTIVATIONS as FORMULAS
from fastmlp.reference.losses import EXACT_PAIRS as PAIRS
from fastmlp.reference.optimizers import empty_slots
from fastmlp.reference.optimizers import update as reference_update

ROWS, INPUTS = 128, 256
MANY = 65_536
TURNS = 64  # calls of a kernel in one call from Python, so that ctypes does not count

dtypes = pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")], ids=str)
both = pytest.mark.parametrize("by", ["fastmlp", "NumPy"])


def numbers(count: int, dtype: Any) -> Any:
    array = aligned_zeros(count, dtype)
    array[:] = np.random.default_rng(0).uniform(-1, 1, count)
    return array


def timed(benchmark: Any, name: str, by: str, unit: str, count: float, function: Any, *arguments: Any) -> None:
    """Time the function; `count` says how many of `unit` (elements, flops) one call does."""
    benchmark.group = f"kernel {name}"
    benchmark.extra_info.update(kernel=name, by=by, unit=unit, count=count)
    benchmark(function, *arguments)


@kernel()
def products(out: Reals, a: Reals, w: Reals, bias: Reals, rows: int, inputs: int, turns: int) -> None:
    for _ in range(turns):
        panel_product(out, a, w, inputs, bias, reals_at(0, a), rows * PANEL, bias[0], rows)


@kernel()
def transposes(out: Reals, block: Reals, turns: int) -> None:
    for _ in range(turns):
        transpose(out, block)


@kernel()
def updates(update: int, w: Reals, slots: Reals, gradient: Reals, constants: Reals, turns: int) -> None:
    for _ in range(turns):
        call(update, (w, slots, BLOCK, gradient, constants, PANEL))


@kernel()
def weight_products(
    product: int, out: Reals, a: Reals, w: Reals, slots: Reals, constants: Reals, rows: int, turns: int
) -> None:
    for _ in range(turns):
        call(product, (out, out, a, a, rows, w, slots, BLOCK, out, constants, PANEL))


def update_arguments(settings: Optimizer, dtype: Any) -> list[Any]:
    """A block of weights, its slots and the optimizer's constants."""
    steps, row = np.array([1]), aligned_zeros(CONSTANT_COUNT, dtype)
    constants = settings.constants(steps)[0]
    row[: len(constants)] = constants
    row[DECAY] = settings.decay(steps)[0]
    return [numbers(BLOCK, dtype), np.abs(numbers(3 * BLOCK, dtype)), row]


@dtypes
@both
def test_rows_product(benchmark: Any, dtype: np.dtype[Any], by: str) -> None:
    a, w = numbers(ROWS * INPUTS, dtype), numbers(INPUTS * PANEL, dtype)
    out, bias = numbers(ROWS * PANEL, dtype), aligned_zeros(PANEL, dtype)
    flops, name = 2.0 * ROWS * INPUTS * PANEL, f"rows product, bias, relu, {dtype}"
    if by == "NumPy":
        A, W, Z = a.reshape(ROWS, INPUTS), w.reshape(INPUTS, PANEL), out.reshape(ROWS, PANEL)
        timed(benchmark, name, by, "flops", flops, lambda: np.maximum(np.add(np.matmul(A, W, out=Z), bias, out=Z), 0))
        return
    arguments = [address(array) for array in (out, a, w, bias)]
    timed(benchmark, name, by, "flops", TURNS * flops, products.function_for(dtype), *arguments, ROWS, INPUTS, TURNS)


@dtypes
@both
def test_weight_product(benchmark: Any, dtype: np.dtype[Any], by: str) -> None:
    a, out = numbers(ROWS * PANEL, dtype), numbers(BLOCK, dtype)
    flops, name = 2.0 * ROWS * BLOCK, f"weight product of a block, adam in its shadow (NumPy: without), {dtype}"
    if by == "NumPy":
        # As many blocks as MANY elements have, all from the same rows. Two arrays: of one, NumPy computes A^T A by
        # symmetry, with half of the operations.
        blocks = MANY // BLOCK
        A, delta = (np.broadcast_to(x.reshape(ROWS, PANEL), (blocks, ROWS, PANEL)) for x in (a, a.copy()))
        dW = np.empty((blocks, PANEL, PANEL), dtype)
        timed(benchmark, name, by, "flops", blocks * flops, lambda: np.matmul(A.transpose(0, 2, 1), delta, out=dW))
        return
    held = update_arguments(Adam(1e-6), dtype)
    found = UPDATES["adam"].product_update.address(dtype)
    out *= 0
    arguments = [address(array) for array in (out, a, *held)]
    function = weight_products.function_for(dtype)
    timed(benchmark, name, by, "flops", TURNS * flops, function, found, *arguments, ROWS, TURNS)


UPDATED = (
    SGD(1e-6),
    SGD(1e-6, momentum=0.9),
    RMSprop(1e-6),
    RMSprop(1e-6, centered=True, momentum=0.9),
    Adagrad(1e-6),
    Adadelta(1e-6),
    Adam(1e-6),
    Adam(1e-6, amsgrad=True),
    AdamW(1e-6),
    Nadam(1e-6),
    Lion(1e-6),
)


@dtypes
@both
@pytest.mark.parametrize("settings", UPDATED, ids=lambda settings: settings.kernel)
def test_update(benchmark: Any, dtype: np.dtype[Any], by: str, settings: Optimizer) -> None:
    name = f"update by {settings.kernel}, {dtype}"
    if by == "NumPy":
        w, g = numbers(MANY, dtype), numbers(MANY, dtype)
        slots = empty_slots(settings, w)
        timed(benchmark, name, by, "elements", MANY, reference_update, settings, w, g, slots, 1)
        return
    w, slots, constants = update_arguments(settings, dtype)
    arguments = [address(array) for array in (w, slots, numbers(BLOCK, dtype), constants)]
    found = UPDATES[settings.kernel].update.address(dtype)
    timed(benchmark, name, by, "elements", TURNS * BLOCK, updates.function_for(dtype), found, *arguments, TURNS)


@dtypes
@both
def test_transpose(benchmark: Any, dtype: np.dtype[Any], by: str) -> None:
    name = f"transpose of a block, {dtype}"
    if by == "NumPy":
        source, target = (numbers(MANY, dtype).reshape(-1, PANEL, PANEL) for _ in range(2))
        timed(benchmark, name, by, "elements", MANY, np.copyto, target, source.transpose(0, 2, 1))
        return
    block, out = numbers(BLOCK, dtype), numbers(BLOCK, dtype)
    function = transposes.function_for(dtype)
    timed(benchmark, name, by, "elements", TURNS * BLOCK, function, address(out), address(block), TURNS)


@dtypes
@both
@pytest.mark.parametrize("activation", [name for name, g in ACTIVATIONS.items() if g.forward and name != "softmax"])
def test_activation(benchmark: Any, activation: str, dtype: np.dtype[Any], by: str) -> None:
    """g as training computes it, with g' where that is kept; NumPy computes g alone."""
    kernels = ACTIVATIONS[activation]
    name = f"{activation}{' and its derivative (NumPy: without)' if kernels.keeping else ''}, {dtype}"
    parameters = np.array([0.5])
    if by == "NumPy":
        own = parameters[: arguments_of(FORMULAS[activation].forward) - 1]
        timed(benchmark, name, by, "elements", MANY, FORMULAS[activation].forward, numbers(MANY, dtype)[:, None], *own)
        return
    z, slopes = numbers(16 * BLOCK, dtype), numbers(16 * BLOCK, dtype)
    found = kernels.keeping or kernels.forward
    assert found is not None
    arguments = (address(z), address(slopes), z.size, address(parameters))
    timed(benchmark, name, by, "elements", z.size, found.function_for(dtype), *arguments)


@dtypes
@both
@pytest.mark.parametrize("units", [2, 10, 100])
def test_softmax_crossentropy(benchmark: Any, dtype: np.dtype[Any], by: str, units: int) -> None:
    name = f"softmax and cross-entropy of {units} units, {dtype}"
    if by == "NumPy":
        pair = PAIRS["softmax", "categorical_crossentropy"]
        forward = FORMULAS["softmax"].forward
        rows = -(-MANY // units)
        Z, Y = numbers(rows * units, dtype).reshape(rows, units), np.eye(units, dtype=dtype)[np.arange(rows) % units]
        timed(benchmark, name, by, "elements", Z.size, lambda: (pair.value(Z, Y), pair.delta(forward(Z), Y)))
        return
    width = -(-units // PANEL) * PANEL
    z, y = numbers(ROWS * width, dtype), aligned_zeros(ROWS * width, dtype)
    delta, weights = aligned_zeros(ROWS * width, dtype), np.ones(ROWS)
    losses, scratch = aligned_zeros(ROWS, np.float64), aligned_zeros((3 * width + 64) * PANEL, dtype)
    buffers = [address(array) for array in (delta, z, y, weights, losses)]
    function = EXACT_PAIRS["categorical_crossentropy"].function_for(dtype)
    parameters = np.zeros(1)
    arguments = (*buffers, ROWS, units, ROWS * PANEL, 1.0 / ROWS, address(scratch), address(parameters))
    timed(benchmark, name, by, "elements", ROWS * units, function, *arguments)


@both
def test_shuffle(benchmark: Any, by: str) -> None:
    order, name = np.arange(MANY), "shuffle (NumPy: Generator.permutation)"
    if by == "NumPy":
        timed(benchmark, name, by, "elements", order.size, np.random.default_rng(0).permutation, order)
        return
    function = random.permute.function_for(order.dtype)
    timed(benchmark, name, by, "elements", order.size, function, address(order), order.size, 0, 3, 0, 0)
