"""Find out whether a command that is interrupted by Ctrl-C has already written its files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


class NothingWritten(KeyboardInterrupt):
    """Raised when a command is interrupted before it has written any file."""


@contextlib.contextmanager
def watch_files(*paths: str) -> Iterator[None]:
    """Raise `NothingWritten` in place of KeyboardInterrupt if the files at `paths` have not changed by then.

    The files are written atomically. A file that was replaced therefore has another inode or modification time.
    """
    before = _identities(paths)
    try:
        yield
    except KeyboardInterrupt:
        if _identities(paths) == before:
            raise NothingWritten from None
        raise


def _identities(paths: tuple[str, ...]) -> list[tuple[int, int] | None]:
    """Return inode and modification time of each file, None for a file that does not exist."""
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_mtime_ns))
    return found
