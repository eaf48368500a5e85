"""The products of panels and of blocks equal NumPy's on odd sizes, and write nothing but their results."""

from __future__ import annotations

import numpy as np
import pytest
from cases import BATCHES, DTYPES, TOLERANCE, WIDTHS, Array, kernel_of, relative_error, rounded, run, to_panels

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.micro.product import narrow_panel_product, panel_product
from fastmlp.kernels.operations.optimizers import UPDATES
from fastmlp.kernels.phases import blocks

CANARY = -987.25
EXTRA = 3  # rows behind the last that a product may write


def panel(
    out: Reals,
    a: Reals,
    w: Reals,
    k: int,
    start: Reals,
    shared: int,
    below: Reals,
    stride: int,
    limit: Reals,
    rows: int,
    columns: int,
) -> None:
    start_stride = 0 if shared else PANEL
    if columns == PANEL:
        panel_product(out, a, w, k, start, start_stride, below, stride, limit[0], rows)
    else:
        narrow_panel_product(out, a, w, k, start, start_stride, below, stride, limit[0], rows)


PANEL_KERNEL = kernel_of(panel)
PRODUCTS = {"wide": PANEL, "narrow": PANEL // 2}
"""The columns that a product computes."""


def product(
    name: str, A: Array, W: Array, start: Array, below: Array | None = None, threshold: float = -np.inf
) -> tuple[Array, Array]:
    """Return the result (rows, 16), and the whole buffer with canaries before, behind and beside it.

    `start` is a bias, or a row for each row of A.
    """
    rows, k = A.shape
    capacity = -(-rows // PANEL) * PANEL + PANEL
    a = to_panels(A, capacity, padding=np.nan)
    w = np.full((k + 1, PANEL), np.nan, A.dtype)
    w[:k] = W
    buffer = np.full((capacity + 2, PANEL), CANARY, A.dtype)
    limit = np.array([threshold], A.dtype)
    beneath = None if below is None else to_panels(below, capacity)
    first = start if start.ndim == 1 else to_panels(start, capacity)
    operands = (buffer[2:], a, w, k, first, start.ndim == 1, beneath, capacity * PANEL, limit, rows, PRODUCTS[name])
    run(PANEL_KERNEL, A.dtype.name, *operands)
    return buffer[2 : 2 + rows], buffer


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("rows", BATCHES)
def test_a_panel_is_the_product_and_the_bias(name: str, rows: int, dtype: str) -> None:
    columns = PRODUCTS[name]
    rng = np.random.default_rng(rows)
    for k in (*WIDTHS, 300):
        (A, A64), (W, W64), (b, b64) = (
            rounded(rng.normal(size=shape), dtype) for shape in ((rows, k), (k, PANEL), (PANEL,))
        )
        out, buffer = product(name, A, W, b)
        expected = A64 @ W64 + b64
        assert relative_error(out[:, :columns], expected[:, :columns]) <= TOLERANCE[dtype]
        relu, _ = product(name, A, W, b, threshold=0.0)
        np.testing.assert_array_equal(relu[:, :columns], np.maximum(out[:, :columns], 0))
        assert (buffer[:2] == CANARY).all()
        assert (buffer[2 + rows + EXTRA :] == CANARY).all()
        assert (out[:, columns:] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("rows", BATCHES)
def test_below_a_threshold_nothing_comes_back(name: str, rows: int, dtype: str) -> None:
    columns = PRODUCTS[name]
    rng = np.random.default_rng(rows)
    (A, A64), (W, W64) = rounded(rng.normal(size=(rows, 17)), dtype), rounded(rng.normal(size=(17, PANEL)), dtype)
    below = np.maximum(rng.normal(size=(rows, PANEL)), 0).astype(dtype)
    out, _ = product(name, A, W, np.zeros(PANEL, dtype), below, 0.0)
    expected = (A64 @ W64) * (below > 0)
    assert relative_error(out[:, :columns], expected[:, :columns]) <= TOLERANCE[dtype]
    assert (out[:, columns:] == 0).all()
    everything, _ = product(name, A, W, np.zeros(PANEL, dtype), below, -np.inf)
    assert relative_error(everything[:, :columns], (A64 @ W64)[:, :columns]) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threshold", [0.0, -np.inf])
@pytest.mark.parametrize("name", PRODUCTS)
def test_nan_goes_through_forwards_and_backwards(name: str, threshold: float, dtype: str) -> None:
    columns = PRODUCTS[name]
    A, W, b = np.ones((5, 9), dtype), np.ones((9, PANEL), dtype), np.zeros(PANEL, dtype)
    A[3, 4] = np.nan
    out, _ = product(name, A, W, b, threshold=threshold)
    np.testing.assert_array_equal(np.isnan(out[:, :columns]), (np.arange(5) == 3)[:, None] & np.ones(columns, bool))
    below = np.ones((5, PANEL), dtype)
    out, _ = product(name, A, W, b, below, threshold)
    assert np.isnan(out[3, :columns]).all()
    below[2, 1] = np.nan
    out, _ = product(name, np.ones((5, 9), dtype), W, b, below, threshold)
    assert (out[:, :columns] == 9).all()  # NaN is not below the threshold


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_shape_of_a_tile_changes_no_bit(dtype: str) -> None:
    rng = np.random.default_rng(0)
    A, W, b = (rng.normal(size=shape).astype(dtype) for shape in ((33, 40), (40, PANEL), (PANEL,)))
    whole, _ = product("wide", A, W, b)
    narrow_half, _ = product("narrow", A, W, b)
    np.testing.assert_array_equal(narrow_half[:, :8], whole[:, :8])
    for row in range(33):
        alone, _ = product("wide", A[row : row + 1], W, b)
        np.testing.assert_array_equal(alone[0], whole[row])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_inputs_a_part_at_a_time_give_the_same_bits(name: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    A, W, b = (rng.normal(size=shape).astype(dtype) for shape in ((33, 40), (40, PANEL), (PANEL,)))
    whole, _ = product(name, A, W, b, threshold=0.0)
    first, _ = product(name, A[:, :32], W[:32], b)
    both, _ = product(name, A[:, 32:], W[32:], first, threshold=0.0)
    np.testing.assert_array_equal(both, whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [0, *BATCHES, 300])
def test_a_block_is_the_product_over_all_rows(rows: int, dtype: str) -> None:
    (A, A64), (delta, delta64), _ = operands_of_block(rows, dtype)
    buffer = np.full((PANEL + 2, PANEL), CANARY, dtype)
    other = np.full((PANEL, PANEL), CANARY, dtype)
    kernel = UPDATES["sgd"].product_update
    run(kernel, dtype, buffer[1:], A, delta, rows, other, other, 0, other, np.zeros(4, dtype), 0)
    assert relative_error(buffer[1:-1], A64[:rows].T @ delta64[:rows]) <= TOLERANCE[dtype]
    assert (buffer[[0, -1]] == CANARY).all()
    assert (other == CANARY).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("units", [1, 8, 9, 16, 40])
@pytest.mark.parametrize("inputs", [1, 4, 5, 8, 9, 16, 40])
@pytest.mark.parametrize("rows", [0, 1, 33])
def test_of_a_block_what_is_used_is_computed_to_the_same_bits(rows: int, inputs: int, units: int, dtype: str) -> None:
    (A, A64), (delta, delta64), (start, start64) = operands_of_block(rows, dtype)
    found = {}
    for used in ((PANEL, PANEL), (inputs, units)):
        buffer = np.full((PANEL + 2, PANEL), CANARY, dtype)
        run(blocks.product, dtype, buffer[1:], start, A, delta, rows, *used)
        assert (buffer[[0, -1]] == CANARY).all()
        found[used] = buffer[1:-1][:inputs, :units]
    expected = (start64 + A64[:rows].T @ delta64[:rows])[:inputs, :units]
    assert relative_error(found[inputs, units], expected) <= TOLERANCE[dtype]
    np.testing.assert_array_equal(found[inputs, units], found[PANEL, PANEL][:inputs, :units])


def operands_of_block(rows: int, dtype: str) -> list[tuple[Array, Array]]:
    """Return A and delta of so many rows, followed by NaN, and a start value; each in `dtype` and in float64."""
    rng = np.random.default_rng(rows)
    A, delta = (np.concatenate([rng.normal(size=(rows, PANEL)), np.full((2, PANEL), np.nan)]) for _ in range(2))
    return [rounded(values, dtype) for values in (A, delta, rng.normal(size=(PANEL, PANEL)))]
