"""Atomic writing: after a failure or a kill, a file is either the complete new one or the unchanged old one."""

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
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

ABANDONED = 600.0  # seconds without a write after which the writer of a temporary file may be dead

_TEMPORARY = re.compile(r"\.fastmlp-[0-9a-f]{16}\.tmp")


def write_atomically(path: str | os.PathLike[str], parts: Iterable[bytes | memoryview]) -> None:
    """Write `parts` one after the other to a temporary file beside `path`, then rename it to `path`.

    An error or an interrupt before the rename leaves an older file unchanged and removes the temporary file. Only a
    process that is killed while it writes leaves a hidden file `.fastmlp-*.tmp`. That file may be deleted; the next
    write into the folder, ten minutes later or more, deletes it. If `path` is a symbolic link, the file that it points
    to is replaced.

    Parameters
    ----------
    path : path-like
        Where the file goes; its folder must exist.
    parts : iterable of bytes or memoryview
        The content.

    Raises
    ------
    OSError
        If the folder is missing, a write fails, or `path` is a folder, a device, a pipe or a symbolic link to itself.
        The error's `filename` is `path`.
    """
    require_regular(path)
    target = Path(os.fsdecode(os.path.realpath(os.fspath(path))))
    _remove_abandoned(target.parent, int(time.monotonic() / ABANDONED))
    temporary = target.with_name(f".fastmlp-{secrets.token_hex(8)}.tmp")
    file: io.BufferedWriter | None = None
    try:
        # An interrupt before the assignment finds the name known, and the object closes itself. A `with` would have a
        # gap at its end. The permissions are 0o666 less the umask; a file of `tempfile` is readable by its owner only.
        file = open(temporary, "xb")  # noqa: SIM115
        _lock(file.fileno())
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # fresh between its close, which ends the lock, and the rename
            os.utime(temporary)
        file.close()
        os.replace(temporary, target)
    except BaseException as error:
        if file is not None:
            with contextlib.suppress(OSError):  # on a full disk, writing the rest of the buffer fails again
                file.close()
        if not isinstance(error, FileExistsError):  # a file of that name belongs to another process
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError) and error.errno is not None:
            # The caller does not know the temporary name, and the error of a full disk has no file name.
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise
    _sync_folder(target.parent)


def _lock(descriptor: int) -> None:
    """Lock the file, to show that a process writes to it; the system releases the lock when the process ends."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some file systems have no locks; abandoned files stay there
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@functools.lru_cache(maxsize=100)
def _remove_abandoned(folder: Path, span: int) -> None:
    """Remove temporary files of killed processes: files that are not locked and have not been written to for a while.

    Otherwise a program that saves often and is killed often would fill the disk, and then no save would succeed. The
    cache limits this to once per folder and `span`, because listing a large remote folder takes longer than a save.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with contextlib.suppress(OSError):  # another process removes it too, or it belongs to another user
                    _remove_if_abandoned(entry)


def _remove_if_abandoned(entry: os.DirEntry[str]) -> None:
    if not entry.is_file(follow_symlinks=False) or _is_fresh(entry.stat(follow_symlinks=False)):
        return
    if fcntl is None:
        os.unlink(entry)
        return
    descriptor = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # fails while the writer is alive
        if not _is_fresh(os.fstat(descriptor)):  # the writer may just have closed the file, and be about to rename it
            os.unlink(entry)
    finally:
        os.close(descriptor)


def _is_fresh(status: os.stat_result) -> bool:
    return time.time() - status.st_mtime < ABANDONED


def require_regular(path: str | os.PathLike[str]) -> None:
    """Refuse a device or a pipe: the rename would replace it by a file, and root may do that even to /dev/null.

    Raises
    ------
    OSError
        If `path` is a device, a pipe or a symbolic link to itself.
    """
    # A single os.stat: functions such as os.path.isfile take every OSError for "no", even the TimeoutError that a
    # signal handler raises.
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "is a device or a pipe and would be replaced; give a file", os.fspath(path))


def require_writable(path: str | os.PathLike[str], what: str) -> None:
    """Check that a file can be written, before the work whose result goes there.

    Parameters
    ----------
    path : path-like
        The file.
    what : str
        What the file is, for error messages.

    Raises
    ------
    OSError
        If the folder of `path` is missing or not writable, or `path` is a folder, a device or a pipe.
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
    """Write the rename itself to the disk.

    Some file systems refuse this, and Windows has no such call. By then the rename cannot be undone, and the file is
    complete with either content. So a refusal is not a failure, as in SQLite.
    """
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
