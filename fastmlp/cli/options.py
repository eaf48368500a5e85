"""The options that several commands share."""

from __future__ import annotations

import argparse

from fastmlp.cli import convert

DATA_HELP = "CSV file in UTF-8 with a header, or - for standard input"


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that takes a model and a CSV file."""
    add_separator(parser)
    add_output_options(parser)


def add_separator(parser: argparse._ActionsContainer) -> None:
    """Add --separator."""
    parser.add_argument(
        "--separator",
        type=convert.separator,
        metavar="X",
        help="character between the fields, or one of comma, semicolon, tab, bar, space (default: detected)",
    )


def add_skip_missing_target(parser: argparse._ActionsContainer) -> None:
    """Add --skip-missing-target. It is None if it is not given."""
    parser.add_argument(
        "--skip-missing-target",
        action="store_true",
        default=None,
        help="leave out rows whose target is missing (default: such a row is an error)",
    )


def add_output_options(parser: argparse._ActionsContainer) -> None:
    """Add --json and --quiet."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--quiet", action="store_true", help="print the results, but no progress")


def verbose(arguments: argparse.Namespace) -> bool | str:
    """Return whether to show progress lines: in a terminal only, and not with --json or --quiet."""
    return False if arguments.quiet or arguments.json else "auto"
