"""A save that is killed leaves the complete old or new file. A temporary file that it leaves is removed later."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from behaviour import Tried, finish, run_python, small_network, start_python

from fastmlp import Network
from fastmlp._io import atomic
from fastmlp._io.atomic import write_atomically

IMPORTS = "import killed_saves\nfrom pathlib import Path\n"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}  # NumPy's; a process with threads had better not be forked

# Memory is taken at once. Else every eighth child asks the system for more, as the heap that it inherits is full,
# and the numbers of its other calls shift.
MEMORY = {"PYTHONMALLOC": "malloc", "MALLOC_TOP_PAD_": str(1 << 26), "MALLOC_TRIM_THRESHOLD_": str(1 << 28)}

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has neither fork nor signals")


@pytest.mark.parametrize(
    ("saving", "stride"),
    [
        ("onto_an_older_file", 1),
        pytest.param("for_the_first_time", 1, marks=pytest.mark.heavy),
        pytest.param("through_a_symbolic_link", 1, marks=pytest.mark.heavy),
        pytest.param("of_a_table", 1, marks=pytest.mark.heavy),
        pytest.param("of_predictions", 5, marks=pytest.mark.heavy),
    ],
)
@posix
def test_a_save_killed_at_any_system_call_leaves_one_whole_file(
    tmp_path: Path, saving: str, stride: int, tried: Tried
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    code = f"if killed_saves.can_trace(): killed_saves.at_every_call({saving!r}, Path({str(folder)!r}), {stride})"
    out, _ = run_python(IMPORTS + code, seconds=300, **ONE_THREAD, **MEMORY)
    if not out:
        pytest.skip("this machine lets no process trace its child (ptrace)")
    assert int(out) > 30
    tried("a save killed (SIGKILL) at a system call, going in or coming out", int(out))


@pytest.mark.parametrize("moments", [6, pytest.param(200, marks=pytest.mark.heavy)])
@posix
def test_a_save_killed_at_any_moment_leaves_one_whole_file(tmp_path: Path, moments: int, tried: Tried) -> None:
    code = f"killed_saves.at_random_moments({moments}, Path({str(tmp_path)!r}))"
    out, _ = run_python(IMPORTS + code, seconds=600, **ONE_THREAD)
    tried("a save killed (SIGKILL) at a random moment", int(out))


SAVING = """
import sys
from fastmlp import Network
network = Network([300, 40, 3], seed={seed})
network.save({path!r} + "{seed}")
print("ready", flush=True)
sys.stdin.readline()
for number in range({times}):
    network.save({path!r})
"""


@pytest.mark.parametrize("times", [10, pytest.param(100, marks=pytest.mark.heavy)])
def test_two_processes_that_save_to_one_path_leave_one_whole_file_at_any_moment(
    tmp_path: Path, times: int, tried: Tried
) -> None:
    path = tmp_path / "model"
    pair = [start_python(SAVING.format(seed=seed, path=str(path), times=times), talks=True) for seed in (1, 2)]
    for process in pair:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    whole = {path.with_name(f"model{seed}").read_bytes() for seed in (1, 2)}
    for process in pair:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = []
    while any(process.poll() is None for process in pair):
        if path.exists():
            found.append(path.read_bytes())
    for process in pair:
        finish(process)
    found.append(path.read_bytes())
    assert set(found) <= whole
    Network.load(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model", "model1", "model2"]
    tried("two processes that save to one path at the same time, each save", 2 * times)


# What a killed save leaves -------------------------------------------------------------------------------------------

LEFT = ".fastmlp-0123456789abcdef.tmp"


def aged(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_save_removes_what_killed_ones_left_and_nothing_else(tmp_path: Path) -> None:
    names = [f".fastmlp-{number:016x}.tmp" for number in range(300)]
    others = [".fastmlp-0123.tmp", ".fastmlp-0123456789abcdeg.tmp", "a.fastmlp-0123456789abcdef.tmp", ".fastmlp-x"]
    for name in names + others:
        (tmp_path / name).write_bytes(b"half a mod")
        aged(tmp_path / name, atomic.ABANDONED + 5)
    aged(tmp_path / names[7], atomic.ABANDONED - 60)  # its writer may only be about to lock it
    folder = tmp_path / ".fastmlp-ffffffffffffffff.tmp"
    folder.mkdir()
    aged(folder, atomic.ABANDONED + 5)
    small_network().save(tmp_path / "model")
    assert {file.name for file in tmp_path.iterdir()} == {*others, names[7], folder.name, "model"}


@posix
def test_a_link_or_a_pipe_of_such_a_name_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"kept")
    aged(target, atomic.ABANDONED + 5)
    (tmp_path / LEFT).symlink_to(target)
    pipe = tmp_path / LEFT.replace("0", "f")
    os.mkfifo(pipe)
    aged(pipe, atomic.ABANDONED + 5)
    write_atomically(tmp_path / "new", [b"new"])
    assert target.read_bytes() == b"kept"
    assert (tmp_path / LEFT).is_symlink()
    assert pipe.exists()


@posix
def test_what_is_finished_while_it_is_looked_at_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer has closed the file, and is about to rename it."""
    (tmp_path / LEFT).write_bytes(b"whole")
    aged(tmp_path / LEFT, atomic.ABANDONED + 5)
    monkeypatch.setattr(atomic.fcntl, "flock", lambda *_: aged(tmp_path / LEFT, 0))
    write_atomically(tmp_path / "new", [b"new"])
    assert (tmp_path / LEFT).exists()


def test_a_folder_is_listed_once_in_ten_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each save this would take longer than the save itself in a folder of 100,000 files."""
    seconds = 10 * atomic.ABANDONED
    monkeypatch.setattr(atomic, "time", SimpleNamespace(time=time.time, monotonic=lambda: seconds))
    listed, scandir = [], os.scandir

    def listing(folder: Path) -> Iterator[os.DirEntry[str]]:
        listed.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", listing)
    for _ in range(3):
        write_atomically(tmp_path / "new", [b"new"])
    assert listed == [tmp_path]
    (tmp_path / LEFT).write_bytes(b"")
    aged(tmp_path / LEFT, atomic.ABANDONED + 5)
    seconds += atomic.ABANDONED
    write_atomically(tmp_path / "new", [b"new"])
    assert [file.name for file in tmp_path.iterdir()] == ["new"]


WRITING = """
import sys
from fastmlp._io.atomic import write_atomically

def parts():
    yield b"first" * 1000
    print("begun", flush=True)
    sys.stdin.readline()
    yield b"last"

write_atomically({path!r}, parts())
"""


def test_what_another_process_is_writing_is_not_removed_however_old_it_is(tmp_path: Path) -> None:
    process = start_python(WRITING.format(path=str(tmp_path / "slow")), talks=True)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "begun\n"
    (temporary,) = tmp_path.glob(".fastmlp-*.tmp")
    assert re.fullmatch(r"\.fastmlp-[0-9a-f]{16}\.tmp", temporary.name)
    aged(temporary, 10 * atomic.ABANDONED)
    write_atomically(tmp_path / "quick", [b"new"])
    assert temporary.exists()
    process.stdin.write("go\n")
    process.stdin.flush()
    finish(process)
    assert (tmp_path / "slow").read_bytes() == b"first" * 1000 + b"last"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["quick", "slow"]


@posix
def test_what_cannot_be_removed_stops_no_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / LEFT).write_bytes(b"")
    aged(tmp_path / LEFT, atomic.ABANDONED + 5)

    def refused(*_: object) -> None:
        raise PermissionError(1, "not yours")

    def unreadable(_: object) -> Iterator[object]:
        raise PermissionError(13, "cannot list")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refused)
        write_atomically(tmp_path / "one", [b"new"])
        patch.setattr(os, "scandir", unreadable)
        atomic._remove_abandoned.cache_clear()
        write_atomically(tmp_path / "two", [b"new"])
    assert {file.name for file in tmp_path.iterdir()} == {LEFT, "one", "two"}
