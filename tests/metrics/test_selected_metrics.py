"""Metrics selected by name and functions of the user, in `evaluate` and after each epoch, agree with scikit-learn."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from behaviour import bits, everything, small_data, small_network
from sklearn import metrics as peer

from fastmlp import Adam, EarlyStopping, Network, metrics
from fastmlp import reference as plain
from fastmlp.losses import LOSSES
from fastmlp.metrics import METRICS
from fastmlp.metrics.registry import TARGET_KINDS

RNG = np.random.default_rng(5)
ROWS = 45
X = RNG.normal(size=(ROWS, 3)).astype(np.float32)
WEIGHTS = RNG.uniform(0, 2, ROWS)
WEIGHTS[::7] = 0

weighted = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
unwarned = pytest.mark.filterwarnings("ignore::fastmlp.metrics.UndefinedMetricWarning")
both = pytest.mark.parametrize("kind", [Network, plain.Network], ids=["compiled", "reference"])

Truth = Callable[[Any, Any, Any], float]


def macro(name: str) -> Truth:
    """Return scikit-learn's metric as the plain mean over the classes that occur."""
    score = getattr(peer, f"{name}_score")
    return lambda y, p, w: score(y, p.argmax(1), sample_weight=w, average="macro", zero_division=0)


def by_output(score: Truth) -> Truth:
    """Return the metric as the plain mean over the outputs."""
    return lambda y, p, w: float(np.mean([score(t, q, w) for t, q in zip(y.reshape(p.shape).T, p.T, strict=True)]))


def called(name: str) -> Truth:
    """Return scikit-learn's metric of one output, which predicts class 1 from 1/2 on."""
    score = getattr(peer, f"{name}_score")
    more = {} if name == "accuracy" else {"zero_division": 0}
    return lambda y, p, w: score(y, p >= 0.5, sample_weight=w, **more)


def number(name: str) -> Truth:
    return lambda y, p, w: getattr(peer, name)(y.reshape(p.shape), p, sample_weight=w)


def correlation(y: Any, p: Any, w: Any) -> float:
    (a, b), (_, c) = np.cov(y, p, aweights=w)
    return float(b / np.sqrt(a * c))


NUMBERS: dict[str, Truth] = {
    "mean_squared_error": number("mean_squared_error"),
    "root_mean_squared_error": number("root_mean_squared_error"),
    "mean_absolute_error": number("mean_absolute_error"),
    "r2": number("r2_score"),
    "pearson": by_output(correlation),
}
LABELS: dict[str, Truth] = {name: by_output(called(name)) for name in ("accuracy", "precision", "recall", "f1")}
AREA: dict[str, Truth] = {"roc_auc": by_output(lambda y, p, w: peer.roc_auc_score(y, p, sample_weight=w))}
BINARY: dict[str, Truth] = {
    **LABELS,
    **AREA,
    "log_loss": by_output(lambda y, p, w: peer.log_loss(y, p, sample_weight=w)),
    **NUMBERS,
}
SEVEN: dict[str, Truth] = {
    "accuracy": lambda y, p, w: peer.accuracy_score(y, p.argmax(1), sample_weight=w),
    "top_k_accuracy": lambda y, p, w: peer.top_k_accuracy_score(y, p, k=5, labels=range(7), sample_weight=w),
    **{name: macro(name) for name in ("precision", "recall", "f1")},
    "roc_auc": lambda y, p, w: np.mean([peer.roc_auc_score(y == c, p[:, c], sample_weight=w) for c in range(7)]),
    "log_loss": lambda y, p, w: peer.log_loss(y, p, sample_weight=w, labels=range(7)),
}


def of_second(score: Truth) -> Truth:
    return lambda y, p, w: score(y, p[:, 1], w)


TWO: dict[str, Truth] = {
    **{name: lambda y, p, w, name=name: called(name)(y, p.argmax(1), w) for name in LABELS},  # type: ignore[misc]
    "roc_auc": of_second(lambda y, p, w: peer.roc_auc_score(y, p, sample_weight=w)),
    "log_loss": of_second(lambda y, p, w: peer.log_loss(y, p, sample_weight=w)),
}
CASES: dict[str, tuple[list[int], str, Any, dict[str, Truth]]] = {
    "seven classes": ([3, 8, 7], "softmax", RNG.permutation(ROWS) % 7, SEVEN),
    "two classes": ([3, 5, 2], "softmax", RNG.permutation(ROWS) % 2, TWO),
    "one output of 0 and 1": ([3, 5, 1], "sigmoid", RNG.permutation(ROWS) % 2, BINARY),
    "three outputs of 0 and 1": ([3, 5, 3], "sigmoid", RNG.integers(0, 2, (ROWS, 3)), BINARY),
    "one number": ([3, 5, 1], "linear", RNG.normal(size=ROWS), NUMBERS),
    "two numbers": ([3, 5, 2], "linear", RNG.normal(size=(ROWS, 2)), NUMBERS),
}
cases = pytest.mark.parametrize(("layers", "output", "y", "truths"), CASES.values(), ids=list(CASES))


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-6, abs=1e-6)  # log losses of float32 clip and subtract in float32


@unwarned
@both
@weighted
@cases
def test_each_metric_agrees_with_scikit_learn(
    layers: Any, output: str, y: Any, truths: dict[str, Truth], weights: Any, kind: Any
) -> None:
    network = kind(layers, output=output, seed=3)
    found = network.evaluate(X, y, weights, metrics=truths)
    predictions = network.predict(X)
    assert list(found) == ["loss", *truths]
    assert found == {"loss": found["loss"], **{name: near(truths[name](y, predictions, weights)) for name in truths}}


@cases
def test_every_suitable_metric_is_tested(layers: Any, output: str, y: Any, truths: dict[str, Truth]) -> None:
    kind = TARGET_KINDS[Network(layers, output=output).architecture.loss.targets]
    suitable = [name for name, metric in METRICS.items() if metric.reads in kind.readable]
    assert set(truths) == set(suitable) - ({"top_k_accuracy"} if layers[-1] < 6 else set())


def test_there_is_an_entry_for_every_kind_of_targets() -> None:
    assert {loss.targets for loss in LOSSES.values()} <= set(TARGET_KINDS)
    for kind in TARGET_KINDS.values():
        assert all(METRICS[name].reads in kind.readable for name in kind.default_metrics)


@unwarned
@both
@weighted
@cases
def test_metrics_after_an_epoch_agree_with_evaluate(
    layers: Any, output: str, y: Any, truths: dict[str, Truth], weights: Any, kind: Any
) -> None:
    network, other = kind(layers, output=output, seed=3), kind(layers, output=output, seed=3)
    held = (X, y) if weights is None else (X, y, weights)
    history = network.fit(X, y, epochs=2, validation_data=held, metrics=list(truths)).history
    assert list(history) == ["loss", "val_loss", *(f"val_{name}" for name in truths)]
    for epoch in range(2):
        other.fit(X, y)
        now = other.evaluate(X, y, weights, metrics=list(truths))
        assert {name: history[f"val_{name}"][epoch] for name in now} == now


@both
def test_metrics_of_a_split_agree_with_evaluate_on_its_rows(kind: Any) -> None:
    layers, output, y, truths = CASES["three outputs of 0 and 1"]
    kept = plain.data.split(ROWS, 0.4, plain.random.key(3, plain.random.SPLIT))[1]
    network = kind(layers, output=output, seed=3)
    network.fit(X, y, validation_split=0.4, sample_weight=WEIGHTS, metrics=list(truths))
    found = {name.removeprefix("val_"): values[-1] for name, values in network.history.history.items()}
    expected = network.evaluate(X[kept], y[kept], WEIGHTS[kept], metrics=list(truths))
    assert {name: found[name] for name in truths} == {name: expected[name] for name in truths}


@unwarned
def test_a_row_of_probabilities_counts_as_its_most_probable_class_except_in_the_log_loss() -> None:
    labels = CASES["seven classes"][2]
    soft = 0.6 * np.eye(7)[labels] + 0.4 * RNG.dirichlet(np.ones(7), ROWS)
    network = Network([3, 8, 7], output="softmax", seed=3)
    hard, found = (network.evaluate(X, y, WEIGHTS, metrics=list(SEVEN)) for y in (labels, soft))
    assert {name for name in hard if hard[name] != found[name]} == {"loss", "log_loss"}
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-6)


@unwarned
def test_a_class_without_samples_counts_only_if_it_was_predicted() -> None:
    network, labels = Network([3, 8, 7], output="softmax", seed=3), CASES["seven classes"][2]
    rows = np.flatnonzero((labels != 2) & (labels != 5))
    names = [name for name in SEVEN if name != "roc_auc"]
    found = network.evaluate(X[rows], labels[rows], metrics=names)
    predictions = network.predict(X[rows])
    assert found == {
        "loss": found["loss"],
        **{name: near(SEVEN[name](labels[rows], predictions, None)) for name in names},
    }
    assert math.isnan(network.evaluate(X[rows], labels[rows], metrics=["roc_auc"])["roc_auc"])


def test_with_two_classes_roc_auc_takes_the_scores_of_class_1() -> None:
    p = np.array([[1, 1 - 2e-7], [1e-9, 1], [1e-8, 1]], np.float32)
    found = metrics.evaluate("categorical_crossentropy", [0, 0, 1], p, metrics=["roc_auc"])
    assert found["roc_auc"] == peer.roc_auc_score([0, 0, 1], p[:, 1]) == 0.75


@unwarned
@weighted
def test_of_a_constant_output_only_the_correlation_is_undefined(weights: Any) -> None:
    network = Network([3, 1], seed=0)
    network.set_weights([(np.zeros((3, 1)), np.full(1, 0.25))])
    y = np.full(ROWS, 0.25)
    found = network.evaluate(X, y, weights, metrics=list(NUMBERS))
    np.testing.assert_equal([found[name] for name in NUMBERS], [0, 0, 0, 1, math.nan])


@weighted
@pytest.mark.parametrize("signs", [[-1, 1], [0, 1]])
def test_for_hinge_loss_values_above_0_are_positive(signs: list[int], weights: Any) -> None:
    hinge = LOSSES["hinge"]
    y, margins = RNG.choice(signs, (ROWS, 2)), RNG.normal(size=(ROWS, 2))
    margins[0] = 0
    assert metrics.evaluate(hinge, y, margins, weights) == {
        "accuracy": near(
            by_output(lambda t, p, w: peer.accuracy_score(t > 0, p > 0, sample_weight=w))(y, margins, weights)
        )
    }
    found = metrics.evaluate(hinge, y, margins, weights, metrics=["f1", "roc_auc"])
    assert found == {
        "f1": near(by_output(lambda t, p, w: peer.f1_score(t > 0, p > 0, sample_weight=w))(y, margins, weights)),
        "roc_auc": near(by_output(lambda t, p, w: peer.roc_auc_score(t > 0, p, sample_weight=w))(y, margins, weights)),
    }
    with pytest.raises(ValueError, match="'log_loss' does not suit the loss hinge"):
        metrics.evaluate(hinge, y, margins, metrics=["log_loss"])


def test_counts_are_measured_as_values() -> None:
    y, rates = RNG.poisson(3, (ROWS, 2)), RNG.uniform(1, 5, (ROWS, 2))
    poisson = LOSSES["poisson"]
    for names in (None, list(NUMBERS)):
        found = metrics.evaluate(poisson, y, rates, metrics=names)
        assert found == metrics.evaluate("mean_squared_error", y, rates, metrics=names)


# Functions of the user -----------------------------------------------------------------------------------------------


def share_of_zero(y: Any, predictions: Any) -> float:
    return float((y == 0).mean())


def test_a_function_of_the_package_is_the_metric_of_its_name() -> None:
    network, labels = small_network(), small_data()[1]
    rows = small_data()[0]
    assert network.evaluate(rows, labels, metrics=[metrics.f1, "recall"]) == network.evaluate(
        rows, labels, metrics=["f1", "recall"]
    )


@both
@weighted
@pytest.mark.parametrize("name", ["seven classes", "one number", "two numbers"])
def test_a_function_of_the_user_gets_y_predictions_and_weights(name: str, weights: Any, kind: Any) -> None:
    layers, output, y, _ = CASES[name]
    network, seen = kind(layers, output=output, dtype="float64", seed=3), []

    def mine(y: Any, predictions: Any) -> int:
        seen.append((y, predictions))
        return 2

    def heavy(y: Any, predictions: Any, *, sample_weight: Any = "nothing") -> np.float32:
        seen.append(sample_weight)
        return np.float32(0.5)

    found = network.evaluate(X, y, weights, metrics=[mine, "r2", heavy] if "number" in name else [mine, heavy])
    (targets, predictions), given = seen
    np.testing.assert_array_equal(targets, y if y.shape == targets.shape else y[:, None])
    np.testing.assert_array_equal(predictions, network.predict(X))
    if kind is plain.Network and weights is None:
        weights = np.ones(ROWS)
    np.testing.assert_array_equal(given, weights)
    assert targets.shape[1:] == (() if "classes" in name else predictions.shape[1:])
    assert (found["mine"], found["heavy"]) == (2.0, 0.5)
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize("what", [0, 1, 2], ids=["y", "predictions", "weights"])
def test_a_function_of_the_user_gets_read_only_arrays(what: int) -> None:
    y, weights = np.ones((ROWS, 1), np.float32), np.ones(ROWS)

    def change(*given: Any, sample_weight: Any) -> float:
        (*given, sample_weight)[what][:] = 7
        return 0.0

    with pytest.raises(ValueError, match="read-only"):
        Network([3, 1], seed=0).evaluate(X, y, weights, metrics=[change])
    assert (y == 1).all()
    assert (weights == 1).all()
    assert y.flags.writeable
    assert weights.flags.writeable


@both
def test_a_function_of_the_user_is_called_once_in_each_epoch(kind: Any) -> None:
    calls: list[int] = []

    def counted(y: Any, predictions: Any) -> float:
        calls.append(len(y))
        return float(len(calls))

    _, _, y, _ = CASES["one number"]
    history = kind([3, 1], seed=0).fit(X, y, epochs=3, validation_data=(X[:9], y[:9]), metrics=[counted]).history
    assert list(history) == ["loss", "val_loss", "val_counted"]
    assert history["val_counted"] == [1, 2, 3]
    assert calls == [9] * 3


def test_a_function_without_a_signature_gets_no_weights() -> None:
    with pytest.raises(TypeError, match="metric 'max' must return a number, got an array"):
        Network([3, 1], seed=0).evaluate(X[:1], X[:1, 0], [1.0], metrics=[max])


def test_metrics_do_not_change_training() -> None:
    rows, labels = small_data()
    one, other = small_network(), small_network()
    one.fit(rows, labels, epochs=3, validation_split=0.3)
    other.fit(rows, labels, epochs=3, validation_split=0.3, metrics=["log_loss", share_of_zero])
    assert bits(one) == bits(other)
    assert one.history.history["val_loss"] == other.history.history["val_loss"]  # type: ignore[union-attr]


# Unsuitable metrics --------------------------------------------------------------------------------------------------


def returning(value: Any) -> Callable[..., Any]:
    def mine(y: Any, predictions: Any) -> Any:
        return value

    return mine


def loss(y: Any, predictions: Any) -> float:
    return 0.0


REFUSED: list[tuple[Any, type[Exception], str]] = [
    ("accuracy", TypeError, r"metrics must be a list of names and functions such as \['accuracy'\], got 'accuracy'"),
    (share_of_zero, TypeError, "metrics must be a list of names and functions .*got <function share_of_zero"),
    (["acuracy"], ValueError, "unknown metric 'acuracy'; did you mean 'accuracy'"),
    (["confusion_matrix"], ValueError, "unknown metric 'confusion_matrix'"),
    (["loss"], ValueError, "unknown metric 'loss'"),
    ([3], TypeError, "a metric must be a name or a function with a __name__, got 3"),
    ([functools.partial(share_of_zero)], TypeError, "with a __name__, got functools.partial"),
    (["f1", "recall", "f1"], ValueError, "metrics must have different names, but 'f1' is given twice"),
    (["f1", metrics.f1], ValueError, "'f1' is given twice"),
    ([share_of_zero, share_of_zero], ValueError, "'share_of_zero' is given twice"),
    ([loss], ValueError, "a metric must not be named 'loss', which is the name of the loss"),
    (
        ["r2"],
        ValueError,
        "'r2' does not suit the loss categorical_crossentropy; metrics that do: accuracy, top_k_accuracy, precision",
    ),
    (["top_k_accuracy"], ValueError, r"with k=5 needs scores of more than 5 classes, got shape \(\d+, 3\)"),
]


@both
@pytest.mark.parametrize(("asked", "error", "reason"), REFUSED)
def test_an_unsuitable_metric_is_refused(asked: Any, error: type[Exception], reason: str, kind: Any) -> None:
    rows, labels = small_data()
    with pytest.raises(error, match=reason):
        kind([3, 3], output="softmax", seed=0).evaluate(rows, labels, metrics=asked)


@pytest.mark.parametrize(("asked", "error", "reason"), REFUSED)
def test_an_unsuitable_metric_is_refused_before_training(asked: Any, error: type[Exception], reason: str) -> None:
    rows, labels = small_data()
    network = small_network()
    before = everything(network)
    with pytest.raises(error, match=reason):
        network.fit(rows, labels, validation_split=0.3, metrics=asked)
    assert everything(network) == before


def test_rows_for_which_a_metric_is_undefined_are_refused_before_training() -> None:
    rows, labels = small_data()
    network = small_network()
    before = everything(network)
    with pytest.raises(ValueError, match="metric 'roc_auc' has no value for the validation rows: all samples of pos"):
        network.fit(rows, labels, validation_data=(rows[:5], np.zeros(5, int)), metrics=[share_of_zero, "roc_auc"])
    assert everything(network) == before
    linear = Network([3, 3], output="linear", loss="categorical_crossentropy", seed=0)
    before = everything(linear)
    with pytest.raises(ValueError, match="log_loss needs probabilities from 0 to 1"):
        linear.fit(rows, labels, validation_split=0.5, metrics=["log_loss"])
    assert everything(linear) == before


@both
def test_metrics_need_validation_rows(kind: Any) -> None:
    rows, labels = small_data()
    network = kind([3, 3], output="softmax", seed=0)
    with pytest.raises(ValueError, match="metrics are measured on validation rows; give validation_data or"):
        network.fit(rows, labels, metrics=["accuracy"])
    assert network.step == 0


@pytest.mark.parametrize(
    ("value", "error", "reason"),
    [
        (math.nan, ValueError, "metric 'mine' must return a finite number, got nan"),
        (-math.inf, ValueError, "metric 'mine' must return a finite number, got -inf"),
        (None, TypeError, "metric 'mine' must return a number, got None of type NoneType"),
        ("0.5", TypeError, "metric 'mine' must return a number, got '0.5' of type str"),
        (np.zeros(2), TypeError, r"metric 'mine' must return a number, got an array of shape \(2,\)"),
        (1j, TypeError, "metric 'mine' must return a number, got 1j"),
    ],
)
def test_a_function_that_returns_no_number_is_refused_after_its_first_epoch(
    value: Any, error: type[Exception], reason: str
) -> None:
    rows, labels = small_data()
    one, other = small_network(), small_network()
    with pytest.raises(error, match=reason):
        one.evaluate(rows, labels, metrics=[returning(value)])
    with pytest.raises(error, match=reason):
        one.fit(rows, labels, epochs=3, validation_split=0.3, metrics=["accuracy", returning(value)])
    other.fit(rows, labels, validation_split=0.3)
    assert bits(one) == bits(other)  # the epoch itself is complete
    assert one.history is not None
    assert one.history.epoch == [0]
    assert list(one.history.history) == ["loss", "val_loss", "val_accuracy", "val_mine"]
    assert np.isnan(one.history.history["val_mine"][0])


def test_an_error_of_a_function_of_the_user_is_raised() -> None:
    def mine(y: Any, predictions: Any) -> float:
        raise ZeroDivisionError("a metric's own")

    rows, labels = small_data()
    network = small_network()
    with pytest.raises(ZeroDivisionError, match="a metric's own"):
        network.fit(rows, labels, epochs=3, validation_split=0.3, metrics=[mine])
    assert network.epoch == len(network.history.epoch) == 1  # type: ignore[union-attr]
    network.fit(rows, labels)


# Early stopping on metrics -------------------------------------------------------------------------------------------


def series(*values: float) -> Callable[..., float]:
    """Return a metric that returns these values, one in each epoch."""
    left = iter(values)

    def mine(y: Any, predictions: Any) -> float:
        return next(left)

    return mine


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 1)])
def test_early_stopping_on_a_function_of_the_user_follows_the_mode(mode: Any, best: int) -> None:
    rows, labels = small_data()
    network = small_network()
    stopping = EarlyStopping("val_mine", mode=mode, patience=2)
    network.fit(
        rows, labels, epochs=9, validation_split=0.3, metrics=[series(3, 1, 4, 2, 3.5, 3)], callbacks=[stopping]
    )
    assert (stopping.best_epoch, stopping.stopped_epoch) == (best, best + 2)
    assert stopping.best == {"max": 4, "min": 1}[mode]


def test_early_stopping_on_a_function_of_the_user_needs_a_mode() -> None:
    rows, labels = small_data()
    network = small_network()
    before = bits(network)
    with pytest.raises(ValueError, match="the direction of 'val_share_of_zero' is unknown; give mode='min'"):
        network.fit(
            rows, labels, validation_split=0.3, metrics=[share_of_zero], callbacks=[EarlyStopping("val_share_of_zero")]
        )
    assert bits(network) == before


RISING = {"accuracy", "top_k_accuracy", "precision", "recall", "f1", "roc_auc", "r2", "pearson"}


@pytest.mark.parametrize("name", METRICS)
def test_early_stopping_knows_the_direction_of_a_named_metric(name: str) -> None:
    stopping = EarlyStopping(f"val_{name}", patience=1)
    stopping.network, stopping.entries = small_network(), ("loss", f"val_{name}")
    stopping.on_train_begin()
    stopping.on_epoch_end(0, {f"val_{name}": 0.5})
    stopping.on_epoch_end(1, {f"val_{name}": 0.75})
    assert stopping.best_epoch == int(name in RISING)


def test_early_stopping_on_a_named_metric_restores_the_best_weights() -> None:
    rows, labels = small_data()
    network, stopping = small_network(optimizer=Adam(0.05)), EarlyStopping("val_log_loss", patience=3)
    history = network.fit(
        rows, labels, epochs=100, validation_split=0.3, metrics=["log_loss", "f1"], callbacks=[stopping]
    ).history["val_log_loss"]
    assert stopping.best == min(history) == history[-4]
    kept = plain.data.split(len(rows), 0.3, plain.random.key(network.seed, plain.random.SPLIT))[1]
    assert network.evaluate(rows[kept], labels[kept], metrics=["log_loss"])["log_loss"] == stopping.best


def test_the_mode_takes_precedence_over_the_known_direction() -> None:
    stopping = EarlyStopping("val_loss", mode="max")
    stopping.network, stopping.entries = small_network(), ("loss", "val_loss")
    stopping.on_train_begin()
    for epoch, value in enumerate([1.0, 2.0]):
        stopping.on_epoch_end(epoch, {"val_loss": value})
    assert stopping.best == 2.0


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_metric_rises_if_it_is_larger_for_right_predictions(metric: Any) -> None:
    y, ranks = np.array([0, 0, 1, 1]), np.eye(7)
    right, wrong = (ranks, 1 - ranks) if metric.reads == "ranking" else (0.1 + 0.8 * y, 0.9 - 0.8 * y)
    if metric.reads == "labels":
        right, wrong = y, 1 - y
    found = [metric.function(np.arange(7) if metric.reads == "ranking" else y, each) for each in (right, wrong)]
    assert metric.rises == (found[0] > found[1])
