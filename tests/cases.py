"""Cases that many tests share: activations, losses, optimizers, odd sizes and whole trainings; and comparisons."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastmlp import Dense, activations, losses
from fastmlp._engine.plan_buffers import buffer_sizes
from fastmlp._engine.purposes import TRAINING
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.activations import ELU, GELU, Activation, LeakyReLU
from fastmlp.architecture import build
from fastmlp.kernels.host.annotations import Ints
from fastmlp.kernels.host.jit import Kernel
from fastmlp.kernels.layout import BLOCK, PANEL, WORK
from fastmlp.kernels.vocabulary.denormals import flush_denormals, restore_denormals
from fastmlp.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    GaussianNLL,
    Huber,
    Loss,
    Quantile,
    Tweedie,
)
from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop
from fastmlp.reference import losses as formulas
from fastmlp.schedules import CosineDecay, Warmup

Array = NDArray[Any]

DTYPES = ("float32", "float64")
ACTIVATIONS: dict[str, Activation] = {
    **activations.ACTIVATIONS,
    "leaky_relu 0.3": LeakyReLU(0.3),
    "elu 0.5": ELU(0.5),
    "gelu approximate": GELU(approximate=True),
}
LOSSES: dict[str, Loss] = {
    **losses.LOSSES,
    "huber 0.2": Huber(0.2),
    "tweedie 1.1": Tweedie(1.1),
    "quantile of three levels": Quantile((0.1, 0.5, 0.8)),
    "gaussian_nll 0.1": GaussianNLL(0.1),
    "binary_focal_crossentropy balanced": BinaryFocalCrossentropy(1.5, alpha=0.25),
    "binary_crossentropy smoothed": BinaryCrossentropy(label_smoothing=0.2),
    "categorical_crossentropy smoothed": CategoricalCrossentropy(label_smoothing=0.1),
}
"""Every activation and loss with its defaults, and with other numbers if it has any."""

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(0.05),
    "momentum": SGD(0.05, momentum=0.9),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": RMSprop(0.01),
    "rmsprop centered": RMSprop(0.01, rho=0.9, centered=True),
    "rmsprop with momentum": RMSprop(0.01, momentum=0.5),
    "rmsprop centered with momentum": RMSprop(0.01, momentum=0.9, centered=True),
    "adagrad": Adagrad(0.05),
    "adagrad from 0.1": Adagrad(0.05, initial_accumulator_value=0.1),
    "adadelta": Adadelta(),
    "adam": Adam(0.01),
    "epsilon hat": Adam(0.01, epsilon=1e-3, epsilon_hat=True),
    "amsgrad": Adam(0.01, beta_2=0.9, amsgrad=True),
    "adamw": AdamW(0.01, weight_decay=0.1),
    "adamw amsgrad": AdamW(0.01, weight_decay=0.1, amsgrad=True),
    "nadam": Nadam(0.01),
    "lion": Lion(0.01, weight_decay=0.1),
}
"""Every update rule."""

LEARNERS: dict[str, Optimizer] = {
    **OPTIMIZERS,
    "clipped by value": SGD(0.1, momentum=0.9, clipvalue=0.01),
    "clipped by norm": Adam(0.01, global_clipnorm=0.1),
    "by a schedule": Nadam(Warmup(5, CosineDecay(0.02, 1000, 0.5))),
}
"""`OPTIMIZERS`, and each way to limit the gradient and to change the learning rate."""

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
"""The largest error of a kernel, relative to the largest element of its result."""

WIDTHS = (1, 2, 7, 8, 9, 15, 16, 17, 31, 33)
BATCHES = (1, 3, 4, 5, 15, 16, 17, 33)

SIZES = [
    (1, 1, 1), (1, 7, 2), (8, 9, 1), (7, 8, 9), (15, 16, 17), (16, 31, 8), (17, 33, 15), (33, 17, 16), (31, 1, 33),
    (9, 15, 7), (2, 40, 3),
]  # fmt: skip
"""(inputs, hidden units, outputs), around the sizes of panels and tiles."""


# Comparison ----------------------------------------------------------------------------------------------------------


def relative_error(got: Any, expected: Any) -> float:
    """Return the largest difference over the largest expected element. NaN and infinity must be in the same places."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    assert got.shape == expected.shape
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite])
    if not finite.any():
        return 0.0
    largest = float(np.abs(expected[finite]).max())
    difference = float(np.abs(got[finite] - expected[finite]).max())
    return difference / largest if largest else difference


def tensors(pairs: Iterable[tuple[Any, Any]]) -> list[Array]:
    """Return the arrays of (W, b) pairs, without the biases that are None."""
    return [tensor for pair in pairs for tensor in pair if tensor is not None]


def largest_error(got: Iterable[tuple[Any, Any]], expected: Iterable[tuple[Any, Any]]) -> float:
    """Return the largest relative error of all tensors in two lists of (W, b)."""
    return max(relative_error(g, e) for g, e in zip(tensors(got), tensors(expected), strict=True))


def assert_same_bits(got: Any, expected: Any) -> None:
    got, expected = np.ascontiguousarray(got), np.ascontiguousarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(got.view(np.uint8), expected.view(np.uint8))


# Kernels -------------------------------------------------------------------------------------------------------------


def kernel_of(function: Callable[..., Any], about: str = "", parallel: bool = False) -> Kernel:
    """Return a kernel for a test. Its name contains a digest of its source, because the cache does not hash tests."""
    digest = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    return Kernel(function, f"{function.__name__}.{about}.{digest}", parallel)


def run(kernel: Kernel, dtype: str, *arguments: Any) -> None:
    """Call a kernel with arrays, whole numbers, and None for address 0."""
    plain = [address(a) if isinstance(a, np.ndarray) else 0 if a is None else a for a in arguments]
    kernel.function_for(np.dtype(dtype))(*plain)


def to_panels(matrix: Array, capacity: int, padding: float = 0.0) -> Array:
    """Return a matrix (rows, columns) as [panel][row][16]. Other elements are `padding`."""
    rows, columns = matrix.shape
    count = -(-columns // PANEL)
    wide = np.full((capacity, count * PANEL), padding, matrix.dtype)
    wide[:rows, :columns] = matrix
    panels = aligned_zeros(wide.size, matrix.dtype).reshape(count, capacity, PANEL)
    panels[:] = wide.reshape(capacity, count, PANEL).transpose(1, 0, 2)
    return panels


def from_panels(panels: Array) -> Array:
    """Return the matrix that `to_panels` converted, with its padding: (capacity, 16 * panels)."""
    count, capacity, _ = panels.shape
    return panels.transpose(1, 0, 2).reshape(capacity, count * PANEL)


@contextmanager
def scratch(units: int, dtype: str) -> Iterator[Array]:
    """Yield the workspace of a layer in a plan, filled with NaN. Check that nothing is written behind it."""
    architecture = build([1, units], loss="mean_squared_error")
    size = buffer_sizes(architecture, 0, TRAINING, PANEL, 1)["scratch"][0] - WORK
    guarded = np.full(size + BLOCK, np.nan, dtype)
    guarded[size:] = -987.25
    yield guarded
    assert (guarded[size:] == -987.25).all()


def flush_and_leave(out: Ints, count: int) -> None:
    for i in range(count):
        out[i] = flush_denormals()


def restore(out: Ints, count: int) -> None:
    for i in range(count):
        restore_denormals(out[i])


FLUSH, RESTORE = kernel_of(flush_and_leave), kernel_of(restore)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Let this thread treat denormals as 0 inside the `with` block, as regions do."""
    state = np.zeros(1, np.int64)
    run(FLUSH, "int64", state, 1)
    try:
        yield
    finally:
        run(RESTORE, "int64", state, 1)


def rounded(values: Any, dtype: str) -> tuple[Array, Array]:
    """Return the values in a dtype, for a kernel, and these rounded values in float64, for the expected result."""
    converted = np.ascontiguousarray(values, dtype)
    return converted, converted.astype(np.float64)


# Whole trainings -----------------------------------------------------------------------------------------------------


CENTRES = {"exponential": -0.7, "softplus": -0.5}
"""The z where g is near the middle of (0, 1), if it is not 0.5."""


@dataclass(frozen=True)
class Training:
    """A description of a network, its data and a fit, for a compiled and for a reference network."""

    layers: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    rows: int = 50
    batch_size: int = 16
    weights: str = ""  # "", "random", "zeros" (whole batches of zeros)
    centred: bool = False  # outputs are moved into the middle of (0, 1), the domain of the cross-entropies

    def make(self, kind: Callable[..., Any], dtype: str) -> Any:
        """Return the network: `kind` is `fastmlp.Network` or the reference."""
        network = kind(list(self.layers), dtype=dtype, **{"seed": 11, **self.options})
        if self.centred:
            *rest, (W, b) = network.get_weights()
            centre = CENTRES.get(network.architecture.layers[-1].activation.name, 0.5)
            quiet = [(0.5 * hidden, bias) for hidden, bias in rest]  # the exponential of an exponential grows fast
            network.set_weights([*quiet, (0.1 * W, None if b is None else np.full_like(b, centre))])
        return network

    def arguments(self, network: Any, dtype: str) -> dict[str, Any]:
        """Return the arguments of `fit`."""
        X, y = data_for(network, self.rows, dtype)
        given = {"X": X, "y": y, "batch_size": self.batch_size, **self.fit}
        if self.weights:
            given["sample_weight"] = sample_weights(self.weights, self.rows)
        if "validation_data" in self.fit:
            given["validation_data"] = data_for(network, 23, dtype, seed=6)
        return given


def outputs_for(loss: Loss, outputs: int) -> int:
    """Return so many outputs, or the next larger number of outputs that a network with the loss can have."""
    while True:
        try:
            loss.target_columns(outputs)
            return outputs
        except ValueError:
            outputs += 1


def data_for(network: Any, rows: int, dtype: str, seed: int = 5) -> tuple[Array, Array]:
    """Return X and y that suit a network: numbers within (0, 1), or labels for softmax with its cross-entropy."""
    rng = np.random.default_rng(seed)
    architecture = network.architecture
    X = rng.normal(size=(rows, architecture.inputs)).astype(dtype)
    if architecture.exact_pair and architecture.loss.targets == "classes":
        return X, rng.integers(0, architecture.outputs, rows)
    y = rng.uniform(0.1, 0.9, (rows, architecture.target_columns)).astype(dtype)
    if architecture.exact_pair and architecture.loss.targets == "binary" and architecture.outputs == 1:
        y = (y[:, 0] > 0.5).astype(dtype)
    return X, np.where(y > 0.5, 1, -1).astype(dtype) if architecture.loss.targets == "signs" else y


def logistic(z: float) -> float:
    """Return the logistic function of a number. Functions in other modules call it."""
    return 1 / (1 + math.exp(-z))


def sample_weights(kind: str, rows: int) -> Array:
    weights = np.random.default_rng(9).uniform(0.2, 2.0, rows)
    if kind == "zeros":
        weights[rows // 3 :] = 0.0
    return weights


def heavy_but(light: Collection[Any], cases: Iterable[Any]) -> list[Any]:
    """Return cases as parameters of a test, heavy but for the light ones. A case of several parameters is a tuple."""

    def marked(case: Any) -> Any:
        return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.heavy)

    return [case if case in light else marked(case) for case in cases]


def each_part_once(names: Iterable[str]) -> list[Any]:
    """Return names as parameters of a test, heavy but for a few in which each part stands at each of its places.

    The parts of a name are what hyphens separate. Such a selection suffices where a lighter test runs all names.
    """
    names = list(names)
    parts = {name: set(enumerate(name.split("-"))) for name in names}
    missing = set().union(*parts.values())
    light = set()
    while missing:
        best = max(names, key=lambda name: len(parts[name] & missing))
        light.add(best)
        missing -= parts[best]
    return heavy_but(light, names)


def _pairs() -> dict[str, Training]:
    """Return a training for every activation with every loss, as a hidden activation and as the output activation."""
    pairs = {}
    names = list(ACTIVATIONS)
    for shift, (loss_name, loss) in enumerate(LOSSES.items(), 1):
        for position, hidden in enumerate(names):
            output = names[(position + shift) % len(names)]
            first, last = ACTIVATIONS[hidden], ACTIVATIONS[output]
            layers = (4, Dense(9, first), Dense(6, first, l2=0.01), Dense(outputs_for(loss, 3), last))
            # Where dA jumps, signs can cancel to 0, and Adam would turn the remaining rounding error into a whole step.
            kinked = formulas.LOSSES[loss.name].kink is not None
            options = {"loss": loss, "optimizer": SGD(0.01, momentum=0.9) if kinked else Adam(1e-3)}
            centred = loss.partner != last.name or hidden == "exponential"  # whose exponential overflows in float32
            pairs[f"{hidden}-{output}-{loss_name}"] = Training(layers, options, centred=centred)
    return pairs


PAIRS = _pairs()

SOFT = np.random.default_rng(8).dirichlet(np.ones(3), 50)
CLASSES: dict[str, Any] = {"output": "softmax", "optimizer": Adam(0.01)}
NUMBERS: dict[str, Any] = {"loss": "mean_squared_error", "optimizer": SGD(0.05, momentum=0.9)}

OPTIONS: dict[str, Training] = {
    **{
        f"sizes {inputs}-{hidden}-{outputs}": Training((inputs, hidden, outputs), {**NUMBERS, "activation": "tanh"})
        for inputs, hidden, outputs in SIZES
    },
    **{
        f"batches of {batch} of 37": Training((9, 17, 3), CLASSES, rows=37, batch_size=batch)
        for batch in (*BATCHES, 37, 100)
    },
    **{f"optimizer {name}": Training((9, 17, 8, 3), {"optimizer": OPTIMIZERS[name]}) for name in OPTIMIZERS},
    "one layer": Training((33, 17), NUMBERS),
    "one layer of classes": Training((33, 17), CLASSES),
    "one row": Training((5, 7, 2), CLASSES, rows=1),
    "more rows than a chunk": Training((17, 31, 9), CLASSES, rows=700, batch_size=300),
    "rows and a remainder beyond two chunks": Training((8, 15, 1), NUMBERS, rows=1100, batch_size=530),
    "five layers": Training((7, 16, 15, 17, 8, 9, 2), {**CLASSES, "activation": "tanh"}),
    "hidden softmax": Training((7, Dense(17, "softmax"), Dense(5, "softmax"), 3), CLASSES),
    "hidden softmax under dropout": Training((7, Dense(17, "softmax", dropout=0.4), Dense(9, "tanh"), 3), CLASSES),
    "dropout": Training((9, Dense(33, dropout=0.5), Dense(17, "tanh", dropout=0.2), Dense(9, dropout=0.9), 3), CLASSES),
    "saved derivatives": Training((9, Dense(33, "silu", dropout=0.5), Dense(17, "gelu", dropout=0.2), 3), CLASSES),
    "dropout over chunks": Training((9, Dense(33, dropout=0.3), 3), CLASSES, rows=400, batch_size=300),
    "penalties": Training((9, Dense(17, l1=0.01), Dense(8, "sigmoid", l2=0.1), Dense(3, l1=0.02, l2=0.03)), CLASSES),
    "no bias": Training((9, Dense(17, use_bias=False), Dense(8, "tanh"), Dense(3, use_bias=False)), CLASSES),
    "random biases": Training((9, Dense(17, bias_init="he_normal"), Dense(3, bias_init="glorot_uniform")), CLASSES),
    "sample weights": Training((9, 17, 3), CLASSES, weights="random"),
    "batches without weight": Training((9, 17, 3), CLASSES, {"shuffle": False}, weights="zeros", batch_size=8),
    "batches without weight under penalties": Training(
        (9, Dense(17, l1=0.01, l2=0.1), 1), {**NUMBERS}, {"shuffle": False}, weights="zeros", batch_size=8
    ),
    "class weights": Training((9, 17, 3), CLASSES, {"class_weight": {0: 2.0, 2: 0.25}}, weights="random"),
    "class weights of one output": Training((9, 17, 1), {"output": "sigmoid"}, {"class_weight": {0: 0.5, 1: 3.0}}),
    "validation split": Training((9, 17, 3), CLASSES, {"validation_split": 0.3}, weights="random"),
    "validation data": Training((9, 17, 2), NUMBERS, {"validation_data": None}),
    "unshuffled": Training((9, 17, 3), CLASSES, {"shuffle": False}),
    "clipped by value": Training(
        (9, Dense(17, l1=0.01), Dense(8, "tanh"), 3), {"optimizer": SGD(0.1, momentum=0.9, clipvalue=0.01)}
    ),
    "clipped by norm": Training(
        (9, Dense(33, l2=0.1), Dense(17, "tanh", use_bias=False), 3),
        {**CLASSES, "optimizer": SGD(0.5, global_clipnorm=0.3)},
    ),
    "clipped by norm with weight decay": Training(
        (9, 17, 3), {**CLASSES, "optimizer": AdamW(0.01, weight_decay=0.1, global_clipnorm=0.05)}, weights="random"
    ),
    "clipped by norm where padding is not 0": Training(
        (
            9,
            Dense(17, "sigmoid", l1=0.01, dropout=0.2),
            Dense(5, "softplus", use_bias=False),
            Dense(7, "exponential"),
            3,
        ),
        {**NUMBERS, "optimizer": SGD(0.5, momentum=0.9, global_clipnorm=0.05)},
        {"shuffle": False},
        weights="zeros",
    ),
    "soft targets": Training((9, 17, 3), {"output": "softmax", "loss": CategoricalCrossentropy(0.1)}, {"y": SOFT}),
    "several sigmoid outputs": Training((9, 17, 5), {"output": "sigmoid", "optimizer": "sgd"}),
}

TRAININGS = {**PAIRS, **OPTIONS}
