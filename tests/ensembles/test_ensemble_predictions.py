"""What an ensemble predicts is the mean, spread, quantiles and draws of its members' predictions."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from behaviour import bits
from cases import DTYPES, LOSSES, assert_same_bits, data_for
from scipy.special import ndtr

from fastmlp import Dense, Ensemble, GaussianNLL, Network, Quantile
from fastmlp.ensembles import ensemble as module
from fastmlp.losses import Loss

X = np.random.default_rng(0).normal(size=(40, 3))
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}


def made(loss: str | Loss | None = None, outputs: int = 6, **options: Any) -> Ensemble:
    return Ensemble([3, 8, outputs], **{"loss": loss, "members": 5, "seed": 0, **options})


def stacked(ensemble: Ensemble) -> np.ndarray:
    return np.stack([network.predict(X) for network in ensemble.networks]).astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_mean_and_deviation_are_those_of_the_members(name: str, dtype: str) -> None:
    ensemble = made(LOSSES[name], dtype=dtype)
    values, noise = stacked(ensemble), 0.0
    if isinstance(loss := LOSSES[name], GaussianNLL):
        values, noise = values[:, :, :3], (np.exp(values[:, :, 3:]) + loss.epsilon).mean(axis=0)
    mean, std = ensemble.predict(X, return_std=True)
    assert (mean.dtype, std.dtype) == (dtype, dtype)
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    np.testing.assert_allclose(std, np.sqrt(values.var(axis=0) + noise), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert_same_bits(ensemble.predict(X), mean)


@pytest.mark.parametrize("name", LOSSES)
def test_an_ensemble_of_one_network_is_measured_as_the_network(name: str) -> None:
    outputs = 1 if LOSSES[name].targets in ("binary", "signs") else 6
    network = Network([3, 8, outputs], loss=LOSSES[name], dtype="float64", seed=0)
    x, y = data_for(network, 50, "float64")
    weights = np.random.default_rng(1).uniform(0, 2, 50)
    network.fit(x, y, epochs=3)
    ensemble = Ensemble.from_networks([network])
    for given in (None, weights):
        found, expected = ensemble.evaluate(x, y, given), network.evaluate(x, y, given)
        assert found.keys() == expected.keys()
        np.testing.assert_allclose([*found.values()], [*expected.values()], rtol=1e-9)


def test_the_members_are_measured_together() -> None:
    ensemble = made(outputs=3, output="softmax")
    y = np.random.default_rng(1).integers(0, 3, 40)
    mean = stacked(ensemble).mean(axis=0)
    found = ensemble.evaluate(X, y, metrics=["accuracy", "log_loss"])
    assert found["accuracy"] == np.mean(mean.argmax(axis=1) == y) == np.mean(ensemble.predict_classes(X) == y)
    np.testing.assert_allclose(found["loss"], -np.log(mean[np.arange(40), y]).mean())
    np.testing.assert_allclose(found["log_loss"], found["loss"])
    one_hot = ensemble.evaluate(X, np.eye(3)[y])
    np.testing.assert_allclose(one_hot["loss"], found["loss"])


def test_the_loss_of_a_mixture_is_that_of_a_normal_distribution() -> None:
    ensemble, y = made(GaussianNLL(), outputs=4, dtype="float64"), X[:, :2]
    mean, std = ensemble.predict(X, return_std=True)
    expected = (np.log(std**2) + ((y - mean) / std) ** 2).mean() / 2
    np.testing.assert_allclose(ensemble.evaluate(X, y)["loss"], expected, rtol=1e-9)


# Quantiles and draws --------------------------------------------------------------------------------------------------


def test_quantiles_without_a_distribution_are_those_of_the_members() -> None:
    ensemble = made("huber", dtype="float64")
    expected = np.quantile(stacked(ensemble), (0.05, 0.5, 0.95), axis=0)
    np.testing.assert_allclose(ensemble.predict_quantiles(X), expected, rtol=1e-12)
    assert_same_bits(ensemble.predict_quantiles(X, 0.5), ensemble.predict_quantiles(X)[1])
    assert ensemble.predict_quantiles(X, [0.5]).shape == (1, 40, 6)


def test_quantiles_of_normal_distributions_are_those_of_their_mixture() -> None:
    ensemble = made(GaussianNLL(), dtype="float64")
    outputs, levels = stacked(ensemble), (0.001, 0.1, 0.5, 0.99)
    found = ensemble.predict_quantiles(X, np.array(levels))
    assert found.shape == (4, 40, 3)
    for level, x in zip(levels, found, strict=True):
        z = (x - outputs[:, :, :3]) / np.sqrt(np.exp(outputs[:, :, 3:]) + 1e-6)
        np.testing.assert_allclose(ndtr(z).mean(axis=0), level, rtol=1e-11)


def test_learned_quantiles_are_put_in_order_and_averaged() -> None:
    levels = (0.1, 0.5, 0.9)
    ensemble = made(Quantile(levels), dtype="float64")
    learned = np.sort(stacked(ensemble).reshape(5, 40, 2, 3), axis=3).mean(axis=0)
    found = ensemble.predict_quantiles(X, (0.9, 0.1))
    np.testing.assert_allclose(found, np.moveaxis(learned[..., [2, 0]], 2, 0), rtol=1e-12)
    assert (ensemble.predict_quantiles(X, 0.1) <= ensemble.predict_quantiles(X, 0.5)).all()
    assert ensemble.predict_quantiles(X, 0.5).shape == (40, 2)


def test_draws_are_members_in_order_or_chosen_at_random() -> None:
    ensemble = made()
    np.testing.assert_array_equal(ensemble.predict_samples(X), stacked(ensemble).astype("float32"))
    draws, members = ensemble.predict_samples(X, 200, seed=3), stacked(ensemble).astype("float32")
    chosen = [int(np.flatnonzero((members == each).all(axis=(1, 2)))[0]) for each in draws]
    assert min(np.bincount(chosen, minlength=5)) > 20
    assert_same_bits(ensemble.predict_samples(X, 200, seed=3), draws)
    assert not np.array_equal(ensemble.predict_samples(X, 200, seed=4), draws)


def test_draws_of_normal_distributions_have_the_moments_of_the_mixture() -> None:
    ensemble = made(GaussianNLL(), outputs=2)
    draws = ensemble.predict_samples(X, 50_000)
    mean, std = ensemble.predict(X, return_std=True)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * std.max() / 50_000**0.5)
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.03)
    np.testing.assert_allclose(np.mean(draws < ensemble.predict_quantiles(X, 0.1), axis=0), 0.1, atol=0.01)


# Pieces, shapes and copies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [None, GaussianNLL(), Quantile((0.05, 0.5, 0.95))])
@pytest.mark.parametrize("members", [1, 9])
def test_pieces_give_the_same_bits_as_all_rows_at_once(
    loss: Loss | None, members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> list[Any]:
        options: list[Any] = [
            ensemble.predict_samples(X),
            ensemble.predict_samples(X, 4),
            ensemble.predict_quantiles(X),
        ]
        return [*ensemble.predict(X, return_std=True), *options, ensemble.evaluate(X, y)["loss"]]

    ensemble = made(loss, dtype="float64", members=members)
    y = np.random.default_rng(1).normal(size=(40, ensemble.networks[0].architecture.target_columns))
    whole = found()
    for numbers in (1, 7 * 6 * members):  # one row at a time, and seven
        monkeypatch.setattr(module, "_PIECE_NUMBERS", numbers)
        for one, other in zip(found(), whole, strict=True):
            assert_same_bits(one, other)


@pytest.mark.parametrize("loss", [None, GaussianNLL(), Quantile((0.05, 0.5, 0.95))])
def test_no_rows_give_no_predictions(loss: Loss | None) -> None:
    ensemble, none = made(loss), np.empty((0, 3))
    columns = ensemble.predict(X).shape[1]
    assert [each.shape for each in ensemble.predict(none, return_std=True)] == [(0, columns)] * 2
    assert ensemble.predict_samples(none, 7).shape == (7, 0, columns)
    assert ensemble.predict_quantiles(none).shape == (3, 0, columns if not isinstance(loss, Quantile) else 2)


def test_predictions_beyond_float32_are_infinite_and_raise_no_warning() -> None:
    ensemble = made(GaussianNLL(), outputs=2)
    for member in ensemble.networks:
        member.set_weights([(np.zeros((3, 8)), np.zeros(8)), (np.zeros((8, 2)), [1e30, 1000.0])])
    mean, std = ensemble.predict(X, return_std=True)
    np.testing.assert_allclose(mean, 1e30, rtol=1e-6)
    assert np.isinf(std).all()
    assert np.isinf(ensemble.predict_quantiles(X, (0.1, 0.9))).all()
    assert 300 < ensemble.evaluate(X, X[:, :1], metrics=[])["loss"] < np.inf  # half the logarithm of the variance


def test_copies_and_pickles_are_equal_and_share_nothing() -> None:
    ensemble = made(bootstrap=True, validation="out of bag")
    ensemble.fit(X, X @ np.ones((3, 6)), epochs=2)
    for other in (copy.copy(ensemble), copy.deepcopy(ensemble), pickle.loads(pickle.dumps(ensemble))):
        assert (other.bootstrap, other.validation, len(other)) == (True, "out of bag", 5)
        assert [bits(network) for network in other.networks] == [bits(network) for network in ensemble.networks]
        assert_same_bits(other.predict(X), ensemble.predict(X))
        other.fit(X, X @ np.ones((3, 6)))
        assert [network.epoch for network in other.networks] == [3] * 5
    assert [network.epoch for network in ensemble.networks] == [2] * 5


def test_the_summary_says_what_the_members_have_in_common(capsys: pytest.CaptureFixture[str]) -> None:
    ensemble = made(seed=7)
    ensemble.summary()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "5 members, alike; 430 parameters; seeds 7 to 11; all rows; own split"
    other = Ensemble.from_networks(
        [Network([3, units, 1], seed=seed) for units, seed in ((2, 4), (5, 1))], bootstrap=True
    )
    other.summary()
    last = capsys.readouterr().out.splitlines()[-1]
    assert "2 members, of 2 kinds, of which the table shows the first; 37 parameters; seeds [4, 1]; boot" in last
    assert repr(ensemble).startswith("Ensemble(5 x Network(3-8-6, ")


# Errors ---------------------------------------------------------------------------------------------------------------

NET = Network([3, 1], seed=0)
CONSTRUCTION: list[tuple[Any, type[Exception], str]] = [
    (lambda: Ensemble(3), TypeError, r"layers must be a list such as \[30, 16, 2\], got 3"),
    (lambda: Ensemble([3, 1], members=0), ValueError, "members must be at least 1, got 0"),
    (lambda: Ensemble([3, 1], members=2.0), TypeError, "members must be a whole number, got 2.0"),
    (lambda: Ensemble([3, 1], n_estimators=5), TypeError, "'n_estimators'; did you mean 'members'"),
    (lambda: Ensemble([3, 1], epochs=5), TypeError, r"'epochs'; give it to fit: ensemble.fit\(X, y, epochs=\.\.\.\)"),
    (lambda: Ensemble([3, 1], seed=2**63 - 1, members=2), ValueError, r"seed must be less than 2\*\*63"),
    (lambda: Ensemble([3, 1], bootstrap=1), TypeError, "bootstrap must be True or False, got 1"),
    (lambda: Ensemble([3, 1], validation="oob"), ValueError, "'own split', 'same split', 'out of bag', got 'oob'"),
    (lambda: Ensemble([3, 1], validation="out of bag"), ValueError, "'out of bag' needs bootstrap=True"),
    (lambda: Ensemble([3, 1], loss=GaussianNLL()), ValueError, "needs two outputs for each target"),
    (lambda: Ensemble.from_networks(NET), TypeError, r"networks must be a list of networks, got Network\(3-1"),
    (lambda: Ensemble.from_networks([]), ValueError, "networks must hold at least one network, got none"),
    (lambda: Ensemble.from_networks([3]), TypeError, "networks must be fastmlp.Network objects, got int"),
    (lambda: Ensemble.from_networks([NET, NET]), ValueError, r"one occurs twice; copy.copy\(net\) makes another"),
    (lambda: Ensemble.from_networks([NET, Network([4, 1])]), ValueError, "agree in inputs, but 0 has 3 and 1 has 4"),
    (lambda: Ensemble.from_networks([NET, Network([3, 2])]), ValueError, "agree in outputs, but 0 has 1 and 1 has 2"),
    (
        lambda: Ensemble.from_networks([NET, Network([3, 1], loss="huber")]),
        ValueError,
        "agree in loss, but 0 has mean_",
    ),
    (lambda: Ensemble.from_networks([NET, Network([3, 1], dtype="float64")]), ValueError, "0 has float32 and 1 has fl"),
    (lambda: made().from_networks([NET]), TypeError, "call it on the class"),
    (lambda: made().load("a"), TypeError, "call it on the class, such as new = Ensemble.load"),
    (lambda: made().history, AttributeError, "write ensemble.histories, one for each member"),
    (lambda: made().estimators_, AttributeError, "did you mean 'networks'"),
    (lambda: made().to_onnx, AttributeError, r"write fastmlp.to_onnx\(ensemble\)"),
]


@pytest.mark.parametrize("place", range(len(CONSTRUCTION)))
def test_wrong_members_are_refused(place: int) -> None:
    make, error, message = CONSTRUCTION[place]
    with pytest.raises(error, match=message):
        make()


USES: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ("predict", (X[:, :2],), {}, ValueError, r"X must have shape \(n, 3\) for this network, got \(40, 2\)"),
    ("predict", ([[1.0, np.nan, 2.0]],), {}, ValueError, "X"),
    ("predict", (X, 1), {}, TypeError, "return_std must be True or False, got 1"),
    ("predict", (X,), {"std": True}, TypeError, "'std'; did you mean 'return_std'"),
    ("predict_quantiles", (X, 0), {}, ValueError, "levels must be between 0 and 1, got 0"),
    ("predict_quantiles", (X, [0.5, 1]), {}, ValueError, "levels must be at least 0 and less than 1, got 1"),
    ("predict_quantiles", (X, float("nan")), {}, ValueError, "levels must be .* got nan"),
    ("predict_quantiles", (X, "0.5"), {}, TypeError, "levels must be a number, got '0.5'"),
    ("predict_quantiles", (X, None), {}, TypeError, "levels must be a number, got None"),
    ("predict_quantiles", (X, []), {}, ValueError, "levels must hold at least one level, got none"),
    ("predict_quantiles", (X, [[0.1]]), {}, TypeError, r"levels must be a number, got \[0.1\]"),
    ("predict_samples", (X, 0), {}, ValueError, "samples must be at least 1, got 0"),
    ("predict_samples", (X, 2), {"seed": -1}, ValueError, "seed must be at least 0, got -1"),
    ("predict_labels", (X,), {}, ValueError, "the networks know no labels.*predict_classes"),
    ("evaluate", (X, X), {}, ValueError, r"y must have shape .*got \(40, 3\)"),
    ("evaluate", (X, X[:, 0]), {"metrics": ["accuracy"]}, ValueError, "'accuracy' does not suit the loss"),
    ("fit", (X, X[:5, 0]), {}, ValueError, r"same number of rows, got 40 and y of shape \(5,\)"),
    ("fit", (X, X[:, 0]), {"validation_split": 1}, ValueError, "validation_split must be .* less than 1, got 1"),
    ("fit", (X[:1], X[:1, 0]), {"validation_split": 0.5}, ValueError, "validation_split needs at least 2 rows, got 1"),
    ("fit", (X, X[:, 0]), {"metrics": ["r2"]}, ValueError, "metrics"),
    ("fit", (X, X[:, 0]), {"validation_data": (X, X)}, TypeError, "give validation_split="),
    ("fit", (X, X[:, 0]), {"class_weight": {}}, TypeError, "give sample_weight="),
]


@pytest.mark.parametrize("place", range(len(USES)))
def test_wrong_arguments_are_refused_and_change_nothing(place: int) -> None:
    method, arguments, options, error, message = USES[place]
    ensemble = made(outputs=1)
    before = [bits(network) for network in ensemble.networks]
    with pytest.raises(error, match=message):
        getattr(ensemble, method)(*arguments, **options)
    assert [bits(network) for network in ensemble.networks] == before


def test_levels_that_were_not_learned_are_refused() -> None:
    with pytest.raises(ValueError, match=r"among those that were learned, \(0.1, 0.9\), got 0.5"):
        made(Quantile((0.1, 0.9))).predict_quantiles(X, (0.1, 0.5))


def test_rows_out_of_bag_need_no_share_and_enough_rows() -> None:
    ensemble = Ensemble([3, Dense(2), 1], members=2, bootstrap=True, validation="out of bag", seed=0)
    with pytest.raises(ValueError, match="validation_split must be 0 with validation='out of bag'"):
        ensemble.fit(X, X[:, 0], validation_split=0.1)
    with pytest.raises(ValueError, match="needs more rows: a bootstrap of the 1 rows left none out"):
        ensemble.fit(X[:1], X[:1, 0])
    histories = ensemble.fit(X, X[:, 0], epochs=2)
    assert all(len(history["val_loss"]) == 2 for history in histories)
