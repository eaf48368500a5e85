"""`fastmlp warmup`: compile everything now, so that no fit has to."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any


def add_to(commands: Any) -> None:
    """Declare the command to argparse."""
    text = "Compile what a first fit needs and keep it in the cache, for this and every later process."
    parser = commands.add_parser("warmup", help="compile everything now", description=text)
    parser.add_argument("--json", action="store_true", help='print one JSON object with "functions" and "seconds"')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Compile and print how long that took."""
    started = time.perf_counter()
    from fastmlp._engine.warmup import warmup

    functions = warmup()
    seconds = time.perf_counter() - started
    if arguments.json:
        print(json.dumps({"functions": functions, "seconds": round(seconds, 3)}))
    else:
        print(f"{functions} kernels are compiled and in the cache ({seconds:.1f} s)")
