"""After a change in the kernels, in Numba or in the machine, the cache never returns the earlier code."""

from __future__ import annotations

import compileall
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
import pytest
from behaviour import ROOT, Tried, run_python
from llvmlite import binding
from numba.core import config

from fastmlp import Network
from fastmlp._engine.warmup import kernels_among
from fastmlp.kernels import processor
from fastmlp.kernels.host import code_cache
from fastmlp.kernels.host.jit import Kernel

PREDICT = """
import numpy as np
from fastmlp import Network
network = Network([2, 3, 1], seed=0)
print(network.predict([[0.5, -1], [2, 3]]).tobytes().hex())
"""
WHERE = "from fastmlp.kernels.host import code_cache; print(code_cache.directory())"


def predictions() -> str:
    """Return the output of PREDICT."""
    return Network([2, 3, 1], seed=0).predict([[0.5, -1], [2, 3]]).tobytes().hex()


def copied_sources(target: Path) -> Path:
    """Copy the packages, and return the folder of the kernels in the copy."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fastmlp", target / "fastmlp", ignore=ignore)
    if not (target / "fastmlp" / "kernels").is_dir():
        shutil.copytree(ROOT / "kernels", target / "kernels", ignore=ignore)
        return target / "kernels"
    return target / "fastmlp" / "kernels"


def folder_for(sources: Path) -> str:
    """Return the name of the cache's folder for the code of these kernels."""
    spec = importlib.util.spec_from_file_location("fastmlp.kernels.host.code_cache", sources / "host" / "code_cache.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.directory().name)


def test_a_change_in_any_file_of_the_kernels_has_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Tried
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sources = copied_sources(tmp_path)
    first = folder_for(sources)
    assert first == code_cache.directory().name  # the place of the sources does not matter, their text does
    found = {first}
    files = sorted(sources.rglob("*.py"))
    assert {"jit.py", "code_cache.py", "step.py", "blocks.py"} < {file.name for file in files}
    for file in files:
        text = file.read_bytes()
        for changed in (text + b"\n", text + b"# \n", text.replace(b"1", b"2", 1) + b"# " * (b"1" not in text)):
            file.write_bytes(changed)
            found.add(folder_for(sources))
        file.write_bytes(text)
    assert len(found) == 1 + 3 * len(files)
    assert folder_for(sources) == first

    (sources / "one_more.py").write_bytes(b"")
    found.add(folder_for(sources))
    (sources / "one_more.py").rename(sources / "another.py")
    found.add(folder_for(sources))
    (sources / "another.py").unlink()
    (sources / "below").mkdir()
    (sources / "below" / "one.py").write_bytes(b"")
    found.add(folder_for(sources))
    (sources / "below" / "one.py").unlink()
    # Neighbours in the order of the files: what leaves the end of one begins the other.
    one, two = sources / "micro" / "finite.py", sources / "micro" / "functions.py"
    assert files.index(two) == files.index(one) + 1
    text = one.read_bytes()
    one.write_bytes(text[:-20])
    two.write_bytes(text[-20:] + two.read_bytes())
    found.add(folder_for(sources))
    assert len(found) == 5 + 3 * len(files)
    tried("a change in a source of the kernels, in a flag or in a version", len(found) - 1)


# Those that Numba's documentation or its code generator names, and those seen to change what LLVM is given.
FLAGS = {
    *("BOUNDSCHECK", "CPU_FEATURES", "CPU_NAME", "DEBUG_ARRAY_OPT_RUNTIME", "DEBUG_NRT", "DEBUGINFO_DEFAULT"),
    *("ENABLE_AVX", "EXTEND_VARIABLE_LIFETIMES", "LLVM_REFPRUNE_FLAGS", "LLVM_REFPRUNE_PASS", "LOOP_VECTORIZE"),
    *("OPT", "PARFOR_MAX_TUPLE_SIZE", "SLP_VECTORIZE", "USING_SVML"),
}


def test_flags_and_versions_that_change_the_code_have_a_folder_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tried: Tried
) -> None:
    first = code_cache._folder_name()
    assert first == code_cache.directory().name
    found = {first}
    things: list[tuple[Any, str]] = [(config, name) for name in sorted(FLAGS)]
    things += [(module, "__version__") for module in (numba, llvmlite, np)]
    things += [(binding, "llvm_version_info"), (sys, "version")]
    for module, name in things:
        with monkeypatch.context() as patched:
            patched.setattr(module, name, "of another kind", raising=False)
            found.add(code_cache._folder_name())
    for module, name, value in ((processor, "HOST_NAME", "another"), (platform, "machine", lambda: "another")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, value)
            found.add(code_cache._folder_name())
    with monkeypatch.context() as patched:
        patched.setattr(binding.FeatureMap, "flatten", lambda self: "+another")
        found.add(code_cache._folder_name())
    assert len(found) == 1 + len(things) + 3
    assert code_cache._folder_name() == first
    tried("a change in a source of the kernels, in a flag or in a version", len(found) - 1)


@pytest.mark.parametrize(("variable", "value"), [("NUMBA_OPT", "1"), ("NUMBA_CPU_NAME", "generic")])
def test_flags_of_the_environment_arrive(variable: str, value: str) -> None:
    assert run_python(WHERE, **{variable: value})[0].strip() != str(code_cache.directory())


def test_kernels_have_names_of_their_own() -> None:
    """Two kernels with the same name and dtype would share one file of the cache."""
    found: dict[tuple[str, str], Kernel] = {}
    for module in [module for name, module in sys.modules.items() if name.startswith("fastmlp.kernels.")]:
        for known in kernels_among(vars(module).values()):
            for dtype in known.dtypes:
                key = (known.name, str(dtype))
                assert found.setdefault(key, known) is known
    assert len(found) > 100


CHANGED = """
import sys; sys.dont_write_bytecode = {!r}
sys.path.insert(0, {!r})
import numpy as np
from fastmlp.kernels.host import jit
{}
from fastmlp.kernels import small
out = np.zeros(1)
kernel = small.put
kernel.function_for(out.dtype)(out.ctypes.data)
print(out[0])
"""
SMALL = """
from __future__ import annotations
from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import kernel

@kernel()
def put(a: Reals) -> None:
    a[0] = 1.0
"""


def small_sources(target: Path) -> Path:
    """Copy the packages with one more kernel, which compiles fast, and return its file."""
    file = copied_sources(target) / "small.py"
    file.write_text(SMALL)
    return file


def test_a_source_changed_before_it_is_imported_is_not_answered_with_old_code(tmp_path: Path) -> None:
    file = small_sources(tmp_path)
    root = str(tmp_path / "cache")
    plain = CHANGED.format(True, str(tmp_path), "")
    assert run_python(plain, FASTMLP_CACHE_DIR=root)[0].split() == ["1.0"]
    change = f"file = open({str(file)!r}, 'w'); file.write({SMALL.replace('1.0', '2.0')!r}); file.close()"
    changed = CHANGED.format(True, str(tmp_path), change)
    assert run_python(changed, FASTMLP_CACHE_DIR=root)[0].split() == ["2.0"]
    file.write_text(SMALL)
    assert run_python(plain, FASTMLP_CACHE_DIR=root)[0].split() == ["1.0"]


def test_code_of_a_source_that_changed_after_its_import_is_not_taken_for_the_new(tmp_path: Path) -> None:
    file = small_sources(tmp_path)
    root = str(tmp_path / "cache")
    change = f"file = open({str(file)!r}, 'w'); file.write({SMALL.replace('1.0', '2.0')!r}); file.close()"
    changed = CHANGED.format(True, str(tmp_path), f"from fastmlp.kernels import small; {change}")
    assert run_python(changed, FASTMLP_CACHE_DIR=root)[0].split() == ["1.0"]
    plain = CHANGED.format(True, str(tmp_path), "")
    assert run_python(plain, FASTMLP_CACHE_DIR=root)[0].split() == ["2.0"]


@pytest.mark.heavy
def test_code_from_byte_code_of_another_source_is_not_kept(tmp_path: Path) -> None:
    """Python uses the bytecode of a file with equal time and size. The cache must not store code from such bytecode."""
    file = small_sources(tmp_path)
    os.utime(file, (1e9, 1e9))
    root = str(tmp_path / "cache")
    run = CHANGED.format(False, str(tmp_path), "")
    assert run_python(run, FASTMLP_CACHE_DIR=root)[0].split() == ["1.0"]
    file.write_text(SMALL.replace("1.0", "2.0"))
    os.utime(file, (1e9, 1e9))
    said = run_python(run, FASTMLP_CACHE_DIR=root)[0].split()
    assert said == ["1.0"]  # that is Python's own
    os.utime(file)
    assert run_python(run, FASTMLP_CACHE_DIR=root)[0].split() == ["2.0"]


@pytest.mark.heavy
def test_code_made_with_other_flags_meanwhile_is_not_kept(tmp_path: Path) -> None:
    code = CHANGED.format(True, str(tmp_path), "import numba; {}")
    small_sources(tmp_path)
    change = "from fastmlp.kernels.host import code_cache; code_cache.directory(); numba.config.BOUNDSCHECK = 1"
    assert run_python(code.format(change), FASTMLP_CACHE_DIR=str(tmp_path / "cache"))[0].split() == ["1.0"]
    assert not list((tmp_path / "cache").rglob("*.kernel"))
    assert run_python(code.format(""), FASTMLP_CACHE_DIR=str(tmp_path / "cache"))[0].split() == ["1.0"]
    assert list((tmp_path / "cache").rglob("*.kernel"))


@pytest.mark.heavy
def test_a_kernel_from_elsewhere_is_compiled_anew_when_its_file_changes(tmp_path: Path) -> None:
    text = """
import numpy as np
from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import kernel

@kernel()
def put(a: Reals) -> None:
    a[0] = NUMBER

out = np.zeros(1)
put.function_for(out.dtype)(out.ctypes.data)
print(out[0])
"""
    for number in ("1.0", "2.0"):
        text_now = "from __future__ import annotations\n" + text.replace("NUMBER", number)
        (tmp_path / "mine.py").write_text(text_now)
        run = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True; import mine"
        assert run_python(run, FASTMLP_CACHE_DIR=str(tmp_path / "cache"))[0].strip() == number


@pytest.mark.heavy
def test_kernels_without_their_sources_work_without_a_cache(tmp_path: Path) -> None:
    sources = copied_sources(tmp_path / "tree")
    compileall.compile_dir(tmp_path / "tree", legacy=True, quiet=1)
    for file in (tmp_path / "tree").rglob("*.py"):
        file.unlink()
    assert list(sources.glob("*.pyc"))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'tree')!r})\n"
        + PREDICT
        + "import fastmlp; print(fastmlp.__file__)"
    )
    said, warned = run_python(code, "-W", "error", FASTMLP_CACHE_DIR=str(tmp_path / "cache"))
    assert said.split() == [predictions(), str(tmp_path / "tree" / "fastmlp" / "__init__.pyc")]
    assert warned == ""
    assert not list(tmp_path.rglob("*.kernel"))


@pytest.mark.heavy
def test_kernels_from_an_archive_work_without_a_cache(tmp_path: Path) -> None:
    sources = copied_sources(tmp_path / "tree")
    if sources.parent.name != "fastmlp":
        shutil.move(sources, tmp_path / "tree" / "fastmlp" / "kernels")
    archive = shutil.make_archive(str(tmp_path / "fastmlp"), "zip", tmp_path / "tree")
    code = f"import sys; sys.path.insert(0, {archive!r})\n" + PREDICT
    said, _ = run_python(code, FASTMLP_CACHE_DIR=str(tmp_path / "cache"))
    assert said.split() == [predictions()]
    assert not list(tmp_path.rglob("*.kernel"))


def test_sources_that_cannot_be_read_mean_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: str, *_options: Any) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(code_cache, "open", closed, raising=False)
    assert code_cache._digest_of_sources() == ""
    monkeypatch.setattr(code_cache, "_SOURCES", "")
    assert code_cache._usable_folder() is None
