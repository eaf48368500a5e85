"""Imports go downward: the table of packages below is the order, and CONTRIBUTING.md shows it.

`python tests/test_imports.py` writes the table into CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
CONTRIBUTING = CHECKOUT / "CONTRIBUTING.md"


class Row(NamedTuple):
    """Packages and modules of one level. A row may import the rows above, and in its row what is named before."""

    names: str
    purpose: str
    libraries: str = "NumPy"
    only: str = ""  # the rows above that it may import, if not all


SPECIFICATIONS = "activations, losses, own_losses, initializers, schedules, optimizers, layers, architecture, metrics"
COMPILER = "NumPy, Numba, llvmlite"

ORDER = [
    Row("kernels.layout", "the sizes of panels and blocks, by which Python and the kernels arrange memory", COMPILER),
    Row("kernels.processor", "the choices by processor: tile shapes, unrolling, vector width", COMPILER),
    Row("kernels.host", "compilation, its cache, threads, forks and signals", COMPILER),
    Row("kernels.tables", "the typed tables that Python fills and the kernels read", COMPILER),
    Row("kernels.vocabulary", "vector instructions, arithmetic, loops and atomics, emitted as LLVM", COMPILER),
    Row("kernels.micro", "micro-kernels: products, panels and functions, with values in registers", COMPILER),
    Row("kernels.operations", "activations, losses, optimizers, dropout and random numbers, by block", COMPILER),
    Row("kernels.phases", "the phases of a training step, each for the share of one thread", COMPILER),
    Row("kernels.drivers", "the kernels that Python calls: many steps, or one phase", COMPILER),
    Row(
        "_runtime",
        "checks of arguments, hints for wrong names, frozen settings, memory, locks, optional libraries",
        "NumPy, threadpoolctl",
    ),
    Row("datasets", "data that is shipped with fastmlp"),
    Row(SPECIFICATIONS, "specifications: what a network consists of, without computing anything; and the metrics"),
    Row("arrow", "Parquet and Arrow files as chunks", "NumPy, pyarrow"),
    Row("_data, _io, _display", "checked samples and batches; model files; texts and tables for people"),
    Row("history", "the record of a training"),
    Row(
        "_engine",
        "training, inference and the memory behind them; `engine` is its interface",
        "NumPy, SciPy, threadpoolctl",
    ),
    Row("callbacks", "what a training calls between its steps and epochs", "NumPy, Optuna, Ray"),
    Row("network", "`Network`, the public class"),
    Row("many", "`fit_many`: many networks at once"),
    Row("ensembles", "networks that predict together, and Monte Carlo dropout"),
    Row("registration", "activations and losses that a user defines"),
    Row("plot", "pictures", "NumPy, matplotlib"),
    Row(
        "interchange", "networks to and from other formats and frameworks", "NumPy, onnx, skl2onnx, scikit-learn, torch"
    ),
    Row("tables", "networks of the columns of a CSV file"),
    Row("sklearn", "`MLPClassifier` and `MLPRegressor`", "NumPy, joblib, scikit-learn, SciPy"),
    Row("reference", "the same networks in plain NumPy, which prove the kernels", only=f"_runtime, {SPECIFICATIONS}"),
    Row("gradient_check", "gradients against central differences and against the reference"),
    Row("cli, __main__", "the command `fastmlp`"),
    Row("__init__", "the public names, each imported when it is first used"),
]


class Allowed(NamedTuple):
    """An import that the order forbids, or that is not made where a module begins."""

    importer: str
    imported: str
    when: (
        str  # "in a function", "for types" (under `if TYPE_CHECKING`, which never runs), or "" where the module begins
    )
    reason: str


EXCEPTIONS = [
    Allowed("_runtime.system", "numba, llvmlite", "in a function", "`fastmlp info` reports their versions"),
    Allowed("_engine", "callbacks, network", "for types", "a callback is given its network"),
    Allowed("callbacks", "network", "for types", "a callback is given its network"),
    Allowed(
        "ensembles", "reference", "", "`Ensemble.evaluate` takes the loss of a mean of predictions from its formula"
    ),
    Allowed("history", "plot", "in a function", "`History.plot` draws the curves"),
    Allowed("history", "plot, matplotlib", "for types", "the types of what `History.plot` takes and returns"),
    Allowed("cli", "matplotlib", "for types", "the types of the pictures in a report"),
    Allowed("interchange.torch_modules", "torch", "", "its modules can be pickled"),
]

# Libraries that `import fastmlp.network` must not load: they are imported in a function, except by `sklearn`.
OPTIONAL = {"matplotlib", "onnx", "optuna", "pyarrow", "ray", "scipy", "skl2onnx", "sklearn", "threadpoolctl", "torch"}


LEVELS = [row.names.split(", ") for row in ORDER]
PLACES = {name: (level, place) for level, names in enumerate(LEVELS) for place, name in enumerate(names)}


# The order ------------------------------------------------------------------------------------------------------------


class Import(NamedTuple):
    name: str
    when: str  # "", "in a function" or "for types"


@functools.cache
def imports(source: str) -> tuple[Import, ...]:
    """Return every imported name, dotted and whole: `from a import b` is "a.b"; relative ones begin with a dot."""
    return tuple(_imports(ast.parse(source), ""))


def _imports(node: ast.AST, when: str) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, when) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from (Import(f"{module}.{alias.name}", when) for alias in node.names)
    function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    guard = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    for child in ast.iter_child_nodes(node):
        if guard and child in getattr(node, "body", []):
            yield from _imports(child, "for types")
        else:
            yield from _imports(child, when or ("in a function" if function else ""))


def within(name: str, *packages: str) -> bool:
    """Return whether a dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def public_homes() -> dict[str, str]:
    """Return the module of each name that `from fastmlp import name` gives, read from the stub."""
    tree = ast.parse((CHECKOUT / "fastmlp" / "__init__.pyi").read_text("utf-8"))
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
    return {**homes, "__version__": "fastmlp.__init__"}


HOMES = public_homes()


def resolved(name: str) -> str:
    """Return what an imported name stands for: the module that defines a public name, without "fastmlp."."""
    if name in ("fastmlp", "fastmlp.kernels"):  # the packages themselves
        return {"fastmlp": "__init__", "fastmlp.kernels": "kernels.drivers"}[name]
    return HOMES.get(name.removeprefix("fastmlp."), name).removeprefix("fastmlp.")


def package_of(name: str) -> str | None:
    """Return the entry of the table that a dotted name without "fastmlp." belongs to; the longest counts."""
    return max((known for known in PLACES if within(name, known)), key=len, default=None)


def breach(importer: str, found: Import) -> str:
    """Return what is wrong with an import in the module `importer`, or an empty text."""
    top = found.name.split(".")[0]
    if top in sys.stdlib_module_names:
        return ""
    own = package_of(importer)
    if own is None:
        return f"{importer} is not in the table"
    if top != "fastmlp":
        return _library_breach(importer, own, top, found)
    package = package_of(resolved(found.name))
    if package is None:
        return f"{importer} imports {found.name}, which is not in the table"
    row = ORDER[PLACES[own][0]]
    below = package in row.only.split(", ") if row.only else PLACES[package] < PLACES[own]
    if below or package in (own, "__init__") or excepted(importer, package, found.when):
        return ""
    return f"{importer} imports {package}"


def _library_breach(importer: str, own: str, top: str, found: Import) -> str:
    libraries = ORDER[PLACES[own][0]].libraries.lower().replace("scikit-learn", "sklearn").split(", ")
    eager = top in OPTIONAL and own != "sklearn" and not found.when
    if (top in libraries and not eager) or excepted(importer, top, found.when):
        return ""
    return f"{importer} imports {found.name}" + (" where the module begins" if eager and top in libraries else "")


def excepted(importer: str, imported: str, when: str) -> bool:
    """Return whether the table of exceptions has this import."""
    entries = [entry for entry in EXCEPTIONS if within(importer, entry.importer) and entry.when == when]
    return any(imported in entry.imported.split(", ") for entry in entries)


def sources() -> dict[str, str]:
    """Return the source of every module, by its name without "fastmlp."."""
    found = {}
    for folder, prefix in ((CHECKOUT / "fastmlp", ""), (CHECKOUT / "kernels", "kernels.")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = prefix + ".".join(parts if len(parts) == 1 or parts[-1] != "__init__" else parts[:-1])
            found[name] = path.read_text("utf-8")
    assert len(found) > 100
    assert not imports(found.pop("kernels.__init__"))
    return found


SOURCES = sources()


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("kernels.micro.product", "import scipy"),
        ("kernels.micro.product", "from fastmlp import tables"),
        ("kernels.micro.product", "from fastmlp.network import Network"),
        ("kernels.micro.product", "from fastmlp.kernels.phases import rows"),
        ("kernels.micro.product", "def f():\n    import fastmlp._engine.plan"),
        ("kernels.micro.product", "from fastmlp import kernels_of_others"),
        ("kernels.micro.product", "from . import simd"),
        ("activations", "from fastmlp.losses import Huber"),
        ("losses", "def f():\n    from fastmlp import Network"),
        ("_data.array_feed", "from fastmlp._engine.step_runner import StepRunner"),
        ("_io.checkpoint", "from fastmlp import history"),
        ("reference.network", "import numba"),
        ("reference.network", "from fastmlp.kernels.operations import random"),
        ("reference.network", "from fastmlp import datasets"),
        ("reference.network", "def f():\n    from fastmlp._engine.step_runner import StepRunner"),
        ("network", "from fastmlp import reference"),
        ("network", "def f():\n    import fastmlp.reference.network"),
        ("network", "def f():\n    import numba"),
        ("network", "def f():\n    import pandas"),
        ("network", "if True:\n    from sklearn.base import BaseEstimator"),
        ("plot.curves", "import matplotlib"),
        ("callbacks.ray_report", "from ray import tune"),
        ("_engine.full_batch_loop", "import scipy.optimize"),
        ("interchange.torch", "import torch"),
        ("plot.curves", "if TYPE_CHECKING:\n    pass\nelse:\n    import matplotlib"),
        ("_runtime.system", "import numba"),
        ("history", "from fastmlp import plot"),
        ("history", "from fastmlp.plot import learning_curves"),
        ("sklearn.base", "import pandas"),
        ("sklearn.base", "from fastmlp.reference import Network"),
        ("novelty", "import numpy"),
    ],
)
def test_a_breach_is_seen(importer: str, source: str) -> None:
    assert [breach(importer, found) for found in imports(source) if breach(importer, found)]


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        (
            "kernels.drivers.step",
            "import os\nimport numpy.typing\nfrom numba import types\nimport fastmlp.kernels.host.jit",
        ),
        ("kernels.micro.product", "from fastmlp.kernels.micro import panels\nfrom fastmlp.kernels import layout"),
        ("layers", "from fastmlp import activations\nfrom fastmlp.activations import Activation"),
        ("reference.network", "from fastmlp import losses\nfrom fastmlp.reference.random import key"),
        ("network", "from fastmlp._engine import plan\nfrom fastmlp.kernels import layout\nimport numpy as np"),
        ("plot.curves", "def f():\n    import matplotlib.pyplot as plt"),
        ("plot.curves", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
        ("history", "def f():\n    from fastmlp import plot"),
        ("_runtime.system", "def f():\n    import numba"),
        ("gradient_check", "from fastmlp.reference import Network"),
        ("_engine.full_batch_loop", "def f():\n    import scipy.optimize"),
        ("interchange.torch_modules", "import torch"),
        ("sklearn.lbfgs", "import scipy.optimize\nfrom sklearn.base import BaseEstimator"),
        ("cli.train", "from fastmlp import Network, __version__"),
        ("__init__", "def f():\n    from fastmlp.kernels.host import interrupts"),
    ],
)
def test_what_is_allowed_is_no_breach(importer: str, source: str) -> None:
    assert not [breach(importer, found) for found in imports(source) if breach(importer, found)]


def test_every_module_imports_only_what_the_table_allows() -> None:
    breaches = {breach(module, found) for module, source in SOURCES.items() for found in imports(source)} - {""}
    assert sorted(breaches) == []


def test_every_entry_of_the_table_exists() -> None:
    modules = {name for module in SOURCES for name in (module, module.rpartition(".")[0])}
    assert not {name for name in PLACES if name not in modules}
    assert {entry.importer for entry in EXCEPTIONS} <= modules


def test_every_exception_is_needed() -> None:
    found = {(module, each) for module, source in SOURCES.items() for each in imports(source)}
    for entry in EXCEPTIONS:
        for imported in entry.imported.split(", "):
            assert any(
                within(module, entry.importer) and each.when == entry.when and within(resolved(each.name), imported)
                for module, each in found
            ), (entry.importer, imported, entry.when)


def test_tests_and_benchmarks_do_not_import_each_other() -> None:
    def guests(source: str, own: Path, other: Path) -> list[str]:
        names = {path.stem for path in other.rglob("*.py")} - {path.stem for path in own.rglob("*.py")} | {other.name}
        return [found.name for found in imports(source) if found.name.split(".")[0] in names]

    tests, bench = CHECKOUT / "tests", CHECKOUT / "bench"
    assert guests("from bench import peers", tests, bench)
    assert guests("import tests.behaviour", bench, tests)
    assert guests("from behaviour import ROOT", bench, tests)
    for own, other in ((tests, bench), (bench, tests)):
        for path in sorted(own.rglob("*.py")):
            assert not guests(path.read_text("utf-8"), own, other), path.name


# What is compiled, what is private, and the words ---------------------------------------------------------------------

COMPILERS = {"njit", "jit", "cfunc", "CFunc", "vectorize", "guvectorize", "generated_jit", "stencil", "jitclass"}
ENGINE = {"network", "_engine.engine"}  # the modules that may use the private attributes of Network
INTERFACE = {
    "_engine.engine",
    "_engine.ensemble_files",
    "_engine.many_fits",
    "_engine.warmup",
}  # what others may import of the engine: besides `engine`, the parts for `Ensemble`, `fit_many` and `fastmlp warmup`


def compilations(source: str) -> list[str]:
    """Return every mention of a decorator or class that compiles."""
    tree = ast.walk(ast.parse(source))
    names = [ast.unparse(node) if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in tree]
    names = [name.split(".")[-1] for name in names if not name.startswith("np.")]  # np.vectorize compiles nothing
    imported = [found.name.split(".")[-1] for found in imports(source)]
    return [name for name in (*names, *imported) if name in COMPILERS]


def test_options_of_compilation_stand_in_one_module() -> None:
    assert compilations("import numba\n@numba.njit(cache=True)\ndef f(): pass")
    assert compilations("from numba import cfunc as c")
    assert compilations("from numba import jit\njit(f)")
    assert [name for name, source in SOURCES.items() if compilations(source)] == ["kernels.host.jit"]


def privates_of_network() -> set[str]:
    """Return the names of the private attributes and methods of Network."""
    tree = ast.walk(ast.parse(SOURCES["network"]))
    defined = [node for node in tree if isinstance(node, ast.ClassDef) and node.name == "Network"]
    nodes = [node for found in defined for node in ast.walk(found)]
    assigned = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"}
    methods = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return {name for name in assigned | methods if name.startswith("_") and not name.startswith("__")}


def private_uses(source: str, privates: set[str]) -> list[str]:
    """Return every use of a private attribute of a network, known by the name of the object or of the attribute."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    found = []
    for node in nodes:
        owner = ast.unparse(node.value)
        private = node.attr.startswith("_") and not node.attr.startswith("__")
        network = owner.split(".")[-1].lower() in ("network", "net")
        foreign = node.attr in privates and owner not in ("self", "cls")
        if private and (network or foreign):
            found.append(f"{owner}.{node.attr}")
    return found


def test_private_attributes_of_network_are_used_by_the_engine_alone() -> None:
    privates = privates_of_network()
    assert "_engine" in privates
    one = sorted(privates)[0]
    for source in ("network._x", "self.network._x = 1", "Network._x(y)", "compiled.network._x()", f"other.{one}"):
        assert private_uses(source, privates)
    assert not private_uses("network.x; self._x; network.__getstate__()", privates)
    uses = {name: private_uses(source, privates) for name, source in SOURCES.items() if name not in ENGINE}
    assert not {name: found for name, found in uses.items() if found}


def test_the_engine_is_used_through_its_interface_alone() -> None:
    def inner(source: str) -> list[str]:
        names = [resolved(found.name) for found in imports(source)]
        return [name for name in names if within(name, "_engine") and not within(name, *INTERFACE)]

    assert inner("from fastmlp._engine.plan import Plan")
    assert not inner("from fastmlp._engine.engine import Engine\nfrom fastmlp import NonFiniteLossError")
    users = {name: source for name, source in SOURCES.items() if not within(name, "_engine")}
    found = {name: names for name, source in users.items() if (names := inner(source))}
    assert not found


def test_an_underscore_makes_folders_private_and_no_files() -> None:
    def hidden(name: str) -> bool:
        return name.startswith("_") and not name.startswith("__")

    paths = [path for folder in ("fastmlp", "kernels", "tests", "bench") for path in (CHECKOUT / folder).rglob("*.py")]
    assert not [path for path in paths if hidden(path.name)]
    private = {part for name in SOURCES for part in name.split(".")[:-1] if hidden(part)}
    assert private == {name for name in PLACES if name.startswith("_") and not name.startswith("__")}
    assert (
        not [  # what a module hides is its own
            (name, found.name)
            for name, source in SOURCES.items()
            for found in imports(source)
            if within(found.name, "fastmlp") and hidden(found.name.split(".")[-1]) and found.name.count(".") > 1
        ]
    )


def dependent_docstrings(source: str) -> list[str]:
    """Return the docstrings that cannot be understood alone, since they begin by pointing at another."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [text for text in texts if text.startswith(("The same", "Likewise", "As above", "Ditto"))]


def test_each_docstring_stands_alone() -> None:
    assert dependent_docstrings('def f():\n    """The same for floats."""')
    files = {path: path.read_text("utf-8") for path in (CHECKOUT / "bench").rglob("*.py")}
    texts = {**SOURCES, **{str(path.relative_to(CHECKOUT)): source for path, source in files.items()}}
    found = {name: texts for name, source in texts.items() if (texts := dependent_docstrings(source))}
    assert not found


def test_kernels_as_a_name_of_its_own_is_refused() -> None:
    from behaviour import run_python

    code = (
        f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n"
        "try:\n    import kernels\nexcept ImportError as error:\n    print(error)"
    )
    assert "fastmlp.kernels" in run_python(code)[0]


# CONTRIBUTING.md ------------------------------------------------------------------------------------------------------


def markdown() -> str:
    """Return the order and its exceptions as tables of CONTRIBUTING.md."""

    def code(names: str) -> str:
        return ", ".join(f"`{name.strip()}`" for name in names.split(","))

    lines = ["| package | what it is for | libraries |", "| --- | --- | --- |"]
    for row in ORDER:
        purpose = row.purpose + ("; imports only `_runtime` and the specifications" if row.only else "")
        lines.append(f"| {code(row.names)} | {purpose} | {row.libraries} |")
    lines += ["", "Exceptions:", "", "| module | may import | when | why |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{e.importer}` | {code(e.imported)} | {e.when or 'where it begins'} | {e.reason} |" for e in EXCEPTIONS
    ]
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the text of CONTRIBUTING.md with the tables between their marks."""
    start, end = "<!-- imports: begin (written by python tests/test_imports.py) -->\n", "<!-- imports: end -->"
    before, rest = text.split(start)
    return f"{before}{start}{markdown()}\n{end}{rest.split(end)[1]}"


def test_contributing_shows_the_table() -> None:
    text = CONTRIBUTING.read_text("utf-8")
    assert text == with_table(text), "run: python tests/test_imports.py"


if __name__ == "__main__":
    CONTRIBUTING.write_text(with_table(CONTRIBUTING.read_text("utf-8")), "utf-8")
    print(f"wrote {CONTRIBUTING.name}")
