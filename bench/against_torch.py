"""Compare with PyTorch every optimizer, gradient limit, schedule, activation and loss that both have, in float64.

Run it from the root of the checkout: `python -m bench.against_torch`. It needs PyTorch and prints a table. The exit
code is 0 if everything agrees.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp import losses, schedules
from fastmlp.activations import ACTIVATIONS, ELU, GELU, Activation, LeakyReLU
from fastmlp.layers import Dense
from fastmlp.losses import (
    LOSSES,
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    GaussianNLL,
    Huber,
    Loss,
    Quantile,
    Tweedie,
)
from fastmlp.network import Network
from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Nadam, Optimizer, RMSprop

try:
    import torch
    from torch.nn import functional as F
    from torch.nn.utils import clip_grad_norm_, clip_grad_value_
    from torch.optim import lr_scheduler
except ImportError:
    raise SystemExit("PyTorch is not installed; install it with: pip install torch") from None

BOUND = 1e-9
STEPS = 20
ROWS = 40
RATE = 0.1

Array = NDArray[np.float64]
Tensors = list[Any]


class Row(NamedTuple):
    """A comparison: its name, and the largest difference divided by the largest number of PyTorch."""

    name: str
    difference: float

    @property
    def ok(self) -> bool:
        return self.difference <= BOUND


# Training ------------------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """An optimizer, that of PyTorch for (weights, biases), and its limit of the gradient and its schedule."""

    name: str
    optimizer: Optimizer
    theirs: Callable[[Tensors, Tensors], Any]
    limit: Callable[[Tensors], Any] = lambda parameters: None
    schedule: Callable[[Any], Any] | None = None


def both_of(kind: Any, **numbers: Any) -> Callable[[Tensors, Tensors], Any]:
    """Return a PyTorch optimizer that treats weights and biases alike."""
    return lambda weights, biases: kind([*weights, *biases], **numbers)


def adamw(**numbers: Any) -> Callable[[Tensors, Tensors], Any]:
    """Return AdamW of PyTorch with decay on the weights only."""
    return lambda weights, biases: torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0.0}], **numbers
    )


def optimizers() -> Iterator[Pair]:
    own = torch.optim
    yield Pair("SGD", SGD(RATE), both_of(own.SGD, lr=RATE))
    for nesterov in (False, True):
        theirs = both_of(own.SGD, lr=RATE, momentum=0.9, nesterov=nesterov)
        yield Pair(f"SGD, {'Nesterov' if nesterov else 'momentum'}", SGD(RATE, 0.9, nesterov), theirs)
    for centered in (False, True):
        for momentum in (0.0, 0.9):
            theirs = both_of(own.RMSprop, lr=0.01, alpha=0.9, momentum=momentum, centered=centered)
            name = "RMSprop" + ", centered" * centered + ", momentum" * (momentum > 0)
            yield Pair(name, RMSprop(0.01, 0.9, momentum, centered=centered), theirs)
    for start in (0.0, 0.1):
        theirs = both_of(own.Adagrad, lr=RATE, initial_accumulator_value=start)
        yield Pair(f"Adagrad from {start:g}", Adagrad(RATE, start), theirs)
    yield Pair("Adadelta", Adadelta(), both_of(own.Adadelta))
    for amsgrad in (False, True):
        name = ", amsgrad" * amsgrad
        theirs = both_of(own.Adam, lr=0.01, betas=(0.8, 0.9), amsgrad=amsgrad)
        yield Pair(f"Adam{name}", Adam(0.01, 0.8, 0.9, amsgrad=amsgrad), theirs)
        theirs = adamw(lr=0.01, amsgrad=amsgrad)
        yield Pair(f"AdamW{name}", AdamW(0.01, weight_decay=0.1, amsgrad=amsgrad), theirs)
    yield Pair("Nadam", Nadam(0.01), both_of(own.NAdam, lr=0.01))
    yield Pair(
        "Nadam, momentum_decay", Nadam(0.01, momentum_decay=0.1), both_of(own.NAdam, lr=0.01, momentum_decay=0.1)
    )


def limits() -> Iterator[Pair]:
    theirs = both_of(torch.optim.SGD, lr=RATE)
    for most in (0.02, 100.0):
        by_norm, by_value = SGD(RATE, global_clipnorm=most), SGD(RATE, clipvalue=most)
        yield Pair(f"SGD, norm up to {most:g}", by_norm, theirs, partial(clip_grad_norm_, max_norm=most))
        yield Pair(f"SGD, elements up to {most:g}", by_value, theirs, partial(clip_grad_value_, clip_value=most))
    theirs = both_of(torch.optim.Adam, lr=0.01)
    yield Pair("Adam, norm", Adam(0.01, global_clipnorm=0.02), theirs, lambda p: clip_grad_norm_(p, 0.02))
    theirs = both_of(torch.optim.RMSprop, lr=0.01, centered=True)
    own = RMSprop(0.01, centered=True, clipvalue=0.01)
    yield Pair("RMSprop, centered, elements", own, theirs, lambda p: clip_grad_value_(p, 0.01))


def rates() -> Iterator[Pair]:
    own, theirs = schedules, lr_scheduler
    cases: list[tuple[str, schedules.Schedule, Callable[[Any], Any]]] = [
        ("ConstantRate", own.ConstantRate(RATE), lambda o: theirs.ConstantLR(o, 1.0)),
        ("StepDecay", own.StepDecay(RATE, 6, 0.5), lambda o: theirs.StepLR(o, 6, 0.5)),
        ("ExponentialDecay", own.ExponentialDecay(RATE, 1, 0.9), lambda o: theirs.ExponentialLR(o, 0.9)),
        ("PolynomialDecay", own.PolynomialDecay(RATE, 15, 0.0, 2.0), lambda o: theirs.PolynomialLR(o, 15, 2.0)),
        ("PolynomialDecay, linear", own.PolynomialDecay(RATE, 15, 0.02), lambda o: theirs.LinearLR(o, 1.0, 0.2, 15)),
        ("CosineDecay", own.CosineDecay(RATE, 20, 0.05), lambda o: theirs.CosineAnnealingLR(o, 20, 0.05 * RATE)),
        (
            "CosineDecayRestarts",
            own.CosineDecayRestarts(RATE, 6, 1.0, alpha=0.1),
            lambda o: theirs.CosineAnnealingWarmRestarts(o, 6, 1, 0.1 * RATE),
        ),
        (
            "CosineDecayRestarts, growing",
            own.CosineDecayRestarts(RATE, 4, 2.0),
            lambda o: theirs.CosineAnnealingWarmRestarts(o, 4, 2),
        ),
        ("Warmup", own.Warmup(8, RATE, 0.25 * RATE), lambda o: theirs.LinearLR(o, 0.25, 1.0, 8)),
        (
            "Warmup, CosineDecay",
            own.Warmup(8, own.CosineDecay(RATE, 12), 0.1 * RATE),
            lambda o: theirs.SequentialLR(o, [theirs.LinearLR(o, 0.1, 1.0, 8), theirs.CosineAnnealingLR(o, 12)], [8]),
        ),
    ]
    for way in ("cos", "linear"):
        for three in (False, True):
            options: dict[str, Any] = {"anneal_strategy": way, "three_phase": three}
            cycle = own.OneCycle(RATE, STEPS, **options)
            cycling = partial(theirs.OneCycleLR, max_lr=RATE, total_steps=STEPS, cycle_momentum=False, **options)
            cases.append((f"OneCycle, {way}" + ", three phases" * three, cycle, cycling))
    for name, schedule, follow in cases:
        yield Pair(name, SGD(schedule), both_of(torch.optim.SGD, lr=RATE), schedule=follow)
    yield Pair(
        "StepDecay of Adam",
        Adam(schedules.StepDecay(0.01, 6, 0.5)),
        both_of(torch.optim.Adam, lr=0.01),
        schedule=lambda o: lr_scheduler.StepLR(o, 6, 0.5),
    )


def trained(pair: Pair) -> Iterator[Row]:
    """Compare a network 5-7-3 after 20 steps over all rows, by `fit`, and by gradients that are given and applied."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(ROWS, 5)), rng.normal(size=(ROWS, 3))
    fitted, stepped = (
        Network([5, Dense(7, "tanh"), 3], optimizer=pair.optimizer, dtype="float64", seed=0) for _ in range(2)
    )
    weights, biases = tensors_of(fitted)
    theirs = pair.theirs(weights, biases)
    following = pair.schedule(theirs) if pair.schedule else None
    for _ in range(STEPS):
        hidden = torch.tanh(torch.tensor(X) @ weights[0] + biases[0])
        theirs.zero_grad()
        F.mse_loss(hidden @ weights[1] + biases[1], torch.tensor(y)).backward()
        pair.limit([*weights, *biases])
        theirs.step()
        if following:
            following.step()
    fitted.fit(X, y, epochs=STEPS, batch_size=ROWS, shuffle=False)
    for _ in range(STEPS):
        A = stepped.forward(X)
        stepped.apply_gradients(stepped.backward(None, 2 * (A - y) / A.size))
    expected = [tensor for pair in zip(weights, biases, strict=True) for tensor in pair]
    for way, network in {"": fitted, ", in parts": stepped}.items():
        found = (each for pair in network.get_weights() for each in pair)
        yield Row(pair.name + way, difference(found, expected))


# Functions -----------------------------------------------------------------------------------------------------------


def activations() -> Iterator[Row]:
    cases: list[tuple[str, Activation, Callable[[Any], Any]]] = [
        *((name, ACTIVATIONS[name], getattr(F, name)) for name in ("relu", "relu6", "selu", "softplus", "silu")),
        *((name, ACTIVATIONS[name], getattr(F, name)) for name in ("mish", "tanh", "sigmoid")),
        ("exponential", ACTIVATIONS["exponential"], torch.exp),
        ("leaky_relu", LeakyReLU(), F.leaky_relu),
        ("leaky_relu, 0.3", LeakyReLU(0.3), lambda z: F.leaky_relu(z, 0.3)),
        ("elu", ELU(), F.elu),
        ("elu, 0.5", ELU(0.5), lambda z: F.elu(z, 0.5)),
        ("gelu", GELU(), F.gelu),
        ("gelu, approximate", GELU(approximate=True), lambda z: F.gelu(z, approximate="tanh")),
        # The derivative of F.hardsigmoid uses 1/6 in float32, also in a float64 network.
        ("hard_sigmoid", ACTIVATIONS["hard_sigmoid"], lambda z: torch.clamp(z + 3, 0, 6) / 6),
        ("softmax", ACTIVATIONS["softmax"], lambda z: F.softmax(z, dim=1)),
    ]
    Z = np.random.default_rng(0).normal(size=(300, 4)) * 3
    for name, activation, theirs in cases:
        network = Network([4, Dense(4, activation)], loss="mean_squared_error", dtype="float64")
        network.set_weights([(np.eye(4), np.zeros(4))])
        z = torch.tensor(Z, requires_grad=True)
        a = theirs(z)
        slopes = [torch.autograd.grad(a[:, k].sum(), z, retain_graph=True)[0] for k in range(4)]
        yield Row(f"{name}, value", difference([network.predict(Z)], [a]))
        yield Row(f"{name}, derivative", difference([network.input_gradients(Z)], [torch.stack(slopes, dim=1)]))


def gamma(a: Any, y: Any) -> Any:
    return (torch.log(a / y) + y / a - 1).mean()


def tweedie(a: Any, y: Any, p: float) -> Any:
    return (y ** (2 - p) / ((1 - p) * (2 - p)) - y * a ** (1 - p) / (1 - p) + a ** (2 - p) / (2 - p)).mean()


def pinball(a: Any, y: Any) -> Any:
    levels = torch.tensor([0.1, 0.5, 0.9])
    return torch.maximum(levels * (y - a), (levels - 1) * (y - a)).mean()


def gaussian(a: Any, y: Any) -> Any:
    return F.gaussian_nll_loss(a[:, :2], y, a[:, 2:].exp() + 1e-6, eps=1e-12)


def focal(z: Any, y: Any) -> Any:
    return focal_of(torch.sigmoid(z), y, 2.0, 0.25 * y + 0.75 * (1 - y))


def focal_of(p: Any, y: Any, power: float, weights: Any = 1.0) -> Any:
    right = p * y + (1 - p) * (1 - y)
    return -(weights * (1 - right) ** power * torch.log(right)).sum() / len(p)


def loss_functions() -> Iterator[Row]:
    rng = np.random.default_rng(0)
    numbers, shares = rng.normal(size=(ROWS, 3)), rng.dirichlet(np.ones(3), ROWS)
    signs = rng.choice([-1.0, 1.0], (ROWS, 3))
    amounts = rng.gamma(2.0, size=(ROWS, 3))
    truths, counts, labels = (signs + 1) / 2, rng.poisson(2.0, (ROWS, 3)).astype(float), rng.integers(0, 3, ROWS)
    smooth = BinaryCrossentropy(0.1)
    cases: list[tuple[str, Loss, str, Any, Callable[[Any, Any], Any]]] = [
        ("mean_squared_error", LOSSES["mean_squared_error"], "linear", numbers, F.mse_loss),
        (
            "half_squared_error",
            LOSSES["half_squared_error"],
            "linear",
            numbers,
            lambda z, y: F.mse_loss(z, y, reduction="sum") / 2 / len(z),
        ),
        (
            "half_poisson_deviance",
            LOSSES["half_poisson_deviance"],
            "exponential",
            counts,
            lambda z, y: (z.exp() - y * z + torch.xlogy(y, y) - y).sum() / len(z),
        ),
        ("mean_absolute_error", LOSSES["mean_absolute_error"], "linear", numbers, F.l1_loss),
        ("huber", Huber(), "linear", numbers, F.smooth_l1_loss),
        ("huber, 0.3", Huber(0.3), "tanh", numbers, lambda z, y: F.huber_loss(torch.tanh(z), y, delta=0.3)),
        ("log_cosh", LOSSES["log_cosh"], "linear", numbers, lambda z, y: torch.log(torch.cosh(z - y)).mean()),
        ("hinge", LOSSES["hinge"], "linear", signs, lambda z, y: torch.clamp(1 - y * z, min=0).mean()),
        ("poisson, exponential", LOSSES["poisson"], "exponential", counts, F.poisson_nll_loss),
        (
            "poisson, softplus",
            LOSSES["poisson"],
            "softplus",
            counts,
            lambda z, y: F.poisson_nll_loss(F.softplus(z), y, log_input=False, eps=0.0),
        ),
        (
            "binary_crossentropy, sigmoid",
            LOSSES["binary_crossentropy"],
            "sigmoid",
            truths,
            lambda z, y: 3 * F.binary_cross_entropy_with_logits(z, y),
        ),
        (
            "binary_crossentropy, smoothed",
            smooth,
            "sigmoid",
            truths,
            lambda z, y: 3 * F.binary_cross_entropy_with_logits(z, 0.9 * y + 0.05),
        ),
        (
            "binary_crossentropy, softmax",
            LOSSES["binary_crossentropy"],
            "softmax",
            truths,
            lambda z, y: 3 * F.binary_cross_entropy(F.softmax(z, dim=1), y),
        ),
        ("categorical_crossentropy, labels", LOSSES["categorical_crossentropy"], "softmax", labels, F.cross_entropy),
        ("categorical_crossentropy, rows", LOSSES["categorical_crossentropy"], "softmax", shares, F.cross_entropy),
        (
            "categorical_crossentropy, smoothed",
            CategoricalCrossentropy(0.1),
            "softmax",
            labels,
            lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1),
        ),
        (
            "gamma, exponential",
            LOSSES["gamma"],
            "exponential",
            amounts,
            lambda z, y: (z - torch.log(y) + y * torch.exp(-z) - 1).mean(),
        ),
        ("gamma, softplus", LOSSES["gamma"], "softplus", amounts, lambda z, y: gamma(F.softplus(z), y)),
        ("tweedie, exponential", Tweedie(1.3), "exponential", counts, lambda z, y: tweedie(z.exp(), y, 1.3)),
        ("tweedie, softplus", Tweedie(1.7), "softplus", counts, lambda z, y: tweedie(F.softplus(z), y, 1.7)),
        ("quantile", Quantile((0.1, 0.5, 0.9)), "linear", numbers[:, :1], pinball),
        ("gaussian_nll", GaussianNLL(), "linear", numbers[:, :2], gaussian),
        ("binary_focal_crossentropy, sigmoid", BinaryFocalCrossentropy(2.0, 0.25), "sigmoid", truths, focal),
        (
            "binary_focal_crossentropy, softmax",
            BinaryFocalCrossentropy(1.5),
            "softmax",
            truths,
            lambda z, y: focal_of(F.softmax(z, dim=1), y, 1.5),
        ),
        (
            "kl_divergence, softmax",
            LOSSES["kl_divergence"],
            "softmax",
            shares,
            lambda z, y: F.kl_div(F.log_softmax(z, dim=1), y, reduction="batchmean"),
        ),
        (
            "kl_divergence, sigmoid",
            LOSSES["kl_divergence"],
            "sigmoid",
            shares,
            lambda z, y: F.kl_div(F.logsigmoid(z), y, reduction="batchmean"),
        ),
    ]
    assert {loss.name for _, loss, *_ in cases} == set(losses.LOSSES)
    X = rng.normal(size=(ROWS, 4))
    for name, loss, output, y, theirs in cases:
        outputs = 4 if loss.name == "gaussian_nll" else 3
        network = Network([4, Dense(outputs, output)], loss=loss, dtype="float64", seed=0)
        (W,), (b,) = tensors_of(network)
        expected = theirs(torch.tensor(X) @ W + b, torch.tensor(y))
        expected.backward()
        value, [(dW, db)] = network.loss_and_gradients(X, y)
        yield Row(f"{name}, value", difference([value], [expected]))
        yield Row(f"{name}, gradient", difference([dW, db], [W.grad, b.grad]))


# The table -----------------------------------------------------------------------------------------------------------


def tensors_of(network: Network) -> tuple[Tensors, Tensors]:
    """Return the weights and biases of a network as tensors."""
    weights, biases = zip(*network.get_weights(), strict=True)
    return [torch.tensor(W, requires_grad=True) for W in weights], [torch.tensor(b, requires_grad=True) for b in biases]


def difference(found: Iterable[Any], expected: Iterable[Any]) -> float:
    """Return the largest difference divided by the largest expected number, for the worst of several arrays."""
    worst = 0.0
    for got, tensor in zip(found, expected, strict=True):
        truth: Array = tensor.detach().numpy()
        worst = max(worst, float(np.abs(np.asarray(got) - truth).max() / np.abs(truth).max()))
    return worst


def main() -> int:
    """Compare everything, print a table and return the exit code."""
    torch.set_default_dtype(torch.float64)  # PyTorch keeps the counters of its optimizers in this dtype too
    sections: dict[str, Iterable[Row]] = {
        f"Optimizers, {STEPS} steps": chain.from_iterable(map(trained, optimizers())),
        f"Limits of the gradient, {STEPS} steps": chain.from_iterable(map(trained, limits())),
        f"Schedules, {STEPS} steps": chain.from_iterable(map(trained, rates())),
        "Activations": activations(),
        "Losses": loss_functions(),
    }
    everything_agrees = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's about its own schedulers
        for title, rows in sections.items():
            print(f"\n{title:<46}{'difference':>12}{'bound':>10}")
            for row in rows:
                print(f"  {row.name:<44}{row.difference:>12.1e}{BOUND:>10.0e}  {'ok' if row.ok else 'WRONG'}")
                everything_agrees &= row.ok
    print("\nAll agrees." if everything_agrees else "\nNot all agrees.")
    return 0 if everything_agrees else 1


if __name__ == "__main__":
    raise SystemExit(main())
