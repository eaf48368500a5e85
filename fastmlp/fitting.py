"""The loop over epochs: calls of the trainer, validation, callbacks, history and the progress line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.callbacks import Callback
from fastmlp.kernels import layout as at
from fastmlp.progress import Progress
from fastmlp.training import Trainer, batch_loss, epoch_losses

if TYPE_CHECKING:
    from fastmlp.network import Network


class Fitting:
    """One fit of a network.

    Parameters
    ----------
    network : Network
        Whose history is written and whose `stop_training` ends the fit.
    trainer : Trainer
        Runs the steps.
    validation : tuple or None
        Arguments for `network.evaluate` after each epoch.
    callbacks : sequence of Callback
        Called in this order.
    progress : Progress
        The line.
    """

    def __init__(
        self,
        network: Network,
        trainer: Trainer,
        validation: tuple[Any, ...] | None,
        callbacks: Sequence[Callback],
        progress: Progress,
    ) -> None:
        self.network, self.trainer, self.validation = network, trainer, validation
        self.callbacks, self.progress = callbacks, progress
        self.by_batch = any(_overrides(callback, "on_train_batch_end") for callback in callbacks)
        self.by_epoch = bool(callbacks) or validation is not None

    def run(self, epochs: int) -> None:
        """Train until that many more epochs are done; one that was interrupted before is finished as the first."""
        state = self.trainer.parameters.state
        first, last = int(state[at.EPOCH]), int(state[at.EPOCH]) + epochs
        history = self.network.history
        assert history is not None
        self.progress.begin()
        started = time.perf_counter()
        try:
            self._tell("on_train_begin")
            while state[at.EPOCH] < last and not self.network.stop_training:
                if self.by_epoch and state[at.BATCH_OF_EPOCH] == 0:
                    self._tell("on_epoch_begin", int(state[at.EPOCH]))
                self._advance(first, last)
                history.seconds = time.perf_counter() - started
            self.trainer.check_weights()
            self._tell("on_train_end")
        finally:
            history.seconds = time.perf_counter() - started
            self.progress.close()

    def _advance(self, first: int, last: int) -> None:
        """One call of the trainer, and what follows from it."""
        state, trainer = self.trainer.parameters.state, self.trainer
        steps_per_epoch = trainer.feed.steps_per_epoch
        epoch, batch = int(state[at.EPOCH]), int(state[at.BATCH_OF_EPOCH])
        most = trainer.steps_left() if self.by_epoch else (last - epoch) * steps_per_epoch - batch
        results, interrupt = self._run(1 if self.by_batch else most)
        if self.by_batch and len(results):
            self._tell("on_train_batch_end", batch, {"loss": batch_loss(results[0])})
        for loss in epoch_losses(results, batch, steps_per_epoch):
            self._end_epoch(epoch, {"loss": loss})
            epoch += 1
        done = int(state[at.EPOCH]) - first + int(state[at.BATCH_OF_EPOCH]) / steps_per_epoch
        self._show(done, force=int(state[at.EPOCH]) == last or self.network.stop_training)
        if interrupt is not None:
            raise interrupt

    def _run(self, most: int) -> tuple[NDArray[np.float64], KeyboardInterrupt | None]:
        """Results of some steps; after Ctrl-C those of the steps that are done, so that the history misses none."""
        before = int(self.trainer.parameters.state[at.STEP])
        try:
            return self.trainer.run(most), None
        except KeyboardInterrupt as interrupt:
            done = int(self.trainer.parameters.state[at.STEP]) - before
            return self.trainer.results[:done], interrupt

    def _end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        history = self.network.history
        assert history is not None
        if self.validation is not None:
            logs.update({f"val_{name}": value for name, value in self.network.evaluate(*self.validation).items()})
        history.add(epoch, logs)
        self._tell("on_epoch_end", epoch, logs)

    def _show(self, done: float, force: bool) -> None:
        history = self.network.history
        assert history is not None
        logs = {name: values[-1] for name, values in history.history.items() if name in ("loss", "val_loss")}
        self.progress.update(done, logs, force)

    def _tell(self, event: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(*arguments)


def _overrides(callback: Callback, event: str) -> bool:
    return getattr(type(callback), event) is not getattr(Callback, event)
