"""From columns to the matrix that a network reads: standardised numbers, and an input for each category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.tables.errors import TableError, infinite, listed, no_such_column, shown
from fastmlp.tables.reader import Block, Reader
from fastmlp.tables.schema import LARGEST, CategoryColumn, ClassTarget, NumberColumn, NumberTarget, Schema
from fastmlp.tables.values import Floats, Known, number, numbers

Matrix = NDArray[np.float32]


def fill(out: Matrix, schema: Schema, columns: Sequence[NDArray[Any]]) -> None:
    """Write encoded rows.

    Parameters
    ----------
    out : ndarray of shape (n, schema.width)
        Where they go.
    schema : Schema
        What the columns are.
    columns : sequence of ndarray of shape (n,)
        In the schema's order: float64 with NaN where missing, or places of categories, -1 for none.
    """
    rows = np.arange(len(out))
    place = 0
    for column, values in zip(schema.columns, columns, strict=True):
        if isinstance(column, NumberColumn):
            out[:, place] = standardised(column, values)
        else:
            known = values >= 0
            out[:, place : place + column.width] = 0
            out[rows[known], place + values[known]] = 1
        place += column.width


def standardised(column: NumberColumn, values: Floats) -> Floats:
    """`(x - mean) / deviation`, where x is the median if it is missing."""
    with np.errstate(over="ignore"):
        result: Floats = (np.where(np.isnan(values), column.median, values) - column.mean) / column.deviation
    return result


class Encoder:
    """Encodes the blocks of one file by a schema.

    Parameters
    ----------
    schema : Schema
        Of the model.
    reader : Reader
        The file; its columns may have another order, and others may be among them.
    with_target : bool
        Whether the target must be there.

    Raises
    ------
    TableError
        If a column is missing.
    """

    def __init__(self, schema: Schema, reader: Reader, *, with_target: bool) -> None:
        self.schema, self.path = schema, reader.path
        needed = [column.name for column in schema.columns]
        wanted = [*needed, schema.target.name] if with_target else needed
        absent = [name for name in wanted if name not in reader.places]
        if absent == [schema.target.name]:
            raise no_such_column(reader.path, absent[0], reader.names, "target")
        if len(absent) == 1:
            raise no_such_column(reader.path, absent[0], reader.names)
        if absent:
            raise TableError(
                reader.path,
                f"there are no columns {listed(absent)}, which the model learned from. The columns are: "
                f"{listed(reader.names)}",
            )
        self._places = [reader.places[name] for name in needed]
        self._target = reader.places[schema.target.name] if with_target else -1
        self._known = [
            Known(column.categories, len(column.categories) if column.missing else -1)
            if isinstance(column, CategoryColumn)
            else None
            for column in schema.columns
        ]
        target = schema.target
        self._classes = Known(target.classes) if isinstance(target, ClassTarget) else Known(())
        self._values = {number(name): place for name, place in self._classes.items() if place >= 0}

    def inputs(self, block: Block) -> Matrix:
        """The block's rows, (n, schema.width).

        Raises
        ------
        TableError
            If a text stands where the model learned from numbers.
        """
        columns: list[NDArray[Any]] = []
        for column, place, known in zip(self.schema.columns, self._places, self._known, strict=True):
            texts = block.columns[place]
            if known is not None:
                columns.append(known.codes(texts))
                continue
            values = self._numbers(column.name, texts, block.lines)
            if isinstance(column, NumberColumn):
                require_moderate(self.path, column, values, block.lines)
            columns.append(values)
        out = np.empty((len(block.lines), self.schema.width), np.float32)
        fill(out, self.schema, columns)
        return out

    def targets(self, block: Block) -> NDArray[Any]:
        """What the block's rows really are: places of classes, int64, or numbers as the file has them, float64.

        Raises
        ------
        TableError
            If one is missing, no number where numbers are predicted, or a class that the model does not know.
        """
        target, texts = self.schema.target, block.columns[self._target]
        found: NDArray[Any]
        if isinstance(target, ClassTarget):
            if target.numeric:
                values = self._numbers(target.name, texts, block.lines)
                found = np.array([self._values.get(value, -1) for value in values.tolist()], np.int64)
            else:
                found = self._classes.codes(texts).astype(np.int64)
            wanted = f"one of the model's classes {listed(target.classes)}"
            wrong = found < 0
        else:
            found = self._numbers(target.name, texts, block.lines)
            require_moderate(self.path, target, found, block.lines)
            wanted, wrong = "a number", np.isnan(found)
        if wrong.any():
            row = int(wrong.argmax())
            raise TableError(
                self.path,
                f"found {shown(texts[row])} where {wanted} should be; mend it, or remove the row",
                line=block.lines[row],
                column=target.name,
            )
        return found

    def _numbers(self, name: str, texts: Sequence[str], lines: Sequence[int]) -> Floats:
        values = numbers(texts, self.schema.decimal)
        if values is not None:
            return values
        for text, line in zip(texts, lines, strict=True):
            value = number(text, self.schema.decimal)
            if value is None:
                raise TableError(
                    self.path,
                    f"found {shown(text)} where the model learned from numbers; mend it or leave the cell empty",
                    line=line,
                    column=name,
                )
            if np.isinf(value):
                raise infinite(self.path, name, text, line)
        raise AssertionError(f"{name}: a block that is not all numbers has only numbers")


def require_moderate(
    path: str, column: NumberColumn | NumberTarget, values: Floats, lines: Sequence[int] | None = None
) -> None:
    """Raise TableError where a number is so far from the mean that float32 cannot calculate with it.

    `lines` are those of the file, if they are still known.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.abs((values - column.mean) / column.deviation) > LARGEST
    if far.any():
        row = int(far.argmax())
        otherwise = "leave the cell empty" if isinstance(column, NumberColumn) else "remove the row"
        raise TableError(
            path,
            f"found {values[row]:g}, more than {LARGEST:g} deviations from the mean; mend it or {otherwise}",
            line=None if lines is None else lines[row],
            column=column.name,
        )
