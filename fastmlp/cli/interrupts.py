"""Ctrl-C: whether anything was written before it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


class NothingWritten(KeyboardInterrupt):
    """An interrupt before any file was written."""


@contextlib.contextmanager
def told_if_nothing_written(*paths: str) -> Iterator[None]:
    """Turn an interrupt into `NothingWritten` if the files are as they were.

    They are written atomically, so the folder tells.
    """
    before = _files_at(paths)
    try:
        yield
    except KeyboardInterrupt:
        if _files_at(paths) == before:
            raise NothingWritten from None
        raise


def _files_at(paths: tuple[str, ...]) -> list[tuple[int, int] | None]:
    """Which files lie there; one that is replaced gets another number or time."""
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_mtime_ns))
    return found
