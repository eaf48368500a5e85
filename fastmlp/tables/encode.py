"""Encode columns as the matrix that a network reads: standardised numbers, and one input for each category."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.tables.errors import (
    TableError,
    correction_advice,
    describe_columns,
    infinite_error,
    list_names,
    missing_column_error,
    quote_value,
)
from fastmlp.tables.frames import FrameReader
from fastmlp.tables.header import data_like
from fastmlp.tables.matching import CategoryIndex, truth_as_numbers
from fastmlp.tables.reader import Block, Reader
from fastmlp.tables.schema import MAX_STANDARDISED, CategoryColumn, ClassTarget, NumberColumn, NumberTarget, Schema
from fastmlp.tables.unseen import UnseenCells
from fastmlp.tables.values import MISSING, Floats, parse_number, parse_numbers

Matrix = NDArray[np.float32]


def encode_columns(out: Matrix, schema: Schema, columns: Sequence[NDArray[Any]]) -> None:
    """Encode the columns of some rows.

    Parameters
    ----------
    out : ndarray of shape (n, schema.width)
        The matrix to write.
    schema : Schema
        The kind of each column.
    columns : sequence of ndarray of shape (n,)
        The values, in the order of the schema: numbers, float64, NaN where missing; or indices of categories, -1 for
        none of them.
    """
    rows = np.arange(len(out))
    first = 0
    for column, values in zip(schema.columns, columns, strict=True):
        if isinstance(column, NumberColumn):
            out[:, first] = standardise(column, values)
        else:
            known = values >= 0
            out[:, first : first + column.width] = 0
            out[rows[known], first + values[known]] = 1
        first += column.width


def standardise(column: NumberColumn, values: Floats) -> Floats:
    """Return `(x - mean) / deviation`. A missing x, NaN, is replaced by the median."""
    with np.errstate(over="ignore"):
        result: Floats = (np.where(np.isnan(values), column.median, values) - column.mean) / column.deviation
    return result


def category_index(column: CategoryColumn, decimal: str) -> CategoryIndex:
    """Return the map from texts to the inputs of a column, -1 for texts that it does not know."""
    missing = len(column.categories) if column.missing else -1
    return CategoryIndex(column.categories, column.match, decimal, missing)


class Encoder:
    """Encoder for the blocks of one file.

    Parameters
    ----------
    schema : Schema
        The schema of the model.
    reader : Reader or FrameReader
        The file or frame. The order of its columns may differ from the schema's, and it may have more columns.
    with_target : bool
        Whether the file must have the target column.

    Attributes
    ----------
    unseen : UnseenCells
        The count of values, in the blocks so far, that the model cannot use.

    Raises
    ------
    TableError
        If the file lacks a column.
    """

    def __init__(self, schema: Schema, reader: Reader | FrameReader, *, with_target: bool) -> None:
        self.schema, self.path = schema, reader.path
        _require_columns(schema, reader, with_target=with_target)
        target = schema.target
        self.unseen = UnseenCells()
        self._column_places = [reader.places[column.name] for column in schema.columns]
        self._target_place = reader.places[target.name] if with_target else -1
        self._category_indices = [
            category_index(column, schema.decimal) if isinstance(column, CategoryColumn) else None
            for column in schema.columns
        ]
        self._class_index = CategoryIndex(())
        if isinstance(target, ClassTarget):
            self._class_index = CategoryIndex(target.classes, target.match, schema.decimal)

    def inputs(self, block: Block) -> Matrix:
        """Return the rows of a block as the network reads them, a matrix of shape (n, schema.width).

        Raises
        ------
        TableError
            If a column of numbers contains a text, an infinite number, or one too far from the mean.
        """
        columns: list[NDArray[Any]] = []
        for column, place, categories in zip(
            self.schema.columns, self._column_places, self._category_indices, strict=True
        ):
            texts = block.columns[place]
            if categories is not None:
                indices = categories.indices(texts)
                self.unseen.add(column.name, texts, indices)
                columns.append(indices)
                continue
            is_truth = isinstance(column, NumberColumn) and column.truth
            values = self._parse(column.name, texts, block.lines, is_truth=is_truth)
            if isinstance(column, NumberColumn):
                if not column.is_constant:
                    self.unseen.add_numbers(column.name, values)
                check_magnitude(self.path, column, values, block.lines)
            columns.append(values)
        out = np.empty((len(block.lines), self.schema.width), np.float32)
        encode_columns(out, self.schema, columns)
        return out

    def without_missing_target(self, block: Block) -> Block:
        """Return the rows of a block whose target is not missing."""
        present = [text.strip() not in MISSING for text in block.columns[self._target_place]]
        if all(present):
            return block
        columns: list[Sequence[str]] = [()] * len(block.columns)
        for place in (*self._column_places, self._target_place):
            columns[place] = list(compress(block.columns[place], present))
        return Block(columns, list(compress(block.lines, present)))

    def targets(self, block: Block) -> NDArray[Any]:
        """Return the true targets of a block.

        Returns
        -------
        ndarray of shape (n,)
            Indices of classes, int64; or numbers in the file's unit, float64.

        Raises
        ------
        TableError
            If a target is missing, is not a number where the model predicts numbers, or is a class that the model does
            not know.
        """
        target, texts = self.schema.target, block.columns[self._target_place]
        values: NDArray[Any]
        if isinstance(target, ClassTarget):
            values = self._class_index.indices(texts).astype(np.int64)
            expected = f"one of the model's classes {list_names(target.classes)}"
            wrong = values < 0
        else:
            values = self._parse(target.name, texts, block.lines)
            check_magnitude(self.path, target, values, block.lines)
            expected, wrong = "a number", np.isnan(values)
        if wrong.any():
            row = int(wrong.argmax())
            raise TableError(
                self.path,
                f"found {quote_value(texts[row])}, but the target must be {expected}; "
                f"{correction_advice(is_target=True)}",
                line=block.lines[row],
                column=target.name,
            )
        return values

    def _parse(self, name: str, texts: Sequence[str], lines: Sequence[int], *, is_truth: bool = False) -> Floats:
        """Return the numbers of a column, NaN where missing. With `is_truth`, true is 1 and false is 0."""
        values = parse_numbers(texts, self.schema.decimal)
        if values is None and is_truth:
            texts = truth_as_numbers(texts)
            values = parse_numbers(texts, self.schema.decimal)
        if values is not None:
            return values
        advice = correction_advice(is_target=name == self.schema.target.name)
        for text, line in zip(texts, lines, strict=True):
            value = parse_number(text, self.schema.decimal)
            if value is None:
                raise TableError(
                    self.path,
                    f"found {quote_value(text)}, but the model expects numbers in this column; {advice}",
                    line=line,
                    column=name,
                )
            if np.isinf(value):
                raise infinite_error(self.path, name, text, line, advice)
        raise AssertionError(f"{name}: parse_numbers rejects a block of finite numbers")


def _require_columns(schema: Schema, reader: Reader | FrameReader, *, with_target: bool) -> None:
    """Raise TableError if the file lacks a column of the schema."""
    needed = [column.name for column in schema.columns]
    absent = [name for name in (*needed, schema.target.name) if name not in reader.places]
    if not with_target and schema.target.name in absent:
        absent.remove(schema.target.name)
    reason = ", which the model needs"
    if isinstance(reader, Reader) and absent and (text := data_like(reader.names)):
        reason += f" ({text})"
    if len(absent) == 1:
        what = "target" if absent[0] == schema.target.name else "column"
        raise missing_column_error(reader.path, absent[0], reader.names, what, reason)
    if absent:
        raise TableError(
            reader.path,
            f"there are no columns {list_names(absent)}{reason}. {describe_columns(reader.names, reader.path)}",
        )


def check_magnitude(
    path: str, column: NumberColumn | NumberTarget, values: Floats, lines: Sequence[int] | None = None
) -> None:
    """Check that no number is too far from the mean for float32.

    Parameters
    ----------
    path : str
        Path of the file, for the message.
    column : NumberColumn or NumberTarget
        Mean and deviation of the column.
    values : ndarray of shape (n,)
        Its numbers, NaN where missing.
    lines : sequence of int, optional
        The line of each row, if known.

    Raises
    ------
    TableError
        If a number is more than 1e30 standard deviations from the mean.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.abs((values - column.mean) / column.deviation) > MAX_STANDARDISED
    if far.any():
        row = int(far.argmax())
        raise TableError(
            path,
            f"found {values[row]:g}, more than {MAX_STANDARDISED:g} standard deviations from the mean; "
            f"{correction_advice(is_target=isinstance(column, NumberTarget))}",
            line=None if lines is None else lines[row],
            column=column.name,
        )
