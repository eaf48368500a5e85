"""Sizes in messages about memory have two digits behind the point below 10 GB, and one above."""

from __future__ import annotations

import pytest

from fastmlp._runtime.memory import gigabytes


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0.00 GB"),
        (5_250_000_000, "5.25 GB"),
        (9_990_000_000, "9.99 GB"),
        (10_000_000_000, "10.0 GB"),
        (1_234_500_000_000, "1,234.5 GB"),
    ],
)
def test_a_size_is_shown_in_gigabytes(size: int, text: str) -> None:
    assert gigabytes(size) == text
