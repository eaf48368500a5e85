"""Atomic writing: a file is there whole, or as it was before."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

ABANDONED = 600.0  # seconds since a temporary file was last written to, after which its writer may be dead

_TEMPORARY = re.compile(r"\.fastmlp-[0-9a-f]{16}\.tmp")


def write_atomically(path: str | os.PathLike[str], parts: Iterable[bytes | memoryview]) -> None:
    """Write `parts` one after the other into a temporary file beside `path`, then rename it to `path`.

    Whatever happens before the rename, an interrupt included, leaves an older file as it was and removes the temporary
    one; only a process that is killed while it writes leaves a hidden file `.fastmlp-*.tmp`. It may be deleted, and is
    by what is written into that folder some ten minutes later. A symbolic link stays one: the file that it points to is
    replaced.

    Parameters
    ----------
    path : path-like
        Where the file goes; its folder must exist.
    parts : iterable of bytes or memoryview
        The content.

    Raises
    ------
    OSError
        If the folder is missing, something cannot be written, or `path` is a folder, a device, a pipe or a symbolic
        link to itself; its `filename` is `path`.
    """
    require_regular(path)
    target = Path(os.fsdecode(os.path.realpath(os.fspath(path))))
    _remove_abandoned(target.parent, int(time.monotonic() / ABANDONED))
    temporary = target.with_name(f".fastmlp-{secrets.token_hex(8)}.tmp")
    file: io.BufferedWriter | None = None
    try:
        # An interrupt finds the name known, and an object that closes itself if it comes before the assignment; the
        # end of a `with` would be a gap. Rights are 0o666 less the umask; tempfile's would be the owner's alone.
        file = open(temporary, "xb")  # noqa: SIM115
        _lock(file.fileno())
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # new while it is closed, and so no longer locked, but not yet renamed
            os.utime(temporary)
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


def _lock(descriptor: int) -> None:
    """Show that somebody writes to the file; the system forgets it with the process."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some file systems have no locks; nothing abandoned is removed there
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@functools.lru_cache(maxsize=100)
def _remove_abandoned(folder: Path, span: int) -> None:
    """Remove what killed processes left: temporary files that nobody has locked or written to for a while.

    Without this, a run that saves often and is killed often would fill the disk, and then no save would succeed. Once
    in a span of time is enough, and to list a large folder, on another machine perhaps, takes longer than a save.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with contextlib.suppress(OSError):  # another process removes it too, or it belongs to somebody else
                    _remove_if_abandoned(entry)


def _remove_if_abandoned(entry: os.DirEntry[str]) -> None:
    if not entry.is_file(follow_symlinks=False) or _is_fresh(entry.stat(follow_symlinks=False)):
        return
    if fcntl is None:
        os.unlink(entry)
        return
    descriptor = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # fails while its writer lives
        if not _is_fresh(os.fstat(descriptor)):  # its writer may have ended well meanwhile, and be about to rename it
            os.unlink(entry)
    finally:
        os.close(descriptor)


def _is_fresh(status: os.stat_result) -> bool:
    return time.time() - status.st_mtime < ABANDONED


def require_regular(path: str | os.PathLike[str]) -> None:
    """Refuse a device or a pipe: a rename would put a file in its place, which root may do even to /dev/null.

    Raises
    ------
    OSError
        If it is one, or a symbolic link to itself.
    """
    # One look: the tests of os.path take every OSError for "no", a TimeoutError of a signal's handler too.
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
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
