"""With FASTMLP_TEST_COLD=1 all compiled code comes from, and goes into, a folder of this session alone."""

from __future__ import annotations

import os
import shutil
import tempfile

_COLD = tempfile.mkdtemp(prefix="fastmlp-tests-") if os.environ.get("FASTMLP_TEST_COLD") == "1" else ""
if _COLD:
    os.environ["FASTMLP_CACHE_DIR"] = _COLD  # before any test imports the kernels, and for its subprocesses


def pytest_unconfigure() -> None:
    if _COLD:
        shutil.rmtree(_COLD, ignore_errors=True)
