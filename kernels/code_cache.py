"""Where compiled kernels are kept between processes.

A private folder whose name is a hash of everything that changes the code: the sources of all kernels, the versions of
Numba, llvmlite, NumPy and Python, the processor and Numba's flags; in it one file a kernel. It is never needed: where
it cannot be written or read, one warning says so and the kernels compile anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import re
import stat
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import binding
from numba.core import config, serialize
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.runtime import rtsys

DAYS_UNUSED = 30.0  # after which the folder of another version is removed
_FOLDER = re.compile(r"kernels-[0-9a-f]{32}")


def _digest_of_sources() -> str:
    """A hash of the kernels' files; empty where there are none to read."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(sources).hexdigest() if sources else ""


# Taken when the kernels are imported, for that is what will be compiled, whatever is installed over them meanwhile.
_SOURCES = _digest_of_sources()


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
        if folder is None:
            return None
        try:
            stored = (folder / self._file_name()).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn_once(f"cannot be read ({error.strerror})")
            return None
        digest, code = stored[:32], stored[32:]
        if hashlib.sha256(code).digest() != digest:
            return None
        try:
            return CompileResultCacheImpl.rebuild(None, target_context, pickle.loads(code))
        except Exception as error:  # whatever is wrong with it, compiling anew mends it
            _warn_once(f"holds what cannot be loaded ({type(error).__name__})")
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Put the compiled kernel into the cache, if it can be written."""
        folder = _usable_folder()
        if folder is None or _digest_of_sources() != _SOURCES:
            return
        code = serialize.dumps(CompileResultCacheImpl.reduce(None, data))
        try:
            handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(code).digest() + code)
                os.replace(temporary, folder / self._file_name())
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            _warn_once(f"cannot be written ({error.strerror})")

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
    """The folder for machine code of these sources on this machine; it need not exist."""
    return _root() / f"kernels-{_fingerprint()}"


def _root() -> Path:
    chosen = os.environ.get("FASTMLP_CACHE_DIR")
    if chosen:
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"fastmlp-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "fastmlp" / "cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "fastmlp"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "fastmlp"


def _fingerprint() -> str:
    said = (
        _SOURCES,
        numba.__version__,
        binding.llvm_version_info,
        np.__version__,
        sys.version,
        platform.machine(),
        config.CPU_NAME or binding.get_host_cpu_name(),
        config.CPU_FEATURES or binding.get_host_cpu_features().flatten(),
        (config.BOUNDSCHECK, config.OPT, config.DEBUGINFO_DEFAULT, config.ENABLE_AVX, config.LOOP_VECTORIZE),
    )
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


@functools.cache
def _usable_folder() -> Path | None:
    """The cache folder, made and checked to be ours alone; None, after a warning, where it cannot be used."""
    if not _SOURCES:
        return None  # imported from an archive: what the code was compiled from cannot be told
    folder = directory()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        if not (_is_ours(folder) and _is_ours(folder.parent)):
            _warn_once("belongs to, or can be written by, somebody else")
            return None
    except OSError as error:
        _warn_once(f"cannot be used ({error.strerror})")
        return None
    with contextlib.suppress(OSError):  # a file system that is only read serves as well
        os.utime(folder)
        _remove_old_folders(folder)
    return folder


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can put code there; what is loaded from it is executed."""
    if not hasattr(os, "getuid"):
        return True
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _remove_old_folders(current: Path) -> None:
    """Delete the kernels of other versions that nobody has used for a month, and nothing that is not ours."""
    for other in current.parent.iterdir():
        if other == current or not _FOLDER.fullmatch(other.name) or not other.is_dir():
            continue
        if time.time() - other.stat().st_mtime < DAYS_UNUSED * 86400:
            continue
        with contextlib.suppress(OSError):
            for file in [*other.glob("*.kernel"), *other.glob("*.part")]:
                file.unlink()
            other.rmdir()


@functools.cache
def _warn_once(what: str) -> None:
    warnings.warn(
        f"fastmlp's cache of compiled code, {directory()}, {what}. Kernels are compiled anew in every process; "
        "set FASTMLP_CACHE_DIR to a private folder that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )
