"""Python's garbage collector, paused where very many objects are made."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused_collection(kept: bool = False) -> Iterator[None]:
    """Pause the collector in the context, if it runs.

    Importing Numba and compiling kernels make so many objects that the collector searches them again and again: that
    takes 6 % of a cold start, and 0.06 s of a warm one.

    Parameters
    ----------
    kept : bool
        Whether what is made is kept, as modules are. The collector then does not search it until it searches
        everything, as if it had survived two collections.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if kept and gc.get_freeze_count() == 0:
            gc.freeze()  # `unfreeze` moves all objects to the oldest generation
            gc.unfreeze()
        gc.enable()
