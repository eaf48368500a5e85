"""Atomic writing: a file is there whole, or as it was before."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], parts: Iterable[bytes | memoryview]) -> None:
    """Write `parts` one after the other into a temporary file beside `path`, then rename it to `path`.

    Whatever happens before the rename, an interrupt included, leaves an older file as it was and removes the temporary
    one. A symbolic link stays one: the file that it points to is replaced.

    Parameters
    ----------
    path : path-like
        Where the file goes; its folder must exist.
    parts : iterable of bytes or memoryview
        The content.

    Raises
    ------
    OSError
        If the folder is missing, something cannot be written, or `path` is a folder.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".fastmlp-{secrets.token_hex(8)}.tmp")
    # 0o666 less the umask, as open() gives; tempfile would leave a model that only its owner can read.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the rename itself to the disk.

    Some file systems refuse this and Windows has no such call. The rename cannot be undone by then, and the file is
    whole under either content, so, as in SQLite, a refusal is no failure.
    """
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
