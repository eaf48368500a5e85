"""`ArrowFiles`: Parquet and Arrow files as chunks. It needs pyarrow: `pip install "fastmlp[arrow]"`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp._runtime.checks import path_text, whole_number
from fastmlp._runtime.extras import needed_by
from fastmlp._runtime.names import check_keywords, hint, module_attributes

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class ArrowFiles:
    """The rows of Parquet or Arrow files, as chunks for `Network.fit`. They are never all in memory.

    Each epoch reads the files anew, in the order of their names in a folder, or of the list. Columns are taken by name,
    so that the network remembers the names of its inputs.

    Parameters
    ----------
    paths : path, or sequence of paths
        A file, a folder of files, or several files, all with the same columns.
    target : str or sequence of str
        The column that is predicted, or several.
    features : sequence of str, optional
        The columns of the inputs. None takes all that are neither targets nor weights.
    sample_weight : str, optional
        The column of the weights of the rows.
    format : {"parquet", "ipc", "feather", "arrow"}
        The format of the files. The last three are names of the same.
    rows : int
        The rows of a chunk. Rows are shuffled within their chunk, so that a chunk should hold many batches.

    Attributes
    ----------
    features, targets : tuple of str
        The columns that are read.

    Raises
    ------
    ImportError
        If pyarrow is not installed. The message gives the command that installs it.
    OSError
        If there is no such file, or it cannot be read.
    ValueError, TypeError
        If a column does not exist, or is named twice.

    Examples
    --------
    >>> files = ArrowFiles("measurements/", target="label", rows=100_000)
    >>> net = Network([len(files.features), 64, 2], output="softmax", seed=0)
    >>> history = net.fit(files, epochs=5, batch_size=256, classes=["no", "yes"])
    """

    @check_keywords
    def __init__(
        self,
        paths: Paths,
        target: str | Sequence[str],
        *,
        features: Sequence[str] | None = None,
        sample_weight: str | None = None,
        format: str = "parquet",
        rows: int = 65_536,
    ) -> None:
        with needed_by("ArrowFiles", "fastmlp[arrow]"):
            import pyarrow
            from pyarrow import dataset
        if format not in _FORMATS:
            raise ValueError(f"format must be one of {', '.join(map(repr, _FORMATS))}, got {format!r}")
        self._rows, self._weight, self._format = whole_number(rows, "rows"), sample_weight, format
        several = not isinstance(paths, (str, os.PathLike))
        if several and not isinstance(paths, Iterable):
            raise TypeError(f"paths must be a path or a list of paths, got {paths!r}")
        given = [path_text(each, "a path") for each in (paths if several else [paths])]  # type: ignore[union-attr]
        try:
            self._dataset = dataset.dataset(given if several else given[0], format=format)
            names = [*self._dataset.schema.names]
        except pyarrow.ArrowInvalid as error:
            raise ValueError(f"cannot read {given[0]!r} as a file of the format {format}: {error}") from None
        self.targets = (target,) if isinstance(target, str) else tuple(target)
        others = {*self.targets, sample_weight}
        self.features = tuple(name for name in names if name not in others) if features is None else tuple(features)
        if not self.targets or not self.features:
            raise ValueError(f"there must be at least one target and one feature, the columns are {', '.join(names)}")
        used = [*self.features, *self.targets, *([] if sample_weight is None else [sample_weight])]
        for name in used:
            if name not in names:
                found = hint(name, names) if isinstance(name, str) else ""
                raise ValueError(f"the files have no column {name!r}{found or '.'} Columns: {', '.join(names)}")
        if len({*used}) < len(used):
            twice = next(name for place, name in enumerate(used) if name in used[:place])
            raise ValueError(f"column {twice!r} is named twice; a column is a feature, a target or the weights")
        self._columns = used

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield a chunk (X, y) or (X, y, sample_weight) after the other."""
        import pyarrow

        batches: list[Any] = []
        waiting = 0  # rows of these
        for batch in self._batches():
            batches.append(batch)
            waiting += batch.num_rows
            while waiting >= self._rows:
                table = pyarrow.Table.from_batches(batches)
                yield self._chunk(table.slice(0, self._rows))
                batches, waiting = table.slice(self._rows).to_batches(), waiting - self._rows
        if waiting:
            yield self._chunk(pyarrow.Table.from_batches(batches))

    def _batches(self) -> Iterator[Any]:
        """Yield the rows of all files, some at a time.

        A scanner of pyarrow's datasets reads Parquet files far ahead: it took 1.4 GB for a file of 4 GB.
        """
        from pyarrow.parquet import ParquetFile

        if self._format != "parquet":
            yield from self._dataset.scanner(
                columns=self._columns, batch_size=self._rows, batch_readahead=1
            ).to_batches()
            return
        schema = self._dataset.schema
        wanted = [schema.field(name) for name in self._columns]
        for path in self._dataset.files:
            with ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(self._rows, columns=self._columns):
                    yield from _as_fields(batch, wanted)

    def _chunk(self, table: Any) -> tuple[Any, ...]:
        X = table.select(list(self.features))
        y = table[self.targets[0]]
        if len(self.targets) > 1:
            y = np.column_stack([table[name].to_numpy() for name in self.targets])
        return (X, y) if self._weight is None else (X, y, table[self._weight].to_numpy())

    def __repr__(self) -> str:
        """Return the columns and the number of files in one line."""
        count = len(self._dataset.files)
        return f"ArrowFiles({count} file{'s' * (count != 1)}, {len(self.features)} features, target {self.targets!r})"


def _as_fields(batch: Any, fields: list[Any]) -> list[Any]:
    """Return a batch with columns of the types of the first file, in their order."""
    import pyarrow

    table = pyarrow.Table.from_batches([batch]).select([field.name for field in fields])
    batches: list[Any] = table.cast(pyarrow.schema(fields)).to_batches()
    return batches


_FORMATS = ("parquet", "ipc", "feather", "arrow")

if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
