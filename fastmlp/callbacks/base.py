"""`Callback`, the base class of all callbacks: the events of a fit, their order, and what a callback may do."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fastmlp._runtime.names import AttributeHints

if TYPE_CHECKING:
    from fastmlp.network import Network


_EVENTS_ELSEWHERE = ("on_test_", "on_predict_", "on_validation_", "on_fit_")  # of Keras and Lightning


class Callback(AttributeHints):
    """Base class of callbacks. Every method does nothing; override the methods of the events you need.

    Attributes
    ----------
    network : Network
        The network of the current fit, set before `on_train_begin`. A callback may read it, call `set_weights`, and
        set `learning_rate`, `stop_training` and `stop_at_once`. Another fit of it raises RuntimeError.
    entries : tuple of str
        The keys of `logs` at the end of an epoch, set before `on_train_begin`.
    undefined : mapping of str to str
        The entries that cannot tell good epochs from bad ones, because of the validation rows, and why; set before
        `on_train_begin`. Recall without positive rows, for example, is always 0.
    every_steps : int
        `on_train_batch_end` is called after each step whose number, counted since the network was created, is a
        multiple of this. The default 1 means every step, 0 means no step.

    Notes
    -----
    **Order.** A fit calls its callbacks in the given order. All callbacks receive an event before any receives the
    next event::

        on_train_begin
            on_epoch_begin
                on_train_batch_end      after the steps that `every_steps` selects
                on_steps_end            after each call of the kernels, about every 50 ms
            on_epoch_end                after validation; the epoch is in `network.history`
        on_train_end

    If an earlier fit was interrupted within an epoch, the next fit on the same data finishes that epoch first, without
    `on_epoch_begin`.

    **Cost.** If no callback overrides `on_train_batch_end`, one call of a kernel runs many steps; the other events do
    not change this. If a callback overrides it, each selected step returns to Python, which costs a few microseconds.

    **Stopping.** `network.stop_training = True` ends the fit after an epoch. Set in `on_train_begin` or `on_epoch_end`,
    it ends the fit before the next epoch; set in another event, after the current epoch.
    `network.stop_at_once = True` ends the fit after the running steps. The interrupted epoch is not in the history. The
    next fit on the same data finishes it, with the same bits as an uninterrupted fit. In both cases the remaining
    callbacks receive the event, and all callbacks receive `on_train_end`. Each fit sets both attributes to False before
    `on_train_begin`.

    **Exceptions.** An exception in a callback ends the fit, as Ctrl-C does. No callback receives another event: neither
    the remaining callbacks of this event nor any callback of `on_train_end`. The network keeps the weights of the last
    finished step, which are finite; an epoch whose weights are not finite is undone. `network.history` holds every
    finished epoch, including the one whose `on_epoch_end` raised. A `ModelCheckpoint` or `CSVLogger` before the
    callback that raised has written that epoch; one behind it has not. No file is left incomplete. If the loss becomes
    NaN, the fit ends in the same way, and `on_epoch_end` has been called for the earlier epochs only.

    Examples
    --------
    A callback that halves the learning rate every ten epochs:

    >>> class HalveLearningRate(Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         if epoch % 10 == 9:
    ...             self.network.learning_rate /= 2
    >>> net.fit(X, y, epochs=50, callbacks=[HalveLearningRate()])

    A callback that records the loss of every hundredth step:

    >>> class StepLosses(Callback):
    ...     every_steps = 100
    ...
    ...     def on_train_begin(self):
    ...         self.losses = []
    ...
    ...     def on_train_batch_end(self, batch, logs):
    ...         self.losses.append(logs["loss"])
    """

    _shows_progress: bool = False  # whether a fit with this callback shows its progress line in any case
    network: Network
    entries: tuple[str, ...] = ()
    undefined: Mapping[str, str] = MappingProxyType({})
    every_steps: int = 1

    def __init_subclass__(cls, **options: Any) -> None:
        """Warn of a method that is named almost as an event, because it would never be called."""
        super().__init_subclass__(**options)
        for name in vars(cls):
            if name.startswith("on_") and not hasattr(Callback, name):
                events = [event for event in vars(Callback) if event.startswith("on_")]
                if difflib.get_close_matches(name, events, cutoff=0.75) or name.startswith(_EVENTS_ELSEWHERE):
                    warnings.warn(
                        f"{cls.__name__}.{name} is not called: fastmlp has no such event. The events are: "
                        f"{', '.join(events)}",
                        stacklevel=2,
                    )

    def __repr__(self) -> str:
        """Return the class, and the numbers and texts among its arguments that differ from their defaults."""
        parameters = inspect.signature(type(self)).parameters.values()
        kept = [(each.name, vars(self)[each.name], each.default) for each in parameters if each.name in vars(self)]
        changed = [
            f"{name}={value!r}"
            for name, value, default in kept
            if isinstance(value, (bool, int, float, str)) and value != default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def on_train_begin(self) -> None:
        """Act before the first epoch. A callback is used again by the next fit: reset its state here."""

    def on_train_end(self) -> None:
        """Act after the last epoch. The method is not called if the fit ends by an exception."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Act before an epoch.

        Parameters
        ----------
        epoch : int
            The number of the epoch, counted from 0 since the network was created.
        """

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Act after an epoch and its validation.

        Parameters
        ----------
        epoch : int
            The number of the epoch, counted from 0 since the network was created.
        logs : dict of str to float
            The value of each of `entries`: "loss", and with validation "val_loss" and the metrics, such as
            "val_accuracy".
        """

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Act after a step that `every_steps` selects.

        Parameters
        ----------
        batch : int
            The number of the batch in its epoch, counted from 0.
        logs : dict of str to float
            "loss": the loss of the batch before the step, including penalties; NaN if all its rows have the weight 0.
        """

    def on_steps_end(self, batch: int) -> None:
        """Act after each call of the kernels, which runs steps for at most about 50 ms, or one longer step.

        The number of steps in a call depends on the machine. Decide by the time here, not by counting calls.

        Parameters
        ----------
        batch : int
            The number of the last batch of the call in its epoch, counted from 0.
        """

    def _overrides(self, event: str) -> bool:
        """Return whether the class of this callback overrides the method of an event.

        A fit uses this for `on_train_batch_end` and `on_steps_end`, because each return to Python has a cost.

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
