"""Draw random rows from a file, encoded as the network of a model reads them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.checks import whole_number
from fastmlp.tables.encode import Encoder, Matrix
from fastmlp.tables.model import TabularModel
from fastmlp.tables.schema import NumberTarget
from fastmlp.tables.sources import Source, open_table


def sample(
    model: TabularModel,
    data: Source,
    rows: int = 100,
    *,
    seed: int = 0,
    separator: str | None = None,
    skip_missing_target: bool = False,
    verbose: bool | str = "auto",
) -> tuple[Matrix, NDArray[Any]]:
    """Draw random rows from a file that has the target column. Every row is equally likely.

    The whole file is read, but only the rows drawn so far are in memory.

    Parameters
    ----------
    model : TabularModel
        The model whose columns the file has.
    data : path-like, DataFrame, pyarrow.Table or pyarrow.RecordBatch
        A CSV file in UTF-8 with a header; or a DataFrame of pandas or polars, or an Arrow table.
    rows : int
        Number of rows to draw. If the file has fewer, all are returned.
    seed : int
        Seed of the random numbers.
    separator : str, optional
        The character between the fields. By default it is found among comma, semicolon, tab and bar.
    skip_missing_target : bool
        Whether to leave out rows whose target is missing. By default such a row is an error.
    verbose : bool or "auto"
        Whether to show a progress line while reading. "auto" shows it in a terminal or notebook.

    Returns
    -------
    X : ndarray of shape (n, schema.width)
        The encoded rows, in the order of the file.
    y : ndarray of shape (n,)
        Indices of classes, int64; or standardised numbers, float64.

    Raises
    ------
    TableError
        If the file cannot be used.
    ValueError, TypeError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> model = TabularModel.load("houses.safetensors")
    >>> X, y = sample(model, "houses.csv", 20)
    >>> check_gradients(model.network, X, y).ok
    True
    """
    whole_number(rows, "rows")
    whole_number(seed, "seed", minimum=0)
    reader = open_table(data, separator, verbose, model.schema.decimal)
    encoder, target = Encoder(model.schema, reader, with_target=True), model.schema.target
    generator = random.Random(seed)
    # Each row gets a random number. The sample are the rows with the smallest numbers.
    X, y, numbers = np.empty((0, model.schema.width), np.float32), np.empty(0), np.empty(0)
    for read in reader.blocks():
        block = encoder.without_missing_target(read) if skip_missing_target else read
        numbers = np.concatenate([numbers, np.array([generator.random() for _ in block.lines])])
        drawn = np.sort(np.argsort(numbers, kind="stable")[:rows])
        X = np.concatenate([X, encoder.inputs(block)])[drawn]
        y = np.concatenate([y, encoder.targets(block)])[drawn]
        numbers = numbers[drawn]
    if isinstance(target, NumberTarget):
        return X, (y - target.mean) / target.deviation
    return X, y.astype(np.int64)
