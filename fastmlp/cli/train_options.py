"""The options of `fastmlp train`, and their defaults with and without a CSV file."""

from __future__ import annotations

import argparse
from typing import Any

from fastmlp.cli import convert, demo, options

LARGE_TABLE = 100_000  # training rows from which on the default batch is larger
LARGE_BATCH, USUAL_BATCH = 256, 32

USAGE = "fastmlp train DATA.csv --target COLUMN [options]\n       fastmlp train [options]"
DESCRIPTION = """
Train a network that predicts one column of a CSV file from the other columns, and save it as a model. The model file
also stores what is needed to read such files again: columns, categories, medians, scaling and class names.

Columns hold numbers or texts. A missing number is replaced by the median of its column, and a missing text is a
category of its own. These values are missing: empty, ?, -, NA, N/A, n/a, #N/A, <NA>, NaN, nan, NAN, null, NULL and
None.

Columns of integers that only number the rows, such as id or PassengerId, are left out and named, because a network
would learn the order of the file from them.

Some rows are kept out of training: the validation rows choose the best epoch, so that their figures are too good, and
the test rows choose nothing, so that theirs are those to expect of new rows.

Without DATA.csv, train a network on the breast-cancer data of the package and test it: 569 rows of 30 measurements, a
network of 30-16-8-2 units, malignant as the positive class. 60 % of the rows of each class train, 20 % decide when to
stop, and 20 % test.
"""
EPILOG = """
examples:
  fastmlp train houses.csv --target price
  fastmlp train houses.csv --target price --layers 128,64 --report report.html

`fastmlp predict MODEL DATA.csv` uses the model. A model that was trained without DATA.csv takes the measurements in
their own units: in Python, fastmlp.Network.load(PATH).predict(X).
"""

_DATA_DEFAULTS: dict[str, Any] = {  # the options that need DATA.csv
    "target": None,
    "task": "auto",
    "categorical": [],
    "ignore": [],
    "keep": [],
    "validation": 0.2,
    "test": 0.15,
    "separator": None,
    "decimal": ".",
    "skip_missing_target": False,
    "layers": [64, 32],
    "activation": "relu",
    "dropout": 0.0,
    "l2": 0.0,
    "loss": None,
    "optimizer": "adam",
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add all options to the parser of the command."""
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA.csv",
        help=f"{options.DATA_HELP}; without it, the breast-cancer data of the package",
    )
    _add_data_options(parser.add_argument_group("data (only with DATA.csv)"))
    _add_network_options(parser.add_argument_group("network (only with DATA.csv)"))
    _add_training_options(parser.add_argument_group("training"))
    _add_output_options(parser.add_argument_group("output"))


def _add_data_options(group: argparse._ArgumentGroup) -> None:
    several: dict[str, Any] = {"type": convert.names, "action": "extend", "metavar": "A,B"}
    group.add_argument("--target", metavar="COLUMN", help="column to predict (required)")
    group.add_argument(
        "--task",
        choices=["auto", "classification", "regression"],
        metavar="TASK",
        help="classification, regression, or auto to decide by the target's values (default: auto)",
    )
    group.add_argument(
        "--categorical", help="columns to read as categories, even if they contain numbers (default: none)", **several
    )
    group.add_argument("--ignore", help="columns to leave out (default: none)", **several)
    group.add_argument("--keep", help="columns to take although they look like identifiers (default: none)", **several)
    group.add_argument(
        "--validation",
        type=convert.share,
        metavar="X",
        help="share of the rows kept out of training, to choose the best epoch (default: 0.2)",
    )
    group.add_argument(
        "--test",
        type=convert.share,
        metavar="X",
        help="share of the rows kept out of training and of every choice, 0 for none (default: 0.15)",
    )
    options.add_separator(group)
    group.add_argument(
        "--decimal", type=convert.decimal, metavar="X", help="decimal sign: . or , or point or comma (default: .)"
    )
    options.add_skip_missing_target(group)


def _add_network_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--layers",
        type=convert.layers,
        metavar="N,N",
        help="units of each hidden layer, or none for a linear model (default: 64,32)",
    )
    group.add_argument(
        "--activation", type=convert.activation, metavar="NAME", help="activation of the hidden layers (default: relu)"
    )
    group.add_argument(
        "--dropout", type=convert.share, metavar="X", help="share of hidden units dropped in training (default: 0)"
    )
    group.add_argument("--l2", type=convert.penalty, metavar="X", help="L2 penalty on the weights (default: 0)")
    group.add_argument(
        "--loss",
        type=convert.loss,
        metavar="NAME",
        help="categorical_crossentropy or kl_divergence for classes; mean_squared_error, half_squared_error, "
        "mean_absolute_error, huber or log_cosh for numbers (default: the first one)",
    )


def _add_training_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--optimizer",
        type=convert.optimizer,
        metavar="NAME",
        help="optimizer, only with DATA.csv (default: adam)",
    )
    group.add_argument(
        "--learning-rate",
        type=convert.positive,
        metavar="X",
        help=f"step size of the optimizer (default: its own, 0.001 for adam; without DATA.csv {demo.LEARNING_RATE})",
    )
    group.add_argument(
        "--epochs",
        type=convert.whole_number(1),
        default=200,
        metavar="N",
        help="maximum number of passes over the training rows (default: 200)",
    )
    group.add_argument(
        "--batch-size",
        type=convert.whole_number(1),
        metavar="N",
        help=f"rows in a step (default: {USUAL_BATCH}; {LARGE_BATCH} for more than {LARGE_TABLE:,} training rows)",
    )
    group.add_argument(
        "--patience",
        type=convert.whole_number(1),
        default=20,
        metavar="N",
        help="number of epochs without a better validation loss after which to stop (default: 20)",
    )
    group.add_argument(
        "--seed",
        type=convert.whole_number(0),
        default=0,
        metavar="N",
        help="seed of the split, the initial weights, the shuffling and the dropout (default: 0)",
    )


def _add_output_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--out",
        type=convert.file_path,
        metavar="PREFIX",
        help="write the model to PREFIX.safetensors (default: model); without DATA.csv also the learning curves to "
        f"PREFIX.png (default: {demo.OUT})",
    )
    group.add_argument(
        "--report",
        type=convert.html_path,
        metavar="FILE.html",
        help="write a page with data, network, learning curves and metrics (default: none); needs the extra "
        "fastmlp[plot]",
    )
    options.add_output_options(group)


def complete(arguments: argparse.Namespace) -> None:
    """Set the defaults of the options that were not given. They differ with and without a CSV file.

    Raises
    ------
    SystemExit
        With code 2, if an option needs a CSV file and there is none, or if there is a file but no target.
    """
    given = [name for name in _DATA_DEFAULTS if getattr(arguments, name) is not None]
    if arguments.data is None:
        if given:
            option = given[0].replace("_", "-")
            arguments.parser.error(
                f"--{option} needs a file, but no DATA.csv is given: fastmlp train DATA.csv --target COLUMN"
            )
        arguments.batch_size = arguments.batch_size or USUAL_BATCH
        arguments.learning_rate = arguments.learning_rate or demo.LEARNING_RATE
        arguments.out = arguments.out or demo.OUT
        return
    for name, default in _DATA_DEFAULTS.items():
        if name not in given:
            setattr(arguments, name, default)
    if arguments.target is None:
        arguments.parser.error(f"--target COLUMN is needed: the column to predict.{_columns_of_file(arguments)}")
    arguments.out = arguments.out or "model"


def batch_size(arguments: argparse.Namespace, rows: int) -> int:
    """Return the batch size for so many training rows.

    Raises
    ------
    ValueError
        If one is given for an optimizer that trains on all rows at once.
    """
    from fastmlp.optimizers import StepOptimizer, resolve

    if not isinstance(resolve(arguments.optimizer), StepOptimizer):
        if arguments.batch_size:
            raise ValueError(
                f"--batch-size is of no use with --optimizer {arguments.optimizer}, which trains on all rows at once; "
                "leave it out"
            )
        return rows
    size: int = arguments.batch_size or (LARGE_BATCH if rows > LARGE_TABLE else USUAL_BATCH)
    return size


def _columns_of_file(arguments: argparse.Namespace) -> str:
    """Return a sentence with the columns of the file. It is empty if the file cannot be read."""
    from fastmlp.tables import Reader, TableError
    from fastmlp.tables.errors import describe_columns

    try:
        return f" {describe_columns(Reader(arguments.data, arguments.separator).names)}"
    except (TableError, OSError):
        return ""
