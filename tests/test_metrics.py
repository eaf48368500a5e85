"""The metrics are scikit-learn's, weighted or not; what it leaves undefined is defined here."""

import numpy as np
import pytest
from sklearn import metrics as peer

from fastmlp import metrics

RNG = np.random.default_rng(0)
WEIGHTS = RNG.uniform(0, 2, 60)
WEIGHTS[::7] = 0
BINARY = RNG.integers(0, 2, 60), RNG.integers(0, 2, 60)
CLASSES = RNG.integers(0, 4, 60), RNG.integers(0, 4, 60)

weighted = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
of_classes = pytest.mark.parametrize("name", ["precision", "recall", "f1"])


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def close(value):
    return pytest.approx(value, rel=1e-12, abs=1e-12)


@weighted
@pytest.mark.parametrize(("true", "pred"), [BINARY, CLASSES], ids=["binary", "classes"])
def test_accuracy_is_the_weighted_share_of_right_labels(true, pred, weights):
    assert metrics.accuracy(true, pred, weights) == close(peer.accuracy_score(true, pred, sample_weight=weights))


@weighted
@pytest.mark.parametrize("labels", [None, [3, 0, 2, 1], [0, 1, 2, 3, 4]])
def test_confusion_matrix_has_true_classes_in_rows(weights, labels):
    true, pred = CLASSES
    found = metrics.confusion_matrix(true, pred, weights, labels=labels)
    np.testing.assert_allclose(found, peer.confusion_matrix(true, pred, sample_weight=weights, labels=labels))
    assert found.dtype == (np.int64 if weights is None else np.float64)


def test_confusion_matrix_takes_names():
    found = metrics.confusion_matrix(["dog", "cat", "cat"], ["dog", "dog", "cat"], labels=["dog", "cat"])
    assert found.tolist() == [[1, 0], [1, 1]]


@weighted
@of_classes
@pytest.mark.parametrize("positive", [0, 1])
def test_of_two_classes_the_positive_one_counts(name, weights, positive):
    true, pred = BINARY
    expected = getattr(peer, f"{name}_score")(true, pred, sample_weight=weights, pos_label=positive)
    assert getattr(metrics, name)(true, pred, weights, pos_label=positive) == close(expected)


@weighted
@of_classes
def test_macro_is_the_plain_mean_over_the_classes_that_occur(name, weights):
    true, pred = CLASSES[0], np.where(CLASSES[1] == 2, 7, CLASSES[1])  # 2 is never called, 7 is never true
    expected = getattr(peer, f"{name}_score")(true, pred, sample_weight=weights, average="macro", zero_division=0)
    assert getattr(metrics, name)(true, pred, weights, average="macro") == close(expected)


@of_classes
def test_a_class_that_neither_occurs_nor_is_called_counts_0(name):
    assert getattr(metrics, name)([0, 0], [0, 0]) == 0.0


@weighted
@pytest.mark.parametrize("digits", [1, 15], ids=["ties", "no ties"])
def test_roc_auc_counts_ties_half(rng, weights, digits):
    scores = rng.normal(BINARY[0], 1.0).round(digits)
    expected = peer.roc_auc_score(BINARY[0], scores, sample_weight=weights)
    assert metrics.roc_auc(BINARY[0], scores, weights) == close(expected)


@weighted
def test_roc_auc_of_several_classes_is_the_mean_of_each_against_the_rest(rng, weights):
    scores = rng.uniform(size=(60, 4))
    scores /= scores.sum(axis=1, keepdims=True)
    expected = np.mean([peer.roc_auc_score(CLASSES[0] == c, scores[:, c], sample_weight=weights) for c in range(4)])
    assert metrics.roc_auc(CLASSES[0], scores, weights) == close(expected)


@pytest.mark.parametrize(("scores", "area"), [([0.1, 0.9], 1.0), ([0.9, 0.1], 0.0), ([0.5, 0.5], 0.5)])
def test_roc_auc_reaches_its_ends_and_its_middle(scores, area):
    assert metrics.roc_auc([0, 1], scores) == area


@weighted
@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
def test_errors_of_numbers_are_plain_means_over_the_outputs(rng, shape, weights):
    true = rng.normal(size=shape)
    pred = true + rng.normal(size=shape)
    assert metrics.mean_absolute_error(true, pred, weights) == close(
        peer.mean_absolute_error(true, pred, sample_weight=weights)
    )
    assert metrics.r2(true, pred, weights) == close(peer.r2_score(true, pred, sample_weight=weights))


def test_r2_of_equal_values_is_1_when_they_are_met_and_0_when_not():
    weights = np.array([1.0, 0.1, 0.7])
    assert metrics.r2([0.1] * 3, [0.1] * 3, weights) == 1.0
    assert metrics.r2([0.1] * 3, [0.1, 0.1, 0.2], weights) == 0.0
    assert metrics.r2([[0.1, 0], [0.1, 1]], [[0.1, 0], [0.2, 1]]) == 0.5


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1", "mean_absolute_error", "r2"])
def test_weights_that_are_all_zero_give_0(name):
    assert getattr(metrics, name)([0, 1], [0, 1], [0.0, 0.0]) == 0.0


@weighted
def test_evaluate_takes_labels_and_rows_of_classes_alike(rng, weights):
    predictions = rng.uniform(size=(60, 4)).astype(np.float32)
    expected = {"accuracy": close(peer.accuracy_score(CLASSES[0], predictions.argmax(axis=1), sample_weight=weights))}
    assert metrics.evaluate("categorical_crossentropy", CLASSES[0], predictions, weights) == expected
    assert metrics.evaluate("categorical_crossentropy", np.eye(4)[CLASSES[0]], predictions, weights) == expected


@weighted
def test_evaluate_compares_each_binary_output_with_one_half(rng, weights):
    true = rng.integers(0, 2, (60, 2))
    predictions = rng.uniform(size=(60, 2))
    predictions[0] = 0.5
    each = [peer.accuracy_score(true[:, k], predictions[:, k] >= 0.5, sample_weight=weights) for k in range(2)]
    assert metrics.evaluate("binary_crossentropy", true, predictions, weights) == {"accuracy": close(np.mean(each))}
    assert metrics.evaluate("binary_crossentropy", true[:, 0], predictions[:, :1], weights) == {
        "accuracy": close(each[0])
    }


@weighted
def test_evaluate_of_numbers_gives_mean_absolute_error_and_r2(rng, weights):
    true, predictions = rng.normal(size=60), rng.normal(size=(60, 1))
    assert metrics.evaluate("mean_squared_error", true, predictions, weights) == {
        "mean_absolute_error": close(peer.mean_absolute_error(true, predictions[:, 0], sample_weight=weights)),
        "r2": close(peer.r2_score(true, predictions[:, 0], sample_weight=weights)),
    }


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: metrics.accuracy([], []), r"n > 0, got \(0,\)"),
        (lambda: metrics.accuracy([0, 1], [0]), r"got \(2,\) and \(1,\)"),
        (lambda: metrics.accuracy([[0]], [[0]]), r"\(n,\)"),
        (lambda: metrics.accuracy([0, 1], [0, 1], [1.0]), r"shape \(2,\), got \(1,\)"),
        (lambda: metrics.accuracy([0, 1], [0, 1], [1.0, -1.0]), "finite and at least 0"),
        (lambda: metrics.accuracy([0, 1], [0, 1], [1.0, np.nan]), "finite and at least 0"),
        (lambda: metrics.confusion_matrix([0, 1], [0, 2], labels=[0, 1]), r"they lack \[2\]"),
        (lambda: metrics.confusion_matrix([0, 1], [0, 1], labels=[0, 1, 1]), "different labels"),
        (lambda: metrics.precision([0, 1, 2], [0, 1, 2]), "use average='macro'"),
        (lambda: metrics.recall([0, 2], [0, 2]), r"pos_label must be one of \[0, 2\], got 1"),
        (lambda: metrics.f1([0, 1], [0, 1], average="micro"), "'binary' or 'macro', got 'micro'"),
        (lambda: metrics.roc_auc([1, 1], [0.1, 0.2]), "in the class and outside"),
        (lambda: metrics.roc_auc([0, 1], [0.1, 0.2], [0.0, 1.0]), "in the class and outside"),
        (lambda: metrics.roc_auc([0, 1], [0.1, np.nan]), "NaN"),
        (lambda: metrics.roc_auc([0, 2], [0.1, 0.2]), r"from 0 to 1, got \[2\]"),
        (lambda: metrics.roc_auc([0, 1], [0.1]), r"got \(2,\) and \(1,\)"),
        (lambda: metrics.mean_absolute_error([0.0, 1.0], [[0.0, 1.0]]), r"got \(2,\) and \(1, 2\)"),
        (lambda: metrics.r2([], []), "n > 0"),
        (lambda: metrics.evaluate("nonsense", [0], [[0.0]]), "unknown loss 'nonsense'"),
    ],
)
def test_what_has_no_answer_is_refused_with_the_reason(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()
