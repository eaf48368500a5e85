"""Data sets that are part of the package, for examples and tests. Nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.names import AttributeHints, check_keywords, module_attributes

__all__ = ["Dataset", "load_breast_cancer"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(AttributeHints):
    """A data set for classification.

    Parameters
    ----------
    X : ndarray of float64, shape (n, features)
        The measurements, a row for each sample.
    y : ndarray of int64, shape (n,)
        The class of each sample.
    feature_names : tuple of str
        The names of the columns of X.
    target_names : tuple of str
        The names of the classes 0, 1, ...
    description : str
        The source and the licence of the data.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    description: str

    def __repr__(self) -> str:
        """Return the number of samples and features, and the samples of each class, in one line."""
        counts = ", ".join(f"{np.count_nonzero(self.y == k)} {name}" for k, name in enumerate(self.target_names))
        return f"Dataset({len(self.X)} samples, {self.X.shape[1]} features; {counts})"


@check_keywords
def load_breast_cancer() -> Dataset:
    """Load the Breast Cancer Wisconsin (Diagnostic) data: 569 fine-needle aspirates with 30 measurements each.

    Class 0 is benign, class 1 is malignant, the positive class. scikit-learn numbers the classes the other way round.
    Source: Wolberg, Mangasarian, Street and Street (1993), https://doi.org/10.24432/C5DW2B, licence CC BY 4.0.

    Returns
    -------
    Dataset
        X of shape (569, 30), and y of shape (569,) with 212 ones. Each call returns new arrays.

    Examples
    --------
    >>> data = fastmlp.datasets.load_breast_cancer()
    >>> data.X.shape, data.target_names
    ((569, 30), ('benign', 'malignant'))
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


if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
