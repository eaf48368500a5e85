"""Losses of rows that a user registers, and parameters that are given at use."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, TOLERANCE, assert_same_bits, relative_error, tensors

from fastmlp import (
    Adam,
    Dense,
    GaussianNLL,
    Network,
    NonFiniteLossError,
    OwnLoss,
    Quantile,
    check_gradients,
    register_loss,
)
from fastmlp.losses import LOSSES
from fastmlp.own_losses import MAX_NUMBERS
from fastmlp.reference import Network as Reference

rng = np.random.default_rng(0)
N = 40
X = rng.normal(size=(N, 3))
LEVELS = (0.1, 0.5, 0.9)


def pinball(a: Any, y: Any, levels: Any = LEVELS) -> float:
    total = 0.0
    for k in range(len(a)):
        d = y[k // len(levels)] - a[k]
        level = levels[k % len(levels)]
        total += max(level * d, (level - 1.0) * d)
    return total / len(a)


def pinball_gradient(a: Any, y: Any, out: Any, levels: Any = LEVELS) -> None:
    for k in range(len(a)):
        level = levels[k % len(levels)]
        out[k] = (-level if y[k // len(levels)] > a[k] else 1.0 - level) / len(a)


def targets_of(outputs: int, levels: Any = LEVELS) -> int:
    if outputs % len(levels):
        raise ValueError(f"{outputs} outputs are no multiple of {len(levels)} levels")
    return outputs // len(levels)


def normal(a: Any, y: Any, epsilon: float = 1e-6) -> float:
    v = math.exp(a[1]) + epsilon
    return 0.5 * (math.log(v) + (y[0] - a[0]) ** 2 / v)


def normal_gradient(a: Any, y: Any, out: Any, epsilon: float = 1e-6) -> None:
    v = math.exp(a[1]) + epsilon
    d = y[0] - a[0]
    out[0] = -d / v
    out[1] = 0.5 * math.exp(a[1]) / v * (1.0 - d * d / v)


def weibull(a: Any, y: Any) -> float:
    """Return a loss of the time of an event, y[0], which was seen if y[1] is 1; y[2] is not used."""
    z = np.exp(a[1]) * (np.log(y[0]) - a[0])
    return np.exp(z) - y[1] * (a[1] + z)  # type: ignore[no-any-return]


def weibull_gradient(a: Any, y: Any, out: Any) -> None:
    k = np.exp(a[1])
    z = k * (np.log(y[0]) - a[0])
    out[0] = k * (y[1] - np.exp(z))
    out[1] = np.exp(z) * z - y[1] * (1.0 + z)


def squares(a: Any, y: Any) -> float:
    total = 0.0
    for k in range(len(a)):
        total += (a[k] - y[k]) ** 2
    return total


def squares_gradient(a: Any, y: Any, out: Any) -> None:
    for k in range(len(a)):
        out[k] = 2.0 * (a[k] - y[k])


def power(a: float, y: float, exponent: float = 4.0, factor: int = 1) -> float:
    return factor * abs(a - y) ** exponent


def power_gradient(a: float, y: float, exponent: float = 4.0, factor: int = 1) -> float:
    slope = factor * exponent * abs(a - y) ** (exponent - 1.0)
    return slope if a > y else -slope


@pytest.fixture(scope="module", autouse=True)
def registered() -> Any:
    before = dict(LOSSES)
    register_loss("quantiles", pinball, pinball_gradient, outputs="row", target_columns=targets_of)
    register_loss("normal", normal, normal_gradient, outputs="row", target_columns=1, check_outputs=2)
    register_loss(
        "weibull", weibull, weibull_gradient, targets="positive", outputs="row", target_columns=3, check_outputs=2
    )
    register_loss("squares", squares, squares_gradient, outputs="row")
    register_loss("power", power, power_gradient)
    yield
    LOSSES.clear()
    LOSSES.update(before)


CASES: dict[str, tuple[Any, int, int]] = {
    "quantiles": (lambda: "quantiles", 6, 2),
    "two quantiles": (lambda: OwnLoss("quantiles", levels=(0.25, 0.75)), 4, 2),
    "normal": (lambda: OwnLoss("normal", epsilon=1e-3), 2, 1),
    "weibull": (lambda: "weibull", 2, 3),
    "squares": (lambda: "squares", 19, 19),
    "power": (lambda: OwnLoss("power", exponent=3.0), 2, 2),
}


def network(kind: Any, case: str, dtype: str = "float64") -> Any:
    make, outputs, _ = CASES[case]
    layers = [3, Dense(9, "tanh", l2=0.01), outputs]
    return kind(layers, loss=make(), optimizer=Adam(0.01), dtype=dtype, seed=2)


def targets(case: str) -> Any:
    return rng.uniform(0.2, 2.0, (N, CASES[case][2]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_trainings_are_those_of_the_reference(case: str, dtype: str) -> None:
    y, weights = targets(case), rng.uniform(0.1, 2.0, N)
    net, reference = network(Network, case, dtype), network(Reference, case, dtype)
    for each in (net, reference):
        each.fit(X, y, sample_weight=weights, epochs=2, batch_size=7)
    assert relative_error(net.predict(X), reference.predict(X)) <= 10 * TOLERANCE[dtype]
    found, expected = net.evaluate(X, y, weights), reference.evaluate(X, y, weights)
    assert found["loss"] == pytest.approx(expected["loss"], rel=100 * TOLERANCE[dtype])
    for gradient, wanted in zip(
        *(tensors(n.loss_and_gradients(X, y, weights)[1]) for n in (net, reference)), strict=True
    ):
        assert relative_error(gradient, wanted) <= 100 * TOLERANCE[dtype]


@pytest.mark.parametrize("case", CASES)
def test_gradients_agree_with_central_differences(case: str) -> None:
    report = check_gradients(network(Network, case), X, targets(case))
    assert report.ok, str(report)


@pytest.mark.parametrize(
    ("own", "outputs", "built_in"),
    [
        ("quantiles", 6, Quantile(LEVELS)),
        (("quantiles", {"levels": (0.3,)}), 2, Quantile(0.3)),
        (("normal", {"epsilon": 0.1}), 2, GaussianNLL(0.1)),
        (("power", {"exponent": 2.0}), 3, "mean_squared_error"),
    ],
)
def test_a_loss_of_ones_own_equals_the_built_in_one(own: Any, outputs: int, built_in: Any) -> None:
    loss = own if isinstance(own, str) else OwnLoss(own[0], **own[1])
    mine, theirs = (Network([3, 9, outputs], loss=each, dtype="float64", seed=0) for each in (loss, built_in))
    y = rng.normal(size=(N, mine.architecture.target_columns))
    for each in (mine, theirs):
        each.fit(X, y, epochs=2, batch_size=7)
    assert relative_error(mine.flat_weights(), theirs.flat_weights()) <= 1e-12


def test_functions_of_rows_may_compute_with_whole_arrays() -> None:
    def value(a: Any, y: Any) -> float:
        return np.sum((a - y) ** 2)  # type: ignore[no-any-return]

    def gradient(a: Any, y: Any, out: Any) -> None:
        out[:] = 2.0 * (a - y)

    register_loss("whole", value, gradient, outputs="row")
    for dtype in DTYPES:
        whole, loops = (Network([3, 9, 4], loss=each, dtype=dtype, seed=0) for each in ("whole", "squares"))
        y = rng.normal(size=(N, 4))
        assert whole.evaluate(X, y)["loss"] == pytest.approx(loops.evaluate(X, y)["loss"], rel=TOLERANCE[dtype])
        for each in (whole, loops):
            each.fit(X, y, epochs=2, batch_size=7)
        assert relative_error(whole.flat_weights(), loops.flat_weights()) <= 10 * TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_index_beyond_a_row_makes_the_loss_nan_and_harms_nothing(dtype: str) -> None:
    def value(a: Any, y: Any) -> float:
        return a[int(y[0])] ** 2 / 2.0  # type: ignore[no-any-return]

    def gradient(a: Any, y: Any, out: Any) -> None:
        out[int(y[0])] = a[int(y[0])]

    register_loss("picked", value, gradient, targets="counts", outputs="row", target_columns=1, check_outputs=4)
    net, y = Network([3, 9, 4], loss="picked", dtype=dtype, seed=0), rng.integers(0, 4, N).astype(float)
    net.fit(X, y, epochs=1)
    before = net.flat_weights()
    for beyond in (4.0, 3e7, 1e18):
        y[N // 2] = beyond
        for train in (lambda: net.fit(X, y, epochs=1), lambda: net.train_on_batch(X, y)):
            with pytest.raises(NonFiniteLossError):
                train()
        assert math.isnan(net.evaluate(X, y)["loss"])
        assert np.isnan(net.gradients(X, y, out=np.empty_like(before))).any()
    assert_same_bits(net.flat_weights(), before)


def test_losses_are_kept_with_their_parameters(tmp_path: Path) -> None:
    loss = OwnLoss("quantiles", levels=[0.25, 0.75])  # type: ignore[arg-type]
    assert repr(loss) == "OwnLoss('quantiles', levels=(0.25, 0.75))"
    assert (loss.label, OwnLoss("quantiles").label) == ("quantiles(levels=(0.25, 0.75))", "quantiles")
    assert loss == OwnLoss("quantiles", levels=(0.25, 0.75)) != OwnLoss("quantiles")
    assert len({loss, OwnLoss("quantiles", levels=(0.25, 0.75)), OwnLoss("quantiles")}) == 2
    net = network(Network, "two quantiles")
    net.save(tmp_path / "net.safetensors")
    for again in (Network.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert again.architecture.loss == loss
        assert_same_bits(again.predict(X), net.predict(X))
    assert network(Reference, "two quantiles").architecture.loss == loss


def test_metrics_need_an_output_for_each_target() -> None:
    net, y = network(Network, "normal"), targets("normal")
    assert list(net.fit(X, y, validation_data=(X, y)).history) == ["loss", "val_loss"]

    def bias(y: Any, predictions: Any) -> float:
        return float(np.mean(predictions[:, :1] - y))

    assert net.evaluate(X, y, metrics=[bias]) == {"loss": net.evaluate(X, y)["loss"], "bias": bias(y, net.predict(X))}
    with pytest.raises(ValueError, match=r"metric 'r2' does not suit the loss normal; .*: functions of y"):
        net.evaluate(X, y, metrics=["r2"])
    assert list(network(Network, "squares").evaluate(X, targets("squares"))) == ["loss", "mean_absolute_error", "r2"]


# Errors ---------------------------------------------------------------------------------------------------------------


def reads_too_far(a: Any, y: Any) -> float:
    return float(a[len(a)])


def changes_y(a: Any, y: Any, out: Any) -> None:
    y[0] = 0.0


def changes_a_later(a: Any, y: Any, out: Any) -> None:
    for k in range(len(a)):
        out[k] = 2.0 * (a[k] - y[k])
    if a[0] > 100.0:
        a[0] = 1.0


def returns_its_gradient(a: Any, y: Any, out: Any) -> Any:
    return 2.0 * (a - y)


def writes_too_far(a: Any, y: Any, out: Any) -> None:
    for k in range(len(a) + 1):
        out[k] = 2.0 * (a[min(k, len(a) - 1)] - y[min(k, len(a) - 1)])


def writes_before(a: Any, y: Any, out: Any) -> None:
    out[:] = 2.0 * (a - y)
    out.base[0] = 1.0


def writes_infinity(a: Any, y: Any, out: Any) -> None:
    out[0] = math.inf


def other_parameters(a: Any, y: Any, out: Any, levels: Any = (0.5,)) -> None:
    out[:] = 0.0


def named(a: float, y: float, name: float = 1.0) -> float:
    return name * (a - y) ** 2


def named_gradient(a: float, y: float, name: float = 1.0) -> float:
    return 2.0 * name * (a - y)


def wrong_by_one(a: Any, y: Any, out: Any) -> None:
    out[:] = 2.0 * (a - y)
    out[1] += 1.0


ROW: dict[str, Any] = {"outputs": "row"}
BAD: dict[str, tuple[Any, Any, dict[str, Any], Any, str]] = {
    "reads too far": (reads_too_far, squares_gradient, ROW, ValueError, "IndexError: index 3 is out of bounds"),
    "changes y": (squares, changes_y, ROW, ValueError, "assignment destination is read-only"),
    "changes a later": (squares, changes_a_later, ROW, ValueError, "gradient writes to an array other than out"),
    "returns": (squares, returns_its_gradient, ROW, ValueError, "must write to out and return nothing, got array"),
    "writes too far": (squares, writes_too_far, ROW, ValueError, "IndexError: index 3 is out of bounds"),
    "writes before": (squares, writes_before, ROW, ValueError, "has written beside out"),
    "infinity": (squares, writes_infinity, ROW, ValueError, "must write finite numbers, got [inf, 0.0, 0.0]"),
    "wrong": (squares, wrong_by_one, ROW, ValueError, "bad: out[1] of gradient(["),
    "no out": (squares, squares, ROW, TypeError, "gradient must take three arrays, a, y and out, got (a"),
    "parameters": (squares, other_parameters, ROW, TypeError, "must have the same parameters and defaults, got {} and"),
    "tuple": (pinball, pinball, {}, TypeError, "levels=(0.1, 0.5, 0.9) needs outputs='row'"),
    "outputs": (
        squares,
        squares_gradient,
        {"outputs": "all"},
        ValueError,
        "outputs must be one of each, row, got 'all'",
    ),
    "columns": (squares, squares_gradient, {**ROW, "target_columns": 0}, ValueError, "target_columns must be"),
    "columns of each": (power, power_gradient, {"target_columns": 2}, ValueError, "target_columns needs outputs='row'"),
    "columns of none": (
        squares,
        squares_gradient,
        {**ROW, "target_columns": lambda outputs: 0},
        ValueError,
        "target_columns of bad for 3 outputs must be",
    ),
    "columns of classes": (
        squares,
        squares_gradient,
        {**ROW, "targets": "classes", "target_columns": 2},
        ValueError,
        "target_columns cannot be given for targets='classes'",
    ),
    "columns that fail": (
        squares,
        squares_gradient,
        {**ROW, "target_columns": lambda outputs: 1 // (outputs - 3)},
        ValueError,
        "target_columns of bad for 3 outputs failed: ZeroDivisionError",
    ),
    "name": (named, named_gradient, {}, TypeError, "a parameter cannot be called 'name'"),
    "check of each": (power, power_gradient, {"check_outputs": "3"}, TypeError, "check_outputs must be a whole number"),
    "check": (squares, squares_gradient, {**ROW, "check_outputs": 0}, ValueError, "check_outputs must be"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_functions_of_rows_are_refused_and_not_registered(case: str) -> None:
    value, gradient, options, kind, message = BAD[case]
    before = dict(LOSSES)
    with pytest.raises(kind) as caught:
        register_loss("bad", value, gradient, **options)
    assert message in str(caught.value)
    assert before == LOSSES


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: OwnLoss("quantils"), ValueError, "unknown loss 'quantils'"),
        (lambda: OwnLoss("huber"), TypeError, "takes the name of a loss that register_loss has made, got 'huber'"),
        (lambda: OwnLoss("quantiles", level=(0.1,)), TypeError, "argument 'level'; did you mean 'levels'"),
        (lambda: OwnLoss("quantiles", levels=0.5), TypeError, r"must be a tuple of numbers, as its default \(0.1, 0"),
        (lambda: OwnLoss("quantiles", levels=()), TypeError, "must be a tuple of numbers, as its default"),
        (lambda: OwnLoss("quantiles", levels=("a",)), TypeError, "an element of quantiles: levels must be a number"),
        (lambda: OwnLoss("quantiles", levels=(0.5,) * 257), ValueError, f"at most {MAX_NUMBERS} numbers together"),
        (lambda: OwnLoss("power", exponent="4"), TypeError, "power: exponent must be a number"),
        (lambda: OwnLoss("power", factor=2), TypeError, "argument 'factor'"),
        (lambda: OwnLoss("power", exponent=-400.0), ValueError, r"power: value\(.*\) failed: OverflowError"),
        (lambda: Network([3, 4], loss="quantiles"), ValueError, "4 outputs are no multiple of 3 levels"),
        (lambda: Network([3, 1], loss="normal"), ValueError, "normal: gradient.* failed: IndexError: index 1 is out"),
        (lambda: Network([3, 1], loss=OwnLoss("normal", epsilon=-9.0)), ValueError, "normal: "),
    ],
)
def test_what_a_registered_loss_does_not_take_is_named(make: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_as_many_numbers_as_a_loss_may_have_fit_its_workspace() -> None:
    levels = tuple(np.linspace(0.01, 0.99, MAX_NUMBERS).tolist())
    loss, outputs = OwnLoss("quantiles", levels=levels), MAX_NUMBERS
    mine, theirs = (Network([3, outputs], loss=each, dtype="float64", seed=0) for each in (loss, Quantile(levels)))
    y = rng.normal(size=N)
    assert mine.evaluate(X, y)["loss"] == pytest.approx(theirs.evaluate(X, y)["loss"])
