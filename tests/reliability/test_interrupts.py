"""Ctrl-C, timers and the like, at any moment: the network is that of a finished step, and goes on as if nothing had
been.

Handlers are called where CPython looks for signals: after a call, where a function begins and where a loop turns. One
test interrupts at each such place in turn, another at random times.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from behaviour import UNMEASURED, Tried, bits, run_python, small_data, small_network

from fastmlp import Callback
from fastmlp._engine.step_runner import StepRunner
from fastmlp.kernels.host.interrupts import HeldSignals

X, LABELS = small_data()
BATCH = 8

posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs the signals of POSIX")

# What every subprocess here has: a fit with all that a fit can have, and what the network was after each of its steps.
COMMON = """
import json, math, os, random, signal, sys, tempfile, threading, time
import numpy as np
from behaviour import small_data, small_network
from fastmlp import Callback, EarlyStopping, ModelCheckpoint, Network, NonFiniteLossError

X, LABELS = small_data()
EPOCHS, BATCH = 3, 16
folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
path = os.path.join(folder.name, "model.safetensors")

class Watch(Callback):
    def on_train_batch_end(self, batch, logs):
        seen[self.network.step] = parts(self.network)

class Twice(Callback):
    every_steps = 2
    def on_train_batch_end(self, batch, logs):
        str(batch)
    def on_epoch_begin(self, epoch):
        str(epoch)

def mean_output(y, predictions):
    return float(np.mean(predictions))

def parts(network):
    "All that a step changes; the transposed weights too, which later steps read, but for those of the first layer."
    own = network._engine.parameters
    transposed = own.transposed[[*own.w_offsets, own.transposed.size][1]:]
    state = bytes(own.state)  # but for what tells the data of the epoch under way
    return [*(array.tobytes() for array in (own.weights, transposed, own.slots)), state[:32], state[56:]]

def fit(network, epochs, *more):
    callbacks = [ModelCheckpoint(path), ModelCheckpoint(path + "2", save_freq=2), Twice(), *more]
    network.fit(X, LABELS, epochs=epochs, batch_size=BATCH, validation_split=0.2, metrics=["accuracy", mean_output],
        callbacks=callbacks, verbose=False)

def clean():
    for name in os.listdir(folder.name):
        os.unlink(os.path.join(folder.name, name))

seen = {0: parts(small_network())}
whole = small_network()
fit(whole, EPOCHS, Watch())
losses = whole.history.history["loss"]
handler = signal.getsignal(signal.SIGINT)

def check(network):
    "The network is that of a finished step, its files are whole, and it goes on to the same bits."
    assert signal.getsignal(signal.SIGINT) is handler
    assert parts(network) == seen[network.step], network.step
    if network.history is not None:
        values = network.history.history
        assert network.history.epoch == list(range(network.epoch)), network.history.epoch
        assert not values or values["loss"] == losses[:network.epoch]
        assert {len(each) for each in values.values()} <= {network.epoch}
    for name in os.listdir(folder.name):
        stored = Network.load(os.path.join(folder.name, name))
        assert parts(stored) == seen[stored.step], (name, stored.step)
    if network.epoch < EPOCHS:
        fit(network, EPOCHS - network.epoch)
    assert parts(network) == seen[whole.step]
    assert network.epoch == EPOCHS
"""

AT_RANDOM_TIMES = """
def interrupted_after(seconds, network):
    "Whether a SIGINT from outside, so long after the beginning, came before the end."
    begun, sent = threading.Event(), threading.Event()
    def send():
        begun.wait()
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)
        sent.set()
    thread = threading.Thread(target=send)
    ended = False
    try:
        thread.start()
        begun.set()
        fit(network, EPOCHS)
        ended = True
        sent.wait()
        time.sleep(0)
    except KeyboardInterrupt:
        pass
    thread.join()
    return not ended

started = time.perf_counter()
fit(small_network(), EPOCHS)
duration = time.perf_counter() - started
draw, hits, steps = random.Random(7), 0, set()
while hits < MOMENTS:
    clean()
    network = small_network()
    if interrupted_after(draw.uniform(0, duration), network):
        hits += 1
        steps.add(network.step)
        check(network)
print(hits, len(steps))
folder.cleanup()
"""

AT_EVERY_PLACE = """
import dis, fastmlp
from fastmlp.kernels.host import threads

ROOMS = (os.path.dirname(fastmlp.__file__), os.path.dirname(threads.__file__))
places_of = {}

def places(code):
    "The offsets of the instructions before which CPython looks for signals."
    if code not in places_of:
        found, after = set(), False
        for instruction in dis.get_instructions(code):
            if after:
                found.add(instruction.offset)
            after = instruction.opname.startswith(("CALL", "RESUME"))
            if instruction.opname.startswith("JUMP_BACKWARD"):
                found.add(instruction.argval)
        places_of[code] = found
    return places_of[code]

class Tracer:
    "Sends a signal at the place of that number, and counts all."
    def __init__(self, number):
        self.number, self.count, self.passed = number, 0, {}
    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(ROOMS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        wanted = places(frame.f_code)
        def inside(frame, event, argument):
            if event == "opcode" and frame.f_lasti in wanted:
                self.count += 1
                self.passed.setdefault((frame.f_code, frame.f_lasti), []).append(self.count)
                if self.count == self.number:
                    signal.raise_signal(signal.SIGINT)
            return inside
        return inside

def interrupted_at(number, function, *arguments):
    "The tracer, which knows the places that were passed, and whether Ctrl-C ended it."
    tracer, before = Tracer(number), sys.gettrace()
    sys.settrace(tracer)
    try:
        function(*arguments)
    except KeyboardInterrupt:
        return tracer, True
    finally:
        sys.settrace(before)
    return tracer, False
"""

FIT_AT_EVERY_PLACE = """
clean()
tracer, _ = interrupted_at(0, fit, small_network(), EPOCHS)
draw = random.Random(2)
numbers = [draw.choice(passes) for passes in tracer.passed.values()]  # each place once, at one of its passes
hits, steps = 0, set()
for number in draw.sample(numbers, min(PLACES, len(numbers))):
    clean()
    network = small_network()
    tracer, hit = interrupted_at(number, fit, network, EPOCHS)
    assert hit == (tracer.count >= number), number  # none is lost
    if hit:
        hits += 1
        steps.add(network.step)
        check(network)
print(hits, len(steps))
folder.cleanup()
"""

OTHERS_AT_EVERY_PLACE = """
import numba
from fastmlp._engine.thread_tuner import ThreadTuner

def at_every_place(make, act, allowed, stride=STRIDE):
    "Interrupt `act(make())` at each place, or so many apart; `allowed(network)` says whether that may be left."
    number, hits = 1 - stride, 0
    while True:
        number += stride
        network = make()
        tracer, hit = interrupted_at(number, act, network)
        assert hit == (tracer.count >= number), number
        assert signal.getsignal(signal.SIGINT) is handler
        assert allowed(network), (act.__name__, number)
        if not hit:
            return hits
        hits += 1

def within_an_epoch():
    network = small_network()
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs):
            if batch == 1:
                raise KeyboardInterrupt
    try:
        network.fit(X, LABELS, batch_size=BATCH, callbacks=[Stop()])
    except KeyboardInterrupt:
        pass
    return network

def one_step(network):
    network.train_on_batch(X[:5], LABELS[:5])

def other_weights(network):
    network.set_weights([(W + 1, b - 1) for W, b in network.get_weights()])

def other_seed(network):
    network.reinitialize(8)

def either(act):
    "Before or after, and nothing between."
    before, after = within_an_epoch(), within_an_epoch()
    act(after)
    states = [(parts(each), each.seed) for each in (before, after)]
    assert states[0] != states[1]
    return lambda network: (parts(network), network.seed) in states

SHORT = -(-STRIDE // 6)
acts = (one_step, other_weights, other_seed)
hits = {act.__name__: at_every_place(within_an_epoch, act, either(act), SHORT) for act in acts}

def stopping_early(network):
    network.fit(X, LABELS, epochs=5, batch_size=BATCH, callbacks=[EarlyStopping("loss", patience=1, mode="max")])

class Watch5(Callback):
    def __init__(self):
        self.seen = {0: parts(small_network())}
    def on_train_batch_end(self, batch, logs):
        self.seen[self.network.step] = parts(self.network)

watch, stopped = Watch5(), small_network()
stopped.fit(X, LABELS, epochs=5, batch_size=BATCH, callbacks=[EarlyStopping("loss", patience=1, mode="max"), watch])
ends = [watch.seen[stopped.step], parts(stopped)]
assert ends[0] != ends[1]

def of_a_step_or_the_best(network):
    own = parts(network)
    return own == ends[1] or own == watch.seen[network.step]

hits["stopping_early"] = at_every_place(small_network, stopping_early, of_a_step_or_the_best)

ENORMOUS = np.vstack([X[:-1], X[-1:] * np.float32(1e25)])

def regression():
    return Network([3, 5, 3], loss="mean_squared_error", optimizer="sgd", seed=1)

def diverging(network):
    targets = np.ones((len(X), 3))
    network.fit(X, targets, epochs=1, batch_size=BATCH)
    try:
        network.fit(ENORMOUS, targets, epochs=3, batch_size=BATCH)
    except NonFiniteLossError:
        pass

watch, undone = Watch5(), regression()
watch.seen = {0: parts(undone)}
undone.fit(X, np.ones((len(X), 3)), batch_size=BATCH, callbacks=[watch])
try:
    undone.fit(ENORMOUS, np.ones((len(X), 3)), epochs=3, batch_size=BATCH, callbacks=[watch])
    raise AssertionError("it should diverge")
except NonFiniteLossError:
    assert parts(undone)[:3] == watch.seen[undone.step][:3]

def of_a_finished_step(network):
    return parts(network)[:3] == watch.seen[network.step][:3]

hits["diverging"] = at_every_place(regression, diverging, of_a_finished_step)

def overflowing():
    return Network([2, 1], loss="mean_absolute_error", seed=1)

def overflowing_step(network):
    "The square of the gradient overflows, but not the loss: the step is done before it is undone."
    try:
        network.train_on_batch(np.full((2, 2), 1e22), [1.0, 2.0])
    except NonFiniteLossError:
        return
    raise AssertionError("it should overflow")

fresh = parts(overflowing())
hits["overflowing_step"] = at_every_place(overflowing, overflowing_step, lambda network: parts(network) == fresh, SHORT)

rows = np.random.default_rng(0).normal(size=(600, 64)).astype(np.float32)
ThreadTuner.parallel = lambda self: self.max_threads > 1
wide = Network([64, 256, 64, 3], output="softmax", seed=0)
expected, threads_before = wide.predict(rows).tobytes(), numba.get_num_threads()

def predicting(network):
    network.predict(rows)

def still_right(network):
    return numba.get_num_threads() == threads_before and network.predict(rows).tobytes() == expected

hits["predicting"] = at_every_place(lambda: wide, predicting, still_right)
print(json.dumps(hits))
folder.cleanup()
"""


@posix
@pytest.mark.parametrize("moments", [12, pytest.param(200, marks=pytest.mark.heavy)])
def test_ctrl_c_at_random_times_of_a_fit(moments: int, tried: Tried) -> None:
    said, _ = run_python(f"MOMENTS = {moments}\n" + COMMON + AT_RANDOM_TIMES, "-W", "error", **UNMEASURED)
    hits, steps = map(int, said.split())
    assert hits == moments
    assert steps > 2
    tried("Ctrl-C at random times of a fit; then it goes on", hits)


@posix
@pytest.mark.parametrize("places", [60, pytest.param(10**9, marks=pytest.mark.heavy)])
def test_ctrl_c_wherever_python_looks_for_it_in_a_fit(places: int, tried: Tried) -> None:
    code = f"PLACES = {places}\n" + COMMON + AT_EVERY_PLACE + FIT_AT_EVERY_PLACE
    said, _ = run_python(code, "-W", "error", seconds=600)
    hits, steps = map(int, said.split())
    assert hits >= min(places, 500)
    assert steps > 5
    tried("Ctrl-C at every place of a fit's Python code; then it goes on", hits)


@posix
@pytest.mark.parametrize("stride", [127, pytest.param(1, marks=pytest.mark.heavy)])
def test_ctrl_c_wherever_python_looks_for_it_elsewhere(stride: int, tried: Tried) -> None:
    said, _ = run_python(
        f"STRIDE = {stride}\n" + COMMON + AT_EVERY_PLACE + OTHERS_AT_EVERY_PLACE, "-W", "error", seconds=400
    )
    hits = json.loads(said)
    assert all(count > 100 // stride for count in hits.values()), hits
    tried(
        "Ctrl-C at every place of a step, set_weights, reinitialize, early stopping, a roll back, predict",
        sum(hits.values()),
    )


# What holds signals ----------------------------------------------------------------------------------------------


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Yield a list of the signals for which the user's handlers of SIGINT and SIGTERM were called."""
    numbers: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, frame: numbers.append(number))
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def shout(*numbers: int) -> None:
    for number in numbers:
        signal.raise_signal(number)


def raising(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(number)


def test_signals_wait_and_each_is_handled_once(heard: list[int]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with HeldSignals() as signals:
        shout(signal.SIGINT, signal.SIGTERM, signal.SIGINT)
        assert heard == []
        signals.deliver()
        assert heard == [signal.SIGINT, signal.SIGTERM, signal.SIGINT]
        signals.deliver()
        shout(signal.SIGTERM)
        assert len(heard) == 3
    assert heard[3:] == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_released_hears_signals_at_once(heard: list[int]) -> None:
    with HeldSignals() as signals:
        shout(signal.SIGTERM)
        assert signals.released(lambda: heard.copy()) == [signal.SIGTERM]
        signals.released(shout, signal.SIGINT)
        assert heard == [signal.SIGTERM, signal.SIGINT]
        shout(signal.SIGINT)
        assert len(heard) == 2
    assert len(heard) == 3


def test_a_handler_that_raises_loses_no_other(heard: list[int]) -> None:
    signal.signal(signal.SIGINT, raising)
    done = []
    with pytest.raises(TimeoutError), HeldSignals() as signals:  # noqa: PT012
        shout(signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM)
        done.append(1)
        signals.released(done.append, 2)
    assert done == [1]
    assert heard == [signal.SIGTERM] * 3
    assert signal.getsignal(signal.SIGINT) is raising


def test_an_error_within_stays_the_error_and_handlers_come_back(heard: list[int]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyError, match="mine"), HeldSignals():  # noqa: PT012
        shout(signal.SIGINT)
        raise KeyError("mine")
    assert heard == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


def test_one_within_another_hands_on_to_it(heard: list[int]) -> None:
    with HeldSignals() as outer:
        with HeldSignals() as inner:
            shout(signal.SIGINT)
            inner.released(shout, signal.SIGTERM)
            assert heard == []
        assert heard == []
        outer.deliver()
        assert heard == [signal.SIGINT, signal.SIGTERM]
        outer.released(nested, heard)
    assert heard[2:] == [signal.SIGTERM]


def nested(heard: list[int]) -> None:
    with HeldSignals():
        shout(signal.SIGTERM)
        assert len(heard) == 2
    assert len(heard) == 3


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with HeldSignals() as signals:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            shout(signal.SIGINT)
            signals.deliver()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_replaces_no_handler(heard: list[int]) -> None:
    found = []

    def work() -> None:
        with HeldSignals() as signals:
            found.append(signal.getsignal(signal.SIGINT))
            signals.released(found.append, 1)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before, 1]


def test_handlers_that_a_callback_sets_stay_and_may_call_those_before(heard: list[int]) -> None:
    called = []

    class Chain(Callback):
        def on_train_begin(self) -> None:
            before: Any = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, lambda *arguments: (called.append(1), before(*arguments)))

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            shout(signal.SIGINT)

    chain = Chain()
    small_network().fit(X, LABELS, epochs=3, callbacks=[chain])
    assert heard == [signal.SIGINT] * 3
    assert len(called) == 3
    shout(signal.SIGINT)
    assert len(called) == 4
    assert len(heard) == 4


def test_handlers_of_other_signals_that_a_callback_sets_are_held_too(monkeypatch: pytest.MonkeyPatch) -> None:
    call = StepRunner._call

    def shouting(self: StepRunner, *arguments: Any) -> None:
        shout(signal.SIGTERM)
        call(self, *arguments)

    class Limit(Callback):
        def on_train_begin(self) -> None:
            signal.signal(signal.SIGTERM, raising)

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    monkeypatch.setattr(StepRunner, "_call", shouting)
    network = small_network()
    try:
        with pytest.raises(TimeoutError):
            network.fit(X, LABELS, batch_size=BATCH, callbacks=[Limit()])
        assert signal.getsignal(signal.SIGTERM) is raising
    finally:
        signal.signal(signal.SIGTERM, before)
    assert network.epoch == 1


def test_a_handler_that_a_callback_puts_in_place_of_one_that_waits_is_held_too(
    heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This includes a callback that restores the previous handler. No handler of fastmlp remains."""
    call = StepRunner._call
    before = signal.getsignal(signal.SIGTERM)

    def shouting(self: StepRunner, *arguments: Any) -> None:
        shout(signal.SIGTERM)
        call(self, *arguments)

    class Limit(Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            self.before = signal.signal(signal.SIGTERM, raising)

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            signal.signal(signal.SIGTERM, self.before)

    network = small_network()
    for _ in range(3):
        network.fit(X, LABELS, callbacks=[Limit()])
        assert signal.getsignal(signal.SIGTERM) is before
    monkeypatch.setattr(StepRunner, "_call", shouting)
    with pytest.raises(TimeoutError):
        network.fit(X, LABELS, batch_size=len(X), callbacks=[Limit()])
    assert heard == []
    assert network.epoch == 4
    assert network.history is not None
    assert network.history.epoch == [3]


class Shout(Callback):
    """A callback that sends signals after each epoch, or fits a copy of the network."""

    def __init__(self, *numbers: int, fit_a_copy: bool = False) -> None:
        self.numbers, self.fit_a_copy = numbers, fit_a_copy

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.fit_a_copy:
            copy = self.network.__copy__()
            copy.fit(X, LABELS, epochs=2, callbacks=[Shout(*self.numbers)])
        shout(*self.numbers)


@pytest.mark.parametrize("fit_a_copy", [False, True])
def test_a_handler_that_does_not_raise_does_not_end_a_fit(heard: list[int], fit_a_copy: bool) -> None:
    one, other = small_network(), small_network()
    before = signal.getsignal(signal.SIGTERM)
    one.fit(X, LABELS, epochs=3, callbacks=[Shout(signal.SIGTERM, fit_a_copy=fit_a_copy)])
    other.fit(X, LABELS, epochs=3)
    assert heard == [signal.SIGTERM] * (9 if fit_a_copy else 3)
    assert bits(one) == bits(other)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("fit_a_copy", [False, True])
def test_what_a_handler_of_any_signal_raises_ends_a_fit_that_can_go_on(heard: list[int], fit_a_copy: bool) -> None:
    signal.signal(signal.SIGTERM, raising)
    one, other = small_network(), small_network()
    with pytest.raises(TimeoutError):
        one.fit(X, LABELS, epochs=3, callbacks=[Shout(signal.SIGTERM, fit_a_copy=fit_a_copy)])
    assert one.epoch == 1
    assert one.history is not None
    assert one.history.epoch == [0]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    one.fit(X, LABELS, epochs=2)
    other.fit(X, LABELS, epochs=3)
    assert bits(one) == bits(other)


TIMEOUT = (
    COMMON
    + """
def give_up(number, frame):
    raise TimeoutError("too long")

signal.signal(signal.SIGALRM, give_up)
times, steps = 0, set()
draw = random.Random(3)
while times < MOMENTS:
    clean()
    network = small_network()
    signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-4, 0.02))
    try:
        fit(network, EPOCHS)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeoutError:
        times += 1
        steps.add(network.step)
        check(network)
print(times)
folder.cleanup()
"""
)


@posix
@pytest.mark.parametrize("moments", [12, pytest.param(200, marks=pytest.mark.heavy)])
def test_a_timer_that_raises_ends_a_fit_as_ctrl_c_does(moments: int, tried: Tried) -> None:
    said, _ = run_python(f"MOMENTS = {moments}\n" + TIMEOUT, "-W", "error", **UNMEASURED)
    assert int(said) == moments
    tried("a timer's exception at random times of a fit; then it goes on", moments)


# Long waits ------------------------------------------------------------------------------------------------------

WAITS = """
import os, signal, sys, threading, time
import numpy as np
from fastmlp import Callback, Network
import fastmlp._data.staging, fastmlp._engine.evaluations

def interrupted_by(where, name, function):
    "How many times what `name` names was called again after the first call sent a SIGINT."
    calls, original = [], getattr(where, name)
    def counting(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments, **options)
    setattr(where, name, counting)
    try:
        function()
    except KeyboardInterrupt:
        return len(calls) - 1
    finally:
        setattr(where, name, original)
    raise AssertionError("not interrupted")

rng = np.random.default_rng(0)
X = rng.normal(size=(260_000, 20))
y = rng.integers(0, 2, len(X))
network = Network([20, 4, 2], output="softmax", seed=0)
one, other = Network([20, 4, 2], output="softmax", seed=0), Network([20, 4, 2], output="softmax", seed=0)
small, labels = X[:640].astype("float32"), y[:640]
one.fit(small, labels, validation_data=(X[:10], y[:10]))

def validating():
    one.fit(small, labels, validation_data=(X, y))

def reading():
    one.fit(X, y, batch_size=4096)

print(interrupted_by(fastmlp._engine.evaluations, "point_to_inputs", validating), one.epoch, one.history.epoch)
row_slices, taken = fastmlp._data.staging.row_slices, []

def counted(*arguments):
    for piece in row_slices(*arguments):
        taken.append(piece)
        if len(taken) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        yield piece

fastmlp._data.staging.row_slices = counted
try:
    reading()
except KeyboardInterrupt:
    print(len(taken), one.epoch, len(list(row_slices(len(X), 20 * 4 + 8 + 8))) > 1)
fastmlp._data.staging.row_slices = row_slices
one.fit(small, labels)
other.fit(small, labels, epochs=3)
print(all(np.array_equal(a, b) for p, q in zip(one.get_weights(), other.get_weights()) for a, b in zip(p, q)))
"""


def test_validation_and_reading_of_much_data_end_at_once() -> None:
    """A SIGINT during the first piece is delivered before the second."""
    validation, reading, same = run_python(WAITS, "-W", "error")[0].splitlines()
    assert validation == "0 2 [1]"
    assert reading == "1 2 True"
    assert same == "True"


LOADING = """
import signal, sys
import fastmlp

class Interrupt:
    "Sends Ctrl-C when that module is looked for."
    def find_spec(self, name, *_):
        if name == "numba.core.pythonapi" and self in sys.meta_path:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
try:
    fastmlp.Network
except KeyboardInterrupt:
    print("interrupted", "numba.core.pythonapi" in sys.modules)
print(fastmlp.Network([2, 3, 1], seed=0).predict([[1.0, 2.0]]).shape)
"""


def test_ctrl_c_while_numba_is_loaded_leaves_a_library_that_works() -> None:
    assert run_python(LOADING, "-W", "error")[0].splitlines() == ["interrupted True", "(1, 1)"]


def test_the_process_ends_by_a_signal_that_has_no_handler_of_python() -> None:
    """The default handler of SIGTERM is never replaced, so the signal ends the process."""
    code = """
import os, signal
from behaviour import small_data, small_network
from fastmlp import Callback
class End(Callback):
    def on_epoch_end(self, epoch, logs):
        os.kill(os.getpid(), signal.SIGTERM)
X, labels = small_data()
if (child := os.fork()) == 0:
    small_network().fit(X, labels, epochs=3, callbacks=[End()])
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    assert int(run_python(code)[0]) == -signal.SIGTERM
