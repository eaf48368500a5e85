"""The engines of an ensemble's members: how they are saved to one file and loaded from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastmlp._engine.checkpointing import from_checkpoint, to_checkpoint
from fastmlp._engine.engine import Engine
from fastmlp._io import ensemble_file
from fastmlp._io.model_file import naming

__all__ = ["load_members", "save_members"]


def save_members(engines: Sequence[Engine], path: str | Path, options: Mapping[str, Any], *, optimizer: bool) -> None:
    """Write the networks of engines to one file, each as it is after a completed step; see `Engine.save`."""
    stored = []
    for engine in engines:
        with engine.lock.turn, engine.lock.lock:
            stored.append(to_checkpoint(engine.parameters, engine.names, optimizer=optimizer))
    ensemble_file.write(path, stored, options)


@contextlib.contextmanager
def load_members(path: str | Path, threads: int | None) -> Iterator[tuple[list[Engine], dict[str, Any]]]:
    """Give the engines of the networks in a file, and the options of `save_members`.

    A ValueError or TypeError of the block, which checks the options, becomes an error that names the file.
    """
    stored, options = ensemble_file.read(path)
    engines = [Engine(from_checkpoint(each), threads, each.names) for each in stored]
    with naming(path):
        try:
            yield engines, options
        except TypeError as error:
            raise ValueError(error) from None
