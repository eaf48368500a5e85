"""Predictions of few rows, which take less time than to point a plan to the user's array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import raise_not_finite
from fastmlp._data.staging import point_to_inputs
from fastmlp._engine.flops import SERIAL_FLOPS, forward_flops
from fastmlp._engine.parameters import Parameters
from fastmlp._engine.plan import Plan
from fastmlp._engine.purposes import PREDICTION
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.architecture import Architecture
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.phases.predict import predict_region

MAX_ROWS = 256
MAX_NUMBERS = 1 << 16  # of both buffers; if a single row takes more, `max_rows` is 0


def rows_of_one_thread(architecture: Architecture, flops: float) -> int:
    """Return how many rows are few: work for one thread, at so many operations a row, and within `MAX_NUMBERS`."""
    serial = max(int(SERIAL_FLOPS / flops), PANEL) if flops else MAX_ROWS
    return min(serial, MAX_NUMBERS // (architecture.inputs + architecture.units), MAX_ROWS)


class FewRowsPredictor:
    """A predictor of few rows. It copies rows into buffers to which one plan points permanently.

    To point a plan to a user's array takes 5 us, to copy a row 0.2 us. So rows are copied into one buffer, and
    predictions out of another. A call changes nothing in the plan but the number of rows. One row of 30-16-8-2 then
    takes 2.6 us, 0.5 us of them in the kernel. Buffers and plan are made when they are first needed.

    Parameters
    ----------
    parameters : Parameters
        The network's memory.

    Attributes
    ----------
    max_rows : int
        The largest number of rows that it predicts.
    """

    def __init__(self, parameters: Parameters) -> None:
        architecture = parameters.architecture
        self.max_rows = rows_of_one_thread(architecture, forward_flops(architecture, 1))
        self._parameters = parameters
        self._dtype = architecture.dtype
        self._views: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}  # for X and predictions, by rows

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the output activations of at most `max_rows` rows.

        Raises
        ------
        ValueError
            If a value of X is NaN, infinite or too large for the dtype.
        MemoryError
            If the buffers would take more memory than there is.
        """
        rows = len(X)
        inputs, outputs = self._views.get(rows) or self._make_views(rows)
        if X.dtype == self._dtype:
            inputs[:] = X
        else:
            with np.errstate(all="ignore"):  # overflow to infinity, whatever `numpy.seterr` is set to
                inputs[:] = X
        record = self._record
        record.rows, record.not_finite = rows, 0
        self._forward(*self._arguments)
        if record.not_finite:
            raise_not_finite(X, self._dtype)
        return outputs.copy()

    def _make_views(self, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return views of the buffers for a number of rows and their predictions."""
        if not self._views:
            self._make_plan()
        inputs, outputs = self._views[self.max_rows]
        return self._views.setdefault(rows, (inputs[:rows], outputs[:rows]))

    def _make_plan(self) -> None:
        """Allocate the buffers, and make the plan that points to them."""
        architecture = self._parameters.architecture
        plan = Plan(self._parameters, PREDICTION, self.max_rows, threads=1)
        inputs = aligned_zeros(self.max_rows * architecture.inputs, self._dtype).reshape(self.max_rows, -1)
        outputs = aligned_zeros(self.max_rows * architecture.outputs, self._dtype).reshape(self.max_rows, -1)
        point_to_inputs(plan.record, inputs)
        plan.record.output, plan.record.output_stride = address(outputs), architecture.outputs
        self._plan, self._record = plan, plan.record
        self._forward: Callable[..., None] = predict_region.function_for(self._dtype)
        self._arguments = (plan.address, None, 0)
        self._views[self.max_rows] = inputs, outputs
