"""The cache of compiled code is used, private and never needed: whatever is wrong with it, the kernels compile anew."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from behaviour import ROOT, finish, run_python, start_python
from numba.core.ccallback import CFunc

from fastmlp.kernels import code_cache
from fastmlp.kernels._jit import Reals, kernel

TINY = """
import numpy as np
from fastmlp import Network
network = Network([2, 3, 1], seed=0)
x = np.array([[0.5, -1], [2, 3]], np.float32)
print(network.predict(x).tobytes().hex())
"""
TRAIN = TINY + "network.fit(x, x[:, 0], epochs=2)\nprint(network.predict(x).tobytes().hex())\n"
WHERE = "from fastmlp.kernels import code_cache; print(code_cache.directory())"
# Every compilation runs some passes of Numba's compiler, loading runs none.
COUNT_COMPILED = """
from numba.core import event
compiled = event.install_recorder("numba:run_pass")
recorder = compiled.__enter__()
"""
REPORT_COMPILED = "print('compiled', len(recorder.buffer))\n"
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
unix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the permissions of Unix")


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that a training has filled; tests copy it."""
    root = tmp_path_factory.mktemp("cache")
    said, warned = run_python(TRAIN, FASTMLP_CACHE_DIR=str(root))
    assert warned == ""
    assert len(said.split()) == 2
    return root


@pytest.fixture(scope="session")
def outputs(warm: Path) -> list[str]:
    """What TRAIN prints."""
    return run_python(TRAIN, FASTMLP_CACHE_DIR=str(warm))[0].split()


@pytest.fixture
def cache(warm: Path, tmp_path: Path) -> Path:
    """A warm cache of one's own, with the same permissions."""
    return Path(shutil.copytree(warm, tmp_path / "cache"))


def kernels(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below, by name."""
    return {p.name: (p.stat().st_size, p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()}


def folder_in(root: Path) -> Path:
    (folder,) = root.iterdir()
    return folder


def warnings_in(stderr: str) -> int:
    return stderr.count("RuntimeWarning: fastmlp's cache of compiled code")


# A warm cache ----------------------------------------------------------------------------------------------------


def test_a_training_fills_one_folder(warm: Path) -> None:
    assert len(kernels(folder_in(warm))) > 5
    assert {name.rsplit(".", 1)[1] for name in kernels(warm)} == {"kernel"}


def test_a_second_process_compiles_and_writes_nothing(cache: Path, outputs: list[str]) -> None:
    before = kernels(cache)
    said, warned = run_python(COUNT_COMPILED + TRAIN + REPORT_COMPILED, "-W", "error", FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == [*outputs, "compiled", "0"]
    assert warned == ""
    assert kernels(cache) == before


def test_the_counter_of_compilations_counts(cache: Path) -> None:
    shutil.rmtree(folder_in(cache))
    said, _ = run_python(COUNT_COMPILED + TINY + REPORT_COMPILED, FASTMLP_CACHE_DIR=str(cache))
    assert int(said.split()[-1]) > 0


@unix
def test_the_folder_and_its_files_are_private(warm: Path) -> None:
    assert stat.S_IMODE(folder_in(warm).stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder_in(warm).iterdir()} == {0}


# A cache that is damaged ------------------------------------------------------------------------------------------


def _flip(data: bytes) -> bytes:
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) // 2],
    "cut within the digest": lambda data: data[:20],
    "emptied": lambda data: b"",
    "flipped": _flip,
    "flipped digest": lambda data: bytes([data[0] ^ 128]) + data[1:],
    "longer": lambda data: data + b"\0",
}


def smallest(root: Path, count: int) -> list[Path]:
    """The files that take the least time to compile."""
    return sorted(folder_in(root).iterdir(), key=lambda path: path.stat().st_size)[:count]


def test_damaged_files_are_compiled_anew(cache: Path, outputs: list[str]) -> None:
    broken = {}
    for path, damage in zip(smallest(cache, len(DAMAGES)), DAMAGES, strict=True):
        whole = path.read_bytes()
        broken[path] = DAMAGES[damage](whole)
        assert broken[path] != whole
        path.write_bytes(broken[path])
    names = set(kernels(cache))
    said, warned = run_python(COUNT_COMPILED + TRAIN + REPORT_COMPILED, "-W", "error", FASTMLP_CACHE_DIR=str(cache))
    assert said.split()[:2] == outputs
    assert warned == ""
    assert set(kernels(cache)) == names
    assert not [damage for damage, path in zip(DAMAGES, broken, strict=True) if path.read_bytes() == broken[path]]
    said, _ = run_python(COUNT_COMPILED + TRAIN + REPORT_COMPILED, FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == [*outputs, "compiled", "0"]


def test_a_whole_file_that_holds_something_else_is_compiled_anew(cache: Path, outputs: list[str]) -> None:
    for path, content in zip(smallest(cache, 2), (b"no pickle", pickle.dumps({"a": 1})), strict=True):
        path.write_bytes(hashlib.sha256(content).digest() + content)
    said, warned = run_python(TRAIN, FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == outputs
    assert warnings_in(warned) <= 2
    assert "Traceback" not in warned


def test_a_folder_in_place_of_a_file_does_no_harm(cache: Path, outputs: list[str]) -> None:
    (path,) = smallest(cache, 1)
    path.unlink()
    path.mkdir()
    said, warned = run_python(TRAIN, FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == outputs
    assert warnings_in(warned) <= 2
    assert "Traceback" not in warned


# A cache that cannot be used --------------------------------------------------------------------------------------


def test_a_file_in_place_of_the_folder_gives_one_warning(tmp_path: Path, outputs: list[str]) -> None:
    (tmp_path / "file").write_text("mine")
    said, warned = run_python(TINY, FASTMLP_CACHE_DIR=str(tmp_path / "file"))
    assert said.split() == outputs[:1]
    assert warnings_in(warned) == 1
    assert "FASTMLP_CACHE_DIR" in warned
    assert (tmp_path / "file").read_text() == "mine"


# Root may write anywhere, so there the process gives up its privileges (capset of Linux) and keeps its files.
UNPRIVILEGED = """
import ctypes
libc = ctypes.CDLL(None)
assert libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
"""
MAY_NOT_WRITE = UNPRIVILEGED if AS_ROOT else ""
closable = pytest.mark.skipif(
    not hasattr(os, "geteuid") or (AS_ROOT and sys.platform != "linux"), reason="needs folders that cannot be written"
)


@closable
def test_a_folder_that_cannot_be_written_gives_one_warning(cache: Path, outputs: list[str]) -> None:
    for path in smallest(cache, 2):
        path.unlink()
    before = kernels(cache)
    folder_in(cache).chmod(0o500)
    try:
        said, warned = run_python(
            MAY_NOT_WRITE + COUNT_COMPILED + TRAIN + REPORT_COMPILED, FASTMLP_CACHE_DIR=str(cache)
        )
    finally:
        folder_in(cache).chmod(0o700)
    assert said.split()[:2] == outputs
    assert said.split()[-1] != "0"
    assert warnings_in(warned) == 1
    assert kernels(cache) == before


@closable
def test_a_root_that_cannot_be_written_gives_one_warning(tmp_path: Path, outputs: list[str]) -> None:
    root = tmp_path / "closed"
    root.mkdir()
    root.chmod(0o500)
    said, warned = run_python(MAY_NOT_WRITE + TINY, FASTMLP_CACHE_DIR=str(root))
    assert said.split() == outputs[:1]
    assert warnings_in(warned) == 1
    assert list(root.iterdir()) == []


@unix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_refused_with_a_warning(cache: Path, outputs: list[str], mode: int) -> None:
    for path in folder_in(cache).iterdir():
        path.write_bytes(b"")  # would be replaced if the folder were used
    folder_in(cache).chmod(mode)
    before = kernels(cache)
    said, warned = run_python(TINY, FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == outputs[:1]
    assert warnings_in(warned) == 1
    assert "somebody else" in warned
    assert kernels(cache) == before


@unix
@pytest.mark.skipif(not AS_ROOT, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused_with_a_warning(cache: Path, outputs: list[str]) -> None:
    os.chown(folder_in(cache), 65534, 65534)
    before = kernels(cache)
    said, warned = run_python(TINY, FASTMLP_CACHE_DIR=str(cache))
    assert said.split() == outputs[:1]
    assert warnings_in(warned) == 1
    assert kernels(cache) == before


def test_without_a_home_there_is_still_a_place(tmp_path: Path) -> None:
    # An unknown home is looked up in the list of users; a process that is in no list has none.
    code = (
        "import pathlib\n"
        "def none(cls): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = classmethod(none)\n"
    )
    for first in ("", code):
        said, warned = run_python(
            first + WHERE,
            "-W",
            "error",
            HOME=None,
            XDG_CACHE_HOME=None,
            FASTMLP_CACHE_DIR=None,
            TMPDIR=str(tmp_path),
        )
        assert Path(said.strip()).is_absolute()
        assert warned == ""
        assert first == "" or Path(said.strip()).parent.parent == tmp_path


def test_a_home_that_is_no_folder_gives_one_warning(tmp_path: Path, outputs: list[str]) -> None:
    (tmp_path / "file").write_text("mine")
    said, warned = run_python(TINY, HOME=str(tmp_path / "file"), XDG_CACHE_HOME=None, FASTMLP_CACHE_DIR=None)
    assert said.split() == outputs[:1]
    assert warnings_in(warned) == 1


def test_the_place_follows_the_conventions_of_the_system(tmp_path: Path) -> None:
    chosen = run_python(WHERE, FASTMLP_CACHE_DIR=str(tmp_path / "chosen"))[0].strip()
    assert Path(chosen).parent == tmp_path / "chosen"
    if os.name == "posix" and os.uname().sysname == "Linux":
        xdg = run_python(WHERE, FASTMLP_CACHE_DIR=None, XDG_CACHE_HOME=str(tmp_path))[0].strip()
        assert Path(xdg).parent == tmp_path / "fastmlp"
        home = run_python(WHERE, FASTMLP_CACHE_DIR=None, XDG_CACHE_HOME=None, HOME=str(tmp_path))[0].strip()
        assert Path(home).parent == tmp_path / ".cache" / "fastmlp"


# Races and versions -----------------------------------------------------------------------------------------------


def test_two_processes_that_start_cold_at_once_both_succeed(tmp_path: Path, outputs: list[str]) -> None:
    both = [start_python(TINY, "-W", "error", FASTMLP_CACHE_DIR=str(tmp_path / "cache")) for _ in range(2)]
    for process in both:
        said, warned = finish(process)
        assert said.split() == outputs[:1]
        assert warned == ""
    before = kernels(tmp_path / "cache")
    assert {name.rsplit(".", 1)[1] for name in before} == {"kernel"}
    assert run_python(TINY, "-W", "error", FASTMLP_CACHE_DIR=str(tmp_path / "cache"))[0].split() == outputs[:1]
    assert kernels(tmp_path / "cache") == before


def copied_sources(target: Path) -> Path:
    """A copy of the packages; returns the folder of its kernels."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fastmlp", target / "fastmlp", ignore=ignore)
    if not (target / "fastmlp" / "kernels").is_dir():
        shutil.copytree(ROOT / "kernels", target / "kernels", ignore=ignore)
        return target / "kernels"
    return target / "fastmlp" / "kernels"


def test_changed_kernels_have_a_folder_of_their_own(tmp_path: Path) -> None:
    sources = copied_sources(tmp_path)

    def where() -> str:
        said, _ = run_python(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{WHERE}; print(code_cache.__file__)")
        folder, module = said.split("\n")[:2]
        assert Path(module).is_relative_to(tmp_path)
        return folder

    first = where()
    assert first == str(code_cache.directory())  # the place of the sources does not matter, their text does
    file = sources / "functions.py"
    text = file.read_bytes()
    file.write_bytes(text + b"\n")
    second = where()
    (sources / "one_more.py").write_bytes(b"")
    file.write_bytes(text)
    assert second != first
    (sources / "one_more.py").unlink()
    assert where() == first


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NUMBA_BOUNDSCHECK", "1"), ("NUMBA_OPT", "1"), ("NUMBA_DEBUGINFO", "1"), ("NUMBA_CPU_NAME", "generic")],
)
def test_flags_that_change_the_code_have_a_folder_of_their_own(variable: str, value: str) -> None:
    assert run_python(WHERE, **{variable: value})[0].strip() != str(code_cache.directory())


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


def test_code_of_sources_that_changed_after_import_is_not_kept(tmp_path: Path) -> None:
    sources = copied_sources(tmp_path)
    changed = f"""
import sys, pathlib; sys.path.insert(0, {str(tmp_path)!r})
import fastmlp.kernels.step
file = pathlib.Path({str(sources / "step.py")!r})
text = file.read_text()
assert "state[at.STEP] += 1" in text
file.write_text(text.replace("state[at.STEP] += 1", "state[at.STEP] += 1000"))
"""
    fit = TINY + "network.fit(x, x[:, 0], batch_size=2)\nprint(network.step)\n"
    said, _ = run_python(changed + fit, FASTMLP_CACHE_DIR=str(tmp_path / "cache"))
    assert said.split()[-1] == "1"
    new = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + fit
    said, _ = run_python(new, FASTMLP_CACHE_DIR=str(tmp_path / "cache"))
    assert said.split()[-1] == "1000"


def test_a_kernel_from_elsewhere_is_compiled_anew_when_its_file_changes(tmp_path: Path) -> None:
    text = """
import numpy as np
from fastmlp.kernels._jit import Reals, kernel

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


def test_kernels_from_an_archive_work_without_a_cache(tmp_path: Path, outputs: list[str]) -> None:
    sources = copied_sources(tmp_path / "tree")
    if sources.parent.name != "fastmlp":
        shutil.move(sources, tmp_path / "tree" / "fastmlp" / "kernels")
    archive = shutil.make_archive(str(tmp_path / "fastmlp"), "zip", tmp_path / "tree")
    code = f"import sys; sys.path.insert(0, {archive!r})\n" + TINY
    said, _ = run_python(code, FASTMLP_CACHE_DIR=str(tmp_path / "cache"))
    assert said.split() == outputs[:1]
    assert not list(tmp_path.rglob("*.kernel"))


def test_an_interrupt_while_a_kernel_compiles_comes_when_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be lost where LLVM calls back into Python, as ctypes suppresses it, or leave Numba half loaded."""
    done = []
    compiled = CFunc.compile

    def compile_interrupted(self: CFunc) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        compiled(self)
        done.append(self)

    @kernel()
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
