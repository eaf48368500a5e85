"""`RayReport` reports epochs and checkpoints to Ray Tune. It needs Ray: `pip install "fastmlp[ray]"`."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastmlp._runtime.checks import shown, whole_number
from fastmlp._runtime.extras import needed_by
from fastmlp._runtime.names import check_keywords
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitoring import check_entry


class RayReport(Callback):
    """Report the loss and the metrics to Ray Tune after each epoch, with a checkpoint if one is due.

    Each epoch is an iteration of Ray. Besides the metrics it has "epoch", the number of the epoch, counted from 0 since
    the network was created.

    Parameters
    ----------
    metrics : str, iterable of str, or mapping of str to str, optional
        The entries of the history to report. None reports all of them. A mapping goes from the names that Ray gets to
        the entries: {"score": "val_accuracy"}.
    checkpoint_every : int
        Add a checkpoint after each epoch whose number, counted from 1 since the network was created, is a multiple of
        this. 0 means never.

    Attributes
    ----------
    filename : str
        The file of a checkpoint, "model.safetensors", which `Network.load` reads.

    Raises
    ------
    ImportError
        If Ray or what Ray Tune needs is not installed.
    TypeError
        If an argument has the wrong type.
    ValueError
        If `checkpoint_every` is negative, or a mapping gives another entry the name "epoch".

    Notes
    -----
    A scheduler may end the trial while it reports. The fit then ends as by any exception in a callback. NaN is reported
    as it is. A trial whose training loss becomes NaN fails with `NonFiniteLossError`; the other trials go on.

    A network may use all processors by default, and a trial has one. Give `threads=1` to `Network` and `Network.load`,
    or as many as the resources of the trials say.

    Examples
    --------
    A training that Ray can interrupt and continue, to the bits of a training without interruption:

    >>> def train(config):
    ...     net = Network([30, config["units"], 2], output="softmax", seed=0, threads=1)
    ...     checkpoint = tune.get_checkpoint()
    ...     if checkpoint:
    ...         with checkpoint.as_directory() as folder:
    ...             net = Network.load(Path(folder) / RayReport.filename, threads=1)
    ...     if net.epoch < 50:
    ...         report = RayReport(["val_loss"], checkpoint_every=10)
    ...         net.fit(X, y, epochs=50 - net.epoch, validation_split=0.2, callbacks=[report])
    >>> space = {"units": tune.choice([8, 16, 32])}
    >>> results = tune.Tuner(train, param_space=space).fit()
    >>> results.get_best_result("val_loss", "min").config
    """

    filename: str = "model.safetensors"

    @check_keywords
    def __init__(
        self, metrics: str | Iterable[str] | Mapping[str, str] | None = None, *, checkpoint_every: int = 0
    ) -> None:
        _tune()  # raises now, not after the first epoch
        self.metrics = None if metrics is None else _entries_by_name(metrics)
        self.checkpoint_every = whole_number(checkpoint_every, "checkpoint_every", minimum=0)

    def on_train_begin(self) -> None:
        """Check that Ray Tune runs this fit, and that the fit has the entries to report.

        Raises
        ------
        RuntimeError
            If the fit does not run within a trial of Ray Tune, which would ignore all reports.
        ValueError
            If an entry in `metrics` is not one of this fit, or the validation rows cannot measure it.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # outside of a trial Ray warns, once for each process
            trial = _tune().get_context().get_trial_id()
        if trial is None:
            raise RuntimeError(
                "RayReport reports to Ray Tune, but this fit does not run within a trial; call it in the function that "
                "tune.Tuner runs, or leave out RayReport"
            )
        for entry in (self.metrics or {}).values():
            check_entry(self, entry, "reports")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Report the epoch, with a checkpoint if `checkpoint_every` selects the epoch."""
        tune = _tune()
        names = {name: name for name in self.entries} if self.metrics is None else self.metrics
        report = {"epoch": epoch, **{name: logs[entry] for name, entry in names.items()}}
        if not self.checkpoint_every or (epoch + 1) % self.checkpoint_every:
            tune.report(report)
            return
        with tempfile.TemporaryDirectory() as folder:
            self.network.save(Path(folder) / self.filename)
            tune.report(report, checkpoint=tune.Checkpoint.from_directory(folder))


def _tune() -> Any:
    """Return the module `ray.tune`."""
    with needed_by("RayReport", "fastmlp[ray]"):
        from ray import tune
    return tune


def _entries_by_name(metrics: Any) -> dict[str, str]:
    """Return the entries of the history by the names that Ray gets."""
    is_single = isinstance(metrics, str) or not isinstance(metrics, Iterable)
    given = [metrics] if is_single else list(metrics)
    entries = list(metrics.values()) if isinstance(metrics, Mapping) else given
    if not all(isinstance(each, str) for each in (*given, *entries)):
        raise TypeError(
            "metrics must be names of the history such as ['val_loss', 'val_accuracy'], or a mapping from other names "
            f"to these, got {shown(metrics)}"
        )
    names = dict(zip(given, entries, strict=True))
    if "epoch" in names:
        raise ValueError("metrics must not contain the name 'epoch', which is the number of the epoch")
    return names
