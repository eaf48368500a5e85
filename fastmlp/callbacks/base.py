"""What a fit calls at its joints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastmlp.network import Network


class Callback:
    """The base class: every method does nothing, override what you need.

    Order. A fit calls its callbacks in the order given, all of them at one event before any at the next::

        on_train_begin
            on_epoch_begin
                on_train_batch_end      after the steps that it asks for
                on_steps_end            after each call of the kernels, some 50 ms of steps at most
            on_epoch_end                the epoch is validated and stands in the history
        on_train_end

    An epoch that an earlier fit was interrupted in is finished first, without `on_epoch_begin`.

    Cost. Where no callback overrides `on_train_batch_end`, many steps run in one call of a kernel, and no other event
    changes that; where one does, each step that it asks for comes back to Python, which costs some microseconds.

    Stopping. `network.stop_training = True`, set at any event, ends the fit after the epoch: set at `on_train_begin` or
    `on_epoch_end` before the next one, else after the one under way. `network.stop_at_once = True` ends it after the
    steps under way; the epoch is not in the history and the next fit on the same data finishes it, to the same bits.
    Either way the callbacks after this one still hear of the event, and all of `on_train_end`. Several may set them;
    each fit sets both to False before `on_train_begin`.

    Exceptions. What a callback raises ends the fit, as Ctrl-C does. No callback hears anything any more: not those
    after it of this event, and nobody of `on_train_end`. The network is that of a finished step, with finite weights;
    an epoch whose weights were not is undone. `network.history` holds every finished epoch, also the one whose
    `on_epoch_end` raised. Files are as the callbacks before it have left them, whole: at `on_epoch_end` a
    `ModelCheckpoint` or `CSVLogger` that stands before it has saved the epoch, one behind it has not. The same holds
    where the loss becomes NaN; `on_epoch_end` was called for the epochs before alone.

    Attributes
    ----------
    every_steps : int
        `on_train_batch_end` is called after each step whose number, counted since the network was made, is a multiple
        of it: after every one unless you set it, never where it is 0. The steps between run in one call.
    network : Network
        The network that is fitted. Read it, `set_weights`, set its `learning_rate`, `stop_training` or `stop_at_once`;
        to fit it is refused.
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

    def on_steps_end(self, batch: int) -> None:
        """After some steps of an epoch, the last of them `batch`: at most some 50 ms of them, or one that takes longer.

        How many they are depends on the machine, so decide by the clock here and not by counting.
        """

    def overrides(self, event: str) -> bool:
        """Return whether the class of this callback overrides the method of an event.

        A fit asks for `on_train_batch_end` and `on_steps_end`, because calling them has a cost.

        Parameters
        ----------
        event : str
            The name of a method of `Callback`, such as "on_train_batch_end".

        Returns
        -------
        bool
            False if the method is the one of `Callback`, which does nothing.
        """
        return getattr(type(self), event) is not getattr(Callback, event)


def check_callbacks(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return the callbacks as a list.

    Raises
    ------
    TypeError
        If `callbacks` is a single callback or not iterable, or an entry is not an instance of `Callback`.
    """
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be a list of callbacks, callbacks=[...], got {callbacks!r}")
    listeners = list(callbacks)
    for callback in listeners:
        if not isinstance(callback, Callback):
            is_class = isinstance(callback, type) and issubclass(callback, Callback)
            given = f"the class itself; write {callback.__name__}(...)" if is_class else repr(callback)
            raise TypeError(f"callbacks must be instances of fastmlp.Callback, got {given}")
    return listeners
