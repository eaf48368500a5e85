"""Libraries that only some functions need, imported when those are called."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needed_by(function: str, install: str) -> Iterator[None]:
    """Around the imports of a function: where one fails, say what to install.

    Raises
    ------
    ImportError
        If a library is not there.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{function} needs {error.name or "a library"}: pip install "{install}"') from error
