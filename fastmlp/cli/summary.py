"""`fastmlp summary`: what a model file holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastmlp.cli import options


def add_to(commands: Any) -> None:
    """Declare the command to argparse."""
    text = "Show the columns that a model learned from, its target, and the layers of its network."
    parser = commands.add_parser("summary", help="show columns and layers of a model", description=text)
    parser.add_argument("model", metavar="MODEL", help="a file that `fastmlp train` or Network.save wrote")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the table's schema, if there is one, and the network."""
    from fastmlp.cli import table_report as report
    from fastmlp.tables.model import read_model
    from fastmlp.tables.schema import ClassTarget

    path = options.existing_model(arguments.model)
    network, schema = read_model(path)
    if arguments.json:
        table = None if schema is None else schema.to_dict()
        print(json.dumps({"model": path, "table": table, "network": network.architecture.to_dict()}))
        return
    if schema is not None:
        target = schema.target
        kind = f"one of {', '.join(target.classes)}" if isinstance(target, ClassTarget) else "a number"
        print(f"{path} predicts {target.name}, {kind}, from\n")
        print("\n".join([*report.columns(schema), ""]))
    network.summary()
