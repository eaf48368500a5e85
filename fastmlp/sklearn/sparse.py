"""Sparse tables, whose rows become dense when they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class SparseRows:
    """The rows of a SciPy matrix, dense as the kernels read them; a large one never is as a whole.

    Parameters
    ----------
    matrix : sparse matrix or array
        Of any format.
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix.tocsr()
        self.shape: tuple[int, int] = self.matrix.shape
        self.dtype: np.dtype[Any] = self.matrix.dtype

    def __len__(self) -> int:
        """How many there are."""
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Those rows, dense."""
        chosen: NDArray[Any] = self.matrix[rows].toarray()
        return chosen
