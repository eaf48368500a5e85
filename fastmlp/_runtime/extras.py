"""Optional libraries: only some functions need them, and these import them when they are called."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needed_by(function: str, install: str) -> Iterator[None]:
    """Name the command that installs a library if an import inside the `with` block fails.

    Parameters
    ----------
    function : str
        The function that needs the library, for the message.
    install : str
        What pip has to install, such as "fastmlp[onnx]".

    Raises
    ------
    ImportError
        If a library is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{function} needs {error.name or "a library"}: pip install "{install}"') from error
