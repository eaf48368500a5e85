"""`SparseRows`: a sparse matrix whose rows become dense when they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class SparseRows:
    """A view of a SciPy matrix that returns dense rows. A large matrix is never converted as a whole.

    Parameters
    ----------
    matrix : sparse matrix or array
        The matrix, in any sparse format.
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix.tocsr()
        self.shape: tuple[int, int] = self.matrix.shape
        self.dtype: np.dtype[Any] = self.matrix.dtype

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Return the selected rows as a dense array."""
        dense: NDArray[Any] = self.matrix[rows].toarray()
        return dense
