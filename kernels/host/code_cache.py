"""Where compiled kernels are kept between processes.

A private folder whose name is a hash of everything that changes the code: the sources of all kernels, the versions of
Numba, llvmlite, NumPy and Python, the processor and Numba's flags; in it one file a kernel. It is never needed: where
it cannot be written or read, one warning says so and the kernels compile anew.

What is loaded is executed, so it comes only from a regular file that is ours and that nobody else may write, in such a
folder; folders further up may be anybody's, since whoever puts another folder in place cannot put such a file into it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.machinery
import os
import pickle
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
from numba.core import config, serialize
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.runtime import rtsys

from fastmlp.kernels import processor

DAYS_UNUSED = 30.0  # after which the folder of another version is removed
DAYS_UNFINISHED = 1.0  # after which a file that nobody renamed into place is removed; writing takes milliseconds
MOST_BYTES = 1 << 26  # of one file; a kernel takes 10 to 200 kB
# What a user may set of Numba that changes the code it makes.
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
# What some systems do not have: not following links, not waiting for the other end of a pipe, not changing line ends.
_OPEN_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))

_warned = False


def _digest_of_sources() -> str:
    """A hash of the kernels' files, their names included; empty where they cannot be read."""
    here = Path(__file__).parent.parent
    found = hashlib.sha256()
    try:
        paths = sorted(here.rglob("*.py"))
        for path in paths:
            text = path.read_bytes()
            found.update(f"{path.relative_to(here).as_posix()} {len(text)}\n".encode() + text)
    except OSError:
        return ""
    return found.hexdigest() if paths else ""


# Taken when the kernels are imported, for that is what will be compiled, whatever is installed over them meanwhile.
_SOURCES = _digest_of_sources()


@functools.lru_cache(maxsize=1)
def _unchanged(modules: int) -> bool:
    """Whether the sources are those of the folder's name; asked again whenever the number of modules has grown.

    A module that is imported after its file has changed may not be answered with the code of what stood there before.
    """
    return _digest_of_sources() == _SOURCES


def _may_be_kept() -> bool:
    """Whether what was compiled now is what the folder's name says: the same sources, byte code and flags."""
    with contextlib.suppress(OSError):
        return _digest_of_sources() == _SOURCES and _runs_its_sources() and directory().name == _folder_name()
    return False


@functools.cache
def _runs_its_sources() -> bool:
    """Whether Python has not taken old byte code for a kernel's: it looks at a file's time and size alone."""
    for name in [name for name in sys.modules if name.startswith("fastmlp.kernels.")]:
        loader = sys.modules[name].__loader__
        if isinstance(loader, importlib.machinery.SourceFileLoader):
            written = loader.source_to_code(loader.get_data(loader.path), loader.path)
            if loader.get_code(name) != written:
                return False
    return True


class KernelCache(_Cache):  # type: ignore[misc]
    """Keeps one kernel's machine code in one file: a digest, then the code.

    Numba's own cache keeps an index beside the code, which two processes can make disagree; here a file is complete
    or absent, since it is renamed into place, and one that does not match its digest is compiled anew.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    @property
    def cache_path(self) -> str:
        """The folder of the cache."""
        return str(directory())

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled kernel, or None where it is not in the cache.

        Loading needs Numba's runtime alone, not the definitions of everything that it can compile: 0.3 s a process.
        """
        rtsys.initialize(target_context)
        folder = _usable_folder()
        if folder is None or not _unchanged(len(sys.modules)):
            return None
        stored = _read(folder / self._file_name())
        digest, code = stored[:32], stored[32:]
        if self._digest(code) != digest:
            return None
        try:
            return CompileResultCacheImpl.rebuild(None, target_context, pickle.loads(code))
        except Exception as error:  # whatever is wrong with it, compiling anew mends it
            _warn_once(f"holds what cannot be loaded ({type(error).__name__})")
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Put the compiled kernel into the cache, if it can be written."""
        folder = _usable_folder()
        if folder is None or not _may_be_kept():
            return
        code = serialize.dumps(CompileResultCacheImpl.reduce(None, data))
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
        """Of the code and of what it is the code of, so that a file under another's name is not taken for it."""
        return hashlib.sha256(f"{directory().name} {self._key}\n".encode() + code).digest()

    def _file_name(self) -> str:
        return hashlib.sha256(self._key.encode()).hexdigest()[:32] + ".kernel"

    def enable(self) -> None:
        """Do nothing: the cache is always on."""

    def disable(self) -> None:
        """Do nothing: the cache is always on."""

    def flush(self) -> None:
        """Do nothing: a changed source has a folder of its own."""


@functools.cache
def directory() -> Path:
    """The folder for machine code of these sources on this machine, absolute; it need not exist."""
    return _root() / _folder_name()


def _root() -> Path:
    """Where the folders of all versions are; a place that is not absolute counts from where the process is now."""
    chosen = os.environ.get("FASTMLP_CACHE_DIR")
    if chosen:
        with contextlib.suppress(OSError):  # where the working folder is gone, the warning shows what was asked for
            return Path(os.path.abspath(os.path.expanduser(chosen)))
        return Path(chosen)
    named = os.environ.get("XDG_CACHE_HOME", "")
    if sys.platform not in ("win32", "darwin") and os.path.isabs(named):
        return Path(named) / "fastmlp"
    home = _home()
    if sys.platform == "win32" and (home or "LOCALAPPDATA" in os.environ):
        return Path(os.environ.get("LOCALAPPDATA") or str(home)) / "fastmlp" / "cache"
    if home is None:
        return _temporary() / f"fastmlp-{os.geteuid() if hasattr(os, 'geteuid') else 'cache'}"
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "fastmlp"


def _home() -> Path | None:
    """The user's folder; None where it is unknown, or HOME names none."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    empty = os.environ.get("HOME") == "" and sys.platform != "win32"  # Python takes it for the root of all folders
    return home if home.is_absolute() and not empty else None


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except OSError:  # none can be written; the warning needs a name
        return Path(os.sep, "tmp")


def _folder_name() -> str:
    said = (
        _SOURCES,
        numba.__version__,
        llvmlite.__version__,
        binding.llvm_version_info,
        np.__version__,
        sys.version,
        processor.target(),
        [(name, getattr(config, name, None)) for name in FLAGS],
    )
    return f"kernels-{hashlib.sha256(repr(said).encode()).hexdigest()[:32]}"


def _usable_folder() -> Path | None:
    """The cache folder, made and checked to be ours alone; None, after a warning, where it cannot be used."""
    if not _SOURCES:
        return None  # imported from an archive: what the code was compiled from cannot be told
    folder = directory()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        ours = _is_ours(folder.stat())
    except OSError as error:
        _warn_once(f"cannot be used ({error.strerror})")
        return None
    if not ours:
        _warn_once("belongs to, or can be written by, somebody else")
        return None
    _tidy(folder)
    return folder


def _is_ours(found: os.stat_result) -> bool:
    """Whether nobody else can put code there."""
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(path: Path) -> bytes:
    """What a file of the cache holds; nothing, after a warning, where it is none that may be loaded."""
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, _OPEN_FLAGS)) as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and _is_ours(found) and found.st_size <= MOST_BYTES:
                return file.read(MOST_BYTES)
        _warn_once(f"holds what is not a kernel of ours ({path.name})")
    except FileNotFoundError:
        pass
    except OSError as error:
        _warn_once(f"cannot be read ({error.strerror})")
    return b""


@functools.cache
def _tidy(folder: Path) -> None:
    """Mark the folder as used, and remove what is left of killed processes and of versions that nobody uses."""
    with contextlib.suppress(OSError):  # a file system that is only read serves as well
        os.utime(folder)
        for file in folder.glob("*.part"):
            if time.time() - file.stat().st_mtime > DAYS_UNFINISHED * 86400:
                file.unlink()
        _remove_old_folders(folder)


def _remove_old_folders(current: Path) -> None:
    """Delete the kernels of other versions that nobody has used for a month, and nothing that is not ours."""
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
    """Warn of the first thing that is wrong in this process; it counts as said where warnings are errors."""
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"fastmlp's cache of compiled code, {directory()}, {what}. What it does not give is compiled anew in every "
        "process; set FASTMLP_CACHE_DIR to a private folder that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )
