"""Count the cells of a file that a model cannot use, and warn if there are many: unknown categories, missing values.

A cell of an unknown category is 0 in all inputs of its column. A few are usual. A whole column, or a tenth of all
cells, most often means that the file spells its categories in another way than the training file. A column without a
single number most often means that the file was made without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastmlp.tables.errors import list_names, quote_value, warn
from fastmlp.tables.values import Codes, Floats

WARNED_SHARE = 0.1
"""The share of unknown cells, among all cells in columns of categories, from which on there is a warning."""

MIN_MISSING = 20
"""From so many rows on, there is a warning if a column has no number. In a few rows this is usual."""


class UnseenCells:
    """Counts unknown and missing cells while a file is read block by block."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}  # of unknown cells, by column
        self._examples: dict[str, str] = {}  # the first unknown text
        self._rows: dict[str, int] = {}
        self._missing: dict[str, int] = {}  # rows of each column of numbers; -1 if a number is there

    def add_numbers(self, name: str, values: Floats) -> None:
        """Add the cells of a column of numbers in a block, NaN where missing."""
        so_far = self._missing.setdefault(name, 0)
        if so_far >= 0:
            self._missing[name] = so_far + len(values) if np.isnan(values).all() else -1

    def add(self, name: str, texts: Sequence[str], indices: Codes) -> None:
        """Add the cells of a column in a block: their texts and the indices of their categories, -1 if unknown."""
        unknown = indices < 0
        count = int(np.count_nonzero(unknown))
        if count:
            self._examples.setdefault(name, texts[int(unknown.argmax())])
        self._counts[name] = self._counts.get(name, 0) + count
        self._rows[name] = self._rows.get(name, 0) + len(texts)

    def warn(self, path: str) -> None:
        """Issue a `TableWarning` if a whole column of numbers is missing, and one if many categories are unknown."""
        empty = [name for name, rows in self._missing.items() if rows >= MIN_MISSING]
        if empty:
            where = f"the columns {list_names(empty)}" if len(empty) > 1 else f"the column {empty[0]!r}"
            warn(path, f"all numbers in {where} are missing, so the predictions cannot use them; check the file")
        self._warn_of_unknown(path)

    def _warn_of_unknown(self, path: str) -> None:
        """Issue a `TableWarning` if all cells of a column, or a tenth of all cells, are unknown."""
        unknown, cells = sum(self._counts.values()), sum(self._rows.values())
        whole = [name for name, count in self._counts.items() if count == self._rows[name] > 0]
        if not whole and unknown < WARNED_SHARE * max(cells, 1):
            return
        worst = whole[0] if whole else max(self._counts, key=self._counts.__getitem__)
        found = f"found {quote_value(self._examples[worst])}"
        if len(whole) > 1:
            text = (
                f"no value in the columns {list_names(whole)} is one of the model's categories ({found} in {worst!r})"
            )
        elif whole:
            text = f"no value in the column {worst!r} is one of the model's categories ({found})"
        else:
            text = (
                f"{unknown:,} of {cells:,} values in columns of categories are none of the model's categories, most in "
                f"the column {worst!r} ({found})"
            )
        warn(path, f"{text}, so the predictions cannot use them; check how the values are written")
