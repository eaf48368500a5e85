"""Copies into, out of and within panels move the right numbers and touch no others."""

from __future__ import annotations

import numpy as np
import pytest
from cases import BATCHES, DTYPES, TOLERANCE, WIDTHS, kernel_of, relative_error, rounded, run

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro import panels

CANARY = -987.25


def transpose(out: Reals, block: Reals) -> None:
    panels.transpose(out, block)


def transpose_few_columns(out: Reals, block: Reals) -> None:
    panels.transpose_few_columns(out, block)


def transpose_few_rows(out: Reals, block: Reals) -> None:
    panels.transpose_few_rows(out, block)


def sum_of_rows(out: Reals, panel: Reals, rows: int) -> None:
    panels.sum_of_rows(out, panel, rows)


def row_to_panels(into: Reals, row: Reals, columns: int, stride: int) -> None:
    panels.row_to_panels(into, row, columns, stride)


def panels_to_row(row: Reals, out_of: Reals, columns: int, stride: int) -> None:
    panels.panels_to_row(row, out_of, columns, stride)


TRANSPOSE, SUM_OF_ROWS = kernel_of(transpose), kernel_of(sum_of_rows)
TRANSPOSE_FEW_COLUMNS, TRANSPOSE_FEW_ROWS = kernel_of(transpose_few_columns), kernel_of(transpose_few_rows)
ROW_TO_PANELS, PANELS_TO_ROW = kernel_of(row_to_panels), kernel_of(panels_to_row)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_is_transposed(dtype: str) -> None:
    block = np.arange(BLOCK, dtype=dtype).reshape(PANEL, PANEL)
    out = np.full((PANEL + 2, PANEL), CANARY, dtype)
    run(TRANSPOSE, dtype, out[1:], block)
    np.testing.assert_array_equal(out[1:-1], np.arange(BLOCK).reshape(PANEL, PANEL).T)
    assert (out[[0, -1]] == CANARY).all()
    run(TRANSPOSE, dtype, block, block)  # in place, as the losses do
    np.testing.assert_array_equal(block, out[1:-1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_columns_of_a_block_are_transposed_and_back(dtype: str) -> None:
    block = np.arange(BLOCK, dtype=dtype).reshape(PANEL, PANEL)
    out = np.full((panels.FEW + 2, PANEL), CANARY, dtype)
    run(TRANSPOSE_FEW_COLUMNS, dtype, out[1:], block)
    np.testing.assert_array_equal(out[1:-1], block[:, : panels.FEW].T)
    assert (out[[0, -1]] == CANARY).all()
    back = np.full((PANEL + 2, PANEL), CANARY, dtype)
    run(TRANSPOSE_FEW_ROWS, dtype, back[1:], out[1:])
    np.testing.assert_array_equal(back[1:-1], np.where(np.arange(PANEL) < panels.FEW, block, 0))
    assert (back[[0, -1]] == CANARY).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [0, 2, *BATCHES, 300])
def test_rows_are_added_up(rows: int, dtype: str) -> None:
    panel, panel64 = rounded(np.random.default_rng(rows).normal(size=(rows, PANEL)), dtype)
    guarded = np.concatenate([panel, np.full((4, PANEL), np.nan, dtype)])
    out = np.full((3, PANEL), CANARY, dtype)
    run(SUM_OF_ROWS, dtype, out[1:], guarded, rows)
    assert relative_error(out[1], panel64.sum(axis=0)) <= TOLERANCE[dtype]
    assert (out[[0, 2]] == CANARY).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [*WIDTHS, 32, 40, 64])
def test_a_row_goes_into_its_panels_and_back(columns: int, dtype: str) -> None:
    count = -(-columns // PANEL)
    row = np.random.default_rng(columns).normal(size=columns).astype(dtype)
    guarded = np.concatenate([row, np.full(PANEL, np.nan, dtype)])
    stored = np.full((count + 1, 3, PANEL), CANARY, dtype)
    run(ROW_TO_PANELS, dtype, stored[:, 1], guarded, columns, 3 * PANEL)
    expected = np.zeros(count * PANEL)
    expected[:columns] = row
    np.testing.assert_array_equal(stored[:count, 1].ravel(), expected)
    assert (stored[:, [0, 2]] == CANARY).all()
    assert (stored[count] == CANARY).all()

    stored[count - 1, 1, (columns - 1) % PANEL + 1 :] = np.nan  # padding, which must not be copied
    back = np.full(columns + 2, CANARY, dtype)
    run(PANELS_TO_ROW, dtype, back[1:], stored[:, 1], columns, 3 * PANEL)
    np.testing.assert_array_equal(back[1:-1], row)
    assert (back[[0, -1]] == CANARY).all()
