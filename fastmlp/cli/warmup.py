"""`fastmlp warmup`: compile all kernels now, so that no training has to wait for it."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from fastmlp.cli import options

_DESCRIPTION = """
Compile all kernels and store them in the cache, where this and every later process finds them. It takes some minutes; a
line in the terminal shows the progress.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("warmup", help="compile all kernels now", description=_DESCRIPTION)
    parser.add_argument("--json", action="store_true", help='print one JSON object with "functions" and "seconds"')
    parser.add_argument("--quiet", action="store_true", help="print the result, but no progress")
    parser.add_argument(
        "--progress", action="store_true", help="show the progress also in a file or a pipe, a line every 10 seconds"
    )
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    """Compile the kernels, and print how many there are and how long it took."""
    started = time.perf_counter()
    from fastmlp._engine.warmup import warmup

    functions = warmup(arguments.progress or options.verbose(arguments))
    seconds = time.perf_counter() - started
    if arguments.json:
        print(json.dumps({"functions": functions, "seconds": round(seconds, 3)}))
    else:
        print(f"{functions} kernels are compiled and in the cache ({seconds:.1f} s)")
