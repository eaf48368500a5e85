"""Training by parts of a step: gradients in and out, forward and backward, flat weights and blending."""

from __future__ import annotations

import copy
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from behaviour import run_python
from cases import DTYPES, TOLERANCE, largest_error, relative_error, tensors

from fastmlp import SGD, Adam, Callback, Dense, Network, NonFiniteLossError, StaleForwardError
from fastmlp._engine.plan import Plans
from fastmlp._engine.purposes import STEP
from fastmlp.kernels.host import threads
from fastmlp.reference import Network as Reference

LAYERS = [5, Dense(20, "tanh", dropout=0.3), Dense(17, "gelu", l2=0.1), 3]
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 5)).astype(np.float32)
Y = rng.normal(size=(40, 3)).astype(np.float32)
DA = rng.normal(size=(40, 3)).astype(np.float32)


def network(layers: Any = LAYERS, **options: Any) -> Network:
    return Network(layers, **{"optimizer": Adam(0.01), "seed": 1, **options})


def same(got: Any, expected: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(tensors(got), tensors(expected), strict=True))


# Steps in parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 0.01}, {"clipvalue": 1e-4}])
def test_long_batches_whose_rows_are_grouped_have_the_bits_of_a_step(dtype: str, clip: dict[str, float]) -> None:
    layers = [9, Dense(40, "tanh", l2=0.01), Dense(17, "gelu"), 3]
    data = rng.normal(size=(6000, 9)).astype(dtype), rng.integers(0, 3, 6000), rng.uniform(0, 2, 6000)
    whole, parts = (network(layers, output="softmax", dtype=dtype, optimizer=SGD(0.1, **clip)) for _ in range(2))
    for _ in range(2):
        whole.train_on_batch(*data)
        parts.apply_gradients(parts.gradients(*data))
    assert whole._engine.plans.get(STEP, 6000).blocking.groups > 1
    np.testing.assert_array_equal(whole.flat_weights(), parts.flat_weights())
    assert (whole.step, whole.epoch) == (parts.step, parts.epoch) == (2, 0)


def test_gradients_do_not_drop_and_contain_penalties() -> None:
    net = network()
    expected = Reference.like(network([*LAYERS[:1], Dense(20, "tanh"), *LAYERS[2:]]))
    expected.W, expected.b = ([pair[i] for pair in net.get_weights()] for i in range(2))
    gradients = expected.loss_and_gradients(X, Y)[1]
    assert largest_error(net.gradients(X, Y), gradients) < TOLERANCE["float32"]
    assert largest_error(net.loss_and_gradients(X, Y)[1], gradients) < TOLERANCE["float32"]


def test_penalties_are_not_added_to_gradients_that_are_given() -> None:
    net = network(optimizer=SGD(1.0))
    before = net.flat_weights()
    net.apply_gradients(np.zeros_like(before))
    np.testing.assert_array_equal(net.flat_weights(), before)
    assert net.step == 1


def test_a_dropping_forward_pass_has_the_masks_of_the_step_and_so_has_its_backward_pass() -> None:
    whole, parts = network(dtype="float64"), network(dtype="float64")
    for _ in range(3):
        whole.train_on_batch(X, Y)
        A = parts.forward(X, training=True)
        np.testing.assert_array_equal(A, parts.forward(X, training=True))
        parts.apply_gradients(parts.backward(None, 2 * (A - Y) / A.size))
    assert largest_error(parts.get_weights(), whole.get_weights()) < TOLERANCE["float64"]
    assert not np.array_equal(parts.forward(X, training=True), parts.forward(X))
    np.testing.assert_array_equal(parts.forward(X), parts.predict(X))


def test_backward_with_inputs_does_not_drop() -> None:
    net = network()
    net.forward(X, training=True)
    plain = Reference.like(net)
    expected, _ = plain.backward(plain.forward(X), DA)
    assert largest_error(net.backward(X, DA), expected) < TOLERANCE["float32"]


def test_a_step_does_not_touch_the_epoch_under_way() -> None:
    class Stepping(Callback):
        def on_steps_end(self, batch: int) -> None:
            self.network.gradients(X, Y)
            self.network.forward(X)
            self.network.backward(None, DA)

    plain, stepping = network(), network()
    plain.fit(X, Y, epochs=3, batch_size=7, verbose=False)
    stepping.fit(X, Y, epochs=3, batch_size=7, verbose=False, callbacks=[Stepping()])
    np.testing.assert_array_equal(plain.flat_weights(), stepping.flat_weights())


def test_any_loss_can_be_trained_on() -> None:
    """Fit mean and log variance of a target by the negative log-likelihood, which is no loss of the library."""
    net = Network([1, 32, 2], optimizer=Adam(0.01), seed=0)
    x = rng.uniform(-1, 1, (512, 1))
    y = np.sin(3 * x) + 0.1 * rng.normal(size=x.shape)
    losses = []
    for _ in range(400):
        mean, log_variance = np.split(net.forward(x), 2, axis=1)
        error, precision = mean - y, np.exp(-log_variance)
        losses.append(0.5 * float(np.mean(log_variance + error**2 * precision)))
        dA = np.hstack([error * precision, 0.5 * (1 - error**2 * precision)]) / len(x)
        net.apply_gradients(net.backward(None, dA))
    assert losses[-1] < -1.2 < 0 < losses[0]


# Threads --------------------------------------------------------------------------------------------------------------


THREADS = """
from digests import passes_by_threads
for what, threads, digest in passes_by_threads():
    print(what, threads, digest, sep="|")
"""


def test_any_number_of_threads_gives_the_same_bits() -> None:
    if threads.layer() not in ("omp", "tbb"):
        pytest.skip("needs OpenMP or TBB, which any thread may enter")
    variables = {"NUMBA_NUM_THREADS": "8", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    lines = [line.split("|") for line in run_python(THREADS, "-W", "error", seconds=75, **variables)[0].splitlines()]
    assert [int(count) for _, count, _ in lines] == 8 * [1, 2, 4, 8]
    assert len({digest for _, _, digest in lines}) == len({what for what, _, _ in lines}) == 8


def test_each_thread_has_a_forward_pass_of_its_own() -> None:
    net = network()
    expected = [net.backward(X + i, DA) for i in range(2)]
    barrier, found = threading.Barrier(2), [Any, Any]

    def work(i: int) -> None:
        net.forward(X + i)
        barrier.wait()
        found[i] = net.backward(None, DA)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(same(a, b) for a, b in zip(found, expected, strict=True))
    with pytest.raises(StaleForwardError, match="needs a forward pass by this thread"):
        network().backward(None, DA)


# Forward passes that do not hold --------------------------------------------------------------------------------------

CHANGES = {
    "a step": lambda net: net.train_on_batch(X, Y),
    "a step on a gradient": lambda net: net.train_on_gradient(X, DA),
    "gradients": lambda net: net.apply_gradients(np.zeros(net.architecture.parameters)),
    "a fit": lambda net: net.fit(X, Y, verbose=False),
    "weights": lambda net: net.set_weights(net.get_weights()),
    "flat weights": lambda net: net.set_flat_weights(net.flat_weights()),
    "a blend": lambda net: net.blend(network(seed=5), 0.5),
    "new weights": lambda net: net.reinitialize(3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_activations_of_older_weights_are_refused(change: Any) -> None:
    net = network()
    net.forward(X)
    net.backward(None, DA)
    change(net)
    with pytest.raises(StaleForwardError, match="the weights have changed since this thread's last forward pass"):
        net.backward(None, DA)
    net.forward(X)
    net.backward(None, DA)


def test_what_changes_no_weights_leaves_the_forward_pass_valid() -> None:
    net = network()
    net.forward(X)
    expected = net.backward(None, DA)
    net.learning_rate = 0.5
    net.predict(X[:3])
    net.evaluate(X, Y)
    net.loss_and_gradients(X[:7], Y[:7])
    net.gradients(X, Y)
    assert same(net.backward(None, DA), expected)
    assert same(net.backward(None, DA, return_input_gradient=True)[0], expected)
    assert same(net.backward(None, DA), expected)


def test_a_step_that_is_undone_makes_activations_stale() -> None:
    net = Network([5, 8, 3], optimizer=SGD(1e38), seed=0)
    net.forward(X)
    with pytest.raises(NonFiniteLossError):
        net.train_on_gradient(X, 100 * DA)
    with pytest.raises(StaleForwardError, match="the weights have changed"):
        net.backward(None, DA)


def test_a_larger_batch_frees_the_plan_of_a_smaller_one_first(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    net._engine.few_row_passes.max_rows = 0
    net.gradients(X[:5], Y[:5])
    old, alive = weakref.ref(net._engine.plans.get(STEP, 5)), []
    make = Plans.make
    monkeypatch.setattr(Plans, "make", lambda *arguments: (alive.append(old()), make(*arguments))[1])
    net.gradients(X, Y)
    assert alive == [None]


def test_a_forward_pass_that_failed_leaves_none() -> None:
    net = network()
    net.forward(X)
    with pytest.raises(ValueError, match="must have shape"):
        net.forward(X[:, :3])
    net.backward(None, DA)  # bad input changes nothing
    with pytest.raises(StaleForwardError):
        copy.copy(net).backward(None, DA)


# Flat weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_bias", [True, False])
def test_flat_weights_are_in_the_order_of_get_weights(use_bias: bool) -> None:
    net = network([17, Dense(33, use_bias=use_bias), 5])
    flat = net.flat_weights()
    np.testing.assert_array_equal(flat, np.concatenate([each.ravel() for each in tensors(net.get_weights())]))
    out = np.empty_like(flat)
    assert net.flat_weights(out) is out
    np.testing.assert_array_equal(out, flat)
    other = network([17, Dense(33, use_bias=use_bias), 5], seed=2)
    other.set_flat_weights(list(flat))
    np.testing.assert_array_equal(other.predict(np.ones((3, 17))), net.predict(np.ones((3, 17))))
    other.train_on_batch(np.ones((3, 17)), np.ones((3, 5)))
    net.train_on_batch(np.ones((3, 17)), np.ones((3, 5)))
    np.testing.assert_array_equal(other.flat_weights(), net.flat_weights())


@pytest.mark.parametrize("dtype", DTYPES)
def test_blending_moves_weights_towards_those_of_another_network(dtype: str) -> None:
    target, online = network(dtype=dtype), network(dtype=dtype, seed=2)
    before, theirs = target.flat_weights(), online.flat_weights()
    target.blend(online, 0.25)
    expected = 0.75 * before.astype(np.float64) + 0.25 * theirs.astype(np.float64)
    assert relative_error(target.flat_weights(), expected) < 4 * np.finfo(dtype).eps
    np.testing.assert_array_equal(online.flat_weights(), theirs)
    again = copy.copy(target)
    again.set_weights(target.get_weights())
    np.testing.assert_array_equal(again.backward(X, DA, out=np.empty_like(before)), target.backward(X, DA, out=before))
    target.blend(online, 1.0)
    np.testing.assert_array_equal(target.flat_weights(), theirs)
    target.blend(target, 0.5)
    np.testing.assert_array_equal(target.flat_weights(), theirs)


# Errors ---------------------------------------------------------------------------------------------------------------

SIZE = network().architecture.parameters
WRONG = {
    "dA of other rows": (lambda net: net.backward(X, DA[:7]), r"dA must have shape \(40, 3\).*got \(7, 3\)"),
    "dA of other outputs": (lambda net: net.train_on_gradient(X, DA[:, :2]), r"dA must have shape \(40, 3\)"),
    "dA of one column": (lambda net: net.backward(X, DA[:, 0]), r"dA must have shape \(40, 3\).*got \(40,\)"),
    "dA of other rows than forward": (
        lambda net: (net.forward(X), net.backward(None, DA[:7])),
        "dA must have the 40 rows of the last forward pass, got 7",
    ),
    "dA of NaN": (lambda net: net.train_on_gradient(X, DA * np.nan), r"dA must be finite, but dA\[0, 0\] is nan"),
    "X of NaN": (lambda net: net.train_on_gradient(X * np.nan, DA), "X must be finite"),
    "no rows": (lambda net: net.forward(X[:0]), "X must have at least one row, got none"),
    "gradients of another network": (
        lambda net: net.apply_gradients(network([5, 4, 3]).gradients(X, Y)),
        r"gradients must be 3 pairs \(dW, db\), got 2 entries",
    ),
    "a gradient of another shape": (
        lambda net: net.apply_gradients([(dW.T, db) for dW, db in net.gradients(X, Y)]),
        r"dW of layer 0 must have shape \(5, 20\), got \(20, 5\)",
    ),
    "gradients of NaN": (
        lambda net: net.apply_gradients(np.full(SIZE, np.nan)),
        r"gradients must be finite, but gradients\[0\] is nan",
    ),
    "a short vector": (
        lambda net: net.apply_gradients(np.zeros(5)),
        rf"gradients must have shape \({SIZE},\), an element for each parameter of this network, got \(5,\)",
    ),
    "flat weights of another length": (lambda net: net.set_flat_weights(np.zeros(5)), "weights must have shape"),
    "flat weights of infinity": (lambda net: net.set_flat_weights(np.full(SIZE, np.inf)), "weights must be finite"),
    "out of another dtype": (lambda net: net.gradients(X, Y, out=np.zeros(SIZE)), "out must be .*got shape"),
    "out that is read-only": (
        lambda net: net.flat_weights(np.frombuffer(bytes(4 * SIZE), np.float32)),
        "out must be .* read-only",
    ),
    "out with gaps": (
        lambda net: net.backward(X, DA, out=np.zeros(2 * SIZE, np.float32)[::2]),
        "out must be .* not contiguous",
    ),
    "blend with another shape": (lambda net: net.blend(network([5, 4, 3]), 0.5), "must have the same shapes and dtype"),
    "blend with another dtype": (lambda net: net.blend(network(dtype="float64"), 0.5), "same shapes and dtype"),
    "blend by more than all": (lambda net: net.blend(network(), 1.5), r"tau must be in \[0, 1\], got 1.5"),
    "blend by less than nothing": (lambda net: net.blend(network(), -0.5), "tau must be"),
}


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_bad_input_is_named_and_changes_nothing(call: Any, message: str) -> None:
    net = network()
    before = net.flat_weights()
    with pytest.raises(ValueError, match=message):
        call(net)
    np.testing.assert_array_equal(net.flat_weights(), before)
    assert net.step == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.apply_gradients(5),
        lambda net: net.gradients(X, Y, out=[0.0] * SIZE),
        lambda net: net.blend("other", 0.5),
        lambda net: net.backward(X, [["a", "b", "c"]] * 40),
        lambda net: net.forward(X, training="yes"),
    ],
)
def test_arguments_of_another_kind_are_refused(call: Any) -> None:
    with pytest.raises(TypeError):
        call(network())


@pytest.mark.parametrize("way", ["apply_gradients", "train_on_gradient", "train_on_batch"])
def test_a_step_to_infinity_is_undone(way: str) -> None:
    net = Network([5, 8, 3], optimizer=SGD(1e38, momentum=0.9), seed=0)
    net.train_on_gradient(X, 0 * DA)
    before, slots = net.flat_weights(), net._engine.parameters.slots.copy()
    calls = {
        "apply_gradients": lambda: net.apply_gradients(np.full(net.architecture.parameters, 100.0)),
        "train_on_gradient": lambda: net.train_on_gradient(X, 100 * DA),
        "train_on_batch": lambda: net.train_on_batch(X, 100 * Y),
    }
    with pytest.raises(NonFiniteLossError, match="this step"):
        calls[way]()
    np.testing.assert_array_equal(net.flat_weights(), before)
    np.testing.assert_array_equal(net._engine.parameters.slots, slots)
    assert net.step == 1
    reference = Reference.like(net)
    expected, _ = reference.backward(reference.forward(X), DA)
    assert largest_error(net.backward(X, DA), expected) < TOLERANCE["float32"]


def test_one_output_takes_a_vector() -> None:
    net = network([5, 8, 1])
    column = net.backward(X, DA[:, :1])
    assert same(net.backward(X, DA[:, 0]), column)
    net.forward(X)
    assert same(net.backward(None, list(DA[:, 0])), column)


def test_frames_are_taken_by_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    net = network()
    net.train_on_gradient(frame, DA)
    assert net.feature_names == tuple("abcde")
    expected = net.backward(X, DA)
    assert same(net.backward(frame[list("edcba")], DA), expected)
    np.testing.assert_array_equal(net.forward(frame[list("edcba")]), net.forward(X))
