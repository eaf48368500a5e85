"""Atomic writing: a file is there whole, or as it was before."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], parts: Iterable[bytes | memoryview]) -> None:
    """Write `parts` one after the other into a temporary file beside `path`, then rename it to `path`.

    Whatever happens before the rename, an interrupt included, leaves an older file as it was and removes the temporary
    one; only a process that is killed while it writes leaves a hidden file `.fastmlp-*.tmp`, which may be deleted. A
    symbolic link stays one: the file that it points to is replaced.

    Parameters
    ----------
    path : path-like
        Where the file goes; its folder must exist.
    parts : iterable of bytes or memoryview
        The content.

    Raises
    ------
    OSError
        If the folder is missing, something cannot be written, or `path` is a folder, a device or a pipe; its
        `filename` is `path`.
    """
    require_regular(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".fastmlp-{secrets.token_hex(8)}.tmp")
    file: io.BufferedWriter | None = None
    try:
        # An interrupt finds the name known, and an object that closes itself if it comes before the assignment; the
        # end of a `with` would be a gap. Rights are 0o666 less the umask; tempfile's would be the owner's alone.
        file = open(temporary, "xb")  # noqa: SIM115
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(temporary, target)
    except BaseException as error:
        if file is not None:
            with contextlib.suppress(OSError):  # on a full disk the rest in the buffer fails once more
                file.close()
        if not isinstance(error, FileExistsError):  # a file that was there before belongs to somebody else
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError) and error.errno is not None:
            # The caller knows nothing of the temporary name, and a full disk names no file at all.
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise
    _sync_folder(target.parent)


def require_regular(path: str | os.PathLike[str]) -> None:
    """Refuse a device or a pipe: a rename would put a file in its place, which root may do even to /dev/null.

    Raises
    ------
    OSError
        If it is one.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "is a device or a pipe and would be replaced; give a file", os.fspath(path))


def require_writable(path: str | os.PathLike[str], what: str) -> None:
    """Fail before the work and not after it; `what` says in errors whose path it is.

    Raises
    ------
    OSError
        If the folder where `path` goes is missing or cannot be written to, or if it is a folder, a device or a pipe.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no such folder for {what}", str(folder))
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, f"{what} cannot be written to this folder", str(folder))
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, f"{what} is a folder; give a file in it", os.fspath(path))
    require_regular(path)


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
