"""The rooms of the house import what their table allows and nothing else."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from behaviour import ROOT, run_python

SPECS = (
    "_runtime.checks", "_runtime.settings", "_runtime.plain_math", "activations", "losses", "optimizers", "schedules",
    "initializers", "layers", "architecture", "metrics",
)  # fmt: skip
EXTRAS = {"matplotlib", "sklearn", "onnx", "skl2onnx", "torch"}
COMPILERS = {"njit", "jit", "cfunc", "CFunc", "vectorize", "guvectorize", "generated_jit", "stencil", "jitclass"}
HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent


class Import(NamedTuple):
    name: str
    lazy: bool  # inside a function, or for type checkers alone


def imports(source: str) -> list[Import]:
    """Every imported name, dotted and whole: `from a import b` is "a.b"; relative ones begin with a dot."""
    return list(_imports(ast.parse(source), False))


def _imports(node: ast.AST, lazy: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, lazy) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from (Import(f"{module}.{alias.name}", lazy) for alias in node.names)
    for child in ast.iter_child_nodes(node):
        function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and child in node.body
        yield from _imports(child, lazy or function or typing_only)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def plain(name: str) -> bool:
    return name.split(".")[0] in sys.stdlib_module_names


def kernels_may(found: Import, file: str) -> bool:
    return plain(found.name) or within(found.name, "numpy", "numba", "llvmlite", "fastmlp.kernels")


def reference_may(found: Import, file: str) -> bool:
    own = ("fastmlp.reference", *(f"fastmlp.{spec}" for spec in SPECS))
    named = within(found.name, "numpy", *own) or found.name in {f"fastmlp.{spec}" for spec in SPECS}
    return plain(found.name) or named


def face_may(found: Import, file: str) -> bool:
    top = found.name.split(".")[0]
    if within(found.name, "fastmlp.reference"):
        return file == "gradient_check.py"
    if top in ("numba", "llvmlite"):
        return file == "system.py" and found.lazy
    return plain(found.name) or top in ("numpy", "fastmlp") or (top in EXTRAS and found.lazy)


def sklearn_may(found: Import, file: str) -> bool:
    return face_may(found, file) or found.name.split(".")[0] in ("sklearn", "scipy")


RULES = {"kernels": kernels_may, "reference": reference_may, "face": face_may, "sklearn": sklearn_may}


def violations(room: str, source: str, file: str = "file.py") -> list[str]:
    return [found.name for found in imports(source) if not RULES[room](found, file)]


def files(room: str) -> list[Path]:
    package = ROOT / "fastmlp"
    kernels = package / "kernels" if (package / "kernels").is_dir() else ROOT / "kernels"
    rooms = {"kernels": kernels, "reference": package / "reference", "sklearn": package / "sklearn", "face": package}
    folder, others = rooms[room], [path for name, path in rooms.items() if name != room] if room == "face" else []
    return [path for path in sorted(folder.rglob("*.py")) if not any(path.is_relative_to(other) for other in others)]


@pytest.mark.parametrize(
    ("room", "source", "file"),
    [
        ("kernels", "import scipy", "file.py"),
        ("kernels", "from fastmlp import data", "file.py"),
        ("kernels", "from fastmlp.network import Network", "file.py"),
        ("kernels", "def f():\n    import fastmlp._engine.plan", "file.py"),
        ("kernels", "from fastmlp import kernels_of_others", "file.py"),
        ("kernels", "from . import simd", "file.py"),
        ("reference", "import numba", "file.py"),
        ("reference", "from fastmlp.kernels import random", "file.py"),
        ("reference", "from fastmlp import data", "file.py"),
        ("reference", "def f():\n    from fastmlp._engine.step_runner import Trainer", "file.py"),
        ("face", "from fastmlp import reference", "network.py"),
        ("face", "def f():\n    import fastmlp.reference.network", "network.py"),
        ("face", "import matplotlib", "plot.py"),
        ("face", "if True:\n    from sklearn.base import BaseEstimator", "network.py"),
        ("face", "import numba", "system.py"),
        ("face", "def f():\n    import numba", "network.py"),
        ("face", "def f():\n    import pandas", "network.py"),
        ("face", "def f():\n    import scipy", "network.py"),
        ("sklearn", "import pandas", "file.py"),
        ("sklearn", "from fastmlp.reference import Network", "file.py"),
        ("face", "if TYPE_CHECKING:\n    pass\nelse:\n    import matplotlib", "plot.py"),
    ],
)
def test_a_violation_is_seen(room: str, source: str, file: str) -> None:
    assert len(violations(room, source, file)) == 1


def test_what_is_allowed_is_no_violation() -> None:
    assert not violations(
        "kernels", "import os\nimport numpy.typing\nfrom numba import types\nimport fastmlp.kernels.a"
    )
    assert not violations("reference", "from fastmlp import losses\nfrom fastmlp.reference.random import key")
    assert not violations("face", "from fastmlp import plan\nfrom fastmlp.kernels import layout\nimport numpy as np")
    assert not violations("face", "def f():\n    import matplotlib.pyplot as plt")
    assert not violations("face", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes")
    assert not violations("face", "def f():\n    import numba", "system.py")
    assert not violations("face", "from fastmlp.reference import Network", "gradient_check.py")
    assert not violations("sklearn", "import scipy.optimize\nfrom sklearn.base import BaseEstimator")


@pytest.mark.parametrize("room", RULES)
def test_each_room_imports_only_what_it_may(room: str) -> None:
    read = files(room)
    assert len(read) > 3
    found = {path.name: violations(room, path.read_text("utf-8"), path.name) for path in read}
    assert not {name: names for name, names in found.items() if names}


def test_tests_and_benchmarks_do_not_import_each_other() -> None:
    def guests(source: str, own: Path, other: Path) -> list[str]:
        names = {path.stem for path in other.rglob("*.py")} - {path.stem for path in own.rglob("*.py")} | {other.name}
        parts = {found.name: found.name.split(".") for found in imports(source)}
        return [name for name, words in parts.items() if words[0] != "fastmlp" and names & set(words[:2])]

    tests, bench = CHECKOUT / "tests", CHECKOUT / "bench"
    assert guests("from bench import peers", tests, bench)
    assert guests("import tests.behaviour", bench, tests)
    assert guests("from behaviour import ROOT", bench, tests)
    for own, other in ((tests, bench), (bench, tests)):
        for path in sorted(own.rglob("*.py")):
            assert not guests(path.read_text("utf-8"), own, other), path.name


def compilations(source: str) -> list[str]:
    """Every mention of a decorator or class that compiles."""
    tree = ast.walk(ast.parse(source))
    names = [node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None) for node in tree]
    imported = [found.name.split(".")[-1] for found in imports(source)]
    return [name for name in (*names, *imported) if name in COMPILERS]


def test_options_of_compilation_stand_in_one_module() -> None:
    assert compilations("import numba\n@numba.njit(cache=True)\ndef f(): pass")
    assert compilations("from numba import cfunc as c")
    assert compilations("from numba import jit\njit(f)")
    found = {path.name: compilations(path.read_text("utf-8")) for room in RULES for path in files(room)}
    assert [name for name, names in found.items() if names] == ["jit.py"]


def test_kernels_as_a_name_of_its_own_is_refused() -> None:
    folder = next(path.parent for path in files("kernels") if path.name == "__init__.py")
    code = (
        f"import sys; sys.path.insert(0, {str(folder.parent)!r})\n"
        "try:\n    import kernels\nexcept ImportError as error:\n    print(error)"
    )
    assert "fastmlp.kernels" in run_python(code)[0]
