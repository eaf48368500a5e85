"""The kind and the limits of the machine, and the versions of all libraries; nothing identifies the machine."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

# Names of packages; those that are not installed are left out.
PACKAGES = (
    "numpy", "numba", "llvmlite", "torch", "jax", "jaxlib", "scikit-learn", "scipy", "onnxruntime", "onnx",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions of Python, of the packages that are measured and of those that they depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def world() -> str:
    """Return the kind of instructions that everything is measured with: "avx512", "avx2", "neon" or "other"."""
    from fastmlp.kernels.processor import kind

    found = kind()
    return "avx2" if found == "avx" else found


def description() -> dict[str, Any]:
    """Return the processor, the limit of its instructions, its peaks as measured now, and the versions."""
    from llvmlite import binding

    from bench.isa import limit
    from bench.peak import bytes_per_second, flops_per_second
    from fastmlp.kernels.host import threads

    count = threads.available()
    return {
        "cpu": binding.get_host_cpu_name(),
        "isa": limit(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": count,
        "layer": threads.layer(),
        "peak_float32": flops_per_second("float32"),
        "peak_float64": flops_per_second("float64"),
        "peak_float32_all": flops_per_second("float32", count),
        "peak_float64_all": flops_per_second("float64", count),
        "bandwidth": bytes_per_second(),
        "bandwidth_all": bytes_per_second(count),
        "versions": versions(),
    }
