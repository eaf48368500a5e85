"""Compilation of all kernels before they are needed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any

from fastmlp import kernels
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.operations.activations import ActivationKernels
from fastmlp.kernels.operations.optimizers import UpdateKernels


def warmup() -> int:
    """Compile every kernel in both dtypes, or load it from the cache. Return the number of compiled versions."""
    packages = pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}.")
    modules = [importlib.import_module(each.name) for each in packages]
    all_kernels = {id(kernel): kernel for module in modules for kernel in kernels_among(vars(module).values())}
    count = 0
    for kernel in all_kernels.values():
        if kernel.parallel and threads.layer() == "none":
            continue
        for dtype in kernel.dtypes:
            kernel.address(dtype)
            count += 1
    return count


def kernels_among(values: Iterable[Any]) -> Iterator[Kernel]:
    """Yield every kernel among the values, also inside dictionaries and records of kernels."""
    for value in values:
        if isinstance(value, Kernel):
            yield value
        elif isinstance(value, dict):
            yield from kernels_among(value.values())
        elif isinstance(value, (ActivationKernels, UpdateKernels)):
            yield from kernels_among(vars(value).values())
