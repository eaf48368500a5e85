"""Passes of few rows go a short way to the same kernels: the same bits and errors as passes of many rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, tensors
from numpy.typing import NDArray

from fastmlp import SGD, Adam, Dense, Network, StaleForwardError
from fastmlp._engine import step_constants
from fastmlp._engine.few_row_passes import MAX_KINDS, FewRowsPlan
from fastmlp._engine.few_rows import MAX_ROWS
from fastmlp._engine.passes import Passes
from fastmlp._engine.step_constants import StepConstants

Array = NDArray[Any]

rng = np.random.default_rng(0)
ROWS = 9
X, Y = rng.normal(size=(ROWS, 5)), rng.normal(size=(ROWS, 3))
LABELS = rng.integers(0, 3, ROWS)
DA = rng.normal(size=(ROWS, 3))

LAYERS = [5, Dense(20, "tanh", dropout=0.3), Dense(17, "gelu", l2=0.1)]
NETWORKS: dict[str, dict[str, Any]] = {
    "numbers": {"layers": [*LAYERS, 3], "optimizer": Adam(0.01, global_clipnorm=0.1)},
    "one output": {"layers": [*LAYERS, 1], "loss": "huber"},
    "classes": {"layers": [*LAYERS, 3], "output": "softmax", "optimizer": SGD(0.1, clipvalue=0.01)},
    "probabilities": {"layers": [*LAYERS, 3], "output": "softmax"},
    "yes and no": {"layers": [*LAYERS, 3], "output": "sigmoid"},
    "counts": {"layers": [*LAYERS, 3], "output": "softplus", "loss": "poisson"},
    "signs": {"layers": [*LAYERS, 3], "loss": "hinge"},
}
TARGETS: dict[str, Array] = {
    "numbers": Y,
    "one output": Y[:, 0],
    "classes": LABELS,
    "probabilities": np.abs(Y) / np.abs(Y).sum(axis=1, keepdims=True),
    "yes and no": (Y > 0).astype(float),
    "counts": np.abs(Y),
    "signs": np.sign(Y),
}


def network(kind: str, dtype: str = "float32", few: bool = True) -> Network:
    """Return a network, which takes few rows the short way or that of many."""
    net = Network(**NETWORKS[kind], dtype=dtype, seed=0)
    if not few:
        net._engine.few_row_passes.max_rows = 0
    return net


def all_passes(net: Network, x: Array, y: Array, dA: Array) -> list[Any]:
    """Return what every kind of pass gives."""
    flat = np.zeros(net.architecture.parameters, net.architecture.dtype)
    results = [net.train_on_batch(x, y), net.forward(x, training=True), *tensors(net.backward(None, dA))]
    gradients, dX = net.backward(x, dA, return_input_gradient=True)
    results += [*tensors(gradients), dX, net.backward(None, dA, return_input_gradient=True)[1]]
    results += [*tensors(net.gradients(x, y)), net.gradients(x, y, out=flat).copy(), net.backward(x, dA, out=flat)]
    net.apply_gradients(flat)
    net.train_on_gradient(x, dA)
    return [*results, net.flat_weights()]


def same(a: list[Any], b: list[Any]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


KINDS: dict[str, Callable[[Array], Any]] = {
    "plain": lambda a: a,
    "float32": lambda a: a.astype(np.float32 if a.dtype.kind == "f" else np.int32),
    "Fortran order": np.asfortranarray,
    "rows backwards": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "longdouble": lambda a: a.astype(np.longdouble) if a.dtype.kind == "f" else a.astype(np.uint8),
    "list": lambda a: a.tolist(),
    "subclass": lambda a: a.view(np.recarray),
    "uint64": lambda a: a if a.dtype.kind == "f" else a.astype(np.uint64),
    "floats for labels": lambda a: a.astype(float),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_bits_are_those_of_many_rows(kind: str, dtype: str) -> None:
    dA = DA[:, : 1 if kind == "one output" else 3]
    for given in ("plain", "float32"):
        data = [KINDS[given](each) for each in (X, TARGETS[kind], dA)]
        few, many = (all_passes(network(kind, dtype, few), *data) for few in (True, False))
        assert same(few, many)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["numbers", "classes"])
def test_arrays_of_any_kind_give_the_bits_of_plain_ones(target: str, kind: str) -> None:
    data = [KINDS["float32"](each) for each in (X, TARGETS[target], DA)]
    expected = all_passes(network(target, few=False), *data)
    given = [KINDS[kind](each) for each in data]
    assert same(all_passes(network(target), *given), expected)
    assert all(np.array_equal(np.asarray(a, b.dtype), b) for a, b in zip(given, data, strict=True))


def test_plain_arrays_go_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the way of many rows")

    for name in ("step", "gradient", "update", "step_on_gradient", "forward", "backward"):
        monkeypatch.setattr(Passes, name, refuse)
    for kind in set(NETWORKS) - {"signs"}:
        all_passes(network(kind), X, TARGETS[kind], DA[:, : 1 if kind == "one output" else 3])


@pytest.mark.parametrize("rows", [1, MAX_ROWS, MAX_ROWS + 1])
def test_any_number_of_rows_on_one_thread(rows: int) -> None:
    x, y = rng.normal(size=(rows, 5)), rng.normal(size=(rows, 3))
    results = []
    for few in (True, False):
        net = Network([5, 40, 3], seed=0, threads=1)
        net._engine.few_row_passes.max_rows *= few
        results.append([*all_passes(net, x, y, y), *all_passes(net, x[:1], y[:1], y[:1])])
    assert same(*results)


def with_value(array: Array, value: float) -> Array:
    changed = array.copy()
    changed.flat[4] = value
    return changed


BAD: dict[str, tuple[str, Callable[[Network], Any]]] = {
    "X": ("numbers", lambda net: net.train_on_batch(with_value(X, np.nan), Y)),
    "X too large": ("numbers", lambda net: net.train_on_batch(with_value(X, 1e39), Y)),
    "y": ("numbers", lambda net: net.train_on_batch(X, with_value(Y, np.inf))),
    "rows": ("numbers", lambda net: net.train_on_batch(X, Y[1:])),
    "columns": ("numbers", lambda net: net.train_on_batch(X[:, 1:], Y)),
    "no rows": ("numbers", lambda net: net.train_on_batch(X[:0], Y[:0])),
    "label": ("classes", lambda net: net.train_on_batch(X, LABELS + 1)),
    "large label": ("classes", lambda net: net.train_on_batch(X, LABELS.astype(np.uint64) + (1 << 63))),
    "broken label": ("classes", lambda net: net.train_on_batch(X, LABELS + 0.5)),
    "probability": ("yes and no", lambda net: net.train_on_batch(X, with_value((Y > 0).astype(float), 1.5))),
    "count": ("counts", lambda net: net.train_on_batch(X, with_value(np.abs(Y), -1.0))),
    "sign": ("signs", lambda net: net.train_on_batch(X, with_value(np.sign(Y), 0.0))),
    "gradients": ("numbers", lambda net: net.gradients(X, with_value(Y, np.nan))),
    "forward": ("numbers", lambda net: net.forward(with_value(X, np.nan))),
    "dA": ("numbers", lambda net: net.train_on_gradient(X, with_value(DA, np.nan))),
    "dA of backward": ("numbers", lambda net: net.backward(X, with_value(DA, np.nan))),
    "rows of dA": ("numbers", lambda net: (net.forward(X), net.backward(None, DA[1:]))),
    "flat": ("numbers", lambda net: net.apply_gradients(with_value(net.flat_weights(), np.nan))),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_values_raise_the_error_of_many_rows_and_change_nothing(case: str) -> None:
    kind, call = BAD[case]
    messages = []
    for few in (True, False):
        net = network(kind, few=few)
        net.train_on_batch(X, TARGETS[kind])
        before = net.flat_weights()
        with pytest.raises(ValueError, match="must") as error:
            call(net)
        messages.append(str(error.value))
        np.testing.assert_array_equal(net.flat_weights(), before)
        assert net._engine.step == 1
    assert messages[0] == messages[1]


def test_weights_that_are_not_finite_are_refused_every_time() -> None:
    net = network("numbers")
    net.train_on_batch(X, Y)
    net._engine.parameters.weights[0] = np.inf
    net._engine.parameters.count_change()
    for _ in range(2):
        with pytest.raises(ValueError, match="weights hold NaN or infinity"):
            net.train_on_batch(X, Y)


def test_backward_after_a_forward_pass_of_another_size_takes_the_last() -> None:
    net, expected = network("numbers"), network("numbers", few=False)
    many, dA = np.tile(X, (60, 1)), np.tile(DA, (60, 1))
    for x, d in ((X, DA), (many, dA), (X[:2], DA[:2])):
        for each in (net, expected):
            each.forward(x)
        assert same(tensors(net.backward(None, d)), tensors(expected.backward(None, d)))
        with pytest.raises(ValueError, match="rows of the last forward pass"):
            net.backward(None, d[1:])
        with pytest.raises(ValueError, match="must be finite"):
            net.forward(with_value(many, np.nan))
        assert same(tensors(net.backward(None, d.tolist())), tensors(expected.backward(None, d)))


def test_a_backward_pass_that_is_refused_keeps_the_activations_of_the_last_forward_pass() -> None:
    net, plain = network("numbers"), network("numbers")
    for each in (net, plain):
        each.forward(X)
    for wanted in (True, False):
        with pytest.raises(ValueError, match="dA must be finite"):
            net.backward(X[::-1], with_value(DA, np.nan), return_input_gradient=wanted)
        assert same(tensors(net.backward(None, DA)), tensors(plain.backward(None, DA)))


def test_a_call_within_a_call_makes_a_plan_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler of a signal can use the network after a call has copied its arrays, and before its kernel runs."""
    net, plain = network("classes"), network("classes")
    expected = [plain.train_on_batch(X[::-1], LABELS[::-1]), plain.train_on_batch(X, LABELS)]
    try_run, found = FewRowsPlan.try_run, []

    def interrupted(self: FewRowsPlan, *arguments: Any, **options: Any) -> bool:
        if not found:
            found.append(None)
            found[0] = net.train_on_batch(X[::-1], LABELS[::-1])
        return try_run(self, *arguments, **options)

    monkeypatch.setattr(FewRowsPlan, "try_run", interrupted)
    assert [*found, net.train_on_batch(X, LABELS)][-1:] + found == expected[::-1]
    np.testing.assert_array_equal(net.flat_weights(), plain.flat_weights())
    found.clear()
    net.forward(X)
    net.train_on_batch(X, LABELS)
    with pytest.raises(StaleForwardError):
        net.backward(None, DA)


CHANGES: dict[str, Callable[[Network], Any]] = {
    "freeze": lambda net: net.freeze(0),
    "unfreeze": lambda net: net.unfreeze(1),
    "rate": lambda net: setattr(net, "learning_rate", 0.25),
}


@pytest.mark.parametrize("moment", ["before the table", "after the table", "after the gradient"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_optimizer_within_a_call_is_seen_by_its_kernel(
    change: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a handler of a signal would make it, between any two instructions of Python."""

    def prepared() -> Network:
        net = Network([5, Dense(8, learning_rate_factor=0.5), Dense(6, trainable=False), 3], optimizer=SGD(0.5), seed=0)
        for _ in range(512):  # of the first table
            net.train_on_batch(X, Y)
        return net

    net, plain = prepared(), prepared()
    gradient = np.full(net.architecture.parameters, 1e-3, np.float32)
    CHANGES[change](plain)
    where, name = {
        "before the table": (step_constants, "_table_of"),
        "after the table": (StepConstants, "table"),
        "after the gradient": (FewRowsPlan, "take_gradient"),
    }[moment]
    original, changed = getattr(where, name), []

    def interrupted(*arguments: Any) -> Any:
        result = original(*arguments)
        if not changed:
            changed.append(CHANGES[change](net))
        return result

    monkeypatch.setattr(where, name, interrupted)
    for each in (net, plain):
        each.apply_gradients(gradient)
        each.apply_gradients(gradient)
    assert changed
    np.testing.assert_array_equal(net.flat_weights(), plain.flat_weights())


def test_kinds_of_arrays_are_forgotten_in_time() -> None:
    net = Network([5, 3], seed=0, threads=1)
    for rows in range(1, MAX_ROWS):
        net.train_on_batch(np.zeros((rows, 5)), np.zeros((rows, 3)))
        net.train_on_batch(np.zeros((rows, 5), np.float32), np.zeros((rows, 3), np.float32))
    passes = next(iter(net._engine.few_row_passes._idle.values()))
    assert 0 < len(passes._places) <= MAX_KINDS
