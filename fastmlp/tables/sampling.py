"""Some rows of a file, drawn by chance, as a model's network reads them."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.checks import whole_number
from fastmlp.tables.encode import Encoder, Matrix
from fastmlp.tables.model import TabularModel
from fastmlp.tables.reader import Reader
from fastmlp.tables.schema import NumberTarget


def sample(
    model: TabularModel,
    path: str | os.PathLike[str],
    rows: int = 100,
    *,
    seed: int = 0,
    separator: str | None = None,
    verbose: bool | str = "auto",
) -> tuple[Matrix, NDArray[Any]]:
    """Draw rows of a file that holds the target too; every row is as likely as any other.

    Parameters
    ----------
    model : TabularModel
        Whose schema the file has.
    path : path-like
        The file, read to its end.
    rows : int
        How many to draw; all, if there are fewer.
    seed : int
        Decides which.
    separator : str, optional
        What stands between the fields; None finds it.
    verbose : bool or "auto"
        Whether reading shows a line of progress.

    Returns
    -------
    X : ndarray of shape (n, schema.width)
        Encoded rows, in the file's order.
    y : ndarray of shape (n,)
        Places of classes, or standardised numbers.

    Raises
    ------
    TableError
        If the file cannot be used.
    ValueError, TypeError
        If an argument is out of its range.
    """
    whole_number(rows, "rows")
    whole_number(seed, "seed", minimum=0)
    reader = Reader(path, separator, verbose)
    encoder, target = Encoder(model.schema, reader, with_target=True), model.schema.target
    generator = random.Random(seed)
    # Each row draws a number; the rows of the smallest ones are the sample.
    X, y, chances = np.empty((0, model.schema.width), np.float32), np.empty(0), np.empty(0)
    for block in reader.blocks():
        drawn = np.array([generator.random() for _ in block.lines])
        chances = np.concatenate([chances, drawn])
        chosen = np.sort(np.argsort(chances, kind="stable")[:rows])
        X = np.concatenate([X, encoder.inputs(block)])[chosen]
        y = np.concatenate([y, encoder.targets(block)])[chosen]
        chances = chances[chosen]
    if isinstance(target, NumberTarget):
        return X, (y - target.mean) / target.deviation
    return X, y.astype(np.int64)
