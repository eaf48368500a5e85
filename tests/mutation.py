"""Mutation testing: change one operator or number of fastmlp/ at a time, and see whether a test fails.

    python tests/mutation.py map WORK           run the suite under coverage: which tests run which lines
    python tests/mutation.py run WORK           draw a sample of mutants, run their tests, print what survived
    python tests/mutation.py run WORK --again   run the survivors again, with more --seconds and the tests of today

WORK is a new folder outside of the repository. It gets a copy of the tree, in which the mutants are made, the map of
the tests, and the results, one JSON object a line. `run` continues where it was stopped.

The mutants are those of cosmic-ray, without annotations, which are never evaluated, and code for type checkers. A
place is what one kind of operator can change, in several ways: a `+`, say. Places are drawn by a seed, and one mutant
of each.

A mutant meets the tests that run its line, those of the mirrored folder first, and then all cases of these functions
and of that folder, until one fails or they have taken `--seconds`. The map knows two cases of each function and no
tests of other processes, so a survivor is no proof: `--again` with more seconds, or the tests of its file by hand,
decide. Each run is a fork of a process that has imported the libraries, but nothing of fastmlp. Linux only.
"""

from __future__ import annotations

import argparse
import ast
import collections
import compileall
import contextlib
import difflib
import importlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = ("tests/reliability", "tests/docs")  # run in processes of their own, which have no coverage
OPTIONS = ["-q", "-p", "no:cacheprovider", "-n", "0", "--no-header", "--tb=short"]
OPTIONS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is imported before the fork
CASES = 2  # of each test function, from which the map is made
FIRST = 40  # tests of the first run; most mutants meet no more
MEMORY = 16 << 30  # bytes of address space: a mutant may multiply a size
LIBRARIES = ("hypothesis", "matplotlib.pyplot", "numba", "onnx", "pandas", "sklearn.utils.estimator_checks", "torch")
SCOPES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
Mutant = dict[str, Any]
Choice = Callable[[list[str]], list[str]]  # of the tests that were collected, those to run

# The map: which tests run which lines.


class Durations:
    """A pytest plugin that runs some cases of each test function, and records their lines and seconds with fixtures."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = collections.defaultdict(float)
        self.unfit: set[str] = set()  # failed or skipped

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        cases = collections.defaultdict(list)
        for item in items:
            cases[function_of(item.nodeid)].append(item)
        items[:] = [case for found in cases.values() for case in found[:: -(-len(found) // CASES)]]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if not report.passed:
            self.unfit.add(report.nodeid)


def write_map(work: Path) -> None:
    """Run the suite in a copy of the tree, and write the durations of the tests and the tests of each line."""
    from coverage import Coverage

    tree = work / "tree"
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", "*.egg-info", ".coverage*")
    shutil.copytree(ROOT, tree, ignore=ignored)
    shutil.copytree(tree / "fastmlp", work / "original")
    for folder in ("fastmlp", "kernels"):  # a mutant may have the size and, to the second, the time of another
        compileall.compile_dir(tree / folder, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    use_tree(tree)
    coverage = Coverage()
    coverage.start()
    durations = Durations(coverage)
    pytest.main([*OPTIONS, *(f"--ignore={folder}" for folder in LEFT_OUT)], [durations])
    coverage.stop()
    coverage.save()
    data = coverage.get_data()
    seconds = {test: time for test, time in durations.seconds.items() if test not in durations.unfit}
    print(f"{len(seconds)} tests; failed or skipped: {sorted(durations.unfit)}")
    numbers = {test: number for number, test in enumerate(seconds)}
    lines = {
        Path(file).relative_to(tree).as_posix(): {
            line: [numbers[test] for test in tests if test in numbers]  # not those of the import
            for line, tests in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    (work / "map.json").write_text(json.dumps({"seconds": seconds, "lines": lines}))


def use_tree(tree: Path) -> None:
    """Import fastmlp from this tree, here and in the processes that tests start."""
    os.chdir(tree)
    sys.path[0] = os.environ["PYTHONPATH"] = str(tree)


def function_of(test: str) -> str:
    """Return the name of a test without its case."""
    return test.partition("[")[0]


def files_of(tests: list[str]) -> list[str]:
    """Return the files of tests, each once."""
    return list(dict.fromkeys(test.partition("::")[0] for test in tests))


class Map:
    """Which tests a mutant meets."""

    def __init__(self, work: Path) -> None:
        contents = json.loads((work / "map.json").read_text())
        self.seconds: dict[str, float] = contents["seconds"]
        self._lines: dict[str, dict[str, list[int]]] = contents["lines"]
        self._tests = list(self.seconds)
        self._case = {function_of(test): self.seconds[test] for test in self._tests}  # of a case: that of one

    def tests_of(self, file: str, tree: ast.Module, line: int) -> list[str]:
        """Return the tests of a line, or of the innermost function or class around it that has some, in order."""
        scopes = [(node.lineno, node.end_lineno or 0) for node in ast.walk(tree) if isinstance(node, SCOPES)]
        around = [lines for lines in scopes if lines[0] <= line <= lines[1]]  # from the outermost to the innermost
        found: set[int] = set()
        for first, last in [(line, line), *around[::-1], (1, 1 << 30)]:
            lines = self._lines.get(file, {}).items()
            found = found or {test for at, tests in lines if first <= int(at) <= last for test in tests}
        names = [self._tests[test] for test in found]
        return sorted(names, key=lambda test: (not mirrors(test, file), self.seconds[test], test))

    def runs(self, file: str, tests: list[str], seconds: float) -> Iterator[tuple[list[str], Choice, float]]:
        """Yield the runs of tests against a mutant: the files to collect, what chooses among their tests, seconds."""
        first = tests[:FIRST]
        if first:
            yield files_of(first), lambda _: first, sum(self.seconds[test] for test in first)
        spent = itertools.accumulate(self.seconds[test] for test in tests)
        tests = tests[: max(FIRST, sum(time < seconds for time in spent))]
        functions, stem = set(map(function_of, tests)), Path(file).stem.strip("_")

        def others(found: list[str]) -> list[str]:
            left = [test for test in random.Random(0).sample(found, len(found)) if test not in first]
            left = [test for test in left if mirrors(test, file) or function_of(test) in functions]
            left.sort(key=lambda test: (test not in tests, stem not in function_of(test), not mirrors(test, file)))
            spent = itertools.accumulate(self._case.get(function_of(test), 0.1) for test in left)
            return [test for test, time in zip(left, spent, strict=True) if time < seconds]

        mirrored = sorted(path.as_posix() for path in Path(mirror(file)).glob("test_*.py"))
        yield list(dict.fromkeys([*files_of(tests), *mirrored])), others, seconds


def mirror(file: str) -> str:
    """Return the folder of tests/ that has the name of the file's folder of fastmlp/."""
    return Path("tests", *Path(file).parent.parts[1:]).as_posix()


def mirrors(test: str, file: str) -> bool:
    """Whether a test lies in the folder that mirrors the file's."""
    return test.partition("::")[0].rpartition("/")[0] == mirror(file)


# The sample of mutants.


@cache
def operators() -> dict[str, Any]:
    """Return the operators of cosmic-ray that take no arguments, by name."""
    from cosmic_ray.operators.provider import OperatorProvider

    provider = OperatorProvider()
    return {name: provider[name]() for name in provider if not provider[name].arguments()}


def places(path: Path) -> list[list[Mutant]]:
    """Return the mutants of each place of a file that Python runs."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path

    ranges = list(unevaluated(ast.parse(path.read_text())))
    counts: dict[str, int] = collections.Counter()
    found: dict[tuple[Any, ...], list[Mutant]] = collections.defaultdict(list)
    for node in ast_nodes(get_ast_from_path(path)):
        for name, operator in operators().items():
            for start, end in operator.mutation_positions(node):
                if not any(first <= start and end <= last for first, last in ranges):
                    mutant = {"operator": name, "occurrence": counts[name], "line": start[0]}
                    found[start, end, name.partition("_")[0]].append(mutant)
                counts[name] += 1
    return list(found.values())


def unevaluated(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield start and end of annotations and of code for type checkers."""
    for node in ast.walk(tree):
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None), node if guarded else None):
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def mutated(source: str, mutant: Mutant) -> str | None:
    """Return the source of a mutant, or None if it is the same program or none at all."""
    from cosmic_ray.mutating import mutate_code

    text = mutate_code(source, operators()[mutant["operator"]], mutant["occurrence"])
    try:
        return None if ast.dump(ast.parse(text)) == ast.dump(ast.parse(source)) else text
    except SyntaxError:
        return None


def draw(tree: Path, size: int, seed: int) -> list[Mutant]:
    """Draw places by a seed, in a random order, and a mutant of each."""
    generator = random.Random(seed)
    pool = []
    for path in sorted((tree / "fastmlp").rglob("*.py")):
        pool += [[mutant | {"file": path.relative_to(tree).as_posix()} for mutant in place] for place in places(path)]
    print(f"{sum(map(len, pool))} mutants of {len(pool)} places, of which {size} are drawn with seed {seed}")
    sample: list[Mutant] = []
    for place in generator.sample(pool, len(pool)):
        source = (tree / place[0]["file"]).read_text()
        drawn = generator.sample(place, len(place))
        drawn = list(itertools.islice((mutant for mutant in drawn if mutated(source, mutant) is not None), 1))
        sample += [mutant | {"number": len(sample)} for mutant in drawn]  # none if Python can compile none
        if len(sample) == size:
            break
    return sample


# Running them.


class Selection:
    """A pytest plugin that runs the chosen tests only, and writes down the first that fails."""

    def __init__(self, choose: Choice, failed: Path) -> None:
        self.choose = choose
        self.failed = failed

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = set(self.choose([item.nodeid for item in items]))
        items[:] = [item for item in items if item.nodeid in chosen]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.write_text(report.nodeid)


def run_tests(work: Path, files: list[str], choose: Choice, expected: float) -> str:
    """Run tests in a fork. Return "" if they pass, the name of the first that fails, or another reason."""
    failed = work / "failed"
    failed.unlink(missing_ok=True)
    allowed = int(30 + 3 * expected)  # seconds of the processor; 30 for imports and a kernel to compile
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            output = os.open(work / "output.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (allowed, allowed + 5))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            code = pytest.main([*OPTIONS, "-x", f"--basetemp={work / 'tmp'}", *files], [Selection(choose, failed)])
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    done = (0, 0)
    try:
        deadline = time.monotonic() + 4 * allowed
        while done[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
            done = os.waitpid(child, os.WNOHANG)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # also the processes that tests have started
    if done[0] == 0:
        os.waitpid(child, 0)
        return "time"
    code = os.waitstatus_to_exitcode(done[1])
    if code in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
        return ""
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "time"
    return failed.read_text() if failed.exists() else f"exit code {code}"  # 2 is an import that fails


def test_mutant(work: Path, tests_of: Map, mutant: Mutant, seconds: float) -> Mutant:
    """Run the tests of a mutant. Return the mutant with what became of it."""
    path = work / "tree" / mutant["file"]
    source = path.read_text()
    text = mutated(source, mutant) or ""
    tests = tests_of.tests_of(mutant["file"], ast.parse(source), mutant["line"])
    change = list(difflib.unified_diff(source.split("\n"), text.split("\n"), n=0, lineterm=""))[3:]
    result = mutant | {"change": change, "tests": len(tests), "outcome": "survived", "by": ""}
    began = time.monotonic()
    path.write_text(text)
    try:
        for files, choose, expected in tests_of.runs(mutant["file"], tests, seconds):
            by = run_tests(work, files, choose, expected)
            if by:
                result |= {"outcome": "time" if by == "time" else "killed", "by": by}
                break
    finally:
        path.write_text(source)
    return result | {"seconds": round(time.monotonic() - began, 1)}


def run(work: Path, size: int, seed: int, seconds: float, again: bool) -> None:
    """Run the mutants of the sample that have no result yet, or survived, and print a report."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tree is restored
    sys.dont_write_bytecode = bool(os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1"))
    shutil.copytree(work / "original", work / "tree" / "fastmlp", dirs_exist_ok=True)  # if the last run was killed
    use_tree(work / "tree")
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    tests_of, sample, results = Map(work), work / "sample.json", work / "results.jsonl"
    if not sample.exists():
        sample.write_text(json.dumps(draw(work / "tree", size, seed)))
    results.touch()
    done = {result["number"]: result for result in map(json.loads, results.read_text().splitlines())}
    if again:
        shutil.copytree(ROOT / "tests", work / "tree" / "tests", dirs_exist_ok=True)
    for mutant in json.loads(sample.read_text()):
        outcome = done.get(mutant["number"], {}).get("outcome")
        if outcome is None or (again and outcome != "killed"):
            result = done[mutant["number"]] = test_mutant(work, tests_of, mutant, seconds)
            with results.open("a") as file:
                file.write(json.dumps(result) + "\n")
    for result in done.values():
        if result["outcome"] != "killed":
            print(f"\n{result['number']} {result['file']}:{result['line']} {result['operator']} {result['outcome']}")
            print("\n".join(result["change"]))
    print(collections.Counter(result["outcome"] for result in done.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["map", "run"])
    parser.add_argument("work", type=lambda name: Path(name).resolve())
    parser.add_argument("--sample", type=int, default=500)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--seconds", type=float, default=60.0, help="of tests against one mutant")
    parser.add_argument("--again", action="store_true", help="run the mutants that survived once more")
    arguments = parser.parse_args()
    if arguments.command == "map":
        write_map(arguments.work)
    else:
        run(arguments.work, arguments.sample, arguments.seed, arguments.seconds, arguments.again)
