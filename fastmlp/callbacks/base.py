"""What a fit calls at its joints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastmlp.network import Network


class Callback:
    """The base class: every method does nothing, override what you need.

    `fit` calls its callbacks in the order given. Where no callback overrides `on_train_batch_end`, many steps run in
    one call of a kernel; where one does, each step comes back to Python, which costs some microseconds. What a callback
    raises ends the fit, as Ctrl-C does: the network is that of a finished step, and later callbacks are not called.

    Attributes
    ----------
    every_steps : int
        `on_train_batch_end` is called after each step whose number, counted since the network was made, is a multiple
        of it: after every one unless you set it, never where it is 0. The steps between run in one call.
    network : Network
        The network that is fitted. Set `network.stop_training = True` to end the fit after this epoch.
    entries : tuple of str
        The names that `logs` has at the end of an epoch.
    """

    network: Network
    entries: tuple[str, ...] = ()
    every_steps: int = 1

    def on_train_begin(self) -> None:
        """Before the first epoch."""

    def on_train_end(self) -> None:
        """After the last epoch; not called when the fit ends by an exception."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before each epoch; `epoch` counts from 0 when the network was made."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After each epoch; `logs` holds its loss and, with validation, its metrics."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After a step; `logs` holds "loss", that of the batch as it was before the step, penalties included."""
