"""Forks: children and grandchildren fit and predict to the same bits, whatever other threads did during the fork."""

from __future__ import annotations

import multiprocessing
import os
import textwrap
from pathlib import Path

import pytest
from behaviour import UNMEASURED, Tried, run_python
from cases import heavy_but

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

# Warnings are errors, but for Python 3.12's about forking with threads, which is what is tried here.
WARNINGS = ("-W", "error", "-W", "ignore:This process:DeprecationWarning", "-W", "ignore:.*fork.*:DeprecationWarning")

COMMON = """
import os, threading
import numba
import numpy as np
from fastmlp import Callback, Network
from threaded import *
use_threads_wherever_possible()
"""

TORN = "RuntimeError: this network was being fitted by another thread when this process was forked, in the middle of"


def run(code: str, seconds: float = 60.0, **variables: str) -> list[str]:
    """Run the code in a separate process, and return the lines that it prints."""
    said = {"NUMBA_NUM_THREADS": "2", **UNMEASURED, **variables}
    return run_python(COMMON + textwrap.dedent(code), *WARNINGS, seconds=seconds, **said)[0].splitlines()


@pytest.fixture(scope="module")
def serial() -> str:
    """Return the digest of a training on one thread."""
    return run("print(digest(trained(threads=1)))")[0]


# Children, grandchildren, pools ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["default", pytest.param("workqueue", marks=pytest.mark.heavy)])
def test_a_child_and_its_child_fit_and_predict_to_the_same_bits(layer: str, serial: str, tried: Tried) -> None:
    """The child runs serially, since GNU OpenMP would kill it."""
    code = """
        network = trained()
        before = len(used)
        def family():
            fitted(network)
            return digest(trained()), in_child(lambda: (trained_digest(), digest(network))), len(used) - before
        print(before > 0, guard.available() > 1)
        print(in_child(family))
        fitted(network)
        print((trained_digest(), str((trained_digest(), digest(network))), 0))
    """
    here, child, parent = run(code, NUMBA_THREADING_LAYER=layer)
    assert here == "True True"
    assert child == parent
    assert serial in parent
    tried("a fit or prediction in a forked child or grandchild", 5)


def test_a_child_forked_before_anything_ran_fits(serial: str, tried: Tried) -> None:
    assert run("print(in_child(trained_digest), trained_digest(), in_child(trained_digest))") == [
        " ".join([serial] * 3)
    ]
    tried("a fit or prediction in a forked child or grandchild", 2)


@pytest.mark.heavy
def test_a_child_of_a_process_where_only_another_library_was_parallel_fits(serial: str, tried: Tried) -> None:
    code = """
        another_librarys_sum(np.ones(1000))
        print(in_child(lambda: (trained_digest(), len(used))))
    """
    assert run(code) == [str((serial, 0))]
    tried("a fit or prediction in a forked child or grandchild", 1)


@pytest.mark.parametrize("children", [20, pytest.param(100, marks=pytest.mark.heavy)])
def test_many_children_at_once_and_from_threads(children: int, serial: str, tried: Tried) -> None:
    code = f"""
        network = trained()
        found = in_threads({children}, lambda _: in_child(lambda: (digest(network), trained_digest())))
        print(*set(found), sep="\\n")
    """
    assert run(code, seconds=120) == [str((serial, serial))]
    tried("a fit or prediction in a forked child or grandchild", 2 * children)


MULTIPROCESSING = """
import concurrent.futures, multiprocessing, sys, threaded

if __name__ == "__main__":
    network = threaded.trained()
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        there = pool.map(threaded.digest, [network] * 4)
        back = pool.map(threaded.fitted, [threaded.fresh()] * 2)
        pool.close()
        pool.join()
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        there += pool.map(threaded.trained_digest, range(2))
    print(*there, *(threaded.digest(n) for n in back), threaded.digest(network))
"""


@pytest.mark.parametrize("method", heavy_but(["fork"], multiprocessing.get_all_start_methods()))
def test_processes_of_a_pool_fit_and_predict_to_the_same_bits(
    method: str, serial: str, tmp_path: Path, tried: Tried
) -> None:
    main = tmp_path / "main.py"
    main.write_text(MULTIPROCESSING)
    code = f"import runpy, sys; sys.argv = ['main.py', {method!r}]; runpy.run_path({str(main)!r}, run_name='__main__')"
    assert run_python(code, *WARNINGS)[0].split() == [serial] * 9
    tried("a fit or prediction in a process of a pool: fork, spawn, forkserver", 8)


# While another thread compiles -----------------------------------------------------------------------------------

COMPILING = """
from fastmlp import Dense, register_activation
from fastmlp.kernels.host import jit

def softsign(z):
    return z / (1.0 + abs(z))

def slope(z):
    return 1.0 / (1.0 + abs(z)) ** 2

def own(dtype="float32"):
    network = Network([64, Dense(16, "softsign"), 8], output="softmax", seed=0, dtype=dtype)
    return digest(fitted(network))
"""


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.heavy)])
def test_a_fork_while_another_thread_compiles(dtype: str, tried: Tried) -> None:
    """The child compiles the same kernel, or its version for the other dtype, under the same lock."""
    code = f"""
        register_activation("softsign", softsign, slope)
        expected = {{}}
        compiling, compile = threading.Event(), jit.CFunc.compile
        def telling(self):
            compiling.set()
            return compile(self)
        jit.CFunc.compile = telling
        other = threading.Thread(target=lambda: expected.update(float32=own("float32")))
        other.start()
        compiling.wait()
        found = in_child(lambda: own({dtype!r}))
        grandchild = in_child(lambda: in_child(lambda: own({dtype!r})))
        other.join()
        print(found, grandchild, own({dtype!r}))
    """
    assert len(set(run(COMPILING + textwrap.dedent(code))[0].split())) == 1
    tried("a fork while another thread compiles", 2)


@pytest.mark.heavy
def test_a_fork_while_another_library_compiles(tried: Tried) -> None:
    """The user's functions are compiled by Numba too, with one lock and one LLVM for all."""
    code = """
        register_activation("softsign", softsign, slope)
        expected = own()
        compiling, stop = threading.Event(), threading.Event()
        @numba.extending.intrinsic
        def told(typingcontext):
            def code(context, builder, signature, arguments):
                compiling.set()  # within the compiler
                return context.get_constant(numba.types.int64, 1)
            return numba.types.int64(), code
        def compile():
            while not stop.is_set():
                numba.njit(lambda: told() + 1)()
        other = threading.Thread(target=compile)
        other.start()
        found = set()
        for _ in range(20):
            compiling.clear()
            compiling.wait()
            found.add(in_child(lambda: (numba.njit(lambda x: x + 1)(1), own())))
        stop.set()
        other.join()
        print(found == {str((2, expected))}, found)
    """
    said = run(COMPILING + textwrap.dedent(code), seconds=150)[0]
    assert said.startswith("True"), said
    tried("a fork while another thread compiles", 20)


@pytest.mark.heavy
def test_forks_while_everything_compiles_without_a_cache(tmp_path: Path, serial: str, tried: Tried) -> None:
    code = """
        other = threading.Thread(target=trained)
        other.start()
        found = []
        while other.is_alive():
            found.append(in_child(trained_digest, seconds=120))
        print(len(found), *set(found))
    """
    count, *digests = run(code, seconds=300, FASTMLP_CACHE_DIR=str(tmp_path / "empty"))[0].split()
    assert digests == [serial]
    tried("a fork while another thread compiles", int(count))


def test_ctrl_c_while_a_fork_waits_for_a_compilation_leaves_a_child_that_works(tried: Tried) -> None:
    """Python forks even if a handler raises, so every lock must be acquired nevertheless."""
    code = """
        import signal, sys
        from fastmlp.kernels.host import forks, jit

        class Told:
            "A lock that tells when the main thread waits for it, and sends Ctrl-C then."
            def __enter__(self):
                if threading.current_thread() is threading.main_thread():
                    signal.raise_signal(signal.SIGINT)
                    compiled.set()
                return forks.compilation_lock.__enter__()
            def __exit__(self, *error):
                forks.compilation_lock.__exit__(*error)

        compiling, compiled = threading.Event(), threading.Event()
        def compile():
            with jit.compilation_lock:
                compiling.set()
                compiled.wait()
        forks._ORDER = (Told(), *forks._ORDER[1:])
        sys.unraisablehook = lambda _: None
        expected = trained_digest()
        other = threading.Thread(target=compile)
        other.start()
        compiling.wait()
        print(in_child(trained_digest) == expected)
        other.join()
    """
    assert run(code) == ["True"]
    tried("a fork while another thread compiles", 1)


# While another thread fits or predicts ---------------------------------------------------------------------------


@pytest.mark.parametrize("moments", [8, pytest.param(200, marks=pytest.mark.heavy)])
def test_a_fork_while_another_thread_fits_and_a_third_predicts(moments: int, serial: str, tried: Tried) -> None:
    """Other networks work as usual. The fitted one is in the state after a completed step, or raises RuntimeError."""
    code = f"""
        seen, fitting, predicted, stop = set(), fresh(), trained(), threading.Event()
        class Noting(Callback):
            def on_train_batch_end(self, batch, logs):
                seen.add(digest(self.network))
            def on_epoch_end(self, epoch, logs):
                self.network.stop_training = stop.is_set()
        def fit():
            fitting.fit(X, LABELS, epochs=10**6, batch_size=BATCH, callbacks=[Noting()])
        def predict():
            while not stop.is_set():
                predicted.predict(X)
        others = [threading.Thread(target=work) for work in (fit, predict)]
        for other in others: other.start()
        while not seen: pass
        def look():
            try:
                return digest(fitting)
            except RuntimeError as error:
                return f"{{type(error).__name__}}: {{error}}"
        def child():
            return "|".join((digest(predicted), trained_digest(), look()))
        found = [in_child(child).split("|") for _ in range({moments})]
        stop.set()
        for other in others: other.join()
        for predicts, fits, looks in found:
            print(predicts, fits, looks in seen, looks, sep="|")
    """
    lines = [line.split("|") for line in run(code, seconds=150)]
    assert len(lines) == moments
    for predicts, fits, is_of_a_step, looks in lines:
        assert (predicts, fits) == (serial, serial)
        assert is_of_a_step == "True" or looks.startswith(TORN), looks
    tried("a fork while other threads fit and predict", moments)


def test_a_network_forked_within_a_step_of_another_thread_says_so(tried: Tried) -> None:
    """Its memory is between two steps, so every use must be refused, above all a save."""
    uses = {
        "predict": "net.predict(X)",
        "evaluate": "net.evaluate(X, LABELS)",
        "get_weights": "net.get_weights()",
        "set_weights": "net.set_weights(other.get_weights())",
        "fit": "net.fit(X, LABELS)",
        "train_on_batch": "net.train_on_batch(X, LABELS)",
        "reinitialize": "net.reinitialize()",
        "save": "net.save(path)",
        "copy": "copy.copy(net)",
        "pickle": "pickle.dumps(net)",
        "loss_and_gradients": "net.loss_and_gradients(X, LABELS)",
        "input_gradients": "net.input_gradients(X)",
        "hidden_activations": "net.hidden_activations(X)",
        "in a grandchild": "exec('said = in_child(lambda: net.predict(X)); raise RuntimeError(said[14:])')",
    }
    code = f"""
        import copy, pickle, tempfile
        from fastmlp._engine.step_runner import StepRunner
        path = tempfile.mktemp()
        net, other, within, forked = fresh(), trained(), threading.Event(), threading.Event()
        before = copy.copy(net)
        call = StepRunner._call
        def waiting(self, *arguments):
            call(self, *arguments)
            if threading.current_thread() is fitting:
                within.set()
                forked.wait()
        StepRunner._call = waiting
        fitting = threading.Thread(target=lambda: fitted(net))
        fitting.start()
        within.wait()
        def child():
            for name, use in {uses!r}.items():
                try:
                    said = str(eval(use))
                except RuntimeError as error:
                    said = f"RuntimeError: {{error}}"
                print(name, said, os.path.exists(path), sep="|", flush=True)
            print("the copy|", digest(fitted(before)) == digest(other), flush=True)
        print("child|", in_child(child))
        forked.set()
        fitting.join()
        print("parent|", digest(net) == digest(other))
    """
    lines = [line.split("|") for line in run(code)]
    assert [line[0] for line in lines] == [*uses, "the copy", "child", "parent"]
    for _, said, written in lines[: len(uses)]:
        assert said.startswith(TORN)
        assert written == "False"
    assert [line[1] for line in lines[len(uses) :]] == [" True", " None", " True"]
    tried("a use of a network that was forked in the middle of a step", len(uses))


def test_a_fork_by_a_callback_goes_on_in_both_processes(tried: Tried) -> None:
    code = """
        class Forking(Callback):
            child = None
            def on_epoch_end(self, epoch, logs):
                if epoch == 0:
                    self.child = os.fork()
        alone, forking = fresh(), Forking()
        alone.fit(X, LABELS, epochs=3, batch_size=BATCH)
        network = fresh()
        network.fit(X, LABELS, epochs=3, batch_size=BATCH, callbacks=[forking])
        same = digest(network) == digest(alone)
        if forking.child == 0:
            os._exit(0 if same else 3)
        print(same, os.waitstatus_to_exitcode(os.waitpid(forking.child, 0)[1]))
    """
    assert run(code) == ["True 0"]
    tried("a fork from within a fit's callback", 1)


def test_a_network_that_was_forked_while_another_thread_read_it_is_whole(tried: Tried) -> None:
    """Its fit is between two steps, in a callback. Reading the network changes nothing."""
    code = """
        from fastmlp._io import checkpoint
        network, between, reading, done = fresh(), threading.Event(), threading.Event(), threading.Event()
        class Wait(Callback):
            def on_epoch_end(self, epoch, logs):
                between.set()
                done.wait()
        fitting = threading.Thread(target=lambda: network.fit(X, LABELS, callbacks=[Wait()]))
        fitting.start()
        between.wait()
        expected = digest(network)
        checkpoint.write = lambda *_: (reading.set(), done.wait())
        saving = threading.Thread(target=network.save, args=("model",))
        saving.start()
        reading.wait()
        print(in_child(lambda: digest(network)) == expected)
        done.set()
        fitting.join()
        saving.join()
    """
    assert run(code) == ["True"]
    tried("a fork while other threads fit and predict", 1)


def test_a_child_of_another_thread_than_the_one_that_fits_hears_signals(tried: Tried) -> None:
    """In the child no thread ends the step for which they would wait."""
    code = """
        import signal
        from fastmlp._engine.step_runner import StepRunner
        within, forked, plain = threading.Event(), threading.Event(), StepRunner._call
        def waiting(self, *arguments):
            StepRunner._call = plain
            within.set()
            forked.wait()
            plain(self, *arguments)
        def heard():
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                return "heard"
        def child():
            return heard(), digest(trained()) == expected, heard()
        expected, found = trained_digest(), []
        other = threading.Thread(target=lambda: (within.wait(), found.append(in_child(child)), forked.set()))
        other.start()
        StepRunner._call = waiting
        print(digest(trained()) == expected)
        other.join()
        print(*found)
    """
    assert run(code) == ["True", "('heard', True, 'heard')"]
    tried("a fork while other threads fit and predict", 1)
