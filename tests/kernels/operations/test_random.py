"""The compiled random numbers have the same bits as those of the reference."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, Array, assert_same_bits, kernel_of, run
from numba.core.ccallback import CFunc

from fastmlp import Dense, Network, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from fastmlp.initializers import INITIALIZERS, Initializer
from fastmlp.kernels.host.annotations import Floats, Ints, Reals
from fastmlp.kernels.host.jit import OPTIONS, Kernel
from fastmlp.kernels.operations import random as compiled
from fastmlp.kernels.operations.dropout import drop_panel, keep_threshold
from fastmlp.kernels.operations.orthogonal import draw_orthogonal, workspace_size
from fastmlp.kernels.operations.random import normal_quantile
from fastmlp.kernels.vocabulary.pointers import real_like
from fastmlp.reference import Network as Reference
from fastmlp.reference import random

SEEDS = (0, 1, 42, 2**31, 2**62 + 12345, 2**63 - 2, 2**63 - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_orders_are_those_of_the_reference(seed: int) -> None:
    for rows in (1, 2, 3, 17, 1000):
        for purpose, epoch, part in ((random.SHUFFLE, 0, 0), (random.SHUFFLE, 7, 3), (random.SPLIT, 0, 0)):
            order = np.arange(100, 100 + rows)
            expected = random.permutation(random.key(seed, purpose, epoch, part), order)
            run(compiled.permute, "int64", order, rows, seed, purpose, epoch, part)
            np.testing.assert_array_equal(order, expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("drawn", "initializer"),
    [
        (compiled.draw_uniform, RandomUniform(-0.25, 0.37)),
        (compiled.draw_normal, RandomNormal(0.1, 0.37)),
        (compiled.draw_truncated_normal, TruncatedNormal(0.1, 0.37)),
    ],
)
def test_draws_are_those_of_the_reference(drawn: Kernel, initializer: Initializer, seed: int) -> None:
    for count in (1, 2, 17, 20_000):
        for layer in (0, 3):
            out = np.full(count + 1, -123.0)
            numbers = initializer.location_and_scale(5, 6)
            run(drawn, "float64", out, count, *numbers, seed, random.BIASES, layer)
            key = random.key(seed, random.BIASES, 0, layer)
            assert_same_bits(out[:-1], random.initial(initializer, key, (count,), 5, 6))
            assert out[-1] == -123.0


def test_an_orthogonal_matrix_stays_within_its_memory() -> None:
    for rows, columns in ((1, 1), (65, 65), (130, 64), (70, 3)):
        out, work = np.full(rows * columns + 1, -123.0), np.full(workspace_size(rows, columns) + 1, -123.0)
        run(draw_orthogonal, "float64", out, work, rows, columns, columns, 1, 1.0, 42, 3)
        key = random.key(42, random.WEIGHTS, 0, 3)
        expected = random.initial(Orthogonal(), key, (rows, columns), rows, columns)
        assert_same_bits(out[:-1].reshape(rows, columns), expected)
        assert (out[-1], work[-1]) == (-123.0, -123.0)


def quantiles(out: Floats, p: Floats, count: int) -> None:
    for i in range(count):
        out[i] = normal_quantile(p[i])


def test_quantiles_are_those_of_the_reference_far_into_the_tails() -> None:
    tails = 2.0 ** -np.linspace(1.0, 53.99, 5000)
    p = np.concatenate([tails, 1 - tails[tails > 2.0**-53], np.random.default_rng(0).uniform(0.05, 0.95, 5000)])
    out = np.empty_like(p)
    run(kernel_of(quantiles), "float64", out, p, len(p))
    assert_same_bits(out, random.normal_quantile(p))
    assert out.min() < -8.0  # the samples reach the far tails


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_network_begins_with_the_weights_of_the_reference(name: str, dtype: str) -> None:
    bias = name if name != "orthogonal" else "truncated_normal"
    layers: list[int | Dense] = [
        7,
        Dense(33, weight_init=name, bias_init=bias),
        Dense(16, weight_init=name, use_bias=False),
        Dense(1, weight_init=name, bias_init=bias),
    ]
    for seed in SEEDS:
        pairs = zip(weights_of(Network, layers, dtype, seed), weights_of(Reference, layers, dtype, seed), strict=True)
        for (W, b), (V, c) in pairs:
            assert_same_bits(W, V)
            assert (b is None) == (c is None)
            if b is not None and c is not None:
                assert_same_bits(b, c)


def dropped(a: Reals, mask: Reals, g: Reals, rows: int, units: int, stream: int, element: int, share: float) -> None:
    drop_panel(a, mask, g, rows, units, stream, element, keep_threshold(share), real_like(1.0 / (1.0 - share), a))


@pytest.mark.parametrize("dtype", DTYPES)
def test_masks_are_those_of_the_reference_whatever_the_share(dtype: str) -> None:
    """The rates are random numbers that are drawn, their neighbours, and numbers finer than 2**-53."""
    rows, units, kernel = 37, 40, kernel_of(dropped)
    for seed in SEEDS:
        key = random.key(seed, random.DROPOUT, 3, 1)
        u = random.uniform(key, (rows, units))
        at_hits = [float(x) for hit in (u.min(), u[5, 17], u.max()) for x in np.nextafter(hit, (0.0, hit, 1.0))]
        for share in (*at_hits, 0.2, 0.5, 1e-3, 2.0**-53, 3 * 2.0**-55, 1e-300, 1.0 - 2.0**-53):
            expected = random.dropout_mask(key, (rows, units), share).astype(dtype)
            for first in (0, 16):
                a, mask = np.full((2, rows + 1, 16), -123.0, dtype)
                g = np.random.default_rng(0).normal(size=(rows, 16)).astype(dtype)
                run(kernel, dtype, a, mask, g, rows, units, key, first, share)
                assert_same_bits(mask[:-1], expected[:, first : first + 16])
                assert_same_bits(a[:-1], g * mask[:-1])
                assert (a[-1] == -123.0).all()
                assert (mask[-1] == -123.0).all()


def hash_once(out: Ints, seed: int, counter: int) -> None:
    out[0] = compiled.bits(compiled.key(seed, 1, counter, 2), 3)


@pytest.mark.parametrize(("function", "steps", "kind"), [(hash_once, 10, "i64"), (dropped, 2, "<16 x i64>")])
def test_a_hash_promises_nobody_that_it_does_not_overflow(function: Any, steps: int, kind: str) -> None:
    """The result of a product that is marked nsw and wraps around is undefined, and may differ between processors."""
    kernel = kernel_of(function)
    signature = kernel.signature(kernel.dtypes[0])
    compiled_here: Any = CFunc(kernel.function, (signature.args, signature.return_type), {}, dict(OPTIONS))
    compiled_here.compile()
    found = [line for line in re.findall(r"= (?:mul|add) .*", compiled_here.inspect_llvm()) if f" {kind} " in line]
    assert sum(step.startswith("= mul") for step in found) >= steps
    assert not [step for step in found if "nsw" in step or "nuw" in step]


def weights_of(
    kind: type[Network] | type[Reference], layers: list[int | Dense], dtype: str, seed: int
) -> list[tuple[Array, Array | None]]:
    return kind(layers, dtype=dtype, seed=seed).get_weights()


def test_reinitialising_draws_the_weights_of_the_new_seed() -> None:
    network, reference = Network([5, 17, 2], seed=1), Reference([5, 17, 2], seed=1)
    for new in (network, reference):
        new.reinitialize(2**63 - 1)
    for (W, _), (V, _) in zip(network.get_weights(), reference.get_weights(), strict=True):
        assert_same_bits(W, V)
