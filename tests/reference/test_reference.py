"""The reference agrees with central differences, scalar formulas, published numbers and scikit-learn."""

from __future__ import annotations

import copy
import math
import pickle
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import ACTIVATIONS, CENTRES, LOSSES, PAIRS, each_part_once
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
from sklearn.neural_network import MLPClassifier

from fastmlp.activations import Activation
from fastmlp.layers import Dense
from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop
from fastmlp.reference import Network, activations, data, losses, random
from fastmlp.reference.network import flat
from fastmlp.reference.optimizers import clip_gradients, empty_slots, update


def toy(n: int = 24, inputs: int = 3, outputs: int = 3) -> tuple[Any, Any, Any]:
    """Return X, targets in (0, 1), which suit every loss, and weights of which one is 0."""
    rng = np.random.default_rng(7)
    X, y, weights = rng.normal(size=(n, inputs)), rng.uniform(0.1, 0.9, (n, outputs)), rng.uniform(0.5, 2, n)
    weights[1] = 0
    return X, y, weights


def slopes(J: Callable[[], float], w: Any, h: float = 1e-5) -> Any:
    """Return the central difference of J for every element of w."""
    result = np.empty_like(w)
    for i in np.ndindex(w.shape):
        start = w[i]
        w[i] = start + h
        above = J()
        w[i] = start - h
        result[i] = (above - J()) / (2 * h)
        w[i] = start
    return result


def kinks(activation: Activation) -> tuple[float, ...]:
    """Return the z at which the derivative jumps."""
    return activations.ACTIVATIONS[activation.formula].kinks


def relative_difference(gradient: Any, expected: Any) -> float:
    return float(np.abs(gradient - expected).max() / max(np.abs(gradient).max(), 1e-6))


def assert_same(first: Any, second: Any) -> None:
    """Assert that two lists of (W, b) are equal."""
    for (W, b), (V, c) in zip(first, second, strict=True):
        np.testing.assert_array_equal(W, V)
        np.testing.assert_array_equal(b, c)


# Gradients -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", each_part_once(PAIRS))
def test_gradients_are_the_slopes_of_the_loss(name: str) -> None:
    hidden, output = (PAIRS[name].layers[i].activation for i in (1, -1))
    layers: list[int | Dense] = [
        3,
        Dense(5, hidden, l2=0.02),
        Dense(4, hidden, use_bias=False, l1=0.003),
        Dense(PAIRS[name].layers[-1].units, output),
    ]
    net = Network(layers, loss=PAIRS[name].options["loss"], dtype="float64", seed=3)
    net.W[0] *= 0.5
    net.W[1] *= 0.5
    net.W[-1] *= 0.1
    net.b[-1] = np.full(
        net.architecture.outputs, CENTRES.get(output.name, 0.5)
    )  # within (0, 1), the domain of the cross-entropies
    X, y, weights = toy()
    loss, y = net.architecture.loss, y[:, : net.architecture.target_columns]
    if loss.targets == "signs":
        y = np.where(y > 0.5, 1.0, -1.0)
    trace, kink = net.forward(X), losses.LOSSES[loss.name].kink
    distances = [Z - at for Z, g in zip(trace.Z, (hidden, hidden, output), strict=True) for at in kinks(g)]
    distances += [kink(trace.A[-1], y, *loss.parameters)] if kink else []
    smooth = np.all([np.ones(len(X), bool), *((np.abs(d) > 1e-3).all(axis=1) for d in distances)], axis=0)
    X, y, weights = X[smooth], y[smooth], weights[smooth]
    assert len(X) >= 10
    assert ((trace.A[-1] > 0) & (trace.A[-1] < 1)).all()

    _, gradients = net.loss_and_gradients(X, y, weights)

    def J() -> float:
        return net.evaluate(X, y, weights)["loss"]

    for W, b, (dW, db) in zip(net.W, net.b, gradients, strict=True):
        assert relative_difference(dW, slopes(J, W)) <= 1e-6
        assert (b is None) == (db is None)
        if b is not None:
            assert relative_difference(db, slopes(J, b)) <= 1e-6


@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize("hidden", ["tanh", "softmax"])
def test_input_gradients_are_the_slopes_of_the_outputs(hidden: str, output: str) -> None:
    net = Network(
        [3, Dense(6, hidden, dropout=0.5), 2],
        output=ACTIVATIONS[output],
        loss="mean_squared_error",
        dtype="float64",
        seed=1,
    )
    X = toy(5)[0]
    jacobian = net.input_gradients(X)
    assert jacobian.shape == (5, 2, 3)
    for k in range(2):
        expected = slopes(lambda k=k: float(net.predict(X)[:, k].sum()), X)  # type: ignore[misc]
        assert relative_difference(jacobian[:, k], expected) <= 1e-6


@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "softmax"])
def test_a_training_step_follows_the_slopes_under_its_own_dropout(hidden: str) -> None:
    net = Network(
        [3, Dense(6, hidden, dropout=0.4), Dense(5, hidden, dropout=0.2), 3],
        optimizer=SGD(1.0),
        dtype="float64",
        seed=2,
    )
    X, y, weights = toy()
    trained = copy.deepcopy(net)
    trained.train_on_batch(X, y, weights)
    without_dropout = net.loss_and_gradients(X, y, weights)[1][0][0]

    def J() -> float:
        return copy.deepcopy(net).train_on_batch(X, y, weights)

    for W, V in zip(net.W, trained.W, strict=True):
        assert relative_difference(W - V, slopes(J, W)) <= 1e-6
    assert relative_difference(net.W[0] - trained.W[0], without_dropout) > 1e-2


def test_a_batch_whose_weights_are_all_zero_has_only_penalties() -> None:
    layers = [3, Dense(4, l1=0.1), Dense(3, "linear", l2=0.2)]
    net = Network(layers, optimizer=SGD(1.0), dtype="float64", seed=0)
    before = Network(layers, dtype="float64", seed=0)
    X, y, weights = net._check_samples(*toy()[:2], None)
    _, penalty = net._step(X, y, 0 * weights)
    assert penalty == pytest.approx(0.1 * np.abs(before.W[0]).sum() + 0.1 * (before.W[1] ** 2).sum(), rel=1e-13)
    np.testing.assert_array_equal(net.W[0], before.W[0] - 0.1 * np.sign(before.W[0]))
    np.testing.assert_array_equal(net.W[1], before.W[1] - 0.2 * before.W[1])
    np.testing.assert_array_equal(net.b[0], before.b[0])


# Formulas ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pair", "Z", "y", "loss", "delta"), [
    ("softmax categorical_crossentropy", [1e4, 0, -1e4], [0, 1, 0], 1e4, [1, -1, 0]),
    ("softmax kl_divergence", [1e4, 0, -1e4], [0, 1, 0], 1e4, [1, -1, 0]),
    ("softmax kl_divergence", [0, 0], [0.5, 0.5], 0, [0, 0]),
    ("exponential poisson", [-1e4, 0], [0, 3], 0.5, [0, -1]),
    ("softmax categorical_crossentropy", [0, 0], [1, 1], 2 * math.log(2), [0, 0]),
    ("softmax categorical_crossentropy", [-1e4, -1e4], [0.5, 0], math.log(2) / 2, [-0.25, 0.25]),
    ("sigmoid binary_crossentropy", [1e4, -1e4], [0, 1], 2e4, [1, -1]),
    ("sigmoid binary_crossentropy", [1e4, -1e4], [1, 0], 0, [0, 0]),
    ("sigmoid binary_crossentropy", [0], [0.25], math.log(2), [0.25]),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exact_pairs_are_exact_at_any_logit(
    pair: str, Z: list[float], y: list[float], loss: float, delta: list[float], dtype: str
) -> None:
    activation, name = pair.split()
    logits, target = np.array([Z], dtype), np.array([y], dtype)
    A = activations.ACTIVATIONS[activation].forward(logits)
    exact = losses.EXACT_PAIRS[activation, name]
    assert exact.value(logits, target) == pytest.approx(loss, rel=1e-6, abs=1e-7)
    np.testing.assert_allclose(exact.delta(A, target)[0], delta, atol=1e-7)


@pytest.mark.parametrize("pair", losses.EXACT_PAIRS)
def test_exact_pairs_are_their_loss_and_activation_put_together(pair: tuple[str, str]) -> None:
    activation, loss = activations.ACTIVATIONS[pair[0]], losses.LOSSES[pair[1]]
    exact, numbers = losses.EXACT_PAIRS[pair], LOSSES[pair[1]].parameters
    Z, y, _ = toy()
    A = activation.forward(Z)
    np.testing.assert_allclose(exact.value(Z, y, *numbers), loss.value(A, y, *numbers), rtol=1e-12, atol=1e-13)
    delta = activation.backward(loss.gradient(A, y, *numbers), Z, A)
    np.testing.assert_allclose(exact.delta(A, y, *numbers), delta, atol=1e-13)


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 1e-7), ("float64", 1e-15)])
@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy"])
def test_cross_entropies_are_clipped_and_constant_outside_of_their_domain(loss: str, dtype: str, eps: float) -> None:
    A, y = np.array([[-1, 0, 0.5, 1, 2]], dtype), np.ones((1, 5), dtype)
    formula = losses.LOSSES[loss]
    assert formula.value(A, y) == pytest.approx(-2 * math.log(eps) + math.log(2), rel=1e-6)
    np.testing.assert_allclose(formula.gradient(A, y), [[0, 0, -2, 0, 0]], rtol=1e-6)


def test_at_their_kinks_relu_and_the_l1_penalty_have_derivative_0() -> None:
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    assert activations.relu_backward(one, zero, zero) == 0
    assert losses.penalty_gradient(zero, 0.5, 0.0) == 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_do_not_overflow_and_keep_nan(name: str) -> None:
    Z = np.array([[-1e4, 0, 80 if name == "exponential" else 1e4], [np.nan, 1, 2]], np.float32)
    A = activations.ACTIVATIONS[ACTIVATIONS[name].formula].forward(Z, *ACTIVATIONS[name].parameters)
    assert A.dtype == np.float32
    assert np.isfinite(A[0]).all()
    assert np.isnan(A[1, 0])


@pytest.mark.parametrize("name", sorted(activations.ACTIVATIONS.keys() - {"softmax"}))
def test_derivatives_jump_at_the_kinks_of_their_formula_only(name: str) -> None:
    formula, z, step = activations.ACTIVATIONS[name], np.arange(-8.0, 8.5, 0.5), 1e-6
    numbers = {"leaky_relu": (0.1,), "elu": (2.0,)}.get(name, ())
    before, at, after = (formula.forward(places, *numbers) for places in (z - step, z, z + step))
    assert z[np.abs(after - 2 * at + before) > 0.02 * step].tolist() == list(formula.kinks)


@pytest.mark.parametrize(("name", "y"), [("mean_absolute_error", 0.5), ("hinge", 1.0)])
def test_losses_jump_at_their_kink_only(name: str, y: float) -> None:
    formula, A, step = losses.LOSSES[name], np.arange(-2.0, 2.5, 0.5)[:, None], 1e-6
    Y = np.full_like(A, y)
    before, at, after = (formula.value(places, Y) for places in (A - step, A, A + step))
    assert formula.kink is not None
    found = np.ravel(formula.kink(A, Y)) == 0
    assert found.tolist() == (np.abs(after - 2 * at + before) > 0.02 * step).tolist()
    assert found.sum() == 1


@pytest.mark.parametrize(("name", "z", "a"), [
    ("leaky_relu", -2.0, -0.02), ("leaky_relu 0.3", -2.0, -0.6), ("relu6", 7.0, 6.0), ("elu", -1.0, 1 / math.e - 1),
    ("elu 0.5", -1.0, 0.5 / math.e - 0.5), ("selu", 1.0, 1.0507009873554805), ("selu", -1e4, -1.7580993408473766),
    ("softplus", 0.0, math.log(2)), ("softplus", -50.0, math.exp(-50)), ("exponential", 1.0, math.e),
    ("gelu", 1.0, 0.8413447460685429), ("gelu", -10.0, -7.619853024160526e-23),
    ("gelu approximate", 1.0, 0.8411919906082768), ("silu", 1.0, 0.7310585786300049),
    ("mish", 1.0, 0.8650983882673103), ("hard_sigmoid", 1.0, 2 / 3),
])  # fmt: skip
def test_activations_have_their_published_values(name: str, z: float, a: float) -> None:
    g = ACTIVATIONS[name]
    found = activations.ACTIVATIONS[g.formula].forward(np.array([[z]]), *g.parameters)
    assert found == pytest.approx(a, rel=1e-13)


@pytest.mark.parametrize(("name", "a", "y", "value"), [
    ("mean_absolute_error", [1, 4], [2, 1], 2.0), ("huber", [0.5, 4], [0, 1], (0.125 + 2.5) / 2),
    ("huber 0.2", [0.1, 1], [0, 0], (0.005 + 0.18) / 2), ("log_cosh", [1, 0], [0, 0], math.log(math.cosh(1)) / 2),
    ("log_cosh", [1e-4], [0], 0.5e-8), ("log_cosh", [1000], [0], 1000 - math.log(2)),
    ("poisson", [2, 1], [3, 0], (2 - 3 * math.log(2) + 1) / 2), ("hinge", [0.5, 2, -3], [1, -1, 0], (0.5 + 3 + 0) / 3),
    ("half_squared_error", [1, 4], [3, 1], (4 + 9) / 2),
    ("half_poisson_deviance", [2, 1], [3, 0], 3 * math.log(1.5) - 3 + 2 + 1),
    ("kl_divergence", [0.5, 0.5], [0.9, 0.1], 0.9 * math.log(1.8) + 0.1 * math.log(0.2)),
    ("kl_divergence", [0.5, 0.5], [1, 0], math.log(2)),
    ("binary_crossentropy smoothed", [0.5, 0.9], [1, 1], -math.log(0.5) - 0.9 * math.log(0.9) - 0.1 * math.log(0.1)),
    ("categorical_crossentropy smoothed", [0.2, 0.8], [0, 1], -0.05 * math.log(0.2) - 0.95 * math.log(0.8)),
])  # fmt: skip
def test_losses_have_their_published_values(name: str, a: list[float], y: list[float], value: float) -> None:
    loss = LOSSES[name]
    found = losses.LOSSES[loss.name].value(np.array([a], float), np.array([y], float), *loss.parameters)
    assert found == pytest.approx(value, rel=1e-7 if a == [1e-4] else 1e-13)


def scalar_sgd(o: SGD, w: float, gradients: list[float]) -> float:
    v = 0.0
    for g in gradients:
        v = o.momentum * v - o.learning_rate * g
        w += o.momentum * v - o.learning_rate * g if o.nesterov else v
    return w


def scalar_adam(o: Adam, w: float, gradients: list[float]) -> float:
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = o.beta_1 * m + (1 - o.beta_1) * g
        v = o.beta_2 * v + (1 - o.beta_2) * g * g
        if o.epsilon_hat:
            rate = o.learning_rate * math.sqrt(1 - o.beta_2**t) / (1 - o.beta_1**t)
            w -= rate * m / (math.sqrt(v) + o.epsilon)
        else:
            w -= o.learning_rate * m / (1 - o.beta_1**t) / (math.sqrt(v / (1 - o.beta_2**t)) + o.epsilon)
    return w


def scalar_rmsprop(o: RMSprop, w: float, gradients: list[float]) -> float:
    v = c = m = 0.0
    for g in gradients:
        v = o.rho * v + (1 - o.rho) * g * g
        c = o.rho * c + (1 - o.rho) * g
        u = g / (math.sqrt(v - c * c if o.centered else v) + o.epsilon)
        m = o.momentum * m + u
        w -= o.learning_rate * (m if o.momentum else u)
    return w


def scalar_adagrad(o: Adagrad, w: float, gradients: list[float]) -> float:
    s = o.initial_accumulator_value
    for g in gradients:
        s += g * g
        w -= o.learning_rate * g / (math.sqrt(s) + o.epsilon)
    return w


def scalar_adadelta(o: Adadelta, w: float, gradients: list[float]) -> float:
    v = d = 0.0
    for g in gradients:
        v = o.rho * v + (1 - o.rho) * g * g
        u = math.sqrt((d + o.epsilon) / (v + o.epsilon)) * g
        d = o.rho * d + (1 - o.rho) * u * u
        w -= o.learning_rate * u
    return w


def scalar_amsgrad(o: Adam, w: float, gradients: list[float]) -> float:
    m = v = most = 0.0
    for t, g in enumerate(gradients, 1):
        m = o.beta_1 * m + (1 - o.beta_1) * g
        v = o.beta_2 * v + (1 - o.beta_2) * g * g
        most = max(most, v)
        w -= o.learning_rate * m / (1 - o.beta_1**t) / (math.sqrt(most / (1 - o.beta_2**t)) + o.epsilon)
    return w


def scalar_nadam(o: Nadam, w: float, gradients: list[float]) -> float:
    m = v = 0.0
    product = 1.0
    for t, g in enumerate(gradients, 1):
        mu, following = (o.beta_1 * (1 - 0.5 * 0.96 ** (k * o.momentum_decay)) for k in (t, t + 1))
        product *= mu
        m = o.beta_1 * m + (1 - o.beta_1) * g
        v = o.beta_2 * v + (1 - o.beta_2) * g * g
        ahead = g * (1 - mu) / (1 - product) + m * following / (1 - product * following)
        w -= o.learning_rate * ahead / (math.sqrt(v / (1 - o.beta_2**t)) + o.epsilon)
    return w


def scalar_lion(o: Lion, w: float, gradients: list[float]) -> float:
    m = 0.0
    for g in gradients:
        w -= o.learning_rate * math.copysign(1.0, o.beta_1 * m + (1 - o.beta_1) * g)
        m = o.beta_2 * m + (1 - o.beta_2) * g
    return w


@pytest.mark.parametrize(("optimizer", "scalar"), [
    (RMSprop(), scalar_rmsprop),
    (RMSprop(rho=0.8, momentum=0.5, epsilon=1e-4), scalar_rmsprop),
    (RMSprop(centered=True), scalar_rmsprop),
    (RMSprop(0.02, centered=True, momentum=0.9), scalar_rmsprop),
    (Adagrad(), scalar_adagrad),
    (Adagrad(0.1, initial_accumulator_value=0.5), scalar_adagrad),
    (Adadelta(), scalar_adadelta),
    (Adadelta(0.5, rho=0.7, epsilon=1e-3), scalar_adadelta),
    (Adam(beta_2=0.5, amsgrad=True), scalar_amsgrad),
    (AdamW(), scalar_adam),  # a vector counts as biases, which do not decay
    (Nadam(), scalar_nadam),
    (Nadam(0.05, beta_1=0.5, momentum_decay=0.1), scalar_nadam),
    (Lion(), scalar_lion),
    (Lion(0.01, beta_1=0.5, beta_2=0.8, weight_decay=0.5), scalar_lion),
    (SGD(0.1), scalar_sgd),
    (SGD(0.1, momentum=0.9), scalar_sgd),
    (SGD(0.1, momentum=0.9, nesterov=True), scalar_sgd),
    (Adam(), scalar_adam),
    (Adam(0.02, beta_1=0.5, beta_2=0.9, epsilon=1e-3), scalar_adam),
    (Adam(0.02, beta_2=0.9, epsilon=1e-3, epsilon_hat=True), scalar_adam),
])  # fmt: skip
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-14)])
def test_ten_steps_of_an_optimizer_follow_its_scalar_formula(
    optimizer: Optimizer, scalar: Callable[..., float], dtype: str, tolerance: float
) -> None:
    gradients = np.random.default_rng(5).normal(size=(10, 3)).astype(dtype)
    w = np.array([1.0, -2.0, 0.5], dtype)
    expected = [scalar(optimizer, float(w[i]), gradients[:, i].astype(float).tolist()) for i in range(3)]
    slots = empty_slots(optimizer, w)
    for t, g in enumerate(gradients, 1):
        update(optimizer, w, g, slots, t)
    assert w.dtype == dtype
    assert tuple(slots) == optimizer.slots
    np.testing.assert_allclose(w, expected, rtol=tolerance)


@pytest.mark.parametrize("optimizer", [AdamW(0.1, weight_decay=0.5), Lion(0.1, weight_decay=0.5)])
def test_weights_decay_and_biases_do_not(optimizer: Optimizer) -> None:
    W, b = np.full((2, 3), 4.0), np.full(3, 4.0)
    for w in (W, b):
        update(optimizer, w, np.zeros_like(w), empty_slots(optimizer, w), 1)
    np.testing.assert_allclose(W, 4.0 * (1 - 0.1 * 0.5), rtol=1e-15)
    np.testing.assert_array_equal(b, 4.0)


def test_gradients_are_clipped_by_value_or_by_their_common_norm() -> None:
    gradients = [np.array([[3.0, -0.5]]), np.array([-4.0])]
    by_value = clip_gradients(SGD(clipvalue=1.0), gradients)
    np.testing.assert_array_equal(np.concatenate([g.ravel() for g in by_value]), [1, -0.5, -1])
    norm = math.sqrt(9 + 0.25 + 16)
    by_norm = clip_gradients(SGD(global_clipnorm=1.0), gradients)
    np.testing.assert_allclose(np.concatenate([g.ravel() for g in by_norm]), np.array([3, -0.5, -4]) / (norm + 1e-6))
    np.testing.assert_array_equal(clip_gradients(SGD(global_clipnorm=6.0), gradients)[1], gradients[1])


# Random numbers ------------------------------------------------------------------------------------------------------

MASK = 2**64 - 1


def plain_mix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def test_a_stream_of_key_zero_is_splitmix64_of_seed_zero() -> None:
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert random.bits(0, np.arange(4, dtype=np.uint64)).tolist() == published


@pytest.mark.parametrize("words", [(0, 1, 0, 0), (42, 3, 7, 2), (2**63 - 1, 4, 10**6, 9)])
def test_a_key_hashes_its_words_one_after_the_other(words: tuple[int, int, int, int]) -> None:
    expected = 0
    for word in words:
        expected = plain_mix(((expected ^ word) + 0x9E3779B97F4A7C15) & MASK)
    assert random.key(*words) == expected


def test_the_keys_of_nearby_words_differ() -> None:
    keys = {random.key(*words) for words in np.ndindex(4, 4, 4, 4)}
    assert len(keys) == 4**4


def test_uniform_numbers_fill_the_unit_interval_evenly() -> None:
    u = random.uniform(random.key(1, random.WEIGHTS), (400, 250))
    counts = np.histogram(u, bins=20, range=(0, 1))[0]
    chi_square = ((counts - 5000) ** 2 / 5000).sum()
    assert 0 <= u.min() < u.max() < 1
    assert chi_square < 43.8  # the 0.1 % point for 19 degrees of freedom
    assert abs(np.corrcoef(u.ravel()[:-1], u.ravel()[1:])[0, 1]) < 0.011
    assert u[1, 2] == random.uniform(random.key(1, random.WEIGHTS), (1000,))[252]


def test_normal_numbers_have_the_moments_of_the_normal_distribution() -> None:
    z = random.normal(random.key(2, random.WEIGHTS), (200_000,))
    assert [np.mean(z**k) for k in (1, 2, 3, 4)] == pytest.approx([0, 1, 0, 3], abs=0.08)
    assert np.mean(z) == pytest.approx(0, abs=0.008)
    assert np.var(z) == pytest.approx(1, abs=0.012)


def test_normal_quantiles_agree_with_the_standard_library() -> None:
    u = np.concatenate([np.linspace(1e-4, 1 - 1e-4, 501), 10.0 ** -np.arange(5, 17), 1 - 10.0 ** -np.arange(5, 16)])
    expected = [statistics.NormalDist().inv_cdf(p) for p in u]
    np.testing.assert_allclose(random.normal_quantile(u), expected, rtol=1e-14, atol=1e-16)


def test_a_permutation_is_the_plain_shuffle_of_fisher_and_yates() -> None:
    key, order = random.key(3, random.SHUFFLE, 5), list(range(10, 60))
    for i in range(len(order) - 1, 0, -1):
        j = (plain_mix((key + 0x9E3779B97F4A7C15 * (i + 1)) & MASK) >> 32) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    shuffled = random.permutation(key, np.arange(10, 60))
    assert shuffled.tolist() == order
    assert sorted(order) == list(range(10, 60)) != order


def test_every_order_of_three_is_equally_frequent() -> None:
    orders = [tuple(random.permutation(random.key(0, random.SHUFFLE, epoch), np.arange(3))) for epoch in range(3000)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 6
    assert ((counts - 500) ** 2 / 500).sum() < 20.5  # the 0.1 % point for 5 degrees of freedom


def test_a_dropout_mask_keeps_its_share_and_its_expectation() -> None:
    D = random.dropout_mask(random.key(0, random.DROPOUT, 1), (500, 200), 0.3)
    assert set(np.unique(D)) == {0.0, 1 / 0.7}
    assert D.mean() == pytest.approx(1, abs=0.01)


def test_every_initial_weight_and_dropped_unit_has_its_own_element_of_its_layers_stream() -> None:
    net = Network([3, 4, Dense(5, dropout=0.5, weight_init="lecun_uniform", bias_init="lecun_uniform"), 2], seed=9)
    W, b, D = net.W[1], net.b[1], net.forward(np.ones((6, 3), np.float32), step=3).D[1]
    assert b is not None
    assert isinstance(D, np.ndarray)

    def u(purpose: int, counter: int, element: int) -> float:
        key = random.key(9, purpose, counter, 1)
        return (plain_mix((key + 0x9E3779B97F4A7C15 * (element + 1)) & MASK) >> 11) * 2.0**-53

    bound = math.sqrt(3 / 4)
    for k, n in np.ndindex(4, 5):
        assert W[k, n] == np.float32((2 * u(1, 0, k * 5 + n) - 1) * bound)
    for n in range(5):
        assert b[n] == np.float32((2 * u(2, 0, n) - 1) * bound)
    for row, unit in np.ndindex(6, 5):
        assert D[row, unit] == (2 if u(4, 3, row * 5 + unit) >= 0.5 else 0)


VARIANCES = {
    "glorot_uniform": 2 / 700, "glorot_normal": 2 / 700, "he_uniform": 2 / 400, "he_normal": 2 / 400,
    "lecun_uniform": 1 / 400, "lecun_normal": 1 / 400, "random_uniform": 0.1**2 / 12, "random_normal": 0.05**2,
    "truncated_normal": 0.7737 * 0.05**2,
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANCES)
def test_initial_weights_have_the_variance_of_their_initialiser(name: str) -> None:
    net = Network([400, Dense(300, weight_init=name, bias_init=name)], seed=0)
    W, b = net.W[0], net.b[0]
    assert b is not None
    assert W.var() == pytest.approx(VARIANCES[name], rel=0.02)
    assert b.var() == pytest.approx(VARIANCES[name], rel=0.3)
    assert abs(W.mean()) <= 5 * math.sqrt(VARIANCES[name] / W.size)
    if name.endswith("uniform"):
        assert np.abs(W).max() <= math.sqrt(3 * VARIANCES[name]) * (1 + 1e-6)


# Training ------------------------------------------------------------------------------------------------------------

TASKS: dict[str, dict[str, Any]] = {
    "classes": {"output": "softmax"},
    "binary": {"output": "sigmoid"},
    "values": {"output": "linear"},
    "softmax inside": {"output": "linear", "activation": "softmax"},
    "unpaired": {"output": "sigmoid", "loss": "mean_squared_error", "activation": "tanh"},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("task", TASKS)
def test_three_epochs_lower_the_loss_and_keep_the_dtype(task: str, dtype: str) -> None:
    X, y, _ = toy(200)
    net = Network([3, 16, 3], optimizer=Adam(0.01), dtype=dtype, seed=0, **TASKS[task])
    history = net.fit(X, y, epochs=3, batch_size=16, validation_split=0.2).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert (net.epoch, net.step) == (3, 30)
    gradients = flat(net.loss_and_gradients(X, y)[1])
    for array in (*net.W, *net.hidden_activations(X), net.predict(X), net.input_gradients(X), *gradients):
        assert array.dtype == dtype


def test_an_epoch_is_its_shuffled_batches_one_after_the_other() -> None:
    X, y, weights = toy(23)
    net = Network([3, Dense(6, dropout=0.2, l2=0.1), 3], optimizer="adam", seed=4)
    by_hand = copy.deepcopy(net)
    history = net.fit(X, y, epochs=2, batch_size=8, sample_weight=weights).history
    for epoch in range(2):
        order = random.permutation(random.key(4, random.SHUFFLE, epoch), np.arange(23))
        for batch in (order[:8], order[8:16], order[16:]):
            by_hand.train_on_batch(X[batch], y[batch], weights[batch])
    assert_same(net.get_weights(), by_hand.get_weights())
    assert len(history["loss"]) == 2


def test_the_loss_of_an_epoch_is_the_weighted_mean_over_its_batches() -> None:
    X, y, weights = toy(23)
    net = Network([3, Dense(6, l1=0.01, l2=0.1), 3], optimizer=SGD(0.0), dtype="float64", seed=4)
    expected = net.evaluate(X, y, weights)["loss"]
    history = net.fit(X, y, epochs=2, batch_size=8, sample_weight=weights, validation_data=(X, y, weights)).history
    assert history["loss"] + history["val_loss"] == pytest.approx([expected] * 4, rel=1e-13)


def test_without_shuffling_rows_keep_their_order() -> None:
    X, y, _ = toy(10)
    net = Network([3, 4, 3], seed=0)
    by_hand = copy.deepcopy(net)
    net.fit(X, y, batch_size=4, shuffle=False)
    for start in (0, 4, 8):
        by_hand.train_on_batch(X[start : start + 4], y[start : start + 4])
    assert_same(net.get_weights(), by_hand.get_weights())


def test_a_second_fit_continues_the_first() -> None:
    X, y, _ = toy()
    once, twice = (Network([3, Dense(5, dropout=0.1), 3], seed=8) for _ in range(2))
    once.fit(X, y, epochs=3, batch_size=7)
    twice.fit(X, y, epochs=1, batch_size=7)
    restored = pickle.loads(pickle.dumps(twice))
    restored.fit(X, y, epochs=2, batch_size=7)
    assert_same(once.get_weights(), restored.get_weights())


@pytest.mark.parametrize(("share", "kept_out"), [(0.25, 6), (0.001, 1), (0.999, 23)])
@pytest.mark.filterwarnings("ignore::fastmlp.metrics.UndefinedMetricWarning")  # R² of one row
def test_a_validation_split_trains_on_the_other_rows(share: float, kept_out: int) -> None:
    X, y, weights = toy()
    weights = weights + 0.5
    split, apart = (Network([3, 5, 3], seed=8) for _ in range(2))
    train, validation = data.split(len(X), share, random.key(8, random.SPLIT))
    assert len(validation) == kept_out
    assert sorted([*train, *validation]) == list(range(24))
    assert sorted(train) == list(train)
    first = split.fit(X, y, epochs=2, validation_split=share, sample_weight=weights).history
    rows = X[validation], y[validation], weights[validation]
    second = apart.fit(X[train], y[train], epochs=2, sample_weight=weights[train], validation_data=rows).history
    np.testing.assert_equal(first, second)
    assert_same(split.get_weights(), apart.get_weights())


@pytest.mark.parametrize(("outputs", "labels"), [(3, [0, 1, 2, 1, 0, 1]), (1, [0, 1, 1, 0, 1, 1])])
def test_class_weights_multiply_sample_weights(outputs: int, labels: list[int]) -> None:
    X, y, weights = toy(6)[0], np.array(labels), np.arange(6.0)
    first, second = (Network([3, 4, outputs], output="softmax" if outputs > 1 else "sigmoid", seed=1) for _ in range(2))
    first.fit(X, y, class_weight={1: 3.0}, sample_weight=weights)
    second.fit(X, y, sample_weight=weights * np.where(y == 1, 3.0, 1.0))
    assert_same(first.get_weights(), second.get_weights())


def test_labels_are_equivalent_to_one_hot_rows() -> None:
    X, labels = toy(6)[0], np.array([0, 2, 1, 1, 0, 2])
    net = Network([3, 4, 3], output="softmax", seed=1)
    first, second = net.loss_and_gradients(X, labels), net.loss_and_gradients(X, np.eye(3)[labels])
    assert first[0] == second[0]
    assert_same(first[1], second[1])


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
def test_training_agrees_with_scikit_learn(activation: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 4)), np.tile([0, 1, 2, 1], 10)
    theirs = MLPClassifier((6, 5), activation=activation, solver="sgd", alpha=0.4, momentum=0, learning_rate_init=0.1)
    theirs.partial_fit(X, y, classes=[0, 1, 2])
    name = {"logistic": "sigmoid"}.get(activation, activation)
    hidden = [Dense(units, name, l2=0.4 / 40) for units in (6, 5)]  # scikit-learn divides its penalty by the batch
    ours = Network([4, *hidden, Dense(3, "softmax", l2=0.4 / 40)], optimizer=SGD(0.1), dtype="float64")
    ours.set_weights(list(zip(theirs.coefs_, theirs.intercepts_, strict=True)))
    for _ in range(5):
        theirs.partial_fit(X, y)
        assert ours.train_on_batch(X, y) == pytest.approx(theirs.loss_, rel=1e-12)
    np.testing.assert_allclose(ours.predict(X), theirs.predict_proba(X), rtol=1e-11)


def test_metrics_agree_with_scikit_learn() -> None:
    X, y, weights = toy()
    values = Network([3, 4, 3], seed=1)
    seen, A = values.evaluate(X, y, weights), values.predict(X)
    assert set(seen) == {"loss", "mean_absolute_error", "r2"}
    assert seen["r2"] == pytest.approx(r2_score(y, A, sample_weight=weights), rel=1e-6)
    assert seen["mean_absolute_error"] == pytest.approx(mean_absolute_error(y, A, sample_weight=weights), rel=1e-6)
    for outputs, loss in ((3, "categorical_crossentropy"), (1, "binary_crossentropy")):
        labels = np.arange(len(X)) % max(outputs, 2)
        classes = Network([3, 4, outputs], loss=loss, seed=1)
        predicted = classes.predict_classes(X)
        assert predicted.shape == (len(X),)
        assert np.issubdtype(predicted.dtype, np.integer)
        expected = accuracy_score(labels, predicted, sample_weight=weights)
        assert classes.evaluate(X, labels, weights)["accuracy"] == pytest.approx(expected, rel=1e-12)


def test_metrics_take_labels_as_they_are_and_other_targets_as_rows() -> None:
    one_hot, column = np.eye(3), np.array([[0.0], [1.0], [1.0]])
    assert data.metric_targets([0, 1, 2], one_hot).tolist() == [0, 1, 2]
    assert data.metric_targets([0, 1, 1], column) is column
    assert data.metric_targets(one_hot.tolist(), one_hot) is one_hot


def test_r2_of_a_constant_is_1_for_exact_predictions() -> None:
    net = Network([1, Dense(1, "linear", weight_init="zeros")], seed=0)
    assert net.evaluate([[1], [2]], [0, 0], [1, 1])["r2"] == 1.0


# State ---------------------------------------------------------------------------------------------------------------


def test_a_copy_continues_like_the_original_and_may_change_the_dtype() -> None:
    X, y, _ = toy()
    net = Network([3, Dense(5, dropout=0.2), Dense(3, use_bias=False)], seed=5)
    net.fit(X, y, epochs=2)
    twin, exact = Network.like(net), Network.like(net, dtype="float64")
    np.testing.assert_array_equal(twin.predict(X), net.predict(X))
    np.testing.assert_allclose(exact.predict(X), net.predict(X), atol=1e-5)
    assert exact.predict(X).dtype == np.float64
    assert (exact.epoch, exact.step) == (net.epoch, net.step) == (2, 2)
    exact.fit(X, y)
    assert_same(net.get_weights(), twin.get_weights())


def test_reinitializing_gives_the_network_of_that_seed() -> None:
    X, y, _ = toy()
    net = Network([3, 5, 3], seed=5)
    net.fit(X, y)
    net.reinitialize(6)
    fresh = Network([3, 5, 3], seed=6)
    assert (net.epoch, net.step, net.history) == (0, 0, None)
    assert net.fit(X, y).history == fresh.fit(X, y).history
    assert_same(net.get_weights(), fresh.get_weights())


def test_hidden_activations_are_those_of_every_layer_but_the_last() -> None:
    net = Network([3, Dense(5, "relu", dropout=0.5), Dense(4, "tanh"), 2], dtype="float64", seed=0)
    X = toy()[0]
    first, second = net.hidden_activations(X)
    np.testing.assert_allclose(first, np.maximum(X @ net.W[0], 0), rtol=1e-14)
    np.testing.assert_allclose(second, np.tanh(first @ net.W[1]), rtol=1e-14)
    np.testing.assert_allclose(net.predict(X), second @ net.W[2], rtol=1e-14)


X, Y, _ = toy(4)
BAD: dict[str, tuple[str, Callable[[Network], object]]] = {
    "columns of X": (r"\(n, 3\), got \(4, 2\)", lambda net: net.predict(X[:, :2])),
    "one row as a vector": (r"\(n, 3\), got \(3,\)", lambda net: net.predict(X[0])),
    "NaN in X": ("X must be finite", lambda net: net.fit(np.full((4, 3), np.nan), Y)),
    "too large for float32": ("X must be finite", lambda net: net.fit(np.full((4, 3), 1e300), Y)),
    "rows of y": ("same number of rows", lambda net: net.fit(X, Y[:2])),
    "no rows": ("at least 1", lambda net: net.fit(X[:0], Y[:0])),
    "columns of y": (r"\(4, 3\) for this network, got \(4, 2\)", lambda net: net.fit(X, Y[:, :2])),
    "dimensions of y": (r"\(4, 3\) for this network, got \(4, 3, 1\)", lambda net: net.fit(X, Y[..., None])),
    "probabilities": ("between 0 and 1 for .*, got numbers from 1", lambda net: net.fit(X, Y + 1)),
    "labels": ("0 to 2, got 0 to 3", lambda net: net.fit(X, np.arange(4))),
    "labels that are floats": ("integers", lambda net: net.fit(X, np.ones(4))),
    "weights": (r"must have shape \(4,\), got \(3,\)", lambda net: net.fit(X, Y, sample_weight=[1, 1, 1])),
    "negative weights": ("finite and at least 0, got -1", lambda net: net.fit(X, Y, sample_weight=[1, 1, 1, -1])),
    "class weights of soft rows": ("class_weight needs", lambda net: net.fit(X, Y, class_weight={0: 2})),
    "unknown class": ("label 3", lambda net: net.fit(X, np.arange(4) % 3, class_weight={3: 2})),
    "epochs": ("epochs must be at least 1", lambda net: net.fit(X, Y, epochs=0)),
    "batch_size": ("batch_size must be at least 1", lambda net: net.fit(X, Y, batch_size=0)),
    "split": ("validation_split must be", lambda net: net.fit(X, Y, validation_split=1.0)),
    "split of one row": ("at least 2 rows", lambda net: net.fit(X[:1], Y[:1], validation_split=0.5)),
    "both validations": ("not both", lambda net: net.fit(X, Y, validation_split=0.5, validation_data=(X, Y))),
    "callbacks": ("takes no callbacks", lambda net: net.fit(X, Y, callbacks=[print])),
    "shape of weights": ("must have the shapes", lambda net: net.set_weights([(np.ones((3, 3)), None)])),
    "bias for none": ("must have the shapes", lambda net: net.set_weights([(net.W[0], None), (net.W[1], None)])),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_wrong_arguments_are_named_and_change_nothing(case: str) -> None:
    message, call = BAD[case]
    net = Network([3, 4, 3], output="softmax", seed=0)
    before = net.get_weights()
    with pytest.raises(ValueError, match=message):
        call(net)
    assert_same(net.get_weights(), before)
    assert (net.epoch, net.step, net.history) == (0, 0, None)
