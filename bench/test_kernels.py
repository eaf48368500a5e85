"""Single kernels beside NumPy and PyTorch: products, activations, losses and updates, on one thread.

A kernel gets blocks of the size that a step gives it. NumPy and PyTorch get arrays of at least MANY elements, or as
many blocks in one call: on 256 elements their time would be that of a call from Python. Activations work on numbers in
the second-level cache, where a step finds them.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from bench import isa
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.kernels.host.annotations import Code, Floats, Reals
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.layout import BLOCK, CONSTANT_COUNT, DECAY, PANEL
from fastmlp.kernels.micro.panels import transpose
from fastmlp.kernels.micro.product import panel_product
from fastmlp.kernels.operations import random
from fastmlp.kernels.operations.activations import ACTIVATIONS
from fastmlp.kernels.operations.losses import EXACT_PAIRS
from fastmlp.kernels.operations.optimizers import UPDATES
from fastmlp.kernels.phases.blocks import product
from fastmlp.kernels.processor import tuning
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.kernels.vocabulary.pointers import call, exists, null_like, offset
from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop
from fastmlp.reference.activations import ACTIVATIONS as FORMULAS
from fastmlp.reference.losses import EXACT_PAIRS as PAIRS
from fastmlp.reference.optimizers import empty_slots
from fastmlp.reference.optimizers import update as reference_update

ROWS, INPUTS = 128, 256
MANY = 65_536
L2_BYTES = 262_144  # of each array: larger than the first-level cache, smaller than the second
ROUNDS = 2000  # of a benchmark that needs a setup before each round
TURNS = 64  # calls of a kernel in one call from Python, so that the time of ctypes is negligible

dtypes = pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")], ids=str)
both = pytest.mark.parametrize("by", ["fastmlp", "NumPy"])
all_three = pytest.mark.parametrize("by", ["fastmlp", "NumPy", "PyTorch"])


def numbers(count: int, dtype: Any) -> Any:
    array = aligned_zeros(count, dtype)
    array[:] = np.random.default_rng(0).uniform(-1, 1, count)
    return array


def timed(
    benchmark: Any, name: str, by: str, unit: str, count: float, function: Any, *arguments: Any, setup: Any = None
) -> None:
    """Time the function, with `setup` before each call; one call processes `count` of `unit` (elements, flops)."""
    benchmark.group = f"kernel {name}"
    benchmark.extra_info.update(kernel=name, by=by, unit=unit, count=count)
    if setup is None:
        benchmark(function, *arguments)
    else:
        benchmark.pedantic(function, arguments, setup=setup, rounds=ROUNDS, warmup_rounds=5)


def one_threaded_torch() -> Any:
    """Return PyTorch on one thread, or skip the test."""
    torch = pytest.importorskip("torch")
    isa.confirm("pytorch")
    torch.set_num_threads(1)
    return torch


@kernel()
def products(out: Reals, a: Reals, w: Reals, bias: Reals, rows: int, inputs: int, turns: int) -> None:
    for _ in range(turns):
        panel_product(out, a, w, inputs, bias, 0, null_like(a), rows * PANEL, bias[0], rows)


@kernel()
def transposes(out: Reals, block: Reals, turns: int) -> None:
    for _ in range(turns):
        transpose(out, block)


@kernel()
def updates(update: Code, w: Reals, slots: Reals, gradient: Reals, constants: Reals, turns: int) -> None:
    for _ in range(turns):
        call(update, (w, slots, BLOCK, gradient, constants, PANEL))


@kernel()
def woven_products(
    product: Code, out: Reals, a: Reals, w: Reals, slots: Reals, constants: Reals, rows: int, turns: int
) -> None:
    for _ in range(turns):
        call(product, (out, a, a, rows, w, slots, BLOCK, out, constants, PANEL))


@kernel()
def weight_products(
    product: Code,
    update: Code,
    out: Reals,
    zeros: Reals,
    a: Reals,
    w: Reals,
    slots: Reals,
    constants: Reals,
    rows: int,
    turns: int,
) -> None:
    for _ in range(turns):
        call(product, (out, zeros, a, a, rows, PANEL, PANEL))
        call(update, (w, slots, BLOCK, out, constants, PANEL))


def update_arguments(settings: Optimizer, dtype: Any) -> list[Any]:
    """Return a block of weights, its slots and the constants of the optimizer."""
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
    flops, name = 2.0 * ROWS * BLOCK, f"weight product of a block, and adam (NumPy: without), {dtype}"
    if by == "NumPy":
        # As many blocks as MANY elements have, all from the same rows. There are two arrays, because NumPy computes
        # A^T A of a single array by symmetry, with half of the operations.
        blocks = MANY // BLOCK
        A, delta = (np.broadcast_to(x.reshape(ROWS, PANEL), (blocks, ROWS, PANEL)) for x in (a, a.copy()))
        dW = np.empty((blocks, PANEL, PANEL), dtype)
        timed(benchmark, name, by, "flops", blocks * flops, lambda: np.matmul(A.transpose(0, 2, 1), delta, out=dW))
        return
    updated = update_arguments(Adam(1e-6), dtype)
    adam = UPDATES["adam"]
    out *= 0
    if tuning(dtype.name).weaves_updates:
        kernels, arrays, function = [adam.product_update], (out, a), woven_products
    else:
        kernels, arrays, function = [product, adam.update], (out, aligned_zeros(BLOCK, dtype), a), weight_products
    codes, addresses = [each.address(dtype) for each in kernels], [address(array) for array in (*arrays, *updated)]
    timed(benchmark, name, by, "flops", TURNS * flops, function.function_for(dtype), *codes, *addresses, ROWS, TURNS)


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
    gradient = numbers(BLOCK, dtype)
    arguments = [address(array) for array in (w, slots, gradient, constants)]
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


@kernel()
def activations(
    forward: Code, derivative: Code, a: Reals, known: Reals, delta: Reals, parameters: Floats, count: int, part: int
) -> None:
    """Compute g over all of a and, with a derivative, delta *= g', in parts of the size that a step uses."""
    state = flush_denormals()
    for place in range(0, count, part):
        call(forward, (offset(a, place), offset(known, place), part, parameters))
    if exists(derivative):
        for place in range(0, count, part):
            call(derivative, (offset(delta, place), offset(known, place), part, parameters))
    restore_denormals(state)


def prepared(name: str, dtype: Any, sloped: bool) -> tuple[Any, Any]:
    """Return a call of `activations` on numbers that fill L2_BYTES, and a setup that restores Z, which g overwrites."""
    kernels, count = ACTIVATIONS[name], L2_BYTES // dtype.itemsize
    z, known, delta, parameters = numbers(count, dtype), numbers(count, dtype), numbers(count, dtype), np.array([0.5])
    before = z.copy()
    g = (kernels.forward_saving if sloped else None) or kernels.forward
    assert g is not None
    derivative = kernels.derivative.address(dtype) if sloped and kernels.derivative else 0
    arrays = (z, known if kernels.forward_saving else z, delta, parameters)
    arguments = (g.address(dtype), derivative, *map(address, arrays), count, ROWS * PANEL)
    function = activations.function_for(dtype)

    def setup() -> None:
        z[:] = before
        arrays[2][:] = before  # multiplied by g' again and again, it would become denormal

    return lambda: function(*arguments), setup


def of_torch(name: str, torch: Any) -> tuple[Any, Any]:
    """Return `g(z, out=)` and `delta g'` of (delta, z, a), as PyTorch computes them without autograd."""
    ops = torch.ops.aten
    found = {
        "relu": (lambda z, out: torch.clamp_min(z, 0, out=out), lambda d, z, a: ops.threshold_backward(d, a, 0)),
        "leaky_relu": (lambda z, out: ops.leaky_relu.out(z, 0.5, out=out), None),
        "relu6": (lambda z, out: ops.hardtanh.out(z, 0, 6, out=out), lambda d, z, a: ops.hardtanh_backward(d, z, 0, 6)),
        "elu": (lambda z, out: ops.elu.out(z, 0.5, out=out), lambda d, z, a: ops.elu_backward(d, 0.5, 1, 1, True, a)),
        "selu": (
            lambda z, out: ops.elu.out(z, 1.6732632, 1.050701, out=out),
            lambda d, z, a: ops.elu_backward(d, 1.6732632, 1.050701, 1, True, a),
        ),
        "softplus": (lambda z, out: ops.softplus.out(z, out=out), lambda d, z, a: ops.softplus_backward(d, z, 1, 20)),
        "exponential": (torch.exp, lambda d, z, a: d * a),
        "gelu": (lambda z, out: ops.gelu.out(z, out=out), lambda d, z, a: ops.gelu_backward(d, z)),
        "gelu_tanh": (
            lambda z, out: ops.gelu.out(z, approximate="tanh", out=out),
            lambda d, z, a: ops.gelu_backward(d, z, approximate="tanh"),
        ),
        "silu": (lambda z, out: ops.silu.out(z, out=out), lambda d, z, a: ops.silu_backward(d, z)),
        "mish": (lambda z, out: ops.mish.out(z, out=out), lambda d, z, a: ops.mish_backward(d, z)),
        "sigmoid": (torch.sigmoid, lambda d, z, a: ops.sigmoid_backward(d, a)),
        "hard_sigmoid": (
            lambda z, out: ops.hardsigmoid.out(z, out=out),
            lambda d, z, a: ops.hardsigmoid_backward(d, z),
        ),
        "tanh": (torch.tanh, lambda d, z, a: ops.tanh_backward(d, a)),
    }
    forward, backward = found[name]
    return forward, backward or (lambda d, z, a: ops.leaky_relu_backward(d, a, 0.5, True))


ELEMENTWISE = [name for name, g in ACTIVATIONS.items() if g.forward and name != "softmax"]


@dtypes
@all_three
@pytest.mark.parametrize("sloped", [False, True], ids=["value", "value and derivative"])
@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_activation(benchmark: Any, activation: str, sloped: bool, dtype: np.dtype[Any], by: str) -> None:
    """Time g, as in prediction, or g and delta * g', as in training."""
    name = f"{activation}{' and its derivative' if sloped else ''}, {dtype}"
    count = L2_BYTES // dtype.itemsize
    z, delta = numbers(count, dtype), numbers(count, dtype)
    if by == "fastmlp":
        function, setup = prepared(activation, dtype, sloped)
        timed(benchmark, name, by, "elements", count, function, setup=setup)
    elif by == "NumPy":
        formula, Z, dA = FORMULAS[activation], z[:, None], delta[:, None]
        own = [0.5][: len(inspect.signature(formula.forward).parameters) - 1]
        both = lambda: formula.backward(dA, Z, formula.forward(Z, *own), *own)  # noqa: E731
        timed(benchmark, name, by, "elements", count, both if sloped else lambda: formula.forward(Z, *own))
    else:
        torch = one_threaded_torch()
        forward, backward = of_torch(activation, torch)
        Z, dA, A = (torch.from_numpy(x) for x in (z, delta, np.empty_like(z)))
        both = lambda: backward(dA, Z, forward(Z, out=A))  # noqa: E731
        timed(benchmark, name, by, "elements", count, both if sloped else lambda: forward(Z, out=A))


@kernel()
def thresholds(a: Reals, delta: Reals, bias: Reals, count: int, rows: int) -> None:
    """Compute relu as a product does, but without sums: products of no inputs, forward and back."""
    nothing, stride = null_like(a), rows * PANEL
    for place in range(0, count, stride):
        panel_product(offset(a, place), bias, bias, 0, bias, 0, nothing, stride, bias[0], rows)
    for place in range(0, count, stride):
        panel_product(offset(delta, place), bias, bias, 0, bias, 0, offset(a, place), stride, bias[0], rows)


@dtypes
@all_three
def test_relu(benchmark: Any, dtype: np.dtype[Any], by: str) -> None:
    """Time relu, which is the last instruction of a product, beside three copies of as many numbers."""
    name = f"relu and its derivative, in a product of no inputs (NumPy: 3 copies), {dtype}"
    count = L2_BYTES // dtype.itemsize
    a, delta, bias = numbers(count, dtype), numbers(count, dtype), aligned_zeros(PANEL, dtype)
    if by == "fastmlp":
        arguments = [address(x) for x in (a, delta, bias)]
        timed(benchmark, name, by, "elements", count, thresholds.function_for(dtype), *arguments, count, ROWS)
    elif by == "NumPy":
        timed(benchmark, name, by, "elements", count, lambda: [np.copyto(a, delta) for _ in range(3)])
    else:
        torch = one_threaded_torch()
        forward, backward = of_torch("relu", torch)
        Z, dA, A = (torch.from_numpy(x) for x in (a, delta, np.empty_like(a)))
        timed(benchmark, name, by, "elements", count, lambda: backward(dA, Z, forward(Z, out=A)))


@kernel()
def losses_of(
    loss: Code,
    delta: Reals,
    z: Reals,
    y: Reals,
    weights: Floats,
    losses: Floats,
    scratch: Reals,
    parameters: Floats,
    rows: int,
    units: int,
    turns: int,
) -> None:
    for _ in range(turns):
        call(loss, (delta, z, y, weights, losses, rows, units, units, rows * PANEL, 1.0 / rows, scratch, parameters))


@dtypes
@all_three
@pytest.mark.parametrize("units", [2, 10, 100])
def test_softmax_crossentropy(benchmark: Any, dtype: np.dtype[Any], by: str, units: int) -> None:
    """Time the loss of each row together with delta."""
    name = f"softmax and cross-entropy of {units} units, {dtype}"
    if by == "fastmlp":
        width = -(-units // PANEL) * PANEL
        z, y = numbers(ROWS * width, dtype), aligned_zeros(ROWS * width, dtype)
        delta, weights = aligned_zeros(ROWS * width, dtype), np.ones(ROWS)
        losses, scratch = aligned_zeros(ROWS, np.float64), aligned_zeros((3 * width + 64) * PANEL, dtype)
        arrays = (delta, z, y, weights, losses, scratch, np.zeros(1))
        function, found = losses_of.function_for(dtype), EXACT_PAIRS["categorical_crossentropy"].address(dtype)
        arguments = (found, *map(address, arrays), ROWS, units, TURNS)
        timed(benchmark, name, by, "elements", TURNS * ROWS * units, function, *arguments)
        return
    rows = -(-MANY // units)
    labels = np.arange(rows) % units
    Z, Y = numbers(rows * units, dtype).reshape(rows, units), np.eye(units, dtype=dtype)[labels]
    if by == "NumPy":
        pair, forward = PAIRS["softmax", "categorical_crossentropy"], FORMULAS["softmax"].forward
        timed(benchmark, name, by, "elements", Z.size, lambda: (pair.value(Z, Y), pair.delta(forward(Z), Y)))
        return
    torch = one_threaded_torch()
    logits, wanted, classes = torch.from_numpy(Z), torch.from_numpy(Y), torch.from_numpy(labels)

    def torchs() -> Any:
        logs = torch.log_softmax(logits, 1)
        return torch.nn.functional.nll_loss(logs, classes, reduction="none"), logs.exp_().sub_(wanted)

    timed(benchmark, name, by, "elements", Z.size, torchs)


@both
def test_shuffle(benchmark: Any, by: str) -> None:
    order, name = np.arange(MANY), "shuffle (NumPy: Generator.permutation)"
    if by == "NumPy":
        timed(benchmark, name, by, "elements", order.size, np.random.default_rng(0).permutation, order)
        return
    function = random.permute.function_for(order.dtype)
    timed(benchmark, name, by, "elements", order.size, function, address(order), order.size, 0, 3, 0, 0)
