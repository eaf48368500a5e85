"""`OptunaPruning` ends the fit of a trial that Optuna prunes. It needs optuna: `pip install "fastmlp[optuna]"`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from fastmlp._runtime.checks import optional_whole_number, shown, whole_number
from fastmlp._runtime.extras import needed_by
from fastmlp._runtime.names import check_keywords
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.monitoring import check_entry, check_name, known_direction

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


class OptunaPruning(Callback):
    """Report a loss or metric to a trial of Optuna after each epoch, and end the fit if Optuna prunes the trial.

    Parameters
    ----------
    trial : optuna.trial.BaseTrial
        The trial that Optuna passes to the objective.
    monitor : str
        The entry of the history to report, such as "val_loss". Its smaller values must be better if the study
        minimizes, its larger values if the study maximizes.
    every : int
        Report after each epoch whose number, counted from 1 in each fit, is a multiple of this. A report to a study in
        a database takes milliseconds, and an epoch of a small network can be shorter.
    first_step : int, optional
        The step of Optuna that the first epoch of each fit is. By default, the first fit of a trial begins with step 0,
        and each further fit, such as that of the next fold, after the last step that the trial has. If folds may end
        early, give `fold * epochs`, so that a step means the same epoch of the same fold in all trials.

    Raises
    ------
    ImportError
        If optuna is not installed.
    TypeError
        If an argument has the wrong type.
    ValueError
        If a number is out of range, the study has several objectives, or its direction contradicts `monitor`.

    Notes
    -----
    The fit of a pruned trial ends with `optuna.TrialPruned`, which the objective must not catch. The network has the
    weights after that epoch, and its history includes the epoch. `EarlyStopping` does not restore the best weights, as
    after any exception.

    NaN is reported as it is, and the pruner of the study decides. If the training loss becomes NaN, the fit ends with
    `NonFiniteLossError`; `study.optimize(objective, catch=(NonFiniteLossError,))` then goes on with the next trial.

    With `optuna.trial.FixedTrial` or `study.best_trial` as the trial, nothing is reported and no fit ends: an objective
    can train its best network again.

    A copy of the callback has the same trial, so the networks of `fit_many` and the folds of scikit-learn report to
    one trial, one after the other. For folds in several processes, the study needs a storage that the processes share:
    pickling the callback raises TypeError if the study is in memory.

    Examples
    --------
    >>> def objective(trial):
    ...     net = Network([30, trial.suggest_int("units", 4, 64, log=True), 2], output="softmax", seed=0)
    ...     history = net.fit(X, y, epochs=50, validation_split=0.2, callbacks=[OptunaPruning(trial)])
    ...     return min(history["val_loss"])
    >>> study = optuna.create_study(direction="minimize", pruner=optuna.pruners.MedianPruner())
    >>> study.optimize(objective, n_trials=50)
    """

    @check_keywords
    def __init__(
        self, trial: BaseTrial, monitor: str = "val_loss", *, every: int = 1, first_step: int | None = None
    ) -> None:
        with needed_by("OptunaPruning", "fastmlp[optuna]"):
            import optuna
        if not isinstance(trial, optuna.trial.BaseTrial):
            raise TypeError(f"trial must be the trial that Optuna passes to the objective, got {shown(trial)}")
        check_name(monitor)
        _check_direction(trial, monitor)
        self.trial, self.monitor = trial, monitor
        self.every = whole_number(every, "every")
        self.first_step = optional_whole_number(first_step, "first_step", minimum=0)
        self._next_step = self._epochs = 0

    def on_train_begin(self) -> None:
        """Check that the fit has the entry to report, and that Optuna has no value yet of the steps of this fit.

        Raises
        ------
        ValueError
            If `monitor` is not an entry of this fit, the validation rows cannot measure it, or the trial already has a
            value of the first step to report.
        """
        check_entry(self, self.monitor)
        reported = _steps_of(self.trial)
        self._epochs = 0
        self._next_step = max(reported, default=-1) + 1 if self.first_step is None else self.first_step
        step = self._next_step + self.every - 1
        if step in reported:
            raise ValueError(
                f"the trial already has a value of step {step}, and Optuna would ignore another; leave out first_step, "
                f"or give a number of at least {max(reported) + 1}, got {self.first_step}"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Report the value, if `every` selects the epoch.

        Raises
        ------
        optuna.TrialPruned
            If Optuna prunes the trial.
        """
        self._epochs += 1
        self._next_step += 1
        if self._epochs % self.every:
            return
        value = logs[self.monitor]
        self.trial.report(value, self._next_step - 1)
        if self.trial.should_prune():
            from optuna import TrialPruned

            raise TrialPruned(f"{self.monitor} was {value:.6g} after epoch {epoch}")

    def __copy__(self) -> OptunaPruning:
        """Return a copy with the same trial."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> OptunaPruning:
        """Return a deep copy with the same trial, since a study does not see what a copy of a trial is told."""
        memo[id(self.trial)] = self.trial
        memo[id(self)] = copied = copy.copy(self)
        vars(copied).update({name: copy.deepcopy(value, memo) for name, value in vars(self).items()})
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle.

        Raises
        ------
        TypeError
            If the study is in memory: what another process reports would be lost.
        """
        from optuna.storages import InMemoryStorage

        if isinstance(getattr(self.trial, "storage", None), InMemoryStorage):
            raise TypeError(
                "OptunaPruning cannot be pickled, because its study is in the memory of this process; to fit in other "
                "processes, give optuna.create_study a storage that they share, such as storage='sqlite:///study.db'"
            )
        return vars(self)


def _check_direction(trial: BaseTrial, monitor: str) -> None:
    """Check that the study of a trial has one objective, and that its direction is that of `monitor`."""
    study = getattr(trial, "study", None)  # a trial that Optuna does not prune has none
    if study is None:
        return
    if len(study.directions) > 1:
        raise ValueError(
            f"Optuna prunes only trials of studies with one objective, but this study has {len(study.directions)}; "
            "leave out OptunaPruning"
        )
    direction, known = study.direction.name.lower(), known_direction(monitor)
    if known is not None and not direction.startswith(known):
        better = "larger" if known == "max" else "smaller"
        raise ValueError(
            f"OptunaPruning monitors {monitor!r}, whose {better} values are better, but the direction of the study is "
            f"{direction!r}; monitor another entry, or create the study with direction='{known}imize'"
        )


def _steps_of(trial: BaseTrial) -> set[int]:
    """Return the steps of which a trial has values."""
    study = getattr(trial, "study", None)
    return set() if study is None else {*study.get_trials(deepcopy=False)[trial.number].intermediate_values}
