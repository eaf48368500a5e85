"""Python's garbage collector, paused where much is made and nothing becomes garbage."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Pause the collector in the context, if it runs.

    Importing Numba and compiling a kernel make so many objects that the collector searches all of memory again and
    again: 6 % of a cold start, and 0.05 s of a warm one.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
