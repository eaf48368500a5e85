"""Everything whose bits must not depend on the processor: subprocesses print digests, which tests compare."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import guarded
import numpy as np
from cases import (
    ACTIVATIONS,
    DTYPES,
    LEARNERS,
    LOSSES,
    TRAININGS,
    Array,
    data_for,
    flushed_denormals,
    outputs_for,
    run,
    scratch,
)
from digests import digest, state_of
from table_files import flats

from fastmlp import Dense, Network, metrics, schedules
from fastmlp._engine.plan import kernels_of
from fastmlp._runtime.buffers import aligned_zeros
from fastmlp.cli import main
from fastmlp.initializers import INITIALIZERS
from fastmlp.kernels.layout import CONSTANT_COUNT, PANEL
from fastmlp.kernels.operations.activations import ACTIVATIONS as ACTIVATION_KERNELS
from fastmlp.kernels.operations.losses import EXACT_PAIRS
from fastmlp.kernels.operations.losses import LOSSES as LOSS_KERNELS
from fastmlp.kernels.operations.optimizers import UPDATES

Found = Iterator[tuple[str, str]]
"""Pairs of a description and a digest."""


def numpys_share() -> Found:
    """Yield the digests of computations by NumPy outside of a fit."""
    yield from draws()
    yield from the_face()
    yield from trainings(name for name in TRAININGS if name.startswith(("sizes", "validation", "class", "no weight")))


def everything() -> Found:
    """Yield all digests, for the heavy tests: the kernels take 80 s to compile for a processor."""
    yield from trainings(TRAININGS)
    yield from draws()
    yield from shapes()
    yield from functions()
    yield from updates()
    yield from learners()
    yield from users_functions()
    yield from the_face()


# Whole networks ------------------------------------------------------------------------------------------------------


def trainings(names: Iterable[str]) -> Found:
    """Yield the digests of trainings: weights, slots, losses and the results of the network."""
    for name, dtype in itertools.product(names, DTYPES):
        network = TRAININGS[name].make(Network, dtype)
        yield f"{name}, {dtype}", trained(network, TRAININGS[name].arguments(network, dtype))


def trained(network: Network, arguments: dict[str, Any]) -> str:
    """Return the digest of a fit and of the results of all methods after it."""
    network.fit(**arguments, epochs=2)
    X, y = data_for(network, 40, network.architecture.dtype.name)
    loss, gradients = network.loss_and_gradients(X, y)
    asked = [loss, *(part for pair in gradients for part in pair if part is not None), *network.hidden_activations(X)]
    evaluated = list(network.evaluate(X, y).values())
    return state_of(network) + digest([network.predict(X), network.input_gradients(X), *asked, evaluated])


def learners() -> Found:
    """Yield the digests of every optimizer with its options, on a network with full, partial and narrow blocks."""
    for (name, rule), dtype in itertools.product(LEARNERS.items(), DTYPES):
        network = Network([33, Dense(48, "tanh"), Dense(17, "silu"), 3], optimizer=rule, dtype=dtype, seed=4)
        X, y = data_for(network, 75, dtype)
        yield f"{name} on layers of many blocks, {dtype}", trained(network, {"X": X, "y": y, "batch_size": 19})


def shapes() -> Found:
    """Yield the digests of networks of 1 to 40 rows, and of widths around those of tiles and vectors."""
    for case in guarded.cases(guarded.every_shape(), (1,)):
        yield str(case), case.results(lambda values, _: values)


def draws() -> Found:
    """Yield the digests of all initializers, for tall and wide matrices and biases, and of shuffled rows."""
    for name, initializer in INITIALIZERS.items():
        for inputs, units in ((9, 40), (70, 33)):
            bias = initializer if name != "orthogonal" else None
            layer = Dense(units, weight_init=initializer, **({"bias_init": bias} if bias else {}))
            [(W, b), _] = Network([inputs, layer, 1], loss="mean_squared_error", seed=8, dtype="float64").get_weights()
            yield f"{name} of {inputs} x {units}", digest([W, b])


def users_functions() -> Found:
    """Yield the digests of a user's activation and loss, whose functions kernels replace."""
    guarded.register_users_functions("own")
    for dtype in DTYPES:
        layers = [9, Dense(33, "own_activation"), Dense(17, "own_activation"), 3]
        network = Network(layers, loss="own_loss", optimizer="adam", dtype=dtype, seed=4)
        X, y = data_for(network, 75, dtype)
        yield f"a user's functions, {dtype}", trained(network, {"X": X, "y": y, "batch_size": 19})


# Each kernel alone ---------------------------------------------------------------------------------------------------


LEAST_ALIKE = 1e-280
"""Smaller numbers have other bits if the C library computes FMA and denormals are flushed."""


def special(dtype: str) -> Array:
    """Return special numbers: NaN, infinities, zeros, denormals and the limits of every range; and other numbers."""
    limits, rng, kind = np.finfo(dtype), np.random.default_rng(2), np.dtype(dtype).type
    positive = [
        0.0, float(limits.smallest_subnormal), float(limits.tiny) * 0.37, float(limits.tiny), 1e-30, 1e-7, 0.3, 1.0,
        1.7, 19.9, 88.0, 88.8, 104.1, 745.2, 709.9, 1e30, float(limits.max), math.inf,
    ]  # fmt: skip
    ends = np.array([*positive, *np.negative(positive), math.nan], np.float64).astype(dtype)
    spread = np.ldexp(rng.uniform(-1, 1, 400), rng.integers(-40, 9, 400)).astype(dtype)
    return np.concatenate([ends, *(np.nextafter(ends, kind(towards)) for towards in (0, 9)), spread])


def same_nan(*arrays: Array) -> str:
    """Return a digest in which all NaN are equal, because the sign and payload of NaN depend on the processor."""
    return digest([np.where(np.isnan(array), np.nan, array) for array in arrays])


def functions() -> Found:
    """Yield the digests of every activation, derivative and loss of special numbers, with and without denormals.

    Of float64 without denormals also those that are not below 1e-280, which alone are the same where there is no FMA.
    """
    for dtype in DTYPES:
        with np.errstate(all="ignore"):
            kept = list(_functions(dtype, special(dtype)))
        z = special(dtype)
        z[np.abs(z) < np.finfo(dtype).tiny] *= 0  # what a product hands on is flushed
        with flushed_denormals():
            flushed = list(_functions(dtype, z))
        yield from ((f"{what}, {dtype}", same_nan(*found)) for what, found in kept)
        yield from ((f"{what}, {dtype}, flushed", same_nan(*found)) for what, found in flushed)
        if dtype == "float64":
            large = (
                (what, [np.where(np.abs(array) < LEAST_ALIKE, 0, array) for array in found]) for what, found in flushed
            )
            yield from ((f"{what}, {dtype}, flushed, not small", same_nan(*found)) for what, found in large)


def _functions(dtype: str, z: Array) -> Iterator[tuple[str, list[Array]]]:
    for name, activation in ACTIVATIONS.items():
        kernels = kernels_of(activation)
        parameters = np.array([*activation.parameters, 0.0])
        if activation.mixes_units or kernels.forward is None:
            continue
        a, slopes, delta = z.copy(), np.zeros_like(z), np.ones_like(z)
        run(kernels.forward_saving or kernels.forward, dtype, a, slopes, len(z), parameters)
        run(kernels.derivative, dtype, delta, slopes if kernels.forward_saving else a, len(z), parameters)
        yield name, [a, delta]
    rows = -(-len(z) // PANEL) * PANEL
    matrix = np.resize(z, (rows, PANEL))
    matrix[:, 5:] = 0
    with scratch(5, dtype) as work:
        a, delta = matrix.copy(), np.ones_like(matrix)
        run(ACTIVATION_KERNELS["softmax"].forward, dtype, a, rows, 5, rows * PANEL, work)
        run(ACTIVATION_KERNELS["softmax"].derivative, dtype, delta, a, rows, 5, rows * PANEL, work)
        yield "softmax", [a, delta]
    for kind, table in (("", LOSS_KERNELS), (" of an exact pair", EXACT_PAIRS)):
        for name, kernel in table.items():
            y = np.random.default_rng(3).permutation(matrix.ravel()).reshape(matrix.shape)
            y[:, 5:] = 0
            a, delta, losses = matrix.copy(), np.zeros_like(matrix), np.zeros(rows)
            parameters = np.array([*LOSSES[name].parameters, 0.0])
            units = outputs_for(LOSSES[name], 5)
            sizes = rows, units, LOSSES[name].target_columns(units), rows * PANEL
            with scratch(units, dtype) as work:
                run(kernel, dtype, delta, a, y, np.ones(rows), losses, *sizes, 0.25, work, parameters)
            yield name + kind, [delta, losses]


def updates() -> Found:
    """Yield the digests of every update rule for special gradients, weights and slots, with flushed denormals."""
    rng = np.random.default_rng(6)
    for (name, rule), dtype in itertools.product(UPDATES.items(), DTYPES):
        rows = 4 * PANEL
        values = special(dtype)
        w, gradient, *slots = (
            rng.choice(values, rows * PANEL).astype(dtype) for _ in range(2 + rule.slots)
        )  # negative squares too: NaN comes of them everywhere
        slot = np.concatenate(slots) if slots else np.zeros(0, dtype)
        constants = aligned_zeros(PANEL, dtype)
        constants[:CONSTANT_COUNT] = rng.uniform(0.1, 0.9, CONSTANT_COUNT)
        with flushed_denormals():
            run(rule.update, dtype, w, slot, rows * PANEL, gradient, constants, rows)
        yield f"{name} of special numbers, {dtype}", same_nan(w, slot)


# The face ------------------------------------------------------------------------------------------------------------


def the_face() -> Found:
    """Yield the digests of computations by NumPy: schedules, constants, metrics, tables, and a run of the command."""
    steps = np.arange(1, 20_000, 7)
    for schedule in (
        schedules.StepDecay(0.1, 300, 0.7),
        schedules.ExponentialDecay(0.1, 300, 0.97),
        schedules.InverseTimeDecay(0.1, 300, 0.5),
        schedules.InverseScaling(0.1, 0.4),
        schedules.PolynomialDecay(0.1, 5000, power=1.7),
        schedules.CosineDecay(0.1, 5000),
        schedules.CosineDecayRestarts(0.1, 400),
        schedules.OneCycle(0.1, 5000),
        schedules.Warmup(100, schedules.CosineDecay(0.1, 5000)),
    ):
        yield repr(schedule), digest([schedule.rates(steps)])
    for name, rule in LEARNERS.items():
        yield f"constants of {name}", digest([rule.constants(steps), rule.decay(steps)])
    rng = np.random.default_rng(0)
    for n in (3, 17, 1001, 40_003):
        labels, weights = rng.integers(0, 3, n), rng.uniform(0, 2, n)
        labels[:3] = range(3)
        scores = rng.dirichlet(np.ones(3), n)
        scores[:3] = 0.1 + 0.7 * np.eye(3)  # each class is predicted, so that all metrics are defined
        true, pred = rng.normal(size=(2, n, 2))
        found = [
            *(m(labels, scores.argmax(1), weights, **k) for m, k in CLASS_METRICS),
            *(m(labels, scores, weights) for m in (metrics.log_loss, metrics.roc_auc)),
            *(m(labels, scores) for m in (metrics.log_loss, metrics.roc_auc)),
            metrics.top_k_accuracy(labels, scores, weights, k=2),
            *(m(true, pred, weights) for m in NUMBER_METRICS),
            *(m(true[:, 0], pred[:, 0]) for m in NUMBER_METRICS),
        ]
        yield f"metrics of {n} rows", digest([found])
        network = Network([3, 2], output="softmax", seed=0)
        X = rng.normal(size=(n, 3)).astype(np.float32)
        arguments = {"sample_weight": weights.astype("f4")[::-1], "class_weight": {0: 0.3}, "batch_size": 64}
        network.fit(X.astype("f8"), labels % 2, validation_split=0.3 if n > 3 else 0.0, **arguments)
        measured = network.evaluate(X, labels % 2, sample_weight=weights)
        yield f"weights of {n} rows", digest([list(measured.values()), *map(list, network.history.history.values())])
    with tempfile.TemporaryDirectory() as folder:
        yield from a_table(Path(folder))


def a_table(folder: Path) -> Found:
    """Yield the digests of the files and figures of a model that the command trains."""
    path = flats(folder / "flats.csv", 300)
    for target in ("price", "sold"):
        model, predictions = folder / f"{target}.safetensors", folder / f"{target}.csv"
        for command in (
            ["train", path, "--target", target, "--out", str(folder / target), "--quiet", "--epochs", "30"],
            ["predict", str(model), path, "--out", str(predictions)],
            ["evaluate", str(model), path, "--json"],
        ):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                assert main(command) == 0
        figures = printed.getvalue().replace(str(folder), "")
        for file, content in (("model", model.read_bytes()), ("predictions", predictions.read_bytes())):
            yield f"the {file} of {target}", digest([np.frombuffer(content, np.uint8)])
        yield f"the figures of {target}", digest([np.frombuffer(figures.encode(), np.uint8)])


CLASS_METRICS: list[tuple[Any, dict[str, str]]] = [
    (metrics.accuracy, {}),
    *((metric, {"average": "macro"}) for metric in (metrics.precision, metrics.recall, metrics.f1)),
]
NUMBER_METRICS: list[Any] = [
    metrics.mean_squared_error,
    metrics.root_mean_squared_error,
    metrics.mean_absolute_error,
    metrics.r2,
    metrics.pearson,
]
