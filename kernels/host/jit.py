"""How kernels are declared and compiled.

A kernel is a Python function under `@kernel()`, whose annotations give its signature. Nothing is compiled at import.
The first request for a kernel's address in a dtype compiles it, or loads it from the cache (`kernels.host.code_cache`).
Kernels call each other by address, so each is compiled once for all networks, and for both the serial and the parallel
driver.

Other functions of kernels are under `@inline`, or under `@scalar` if loops over them must become vector code.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import config
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler

from fastmlp.kernels.host import machine_code, threads
from fastmlp.kernels.host.annotations import depends_on_dtype, numba_type
from fastmlp.kernels.host.code_cache import KernelCache
from fastmlp.kernels.host.collection import paused_collection
from fastmlp.kernels.host.forks import compilation_lock
from fastmlp.kernels.host.interrupts import HeldSignals
from fastmlp.kernels.host.linking import Function, KernelCompiler

F = TypeVar("F", bound=Callable[..., Any])

# No fastmath: `contract` and `arcp` round differently from machine to machine, and `nnan` would hide a NaN.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True}


def inline(function: F) -> F:
    """Compile a function that kernels call and LLVM may inline. It has no address of its own."""
    return cast(F, Function(function, **OPTIONS))


def scalar(function: F) -> F:
    """Compile a function of numbers that is always inlined, so that a loop over it becomes vector code.

    LLVM by itself does not inline long functions: erf in float64 then takes 19 ns an element in place of 2. Longer
    functions, such as parts of a phase, are under `inline`: always inlined, they take twice as long to compile.
    """
    return cast(F, Function(function, forceinline=True, **OPTIONS))


def users_scalar(function: Callable[..., Any], boundscheck: bool = False) -> Any:
    """Compile a user's function, which may contain anything that Numba compiles, and is always inlined too.

    With `boundscheck`, an index beyond an array ends the function with an error.
    """
    return numba.njit(function, forceinline=True, boundscheck=boundscheck, **OPTIONS)


def parameter_count(function: Any) -> int:
    """Return how many parameters a function under `@scalar` has."""
    return len(inspect.signature(function.py_func).parameters)


class Kernel:
    """A function that is called by its address, and compiled when the address is first requested."""

    def __init__(
        self, function: Callable[..., Any], name: str = "", parallel: bool = False, cached: bool = True
    ) -> None:
        self.function = function
        self.cached = cached
        self.name = f"{function.__module__}.{name or function.__qualname__}"
        self.parallel = parallel
        self._source = _digest_of_source(function)
        self._addresses: dict[np.dtype[Any], int] = {}
        self._functions: dict[np.dtype[Any], Callable[..., Any]] = {}
        self._keep: list[Any] = []

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtypes that the kernel has versions for: both, or int64 for a kernel without reals, which serves any."""
        if any(depends_on_dtype(kind) for kind in self.function.__annotations__.values()):
            return np.dtype(np.float32), np.dtype(np.float64)
        return (np.dtype(np.int64),)

    def address(self, dtype: np.dtype[Any]) -> int:
        """Return the address of the version for a dtype."""
        known = self._addresses.get(dtype)
        if known is not None:
            return known
        # Signals wait. An exception of a handler would be lost where LLVM calls back into Python, and would leave
        # Numba, which imports its modules as it needs them, half imported: then no compilation works any more. The
        # longest compilation takes 3 s. The lock is released before the handlers are called, since a handler may wait
        # for a network whose owner waits to compile.
        with HeldSignals(), compilation_lock, paused_collection():
            if dtype not in self._addresses:
                self._addresses[dtype] = self._load(dtype)
        return self._addresses[dtype]

    def function_for(self, dtype: np.dtype[Any]) -> Callable[..., Any]:
        """Return the version for a dtype as a Python function. Addresses are ints in it. It runs without the GIL."""
        known = self._functions.get(dtype)
        if known is None:
            kinds: dict[str, Any] = {"int": ctypes.c_int64, "float": ctypes.c_double, "None": None}
            annotations = dict(self.function.__annotations__)
            result = kinds[annotations.pop("return")]
            arguments = [kinds.get(kind, ctypes.c_void_p) for kind in annotations.values()]
            known = ctypes.CFUNCTYPE(result, *arguments)(self.address(dtype))
            self._functions[dtype] = known
        return known

    def signature(self, dtype: np.dtype[Any]) -> Any:
        """Return the Numba signature that the annotations give for a dtype."""
        kinds = dict(self.function.__annotations__)
        result = numba_type(kinds.pop("return"), dtype)
        return result(*(numba_type(kind, dtype) for kind in kinds.values()))

    def _load(self, dtype: np.dtype[Any]) -> int:
        """Load the version for a dtype from the cache, or compile it. Return its address."""
        if config.DISABLE_JIT:
            raise RuntimeError("fastmlp is compiled code and cannot run with NUMBA_DISABLE_JIT set; unset it")
        if not self.cached:
            return int(self._compile(dtype, Compiler).address)
        if self.parallel:
            threads.layer()  # the code refers to functions of the threading layer
        cache = self._cache(dtype)
        code = cache.load()
        if code is None:
            compiled = self._compile(dtype, KernelCompiler)
            code = compiled._library.machine_code(compiled.native_name, cache.symbol)
            cache.save(code)
        return machine_code.load(code, cache.symbol)

    def _cache(self, dtype: np.dtype[Any]) -> KernelCache:
        return KernelCache(f"{self.name} {dtype} {self._source}")

    def _compile(self, dtype: np.dtype[Any], compiler: type[Compiler]) -> Any:
        signature = self.signature(dtype)
        options = {**OPTIONS, "nopython": True, "parallel": self.parallel}
        compiled = CFunc(self.function, (signature.args, signature.return_type), {}, options, compiler)
        compiled.compile()
        self._keep.append(compiled)  # code that Numba has loaded exists as long as this object does
        return compiled


_KERNELS = str(Path(__file__).parent.parent) + os.sep


def _digest_of_source(function: Callable[..., Any]) -> str:
    """Return a hash of the file of a function, or "" for files of this package, which the name of the cache covers."""
    file = function.__code__.co_filename
    if file.startswith(_KERNELS):
        return ""
    try:
        text = Path(file).read_bytes()
    except OSError:  # an interactive definition has no file, so its bytecode is hashed
        text = repr((function.__code__.co_code, function.__code__.co_consts, function.__code__.co_names)).encode()
    return hashlib.sha256(text).hexdigest()


def kernel(name: str = "", parallel: bool = False, cached: bool = True) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel: a function of pointers and numbers that is called by its address.

    Parameters
    ----------
    name : str
        The name of the kernel, unique in its module. By default the name of the function.
    parallel : bool
        Whether `prange` loops run on Numba's threads.
    cached : bool
        Whether the machine code is kept on disk. It is not if the kernel contains functions whose source the cache does
        not know.
    """
    return lambda function: Kernel(function, name, parallel, cached)
