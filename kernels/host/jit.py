"""How the kernels are compiled, and where the result is kept.

Nothing compiles at import. A kernel is a plain Python function under `@kernel()`; its annotations say what it takes,
and asking for its address in a dtype compiles it, or loads it from the cache. Kernels reach each other by address, so
each is compiled once for all networks and for both the serial and the parallel driver.

`fastmlp.kernels.host.code_cache` keeps the machine code.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import config
from numba.core.ccallback import CFunc

from fastmlp.kernels.host.annotations import depends_on_dtype, numba_type
from fastmlp.kernels.host.code_cache import KernelCache
from fastmlp.kernels.host.forks import compilation
from fastmlp.kernels.host.interrupts import HeldSignals

F = TypeVar("F", bound=Callable[..., Any])

# No fastmath: `contract` and `arcp` round differently from machine to machine, `nnan` would hide a NaN.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True}


def inline(function: F) -> F:
    """A compiled function that other kernels call and LLVM may inline; it has no address of its own."""
    compiled: F = numba.njit(function, **OPTIONS)
    return compiled


def scalar(function: F) -> F:
    """A compiled function of numbers that is inlined wherever it stands, so that a loop over it becomes vector code.

    Left to decide, LLVM calls what is long: erf in float64 then takes 19 ns an element, not 2. Regions are better
    off under `inline`: forced, they take twice as long to compile.
    """
    compiled: F = numba.njit(function, forceinline=True, **OPTIONS)
    return compiled


def arguments_of(function: Any) -> int:
    """How many arguments a function under `@scalar` takes."""
    return len(inspect.signature(function).parameters)


class Kernel:
    """A compiled function that is called by its address; compiled when the address is first asked for."""

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
        """The dtypes it has versions for: both, or one that stands for any where it takes no real numbers."""
        if any(depends_on_dtype(kind) for kind in self.function.__annotations__.values()):
            return np.dtype(np.float32), np.dtype(np.float64)
        return (np.dtype(np.int64),)

    def address(self, dtype: np.dtype[Any]) -> int:
        """The address of the version for that dtype."""
        known = self._addresses.get(dtype)
        if known is not None:
            return known
        # What a handler raises would be lost where LLVM calls back into Python, and leave Numba, which loads itself as
        # it goes, half loaded: then no compilation works any more. The longest takes 3 s. The lock is released before
        # handlers are called: one may wait for a network, whose user may wait to compile.
        with HeldSignals(), compilation:
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
        kinds = dict(self.function.__annotations__)
        result = numba_type(kinds.pop("return"), dtype)
        return result(*(numba_type(kind, dtype) for kind in kinds.values()))

    def _compile(self, dtype: np.dtype[Any]) -> int:
        if config.DISABLE_JIT:
            raise RuntimeError("fastmlp is compiled code and cannot run with NUMBA_DISABLE_JIT set; unset it")
        signature = self.signature(dtype)
        options = {**OPTIONS, "nopython": True, "parallel": self.parallel}
        compiled: Any = CFunc(self.function, (signature.args, signature.return_type), {}, options)
        if self.cached:
            compiled._cache = KernelCache(f"{self.name} {signature} {self._source}")
        compiled.compile()
        self._keep.append(compiled)  # the code lives as long as this object does
        return int(compiled.address)


def _digest_of_source(function: Callable[..., Any]) -> str:
    """A hash of the file of a function from outside of this package, whose files the cache's own hash covers."""
    file = Path(inspect.getfile(function))
    if file.is_relative_to(Path(__file__).parent.parent):
        return ""
    try:
        text = file.read_bytes()
    except OSError:  # typed in by hand: what it was compiled to says what it does
        text = repr((function.__code__.co_code, function.__code__.co_consts, function.__code__.co_names)).encode()
    return hashlib.sha256(text).hexdigest()


def kernel(name: str = "", parallel: bool = False, cached: bool = True) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel: a function of pointers and numbers, called by address.

    Parameters
    ----------
    name : str
        What tells it from others of its module, where the function's own name does not.
    parallel : bool
        Whether its `prange` loops run on Numba's threads.
    cached : bool
        Whether its machine code is kept on disk: not where it comes from functions whose text the cache cannot know.
    """
    return lambda function: Kernel(function, name, parallel, cached)
