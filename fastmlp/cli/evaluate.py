"""`fastmlp evaluate`: compute the metrics of a model on a CSV file that has the target column."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastmlp.cli import notices, options
from fastmlp.cli.paths import data_source, find_model

_DESCRIPTION = """
Compare the predictions of a model with the target column of a CSV file. For classes, print accuracy, F1, the confusion
matrix and, if there are two classes, ROC AUC. For numbers, print mean absolute error, root mean squared error and R
squared. Say which share of the rows trained the model, because the figures are too good for such rows.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate", help="compare predictions with the target column of a CSV file", description=_DESCRIPTION
    )
    parser.add_argument("model", metavar="MODEL", help="model file that `fastmlp train DATA.csv` wrote")
    parser.add_argument(
        "data", metavar="DATA.csv", help=f"{options.DATA_HELP}, with the model's columns and its target"
    )
    options.add_skip_missing_target(parser)
    options.add_data_options(parser)
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate the model and print the metrics."""
    from fastmlp.cli import table_report
    from fastmlp.tables import TabularModel

    path = find_model(arguments.model)
    model = TabularModel.load(path)
    with data_source(arguments.data) as data, notices.shown(arguments) as found:
        metrics = model.evaluate(
            data,
            separator=arguments.separator,
            skip_missing_target=bool(arguments.skip_missing_target),
            verbose=options.verbose(arguments),
        )
    if arguments.json:
        about = {"model": path, "data": str(data), "target": model.schema.to_dict()["target"]}
        print(json.dumps({**about, **metrics, "warnings": found}))
        return
    skipped = f" ({metrics['skipped']:,} left out, because the target is missing)" if metrics.get("skipped") else ""
    print(f"{path} on the {metrics['rows']:,} rows of {data}{skipped}, target {model.schema.target.name}:\n")
    print(table_report.metrics_table({"": metrics}, model.schema))
    line = table_report.seen_line(model, metrics["known_share"])
    if line:
        print(line)
