"""`ModelCheckpoint` saves the network during a fit, so that a crash loses only the steps since the last save."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from fastmlp._engine.engine import engine_of
from fastmlp._io import checkpoint
from fastmlp._io.atomic import require_writable
from fastmlp._runtime.checks import path_text, whole_number
from fastmlp._runtime.names import check_keywords, hint
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitoring import Mode, Monitor


class ModelCheckpoint(Callback):
    """Save the network after each epoch, after each best epoch, or every given number of steps.

    The callback writes files as `Network.save` does, with the state of the optimizer. A save replaces the file
    atomically: at any moment the old file or the new file is complete. Training that was interrupted for any reason
    continues from the last file. The result has the same bits as uninterrupted training, if `fit` is called with the
    same data, `validation_split`, `batch_size`, `shuffle`, `sample_weight` and `class_weight`.

    Parameters
    ----------
    filepath : path
        The file. Missing folders are created. The file name may contain format fields; for example,
        "model-{epoch:02d}-{val_loss:.3f}.safetensors" keeps one file per epoch. The fields are `{epoch}`, counted from
        1, `{step}`, the number of optimizer steps done, and the entries of the history. If `save_freq` is a number, the
        fields are `{epoch}`, the current epoch, `{batch}`, the batch within the epoch, both counted from 1, `{step}`,
        and `{loss}`, the loss of that batch.
    monitor : str
        The entry of the history that decides which epoch is the best, such as "val_loss". It is used only with
        `save_best_only`.
    save_best_only : bool
        Whether to save only after an epoch that is better than all epochs before it. A fit that continues the training
        of a network, in the same process or another one, reads the best value from the existing files. A fit of a new
        network ignores the existing files and overwrites them.
    mode : {"auto", "min", "max"}
        Whether a smaller ("min") or a larger ("max") value is better. "auto" knows the direction of losses and of the
        metrics in `fastmlp.metrics.METRICS` by name. Set it for a metric function of your own.
    save_freq : "epoch" or int
        Save after each epoch, or after each step whose number, counted since the network was created, is a multiple of
        this integer.

    Attributes
    ----------
    best : float or None
        The best value of `monitor` so far; None without `save_best_only`.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an argument is out of range, `filepath` names no file or has fields in its folder, or `save_best_only` is
        combined with a number as `save_freq`.

    Notes
    -----
    A save that fails ends the fit with an OSError that states the reason. The network stays usable: save it elsewhere
    and continue the fit. Ctrl-C during a save leaves the old file in place and ends the fit.

    Examples
    --------
    Train for 100 epochs in total, however often the process is killed and this script restarted:

    >>> path = Path("model.safetensors")
    >>> net = Network.load(path) if path.exists() else Network([30, 16, 2], output="softmax", seed=0)
    >>> if net.epoch < 100:
    ...     net.fit(X, y, epochs=100 - net.epoch, callbacks=[ModelCheckpoint(path)])

    `net.epoch` counts the finished epochs. If the file was written within an epoch, `fit` finishes that epoch as the
    first of `epochs`. With other data, another batch size, or chunks, `fit` restarts that epoch.
    """

    @check_keywords
    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        *,
        save_best_only: bool = False,
        mode: Mode = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
    ) -> None:
        self.filepath = path_text(filepath, "filepath")
        self._folder, self._name = Path(self.filepath).parent, Path(self.filepath).name
        if not self._name or _fields(self._name) is None or _fields(str(self._folder)) != set():
            raise ValueError(
                "filepath must be the path of a file, with fields such as {epoch:02d} in the file name only and other "
                f"braces doubled, got {self.filepath!r}"
            )
        self.monitor, self._monitor = monitor, Monitor(monitor, mode)
        self.save_best_only = save_best_only
        self.every_steps = 0 if save_freq == "epoch" else whole_number(save_freq, "save_freq, if not 'epoch',")
        if save_best_only and self.every_steps:
            raise ValueError(f"save_best_only=True needs save_freq='epoch', got save_freq={save_freq!r}")
        self.best: float | None = None

    def on_train_begin(self) -> None:
        """Check the names in the arguments and the file, and read the best value from the existing files.

        Raises
        ------
        ValueError
            If `monitor` or a field of `filepath` is not an entry of this fit, the validation rows cannot measure
            `monitor`, or a field has an invalid format.
        OSError
            If the folder cannot be created or the file cannot be written.
        """
        if self.save_best_only:
            self._monitor.begin(self)
        known = dict.fromkeys(self._numbers(), 1) | dict.fromkeys(("loss",) if self.every_steps else self.entries, 0.5)
        unknown = (_fields(self._name) or set()) - known.keys()
        if unknown:
            raise ValueError(
                f"filepath {self.filepath!r} has the field {', '.join(sorted(unknown)) or '{} without a name'}, "
                f"but this fit provides only {', '.join(known)}{hint(min(unknown), known)}"
            )
        try:
            path = self._path(known)
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise ValueError(f"filepath {self.filepath!r} has a field with an invalid format: {error}") from None
        self._folder.mkdir(parents=True, exist_ok=True)
        require_writable(path, "the checkpoint")
        self.best = self._best_so_far() if self.save_best_only and self.network.step else None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Save the network, with `save_best_only` only if the epoch is the best so far.

        Raises
        ------
        UndefinedScoreError
            With `save_best_only`, if the value of `monitor` is NaN. The file has the best earlier epoch.
        """
        if self.every_steps:
            return
        path = self._path({**logs, "epoch": epoch + 1, "step": self.network.step})
        if not self.save_best_only:
            self.network.save(path)
            return
        value = self._monitor.value(epoch, logs)
        if self._monitor.better(value, self.best):
            engine_of(self.network).save(path, optimizer=True, best=(self.monitor, value))
            self.best = value

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Save the network, unless the step has left NaN or infinity in the weights; the next step reports these."""
        engine = engine_of(self.network)
        if engine.are_finite():
            epoch = engine.epoch + engine.is_within_epoch  # a finished epoch is already counted
            self.network.save(self._path({**logs, "epoch": int(epoch), "batch": batch + 1, "step": self.network.step}))

    def _numbers(self) -> tuple[str, ...]:
        return ("epoch", "batch", "step") if self.every_steps else ("epoch", "step")

    def _path(self, values: dict[str, Any]) -> Path:
        return self._folder / self._name.format(**values)

    def _best_so_far(self) -> float | None:
        """Return the best value among the existing files of this training, None if there are none."""
        parts = Formatter().parse(self._name)
        pattern = "".join(re.escape(text) + ("" if field is None else ".*") for text, field, _, _ in parts)
        best: float | None = None
        for path in sorted(self._folder.iterdir()):
            if re.fullmatch(pattern, path.name, re.DOTALL) and path.is_file():
                found = checkpoint.best_of(path, self.network.architecture, self.monitor)
                if found is not None and not math.isnan(found) and self._monitor.better(found, best):
                    best = found
        return best


def _fields(template: str) -> set[str] | None:
    """Return the names of the fields of a format string, None if its braces do not match."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return None
    return {re.split(r"[.\[]", field, maxsplit=1)[0] for _, field, _, _ in parts if field is not None}
