"""Layers of columns: Scale, LayerNormalization and Normalization."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import ACTIVATIONS, DTYPES, LEARNERS, TOLERANCE, assert_same_bits, largest_error, relative_error, tensors

from fastmlp import (
    SGD,
    Adam,
    AdamW,
    Dense,
    LayerNormalization,
    Lion,
    Network,
    Normalization,
    Scale,
    architecture,
    check_gradients,
)
from fastmlp._data import arrays
from fastmlp._engine.engine import Engine
from fastmlp.activations import Activation
from fastmlp.kernels.operations.columns import COLUMNS
from fastmlp.layers import LAYERS, LayerDescription
from fastmlp.reference import Network as Reference
from fastmlp.reference import layers as formulas

rng = np.random.default_rng(0)
X, Y = rng.normal(3.0, [1.0, 10.0, 0.1, 1.0, 1.0], (70, 5)), rng.normal(size=(70, 2))
ORDER = {"batch_size": 16, "shuffle": False}
KINDS: dict[str, LayerDescription] = {
    "scale": Scale(),
    "scale without bias": Scale(use_bias=False),
    "layer normalization": LayerNormalization(),
    "layer normalization 0.1 without bias": LayerNormalization(epsilon=0.1, use_bias=False),
    "normalization": Normalization(),
}


def mixed(**options: Any) -> list[Any]:
    """Layers of every kind: as the first, the last, one after another, with activations, dropout and penalties."""
    return [
        5,
        Normalization(),
        Scale(l2=0.1, **options),
        Dense(33, "tanh"),
        LayerNormalization(activation="relu", l1=0.01),
        Dense(17, "relu"),
        Scale(activation="gelu", use_bias=False, dropout=0.3),
        LayerNormalization(epsilon=0.1, activation="softmax"),
        Dense(2),
        Scale(),
    ]


def random_weights(net: Any, seed: int = 2) -> Any:
    """Give a network weights that no initializer gives, and return it."""
    draw = np.random.default_rng(seed)
    weights = []
    for layer, (W, b) in zip(net.architecture.layers, net.get_weights(), strict=True):
        near = draw.uniform(0.5, 2.0, W.shape) if layer.is_columns else W
        weights.append((near, None if b is None else draw.normal(size=b.shape)))
    net.set_weights(weights)
    return net


def pair(optimizer: Any, dtype: str, layers: list[Any] | None = None) -> list[Any]:
    """Return a compiled network and the reference, with the same weights."""
    made = [kind(layers or mixed(), optimizer=optimizer, dtype=dtype, seed=1) for kind in (Network, Reference)]
    return [random_weights(each) for each in made]


# Beside the reference -------------------------------------------------------------------------------------------------


def test_every_kind_has_formulas_and_kernels() -> None:
    assert LAYERS.keys() == formulas.LAYERS.keys() == {"dense", *COLUMNS}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LEARNERS)
def test_trainings_are_those_of_the_reference(name: str, dtype: str) -> None:
    net, reference = pair(LEARNERS[name], dtype)
    for each in (net, reference):
        each.fit(X, Y, epochs=2, **ORDER)
    np.testing.assert_allclose(net.history["loss"], reference.history.history["loss"], rtol=100 * TOLERANCE[dtype])
    assert largest_error(net.get_weights(), reference.get_weights()) <= 300 * TOLERANCE[dtype]


@pytest.mark.parametrize("width", [2, 3, 15, 16, 17, 40])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("below", ["relu", "tanh"])
def test_passes_of_one_layer_are_those_of_the_reference(below: str, kind: str, width: int) -> None:
    for dtype in DTYPES:
        net, reference = pair(Adam(), dtype, [4, Dense(width, below), KINDS[kind], 3])
        for rows in (1, 5, 33, 300):
            data = np.random.default_rng(rows)
            given, dA = data.normal(size=(rows, 4)).astype(dtype), data.normal(size=(rows, 3)).astype(dtype)
            gradients, dX = net.backward(given, dA, return_input_gradient=True)
            expected, expected_dX = reference.backward(reference.forward(given), dA)
            # Of 2 units, N is 1 and -1 whatever they are, so dJ/dA below is 0 but for epsilon and rounding.
            cancels = width == 2 and "layer" in kind
            assert relative_error(net.predict(given), reference.predict(given)) <= 10 * TOLERANCE[dtype]
            for got, wanted in zip([*tensors(gradients), dX], [*tensors(expected), expected_dX], strict=True):
                if cancels:
                    np.testing.assert_allclose(got, wanted, atol=300 * TOLERANCE[dtype])
                else:
                    assert relative_error(got, wanted) <= 100 * TOLERANCE[dtype]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_layer_gives_the_gradient_of_inputs(kind: str) -> None:
    for dtype in DTYPES:
        net, reference = pair(Adam(), dtype, [20, KINDS[kind], 7, 3])
        data = np.random.default_rng(1)
        given, dA = data.normal(size=(50, 20)).astype(dtype), data.normal(size=(50, 3)).astype(dtype)
        _, dX = net.backward(given, dA, return_input_gradient=True)
        _, expected = reference.backward(reference.forward(given), dA)
        assert relative_error(dX, expected) <= 100 * TOLERANCE[dtype]
        jacobian = net.input_gradients(given)
        assert relative_error(jacobian, reference.input_gradients(given)) <= 100 * TOLERANCE[dtype]
        for output in range(3):
            seed = np.zeros_like(dA)
            seed[:, output] = 1
            _, wanted = reference.backward(reference.forward(given), seed)
            assert relative_error(jacobian[:, output], wanted) <= 100 * TOLERANCE[dtype]


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_every_activation_follows_a_layer_of_columns(activation: Activation) -> None:
    layers = [5, Dense(18, "tanh"), LayerNormalization(activation=activation), Scale(activation=activation), 2]
    net, reference = pair(SGD(0.01), "float64", layers)
    given = np.random.default_rng(3).normal(size=(40, 5))
    expected = reference.loss_and_gradients(given, Y[:40])
    loss, gradients = net.loss_and_gradients(given, Y[:40])
    assert loss == pytest.approx(expected[0], rel=1e-11)
    assert largest_error(gradients, expected[1]) <= 1e-9


@pytest.mark.parametrize("rows", [700, 2500])
def test_batches_of_several_chunks_and_of_groups_are_those_of_the_reference(rows: int) -> None:
    draw = np.random.default_rng(4)
    given, targets = draw.normal(size=(rows, 9)), draw.normal(size=(rows, 2))
    layers = [9, Normalization(), Dense(33, "tanh"), LayerNormalization(dropout=0.2), Scale(activation="relu"), 2]
    for optimizer in (Adam(0.01), SGD(0.1, global_clipnorm=0.05)):
        net, reference = pair(optimizer, "float64", layers)
        for each in (net, reference):
            each.fit(given, targets, epochs=2, batch_size=rows)
        assert largest_error(net.get_weights(), reference.get_weights()) <= 1e-10


# Beside central differences and PyTorch -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_those_of_central_differences(seed: int) -> None:
    draw = np.random.default_rng(seed)
    layers: list[Any] = [int(draw.integers(2, 20))]
    for _ in range(4):
        chosen = draw.choice([*KINDS, "dense"])
        layers.append(Dense(int(draw.integers(3, 20)), "tanh") if chosen == "dense" else KINDS[chosen])
    net = random_weights(Network([*layers, 3], dtype="float64", seed=seed), seed)
    given, targets = draw.normal(size=(8, layers[0])), draw.normal(size=(8, 3))
    report = check_gradients(net, given, targets)
    assert report.ok, report


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3, 0.5])
def test_layer_normalization_is_that_of_pytorch(epsilon: float) -> None:
    torch = pytest.importorskip("torch")
    net = random_weights(Network([6, 19, LayerNormalization(epsilon=epsilon), 2], dtype="float64", seed=0))
    (W0, b0), (gamma, beta), (W1, b1) = (
        tuple(torch.tensor(each, requires_grad=True) for each in pair) for pair in net.get_weights()
    )
    given, dA = rng.normal(size=(23, 6)), rng.normal(size=(23, 2))
    x = torch.tensor(given, requires_grad=True)
    hidden = torch.nn.functional.layer_norm(torch.relu(x @ W0 + b0), (19,), gamma, beta, epsilon)
    out = hidden @ W1 + b1
    out.backward(torch.tensor(dA))
    gradients, dX = net.backward(given, dA, return_input_gradient=True)
    np.testing.assert_allclose(net.predict(given), out.detach().numpy(), rtol=1e-9, atol=1e-12)
    expected = [each.grad.numpy() for each in (W0, b0, gamma, beta, W1, b1, x)]
    for got, wanted in zip([*tensors(gradients), dX], expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


# What training does ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [AdamW(0.01, weight_decay=0.5), Lion(0.01, weight_decay=0.5)])
def test_factors_have_no_weight_decay(optimizer: Any) -> None:
    net = Network([5, Scale(), LayerNormalization(), 2], optimizer=optimizer, dtype="float64", seed=0)
    net.fit(X, Y, epochs=1, batch_size=70, sample_weight=np.r_[1.0, np.zeros(69)])
    before = net.get_weights()
    net.apply_gradients(np.zeros(net.flat_weights().size))
    slots_settled = Network([5, Scale(), LayerNormalization(), 2], optimizer=optimizer, dtype="float64", seed=0)
    slots_settled.apply_gradients(np.zeros(net.flat_weights().size))
    for place in (0, 1):
        np.testing.assert_array_equal(slots_settled.get_weights()[place][0], 1.0)
    assert np.abs(net.get_weights()[2][0]).sum() != np.abs(before[2][0]).sum()


def test_layers_of_columns_rest_and_are_trained_again() -> None:
    net, reference = (random_weights(kind(mixed(), dtype="float64", seed=1)) for kind in (Network, Reference))
    for each in (net, reference):
        each.freeze([1, 3])
        each.fit(X, Y, epochs=1, **ORDER)
        each.unfreeze([1])
        each.fit(X, Y, epochs=1, **ORDER)
    assert largest_error(net.get_weights(), reference.get_weights()) <= 1e-9
    start = random_weights(Network(mixed(), dtype="float64", seed=1)).get_weights()
    assert_same_bits(net.get_weights()[3][0], start[3][0])
    assert_same_bits(net.get_weights()[0][0], start[0][0])  # a Normalization never changes
    assert (net.get_weights()[1][0] != start[1][0]).all()


def test_a_normalization_is_not_unfrozen() -> None:
    net = Network([5, Normalization(), Scale(), 2], seed=0)
    net.freeze([0, 1])
    with pytest.raises(ValueError, match="layer 0 is a Normalization, which training never changes"):
        net.unfreeze([0, 1])
    net.unfreeze()
    assert [layer.trainable for layer in net.architecture.layers] == [False, True, True]
    with pytest.raises(ValueError, match="the last layer cannot be a Normalization"):
        Network([5, Normalization()])


def test_a_step_of_few_rows_has_the_bits_of_a_fit() -> None:
    net = random_weights(Network(mixed(), dtype="float32", seed=1))
    other = copy.copy(net)
    net.fit(X, Y, epochs=1, **ORDER)
    for first in range(0, 70, 16):
        other.train_on_batch(X[first : first + 16], Y[first : first + 16])
    assert_same_bits(net.flat_weights(), other.flat_weights())
    assert_same_bits(net.predict(X[:1]), net.predict(X)[:1])


# Normalization --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_adapt_takes_means_and_deviations(dtype: str) -> None:
    net = Network([5, Normalization(), 8, 2], dtype=dtype, seed=0)
    given = X.astype(dtype)
    net.adapt(given)
    W, b = net.get_weights()[0]
    np.testing.assert_allclose(b, given.mean(axis=0, dtype=np.float64), rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(W, given.std(axis=0, dtype=np.float64), rtol=2 * np.finfo(dtype).eps)
    by_hand = Network([5, 8, 2], dtype=dtype, seed=0)
    by_hand.set_weights(net.get_weights()[1:])
    standardized = ((given - b) / W).astype(dtype)
    assert_same_bits(net.predict(given), by_hand.predict(standardized))


def test_adapt_follows_the_layers_below() -> None:
    net = Network([5, Normalization(), Dense(7, "tanh"), Normalization(), 2], dtype="float64", seed=0)
    net.adapt(X)
    A = np.tanh((X - X.mean(axis=0)) / X.std(axis=0) @ net.get_weights()[1][0] + net.get_weights()[1][1])
    W, b = net.get_weights()[2]
    np.testing.assert_allclose(b, A.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(W, A.std(axis=0), rtol=1e-12)


def test_a_large_mean_costs_no_digits() -> None:
    given = (1e6 + np.arange(8)[:, None]).astype("float32")
    net = Network([1, Normalization(), Scale()], seed=0)
    net.adapt(given)
    np.testing.assert_allclose(net.predict(given)[:, 0], (np.arange(8) - 3.5) / np.arange(8).std(), rtol=1e-6)


def test_a_column_of_equal_numbers_has_the_deviation_1() -> None:
    given = np.c_[X[:, :4], np.full(70, 0.1)]
    net = Network([5, Normalization(), 2], dtype="float64", seed=0)
    net.adapt(given)
    W, b = net.get_weights()[0]
    assert (W[4], b[4]) == (1.0, 0.1)
    deviations = W.copy()
    deviations[1] = 0.0
    net.set_weights([(deviations, b), *net.get_weights()[1:]])
    assert np.isfinite(net.predict(given)).all()
    assert np.isfinite(net.input_gradients(given)).all()
    assert not net.input_gradients(given)[:, :, 1].any()


def test_adapt_refuses_what_it_cannot_use_and_changes_nothing() -> None:
    net = Network([5, Normalization(), 4, Normalization(), 2], dtype="float64", seed=0)
    net.adapt(X)
    before = net.flat_weights()
    for wrong, message in (
        (X[:, :4], "X must have shape"),
        (np.full((3, 5), np.nan), "X must be finite"),
        (X[:0], "at least one row"),
        (np.array([[1e300] * 5, [-1e300] * 5]), "column 0 has numbers too large"),
    ):
        with pytest.raises(ValueError, match=message):
            net.adapt(wrong)
        assert_same_bits(net.flat_weights(), before)
    with pytest.raises(ValueError, match="no Normalization layer"):
        Network([5, 2]).adapt(X)


def test_adapt_writes_only_its_own_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network([5, Normalization(), 4, 2], dtype="float64", seed=0)
    pieces = Engine._pieces_below

    def meanwhile(self: Engine, place: int, given: Any) -> Any:
        net.train_on_batch(X, Y)
        return pieces(self, place, given)

    monkeypatch.setattr(Engine, "_pieces_below", meanwhile)
    before = net.get_weights()[1][0]
    net.adapt(X)
    assert net.step == 2
    assert (net.get_weights()[1][0] != before).any()
    np.testing.assert_allclose(net.get_weights()[0][0], X.std(axis=0))


def test_adapt_reads_a_part_of_the_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [5, Normalization(), Dense(7, "tanh"), Normalization(), 2]
    whole, parts = (Network(layers, dtype="float64", seed=0) for _ in range(2))
    whole.adapt(X)
    monkeypatch.setattr(arrays, "SCAN_BYTES", 1000)
    parts.adapt(X)
    np.testing.assert_allclose(parts.flat_weights(), whole.flat_weights(), rtol=1e-12)


def test_a_new_network_whose_columns_are_standardized_already_is_not_warned_of() -> None:
    net = Network([1, Normalization(), 2], seed=0)
    given = np.tile([[-1.0], [1.0]], (20, 1))
    net.adapt(given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(given, np.zeros((40, 2)), epochs=1)


def test_fit_warns_of_a_normalization_that_was_not_adapted() -> None:
    net = Network([5, Normalization(), 2], seed=0)
    with pytest.warns(UserWarning, match="layer 0, a Normalization, has no means and deviations; call net.adapt"):
        net.fit(X, Y, epochs=1)
    net.adapt(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(X, Y, epochs=1)


# Files, copies, descriptions ------------------------------------------------------------------------------------------


def test_files_and_copies_keep_the_layers(tmp_path: Path) -> None:
    net = random_weights(Network(mixed(), dtype="float32", seed=1))
    net.fit(X, Y, epochs=1, **ORDER)
    net.save(tmp_path / "net.safetensors")
    for other in (Network.load(tmp_path / "net.safetensors"), copy.copy(net), pickle.loads(pickle.dumps(net))):
        assert other.architecture == net.architecture
        assert_same_bits(other.predict(X), net.predict(X))
        other.fit(X, Y, epochs=1, **ORDER)
        again = Network.load(tmp_path / "net.safetensors")
        again.fit(X, Y, epochs=1, **ORDER)
        assert_same_bits(other.flat_weights(), again.flat_weights())


def test_a_description_says_what_a_layer_has() -> None:
    net = Network([5, Normalization(), Scale(), LayerNormalization(epsilon=0.1), Dense(2)], seed=0)
    stored = [set(layer) for layer in net.architecture.to_dict()["layers"]]
    assert stored[0] == {"kind", "inputs", "units"}
    assert stored[2] - stored[1] == {"epsilon"}
    assert "kind" not in stored[3]
    assert architecture.from_dict(net.architecture.to_dict()) == net.architecture


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (0, {"kind": "batch"}, "unknown kind of layer 'batch'"),
        (0, {"units": 4}, "must have as many units"),
        (1, {"epsilon": 0.1}, "epsilon"),
        (2, {"epsilon": 0.0}, "epsilon must be at least 1e-30"),
        (1, {"activation": None}, "activation"),
    ],
)
def test_wrong_descriptions_are_refused(place: int, change: dict[str, Any], message: str) -> None:
    stored = Network([5, Normalization(), Scale(), LayerNormalization(), 2], seed=0).architecture.to_dict()
    stored["layers"][place] |= change
    with pytest.raises((ValueError, TypeError), match=message):
        architecture.from_dict(stored)


def test_flat_weights_and_blend_know_the_shapes() -> None:
    net = random_weights(Network([3, Scale(), 2], dtype="float64", seed=0))
    assert_same_bits(net.flat_weights(), np.concatenate([each.ravel() for each in tensors(net.get_weights())]))
    other = Network([3, LayerNormalization(), 2], dtype="float64", seed=1)
    with pytest.raises(ValueError, match="must have the same shapes"):
        net.blend(other, 0.5)
    other = Network([3, Scale(), 2], dtype="float64", seed=1)
    mean = (net.flat_weights() + other.flat_weights()) / 2
    net.blend(other, 0.5)
    np.testing.assert_allclose(net.flat_weights(), mean, rtol=1e-15)


def test_layers_of_columns_are_kept_by_with_layers() -> None:
    net = random_weights(Network([5, Normalization(), 9, LayerNormalization(activation="relu"), 2], seed=0))
    other = net.with_layers(3, [4], output="softmax")
    kinds = [layer.kind for layer in other.architecture.layers]
    assert kinds == ["normalization", "dense", "layer_normalization", "dense"]
    for got, wanted in zip(tensors(other.get_weights()[:3]), tensors(net.get_weights()[:3]), strict=True):
        assert_same_bits(got, wanted)


def test_the_summary_names_the_layers(capsys: pytest.CaptureFixture[str]) -> None:
    Network([5, Normalization(), Dense(8, "linear"), LayerNormalization(activation="relu"), Scale()], seed=0).summary()
    lines = capsys.readouterr().out.splitlines()
    assert "epsilon 0.001" in lines[5]
    assert [line.split("  ")[0] for line in lines[3:7]] == [
        "normalization 1",
        "dense 2",
        "layer normalization 3",
        "scale 4",
    ]
    assert lines[3].split()[-1] == "10"


# Arguments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Scale(units=3), TypeError, "as many units as inputs"),
        (lambda: Scale("relu"), TypeError, "no argument without a name"),
        (lambda: Scale(activation="rel"), ValueError, "unknown activation 'rel'"),
        (lambda: Scale(dropout=1.0), ValueError, "dropout"),
        (lambda: LayerNormalization(epsilon=0), ValueError, "epsilon must be at least 1e-30, got 0"),
        (lambda: Network([3, 1, LayerNormalization(), 2]), ValueError, "needs at least 2 units below it"),
        (lambda: Normalization().adapt(X), AttributeError, r"call net.adapt\(X\)"),
        (lambda: Network([5, Normalization(), 2]).adapt(X, Y), TypeError, "adapt takes only X"),
        (lambda: Network([5, Normalization(), 2]).adapt(iter([X])), TypeError, "adapt needs all rows at once"),
        (lambda: LayerNormalization(epsilon=-1), ValueError, "epsilon"),
        (lambda: LayerNormalization(eps=1e-5), TypeError, "epsilon"),
        (lambda: LayerNormalization(center=False), TypeError, "use_bias"),
        (lambda: Normalization(mean=3), TypeError, "adapt"),
        (lambda: Network([Scale(), 3]), TypeError, "must be the number of inputs, got a Scale"),
        (lambda: Network([3, Scale, 3]), TypeError, r"write Scale\(\)"),
        (lambda: Network([3, 2, Scale(dropout=0.5)]), ValueError, "last layer cannot have dropout"),
        (lambda: Network([3, Scale(), 2]).set_weights([]), ValueError, "3 pairs|2 pairs"),
        (
            lambda: Network([3, Scale()]).set_weights([(np.ones((3, 3)), np.ones(3))]),
            ValueError,
            r"W of layer 0 must have shape \(3,\), got \(3, 3\)",
        ),
    ],
)
def test_wrong_arguments_are_explained(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
