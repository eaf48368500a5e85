"""`fastmlp summary`: show the columns and the layers of a model."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastmlp.cli.paths import find_model

_DESCRIPTION = """
Show the columns that a model was trained on, its target, the figures of its training, and the layers of its network.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("summary", help="show the columns and layers of a model", description=_DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="model file that `fastmlp train` or Network.save wrote")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the schema of the table, if the model has one, and the network."""
    from fastmlp.cli import table_report
    from fastmlp.tables.model import read_model
    from fastmlp.tables.schema import ClassTarget

    path = find_model(arguments.model)
    network, schema, record = read_model(path)
    if arguments.json:
        parts = {"table": schema and schema.to_dict(), "training": record and record.summary()}
        print(json.dumps({"model": path, **parts, "network": network.architecture.to_dict()}))
        return
    if schema is not None:
        target = schema.target
        kind = f"one of {', '.join(target.classes)}" if isinstance(target, ClassTarget) else "a number"
        print(f"{path} predicts {target.name}, {kind}, from\n")
        print("\n".join([*table_report.column_lines(schema), ""]))
        if record is not None:
            print(table_report.record_text(record, schema))
    network.summary()
