"""Saving the network while it is trained, so that nothing but the steps since the last save can be lost."""

from __future__ import annotations

import os
import re
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from fastmlp._io import checkpoint
from fastmlp._io.atomic import require_writable
from fastmlp._runtime.checks import whole_number
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitoring import Mode, Monitor
from fastmlp.kernels import layout as at


class ModelCheckpoint(Callback):
    """Save the network after each epoch, after the best ones, or every so many steps.

    The files are those of `Network.save`, the optimizer's memory included, and at any moment the old one or the new
    one is there. A training that was ended, by whatever, goes on from the last of them to the bits of one that never
    was, if `fit` gets the same data, `validation_split`, `batch_size`, `shuffle` and weights of rows again::

        net = Network.load("model.safetensors")
        net.fit(X, y, epochs=100 - net.epoch, callbacks=[ModelCheckpoint("model.safetensors")])

    `net.epoch` counts the epochs that are done; the one under way, if the file was written within it, is finished as
    the first of `epochs`. With other data, another batch size, or chunks, that epoch begins anew.

    What cannot be saved ends the fit with the OSError that says why; the network can be saved elsewhere and go on.
    So does Ctrl-C during a save, which leaves the older file.

    Parameters
    ----------
    filepath : path
        The file; its folder is made if it is missing. Its name may hold fields, as in
        "model-{epoch:02d}-{val_loss:.3f}.safetensors", which keeps all files: `{epoch}`, counted from 1, `{step}`, how
        many steps of the optimizer are done, and the entries of the history. With a number as `save_freq` these are
        `{epoch}`, the one under way, `{batch}` of it, counted from 1, `{step}`, and `{loss}` of that batch.
    monitor : str
        What decides which epoch is the best, an entry of the history such as "val_loss".
    save_best_only : bool
        Whether to save only after an epoch that is better than all before. A fit that goes on with a network, in this
        process or another, knows the best value from the files that lie there; one that begins with a fresh network
        starts anew and overwrites them.
    mode : {"auto", "min", "max"}
        Whether what is watched should fall or rise, as for `EarlyStopping`.
    save_freq : "epoch" or int
        When to save: after each epoch, or after each step whose number is a multiple of this.

    Attributes
    ----------
    best : float or None
        The best value so far, where that is asked for.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        *,
        save_best_only: bool = False,
        mode: Mode = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
    ) -> None:
        self.filepath = os.fspath(filepath)
        self._folder, self._name = Path(self.filepath).parent, Path(self.filepath).name
        if not self._name or _fields(self._name) is None or _fields(str(self._folder)) != set():
            raise ValueError(
                "filepath must be that of a file, with fields such as {epoch:02d} in its name alone, and braces that "
                f"are no fields doubled, got {self.filepath!r}"
            )
        self.monitor, self._watched = monitor, Monitor(monitor, mode)
        self.save_best_only = save_best_only
        self.every_steps = 0 if save_freq == "epoch" else whole_number(save_freq, "save_freq, if not 'epoch',")
        if save_best_only and self.every_steps:
            raise ValueError("save_best_only compares epochs, so it goes with save_freq='epoch'")
        self.best: float | None = None

    def on_train_begin(self) -> None:
        """Check that there will be what the arguments name; look for the best so far.

        Raises
        ------
        ValueError
            If there will be nothing of a name.
        OSError
            If the folder cannot be made or written to.
        """
        if self.save_best_only:
            self._watched.begin(self.entries, "ModelCheckpoint")
        known = dict.fromkeys(self._numbers(), 1) | dict.fromkeys(("loss",) if self.every_steps else self.entries, 0.5)
        unknown = (_fields(self._name) or set()) - known.keys()
        if unknown:
            raise ValueError(
                f"filepath {self.filepath!r} names {', '.join(sorted(unknown)) or 'a field without a name'}, "
                f"but there is only {', '.join(known)}"
            )
        try:
            path = self._path(known)
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise ValueError(f"filepath {self.filepath!r} has a format that does not suit: {error}") from None
        self._folder.mkdir(parents=True, exist_ok=True)
        require_writable(path, "the checkpoint")
        self.best = self._best_so_far() if self.save_best_only and self.network.step else None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Save, if it is the time and good enough."""
        if self.every_steps:
            return
        path = self._path({**logs, "epoch": epoch + 1, "step": self.network.step})
        if not self.save_best_only:
            self.network.save(path)
        elif self._watched.better(logs[self.monitor], self.best):
            self.network._save(path, True, None, (self.monitor, logs[self.monitor]))
            self.best = logs[self.monitor]

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Save within an epoch; not where the step has made NaN or infinity, which the next one will find."""
        own = self.network._parameters
        if own.are_finite():
            epoch = self.network.epoch + (own.state[at.BATCH_OF_EPOCH] != 0)  # after its last batch it is counted
            self.network.save(self._path({**logs, "epoch": int(epoch), "batch": batch + 1, "step": self.network.step}))

    def _numbers(self) -> tuple[str, ...]:
        return ("epoch", "batch", "step") if self.every_steps else ("epoch", "step")

    def _path(self, values: dict[str, Any]) -> Path:
        return self._folder / self._name.format(**values)

    def _best_so_far(self) -> float | None:
        """The best value among the files of this training that are there."""
        parts = Formatter().parse(self._name)
        pattern = "".join(re.escape(text) + ("" if field is None else ".*") for text, field, _, _ in parts)
        best: float | None = None
        for path in sorted(self._folder.iterdir()):
            if re.fullmatch(pattern, path.name, re.DOTALL) and path.is_file():
                found = checkpoint.best_of(path, self.network.architecture, self.monitor)
                best = found if found is not None and self._watched.better(found, best) else best
        return best


def _fields(template: str) -> set[str] | None:
    """The names of a template's fields; None where its braces do not match."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return None
    return {re.split(r"[.\[]", field, maxsplit=1)[0] for _, field, _, _ in parts if field is not None}
