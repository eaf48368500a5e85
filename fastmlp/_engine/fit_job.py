"""What a fit is given: the checked arguments, and the plan of its validation."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fastmlp._data.array_feed import ArrayData
from fastmlp._data.arrays import FLOAT64, converted
from fastmlp._data.block_data import BlockData
from fastmlp._data.chunk_feed import ChunkData
from fastmlp._data.samples import Samples
from fastmlp._display.progress import ProgressLine
from fastmlp._engine.step_runner import EpochLosses, epoch_losses
from fastmlp._runtime import memory
from fastmlp.architecture import Architecture
from fastmlp.metrics.evaluation import SelectedMetrics, built_in_metrics, undefined_metrics, working_memory
from fastmlp.metrics.undefined import Undefined, warn_undefined

if TYPE_CHECKING:
    from fastmlp.callbacks import Callback


class Validation(NamedTuple):
    """What is evaluated after each epoch, as `plan_validation` returns it.

    Parameters
    ----------
    samples : Samples
        The validation rows.
    metrics : mapping
        The metrics that are in the history, by name.
    requested : mapping
        Those of `fastmlp.metrics.METRICS` that the user requested.
    undefined : mapping
        Those that cannot tell good predictions of these rows from bad ones. They are not measured if they are NaN.
    """

    samples: Samples
    metrics: SelectedMetrics
    requested: SelectedMetrics
    undefined: Mapping[str, Undefined]

    @property
    def measured(self) -> SelectedMetrics:
        """The metrics that have a value for these rows."""
        return {name: metric for name, metric in self.metrics.items() if name not in _without_value(self.undefined)}


def plan_validation(samples: Samples, metrics: SelectedMetrics, requested: bool) -> Validation:
    """Return the validation of a fit.

    A default metric that has no value for the validation rows is NaN in the history, with a warning.

    Parameters
    ----------
    samples : Samples
        The validation rows.
    metrics : mapping
        The metrics to measure, by name.
    requested : bool
        Whether the user requested these metrics, else they are the defaults.

    Raises
    ------
    ValueError
        If a requested metric has no value for these rows, whatever is predicted.
    MemoryError
        If there is not enough memory to evaluate the rows.
    """
    require_memory_to_evaluate(samples.targets.architecture, len(samples.X), metrics)
    built_in = built_in_metrics(metrics)
    undefined: dict[str, Undefined] = {}
    if any(metric.undefined for metric in built_in.values()):
        architecture, weights = samples.targets.architecture, samples.weights
        sample_weight = None if weights is None else converted(weights[:], FLOAT64)
        y, outputs = samples.targets.as_array(), architecture.outputs
        undefined = undefined_metrics(built_in, architecture.loss, y, outputs, sample_weight)
    for name, reason in _without_value(undefined).items():
        if requested:
            raise ValueError(f"metric {name!r} has no value for the validation rows: {reason}")
        warn_undefined(f"val_{name}", reason, math.nan)
    return Validation(samples, metrics, built_in if requested else {}, undefined)


def require_memory_to_evaluate(architecture: Architecture, rows: int, metrics: SelectedMetrics) -> None:
    """Raise MemoryError if there is not enough memory for the predictions and metrics of some rows."""
    count, dtype = rows * architecture.outputs, architecture.dtype
    size = count * dtype.itemsize + working_memory(metrics, count, dtype)
    memory.require(size, f"to evaluate {rows:,} rows at once", "fewer rows, or other metrics, would take less")


def _without_value(undefined: Mapping[str, Undefined]) -> dict[str, str]:
    """Return the reasons of the undefined metrics that are NaN, by name."""
    return {name: each.reason for name, each in undefined.items() if math.isnan(each.value)}


@dataclass
class FitJob:
    """The checked arguments of a fit.

    Parameters
    ----------
    data : ArrayData, BlockData or ChunkData
        The samples to train on.
    epochs, batch_size : int
        The number of epochs, and the rows of a batch. A batch is never larger than the data.
    shuffle : bool
        Whether each epoch has its own order of rows.
    callbacks : sequence of Callback
        Called in this order.
    verbose : {"auto", True, False}
        Whether to show a line of progress.
    validation : Validation, optional
        The samples and metrics to evaluate after each epoch.
    losses : function
        Computes the losses of epochs from the results of steps.
    units : mapping of str to float
        The factors by which "loss" and metrics are multiplied before callbacks, progress line and history see them.
        Targets that are scaled for the network are so reported in their own unit.
    """

    data: ArrayData | BlockData | ChunkData
    epochs: int
    batch_size: int
    shuffle: bool
    callbacks: Sequence[Callback] = ()
    verbose: bool | int | str = "auto"
    validation: Validation | None = None
    losses: EpochLosses = epoch_losses
    units: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Limit the batch to the data."""
        self.batch_size = min(self.batch_size, self.data.rows_per_epoch or self.batch_size)

    def progress_line(self) -> contextlib.closing[ProgressLine]:
        """Return a context that closes the line of progress. A callback can request the line, too."""
        requested = self.verbose in (0, "auto") and any(callback._shows_progress for callback in self.callbacks)
        verbose = True if requested else self.verbose
        return contextlib.closing(ProgressLine(verbose, self.epochs, self.data.rows_per_epoch))
