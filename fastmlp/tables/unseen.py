"""Count the cells of a file that hold none of a model's categories, and warn if there are many.

Such a cell is 0 in all inputs of its column. A few are usual. A whole column, or a tenth of all cells, most often means
that the file spells its categories in another way than the training file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastmlp.tables.errors import list_names, quote_value, warn
from fastmlp.tables.values import Codes

WARNED_SHARE = 0.1
"""The share of unknown cells, among all cells in columns of categories, from which on there is a warning."""


class UnseenCells:
    """Counts unknown cells while a file is read block by block."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}  # of unknown cells, by column
        self._examples: dict[str, str] = {}  # the first unknown text
        self._rows: dict[str, int] = {}

    def add(self, name: str, texts: Sequence[str], indices: Codes) -> None:
        """Add the cells of a column in a block: their texts and the indices of their categories, -1 if unknown."""
        unknown = indices < 0
        count = int(np.count_nonzero(unknown))
        if count:
            self._examples.setdefault(name, texts[int(unknown.argmax())])
        self._counts[name] = self._counts.get(name, 0) + count
        self._rows[name] = self._rows.get(name, 0) + len(texts)

    def warn(self, path: str) -> None:
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
