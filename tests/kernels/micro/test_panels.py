"""What moves numbers into, out of and within panels moves those numbers and touches no others."""

from __future__ import annotations

import numpy as np
import pytest
from cases import BATCHES, DTYPES, TOLERANCE, WIDTHS, kernel_of, relative_error, rounded, run

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro import panels

CANARY = -987.25


def turn(out: Reals, block: Reals) -> None:
    panels.transpose(out, block)


def turn_few_columns(out: Reals, block: Reals) -> None:
    panels.transpose_few_columns(out, block)


def turn_few_rows(out: Reals, block: Reals) -> None:
    panels.transpose_few_rows(out, block)


def add_up(out: Reals, panel: Reals, rows: int) -> None:
    panels.sum_of_rows(out, panel, rows)


def put(into: Reals, row: Reals, columns: int, stride: int) -> None:
    panels.row_to_panels(into, row, columns, stride)


def take(row: Reals, out_of: Reals, columns: int, stride: int) -> None:
    panels.panels_to_row(row, out_of, columns, stride)


TURN, ADD_UP, PUT, TAKE = (kernel_of(function) for function in (turn, add_up, put, take))
TURN_FEW_COLUMNS, TURN_FEW_ROWS = (kernel_of(function) for function in (turn_few_columns, turn_few_rows))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_is_transposed(dtype: str) -> None:
    block = np.arange(BLOCK, dtype=dtype).reshape(PANEL, PANEL)
    out = np.full((PANEL + 2, PANEL), CANARY, dtype)
    run(TURN, dtype, out[1:], block)
    np.testing.assert_array_equal(out[1:-1], np.arange(BLOCK).reshape(PANEL, PANEL).T)
    assert (out[[0, -1]] == CANARY).all()
    run(TURN, dtype, block, block)  # in place, as the losses do it
    np.testing.assert_array_equal(block, out[1:-1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_columns_of_a_block_are_transposed_and_back(dtype: str) -> None:
    block = np.arange(BLOCK, dtype=dtype).reshape(PANEL, PANEL)
    out = np.full((panels.FEW + 2, PANEL), CANARY, dtype)
    run(TURN_FEW_COLUMNS, dtype, out[1:], block)
    np.testing.assert_array_equal(out[1:-1], block[:, : panels.FEW].T)
    assert (out[[0, -1]] == CANARY).all()
    back = np.full((PANEL + 2, PANEL), CANARY, dtype)
    run(TURN_FEW_ROWS, dtype, back[1:], out[1:])
    np.testing.assert_array_equal(back[1:-1], np.where(np.arange(PANEL) < panels.FEW, block, 0))
    assert (back[[0, -1]] == CANARY).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [0, 2, *BATCHES, 300])
def test_rows_are_added_up(rows: int, dtype: str) -> None:
    panel, panel64 = rounded(np.random.default_rng(rows).normal(size=(rows, PANEL)), dtype)
    guarded = np.concatenate([panel, np.full((4, PANEL), np.nan, dtype)])
    out = np.full((3, PANEL), CANARY, dtype)
    run(ADD_UP, dtype, out[1:], guarded, rows)
    assert relative_error(out[1], panel64.sum(axis=0)) <= TOLERANCE[dtype]
    assert (out[[0, 2]] == CANARY).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [*WIDTHS, 32, 40, 64])
def test_a_row_goes_into_its_panels_and_back(columns: int, dtype: str) -> None:
    count = -(-columns // PANEL)
    row = np.random.default_rng(columns).normal(size=columns).astype(dtype)
    guarded = np.concatenate([row, np.full(PANEL, np.nan, dtype)])
    stored = np.full((count + 1, 3, PANEL), CANARY, dtype)
    run(PUT, dtype, stored[:, 1], guarded, columns, 3 * PANEL)
    expected = np.zeros(count * PANEL)
    expected[:columns] = row
    np.testing.assert_array_equal(stored[:count, 1].ravel(), expected)
    assert (stored[:, [0, 2]] == CANARY).all()
    assert (stored[count] == CANARY).all()

    stored[count - 1, 1, (columns - 1) % PANEL + 1 :] = np.nan  # padding, which is not to come back
    back = np.full(columns + 2, CANARY, dtype)
    run(TAKE, dtype, back[1:], stored[:, 1], columns, 3 * PANEL)
    np.testing.assert_array_equal(back[1:-1], row)
    assert (back[[0, -1]] == CANARY).all()
