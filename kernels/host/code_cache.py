"""The cache of compiled kernels on disk.

The cache is a private folder with one file a kernel. Its name is a hash of everything that changes the code: the
sources of all kernels, the versions of Numba, llvmlite, NumPy and Python, the processor, and Numba's flags. If the
folder cannot be written or read, the kernels are compiled in each process, after one warning.

Code that is loaded is executed. So it comes only from a regular file that belongs to the user and that no other user
may write, in such a folder. The folders above may belong to others: they could replace the folder, but not put such a
file into it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.machinery
import os
import re
import stat
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core import config

from fastmlp.kernels import processor

DAYS_UNUSED = 30.0  # after which the folder of another version is removed
DAYS_UNFINISHED = 1.0  # after which a temporary file is removed; writing one takes milliseconds
MAX_BYTES = 1 << 26  # of a file that is loaded; a kernel takes 10 to 200 kB
# Numba's settings that change the code.
FLAGS = (
    "BOUNDSCHECK",
    "DEBUG_ARRAY_OPT_RUNTIME",
    "DEBUG_NRT",
    "DEBUGINFO_DEFAULT",
    "ENABLE_AVX",
    "EXTEND_VARIABLE_LIFETIMES",
    "LLVM_REFPRUNE_FLAGS",
    "LLVM_REFPRUNE_PASS",
    "LOOP_VECTORIZE",
    "OPT",
    "PARFOR_MAX_TUPLE_SIZE",
    "SLP_VECTORIZE",
    "USING_SVML",
)
_FOLDER = re.compile(r"kernels-[0-9a-f]{32}")
# Do not follow links, wait for the other end of a pipe, or translate line ends. Not every system has all flags.
_OPEN_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))

_BEGINNING = b"fastmlp kernel\n"  # of what follows the digest; LLVM crashes where it finds no object file

_warned = False


def _source_files() -> list[tuple[str, os.DirEntry[str]]]:
    """Return the files of the kernels, by their path within the package."""
    found: list[tuple[str, os.DirEntry[str]]] = []
    folders = [("", str(Path(__file__).parent.parent))]
    while folders:
        name, folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    found.append((name + entry.name, entry))
                elif entry.is_dir():
                    folders.append((f"{name}{entry.name}/", entry.path))
    return sorted(found, key=lambda file: file[0])


def _digest_of_sources() -> str:
    """Return a hash of the names and contents of the kernels' files, or "" if they cannot be read."""
    digest = hashlib.sha256()
    try:
        files = _source_files()
        for name, entry in files:
            with open(entry.path, "rb", 0) as file:
                text = file.read()
            digest.update(f"{name} {len(text)}\n".encode() + text)
    except OSError:
        return ""
    return digest.hexdigest() if files else ""


def _times_of_sources() -> list[tuple[Any, ...]]:
    """Return what changes when a file of the kernels is written or replaced. It takes half as long as reading."""
    with contextlib.suppress(OSError):
        states = [(name, os.stat(entry.path)) for name, entry in _source_files()]
        return [(name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in states]
    return []


# Computed when the kernels are imported: these sources are compiled, even if others are installed over them meanwhile.
_TIMES, _SOURCES = _times_of_sources(), _digest_of_sources()


@functools.lru_cache(maxsize=1)
def _unchanged(modules: int) -> bool:
    """Check that the sources are those of the folder's name, again whenever the number of modules has grown.

    A module that is imported after its file has changed must not get the code of the file before.
    """
    return _times_of_sources() == _TIMES or _digest_of_sources() == _SOURCES


def _may_be_saved() -> bool:
    """Check that code which was compiled now is what the folder's name says: the same sources, bytecode and flags."""
    with contextlib.suppress(OSError):
        return _digest_of_sources() == _SOURCES and _runs_its_sources() and directory().name == _folder_name()
    return False


@functools.cache
def _runs_its_sources() -> bool:
    """Check that Python runs no outdated bytecode of a kernel, which it recognizes by a file's time and size alone."""
    for name in [name for name in sys.modules if name.startswith("fastmlp.kernels.")]:
        loader = sys.modules[name].__loader__
        if isinstance(loader, importlib.machinery.SourceFileLoader):
            current = loader.source_to_code(loader.get_data(loader.path), loader.path)
            if loader.get_code(name) != current:
                return False
    return True


class KernelCache:
    """The machine code of one kernel in one file: a digest, then the code.

    Numba's own cache has an index beside the code, and two processes can make them disagree. Here a file is complete or
    absent, since it is renamed into place. If it does not match its digest, the kernel is compiled.

    Parameters
    ----------
    key : str
        What tells the kernel from all others of the same sources.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._name = hashlib.sha256(key.encode()).hexdigest()[:32]

    @property
    def symbol(self) -> str:
        """The name of the kernel in its machine code, which no other kernel has."""
        return f"fastmlp_{self._name}"

    def load(self) -> bytes | None:
        """Return the machine code, or None if it is not in the cache."""
        folder = _usable_folder()
        if folder is None or not _unchanged(len(sys.modules)):
            return None
        stored = _read(folder / self._file_name())
        digest, code = stored[:32], stored[32:]
        if self._digest(code) != digest:
            return None
        if not code.startswith(_BEGINNING):
            _warn_once("contains a file that cannot be loaded")
            return None
        return code.removeprefix(_BEGINNING)

    def save(self, machine_code: bytes) -> None:
        """Save the machine code to the cache, if it can be written."""
        folder = _usable_folder()
        if folder is None or not _may_be_saved():
            return
        code = _BEGINNING + machine_code
        try:
            handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self._digest(code) + code)
                os.replace(temporary, folder / self._file_name())
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError as error:
            _warn_once(f"cannot be written ({error.strerror})")

    def _digest(self, code: bytes) -> bytes:
        """Return a digest of the code and the kernel's key, so that a renamed file is not mistaken for this kernel."""
        return hashlib.sha256(f"{directory().name} {self._key}\n".encode() + code).digest()

    def _file_name(self) -> str:
        return f"{self._name}.kernel"


@functools.cache
def directory() -> Path:
    """Return the absolute path of the folder for these sources on this machine. It need not exist."""
    return _root() / _folder_name()


def _root() -> Path:
    """Return the folder that contains those of all versions. A relative path is taken from the working folder."""
    chosen = os.environ.get("FASTMLP_CACHE_DIR")
    if chosen:
        with contextlib.suppress(OSError):  # if the working folder was removed, the warning shows the relative path
            return Path(os.path.abspath(os.path.expanduser(chosen)))
        return Path(chosen)
    xdg_folder = os.environ.get("XDG_CACHE_HOME", "")
    if sys.platform not in ("win32", "darwin") and os.path.isabs(xdg_folder):
        return Path(xdg_folder) / "fastmlp"
    home = _home()
    if sys.platform == "win32" and (home or "LOCALAPPDATA" in os.environ):
        return Path(os.environ.get("LOCALAPPDATA") or str(home)) / "fastmlp" / "cache"
    if home is None:
        return _temporary() / f"fastmlp-{os.geteuid() if hasattr(os, 'geteuid') else 'cache'}"
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "fastmlp"


def _home() -> Path | None:
    """Return the user's folder, or None if it is unknown or HOME is no absolute path."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    empty = os.environ.get("HOME") == "" and sys.platform != "win32"  # for Python it is the root folder
    return home if home.is_absolute() and not empty else None


def _temporary() -> Path:
    """Return the system's folder for temporary files."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:  # no such folder can be written; the warning needs a name
        return Path(os.sep, "tmp")


def _folder_name() -> str:
    """Return the name of the folder: a hash of everything that changes the code."""
    parts = (
        _SOURCES,
        numba.__version__,
        llvmlite.__version__,
        binding.llvm_version_info,
        np.__version__,
        sys.version,
        processor.target(),
        [(name, getattr(config, name, None)) for name in FLAGS],
    )
    return f"kernels-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


def _usable_folder() -> Path | None:
    """Create the folder and check that it is private. Return None, after a warning, if it cannot be used."""
    if not _SOURCES:
        return None  # imported from an archive: the sources cannot be hashed
    folder = directory()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        ours = _is_ours(folder.stat())
    except OSError as error:
        _warn_once(f"cannot be used ({error.strerror})")
        return None
    if not ours:
        _warn_once("belongs to another user or can be written by one")
        return None
    _tidy(folder)
    return folder


def _is_ours(status: os.stat_result) -> bool:
    """Check that a file or folder belongs to the user, and that no other user may write it."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(path: Path) -> bytes:
    """Return the contents of a file of the cache. Return nothing, after a warning, if it must not be loaded."""
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, _OPEN_FLAGS)) as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and _is_ours(status) and status.st_size <= MAX_BYTES:
                return file.read(MAX_BYTES)
        _warn_once(f"contains a file that is not a kernel of this user ({path.name})")
    except FileNotFoundError:
        pass
    except OSError as error:
        _warn_once(f"cannot be read ({error.strerror})")
    return b""


@functools.cache
def _tidy(folder: Path) -> None:
    """Mark the folder as used. Remove temporary files of killed processes, and folders of unused versions."""
    with contextlib.suppress(OSError):  # the file system may be read-only
        os.utime(folder)
        for file in folder.glob("*.part"):
            if time.time() - file.stat().st_mtime > DAYS_UNFINISHED * 86400:
                file.unlink()
        _remove_old_folders(folder)


def _remove_old_folders(current: Path) -> None:
    """Delete the kernels of other versions that were not used for a month, and no other file."""
    for other in current.parent.iterdir():
        if other == current or not _FOLDER.fullmatch(other.name) or other.is_symlink() or not other.is_dir():
            continue
        if time.time() - other.stat().st_mtime < DAYS_UNUSED * 86400:
            continue
        with contextlib.suppress(OSError):
            for file in [*other.glob("*.kernel"), *other.glob("*.part")]:
                file.unlink()
            other.rmdir()


def _warn_once(what: str) -> None:
    """Warn of the first problem in this process, once, even if warnings are errors."""
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"fastmlp's cache of compiled code, {directory()}, {what}. Kernels that it lacks are compiled in each process; "
        "set FASTMLP_CACHE_DIR to a private folder that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )
