"""`fastmlp evaluate`: how good a model is on a CSV file that holds the target too."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastmlp.cli import options

_DESCRIPTION = """
Compare a model's predictions with the target column of a file. For classes: accuracy, F1, with two classes ROC AUC, and
the confusion matrix; for numbers: mean absolute error, root mean squared error and R squared.
"""


def add_to(commands: Any) -> None:
    """Declare the command to argparse."""
    parser = commands.add_parser(
        "evaluate", help="compare predictions with a CSV file's target", description=_DESCRIPTION
    )
    parser.add_argument("model", metavar="MODEL", help="a file that `fastmlp train DATA.csv` wrote")
    parser.add_argument("data", metavar="DATA.csv", help="a CSV file with the model's columns and its target")
    options.add_data_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate and print the figures."""
    from fastmlp.cli import table_report as report
    from fastmlp.tables import TabularModel

    path = options.existing_model(arguments.model)
    model = TabularModel.load(path)
    found = model.evaluate(arguments.data, separator=arguments.separator, verbose=options.verbose(arguments))
    if arguments.json:
        about = {"model": path, "data": arguments.data, "target": model.schema.to_dict()["target"]}
        print(json.dumps({**about, **found}))
        return
    print(f"{path} on the {found['rows']:,} rows of {arguments.data}, target {model.schema.target.name}:\n")
    print(report.figures(found, model.schema))
