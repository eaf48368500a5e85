"""Metrics agree with scikit-learn, with and without weights; `test_undefined.py` has those that are undefined."""

import numpy as np
import pytest
from sklearn import metrics as peer
from sklearn.feature_selection import r_regression

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
def test_accuracy_is_the_weighted_share_of_correct_labels(true, pred, weights):
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
def test_with_two_classes_the_positive_class_is_measured(name, weights, positive):
    true, pred = BINARY
    expected = getattr(peer, f"{name}_score")(true, pred, sample_weight=weights, pos_label=positive)
    assert getattr(metrics, name)(true, pred, weights, pos_label=positive) == close(expected)


@weighted
@of_classes
@pytest.mark.filterwarnings("ignore::fastmlp.metrics.UndefinedMetricWarning")
def test_macro_is_the_plain_mean_over_the_classes_that_occur(name, weights):
    true, pred = CLASSES[0], np.where(CLASSES[1] == 2, 7, CLASSES[1])  # 2 is never predicted, 7 is never true
    expected = getattr(peer, f"{name}_score")(true, pred, sample_weight=weights, average="macro", zero_division=0)
    assert getattr(metrics, name)(true, pred, weights, average="macro") == close(expected)


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


@weighted
@pytest.mark.parametrize("digits", [1, 15], ids=["ties", "no ties"])
def test_the_roc_curve_has_a_point_for_each_different_score(rng, weights, digits):
    scores = rng.normal(BINARY[0], 1.0).round(digits)
    expected = peer.roc_curve(BINARY[0], scores, sample_weight=weights, drop_intermediate=False)
    found = metrics.roc_curve(BINARY[0], scores, weights)
    assert len(found[2]) == len(np.unique(scores if weights is None else scores[weights > 0])) + 1
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    assert np.trapezoid(found[1], found[0]) == close(metrics.roc_auc(BINARY[0], scores, weights))


@pytest.mark.parametrize(("scores", "area"), [([0.1, 0.9], 1.0), ([0.9, 0.1], 0.0), ([0.5, 0.5], 0.5)])
def test_roc_auc_reaches_0_and_1_and_one_half(scores, area):
    assert metrics.roc_auc([0, 1], scores) == area


def test_a_single_column_holds_the_scores_of_the_positive_class(rng):
    scores = rng.uniform(size=60)
    assert metrics.roc_auc(BINARY[0], scores[:, None]) == metrics.roc_auc(BINARY[0], scores)
    assert metrics.log_loss(BINARY[0], scores[:, None]) == metrics.log_loss(BINARY[0], scores)


@weighted
@pytest.mark.parametrize("digits", [1, 15], ids=["ties", "no ties"])
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("true", [CLASSES[0], np.where(CLASSES[0] == 1, 2, CLASSES[0])], ids=["all", "no 1"])
def test_top_k_accuracy_looks_for_the_class_among_the_highest_scores(rng, true, k, digits, weights):
    scores = rng.normal(size=(60, 4)).round(digits)
    expected = peer.top_k_accuracy_score(true, scores, k=k, labels=range(4), sample_weight=weights)
    assert metrics.top_k_accuracy(true, scores, weights, k=k) == close(expected)


def test_the_default_k_of_top_k_accuracy_is_5(rng):
    scores = rng.normal(size=(60, 9))
    assert metrics.top_k_accuracy(CLASSES[0], scores) == metrics.top_k_accuracy(CLASSES[0], scores, k=5)
    assert metrics.top_k_accuracy(CLASSES[0], scores) != metrics.top_k_accuracy(CLASSES[0], scores, k=4)


def probabilities(rng, classes, dtype):
    """Return rows that sum to 1; some of them hold a 0 and a 1."""
    p = rng.dirichlet(np.ones(classes), 60).astype(dtype)
    p[:6] = np.eye(classes)[np.arange(6) % classes]
    return p


@weighted
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("classes", [2, 4])
def test_log_loss_clips_by_the_dtype_of_the_probabilities(rng, classes, dtype, tolerance, weights):
    p = probabilities(rng, classes, dtype)
    for true in (CLASSES[0] % classes, np.minimum(CLASSES[0], 0)):  # all classes, and only one of them
        expected = pytest.approx(peer.log_loss(true, p, sample_weight=weights, labels=range(classes)), rel=tolerance)
        assert metrics.log_loss(true, p, weights) == expected
        assert metrics.log_loss(np.eye(classes)[true], p, weights) == expected
        if classes == 2:
            assert metrics.log_loss(true, p[:, 1], weights) == expected


@weighted
def test_log_loss_takes_true_probabilities(rng, weights):
    true, p = rng.dirichlet(np.ones(3), 60), rng.dirichlet(np.ones(3), 60)
    each = [
        peer.log_loss(
            np.full(60, c),
            p,
            sample_weight=true[:, c] * np.asarray(1 if weights is None else weights),
            labels=range(3),
            normalize=False,
        )
        for c in range(3)
    ]
    total = 60 if weights is None else weights.sum()
    assert metrics.log_loss(true, p, weights) == close(np.sum(each) / total)
    two = p[:, :2] / p[:, :2].sum(axis=1, keepdims=True)
    assert metrics.log_loss(true[:, 0], two[:, 1], weights) == close(
        metrics.log_loss(np.stack([1 - true[:, 0], true[:, 0]], axis=1), two, weights)
    )


def test_probabilities_may_be_integers():
    assert metrics.log_loss([0, 1], [0, 1]) == pytest.approx(np.finfo(np.float64).eps)


@weighted
@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
@pytest.mark.parametrize("name", ["mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "r2"])
def test_errors_of_numbers_are_plain_means_over_the_outputs(rng, shape, weights, name):
    true = rng.normal(size=shape)
    pred = true + rng.normal(size=shape)
    theirs = getattr(peer, "r2_score" if name == "r2" else name)
    assert getattr(metrics, name)(true, pred, weights) == close(theirs(true, pred, sample_weight=weights))


def correlation(true, pred, weights):
    """Return the correlation of one output, from NumPy's covariances."""
    (a, b), (_, c) = np.cov(true, pred, aweights=weights)
    return b / np.sqrt(a * c)


@weighted
def test_pearson_is_the_correlation_and_plain_mean_over_the_outputs(rng, weights):
    true = rng.normal(size=(60, 3)) * [1, 1e-150, 1e100] + [0, 0, 1e101]
    pred = true * [1, -2, 3] + rng.normal(size=(60, 3)) * [1, 1e-150, 1e100]
    scale = [1, 1e150, 1e-100]
    each = [correlation(*(values[:, k] * scale[k] for values in (true, pred)), weights) for k in range(3)]
    assert [metrics.pearson(true[:, k], pred[:, k], weights) for k in range(3)] == [close(value) for value in each]
    assert metrics.pearson(true, pred, weights) == close(np.mean(each))
    if weights is None:
        assert metrics.pearson(true[:, 0], pred[:, 0]) == close(r_regression(pred[:, :1], true[:, 0])[0])


@weighted
def test_pearson_of_a_line_is_1_or_minus_1_and_never_beyond(rng, weights):
    for _ in range(20):
        true = rng.normal(size=60)
        found = [metrics.pearson(true, slope * true + 1, weights) for slope in (3.0, -0.1)]
        assert found == [close(1.0), close(-1.0)]
        assert np.abs(found).max() <= 1


def test_r2_of_equal_values_is_1_if_predictions_are_exact_and_0_if_not():
    weights = np.array([1.0, 0.1, 0.7])
    assert metrics.r2([0.1] * 3, [0.1] * 3, weights) == 1.0
    assert metrics.r2([0.1] * 3, [0.1, 0.1, 0.2], weights) == 0.0
    assert metrics.r2([[0.1, 0], [0.1, 1]], [[0.1, 0], [0.2, 1]]) == 0.5


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
        (lambda: metrics.accuracy([0, 1], [0, 1], [1.0, -1.0]), "must be finite and at least 0, got -1"),
        (lambda: metrics.accuracy([0, 1], [0, 1], [1.0, np.nan]), "must be finite and at least 0, got nan"),
        (lambda: metrics.accuracy(["a", "b"], [0, 1]), "both hold names or both numbers, got ..a.. and .0."),
        (lambda: metrics.confusion_matrix([0, 1], np.array(["a", "b"], object)), "both hold names or both numbers"),
        (lambda: metrics.confusion_matrix([0, 1], [0, 2], labels=[0, 1]), r"every label that occurs, but lacks \[2\]"),
        (lambda: metrics.confusion_matrix([0, 1], [0, 1], labels=[0, 1, 1]), "different labels"),
        (lambda: metrics.precision([0, 1, 2], [0, 1, 2]), "use average='macro'"),
        (lambda: metrics.recall([0, 2], [0, 2]), r"pos_label must be one of \[0, 2\], got 1"),
        (lambda: metrics.f1([0, 1], [0, 1], average="micro"), "'binary' or 'macro', got 'micro'"),
        (lambda: metrics.roc_auc([0, 1], [0.1, np.nan]), "NaN"),
        (lambda: metrics.roc_curve([0, 1], np.eye(2)), r"needs scores of shape \(n,\), got \(2, 2\)"),
        (lambda: metrics.roc_auc([0, 2], [0.1, 0.2]), r"from 0 to 1, got \[2\]"),
        (lambda: metrics.roc_auc([0, 1], [0.1]), r"got \(2,\) and \(1,\)"),
        (lambda: metrics.top_k_accuracy([0, 1], np.eye(2), k=2), r"more than 2 classes, got shape \(2, 2\)"),
        (lambda: metrics.top_k_accuracy([0, 1], [0.1, 0.2], k=1), r"more than 1 classes, got shape \(2,\)"),
        (lambda: metrics.top_k_accuracy([0, 1], np.eye(2), k=0), "k must be at least 1, got 0"),
        (lambda: metrics.top_k_accuracy([0, 3], np.eye(3)[:2], k=1), r"from 0 to 2, got \[3\]"),
        (lambda: metrics.top_k_accuracy([0], [[np.nan, 1]], k=1), "got NaN"),
        (lambda: metrics.log_loss([0, 1], [0.1, 1.2]), "needs probabilities from 0 to 1, got -0.2 to 1.2"),
        (lambda: metrics.log_loss([0, 1], [0.1, np.nan]), "needs probabilities from 0 to 1, got nan"),
        (lambda: metrics.log_loss([0, 2], [0.1, 0.2]), "needs y_true from 0 to 1, got -1 to 2"),
        (lambda: metrics.log_loss([0, 2], np.eye(2)), r"from 0 to 1, got \[2.0\]"),
        (lambda: metrics.log_loss([0, 1], [[0.5, 0.4], [0.5, 0.5]]), "rows sum to 1, got a row with the sum 0.9"),
        (lambda: metrics.log_loss([0, 1, 1], np.eye(2)), r"got \(2, 2\) and \(3,\)"),
        (lambda: metrics.log_loss([[0, 1]], [0.5]), r"got \(1,\) and \(1, 2\)"),
        (lambda: metrics.log_loss([], []), "n > 0"),
        (lambda: metrics.pearson([0.0, 1.0], [0.0]), r"got \(2,\) and \(1,\)"),
        (lambda: metrics.mean_squared_error([0.0], [[[0.0]]]), r"got \(1,\) and \(1, 1, 1\)"),
        (lambda: metrics.mean_absolute_error([0.0, 1.0], [[0.0, 1.0]]), r"got \(2,\) and \(1, 2\)"),
        (lambda: metrics.r2([], []), "n > 0"),
        (lambda: metrics.evaluate("nonsense", [0], [[0.0]]), "unknown loss 'nonsense'"),
        (lambda: metrics.evaluate("binary_crossentropy", [0], [0.0]), r"shape \(n, outputs\), got \(1,\)"),
        (lambda: metrics.evaluate("binary_crossentropy", [0, 1], [[0.0]]), r"got \(2,\) and \(1, 1\)"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()
