"""`import fastmlp` offers every public name and module, imports nothing heavy, and its stub lists the same names."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from behaviour import run_python

import fastmlp

PACKAGE = Path(fastmlp.__file__).parent
COMMANDS = {"__main__", "cli"}
NAMES = [name for name in dir(fastmlp) if not name.startswith("__")]


def stub_names() -> dict[str, str]:
    """What `__init__.pyi` imports: each name and the module that it is imported from."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text("utf-8"))
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    found = {}
    for node in imported:
        for alias in node.names:
            assert alias.asname == alias.name, "a stub exports a name only with `import X as X`"
            assert alias.name not in found
            found[alias.name] = node.module or ""
    return found


def test_the_stub_and_the_table_list_the_same_names() -> None:
    table = {name: f"fastmlp.{module}" for module, names in fastmlp._LAZY.items() for name in names}
    modules = {module: "fastmlp" for module in fastmlp._LAZY if "." not in module}
    assert stub_names() == table | modules
    assert set(NAMES) == {*table, *modules}


def test_every_public_module_is_in_the_table() -> None:
    public = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    public = {name for name in public if not name.startswith("_")} - COMMANDS - {"kernels"}
    assert {module.split(".")[0] for module in fastmlp._LAZY if not module.startswith("_")} == public


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_that_of_its_module(name: str) -> None:
    found, home = getattr(fastmlp, name), stub_names()[name]
    if home == "fastmlp":
        assert found.__name__ == f"fastmlp.{name}"
    else:
        assert found.__name__ == name
        assert found is getattr(importlib.import_module(home), name)


def test_modules_are_attributes_without_an_import_of_their_own() -> None:
    code = "import fastmlp; print(fastmlp.plot.roc_curves.__name__, fastmlp.datasets.load_breast_cancer().X.shape)"
    assert run_python(code, "-W", "error")[0].split() == ["roc_curves", "(569,", "30)"]


def test_importing_fastmlp_alone_imports_neither_numba_nor_numpy() -> None:
    code = "import sys, fastmlp; dir(fastmlp); print([n for n in ('numba', 'llvmlite', 'numpy') if n in sys.modules])"
    assert run_python(code, "-W", "error")[0].strip() == "[]"


def test_the_star_imports_every_name_that_needs_no_extra_and_no_module() -> None:
    """The libraries of extras are made to fail here, as if they were not installed."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('sklearn', 'matplotlib', 'torch', 'onnx', 'skl2onnx', 'optuna', 'ray')))\n"
        "before = {*globals(), 'before'}\n"
        "from fastmlp import *\n"
        "names = {*globals()} - before\n"
        "import fastmlp\n"
        "print(names == {*fastmlp.__all__}, *sorted({*dir(fastmlp)} - names))"
    )
    same, *rest = run_python(code, "-W", "error")[0].split()
    modules = [module for module in fastmlp._LAZY if "." not in module]
    assert (same, rest) == ("True", sorted([*fastmlp._LAZY["sklearn"], "__version__", *modules]))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'fastmlp' has no attribute 'Convolution'"):
        _ = fastmlp.Convolution
