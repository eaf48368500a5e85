"""`fastmlp check`: compare the gradients of a network with numerical ones, on the user's own data."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from fastmlp.cli import convert, options
from fastmlp.cli.paths import data_source, find_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastmlp.network import Network

_DESCRIPTION = """
Check the gradients of a network on random rows of a file. Every parameter's gradient is compared with central
differences of the loss in float64, and the compiled kernels are compared with the NumPy reference.

Without MODEL and DATA.csv, check an untrained network of 30-16-8-2 units on the breast-cancer data of the package. The
exit code is 1 if a gradient is wrong.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check", help="check the gradients of a network on your data", description=_DESCRIPTION
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="model file that `fastmlp train DATA.csv` wrote")
    parser.add_argument(
        "data", nargs="?", metavar="DATA.csv", help=f"{options.DATA_HELP}, with the model's columns and its target"
    )
    parser.add_argument(
        "--rows", type=convert.whole_number(1), default=100, metavar="N", help="number of rows (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=convert.whole_number(0),
        default=0,
        metavar="N",
        help="seed of the random choice of rows (default: %(default)s)",
    )
    options.add_skip_missing_target(parser)
    options.add_data_options(parser)
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    """Check the gradients and print the result.

    Raises
    ------
    SystemExit
        With code 1, if a gradient is wrong.
    """
    if arguments.model is not None and arguments.data is None:
        arguments.parser.error("DATA.csv is needed: the file with the rows to check on")
    from fastmlp import check_gradients

    network, X, y = _fresh_network(arguments) if arguments.model is None else _users_network(arguments)
    report = check_gradients(network, X, y, seed=arguments.seed)
    if arguments.json:
        tensors = [{**dataclasses.asdict(tensor), "ok": tensor.ok} for tensor in report.tensors]
        print(json.dumps({"ok": report.ok, "rows": len(X), "network": repr(network), "tensors": tensors}))
    else:
        print(f"{network!r}\non {len(X):,} rows:\n\n{report}")
    if not report.ok:
        raise SystemExit(1)


def _users_network(arguments: argparse.Namespace) -> tuple[Network, NDArray[Any], NDArray[Any]]:
    """Return the network of the model, and random rows of the file."""
    from fastmlp.tables import TabularModel, sample

    model = TabularModel.load(find_model(arguments.model))
    with data_source(arguments.data) as data:
        X, y = sample(
            model,
            data,
            arguments.rows,
            seed=arguments.seed,
            separator=arguments.separator,
            skip_missing_target=bool(arguments.skip_missing_target),
            verbose=options.verbose(arguments),
        )
    return model.network, X, y


def _fresh_network(arguments: argparse.Namespace) -> tuple[Network, NDArray[Any], NDArray[Any]]:
    """Return an untrained network, and random rows of the breast-cancer data, standardised."""
    import numpy as np

    from fastmlp.datasets import load_breast_cancer
    from fastmlp.network import Network

    data = load_breast_cancer()
    rows = np.sort(np.random.default_rng(arguments.seed).permutation(len(data.y))[: arguments.rows])
    X = (data.X - data.X.mean(axis=0)) / data.X.std(axis=0)
    return Network([X.shape[1], 16, 8, 2], output="softmax", seed=arguments.seed), X[rows], data.y[rows]
