"""`fastmlp info`: show the versions, the processor and the settings that fastmlp found on this machine."""

from __future__ import annotations

import argparse
import json
from typing import Any

_DESCRIPTION = "Show versions, processor, number of threads, and the cache of compiled code."


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("info", help="show versions, processor, threads and cache", description=_DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    """Print what `fastmlp._runtime.system.describe` returns."""
    from fastmlp._runtime import system

    found = system.describe()
    if arguments.json:
        print(json.dumps(found))
        return
    lines = {
        "versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        "platform": found["platform"],
        "processor": found["cpu"],
        "features": ", ".join(f"{name} {'yes' if exists else 'no'}" for name, exists in found["features"].items()),
        "vector width": f"{found['vector_bits']} bits",
        "threading layer": found["threading_layer"],
        "threads": found["threads"],
        "cache": found["cache_directory"],
        "cache size": f"{found['cache_bytes'] / 2**20:.1f} MiB",
    }
    for name, value in lines.items():
        print(f"{name:<16} {value}")
