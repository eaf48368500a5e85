"""Show the warnings of tables as lines of a command, and collect them for --json."""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def shown(arguments: argparse.Namespace) -> Iterator[list[str]]:
    """Show each `TableWarning` as a line on standard error, or with --json not at all.

    Yields
    ------
    list of str
        The messages so far, for --json.
    """
    from fastmlp.tables import TableWarning

    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", TableWarning)
        show = warnings.showwarning

        def show_or_keep(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, TableWarning):
                show(message, category, filename, lineno, file, line)
                return
            found.append(str(message))
            if not arguments.json:
                print(f"fastmlp: warning: {message}", file=sys.stderr)

        warnings.showwarning = show_or_keep
        yield found
