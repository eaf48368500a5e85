"""`fastmlp train` without a file: the whole way from data to a saved model, on the breast-cancer data of the package.

The measurements are standardised, `(x - mean) / deviation`, with mean and deviation of the training rows alone. Before
the network is saved this is folded into its first layer, so that the file takes the measurements as they are:
`W' = W / deviation`, `b' = b - ((mean / deviation)[:, None] * W).sum(axis=0)`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from typing import TYPE_CHECKING, Any

from fastmlp.cli.interrupts import told_if_nothing_written
from fastmlp.cli.options import SUFFIX, require_writable

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


def run(arguments: argparse.Namespace) -> None:
    """Train, test, save and report.

    Raises
    ------
    NothingWritten
        If it is interrupted and its files are as they were.
    """
    with told_if_nothing_written(*(arguments.out + suffix for suffix in _SUFFIXES)):
        _train(arguments)


def _train(arguments: argparse.Namespace) -> None:
    require_writable(arguments.out + SUFFIX)
    if arguments.report:
        from fastmlp.cli import html_report

        html_report.require(arguments.report)
    from fastmlp.cli import demo_report as report
    from fastmlp.datasets import load_breast_cancer

    data = load_breast_cancer()
    parts = split(data.y, arguments.seed)
    silent = arguments.quiet or arguments.json
    if not silent:
        print(report.opening(data, parts, arguments.seed), flush=True)
    network, history, monitor = fit(data, parts[0], parts[1], arguments, verbose=0 if silent else "auto")

    outputs = network.predict(data.X[parts[2]])
    results = report.score(data.y[parts[2]], outputs)
    files, missing = _write(network, history, arguments.out)
    if not arguments.json:
        print(report.table(results, history.history, history.seconds, data.target_names))
        print("\n".join(f"wrote {file}" for file in files), flush=True)
    failure = None
    if monitor is not None:
        failure = html_report.write(
            arguments, lambda: _as_training(arguments, data, parts, network, history, monitor, results, outputs)
        )
        files += [arguments.report] if failure is None else []
    if arguments.json:
        numbers = {"epochs": len(history.history["loss"]), "seconds": round(history.seconds, 3)}
        print(json.dumps({**results, **numbers, "files": files, "seed": arguments.seed}))
    if missing:
        print(missing, file=sys.stderr if arguments.json else sys.stdout)
    if failure is not None:
        raise failure


def _as_training(
    arguments: argparse.Namespace,
    data: Dataset,
    parts: tuple[Rows, Rows, Rows],
    network: Network,
    history: History,
    monitor: GradientMonitor,
    results: dict[str, Any],
    outputs: NDArray[Any],
) -> Training:
    """What the report tells: outputs are those for the test rows."""
    from fastmlp.cli import demo_report, html_report

    return html_report.Training(
        title="Breast Cancer Wisconsin (Diagnostic)",
        command=arguments.command,
        data=[demo_report.opening(data, parts, arguments.seed)],
        columns=[],
        network=network,
        history=history,
        judged=f"On {len(outputs)} rows that it has never seen ({data.target_names[1]} is positive).",
        figures=demo_report.named(results),
        y=data.y[parts[2]],
        outputs=outputs,
        classes=data.target_names,
        monitor=monitor,
    )


def split(y: NDArray[np.int64], seed: int) -> tuple[Rows, Rows, Rows]:
    """The rows that train, validate and test: of every class 60, 20 and 20 %, drawn by chance.

    `random.Random.random` is the one generator of which Python promises the same numbers in every version.
    """
    import numpy as np

    generator = random.Random(seed)
    chance = np.array([generator.random() for _ in y])
    train, validation, test = [], [], []
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        rows = rows[np.argsort(chance[rows], kind="stable")]
        fifth = round(0.2 * len(rows))
        validation.append(rows[:fifth])
        test.append(rows[fifth : 2 * fifth])
        train.append(rows[2 * fifth :])
    first, second, third = (np.sort(np.concatenate(part)) for part in (train, validation, test))
    return first, second, third


def fit(
    data: Dataset, train: Rows, validation: Rows, arguments: argparse.Namespace, verbose: Any
) -> tuple[Network, History, GradientMonitor | None]:
    """A network that has learned from the training rows and takes measurements as they are, its history and a monitor.

    There is a monitor where a report is asked for; it saw the network before standardisation was folded into it.

    Hidden layers and their l2, learning rate, batch size and patience were chosen by the validation rows of 16 seeds.
    """
    from fastmlp import Adam, Dense, EarlyStopping, Network
    from fastmlp.callbacks import Callback

    mean, deviation = data.X[train].mean(axis=0), data.X[train].std(axis=0)
    X = (data.X - mean) / deviation
    network = Network(
        [X.shape[1], Dense(16, "relu", l2=0.01), Dense(8, "relu", l2=0.01), Dense(2, "softmax", l2=0.01)],
        optimizer=Adam(arguments.learning_rate),
        seed=arguments.seed,
    )
    callbacks: list[Callback] = [EarlyStopping(patience=arguments.patience)]
    monitor = None
    if arguments.report:
        from fastmlp.cli.html_report import monitor_of

        monitor = monitor_of(X[train], data.y[train])
        callbacks.append(monitor)
    history = network.fit(
        X[train],
        data.y[train],
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        validation_data=(X[validation], data.y[validation]),
        callbacks=callbacks,
        verbose=verbose,
    )
    (W, b), *rest = network.get_weights()
    network.set_weights([fold_standardisation(W, b, mean, deviation), *rest])
    return network, history, monitor


def fold_standardisation(W: Any, b: Any, mean: Floats, deviation: Floats) -> tuple[Floats, Floats]:
    """The first layer, W (inputs, units) and b (units,), for x in place of `(x - mean) / deviation`, in float64."""
    return W / deviation[:, None], b - ((mean / deviation)[:, None] * W).sum(axis=0)


def _write(network: Network, history: History, prefix: str) -> tuple[list[str], str | None]:
    """Save model and picture; the files, and what to say where there is no picture."""
    from fastmlp.plot import learning_curves

    model, picture = (prefix + suffix for suffix in _SUFFIXES)
    network.save(model)
    try:
        learning_curves(history, picture, title="Breast Cancer Wisconsin: loss of the network 30-16-8-2")
    except ImportError as error:
        return [model], f"wrote no picture: {error}"
    return [model, picture], None
