"""Check what docs/coming-from.md says is equal in fastmlp, scikit-learn, Keras and PyTorch."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastmlp import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    CategoricalCrossentropy,
    CosineDecay,
    Dense,
    ExponentialDecay,
    Huber,
    LeakyReLU,
    Lion,
    Nadam,
    Network,
    OneCycle,
    RandomUniform,
    RMSprop,
    StepDecay,
    Warmup,
)
from fastmlp.optimizers import Optimizer

Array = NDArray[np.float64]

# Both sides compute the same sums in float64 but in another order; after some steps rounding stays far below this.
AGREEMENT = 1e-9
RNG = np.random.default_rng(0)
ROWS = 40
X = RNG.normal(size=(ROWS, 5))
NUMBERS = RNG.normal(size=(ROWS, 3))
LABELS = RNG.integers(0, 3, ROWS)


def assert_agree(net: Network, theirs: list[tuple[Array, Array]]) -> None:
    for (W, b), (their_W, their_b) in zip(net.get_weights(), theirs, strict=True):
        np.testing.assert_allclose(W, their_W, rtol=0, atol=AGREEMENT)
        np.testing.assert_allclose(b, their_b, rtol=0, atol=AGREEMENT)


# scikit-learn --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "y", "output", "loss", "solver", "optimizer"),
    [
        (MLPClassifier(), LABELS, Dense(3, "softmax"), None, "adam", Adam(1e-3, epsilon_hat=True)),
        (MLPClassifier(), LABELS > 0, Dense(1, "sigmoid"), None, "sgd", SGD(1e-3, momentum=0.9, nesterov=True)),
        (MLPClassifier(), NUMBERS > 0, Dense(3, "sigmoid"), None, "adam", Adam(1e-3, epsilon_hat=True)),
        (MLPRegressor(), NUMBERS, Dense(3), "half_squared_error", "adam", Adam(1e-3, epsilon_hat=True)),
        (
            MLPRegressor(loss="poisson"),
            LABELS,
            Dense(1, "exponential"),
            "half_poisson_deviance",
            "sgd",
            SGD(1e-3, momentum=0.9, nesterov=True),
        ),
    ],
    ids=["classes", "two classes", "labels", "numbers", "counts"],
)
def test_a_network_learns_the_weights_of_scikit_learn(
    theirs: Any, y: Any, output: Dense, loss: str | None, solver: str, optimizer: Optimizer
) -> None:
    theirs.set_params(hidden_layer_sizes=(8,), alpha=0.1, batch_size=10, shuffle=False, random_state=0, solver=solver)
    with pytest.warns(ConvergenceWarning):
        theirs.set_params(max_iter=1, warm_start=True).fit(X, y)
    l2 = 0.1 / 10
    last = Dense(output.units, output.activation, l2=l2)
    net = Network([5, Dense(8, l2=l2), last], loss=loss, optimizer=optimizer, dtype="float64")
    net.set_weights(list(zip(theirs.coefs_, theirs.intercepts_, strict=True)))
    with pytest.warns(ConvergenceWarning):
        theirs.set_params(max_iter=5).fit(X, y)
    net.fit(X, np.asarray(y).astype(int) if y is not NUMBERS else y, epochs=5, batch_size=10, shuffle=False)
    assert_agree(net, list(zip(theirs.coefs_, theirs.intercepts_, strict=True)))


# Keras, by the formulas of its documentation --------------------------------------------------------------------------


Rule = Callable[[Array, Array, Array, Array, int], tuple[Array, Array, Array]]
"""From w, g, two slots and the number of the step, counted from 1: w and the slots after the step."""


def momentum(nesterov: bool) -> Rule:
    def step(w: Array, g: Array, v: Array, unused: Array, t: int) -> tuple[Array, Array, Array]:
        v = 0.9 * v - 0.1 * g
        return w + (0.9 * v - 0.1 * g if nesterov else v), v, unused

    return step


def adam(w: Array, g: Array, m: Array, v: Array, t: int) -> tuple[Array, Array, Array]:
    m, v = m + 0.1 * (g - m), v + 0.001 * (g**2 - v)
    alpha = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return w - alpha * m / (np.sqrt(v) + 1e-3), m, v


def adamw(w: Array, g: Array, m: Array, v: Array, t: int) -> tuple[Array, Array, Array]:
    return adam(w - 0.1 * 0.01 * w, g, m, v, t)


def nadam(w: Array, g: Array, m: Array, v: Array, t: int) -> tuple[Array, Array, Array]:
    mu = 0.9 * (1 - 0.5 * 0.96 ** np.arange(1, t + 2))
    m, v = m + 0.1 * (g - m), v + 0.001 * (g**2 - v)
    ahead = mu[-1] * m / (1 - mu.prod()) + (1 - mu[-2]) * g / (1 - mu[:-1].prod())
    return w - 0.1 * ahead / (np.sqrt(v / (1 - 0.999**t)) + 1e-3), m, v


def adadelta(w: Array, g: Array, v: Array, d: Array, t: int) -> tuple[Array, Array, Array]:
    v = 0.95 * v + 0.05 * g**2
    move = np.sqrt(d + 1e-3) / np.sqrt(v + 1e-3) * g
    return w - 0.1 * move, v, 0.95 * d + 0.05 * move**2


def lion(w: Array, g: Array, m: Array, unused: Array, t: int) -> tuple[Array, Array, Array]:
    return w - 0.1 * np.sign(0.9 * m + 0.1 * g), 0.99 * m + 0.01 * g, unused


@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [
        (SGD(0.1, momentum=0.9), momentum(nesterov=False)),
        (SGD(0.1, momentum=0.9, nesterov=True), momentum(nesterov=True)),
        (Adam(0.1, epsilon=1e-3, epsilon_hat=True), adam),
        (AdamW(0.1, epsilon=1e-3, epsilon_hat=True, weight_decay=0.01), adamw),
        (Nadam(0.1, epsilon=1e-3, momentum_decay=1.0), nadam),
        (Adadelta(0.1, rho=0.95, epsilon=1e-3), adadelta),
        (Lion(0.1), lion),
    ],
    ids=["momentum", "Nesterov", "Adam", "AdamW", "Nadam", "Adadelta", "Lion"],
)
def test_optimizers_follow_the_formulas_of_keras(optimizer: Optimizer, rule: Rule) -> None:
    net = Network([5, Dense(3, use_bias=False)], optimizer=optimizer, dtype="float64", seed=0)
    [(W, _)] = net.get_weights()
    slots = np.zeros_like(W), np.zeros_like(W)
    for t in range(1, 11):
        _, [(g, _)] = net.loss_and_gradients(X, NUMBERS)
        W, *slots = rule(W, g, *slots, t)  # type: ignore[assignment]
        net.train_on_batch(X, NUMBERS)
        np.testing.assert_allclose(net.get_weights()[0][0], W, rtol=0, atol=AGREEMENT)


def test_penalties_and_the_binary_cross_entropy_are_those_of_keras_times_the_given_factors() -> None:
    y = (NUMBERS > 0).astype(float)
    plain = Network([5, Dense(3, "sigmoid")], dtype="float64", seed=0)
    [(W, _)] = plain.get_weights()
    p = plain.predict(X)
    kerass = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    assert plain.evaluate(X, y)["loss"] == pytest.approx(3 * kerass, rel=AGREEMENT)
    penalised = Network([5, Dense(3, "sigmoid", l1=0.02, l2=2 * 0.03)], dtype="float64", seed=0)
    penalty = 0.02 * np.abs(W).sum() + 0.03 * (W**2).sum()
    assert penalised.evaluate(X, y)["loss"] == pytest.approx(3 * kerass + penalty, rel=AGREEMENT)


def test_a_cosine_after_a_warm_up_is_that_of_keras() -> None:
    steps = np.arange(40)
    cosine = 0.1 * (1 + np.cos(math.pi * np.clip(steps - 10, 0, 20) / 20)) / 2
    expected = np.where(steps < 10, 0.01 + (0.1 - 0.01) * steps / 10, cosine)
    np.testing.assert_allclose(Warmup(10, CosineDecay(0.1, 20), start=0.01).rates(steps), expected, atol=1e-15)


def test_the_weights_of_a_keras_model_are_copied_as_in_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in returns what `get_weights` of Keras returns: nothing for Dropout, kernel and bias for Dense."""
    arrays = [RNG.normal(size=shape).astype(np.float32) for shape in ((30, 16), (16,), (16, 2), (2,))]
    layers = [SimpleNamespace(get_weights=lambda part=part: part) for part in (arrays[:2], [], arrays[2:])]
    model = SimpleNamespace(layers=layers)
    models = SimpleNamespace(load_model={"model.keras": model}.__getitem__)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(models=models))  # type: ignore[arg-type]
    guide = (Path(__file__).resolve().parents[2] / "docs" / "coming-from.md").read_text()
    [example] = [code for code in re.findall(r"```python no-run\n(.*?)```", guide, re.DOTALL) if "set_weights" in code]
    found: dict[str, Any] = {}
    exec(compile(example, "coming-from.md", "exec"), found)
    copied = [array for pair in found["net"].get_weights() for array in pair]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(copied, arrays, strict=True))


# PyTorch -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch() -> Iterator[Any]:
    """Return PyTorch with float64 as its default dtype, which its optimizers then use for their counters too."""
    module = pytest.importorskip("torch")
    before = module.get_default_dtype()
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(before)


class Criterion(NamedTuple):
    """A loss of torch.nn on logits or activations, the loss of fastmlp, and the factor between them."""

    theirs: Callable[[Any], Any]
    y: Any
    output: str
    loss: Any = None
    factor: float = 1.0
    becomes: Callable[[Any], Any] = lambda z: z


SHARES = RNG.dirichlet(np.ones(3), ROWS)
CRITERIA = {
    "CrossEntropyLoss": Criterion(lambda nn: nn.CrossEntropyLoss(), LABELS, "softmax"),
    "CrossEntropyLoss, rows": Criterion(lambda nn: nn.CrossEntropyLoss(), SHARES, "softmax"),
    "CrossEntropyLoss, smoothed": Criterion(
        lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1), LABELS, "softmax", CategoricalCrossentropy(0.1)
    ),
    "NLLLoss": Criterion(lambda nn: nn.NLLLoss(), LABELS, "softmax", becomes=lambda z: z.log_softmax(dim=1)),
    "BCEWithLogitsLoss": Criterion(lambda nn: nn.BCEWithLogitsLoss(), (NUMBERS > 0) * 1.0, "sigmoid", factor=3),
    "BCELoss": Criterion(
        lambda nn: nn.BCELoss(), (NUMBERS > 0) * 1.0, "sigmoid", factor=3, becomes=lambda z: z.sigmoid()
    ),
    "MSELoss": Criterion(lambda nn: nn.MSELoss(), NUMBERS, "linear"),
    "L1Loss": Criterion(lambda nn: nn.L1Loss(), NUMBERS, "linear", "mean_absolute_error"),
    "HuberLoss": Criterion(lambda nn: nn.HuberLoss(delta=0.5), NUMBERS, "linear", Huber(0.5)),
    "SmoothL1Loss": Criterion(lambda nn: nn.SmoothL1Loss(), NUMBERS, "linear", Huber(1.0)),
    "PoissonNLLLoss": Criterion(lambda nn: nn.PoissonNLLLoss(), RNG.poisson(2.0, (ROWS, 3)) * 1.0, "exponential"),
    "KLDivLoss": Criterion(
        lambda nn: nn.KLDivLoss(reduction="batchmean"),
        SHARES,
        "softmax",
        "kl_divergence",
        becomes=lambda z: z.log_softmax(dim=1),
    ),
}


@pytest.mark.parametrize("name", CRITERIA)
def test_losses_are_those_of_pytorch_times_the_given_factors(name: str, torch: Any) -> None:
    case = CRITERIA[name]
    net = Network([5, Dense(3, case.output)], loss=case.loss, dtype="float64", seed=0)
    W, b = (torch.tensor(array, requires_grad=True) for array in net.get_weights()[0])
    loss = case.factor * case.theirs(torch.nn)(case.becomes(torch.tensor(X) @ W + b), torch.tensor(case.y))
    loss.backward()
    value, [(dW, db)] = net.loss_and_gradients(X, case.y)
    assert value == pytest.approx(loss.item(), rel=AGREEMENT)
    np.testing.assert_allclose(dW, W.grad.numpy(), rtol=0, atol=AGREEMENT)
    np.testing.assert_allclose(db, b.grad.numpy(), rtol=0, atol=AGREEMENT)


class Recipe(NamedTuple):
    """An optimizer, that of PyTorch for groups of weights and biases, and what the loop of PyTorch adds."""

    optimizer: Optimizer
    theirs: Callable[[Any, list[Any], list[Any]], Any]
    limit: Callable[[Any, list[Any]], Any] = lambda torch, parameters: None
    schedule: Callable[[Any, Any], Any] | None = None
    l2: float = 0.0


def alike(kind: str, **numbers: Any) -> Callable[[Any, list[Any], list[Any]], Any]:
    return lambda torch, weights, biases: getattr(torch.optim, kind)([*weights, *biases], **numbers)


def decaying(kind: str, decay: float, **numbers: Any) -> Callable[[Any, list[Any], list[Any]], Any]:
    """Return an optimizer of PyTorch that decays weights but not biases."""
    return lambda torch, weights, biases: getattr(torch.optim, kind)(
        [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}], **numbers
    )


RECIPES = {
    "SGD": Recipe(SGD(0.1), alike("SGD", lr=0.1)),
    "momentum": Recipe(SGD(0.1, momentum=0.9), alike("SGD", lr=0.1, momentum=0.9)),
    "Nesterov": Recipe(SGD(0.1, momentum=0.9, nesterov=True), alike("SGD", lr=0.1, momentum=0.9, nesterov=True)),
    "SGD, weight_decay": Recipe(SGD(0.1), decaying("SGD", 0.05, lr=0.1), l2=0.05),
    "Adam": Recipe(Adam(), alike("Adam")),
    "Adam, weight_decay": Recipe(Adam(), decaying("Adam", 0.05), l2=0.05),
    "AdamW": Recipe(AdamW(weight_decay=0.05), decaying("AdamW", 0.05)),
    "NAdam": Recipe(Nadam(), alike("NAdam")),
    "RMSprop": Recipe(RMSprop(), alike("RMSprop")),
    "RMSprop, alpha": Recipe(RMSprop(0.01, rho=0.9), alike("RMSprop", lr=0.01, alpha=0.9)),
    "Adagrad": Recipe(Adagrad(), alike("Adagrad")),
    "Adadelta": Recipe(Adadelta(), alike("Adadelta")),
    "clip_grad_norm_": Recipe(
        Adam(global_clipnorm=0.02),
        alike("Adam"),
        limit=lambda torch, parameters: torch.nn.utils.clip_grad_norm_(parameters, 0.02),
    ),
    "clip_grad_value_": Recipe(
        SGD(0.1, clipvalue=0.02),
        alike("SGD", lr=0.1),
        limit=lambda torch, parameters: torch.nn.utils.clip_grad_value_(parameters, 0.02),
    ),
    "StepLR": Recipe(
        SGD(StepDecay(0.1, 6, 0.5)), alike("SGD", lr=0.1), schedule=lambda rates, own: rates.StepLR(own, 6, 0.5)
    ),
    "ExponentialLR": Recipe(
        SGD(ExponentialDecay(0.1, 1, 0.9)),
        alike("SGD", lr=0.1),
        schedule=lambda rates, own: rates.ExponentialLR(own, 0.9),
    ),
    "CosineAnnealingLR": Recipe(
        SGD(CosineDecay(0.1, 30)),
        alike("SGD", lr=0.1),
        schedule=lambda rates, own: rates.CosineAnnealingLR(own, 30),
    ),
    "LinearLR": Recipe(
        SGD(Warmup(8, 0.1, start=0.01)),
        alike("SGD", lr=0.1),
        schedule=lambda rates, own: rates.LinearLR(own, 0.1, 1.0, 8),
    ),
    "OneCycleLR": Recipe(
        SGD(OneCycle(0.1, 30)),
        alike("SGD", lr=0.1),
        schedule=lambda rates, own: rates.OneCycleLR(own, 0.1, total_steps=30, cycle_momentum=False),
    ),
}


def trained_by(torch: Any, net: Network, recipe: Recipe, criterion: Any, y: Any) -> list[tuple[Array, Array]]:
    """Return the weights and biases after 20 steps over all rows with PyTorch, from those of the network."""
    pairs = [[torch.tensor(array, requires_grad=True) for array in pair] for pair in net.get_weights()]
    weights, biases = [W for W, _ in pairs], [b for _, b in pairs]
    optimizer = recipe.theirs(torch, weights, biases)
    rates = recipe.schedule and recipe.schedule(torch.optim.lr_scheduler, optimizer)
    for _ in range(20):
        optimizer.zero_grad()
        hidden = torch.tanh(torch.tensor(X) @ weights[0] + biases[0])
        criterion(hidden @ weights[1] + biases[1], torch.tensor(y)).backward()
        recipe.limit(torch, [*weights, *biases])
        optimizer.step()
        if rates:
            rates.step()
    return [(W.detach().numpy(), b.detach().numpy()) for W, b in pairs]


def tanh_network(optimizer: Optimizer, output: str = "linear", l2: float = 0.0) -> Network:
    layers = [5, Dense(7, "tanh", l2=l2), Dense(3, output, l2=l2)]
    return Network(layers, optimizer=optimizer, dtype="float64", seed=0)


@pytest.mark.parametrize("name", RECIPES)
def test_20_steps_of_the_optimizers_are_those_of_pytorch(name: str, torch: Any) -> None:
    recipe = RECIPES[name]
    net = tanh_network(recipe.optimizer, l2=recipe.l2)
    theirs = trained_by(torch, net, recipe, torch.nn.MSELoss(), NUMBERS)
    net.fit(X, NUMBERS, epochs=20, batch_size=ROWS, shuffle=False)
    assert_agree(net, theirs)


def test_momentum_contains_past_rates_and_that_of_pytorch_the_latest(torch: Any) -> None:
    recipe = Recipe(
        SGD(StepDecay(0.1, 6, 0.5), momentum=0.9),
        alike("SGD", lr=0.1, momentum=0.9),
        schedule=lambda rates, own: rates.StepLR(own, 6, 0.5),
    )
    net = tanh_network(recipe.optimizer)
    theirs = trained_by(torch, net, recipe, torch.nn.MSELoss(), NUMBERS)
    net.fit(X, NUMBERS, epochs=20, batch_size=ROWS, shuffle=False)
    assert np.abs(net.get_weights()[0][0] - theirs[0][0]).max() > 1e-3


def test_class_weights_are_those_of_the_cross_entropy_loss(torch: Any) -> None:
    net = tanh_network(SGD(0.1), "softmax")
    criterion = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.5], dtype=torch.float64))
    theirs = trained_by(torch, net, RECIPES["SGD"], criterion, LABELS)
    net.fit(X, LABELS, epochs=20, batch_size=ROWS, shuffle=False, class_weight={1: 5.0, 2: 0.5})
    assert_agree(net, theirs)


def test_pos_weight_is_a_weight_of_class_1_with_another_divisor(torch: Any) -> None:
    y, net = (LABELS > 0).astype(float), Network([5, Dense(1, "sigmoid")], dtype="float64", seed=0)
    W, b = (torch.tensor(array, requires_grad=True) for array in net.get_weights()[0])
    criterion = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(5.0))
    criterion((torch.tensor(X) @ W + b)[:, 0], torch.tensor(y)).backward()
    weights = np.where(y > 0, 5.0, 1.0)
    _, [(dW, _)] = net.loss_and_gradients(X, y, weights)
    np.testing.assert_allclose(dW * weights.sum() / ROWS, W.grad.numpy(), rtol=0, atol=AGREEMENT)


def test_initial_weights_can_be_drawn_as_in_pytorch(torch: Any) -> None:
    """The largest of 2000 uniform draws is within 1 % of the bound, except with probability e^-20."""
    bound = 1 / 100**0.5
    drawn = RandomUniform(-bound, bound)
    [ours] = Network([100, Dense(2000, weight_init=drawn, bias_init=drawn)], seed=0).get_weights()
    linear = torch.nn.Linear(100, 2000)
    for array in (*ours, linear.weight.detach().numpy(), linear.bias.detach().numpy()):
        assert 0.99 * bound < np.abs(array).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(
    ("kind", "numbers", "optimizer"),
    [
        ("Adam", ("lr", "eps"), Adam()),
        ("AdamW", ("lr", "eps", "weight_decay"), AdamW()),
        ("NAdam", ("lr", "eps", "momentum_decay"), Nadam()),
        ("RMSprop", ("lr", "eps", "alpha", "momentum"), RMSprop()),
        ("Adagrad", ("lr", "eps", "initial_accumulator_value"), Adagrad()),
        ("Adadelta", ("lr", "eps", "rho"), Adadelta()),
    ],
)
def test_defaults_are_those_of_pytorch(kind: str, numbers: tuple[str, ...], optimizer: Optimizer, torch: Any) -> None:
    own = {"lr": "learning_rate", "eps": "epsilon", "alpha": "rho"}
    theirs = getattr(torch.optim, kind)([torch.zeros(1)]).defaults
    assert {name: getattr(optimizer, own.get(name, name)) for name in numbers} == {n: theirs[n] for n in numbers}


def test_the_defaults_of_activations_are_those_of_pytorch(torch: Any) -> None:
    assert LeakyReLU().slope == torch.nn.LeakyReLU().negative_slope
