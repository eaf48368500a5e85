"""Compilation of all kernels before they are needed."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastmlp import kernels
from fastmlp._display.progress import CountLine
from fastmlp.kernels.host import threads
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.operations.activations import ActivationKernels
from fastmlp.kernels.operations.optimizers import UPDATES, UpdateKernels
from fastmlp.kernels.processor import tuning


def warmup(verbose: bool | int | str = "auto") -> int:
    """Compile every kernel in both dtypes, or load it from the cache. Return the number of compiled versions.

    Parameters
    ----------
    verbose : {"auto", True, False}
        Whether to show a line of progress; "auto" shows it in a terminal and in a notebook.
    """
    versions = kernel_versions()
    with contextlib.closing(CountLine(verbose, "compiling kernels", len(versions))) as progress:
        for done, (kernel, dtype) in enumerate(versions, 1):
            kernel.address(dtype)
            progress.update(done)
    return len(versions)


def kernel_versions() -> list[tuple[Kernel, np.dtype[Any]]]:
    """Return every kernel that training and inference use on this system, with each dtype that it has a version for."""
    packages = pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}.")
    modules = [importlib.import_module(each.name) for each in packages]
    all_kernels = {id(kernel): kernel for module in modules for kernel in kernels_among(vars(module).values())}
    usable = [kernel for kernel in all_kernels.values() if not kernel.parallel or threads.layer() != "none"]
    woven = {id(update.product_update) for update in UPDATES.values()}
    return [
        (kernel, dtype)
        for kernel in usable
        for dtype in kernel.dtypes
        if id(kernel) not in woven or tuning(dtype.name).weaves_updates
    ]


def kernels_among(values: Iterable[Any]) -> Iterator[Kernel]:
    """Yield every kernel among the values, also inside dictionaries and records of kernels."""
    for value in values:
        if isinstance(value, Kernel):
            yield value
        elif isinstance(value, dict):
            yield from kernels_among(value.values())
        elif isinstance(value, (ActivationKernels, UpdateKernels)):
            yield from kernels_among(vars(value).values())
