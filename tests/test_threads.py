"""Threads, forks and threading layers: nothing hangs, nothing aborts, and the bits are those of one thread."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numba
import pytest
from behaviour import run_python

from fastmlp.kernels import threads

# Enough work for threads to be woken; `used` notes with how many a parallel kernel was called.
COMMON = """
import contextlib, hashlib, os, threading
import numpy as np
from fastmlp import Network
from fastmlp.kernels import threads as guard

rng = np.random.default_rng(0)
X = rng.normal(size=(600, 64)).astype(np.float32)
labels = rng.integers(0, 64, 600)
used = []
limited_to = guard.limited_to

@contextlib.contextmanager
def noted(count):
    used.append(count)
    with limited_to(count):
        yield

guard.limited_to = noted

def trained(**options):
    network = Network([64, 64, 64], output="softmax", seed=0, **options)
    network.fit(X, labels, epochs=3, batch_size=128)
    return network

def digest(network):
    weights = b"".join(w.tobytes() + b.tobytes() for w, b in network.get_weights())
    return hashlib.sha256(weights + network.predict(X).tobytes()).hexdigest()
"""
SERIAL = COMMON + "print(digest(trained(threads=1)), len(used))"
PARALLEL = COMMON + "print(digest(trained()), len(used))"

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
parallel_layer = pytest.mark.skipif(
    threads.layer() not in ("omp", "tbb") or numba.config.NUMBA_NUM_THREADS < 2,
    reason="needs OpenMP or TBB, and two cores",
)


@pytest.fixture(scope="module")
def serial() -> str:
    """The digest of one thread."""
    digest, used = run_python(SERIAL, "-W", "error")[0].split()
    assert used == "0"
    return digest


def no_fork_warnings() -> tuple[str, ...]:
    """Warnings are errors, but for Python 3.12's about forking with threads, which is what is tried here."""
    return "-W", "error", "-W", "ignore:This process:DeprecationWarning"


@parallel_layer
def test_threads_are_used_and_do_not_change_the_bits(serial: str) -> None:
    digest, used = run_python(PARALLEL, "-W", "error")[0].split()
    assert int(used) > 0
    assert digest == serial


@parallel_layer
def test_as_many_threads_as_numba_has_do_not_change_the_bits(serial: str) -> None:
    digest, used = run_python(PARALLEL, "-W", "error", NUMBA_NUM_THREADS="5")[0].split()
    assert int(used) > 0
    assert digest == serial


def test_one_thread_of_numba_is_serial(serial: str) -> None:
    assert run_python(PARALLEL, "-W", "error", NUMBA_NUM_THREADS="1")[0].split() == [serial, "0"]


# Forks -----------------------------------------------------------------------------------------------------------

FORKED = """
import sys
network = trained()
before = len(used)
child = os.fork()
if child == 0:
    try:
        again = digest(network) == digest(trained())
        network.fit(X, labels, batch_size=128)
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if digest(trained()) == sys.argv[1] and len(used) == before else 5)
        status = os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1])
        print(again, len(used) - before, guard.available(), status, flush=True)
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(9)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, digest(network), before > 0, guard.available() > 1)
"""


@forks
@parallel_layer
def test_a_forked_child_is_serial_and_has_the_same_bits(serial: str) -> None:
    code = COMMON + "import sys\nsys.argv.append(" + repr(serial) + ")\n" + FORKED
    child, parent = run_python(code, *no_fork_warnings())[0].splitlines()
    assert child.split() == ["True", "0", "1", "0"]
    assert parent.split() == ["0", serial, "True", "True"]


@forks
def test_a_child_forked_before_anything_ran_trains(serial: str) -> None:
    code = (
        COMMON
        + "if (child := os.fork()) == 0:\n"
        + "    print(digest(trained()), flush=True)\n"
        + "    os._exit(0)\n"
        + "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), digest(trained()))\n"
    )
    assert run_python(code, *no_fork_warnings())[0].split() == [serial, "0", serial]


MULTIPROCESSING = """
import multiprocessing, sys
import workers

if __name__ == "__main__":
    network = workers.trained()
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        there = pool.map(workers.digest, [network] * 4)
        back = pool.map(workers.make, range(2))
        pool.close()
        pool.join()
    print(*there, *(workers.digest(n) for n in back), workers.digest(network))
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_of_a_pool_predict_and_train_to_the_same_bits(
    method: str, serial: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pool")
    (folder / "workers.py").write_text(COMMON + "\ndef make(_):\n    return trained()\n")
    (folder / "main.py").write_text(MULTIPROCESSING)
    code = f"import runpy, sys; sys.path.insert(0, {str(folder)!r}); sys.argv = ['main.py', {method!r}]; "
    code += f"runpy.run_path({str(folder / 'main.py')!r}, run_name='__main__')"
    assert run_python(code, *no_fork_warnings())[0].split() == [serial] * 7


# The workqueue layer, which aborts the process when two threads enter it ------------------------------------------

IN_THREADS = """
def in_threads(count):
    gate, found = threading.Barrier(count), []
    def work():
        gate.wait()
        found.append(digest(trained()))
    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found
"""


@pytest.mark.parametrize("count", [1, 4])
def test_workqueue_is_serial_outside_of_the_main_thread(serial: str, count: int) -> None:
    code = COMMON + IN_THREADS + f"print(*in_threads({count}), len(used), guard.layer())"
    said, _ = run_python(code, "-W", "error", NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    assert said.split() == [serial] * count + ["0", "workqueue"]


def test_workqueue_is_parallel_in_the_main_thread_alone(serial: str) -> None:
    code = COMMON + IN_THREADS + "print(digest(trained()), len(used) > 0, *in_threads(4), digest(trained()))"
    said, _ = run_python(code, "-W", "error", NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    assert said.split() == [serial, "True", *[serial] * 5]


def test_workqueue_is_serial_while_another_thread_runs(serial: str) -> None:
    code = (
        COMMON
        + "done = threading.Event()\n"
        + "other = threading.Thread(target=done.wait)\n"
        + "other.start()\n"
        + "print(digest(trained()), len(used))\n"
        + "done.set()\n"
        + "other.join()\n"
    )
    said, _ = run_python(code, "-W", "error", NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    assert said.split() == [serial, "0"]


def test_without_a_threading_layer_all_is_serial(serial: str) -> None:
    """As on a machine where none loads: asked for one that is not there."""
    code = (
        "import numba\n"
        + COMMON
        + "numba.config.THREADING_LAYER = 'none of them'\n"
        + "print(digest(trained()), len(used), guard.layer(), guard.available())"
    )
    assert run_python(code, "-W", "error", NUMBA_NUM_THREADS="2")[0].split() == [serial, "0", "none", "1"]


@parallel_layer
def test_four_threads_at_once_train_to_the_same_bits(serial: str) -> None:
    code = COMMON + IN_THREADS + "print(*in_threads(4), guard.layer())"
    said = run_python(code, "-W", "error")[0].split()
    assert said == [serial] * 4 + [threads.layer()]


# The guard itself ------------------------------------------------------------------------------------------------


def test_a_limit_holds_inside_and_is_lifted_after() -> None:
    before = numba.get_num_threads()
    with threads.limited_to(1):
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


def raising_under_a_limit() -> None:
    with threads.limited_to(1):
        raise KeyError("mine")


def test_a_limit_is_lifted_after_an_exception() -> None:
    before = numba.get_num_threads()
    with pytest.raises(KeyError, match="mine"):
        raising_under_a_limit()
    assert numba.get_num_threads() == before


def test_a_limit_within_a_limit_gives_back_the_outer_one() -> None:
    most = numba.config.NUMBA_NUM_THREADS
    with threads.limited_to(1):
        with threads.limited_to(most):
            assert numba.get_num_threads() == most
        assert numba.get_num_threads() == 1


@pytest.mark.parametrize("wanted", [None, 1, 2, 10**6])
def test_there_are_never_more_threads_than_numba_has_or_are_wanted(wanted: int | None) -> None:
    assert 1 <= threads.available(wanted) <= min(wanted or 10**6, numba.config.NUMBA_NUM_THREADS)


def test_a_user_who_allows_numba_one_thread_gets_one() -> None:
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert threads.available() == 1
    finally:
        numba.set_num_threads(before)


def test_another_thread_may_ask_what_is_available() -> None:
    found: list[int] = []
    worker = threading.Thread(target=lambda: found.append(threads.available()))
    worker.start()
    worker.join()
    assert 1 <= found[0] <= numba.config.NUMBA_NUM_THREADS
