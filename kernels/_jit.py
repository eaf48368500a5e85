"""How the kernels are compiled, and where the result is kept.

Nothing compiles at import. A kernel is a plain Python function under `@kernel()`; its annotations say what it takes,
and asking for its address in a dtype compiles it, or loads it from the cache. Kernels reach each other by address, so
each is compiled once for all networks and for both the serial and the parallel driver.

The cache is a private folder whose name is a hash of everything that changes the code: the sources of all kernels, the
versions of Numba, llvmlite, NumPy and Python, the processor and Numba's flags. It is never needed: where it cannot be
written or read, one warning says so and the kernels compile anew.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import pickle
import platform
import shutil
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numba
import numpy as np
from llvmlite import binding
from numba import types
from numba.core import config, serialize
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.ccallback import CFunc

F = TypeVar("F", bound=Callable[..., Any])

# No fastmath: `contract` and `arcp` round differently from machine to machine, `nnan` would hide a NaN.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True}


class Reals(Protocol):
    """A pointer to float32 or float64 elements, whichever the network computes in."""

    def __getitem__(self, index: int) -> float: ...
    def __setitem__(self, index: int, value: float) -> None: ...


class Floats(Reals, Protocol):
    """A pointer to float64 elements."""


class Ints(Protocol):
    """A pointer to int64 elements."""

    def __getitem__(self, index: int) -> int: ...
    def __setitem__(self, index: int, value: int) -> None: ...


def inline(function: F) -> F:
    """A compiled function that other kernels call and LLVM may inline; it has no address of its own."""
    compiled: F = numba.njit(function, **OPTIONS)
    return compiled


class Kernel:
    """A compiled function that is called by its address; compiled when the address is first asked for."""

    def __init__(self, function: Callable[..., Any], name: str = "", parallel: bool = False) -> None:
        self.function = function
        self.name = f"{function.__module__}.{name or function.__qualname__}"
        self.parallel = parallel
        self._addresses: dict[np.dtype[Any], int] = {}
        self._functions: dict[np.dtype[Any], Callable[..., Any]] = {}
        self._keep: list[Any] = []
        self._lock = threading.Lock()

    def address(self, dtype: np.dtype[Any]) -> int:
        """The address of the version for that dtype."""
        known = self._addresses.get(dtype)
        if known is not None:
            return known
        with self._lock:
            if dtype not in self._addresses:
                self._addresses[dtype] = self._compile(dtype)
        return self._addresses[dtype]

    def function_for(self, dtype: np.dtype[Any]) -> Callable[..., Any]:
        """The version for that dtype as a function for Python: addresses are ints; it runs without the GIL."""
        known = self._functions.get(dtype)
        if known is None:
            kinds: dict[str, Any] = {"int": ctypes.c_int64, "float": ctypes.c_double, "None": None}
            said = dict(self.function.__annotations__)
            result = kinds[said.pop("return")]
            arguments = [kinds.get(kind, ctypes.c_void_p) for kind in said.values()]
            known = ctypes.CFUNCTYPE(result, *arguments)(self.address(dtype))
            self._functions[dtype] = known
        return known

    def signature(self, dtype: np.dtype[Any]) -> Any:
        """The Numba signature that the annotations say, for that dtype."""
        real = types.float32 if dtype == np.float32 else types.float64
        kinds = {
            "Reals": types.CPointer(real),
            "Floats": types.CPointer(types.float64),
            "Ints": types.CPointer(types.int64),
            "int": types.int64,
            "float": types.float64,
            "None": types.void,
        }
        said = dict(self.function.__annotations__)
        result = kinds[said.pop("return")]
        return result(*(kinds[kind] for kind in said.values()))

    def _compile(self, dtype: np.dtype[Any]) -> int:
        signature = self.signature(dtype)
        options = {**OPTIONS, "nopython": True, "parallel": self.parallel}
        compiled: Any = CFunc(self.function, (signature.args, signature.return_type), {}, options)
        compiled._cache = KernelCache(f"{self.name} {signature}")
        compiled.compile()
        self._keep.append(compiled)  # the code lives as long as this object does
        return int(compiled.address)


def kernel(name: str = "", parallel: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel: a function of pointers and numbers, called by address.

    Parameters
    ----------
    name : str
        What tells it from others of its module, where the function's own name does not.
    parallel : bool
        Whether its `prange` loops run on Numba's threads.
    """
    return lambda function: Kernel(function, name, parallel)


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
        return str(cache_directory())

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled kernel, or None where it is not in the cache."""
        target_context.refresh()
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
        if folder is None:
            return
        code = serialize.dumps(CompileResultCacheImpl.reduce(None, data))
        try:
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=".")
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
def cache_directory() -> Path:
    """The folder for machine code of these sources on this machine; it need not exist."""
    return _cache_root() / _fingerprint()


def _cache_root() -> Path:
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
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    said = (
        hashlib.sha256(sources).hexdigest(),
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
    folder = cache_directory()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if hasattr(os, "getuid"):
            found = folder.stat()
            if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                _warn_once("belongs to, or can be written by, somebody else")
                return None
        os.utime(folder)
    except OSError as error:
        _warn_once(f"cannot be used ({error.strerror})")
        return None
    _remove_old_folders(folder)
    return folder


def _remove_old_folders(current: Path, days: float = 30.0) -> None:
    """Delete the folders of other versions that nobody has used for that many days."""
    try:
        for other in current.parent.iterdir():
            unused = other != current and len(other.name) == len(current.name) and other.is_dir()
            if unused and time.time() - other.stat().st_mtime > days * 86400:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        return


@functools.cache
def _warn_once(what: str) -> None:
    warnings.warn(
        f"fastmlp's cache of compiled code, {cache_directory()}, {what}. Kernels are compiled anew in every process; "
        "set FASTMLP_CACHE_DIR to a private folder that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )
