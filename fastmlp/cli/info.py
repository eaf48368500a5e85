"""`fastmlp info`: what the library found on this machine."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_to(commands: Any) -> None:
    """Declare the command to argparse."""
    text = "Show versions, processor, threads and the cache of compiled code."
    parser = commands.add_parser("info", help="show what fastmlp runs on", description=text)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print what `fastmlp._runtime.system.describe` found."""
    from fastmlp._runtime import system

    found = system.describe()
    if arguments.json:
        print(json.dumps(found))
        return
    lines = {
        "versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        "platform": found["platform"],
        "processor": found["cpu"],
        "features": ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in found["features"].items()),
        "vector width": f"{found['vector_bits']} bits",
        "threading layer": found["threading_layer"],
        "threads": found["threads"],
        "cache": found["cache_directory"],
        "cache size": f"{found['cache_bytes'] / 2**20:.1f} MiB",
    }
    for name, value in lines.items():
        print(f"{name:<16} {value}")
