"""Saves that are killed, at a system call by ptrace or at a random moment; tests run them in a separate process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from behaviour import small_data, small_network
from table_files import flats

from fastmlp import Network
from fastmlp._io import atomic
from fastmlp.tables import TabularModel, prepare

_TRACEME, _SYSCALL, _SETOPTIONS = 0, 24, 0x4200
_OPTIONS = 0x1 | 0x100000  # TRACESYSGOOD: stops at calls look like no others; EXITKILL: nobody outlives the tracer


def ptrace(request: int, pid: int = 0, data: int = 0) -> bool:
    """Call ptrace and return whether it succeeded."""
    call = ctypes.CDLL(None, use_errno=True).ptrace
    call.restype, call.argtypes = ctypes.c_long, [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return bool(call(request, pid, None, ctypes.c_void_p(data)) == 0)


def can_trace() -> bool:
    """Return whether this machine allows a process to trace its child."""
    if not sys.platform.startswith("linux"):
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ptrace(_TRACEME) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def killed_at_stop(number: int, action: Callable[[], None]) -> bool:
    """Run `action` in a process and kill it at its stop `number` at a system call. Return whether it reached it."""
    pid = os.fork()
    if pid == 0:
        try:
            ptrace(_TRACEME)
            atomic._remove_abandoned.cache_clear()
            os.kill(os.getpid(), signal.SIGSTOP)
            action()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSTOPPED(status)
    assert ptrace(_SETOPTIONS, pid, _OPTIONS)
    for _ in range(number):
        delivered = 0
        while True:  # until it stops at a call; anything else that stops it is passed on
            assert ptrace(_SYSCALL, pid, delivered)
            _, status = os.waitpid(pid, 0)
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0
                return False
            assert os.WIFSTOPPED(status), status
            if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
                break
            delivered = os.WSTOPSIG(status)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    return True


# What is saved -------------------------------------------------------------------------------------------------------

Saving = tuple[Path, Callable[[], None], Callable[[], None]]
"""The path to check, a function that restores the initial state, and the function that is killed."""


def networks() -> tuple[Network, Network]:
    """Return two networks with different files."""
    older, newer = small_network(seed=1), small_network(seed=2)
    newer.fit(*small_data(), batch_size=8)
    return older, newer


def onto_an_older_file(folder: Path) -> Saving:
    older, newer = networks()
    path = folder / "model"
    return path, lambda: older.save(path), lambda: newer.save(path)


def for_the_first_time(folder: Path) -> Saving:
    _, newer = networks()
    path = folder / "model"
    return path, lambda: path.unlink(missing_ok=True), lambda: newer.save(path)


def through_a_symbolic_link(folder: Path) -> Saving:
    older, newer = networks()
    path, link = folder / "model", folder / "link"
    link.symlink_to(path)
    return path, lambda: older.save(path), lambda: newer.save(link)


def of_a_table(folder: Path) -> Saving:
    csv = folder.with_suffix(".csv")
    table = prepare(flats(csv, 40), "sold", verbose=False)
    older, newer = (TabularModel.for_table(table, [3], seed=seed) for seed in (1, 2))
    path = folder / "model"
    return path, lambda: older.save(path), lambda: newer.save(path)


def of_predictions(folder: Path) -> Saving:
    """Return the case of `fastmlp predict --out`."""
    from fastmlp.cli import main

    csv, model, path = folder.with_suffix(".csv"), folder.with_suffix(".model"), folder / "predictions"
    TabularModel.for_table(prepare(flats(csv, 40), "sold", verbose=False), [3], seed=1).save(model)

    def predict() -> None:
        with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
            assert main(["predict", str(model), str(csv), "--out", str(path)]) in (0, None)

    return path, lambda: path.write_text("older"), predict


SAVINGS = {
    saving.__name__: saving
    for saving in (onto_an_older_file, for_the_first_time, through_a_symbolic_link, of_a_table, of_predictions)
}


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def check(path: Path, whole: list[bytes | None]) -> bytes | None:
    """Check that the file has one of the contents `whole`. Remove at most one hidden file of the killed save.

    Return the content.
    """
    found = content(path)
    assert found in whole, f"{None if found is None else len(found)} bytes that are neither file"
    left = list(path.parent.glob(".fastmlp-*.tmp"))
    assert len(left) <= 1, left
    for file in left:
        file.unlink()
    names = {file.name for file in path.parent.iterdir()} - {"link"}
    assert names == ({path.name} if found is not None else set()), names
    return found


def at_every_call(saving: str, folder: Path, stride: int = 1) -> None:
    """Kill a save at each entry and exit of a system call. Print the number of kills."""
    path, before, action = SAVINGS[saving](folder)
    before()
    older = content(path)
    action()
    newer = content(path)
    assert older != newer is not None
    found, stop = [], 0
    while True:
        before()
        assert content(path) == older
        stop += stride
        if not killed_at_stop(stop, action):
            break
        found.append(check(path, [older, newer]))
        assert not (folder / "link").exists() or (folder / "link").is_symlink()
    assert content(path) == newer
    assert set(found) == {older, newer}, "no kill struck before, or none after the rename"
    assert found == sorted(found, key=lambda state: state == newer), "the file was the newer one and then the older one"
    print(len(found))


def at_random_moments(moments: int, folder: Path) -> None:
    """Kill a process that saves two models in turn to one path, at random moments. Print the number of kills."""
    path = folder / "model"
    models = [Network([700, 700, 3], seed=seed) for seed in (1, 2)]  # 6 MB, with the moments
    files: list[bytes | None] = []
    for model in models:
        began = time.perf_counter()
        model.save(path)
        seconds = time.perf_counter() - began
        files.append(content(path))
        Network.load(path)
    chance, tried, caught = random.Random(0), 0, 0
    while tried < moments or caught < moments // 4:  # so many that struck a file half written
        tried += 1
        begun, begins = os.pipe()
        pid = os.fork()
        if pid == 0:
            while True:
                for model in models:
                    model.save(path)
                    os.write(begins, b"1")
        os.read(begun, 1)
        time.sleep(chance.uniform(0, 3 * seconds))
        os.kill(pid, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        os.close(begun)
        os.close(begins)
        caught += any(folder.glob(".fastmlp-*.tmp"))
        check(path, files)
    print(tried)
