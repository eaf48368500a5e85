"""The cache of compiled code is used, private and never required: if something is wrong, kernels are compiled."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cache_places
import numpy as np
import pytest
from behaviour import TIME_LIMIT, Tried, finish, run_python, start_python
from cache_places import AS_ROOT, files_in, folder_in
from numba.core.ccallback import CFunc

from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import kernel

TINY = """
import numpy as np
from fastmlp import Network
network = Network([2, 3, 1], seed=0)
x = np.array([[0.5, -1], [2, 3]], np.float32)
print(network.predict(x).tobytes().hex())
print(network.hidden_activations(x)[0].tobytes().hex())
"""
TRAIN = TINY + "network.fit(x, x[:, 0], epochs=2)\nprint(network.predict(x).tobytes().hex())\n"
WHERE = "from fastmlp.kernels.host import code_cache; print(code_cache.directory())"
# Every compilation runs some passes of Numba's compiler, loading runs none.
COUNT_COMPILED = """
from numba.core import event
compiled = event.install_recorder("numba:run_pass")
recorder = compiled.__enter__()
"""
AT_EXIT = "import atexit; atexit.register(lambda: print(len(recorder.buffer)))\n"
REPORT_COMPILED = "print('compiled', len(recorder.buffer))\n"
CACHES = "a fit, or two kernels, with a cache of compiled code that is damaged, closed or full"
KILLS = "a process killed while it fills its cache, and the one after it"
DAMAGES = "a bit flipped in, or the end cut off, a file of the cache"
unix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the permissions of Unix")
closable = pytest.mark.skipif(
    not hasattr(os, "geteuid") or (AS_ROOT and sys.platform != "linux"), reason="needs folders that cannot be written"
)


OTHER_SHAPES = """
network.predict(np.ones((70, 2)))
before = len(recorder.buffer)
wide = Network([40, 33, 17, 9, 1], seed=1)
if network.history:
    wide.fit(np.ones((70, 40), np.float32), np.ones(70), batch_size=20)
wide.predict(np.ones((70, 40), np.float32))
wide.predict(np.ones((1, 40), np.float32))
print(len(recorder.buffer) - before)
for _, pass_ in recorder.buffer:
    if pass_.is_start and pass_.data["name"].startswith("native_lowering"):
        print(pass_.data["module"], pass_.data["qualname"], pass_.data["args"])
"""


@dataclass
class FirstProcess:
    """A process that filled a cache: what it ran, the cache, and the lines that it printed."""

    code: str
    root: Path
    lines: list[str]

    @property
    def outputs(self) -> list[str]:
        """The lines that its code prints in every process."""
        return self.lines[: self.code.count("print")]


@pytest.fixture(scope="session", params=[TINY, pytest.param(TRAIN, marks=pytest.mark.heavy)], ids=["predict", "train"])
def first(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FirstProcess:
    """Return a process that has filled a cache. Tests copy it. A training compiles for 20 s, a prediction for 4."""
    root = tmp_path_factory.mktemp("cache")
    said, warned = run_python(COUNT_COMPILED + request.param + OTHER_SHAPES, FASTMLP_CACHE_DIR=str(root))
    assert warned == ""
    return FirstProcess(request.param, root, said.splitlines())


@pytest.fixture
def cache(first: FirstProcess, tmp_path: Path) -> Path:
    """Return a copy of the filled cache, with the same permissions."""
    return Path(shutil.copytree(first.root, tmp_path / "cache"))


def kernels(root: Path) -> dict[str, tuple[int, int]]:
    """Return the size and time of every file in a folder, by name."""
    found = {}
    for path in root.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
            if path.is_file():
                found[path.name] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


def warnings_in(stderr: str) -> int:
    return stderr.count("RuntimeWarning: fastmlp's cache of compiled code")


# A warm cache ----------------------------------------------------------------------------------------------------


def test_a_first_process_fills_one_folder(first: FirstProcess) -> None:
    assert len(kernels(folder_in(first.root))) >= 4
    assert {name.rsplit(".", 1)[1] for name in kernels(first.root)} == {"kernel"}


def test_a_second_process_compiles_and_writes_nothing(cache: Path, first: FirstProcess) -> None:
    before = kernels(cache)
    code = COUNT_COMPILED + first.code + REPORT_COMPILED
    said, warned = run_python(code, "-W", "error", FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == [*first.outputs, "compiled", "0"]
    assert warned == ""
    assert kernels(cache) == before


def test_a_first_process_compiles_nothing_twice(first: FirstProcess) -> None:
    """No function is compiled twice, even if several kernels call it or networks differ in shape."""
    anew, *functions = first.lines[len(first.outputs) :]
    own = [function for function in functions if function.startswith("fastmlp.")]
    assert anew == "0"
    assert len(own) > (30 if first.code == TRAIN else 10)
    assert sorted(own) == sorted(set(own))


@unix
def test_the_folder_and_its_files_are_private(first: FirstProcess) -> None:
    folder = folder_in(first.root)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.iterdir()} == {0}


# A cache that is damaged ------------------------------------------------------------------------------------------


def small_kernels(call: str, **variables: str | None) -> list[list[str]]:
    """Run a function of `cache_places` in a separate process, and return its output by line and column."""
    said, warned = run_python(f"import cache_places; cache_places.{call}", seconds=60, **variables)
    assert warned == ""
    return [line.split("\t") for line in said.splitlines()]


@closable
def test_small_kernels_meet_every_damaged_cache(tmp_path: Path, tried: Tried) -> None:
    found = {what: numbers for what, *numbers in small_kernels(f"try_small_kernels({str(tmp_path)!r})")}
    for number, what in enumerate(cache_places.DAMAGES):
        cache_places.open_again(tmp_path / str(number))
        warned, loaded, warned_again, left_open = (int(number) for number in found[what])
        assert left_open == 0, what
        assert warned == cache_places.DAMAGES[what][1], what
        # What cannot be replaced stays so, and all else is replaced by the first process that meets it.
        assert (loaded, warned_again) in ((2, 0), (0, 1)), what
        assert not (warned == 0 and warned_again), what
    replaced = [what for what in cache_places.DAMAGES if "in place of files" in what or what.startswith("files")]
    assert {what for what in replaced if found[what][1] == "0"} == {"folders in place of files"}
    mine = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes()[:5] == b"mine"]
    assert len(mine) == 3
    tried(CACHES, len(found))


def results(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[list[str], str]]:
    """Return the words and the warnings that each process printed. If one fails, all are ended."""
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.enter_context(process)
            stack.callback(process.kill)
        limit = TIME_LIMIT * max(1, len(processes) / 2)  # they share the cores
        return [(said.split(), warned) for said, warned in (finish(process, limit) for process in processes)]


def runs(code: str, roots: Iterable[Path]) -> list[tuple[list[str], str]]:
    """Return the output and the warnings of code with each cache, with one process for each core at a time."""
    left, found = list(roots), []
    while left:
        batch, left = left[: os.cpu_count() or 1], left[os.cpu_count() or 1 :]
        found += results([start_python(code, FASTMLP_CACHE_DIR=str(root)) for root in batch])
    assert not any("Traceback" in warned for _, warned in found)
    return found


@closable
@pytest.mark.heavy
def test_a_process_meets_every_damaged_cache(first: FirstProcess, tmp_path: Path, tried: Tried) -> None:
    roots = {what: tmp_path / str(number) for number, what in enumerate(cache_places.DAMAGES)}
    for what, root in roots.items():
        shutil.copytree(first.root, root)
        cache_places.DAMAGES[what][0](root)
    for what, (said, warned) in zip(roots, runs(MAY_NOT_WRITE + first.code, roots.values()), strict=True):
        assert said == first.outputs, what
        assert warnings_in(warned) == cache_places.DAMAGES[what][1], what
        tried(CACHES, 1)
    for root in roots.values():
        cache_places.open_again(root)


def test_a_process_compiles_what_is_damaged_and_nothing_else(cache: Path, first: FirstProcess) -> None:
    before = kernels(cache)
    damaged = files_in(cache)[:2]  # which compile fastest
    damaged[0].write_bytes(damaged[0].read_bytes()[:-100])
    damaged[1].write_bytes(files_in(cache)[-1].read_bytes())  # a whole file of another kernel, of another signature
    said, warned = run_python(first.code, "-W", "error", FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == first.outputs
    assert warned == ""
    after = kernels(cache)
    assert set(after) == set(before)
    assert {name for name in after if after[name] != before[name]} == {path.name for path in damaged}
    said, _ = run_python(COUNT_COMPILED + first.code + REPORT_COMPILED, FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == [*first.outputs, "compiled", "0"]


@pytest.mark.heavy
def test_processes_with_every_kernel_damaged_somewhere(first: FirstProcess, tmp_path: Path, tried: Tried) -> None:
    rng = np.random.default_rng(0)
    roots = [Path(shutil.copytree(first.root, tmp_path / str(number))) for number in range(8)]
    for path in [path for root in roots for path in folder_in(root).iterdir()]:
        code = bytearray(path.read_bytes())
        place = int(rng.integers(len(code)))
        if rng.integers(2):
            code = code[:place]
        else:
            code[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(code)
        tried(DAMAGES, 1)
    assert runs(first.code, roots) == [(first.outputs, "")] * len(roots)
    found = runs(COUNT_COMPILED + AT_EXIT + first.code, roots)
    assert found == [([*first.outputs, "0"], "")] * len(roots)


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.heavy)])
def test_no_damage_to_a_file_gets_past_its_digest(stride: int, tmp_path: Path, tried: Tried) -> None:
    ((found,),) = small_kernels(f"try_every_byte({str(tmp_path / 'cache')!r}, {stride})")
    cases, loaded, warned = found.split()
    assert int(cases) > 100
    assert (loaded, warned) == ("0", "False")
    tried(DAMAGES, int(cases))


def test_whole_files_that_hold_something_else_are_compiled_anew(tmp_path: Path, tried: Tried) -> None:
    found = small_kernels(f"try_contents({str(tmp_path)!r})")
    assert found == [[what, "1", "2", "[]"] for what in cache_places.CONTENTS]
    tried(CACHES, len(found))


# A process that cannot use it --------------------------------------------------------------------------------------


@unix
def test_small_kernels_in_every_trouble(tmp_path: Path, tried: Tried) -> None:
    found = small_kernels(f"try_troubles({str(tmp_path)!r})")
    assert found == [[what, "1", "0"] for what in cache_places.TROUBLES]  # one warning, and nothing is left behind
    tried(CACHES, len(found))


@unix
@pytest.mark.heavy
@pytest.mark.parametrize("what", cache_places.TROUBLES)
def test_a_process_in_every_trouble(what: str, first: FirstProcess, tmp_path: Path, tried: Tried) -> None:
    begin = f"""
import cache_places
cache_places.warm_up({str(tmp_path / "other")!r}, {str(tmp_path / "cache")!r})
import fastmlp.network, fastmlp.gradient_check
trouble = cache_places.TROUBLES[{what!r}]()
trouble.__enter__()
"""
    ((said, warned),) = runs(begin + first.code, [tmp_path / "cache"])
    assert said == first.outputs
    assert warnings_in(warned) == (what != "no file can be opened")  # of which Numba itself warns before
    tried(CACHES, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk of its own, as Linux lets it")
def test_a_full_disk_gives_one_warning(tmp_path: Path, tried: Tried) -> None:
    (found,) = small_kernels(f"fill_a_disk({str(tmp_path)!r})")
    if found == ["not allowed"]:
        pytest.skip("the system does not let this process mount a disk of its own")
    warned, left = found
    assert "cannot be written (No space left on device)" in warned
    assert left == "['.kernel']"
    tried(CACHES, 1)


def test_a_cache_that_vanishes_meanwhile_is_made_anew(tmp_path: Path, tried: Tried) -> None:
    assert small_kernels(f"vanish({str(tmp_path)!r})") == [["2"]]
    tried(CACHES, 1)


# Root may write anywhere, so there the process gives up its privileges.
MAY_NOT_WRITE = "import cache_places; cache_places.unprivileged()\n"


@closable
@pytest.mark.heavy
def test_a_network_without_a_place_to_write(first: FirstProcess, tmp_path: Path, tried: Tried) -> None:
    root = tmp_path / "closed"
    root.mkdir()
    root.chmod(0o500)
    said, warned = run_python(MAY_NOT_WRITE + first.code, FASTMLP_CACHE_DIR=str(root))
    assert said.split() == first.outputs
    assert warnings_in(warned) == 1
    assert "FASTMLP_CACHE_DIR" in warned
    assert list(root.iterdir()) == []
    tried(CACHES, 1)


@pytest.mark.skipif(not cache_places.GIVES_AWAY, reason="only root can become somebody else")
def test_somebody_else_neither_uses_nor_changes_it(first: FirstProcess, tmp_path: Path, tried: Tried) -> None:
    with tempfile.TemporaryDirectory() as reached:  # unlike pytest's folders by everybody
        Path(reached).chmod(0o755)
        root = Path(shutil.copytree(first.root, Path(reached) / "cache"))
        for mode in (0o700, 0o755):
            root.chmod(0o755)
            folder_in(root).chmod(mode)
            before = kernels(root)
            call = f"run_kernels_as_nobody({str(tmp_path / oct(mode))!r}, {str(root)!r})"
            # Nobody has no right to write what coverage has counted.
            assert small_kernels(call, COVERAGE_PROCESS_CONFIG=None) == [["1", "0"]]
            assert kernels(root) == before
            tried(CACHES, 1)


def test_a_warning_that_is_an_error_is_raised_once(tmp_path: Path, tried: Tried) -> None:
    found = small_kernels(f"warn_as_error({str(tmp_path)!r})")
    assert found == [["raised", "fastmlp's cache of compiled code"], ["done", "1.0"], ["done", "1.0"]]
    tried(CACHES, 1)


@unix
def test_the_place_is_absolute_whatever_names_it(tmp_path: Path, tried: Tried) -> None:
    """The place follows the system's conventions. Empty or relative variables count as unset, as in XDG's rules."""
    code = f"""
import os, pathlib
from fastmlp.kernels.host import code_cache
def none(cls): raise RuntimeError('Could not determine home directory.')
for names in eval(input_):
    os.chdir({str(tmp_path)!r})
    for name in ("FASTMLP_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        os.environ.pop(name, None)
    os.environ.update(names)
    if "HOME" not in names:
        pathlib.Path.home = classmethod(none)  # looked up in the list of users, and not found
    code_cache.directory.cache_clear()
    print(code_cache.directory().parent)
    os.chdir("/")
    print(code_cache.directory().parent)
"""
    top, temporary = str(tmp_path), str(tmp_path / f"fastmlp-{os.geteuid()}")
    home = "Library/Caches/fastmlp" if sys.platform == "darwin" else ".cache/fastmlp"
    places: list[tuple[dict[str, str], str]] = [
        ({"HOME": top, "FASTMLP_CACHE_DIR": f"{top}/chosen"}, f"{top}/chosen"),
        ({"HOME": top, "FASTMLP_CACHE_DIR": "chosen"}, f"{top}/chosen"),
        ({"HOME": top, "FASTMLP_CACHE_DIR": "~/chosen"}, f"{top}/chosen"),
        ({"HOME": top, "FASTMLP_CACHE_DIR": ""}, f"{top}/{home}"),
        ({"HOME": top, "XDG_CACHE_HOME": "mine"}, f"{top}/{home}"),
        ({"HOME": ""}, temporary),
        ({"HOME": "here"}, temporary),
        ({}, temporary),
    ]
    if sys.platform != "darwin":
        places += [({"HOME": top, "XDG_CACHE_HOME": f"{top}/mine"}, f"{top}/mine/fastmlp")]
        places += [({"XDG_CACHE_HOME": f"{top}/mine"}, f"{top}/mine/fastmlp")]
    code = code.replace("input_", repr(repr([names for names, _ in places])))
    said, warned = run_python(code, "-W", "error", TMPDIR=top)
    assert said.split("\n")[:-1] == [place for _, place in places for _ in range(2)]
    assert warned == ""
    tried(CACHES, len(places))


# Races and versions -----------------------------------------------------------------------------------------------


SMALL = "import cache_places\n_, warned = cache_places.run_kernels()\nassert warned == []\n"


@pytest.mark.parametrize(
    ("count", "code"), [(3, SMALL), pytest.param(8, TRAIN, marks=pytest.mark.heavy)], ids=["kernels", "trainings"]
)
def test_processes_that_start_cold_at_once_all_succeed(count: int, code: str, tmp_path: Path, tried: Tried) -> None:
    root = str(tmp_path / "cache")
    found = results([start_python(code, "-W", "error", FASTMLP_CACHE_DIR=root) for _ in range(count)])
    outputs = found[0][0]
    assert len(outputs) == code.count("print")
    assert found == [(outputs, "")] * count
    before = kernels(tmp_path / "cache")
    assert {name.rsplit(".", 1)[1] for name in before} == {"kernel"}
    said, _ = run_python(COUNT_COMPILED + code + REPORT_COMPILED, "-W", "error", FASTMLP_CACHE_DIR=root)
    assert said.split() == [*outputs, "compiled", "0"]
    assert kernels(tmp_path / "cache") == before
    tried("a process that starts with an empty cache, together with others", count)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked")
def test_a_process_killed_while_it_fills_leaves_no_harm(tmp_path: Path, tried: Tried) -> None:
    found = small_kernels(f"try_kills({str(tmp_path)!r})")
    moments = [(moment, which) for moment in cache_places.MOMENTS for which in (1, 2)]
    for (moment, which), (*said, status, left, loaded, warned, again, warned_again) in zip(moments, found, strict=True):
        assert said == [moment, str(which)]
        assert status == str(-signal.SIGKILL)
        assert left == ("0" if moment in (cache_places.MOMENTS[0], cache_places.MOMENTS[-1]) else "1")
        assert int(loaded) == which - (moment != cache_places.MOMENTS[-1])  # those that had their names
        assert (warned, again, warned_again) == ("0", "2", "[]")
    tried(KILLS, len(found))


@pytest.mark.heavy
def test_processes_killed_at_random_while_they_fill(first: FirstProcess, tmp_path: Path, tried: Tried) -> None:
    rng = np.random.default_rng(0)
    root = tmp_path / "cache"
    for turn in range(15):
        both = [start_python(first.code, FASTMLP_CACHE_DIR=str(root)) for _ in range(2)]
        for process in both:
            wanted = len(kernels(root)) + int(rng.integers(4))  # files, then up to the time that one kernel takes
            while process.poll() is None and len(kernels(root)) < wanted:
                time.sleep(0.01)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(float(rng.uniform(0.0, 0.3)))
            process.kill()
            process.communicate()
        tried(KILLS, len(both))
        if turn % 4 == 3:
            assert runs(first.code, [root]) == [(first.outputs, "")]
            shutil.rmtree(root)
    assert runs(first.code, [root]) == [(first.outputs, "")]


def test_old_folders_are_removed_and_nothing_else(cache: Path) -> None:
    current = folder_in(cache)
    names = {
        "old": "kernels-" + "0" * 32,
        "young": "kernels-" + "1" * 32,
        "foreign": "not ours",
        "digest": "0123456789abcdef" * 2,
        "mixed": "kernels-" + "2" * 32,
    }
    for name in names.values():
        (cache / name).mkdir()
        (cache / name / "x.kernel").write_bytes(b"x")
    (cache / "file").write_bytes(b"x")
    (cache / names["mixed"] / "thesis.txt").write_text("mine")
    for name in ("old", "foreign", "digest", "mixed"):
        os.utime(cache / names[name], (0, 0))
    os.utime(cache / "file", (0, 0))
    os.utime(current, (0, 0))
    run_python(TINY, "-W", "error", FASTMLP_CACHE_DIR=str(cache))
    kept = {names[name] for name in ("young", "foreign", "digest", "mixed")}
    assert {path.name for path in cache.iterdir()} == {current.name, "file", *kept}
    assert (cache / names["mixed"] / "thesis.txt").read_text() == "mine"
    assert current.stat().st_mtime > 0  # used, so young again


@unix
def test_what_killed_processes_left_is_removed_after_a_day(cache: Path) -> None:
    young, old, ahead = (folder_in(cache) / f"{name}.part" for name in ("young", "old", "ahead"))
    days = {young: -0.5, old: -1.5, ahead: 400.0}  # a clock may have been wrong
    for path, past in days.items():
        path.write_bytes(b"x")
        os.utime(path, (0, time.time() + past * 86400))
    elsewhere = cache.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / "x.kernel").write_bytes(b"x")
    link, later = cache / f"kernels-{'3' * 32}", cache / f"kernels-{'4' * 32}"
    link.symlink_to(elsewhere)
    os.utime(elsewhere, (0, 0))
    later.mkdir()
    os.utime(later, (0, time.time() + 400 * 86400))
    run_python(TINY, "-W", "error", FASTMLP_CACHE_DIR=str(cache))
    assert [path.exists() for path in (young, old, ahead)] == [True, False, True]
    assert (elsewhere / "x.kernel").exists()
    assert later.is_dir()


def test_without_compilation_there_is_a_clear_error(tmp_path: Path) -> None:
    code = """
from fastmlp import Network
try:
    Network([2, 1], seed=0)
except RuntimeError as error:
    print(error)
"""
    said, _ = run_python(code, NUMBA_DISABLE_JIT="1", FASTMLP_CACHE_DIR=str(tmp_path))
    assert "cannot run with NUMBA_DISABLE_JIT set" in said


def test_an_interrupt_while_a_kernel_compiles_comes_when_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, ctypes would suppress the exception where LLVM calls Python, or Numba would remain half loaded."""
    done = []
    compiled = CFunc.compile

    def compile_interrupted(self: CFunc) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        compiled(self)
        done.append(self)

    @kernel(cached=False)  # so that a second run compiles it, too
    def nothing(a: Reals) -> None:
        a[0] = a[0]

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        patched.setattr(CFunc, "compile", compile_interrupted)
        with pytest.raises(KeyboardInterrupt):
            nothing.address(np.dtype(np.float64))
    assert len(done) == 1
    assert signal.getsignal(signal.SIGINT) is before
    assert nothing.address(np.dtype(np.float64))
