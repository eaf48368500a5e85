"""Threads: whatever other threads do, nothing hangs or aborts, and the bits are those of one thread."""

from __future__ import annotations

import copy
import hashlib
import importlib
import inspect
import itertools
import json
import os
import pickle
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import threaded
from behaviour import Tried, bits, finish, run_python, small_data, small_network, start_python
from numba.np.ufunc import parallel

from fastmlp import Callback, Network
from fastmlp._runtime.locks import NetworkLock
from fastmlp.kernels.host import threads

X, LABELS = small_data()
BATCH = 8


def loads(layer: str) -> bool:
    """Return whether this machine has a threading layer of Numba."""
    try:
        if layer == "tbb":
            parallel._check_tbb_version_compatible()
        importlib.import_module({"omp": "numba.np.ufunc.omppool", "tbb": "numba.np.ufunc.tbbpool"}[layer])
    except ImportError:
        return False
    return True


def needs(layer: str) -> Any:
    return pytest.mark.skipif(not loads(layer), reason=f"needs Numba's threading layer {layer}")


LAYERS = [
    pytest.param("omp", marks=needs("omp")),
    pytest.param("tbb", marks=needs("tbb")),
    pytest.param("workqueue", marks=pytest.mark.heavy),
    "workqueue alone",
]
"""Numba's threading layers, and its choice without OpenMP and TBB."""

COMMON = """
import sys
if {alone}:
    sys.modules["numba.np.ufunc.omppool"] = sys.modules["numba.np.ufunc.tbbpool"] = None  # cannot be imported
import os, threading
import numba
import numpy as np
from fastmlp import Network
from threaded import *
use_threads_wherever_possible()
"""


def run(code: str, layer: str = "default", seconds: float = 120.0, **variables: str) -> str:
    """Run the code in a separate process with two threads of a layer, and return its output."""
    said = {"NUMBA_NUM_THREADS": "2", **variables}
    if layer != "workqueue alone":
        said["NUMBA_THREADING_LAYER"] = layer
    whole = COMMON.format(alone=layer == "workqueue alone") + textwrap.dedent(code)
    return run_python(whole, *WARNINGS, seconds=seconds, **said)[0]


# Warnings are errors, but for Python 3.12's about forking with threads.
WARNINGS = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")

needs_a_safe_layer = pytest.mark.skipif(
    threads.layer() not in ("omp", "tbb"), reason="needs OpenMP or TBB, which let any thread be parallel"
)


@pytest.fixture(scope="module")
def serial() -> str:
    """Return the digest of a training on one thread."""
    digest, count = run("print(digest(trained(threads=1)), len(used))").split()
    assert count == "0"
    return digest


# Parallel work has the bits of one thread ------------------------------------------------------------------------


@needs_a_safe_layer
@pytest.mark.parametrize("count", ["2", "5"])
def test_threads_are_used_and_do_not_change_the_bits(count: str, serial: str) -> None:
    found, calls = run("print(digest(trained()), len(used))", NUMBA_NUM_THREADS=count).split()
    assert int(calls) > 0
    assert found == serial


def test_one_thread_of_numba_is_serial(serial: str) -> None:
    assert run("print(digest(trained()), len(used))", NUMBA_NUM_THREADS="1").split() == [serial, "0"]


def test_without_a_threading_layer_all_is_serial(serial: str) -> None:
    """Request a layer that does not exist, as on a machine where no layer can be loaded."""
    code = """
        numba.config.THREADING_LAYER = 'none of them'
        print(digest(trained()), len(used), guard.layer(), guard.available())
    """
    assert run(code).split() == [serial, "0", "none", "1"]


# Many threads at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("rounds", [6, pytest.param(50, marks=pytest.mark.heavy)])
def test_eight_threads_fit_and_predict_at_once(rounds: int, layer: str, serial: str, tried: Tried) -> None:
    code = f"""
        found = in_threads(8, lambda _: [trained_digest() for _ in range({rounds})])
        wrong = [f for f in found if not isinstance(f, list)]
        print(guard.layer(), len(used) > 0, wrong, *{{d for digests in found for d in digests}})
    """
    kind, parallel_calls, wrong, *digests = run(code, layer).split()
    assert kind == layer.split()[0]
    assert parallel_calls == str(kind != "workqueue")
    assert (wrong, digests) == ("[]", [serial])
    tried("a fit and a prediction, in 8 Python threads at once, by threading layer", 8 * rounds)


@pytest.mark.parametrize("layer", [pytest.param("workqueue", marks=pytest.mark.heavy), "workqueue alone"])
def test_workqueue_is_parallel_in_the_main_thread_alone(layer: str, serial: str, tried: Tried) -> None:
    """This includes a thread that `threading` does not know."""
    code = """
        import _thread
        started, done = threading.Lock(), threading.Lock()
        started.acquire(); done.acquire()
        print(digest(trained())); alone = len(used)
        _thread.start_new_thread(lambda: (started.release(), done.acquire()), ())
        started.acquire()
        print(digest(trained())); beside = len(used) - alone
        done.release()
        print(*in_threads(4, trained_digest), alone > 0, beside, len(used) - alone - beside)
    """
    *digests, alone, beside, others = run(code, layer).split()
    assert digests == [serial] * 6
    assert (alone, beside, others) == ("True", "0", "0")
    tried("a fit with Numba's workqueue layer, alone and beside another thread", 6)


HEAVY_LAYERS = [
    pytest.param("omp", 50, marks=[needs("omp"), pytest.mark.heavy]),
    pytest.param("tbb", 50, marks=[needs("tbb"), pytest.mark.heavy]),
    pytest.param("workqueue", 50, marks=pytest.mark.heavy),
    pytest.param("workqueue alone", 50, marks=pytest.mark.heavy),
]


@pytest.mark.parametrize(("layer", "rounds"), [(threads.layer(), 5), *HEAVY_LAYERS])
def test_another_library_is_parallel_at_the_same_time(layer: str, rounds: int, serial: str, tried: Tried) -> None:
    """With workqueue in one thread, since two threads of it would abort by themselves."""
    others = 1 if "workqueue" in layer else 3
    code = f"""
        ones = np.ones(50_000)
        assert another_librarys_sum(ones) == 50_000
        def work(number):
            if number < {others}:
                return {{another_librarys_sum(ones) for _ in range({20 * rounds})}} == {{50_000.0}}
            return {{trained_digest() for _ in range({rounds})}}
        found = in_threads({others} + 3, work)
        print(found[:{others}] == [True] * {others}, *set().union(*found[{others}:]))
    """
    assert run(code, layer).split() == ["True", serial]
    tried("a fit beside another library's parallel functions", 3 * rounds)


@pytest.mark.parametrize(
    ("backend", "jobs"),
    [
        ("threading", 4),
        pytest.param("threading", 30, marks=pytest.mark.heavy),
        pytest.param("loky", 30, marks=pytest.mark.heavy),
    ],
)
def test_joblib_fits_and_predicts_in_its_workers(backend: str, jobs: int, serial: str, tried: Tried) -> None:
    code = f"""
        import joblib, threaded
        networks = [fresh() for _ in range({jobs})]
        with joblib.parallel_config("{backend}", n_jobs=2):
            run = joblib.Parallel()
            fitted = run(joblib.delayed(threaded.fitted)(network) for network in networks)
            there = run(joblib.delayed(threaded.digest)(network) for network in fitted)
        print(*{{*there, *(digest(network) for network in fitted)}})
    """
    assert run(code, LOKY_MAX_CPU_COUNT="2").split() == [serial]
    tried("a network fitted and asked in joblib's workers, threading and loky", jobs)


@pytest.mark.parametrize("count", [8])
def test_threads_that_import_and_compile_at_once(count: int, tried: Tried) -> None:
    """The other threads wait for the kernel that the first one compiles or loads."""
    code = f"""
        import threading
        gate, found = threading.Barrier({count}), []
        def work():
            gate.wait()
            from threaded import trained_digest
            found.append(trained_digest())
        workers = [threading.Thread(target=work) for _ in range({count})]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        print(len(found), len(set(found)))
    """
    assert run_python(textwrap.dedent(code), *WARNINGS)[0].split() == [str(count), "1"]
    tried("a first import and fit in 8 threads at once", count)


@pytest.mark.heavy
def test_threads_that_compile_everything_at_once_without_a_cache(tmp_path: Any, tried: Tried) -> None:
    code = "print(len(set(in_threads(8, trained_digest))), len(used) > 0)"
    assert run(code, FASTMLP_CACHE_DIR=str(tmp_path / "empty")).split()[0] == "1"
    tried("a first import and fit in 8 threads at once", 8)


def test_predictions_of_eight_threads_by_one_network_are_those_of_one(tried: Tried) -> None:
    network = Network([64, 128, 64, 8], output="softmax", seed=0)
    counts = [1, 2, 16, *range(100, 490, 30)]  # few rows go a way of their own
    rows = [np.random.default_rng(count).normal(size=(count, 64)).astype(np.float32) for count in counts]
    serial = [network.predict(x) for x in rows]
    found = threaded.in_threads(8, lambda n: [network.predict(rows[(n + i) % 16]) for i in range(16)])
    assert all(np.array_equal(found[n][i], serial[(n + i) % 16]) for n, i in itertools.product(range(8), range(16)))
    tried("a prediction by one network, asked by 8 threads at once", 8 * 16)


# One network, used by other threads while it is fitted -----------------------------------------------------------


def large_network() -> Network:
    """Return a network whose step takes a millisecond, so that a read without the lock would get half of a step."""
    return Network([64, 256, 256, 8], output="softmax", seed=0)


class Recorder(Callback):
    """A callback that records the weights after each step, and ends the fit on request."""

    def __init__(self, enough: threading.Event) -> None:
        self.enough = enough
        self.started = threading.Event()
        self.seen: set[bytes] = set()
        self.steps = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.seen.add(weights_of(self.network))
        self.steps += 1
        self.started.set()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.network.stop_training = self.enough.is_set()


def weights_of(network: Network) -> bytes:
    """Return the digest of the weights."""
    weights = network.get_weights()
    return hashlib.sha256(b"".join(w.tobytes() + b.tobytes() for w, b in weights if b is not None)).digest()


def copied(network: Network) -> bytes:
    return weights_of(copy.copy(network))


def pickled(network: Network) -> bytes:
    return weights_of(pickle.loads(pickle.dumps(network)))


def saved(network: Network) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "model")
        return weights_of(Network.load(Path(folder) / "model"))


READS: dict[str, Callable[[Network], bytes]] = {
    "get_weights": weights_of,
    "copy": copied,
    "pickle": pickled,
    "save": saved,
}

CHANGES: dict[str, Callable[[Network], Any]] = {
    "fit": lambda n: n.fit(X, LABELS),
    "train_on_batch": lambda n: n.train_on_batch(X, LABELS),
    "set_weights": lambda n: n.set_weights(small_network().get_weights()),
    "learning_rate": lambda n: setattr(n, "learning_rate", 0.5),
    "reinitialize": lambda n: n.reinitialize(3),
}


@pytest.mark.parametrize("times", [25, pytest.param(200, marks=pytest.mark.heavy)])
def test_who_reads_during_a_fit_gets_the_network_of_a_finished_step(times: int, tried: Tried) -> None:
    """The fit ends only after all reads, so no read waits for its end."""
    enough, network = threading.Event(), large_network()
    recorder = Recorder(enough)
    found: list[tuple[str, bytes]] = []
    rows, labels = threaded.X, threaded.LABELS

    def read(name: str) -> None:
        recorder.started.wait()
        for _ in range(times):
            found.append((name, READS[name](network)))
            network.predict(rows)

    with ThreadPoolExecutor(1 + len(READS)) as pool:
        fit = pool.submit(network.fit, rows, labels, epochs=10**6, batch_size=300, callbacks=[recorder])
        try:
            for reading in [pool.submit(read, name) for name in READS]:
                reading.result(timeout=100)
        finally:
            enough.set()
        fit.result()
    assert [name for name, weights in found if weights not in recorder.seen] == []
    assert len(found) == times * len(READS)
    again = large_network()
    again.fit(rows, labels, epochs=network.epoch, batch_size=300)
    assert bits(again) == bits(network)
    tried("a network read by another thread while it is fitted", len(found))


def test_who_reads_waits_for_one_step_and_not_for_the_end_of_an_epoch(tried: Tried) -> None:
    """The epoch ends after all reads, and no callback makes a pause."""
    enough, started, reads = threading.Event(), threading.Event(), 30
    network = large_network()

    def chunks() -> Any:
        while not enough.is_set():
            started.set()
            yield threaded.X, threaded.LABELS

    def read() -> int:
        started.wait()
        try:
            return len([network.predict(threaded.X[:5]) for _ in range(reads)])
        finally:
            enough.set()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        network.fit(chunks, batch_size=300)
        assert reading.result() == reads
    tried("a network read by another thread while it is fitted", reads)


def test_the_making_of_a_chunk_may_wait_for_another_thread_that_reads_the_network(tried: Tried) -> None:
    network = large_network()

    def chunks() -> Any:
        for _ in range(3):
            with ThreadPoolExecutor(1) as pool:
                read.append(pool.submit(network.predict, threaded.X[:5]).result(timeout=100))
            yield threaded.X, threaded.LABELS

    read: list[Any] = []
    network.fit(chunks, batch_size=300)
    assert len(read) == 3
    tried("a network read by another thread while it is fitted", len(read))


class Turn:
    """A lock that records when another thread than the main one has acquired it."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.taken = threading.Event()

    def __enter__(self) -> None:
        self.lock.__enter__()
        if threading.current_thread() is not threading.main_thread():
            self.taken.set()

    def __exit__(self, *error: Any) -> None:
        self.lock.__exit__(*error)


def test_steps_without_a_pause_let_a_waiting_reader_in_after_the_first() -> None:
    """A lock that is released and acquired again at once is not acquired by another thread meanwhile."""
    use = NetworkLock()
    turn = use.turn = Turn(use.turn)
    read_at: list[int] = []
    steps = 0

    def read() -> None:
        with use.turn, use.lock:
            read_at.append(steps)

    reader = threading.Thread(target=read)
    with use.fit():
        with use.update():
            reader.start()
            turn.taken.wait()
        while not read_at:
            with use.update():
                steps += 1
    reader.join()
    assert read_at == [0]


@pytest.mark.parametrize("rows", [1, len(X)])
def test_predictions_during_a_fit_are_those_of_a_finished_step(rows: int, tried: Tried) -> None:
    enough, network = threading.Event(), small_network()
    recorder = Recorder(enough)
    found: list[bytes] = []

    def ask() -> None:
        recorder.started.wait()
        for _ in range(50):
            found.append(network.predict(X[:rows]).tobytes())
        enough.set()

    expected: set[bytes] = set()

    class Predictions(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            expected.add(self.network.predict(X[:rows]).tobytes())

    asking = threading.Thread(target=ask)
    asking.start()
    network.fit(X, LABELS, epochs=10**6, batch_size=BATCH, callbacks=[Predictions(), recorder])
    asking.join()
    assert len(found) == 50
    assert set(found) <= expected
    tried("a network read by another thread while it is fitted", len(found))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("moment", ["on_train_begin", "on_train_batch_end", "on_epoch_end"])
def test_another_thread_cannot_change_a_network_that_is_fitted(change: str, moment: str, tried: Tried) -> None:
    errors: list[Any] = []

    class Other(Callback):
        def meanwhile(self, *_: Any) -> None:
            errors.extend(threaded.in_threads(2, lambda _: CHANGES[change](self.network)))

    setattr(Other, moment, Other.meanwhile)
    network, alone = small_network(), small_network()
    network.fit(X, LABELS, epochs=2, batch_size=BATCH, callbacks=[Other()])
    alone.fit(X, LABELS, epochs=2, batch_size=BATCH)
    wanted = "this network is being fitted by another thread; fit a copy, or wait"
    assert {(type(error), str(error)) for error in errors} == {(RuntimeError, wanted)}
    assert bits(network) == bits(alone)
    tried("a second fit or another change of a network that is being fitted", len(errors))


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=pytest.mark.heavy)])
def test_of_two_fits_that_begin_at_once_one_is_refused_or_they_follow(rounds: int, tried: Tried) -> None:
    once, twice = small_network(), small_network()
    once.fit(X, LABELS, epochs=3, batch_size=BATCH)
    twice.fit(X, LABELS, epochs=3, batch_size=BATCH)
    twice.fit(X, LABELS, epochs=3, batch_size=BATCH)
    for _ in range(rounds):
        network = small_network()
        found = threaded.in_threads(2, lambda _, n=network: n.fit(X, LABELS, epochs=3, batch_size=BATCH))
        refused = [str(f) for f in found if isinstance(f, Exception)]
        assert refused in ([], ["this network is being fitted by another thread; fit a copy, or wait"])
        assert bits(network) == bits(once if refused else twice)
    tried("a second fit or another change of a network that is being fitted", rounds)


def test_a_callback_may_wait_for_threads_that_use_its_network(tried: Tried) -> None:
    found: list[Any] = []

    class Asking(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            wanted = self.network.predict(X)
            found.extend(np.array_equal(p, wanted) for p in threaded.in_threads(3, lambda _: self.network.predict(X)))

    small_network().fit(X, LABELS, epochs=3, batch_size=BATCH, callbacks=[Asking()])
    assert found == [True] * 9
    tried("a network read by another thread while it is fitted", 9)


def test_a_fit_waits_for_a_prediction_and_is_not_refused(tried: Tried) -> None:
    network, alone = small_network(), small_network()

    def work(number: int) -> Any:
        if number:
            return [network.predict(X) for _ in range(200)] and None
        for _ in range(20):
            network.fit(X, LABELS, batch_size=BATCH)
        return None

    assert threaded.in_threads(4, work) == [None] * 4
    alone.fit(X, LABELS, epochs=20, batch_size=BATCH)
    assert bits(network) == bits(alone)
    tried("a fit beside predictions by other threads", 20)


def test_networks_of_their_own_fit_at_the_same_time(tried: Tried) -> None:
    alone = small_network()
    alone.fit(X, LABELS, epochs=20, batch_size=BATCH)

    def work(_: int) -> dict[str, bytes]:
        network = small_network()
        network.fit(X, LABELS, epochs=20, batch_size=BATCH)
        return bits(network)

    assert threaded.in_threads(4, work) == [bits(alone)] * 4
    tried("a fit and a prediction, in 8 Python threads at once, by threading layer", 4)


@pytest.mark.parametrize("where", ["StepRunner._call", pytest.param("ArrayFeed.stage", marks=pytest.mark.heavy)])
def test_a_handler_of_a_signal_may_save_while_another_thread_waits(where: str, tried: Tried) -> None:
    """The other thread waits for the end of a step, during which the signal arrives."""
    code = f"""
        import signal, tempfile
        from fastmlp._data.array_feed import ArrayFeed
        from fastmlp._engine.step_runner import StepRunner
        path = tempfile.mktemp()
        network = fresh()
        turn = network._engine.lock.turn = Turn(network._engine.lock.turn)
        other = threading.Thread(target=lambda: network.predict(X))
        def handler(*_):
            other.start()
            turn.taken.wait()
            network.save(path)
            print(network.step)
        signal.signal(signal.SIGTERM, handler)
        plain = {where}
        def with_signal(self, *arguments):
            {where} = plain
            signal.raise_signal(signal.SIGTERM)
            return plain(self, *arguments)
        {where} = with_signal
        network.fit(X, LABELS, epochs=3, batch_size=BATCH)
        other.join()
        print(Network.load(path).step)
        os.unlink(path)
    """
    if sys.platform == "win32":
        pytest.skip("needs a signal that a process can send to itself and handle")
    live, stored = run(inspect.getsource(Turn).replace("Any", "object") + textwrap.dedent(code), seconds=60).split()
    assert live == stored
    tried("a save by a signal's handler during a fit", 1)


def test_a_handler_of_a_signal_may_save_during_a_single_step(tried: Tried) -> None:
    """The handler is called after the call, which may hold arrays of its own, and finds a whole step."""
    code = """
        import signal, tempfile
        from fastmlp._engine.passes import PassRunner
        path = tempfile.mktemp()
        network = fresh()
        found = []
        def handler(*_):
            network.save(path)
            found.append((network.step, Network.load(path).step))
        signal.signal(signal.SIGTERM, handler)
        call = PassRunner._call
        def with_signals(self, *arguments):
            signal.raise_signal(signal.SIGTERM)
            failed = call(self, *arguments)
            signal.raise_signal(signal.SIGTERM)
            return failed
        PassRunner._call = with_signals
        network.train_on_batch(X, LABELS)
        network.apply_gradients(network.gradients(X, LABELS))
        print(found)
        os.unlink(path)
    """
    if sys.platform == "win32":
        pytest.skip("needs a signal that a process can send to itself and handle")
    # Two signals in a step, a gradient and an update.
    assert run(textwrap.dedent(code), seconds=60) == "[(1, 1), (1, 1), (1, 1), (1, 1), (2, 2), (2, 2)]\n"
    tried("a save by a signal's handler during a fit", 6)


def test_a_handler_of_a_signal_that_came_during_compilation_may_wait_for_who_waits_to_compile(tried: Tried) -> None:
    code = """
        import signal, tempfile
        from fastmlp import Dense, register_activation
        from fastmlp.kernels.host import jit

        def softsign(z):
            return z / (1.0 + abs(z))

        def slope(z):
            return 1.0 / (1.0 + abs(z)) ** 2

        def own(dtype):
            return Network([64, Dense(16, "softsign"), 8], seed=0, dtype=dtype)

        register_activation("softsign", softsign, slope)
        network, path = own("float64"), tempfile.mktemp()
        lock = network._engine.lock.lock = Turn(network._engine.lock.lock)
        other = threading.Thread(target=lambda: network.predict(X))
        signal.signal(signal.SIGTERM, lambda *_: network.save(path))
        compile = jit.CFunc.compile
        def with_signal(self):
            jit.CFunc.compile = compile
            other.start()
            lock.taken.wait()
            signal.raise_signal(signal.SIGTERM)
            compile(self)
        jit.CFunc.compile = with_signal
        own("float32").predict(X)
        other.join()
        print(os.path.exists(path))
        os.unlink(path)
    """
    if sys.platform == "win32":
        pytest.skip("needs a signal that a process can send to itself and handle")
    assert run(inspect.getsource(Turn).replace("Any", "object") + textwrap.dedent(code), seconds=60).split() == ["True"]
    tried("a save by a signal's handler during a fit", 1)


# The number of threads set by the user ---------------------------------------------------------------------------

ENDINGS = {
    "fit": "fresh().fit(X, LABELS, epochs=3, batch_size=BATCH)",
    "train_on_batch": "fresh().train_on_batch(X, LABELS)",
    "predict": "fresh().predict(X)",
    "loss_and_gradients": "fresh().loss_and_gradients(X, LABELS)",
    "wanted threads": "fresh(threads=2).fit(X, LABELS, batch_size=BATCH)",
    "error in a callback": "fresh().fit(X, LABELS, batch_size=BATCH, callbacks=[Raising(KeyError)])",
    "Ctrl-C in a callback": "fresh().fit(X, LABELS, batch_size=BATCH, callbacks=[Raising(KeyboardInterrupt)])",
    "Ctrl-C in a step": "interrupted(lambda: fresh().fit(X, LABELS, epochs=3, batch_size=BATCH))",
    "Ctrl-C in a prediction": "interrupted(lambda: fresh().predict(X))",
    "loss that blows up": "fresh().fit(np.sign(X) * np.float32(3e38), LABELS, batch_size=BATCH)",
}


@needs_a_safe_layer
@pytest.mark.parametrize("where", ["the main thread", pytest.param("another thread", marks=pytest.mark.heavy)])
def test_the_number_of_threads_set_by_the_user_stays(where: str, tried: Tried) -> None:
    code = f"""
        import signal
        from fastmlp import Callback, NonFiniteLossError

        class Raising(Callback):
            def __init__(self, error): self.error = error
            def on_train_batch_end(self, batch, logs): raise self.error

        def interrupted(work):
            noted = guard.limited_to
            @contextlib.contextmanager
            def interrupting(count):
                with noted(count):
                    yield
                    raise KeyboardInterrupt  # as if it struck during the call
            guard.limited_to = interrupting
            try:
                work()
            finally:
                guard.limited_to = noted

        def work(_):
            before = []
            for name, ending in {ENDINGS!r}.items():
                for count in (3, 2):
                    numba.set_num_threads(count)
                    raised = "nothing"
                    try:
                        eval(ending)
                    except BaseException as error:
                        raised = type(error).__name__
                    print(name, count, numba.get_num_threads(), raised, sep="|")
                    before.append(numba.get_num_threads())
        numba.set_num_threads(3)
        work(0) if {where == "the main thread"} else in_threads(1, work)
        print(len(used), numba.get_num_threads(), sep="|")
    """
    *lines, last = run("import contextlib\n" + textwrap.dedent(code), NUMBA_NUM_THREADS="4").splitlines()
    raised = {}
    for line in lines:
        name, count, after, error = line.split("|")
        assert count == after, line
        raised[name] = error
    calls, here = last.split("|")
    assert int(calls) > len(lines)
    assert here == ("2" if where == "the main thread" else "3")
    assert set(raised) == set(ENDINGS)
    assert raised == {
        **dict.fromkeys(ENDINGS, "nothing"),
        "error in a callback": "KeyError",
        "loss that blows up": "NonFiniteLossError",
        **{name: "KeyboardInterrupt" for name in ENDINGS if name.startswith("Ctrl-C")},
    }
    tried("an end of a fit or prediction, after which the user's number of threads is there", len(lines))


def test_a_limit_holds_inside_and_is_lifted_after() -> None:
    before, most = numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS
    with threads.limited_to(1):
        with threads.limited_to(most):
            assert numba.get_num_threads() == most
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


@pytest.mark.parametrize("wanted", [None, 1, 2, 10**6])
def test_there_are_never_more_threads_than_numba_has_or_are_wanted(wanted: int | None) -> None:
    assert 1 <= threads.available(wanted) <= min(wanted or 10**6, numba.config.NUMBA_NUM_THREADS)


def test_more_threads_written_into_numbas_configuration_do_no_harm(serial: str) -> None:
    """Numba reads its number of threads once, and refuses more."""
    code = "guard.layer(); numba.config.NUMBA_NUM_THREADS = 7; print(digest(trained(threads=7)), *used)"
    found, *counts = run(code).split()
    assert found == serial
    assert set(counts) <= {"2"}


def test_a_user_who_allows_numba_one_thread_gets_one() -> None:
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert threads.available() == 1
    finally:
        numba.set_num_threads(before)


# A process that ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.heavy)])
def test_a_process_ends_well_while_daemon_threads_fit_and_predict(times: int, tried: Tried) -> None:
    code = """
        import atexit
        atexit.register(lambda: print(digest(trained()) == first, flush=True))
        first, gate = trained_digest(), threading.Barrier(4)
        def work():
            network = fresh()
            gate.wait()
            while True:
                network.fit(X, LABELS, batch_size=BATCH)
                network.predict(X)
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        gate.wait()
    """
    for _ in range(times):
        assert run(code, seconds=60).split() == ["True"]
    tried("an end of the process while daemon threads fit", times)


# A busy machine --------------------------------------------------------------------------------------------------

NEIGHBOUR = "import sys\nprint('busy', flush=True)\nwhile True: pass"

OVERSUBSCRIBED = """
import json, random, statistics, time
import numpy as np
from fastmlp import Network

rng = np.random.default_rng(0)
found = {}
for name, layers, rows, epochs, repeats in CASES:
    X, y = rng.normal(size=(rows, layers[0])).astype(np.float32), rng.normal(size=(rows, layers[-1]))
    y = y.astype(np.float32)
    seconds = {1: [], None: []}
    for turn in range(repeats + 1):
        for threads in random.sample((1, None), 2):  # an order that repeats falls into step with the time slices
            network = Network(layers, seed=0, threads=threads)
            started = time.perf_counter()
            network.fit(X, y, epochs=epochs, batch_size=128)
            if turn:  # the first only loads
                seconds[threads].append(time.perf_counter() - started)
    found[name] = statistics.mean(seconds[None]) / statistics.mean(seconds[1])
print(json.dumps(found))
"""


CONTENDED: list[tuple[str, list[int], int, int, int]] = [
    ("1 ms", [64, 64, 64, 1], 384, 1, 400),
    ("10 ms", [64, 64, 64, 1], 2560, 10, 20),
    ("100 ms", [64, 64, 64, 1], 2560, 100, 7),
    ("500 ms", [64, 64, 64, 1], 2560, 500, 5),
    ("wide", [784, 256, 256, 10], 1280, 4, 7),
    ("wider", [1024, 1024, 1024, 10], 1024, 2, 5),
]
"""Fits among busy processes: the name, layers, rows, epochs and number of fits."""


@pytest.mark.heavy
def test_a_fit_among_busy_neighbours_takes_at_most_twice_the_time_of_one_thread(tried: Tried) -> None:
    """Four processes that never rest, on two cores; means of fits in a random order; what fails is measured once more.

    Threads that were used whatever they cost took 4 to 300 times as long.
    """
    if not hasattr(os, "sched_setaffinity") or len(cores := sorted(os.sched_getaffinity(0))[:2]) < 2:
        pytest.skip("needs two cores, and a system that can hold processes to them")
    neighbours = [start_python(NEIGHBOUR) for _ in range(4)]
    try:
        for neighbour in neighbours:
            assert neighbour.stdout is not None
            assert neighbour.stdout.readline() == "busy\n"
            os.sched_setaffinity(neighbour.pid, cores)
        hold = f"import os; os.sched_setaffinity(0, {cores})\n"
        slow = CONTENDED
        for _ in range(2):
            process = start_python(hold + OVERSUBSCRIBED.replace("CASES", repr(slow)), NUMBA_NUM_THREADS="2")
            found = json.loads(finish(process, 300)[0])
            slow = [case for case in slow if found[case[0]] > 2]
            if not slow:
                break
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.communicate()
    assert not slow, found
    tried("a fit among four busy processes on two cores", sum(repeats for *_, repeats in CONTENDED))
