"""`fastmlp train` without a file: train, test and save a network on the breast-cancer data of the package.

The measurements are standardised, `(x - mean) / deviation`, with the mean and deviation of the training rows. Before
the network is saved, the standardisation is folded into its first layer, so that the saved network takes the
measurements in their own units: `W' = W / deviation`, `b' = b - ((mean / deviation)[:, None] * W).sum(axis=0)`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from fastmlp.cli.interrupts import watch_files
from fastmlp.cli.paths import SUFFIX, require_writable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastmlp import History, Network
    from fastmlp.callbacks import GradientMonitor
    from fastmlp.cli.html_report import Training
    from fastmlp.datasets import Dataset

    Rows = NDArray[np.intp]
    Floats = NDArray[np.float64]

_SUFFIXES = (SUFFIX, ".png")
LEARNING_RATE = 5e-3
OUT = "fastmlp-breast-cancer"


class Split(NamedTuple):
    """The indices of the rows that train, validate and test."""

    train: Rows
    validation: Rows
    test: Rows


class Fitted(NamedTuple):
    """A trained network, whose inputs are measurements in their own units.

    Parameters
    ----------
    network : Network
        The network, with the standardisation folded into its first layer.
    history : History
        The losses of each epoch.
    monitor : GradientMonitor or None
        The callback that recorded what a report shows, before the standardisation was folded in. None if no report is
        asked for.
    """

    network: Network
    history: History
    monitor: GradientMonitor | None


def run(arguments: argparse.Namespace) -> None:
    """Train, test and save a network, and print the results.

    Raises
    ------
    NothingWritten
        If the command is interrupted before a file is written.
    """
    with watch_files(*(arguments.out + suffix for suffix in _SUFFIXES)):
        _train(arguments)


def _train(arguments: argparse.Namespace) -> None:
    require_writable(arguments.out + SUFFIX)
    if arguments.report:
        from fastmlp.cli import html_report

        html_report.check_possible(arguments.report)
    from fastmlp.cli import demo_report
    from fastmlp.datasets import load_breast_cancer

    data = load_breast_cancer()
    rows = split(data.y, arguments.seed)
    silent = arguments.quiet or arguments.json
    if not silent:
        print(demo_report.before_training(data, rows, arguments.seed), flush=True)
    fitted = fit(data, rows, arguments, verbose=0 if silent else "auto")
    measured = {part: _measure(data, fitted.network, getattr(rows, part)) for part in ("validation", "test")}
    hints = _hints(data, rows, fitted)

    files, missing = _write(fitted.network, fitted.history, arguments.out)
    history = fitted.history
    if not arguments.json:
        print(demo_report.results(measured, history, data.target_names, hints))
        print("\n".join(f"wrote {file}" for file in files), flush=True)
    failure = None
    if arguments.report:
        failure = html_report.write(arguments, lambda: _describe(arguments, data, rows, fitted, measured, hints))
        files += [arguments.report] if failure is None else []
    if arguments.json:
        course = {"epochs": len(history.history["loss"]), "seconds": round(history.seconds, 3)}
        print(
            json.dumps(
                {**demo_report.to_dict(measured), "hints": hints, **course, "files": files, "seed": arguments.seed}
            )
        )
    if missing:
        print(missing, file=sys.stderr if arguments.json else sys.stdout)
    if failure is not None:
        raise failure


def _describe(
    arguments: argparse.Namespace,
    data: Dataset,
    rows: Split,
    fitted: Fitted,
    measured: dict[str, dict[str, Any]],
    hints: list[str],
) -> Training:
    """Return what the report shows."""
    from fastmlp.cli import demo_report, html_report, table_report

    assert fitted.monitor is not None
    return html_report.Training(
        title="Breast Cancer Wisconsin (Diagnostic)",
        command=arguments.command,
        data=[demo_report.before_training(data, rows, arguments.seed)],
        columns=[],
        network=fitted.network,
        history=fitted.history,
        loss_unit="",
        hints=table_report.hint_lines(hints),
        evaluated_on=[demo_report.evaluated_on(measured, data.target_names[1]), "The pictures show the test rows."],
        parts=list(measured),
        metrics=demo_report.metric_rows(measured),
        y=data.y[rows.test],
        outputs=fitted.network.predict(data.X[rows.test]),
        classes=data.target_names,
        monitor=fitted.monitor,
    )


def _measure(data: Dataset, network: Network, rows: Rows) -> dict[str, Any]:
    """Return the metrics on some rows."""
    from fastmlp.cli import demo_report

    return demo_report.compute_metrics(data.y[rows], network.predict(data.X[rows]))


def _hints(data: Dataset, rows: Split, fitted: Fitted) -> list[str]:
    """Return what the training suggests."""
    from fastmlp.tables import hints

    outputs = fitted.network.predict(data.X[rows.validation])
    y, training = data.y[rows.validation], data.y[rows.train]
    found = hints.class_hints("validation", y, outputs, training, data.target_names)
    return [*hints.curve_hints(fitted.history.history), *found]


def split(y: NDArray[np.int64], seed: int) -> Split:
    """Draw the rows that train, validate and test at random: 60, 20 and 20 % of each class.

    The numbers are drawn by `random.Random.random`, the only generator that is guaranteed to give the same numbers in
    every version of Python.
    """
    import numpy as np

    generator = random.Random(seed)
    numbers = np.array([generator.random() for _ in y])
    train, validation, test = [], [], []
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        rows = rows[np.argsort(numbers[rows], kind="stable")]
        fifth = round(0.2 * len(rows))
        validation.append(rows[:fifth])
        test.append(rows[fifth : 2 * fifth])
        train.append(rows[2 * fifth :])
    return Split(*(np.sort(np.concatenate(part)) for part in (train, validation, test)))


def fit(data: Dataset, rows: Split, arguments: argparse.Namespace, verbose: Any) -> Fitted:
    """Train a network on the training rows.

    Hidden layers and their L2 penalty, learning rate, batch size and patience were chosen by the validation loss over
    16 seeds.
    """
    from fastmlp import Adam, Dense, EarlyStopping, Network
    from fastmlp.callbacks import Callback

    mean, deviation = data.X[rows.train].mean(axis=0), data.X[rows.train].std(axis=0)
    X = (data.X - mean) / deviation
    network = Network(
        [X.shape[1], Dense(16, "relu", l2=0.01), Dense(8, "relu", l2=0.01), Dense(2, "softmax", l2=0.01)],
        optimizer=Adam(arguments.learning_rate),
        seed=arguments.seed,
    )
    callbacks: list[Callback] = [EarlyStopping(patience=arguments.patience)]
    monitor = None
    if arguments.report:
        from fastmlp.cli.html_report import make_monitor

        monitor = make_monitor(X[rows.train], data.y[rows.train])
        callbacks.append(monitor)
    history = network.fit(
        X[rows.train],
        data.y[rows.train],
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        validation_data=(X[rows.validation], data.y[rows.validation]),
        callbacks=callbacks,
        verbose=verbose,
    )
    (W, b), *rest = network.get_weights()
    network.set_weights([fold_standardisation(W, b, mean, deviation), *rest])
    return Fitted(network, history, monitor)


def fold_standardisation(W: Any, b: Any, mean: Floats, deviation: Floats) -> tuple[Floats, Floats]:
    """Return the first layer for inputs x in place of `(x - mean) / deviation`, in float64.

    Parameters
    ----------
    W, b : ndarray
        Weights, (inputs, units), and biases, (units,), of the first layer for standardised inputs.
    mean, deviation : ndarray of shape (inputs,)
        Mean and deviation of each input.
    """
    return W / deviation[:, None], b - ((mean / deviation)[:, None] * W).sum(axis=0)


def _write(network: Network, history: History, prefix: str) -> tuple[list[str], str | None]:
    """Save the model and the learning curves.

    Returns
    -------
    files : list of str
        The files written.
    missing : str or None
        A sentence that says why there is no picture, if matplotlib is not installed.
    """
    from fastmlp.plot import learning_curves

    model, picture = (prefix + suffix for suffix in _SUFFIXES)
    network.save(model)
    try:
        learning_curves(history, picture, title="Breast Cancer Wisconsin: loss of the network 30-16-8-2")
    except ImportError as error:
        return [model], f"wrote no picture: {error}"
    return [model, picture], None
