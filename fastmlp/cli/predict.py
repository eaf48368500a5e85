"""`fastmlp predict`: what a model says of a CSV file's rows."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastmlp.cli import options
from fastmlp.cli.interrupts import told_if_nothing_written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastmlp.tables import TabularModel

_IN_MEMORY = 1 << 24  # bytes of output that need no file
_PRINTED = 1 << 16  # characters at a time
_DESCRIPTION = """
Predict the target of each row: for classes the columns `prediction` and `p(CLASS)`, for numbers `prediction`. The
file's columns may come in another order; those that the model does not know, and the target, are not looked at.
"""


def add_to(commands: Any) -> None:
    """Declare the command to argparse."""
    parser = commands.add_parser("predict", help="predict the rows of a CSV file", description=_DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="a file that `fastmlp train DATA.csv` wrote")
    parser.add_argument("data", metavar="DATA.csv", help="a CSV file with the columns that the model learned from")
    parser.add_argument(
        "--out", type=options.file_name, metavar="FILE.csv", help="where the predictions go (default: standard output)"
    )
    options.add_data_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Predict, and write all or nothing.

    Raises
    ------
    NothingWritten
        If it is interrupted before the predictions were written.
    """
    with told_if_nothing_written(*filter(None, [arguments.out])):
        if arguments.out is not None:
            options.require_writable(arguments.out, arguments.data, arguments.model, arguments.model + options.SUFFIX)
        _predict(arguments)


def _predict(arguments: argparse.Namespace) -> None:
    from fastmlp._io.atomic import write_atomically
    from fastmlp.tables import TabularModel

    path = options.existing_model(arguments.model)
    model = TabularModel.load(path)
    found = model.predictions(arguments.data, separator=arguments.separator, verbose=options.verbose(arguments))
    about = {"model": path, "data": arguments.data, "target": model.schema.to_dict()["target"]}
    if arguments.out is None:
        _print_whole(_json(model, found, about) if arguments.json else _csv(model, found))
        return
    rows = 0

    def counted() -> Iterator[NDArray[Any]]:
        nonlocal rows
        for block in found:
            rows += len(block)
            yield block

    write_atomically(arguments.out, (text.encode() for text in _csv(model, counted())))
    if arguments.json:
        print(json.dumps({**about, "rows": rows, "out": arguments.out}))
    elif not arguments.quiet:
        print(f"wrote {rows:,} predictions to {arguments.out}")


def _print_whole(parts: Iterator[str]) -> None:
    """Print all parts or, where one fails, none: a file that the output goes to never holds half of it.

    Where it goes to a file or another program it is UTF-8, as with --out.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="") as kept:
        for part in parts:
            kept.write(part)
        kept.seek(0)
        for part in iter(lambda: kept.read(_PRINTED), ""):
            print(part, end="")


def _csv(model: TabularModel, blocks: Iterator[NDArray[Any]]) -> Iterator[str]:
    """The lines of the predictions, block by block."""
    from fastmlp.tables.schema import ClassTarget

    target = model.schema.target
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = target.classes if isinstance(target, ClassTarget) else ()
    writer.writerow(["prediction", *(f"p({name})" for name in classes)])
    for block in blocks:
        named = model.named(block)
        if classes:
            writer.writerows([name, *map(str, p)] for name, p in zip(named.tolist(), block, strict=True))
        else:
            writer.writerows([spelled(value)] for value in named.tolist())
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _json(model: TabularModel, blocks: Iterator[NDArray[Any]], about: dict[str, Any]) -> Iterator[str]:
    """One object; its rows come one by one, since they may be many."""
    from fastmlp.tables.schema import ClassTarget

    target, rows = model.schema.target, 0
    classes = target.classes if isinstance(target, ClassTarget) else ()
    yield json.dumps(about)[:-1] + ', "predictions": ['
    for block in blocks:
        named = model.named(block).tolist()
        for name, p in zip(named, block, strict=True):
            described: dict[str, Any] = {"prediction": name}
            if classes:
                described["p"] = {label: _plain(share) for label, share in zip(classes, p, strict=True)}
            yield (", " if rows else "") + json.dumps(described)
            rows += 1
    yield f'], "rows": {rows}}}\n'


def spelled(value: float) -> str:
    """A number of float32's precision in the table's unit: 10 digits hold it."""
    return f"{value:.10g}"


def _plain(share: np.float32) -> float:
    """A probability in the fewest digits that are still it."""
    return float(str(share))
