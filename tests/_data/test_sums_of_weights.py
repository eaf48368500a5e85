"""Rows whose weights sum to 0 are refused before anything changes; "balanced" weights are those of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from behaviour import bits, everything, small_data, small_network
from sklearn.utils.class_weight import compute_class_weight

from fastmlp import Network
from fastmlp._data import arrays
from fastmlp._data.names import Names
from fastmlp._data.targets import check_targets
from fastmlp._data.training_data import check_training_data
from fastmlp._data.weights import balanced_class_factors

X, LABELS = small_data()
ROWS = len(X)
ZERO, ONES = np.zeros(ROWS), np.ones(ROWS)
ALMOST = np.full(ROWS, 5e-324)  # the reciprocal of their sum is infinite


def chunks(weights: Any) -> Callable[[], Any]:
    return lambda: ((X[i : i + 10], LABELS[i : i + 10], weights[i : i + 10]) for i in range(0, ROWS, 10))


REFUSED: dict[str, tuple[Callable[[Network], Any], str]] = {
    "fit": (lambda net: net.fit(X, LABELS, sample_weight=ZERO), f"sample_weight must .* a sum of 0 over {ROWS} rows"),
    "tiny": (lambda net: net.fit(X, LABELS, sample_weight=ALMOST), "sample_weight must .* a sum of 2.*e-322 over"),
    "classes": (
        lambda net: net.fit(X, LABELS, class_weight=dict.fromkeys(range(3), 0)),
        f"sample_weight and class_weight of the training rows must .* over {ROWS} rows",
    ),
    "classes that occur": (
        lambda net: net.fit(X, np.minimum(LABELS, 1), class_weight={0: 0, 1: 0}),
        "sample_weight and class_weight of the training rows must",
    ),
    "both": (
        lambda net: net.fit(X, LABELS, sample_weight=LABELS == 1, class_weight={1: 0}),
        "sample_weight and class_weight of the training rows must",
    ),
    "training rows": (
        lambda net: net.fit(X, LABELS, sample_weight=held_out(net), validation_split=0.2),
        "sample_weight and class_weight of the training rows must .* over 33 rows",
    ),
    "split": (
        lambda net: net.fit(X, LABELS, sample_weight=1 - held_out(net), validation_split=0.2),
        "sample_weight of the rows of validation_split must .* over 8 rows",
    ),
    "validation_data": (
        lambda net: net.fit(X, LABELS, validation_data=(X, LABELS, ZERO)),
        "sample_weight of validation_data must give a row a weight greater than 0",
    ),
    "evaluate": (lambda net: net.evaluate(X, LABELS, ZERO), "sample_weight must give a row"),
    "step": (lambda net: net.train_on_batch(X, LABELS, ZERO), "sample_weight must give a row"),
    "gradients": (lambda net: net.loss_and_gradients(X, LABELS, ZERO), "sample_weight must give a row"),
    "chunks": (lambda net: net.fit(chunks(ZERO)), f"the chunks of epoch 0 must .* a sum of 0 over {ROWS} rows"),
    "chunks of small batches": (
        lambda net: net.fit(chunks(ZERO), batch_size=3),
        "the chunks of epoch 0 must give a row",
    ),
    "classes of chunks": (
        lambda net: net.fit(chunks(ONES), class_weight=dict.fromkeys(range(3), 0)),
        "the chunks of epoch 0 must give a row a weight greater than 0",
    ),
}


def held_out(network: Network) -> Any:
    """Return weights that are 1 for the rows that `validation_split=0.2` selects, else 0."""
    source, _ = checked(X, LABELS, network, validation_split=0.2)
    return ~np.isin(np.arange(ROWS), source.training_rows) * 1.0


def checked(X: Any, y: Any, network: Network, **options: Any) -> Any:
    none = {
        "sample_weight": None,
        "class_weight": None,
        "validation_data": None,
        "validation_split": 0.0,
        "prefetch": 0,
        "by_blocks": False,
    }
    return check_training_data(X, y, network.architecture, Names(), epochs=1, **{**none, **options})


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_rows_without_weight_are_refused_and_nothing_changes(
    call: Callable[[Network], Any], message: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small_network()
    before = bits(network) if "chunks" in message else everything(network)
    if large:
        monkeypatch.setattr(arrays, "STAGE_BYTES", 64)
        monkeypatch.setattr(arrays, "SCAN_BYTES", 64)
    with pytest.raises(ValueError, match=message):
        call(network)
    assert (bits(network) if "chunks" in message else everything(network)) == before


def test_chunks_and_batches_without_weight_are_rows_that_are_left_out_of_the_loss() -> None:
    weights = np.repeat([0.0, 1.0, 0.0, 2.0, 0.0], 10)[:ROWS]
    one, other = small_network(), small_network()
    one.fit(chunks(weights), shuffle=False, epochs=2, batch_size=5)
    other.fit(X, LABELS, sample_weight=weights, shuffle=False, epochs=2, batch_size=5)
    assert bits(one) == bits(other)
    assert one.history.history == other.history.history  # type: ignore[union-attr]


def test_an_epoch_of_chunks_without_weight_is_undone() -> None:
    """The second epoch has no weight, which only its last chunk shows: penalties alone have moved the weights."""
    network, left = small_network(), [ONES, ZERO]
    other = small_network().fit(chunks(ONES), batch_size=5)
    with pytest.raises(ValueError, match="the chunks of epoch 1 must give a row a weight greater than 0"):
        network.fit(lambda: chunks(left.pop(0))(), epochs=2, batch_size=5)
    assert network.epoch == 1
    assert network.history.history == other.history  # type: ignore[union-attr]


# Balanced classes ----------------------------------------------------------------------------------------------------

WEIGHTS = np.random.default_rng(0).uniform(0, 2, ROWS)
WEIGHTS[::5] = 0
RARE = np.where(np.arange(ROWS) < 4, 2, LABELS % 2)


def softmax() -> Network:
    return small_network()


def sigmoid() -> Network:
    return Network([3, 4, 1], output="sigmoid", seed=7)


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("network", "y", "labels"),
    [
        (softmax, LABELS, LABELS),
        (softmax, RARE, RARE),
        (softmax, np.eye(3)[RARE], RARE),
        (softmax, RARE % 2 * 2, RARE % 2 * 2),  # class 1 does not occur
        (softmax, np.zeros(ROWS, int), np.zeros(ROWS, int)),
        (sigmoid, RARE // 2, RARE // 2),
        (sigmoid, (RARE // 2)[:, None], RARE // 2),
    ],
)
def test_balanced_factors_are_those_of_scikit_learn(
    network: Any, y: Any, labels: Any, weights: Any, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = np.unique(labels)
    expected = dict(
        zip(classes, compute_class_weight("balanced", classes=classes, y=labels, sample_weight=weights), strict=True)
    )
    if large:
        monkeypatch.setattr(arrays, "SCAN_BYTES", 64)
    found = balanced_class_factors(check_targets(y, ROWS, network().architecture), weights)
    assert found.tolist() == pytest.approx([expected.get(label, 1.0) for label in range(len(found))], rel=1e-15)
    totals = np.bincount(labels, found[labels] * (1 if weights is None else weights))
    assert totals[classes] == pytest.approx([totals.sum() / len(classes)] * len(classes))


def test_a_class_whose_rows_have_no_weight_does_not_count_as_a_class() -> None:
    targets = check_targets(RARE, ROWS, softmax().architecture)
    kept = RARE != 2
    found = balanced_class_factors(targets, kept.astype(float))
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=RARE[kept])
    assert found.tolist() == pytest.approx([*expected, 1.0], rel=1e-15)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("split", [0.0, 0.25])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_a_balanced_fit_is_one_with_the_weights_of_the_training_rows(
    weights: Any, split: float, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, options = softmax(), softmax(), {"sample_weight": weights, "validation_split": split, "epochs": 2}
    source, _ = checked(X, RARE, one, validation_split=split)
    rows = np.arange(ROWS) if source.training_rows is None else source.training_rows
    if large:
        monkeypatch.setattr(arrays, "STAGE_BYTES", 64)
    classes, w = np.unique(RARE[rows]), None if weights is None else weights[rows]
    factors = compute_class_weight("balanced", classes=classes, y=RARE[rows], sample_weight=w)
    one.fit(X, RARE, class_weight="balanced", **options)
    other.fit(X, RARE, class_weight=dict(zip(classes.tolist(), factors.tolist(), strict=True)), **options)
    if weights is None:
        assert bits(one) == bits(other)
        named = softmax()
        named.fit(X, np.array(["ant", "bee", "cat"])[RARE], class_weight="balanced", **options)
        assert bits(named) == bits(one)
    for (W, b), (expected_W, expected_b) in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(W, expected_W, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(b, expected_b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((X, LABELS), {"class_weight": "balance"}, TypeError, "from label to weight, or 'balanced', got 'balance'"),
        ((chunks(ONES),), {"class_weight": "balanced"}, ValueError, "needs the labels of all rows .* but chunks come"),
        ((X, np.full((ROWS, 3), 1 / 3)), {"class_weight": "balanced"}, ValueError, "class_weight needs class labels"),
        (
            (X, RARE),
            {"class_weight": "balanced", "sample_weight": np.where(RARE == 2, 1e-200, 1)},
            ValueError,
            r"the weight of a class by class_weight='balanced' must be less than 1e\+100, got",
        ),
    ],
)
def test_what_cannot_be_balanced_is_refused(arguments: Any, options: Any, error: Any, message: str) -> None:
    network = softmax()
    before = everything(network)
    with pytest.raises(error, match=message):
        network.fit(*arguments, **options)
    assert everything(network) == before
