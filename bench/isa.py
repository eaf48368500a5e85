"""A limit on the instructions of all libraries alike: `pytest bench --isa avx2` on a machine that has AVX-512.

A library chooses its code when it is loaded, by what the processor has. Environment variables make it choose code for
AVX2. `environment` returns them, and bench/conftest.py starts the run with them, so that they hold in the process of
pytest and in all that it starts. `confirm` asks the libraries in a process what they chose. A competitor whose library
reports anything else takes no part.

`python -m bench.isa` prints what each library reports, without the limit and with it.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers import Unavailable

ISAS = ("avx2",)
VARIABLE = "FASTMLP_BENCH_ISA"  # is set in all processes of a limited run
WIDER = ("avx512", "avx10", "amx", "evex")  # the beginnings of LLVM's names for what AVX2 does not have


@dataclass(frozen=True)
class Limit:
    """How a library is limited to AVX2, and how it is asked whether it is.

    Parameters
    ----------
    library : str
        The name of the library.
    users : tuple of str
        The modules of `bench.peers` that use it, "pytorch", or a variant of one, "pytorch compiled".
    variables : callable
        Returns the environment variables.
    report : callable
        Asks the library, in a process that has loaded it, and returns what it says.
    expected : str
        A regular expression for the whole of that if the library is limited.
    """

    library: str
    users: tuple[str, ...]
    variables: Callable[[], Mapping[str, str]]
    report: Callable[[], str]
    expected: str


def limit() -> str:
    """Return the limit of this process, or an empty text."""
    return os.environ.get(VARIABLE, "")


def environment(isa: str) -> dict[str, str]:
    """Return the environment of a process that is limited to `isa`.

    Raises
    ------
    ValueError
        If there is no such limit.
    """
    if isa not in ISAS:
        raise ValueError(f"isa must be one of {', '.join(ISAS)}, got {isa!r}")
    variables = {name: value for each in LIMITS for name, value in each.variables().items()}
    return {**os.environ, **variables, VARIABLE: isa}


@functools.cache  # oneDNN and MKL introduce themselves only once
def confirm(module: str, way: str = "") -> None:
    """Check that the libraries of a competitor keep to the limit of this process, if it has one.

    Raises
    ------
    Unavailable
        If a library reports something else.
    """
    if not limit():
        return
    for each in LIMITS:
        if {module, f"{module} {way}"}.isdisjoint(each.users):
            continue
        said = answer(each)
        if not re.fullmatch(each.expected, said):
            raise Unavailable(f"{each.library} is not limited to {limit()}: it reports {said!r}")


def answer(asked: Limit) -> str:
    """Return the report of a library, or why there is none: it may be absent, or of a version that cannot be asked."""
    try:
        return asked.report()
    except (ImportError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"


# What the libraries report, and their variables -----------------------------------------------------------------------


def host_features() -> dict[str, bool]:
    """Return which features this processor has, by LLVM's names. No variable changes that."""
    from llvmlite import binding

    return dict(binding.get_host_cpu_features())


def host_has_avx512() -> bool:
    return host_features().get("avx512f", False)


def numba_variables() -> dict[str, str]:
    """Return this processor without its wider vectors. With a name alone, Numba would know of no features."""
    from llvmlite import binding

    has = {name: present and not name.startswith(WIDER) for name, present in host_features().items()}
    features = ",".join(("+" if present else "-") + name for name, present in sorted(has.items()))
    return {"NUMBA_CPU_NAME": binding.get_host_cpu_name(), "NUMBA_CPU_FEATURES": features}


def numba_report() -> str:
    """Return the kind of processor that kernels are compiled for, and the registers of a kernel."""
    from fastmlp.kernels import processor
    from fastmlp.kernels.host.annotations import Reals
    from fastmlp.kernels.host.jit import kernel
    from fastmlp.kernels.vocabulary.simd import Emitter, instruction

    @instruction
    def emit_square(emit: Emitter, numbers: Any) -> None:
        panel = emit.load(numbers)
        emit.store(panel * panel, numbers)

    @kernel(cached=False)  # what comes from the cache has no assembly
    def square(numbers: Reals) -> None:
        emit_square(numbers)

    square.address(np.dtype(np.float32))
    found = set(re.findall("[xyz]mm", square._keep[-1]._library.get_asm_str()))
    return f"{processor.kind()}, {max(found, default='no')} registers"


def numpy_variables() -> dict[str, str]:
    """Return the features of this processor that NumPy has code for and must not use. Their names vary by version."""
    known = np._core._multiarray_umath  # type: ignore[attr-defined]
    wider = [name for name in known.__cpu_dispatch__ if name.startswith(("AVX512", "X86_V4"))]
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(name for name in wider if known.__cpu_features__[name])}


def numpy_report() -> str:
    """Return the kinds of code that NumPy has chosen for its functions."""
    signatures = np.lib.introspect.opt_func_info().values()
    chosen = {code["current"].split("(")[0] for each in signatures for code in each.values()}
    return " ".join(sorted(chosen))


def openblas_report() -> str:
    """Return the processor whose kernels each loaded OpenBLAS uses: NumPy and SciPy bring one each."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    cores = [core_of(ctypes.CDLL(path)) for path in sorted({line.split()[-1] for line in lines if "openblas" in line})]
    return " ".join(cores)


def core_of(openblas: ctypes.CDLL) -> str:
    """Return the name of the kernels that an OpenBLAS uses; its functions may have a prefix and a suffix."""
    names = [f"{prefix}openblas_get_corename{suffix}" for prefix in ("", "scipy_") for suffix in ("", "64_")]
    for function in (getattr(openblas, name) for name in names if hasattr(openblas, name)):
        function.restype = ctypes.c_char_p
        return str(function().decode())
    return "nothing"


def aten_report() -> str:
    import torch

    return str(torch.backends.cpu.get_cpu_capability())


def inductor_report() -> str:
    """Return the vectors and the processor of the C++ that `torch.compile` writes."""
    from torch._inductor import config, cpu_vec_isa

    return f"{cpu_vec_isa.pick_vec_isa()}, -march={getattr(config.cpp, 'march', None) or 'native'}"


def onednn_report() -> str:
    """Return the instructions that the oneDNN of PyTorch prints."""
    import torch

    def relu() -> None:
        with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
            torch.ones(16, 16).to_mkldnn().relu()

    return first(r"info,cpu,isa:(.*)", printed(relu))


def mkl_report() -> str:
    """Return the processors that the MKL of PyTorch prints."""
    import torch

    def product() -> None:
        with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON):
            torch.ones(16, 16) @ torch.ones(16, 16)

    return first(r"Intel\(R\) 64 architecture (.*?) processors", printed(product))


def xla_variables() -> dict[str, str]:
    """Return the flags that are set already, with those of the limit.

    YNNPACK, which computes the products, chooses by the processor alone. Where that has AVX-512, the products go to
    oneDNN and Eigen instead, as they did in earlier versions of JAX.
    """
    flags = [os.environ.get("XLA_FLAGS", ""), "--xla_cpu_max_isa=AVX2"]
    if host_has_avx512():
        flags.append("--xla_cpu_experimental_ynn_fusion_type=")
    return {"XLA_FLAGS": " ".join(flags).strip()}


def xla_report() -> str:
    """Return the features that a product and a function are compiled for, and whether YNNPACK computes the product."""
    import jax
    import jax.numpy as jnp

    numbers = jnp.ones((16, 16), jnp.float32)
    compiled = jax.jit(lambda a: jnp.tanh(a @ a)).lower(numbers).compile()
    code = compiled.runtime_executable().serialize().decode("latin-1")
    features = set(re.findall(r"\+([a-z0-9.]+)", code))
    said = " ".join(sorted(name for name in features if name in ("avx", "avx2") or name.startswith(WIDER)))
    return f"{said}, YNNPACK" if "__ynn_fusion" in code and host_has_avx512() else said


def mlas_report() -> str:
    """Return what MLAS, the kernels of ONNX Runtime, uses: all that the processor has. Nothing limits it."""
    return "AVX-512" if host_has_avx512() else "AVX2"


def printed(work: Callable[[], None]) -> str:
    """Return what a library prints to the standard output during some work, which `sys.stdout` does not see."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            work()
            ctypes.CDLL(None).fflush(None)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        return file.read().decode()


def first(pattern: str, text: str) -> str:
    """Return the first group of the first match, or an empty text."""
    found = re.search(pattern, text)
    return found[1] if found else ""


def fixed(**variables: str) -> Callable[[], Mapping[str, str]]:
    return lambda: variables


LIMITS = (
    Limit("Numba", ("ours",), numba_variables, numba_report, "avx, [xy]mm registers"),
    Limit(
        "NumPy", ("textbook", "scikit"), numpy_variables, numpy_report,
        r"(?=.*(AVX2|X86_V3))(baseline|SSE\w*|AVX2?|FMA3|F16C|X86_V[23]|[ _])+",
    ),
    # Zen has the kernels of Haswell, and not every build of OpenBLAS knows its name: those of NumPy and SciPy report
    # Haswell for both.
    Limit(
        "OpenBLAS", ("textbook", "scikit"), fixed(OPENBLAS_CORETYPE="Haswell"), openblas_report, "Haswell( Haswell)*",
    ),
    Limit("ATen", ("pytorch",), fixed(ATEN_CPU_CAPABILITY="avx2"), aten_report, "AVX2"),
    # JAX has a oneDNN of its own, which obeys the same variable and cannot be asked.
    Limit("oneDNN", ("pytorch",), fixed(ONEDNN_MAX_CPU_ISA="AVX2"), onednn_report, "Intel AVX2"),
    # On AMD the variable has no effect and MKL names no instructions; it takes its kernels for Zen, which have AVX2.
    Limit(
        "MKL", ("pytorch",), fixed(MKL_ENABLE_INSTRUCTIONS="AVX2"), mkl_report,
        r"Intel\(R\) Architecture|(?!.*512).*AVX2.*",
    ),
    # ATEN_CPU_CAPABILITY decides the vectors of its code; the compiler would use all of the processor for the rest.
    Limit(
        "Inductor", ("pytorch compiled",), fixed(TORCHINDUCTOR_CPP_MARCH="x86-64-v3"), inductor_report,
        "avx2, -march=x86-64-v3",
    ),
    Limit("XLA", ("xla",), xla_variables, xla_report, "avx avx2"),
    Limit("MLAS", ("onnxrt",), fixed(), mlas_report, "AVX2"),
)  # fmt: skip


# Reports --------------------------------------------------------------------------------------------------------------


def print_reports() -> None:
    """Print what each library reports in this process."""
    if importlib.util.find_spec("scipy"):
        import scipy.linalg.blas  # noqa: F401, loads its OpenBLAS
    for each in LIMITS:
        said = answer(each)
        kept = "AVX2" if re.fullmatch(each.expected, said) else "not"
        print(f"  {each.library:<10}{kept:<6}{said}")


def main() -> int:
    """Print what each library reports without the limit and with it, each in a process of its own."""
    command = [sys.executable, "-c", "from bench.isa import print_reports; print_reports()"]
    for title, variables in (("without a limit", dict(os.environ)), ("limited to AVX2", environment("avx2"))):
        print(title, flush=True)
        subprocess.run(command, env=variables, cwd=Path(__file__).parent.parent, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
