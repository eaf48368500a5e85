"""Predictions of so few rows that to find out where they lie would take longer than to compute them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import check_finite
from fastmlp._data.feeds import point_to_inputs
from fastmlp._engine.flops import SERIAL_FLOPS, forward_flops
from fastmlp._engine.parameters import Parameters
from fastmlp._engine.plan import Plan
from fastmlp._runtime.buffers import address, aligned_zeros
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.phases.predict import predict_region

MOST = 256  # rows that are few at most
ROOM = 1 << 16  # numbers of a buffer at most; where a row takes more than that, no number of rows is few


class FewRowsPredictor:
    """Copies rows to where the kernels always find them, and the predictions from where they always put them.

    To tell the kernels of an array takes 5 us, and to copy a row 0.2: so there are buffers, and a plan that points to
    them, of which a call changes nothing but the number of rows. One row of 30-16-8-2 takes 2.6 us so, 0.5 of them in
    the kernel. Buffers and plan are made when they are first needed.

    Parameters
    ----------
    parameters : Parameters
        The network's memory.

    Attributes
    ----------
    most : int
        How many rows are few: those of which a second thread would have no share, if they have room.
    """

    def __init__(self, parameters: Parameters) -> None:
        architecture = parameters.architecture
        serial = max(int(SERIAL_FLOPS / forward_flops(architecture, 1)), PANEL)
        self.most = min(serial, ROOM // (architecture.inputs + architecture.units), MOST)
        self._parameters = parameters
        self._dtype = architecture.dtype
        self._places: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}  # of X and predictions, by the number of rows

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """The output activations of at most `most` rows.

        Raises
        ------
        ValueError
            If a value of X is NaN, infinite or too large.
        MemoryError
            If the buffers would take more than there is.
        """
        rows = len(X)
        inputs, outputs = self._places.get(rows) or self._place(rows)
        if X.dtype == self._dtype:
            inputs[:] = X
        else:
            with np.errstate(all="ignore"):  # what is too large becomes infinite, whatever the user has NumPy raise
                inputs[:] = X
        record = self._record
        record.rows, record.not_finite = rows, 0
        self._forward(*self._arguments)
        if record.not_finite:
            check_finite(X, self._dtype, "X")
            raise ValueError("X held NaN or infinity, and was changed by another thread while it was read")
        return outputs.copy()

    def _place(self, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Where so many rows and their predictions are."""
        if not self._places:
            self._make()
        inputs, outputs = self._places[self.most]
        return self._places.setdefault(rows, (inputs[:rows], outputs[:rows]))

    def _make(self) -> None:
        architecture = self._parameters.architecture
        plan = Plan(self._parameters, "prediction", self.most, threads=1)
        inputs = aligned_zeros(self.most * architecture.inputs, self._dtype).reshape(self.most, -1)
        outputs = aligned_zeros(self.most * architecture.outputs, self._dtype).reshape(self.most, -1)
        point_to_inputs(plan, inputs)
        plan.record.output, plan.record.output_stride = address(outputs), architecture.outputs
        self._plan, self._record = plan, plan.record
        self._forward: Callable[..., None] = predict_region.function_for(self._dtype)
        self._arguments = (plan.address, None, 0)
        self._places[self.most] = inputs, outputs
