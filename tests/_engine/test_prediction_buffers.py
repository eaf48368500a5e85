"""The buffers of a prediction take 128 MB at most, unless 16 rows need more."""

from __future__ import annotations

import pytest

from fastmlp._engine.inference import _rows_that_fit

MB = 1 << 20


@pytest.mark.parametrize(("row_bytes", "rows"), [(8, 16 * MB), (MB, 128), (3 * MB, 32), (128 * MB, 16), (MB * MB, 16)])
def test_rows_fit_in_multiples_of_16(row_bytes: int, rows: int) -> None:
    assert _rows_that_fit(row_bytes) == rows
