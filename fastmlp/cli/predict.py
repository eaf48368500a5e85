"""`fastmlp predict`: predict the target of each row of a CSV file."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastmlp.cli import convert, notices, options
from fastmlp.cli.interrupts import watch_files
from fastmlp.cli.paths import SUFFIX, data_source, find_model, require_writable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastmlp.tables import TabularModel
    from fastmlp.tables.csv_file import NamedFile

_MAX_IN_MEMORY = 1 << 24  # bytes of output; more goes to a temporary file
_PRINTED_AT_ONCE = 1 << 16  # characters
_DESCRIPTION = """
Predict the target of each row of a CSV file, and write the predictions as CSV. For classes the columns are `prediction`
and `p(CLASS)`, the probability of each class. For numbers there is one column, `prediction`.

The file must have the columns that the model was trained on, in any order. Other columns and the target are ignored.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("predict", help="predict the rows of a CSV file", description=_DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", help="model file that `fastmlp train DATA.csv` wrote")
    parser.add_argument("data", metavar="DATA.csv", help=f"{options.DATA_HELP}, with the model's columns")
    parser.add_argument(
        "--out",
        type=convert.file_path,
        metavar="FILE.csv",
        help="file to write the predictions to (default: standard output)",
    )
    options.add_data_options(parser)
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    """Predict the rows. Either all predictions are written or none.

    Raises
    ------
    NothingWritten
        If the command is interrupted before the predictions are written.
    """
    with watch_files(*filter(None, [arguments.out])):
        if arguments.out is not None:
            require_writable(arguments.out, arguments.data, arguments.model, arguments.model + SUFFIX)
        path = find_model(arguments.model)
        with data_source(arguments.data) as data, notices.shown(arguments) as found:
            _predict(arguments, path, data, found)


def _predict(arguments: argparse.Namespace, path: str, data: str | NamedFile, warnings: list[str]) -> None:
    """Predict and write. `warnings` fills while the file is read."""
    from fastmlp.tables import TabularModel

    model = TabularModel.load(path)
    outputs = model.predictions(data, separator=arguments.separator, verbose=options.verbose(arguments))
    about = {"model": path, "data": str(data), "target": model.schema.to_dict()["target"]}
    if arguments.out is None:
        _print_all_or_nothing(_json(model, outputs, about, warnings) if arguments.json else _csv(model, outputs))
        return
    rows = _write_csv(arguments.out, model, outputs)
    if arguments.json:
        print(json.dumps({**about, "rows": rows, "out": arguments.out, "warnings": warnings}))
    elif not arguments.quiet:
        print(f"wrote {rows:,} predictions to {arguments.out}")


def _write_csv(path: str, model: TabularModel, outputs: Iterator[NDArray[Any]]) -> int:
    """Write the predictions to a file and return the number of rows."""
    from fastmlp._io.atomic import write_atomically

    rows = 0

    def counted() -> Iterator[NDArray[Any]]:
        nonlocal rows
        for block in outputs:
            rows += len(block)
            yield block

    write_atomically(path, (text.encode() for text in _csv(model, counted())))
    return rows


def _print_all_or_nothing(parts: Iterator[str]) -> None:
    """Print all parts, or none if one fails, so that redirected output is never half of it.

    Output that goes to a file or to another program is UTF-8, as with --out.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    with tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY, "w+", encoding="utf-8", newline="") as buffer:
        for part in parts:
            buffer.write(part)
        buffer.seek(0)
        for part in iter(lambda: buffer.read(_PRINTED_AT_ONCE), ""):
            print(part, end="")


def _csv(model: TabularModel, outputs: Iterator[NDArray[Any]]) -> Iterator[str]:
    """Yield the header and the rows of the predictions as CSV, block by block."""
    from fastmlp.tables.schema import ClassTarget

    target = model.schema.target
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = target.classes if isinstance(target, ClassTarget) else ()
    writer.writerow(["prediction", *(f"p({name})" for name in classes)])
    for block in outputs:
        predictions = model.named(block).tolist()
        if classes:
            writer.writerows([name, *map(str, p)] for name, p in zip(predictions, block, strict=True))
        else:
            writer.writerows([format_number(value)] for value in predictions)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _json(
    model: TabularModel, outputs: Iterator[NDArray[Any]], about: dict[str, Any], warnings: list[str]
) -> Iterator[str]:
    """Yield one JSON object in parts, a row at a time, because there may be many rows."""
    from fastmlp.tables.schema import ClassTarget

    target, rows = model.schema.target, 0
    classes = target.classes if isinstance(target, ClassTarget) else ()
    yield json.dumps(about)[:-1] + ', "predictions": ['
    for block in outputs:
        predictions = model.named(block).tolist()
        for prediction, p in zip(predictions, block, strict=True):
            row: dict[str, Any] = {"prediction": prediction}
            if classes:
                row["p"] = {name: _shortest_float(value) for name, value in zip(classes, p, strict=True)}
            yield (", " if rows else "") + json.dumps(row)
            rows += 1
    yield f'], "rows": {rows}, "warnings": {json.dumps(warnings)}}}\n'


def format_number(value: float) -> str:
    """Return a number in 10 digits, which hold the precision of the network's float32."""
    return f"{value:.10g}"


def _shortest_float(value: np.float32) -> float:
    """Return a probability as the float that prints in the fewest digits that identify the float32."""
    return float(str(value))
