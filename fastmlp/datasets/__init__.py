"""Data that ships with the package: nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "load_breast_cancer"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Measurements with their classes.

    Parameters
    ----------
    X : array of float64, shape (n, features)
        A row for each sample.
    y : array of int64, shape (n,)
        The class of each sample.
    feature_names : tuple of str
        The names of the columns of X.
    target_names : tuple of str
        The names of the classes 0, 1, ...
    description : str
        Where the data come from and under what licence.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    description: str


def load_breast_cancer() -> Dataset:
    """The Breast Cancer Wisconsin (Diagnostic) data: 569 fine-needle aspirates, 30 measurements each.

    Class 1 is malignant, the positive class, and 0 benign. The arrays are fresh ones at every call. Source: Wolberg,
    Mangasarian, Street and Street (1993), https://doi.org/10.24432/C5DW2B, under CC BY 4.0.

    Returns
    -------
    Dataset
        X of shape (569, 30), y of shape (569,) with 212 ones.
    """
    folder = resources.files(__name__)
    with folder.joinpath("breast_cancer.csv").open(encoding="ascii") as file:
        columns = file.readline().rstrip("\n").split(",")
        table = np.loadtxt(file, delimiter=",")
    return Dataset(
        X=np.ascontiguousarray(table[:, :-1]),
        y=table[:, -1].astype(np.int64),
        feature_names=tuple(columns[:-1]),
        target_names=("benign", columns[-1]),
        description=folder.joinpath("breast_cancer.md").read_text(encoding="utf-8"),
    )
