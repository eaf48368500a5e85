"""What the tests of data share."""

from __future__ import annotations

import pytest

from fastmlp._data import arrays


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test twice: with arrays that may be copied as a whole, and as if the same arrays were too large for it."""
    if request.param == "large":
        monkeypatch.setattr(arrays, "STAGE_BYTES", 16 * 40)  # about two batches of 16 rows
        monkeypatch.setattr(arrays, "SCAN_BYTES", 5 * 12)
    return str(request.param)
