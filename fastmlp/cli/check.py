"""`fastmlp check`: whether a network's gradients are right, on a user's own data."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any

from fastmlp.cli import options

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastmlp.network import Network

_DESCRIPTION = """
Compare a network's gradients with the slopes of its loss (central differences in float64), and the compiled kernels
with the plain NumPy reference, parameter by parameter, on rows of a file drawn by chance. Without MODEL and DATA.csv:
a fresh network 30-16-8-2 on the package's breast-cancer data. Exit code 1 if something is not right.
"""


def add_to(commands: Any) -> None:
    """Declare the command to argparse."""
    parser = commands.add_parser("check", help="prove a network's gradients on your data", description=_DESCRIPTION)
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a file that `fastmlp train DATA.csv` wrote")
    parser.add_argument(
        "data", nargs="?", metavar="DATA.csv", help="a CSV file with the model's columns and its target"
    )
    parser.add_argument(
        "--rows", type=options.whole(1), default=100, metavar="N", help="rows to check on (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=options.whole(0), default=0, metavar="N", help="decides which rows (default: %(default)s)"
    )
    options.add_data_options(parser)
    parser.set_defaults(run=functools.partial(run, parser))


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Check and print the table.

    Raises
    ------
    SystemExit
        With 1, if a gradient is not right.
    """
    if arguments.model is not None and arguments.data is None:
        parser.error("DATA.csv is needed: the file with rows to check on")
    from fastmlp import check_gradients

    network, X, y = _fresh(arguments) if arguments.model is None else _of_the_user(arguments)
    report = check_gradients(network, X, y, seed=arguments.seed)
    if arguments.json:
        tensors = [{**dataclasses.asdict(tensor), "ok": tensor.ok} for tensor in report.tensors]
        print(json.dumps({"ok": report.ok, "rows": len(X), "network": repr(network), "tensors": tensors}))
    else:
        print(f"{network!r}\non {len(X):,} rows:\n\n{report}")
    if not report.ok:
        raise SystemExit(1)


def _of_the_user(arguments: argparse.Namespace) -> tuple[Network, NDArray[Any], NDArray[Any]]:
    from fastmlp.tables import TabularModel, sample

    model = TabularModel.load(options.existing_model(arguments.model))
    X, y = sample(
        model,
        arguments.data,
        arguments.rows,
        seed=arguments.seed,
        separator=arguments.separator,
        verbose=options.verbose(arguments),
    )
    return model.network, X, y


def _fresh(arguments: argparse.Namespace) -> tuple[Network, NDArray[Any], NDArray[Any]]:
    import numpy as np

    from fastmlp.datasets import load_breast_cancer
    from fastmlp.network import Network

    data = load_breast_cancer()
    rows = np.sort(np.random.default_rng(arguments.seed).permutation(len(data.y))[: arguments.rows])
    X = (data.X - data.X.mean(axis=0)) / data.X.std(axis=0)
    return Network([X.shape[1], 16, 8, 2], output="softmax", seed=arguments.seed), X[rows], data.y[rows]
