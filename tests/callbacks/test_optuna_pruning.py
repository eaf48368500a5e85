"""OptunaPruning: what it reports to a trial, how a pruned fit ends, and the mistakes of a search."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import bits, run_python, small_data, small_network
from recording import LABELS, X, fitted

from fastmlp import SGD, Callback, EarlyStopping, ModelCheckpoint, Network, OptunaPruning, fit_many

optuna = pytest.importorskip("optuna", reason="needs Optuna, which the extra 'optuna' installs")

VALIDATION = small_data(60)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let Optuna log warnings only."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


class PruneAt(optuna.pruners.BasePruner):  # type: ignore[misc]
    """Prune a trial once it has a value of a step."""

    def __init__(self, step: float = math.inf) -> None:
        self.step = step

    def prune(self, study: Any, trial: Any) -> bool:
        return trial.last_step >= self.step


def study_of(prune_at: float = math.inf, **options: Any) -> Any:
    return optuna.create_study(pruner=PruneAt(prune_at), **options)


def values_of(study: Any, number: int = 0) -> dict[int, float]:
    """Return what a trial was told, by step."""
    return dict(study.trials[number].intermediate_values)


def test_each_epoch_is_reported_and_the_training_has_the_same_bits() -> None:
    study = study_of()
    network = fitted(OptunaPruning(study.ask()), validation_data=VALIDATION)
    assert network.history is not None
    assert values_of(study) == dict(enumerate(network.history.history["val_loss"]))
    assert bits(network) == bits(fitted(validation_data=VALIDATION))


def test_a_pruned_fit_ends_after_a_whole_epoch_which_the_history_has(tmp_path: Path) -> None:
    saved = tmp_path / "model.safetensors"
    study, networks = study_of(prune_at=1), []

    def objective(trial: Any) -> float:
        networks.append(small_network())
        fitted(ModelCheckpoint(saved), OptunaPruning(trial, "loss"), network=networks[-1])
        raise AssertionError("the fit was not pruned")

    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    for network in networks:
        assert network.history.epoch == [0, 1]
        assert bits(network) == bits(Network.load(saved)) == bits(fitted(epochs=2))
        assert study.trials[0].value == network.history.history["loss"][1]
    fitted(network=networks[0], epochs=1)  # the training can continue
    assert bits(networks[0]) == bits(fitted(epochs=3))


def test_the_message_of_a_pruned_trial_has_value_and_epoch() -> None:
    network = fitted()
    with pytest.raises(optuna.TrialPruned, match=r"^loss was \d\.\d+ after epoch 4$"):
        fitted(OptunaPruning(study_of(prune_at=1).ask(), "loss"), network=network)


@pytest.mark.parametrize(("every", "steps"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), (5, [4]), (6, [])])
def test_every_selects_the_epochs_to_report(every: int, steps: list[int]) -> None:
    study = study_of()
    network = fitted(OptunaPruning(study.ask(), "loss", every=every), epochs=5)
    assert network.history is not None
    assert values_of(study) == {step: network.history.history["loss"][step] for step in steps}


@pytest.mark.parametrize(
    ("direction", "monitor", "taken"),
    [
        ("minimize", "val_loss", True),
        ("minimize", "val_accuracy", False),
        ("minimize", "val_top_k_accuracy", False),
        ("maximize", "val_accuracy", True),
        ("maximize", "loss", False),
        ("maximize", "val_log_loss", False),
        ("maximize", "val_something_of_mine", True),
        ("minimize", "val_something_of_mine", True),
    ],
)
def test_a_study_whose_direction_contradicts_the_metric_is_refused(direction: str, monitor: str, taken: bool) -> None:
    trial = study_of(direction=direction).ask()
    if taken:
        assert OptunaPruning(trial, monitor).monitor == monitor
        return
    better, other = ("larger", "maximize") if direction == "minimize" else ("smaller", "minimize")
    with pytest.raises(
        ValueError,
        match=f"monitors '{monitor}', whose {better} values are better, but the direction of the study is "
        f"'{direction}'; monitor another entry, or create the study with direction='{other}'",
    ):
        OptunaPruning(trial, monitor)


def test_the_metric_of_a_function_of_the_user_is_reported() -> None:
    def distance(y: Any, P: Any) -> float:
        return float(np.abs(P).sum())

    study = study_of(direction="maximize")
    network = fitted(OptunaPruning(study.ask(), "val_distance"), validation_data=VALIDATION, metrics=[distance])
    assert network.history is not None
    assert [*values_of(study).values()] == network.history.history["val_distance"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: OptunaPruning(study_of()), TypeError, "trial must be the trial that Optuna passes to the objective"),
        (lambda: OptunaPruning("val_loss"), TypeError, "passes to the objective, got 'val_loss'"),
        (lambda: OptunaPruning(study_of().ask(), 3), TypeError, "monitor must be the name of a loss or metric"),
        (lambda: OptunaPruning(study_of().ask(), every=0), ValueError, "every must be at least 1, got 0"),
        (lambda: OptunaPruning(study_of().ask(), first_step=-1), ValueError, "first_step must be at least 0, got -1"),
        (lambda: OptunaPruning(study_of().ask(), first_step=0.5), TypeError, "first_step must be a whole number"),
        (lambda: OptunaPruning(study_of().ask(), patience=3), TypeError, "unexpected keyword argument 'patience'"),
        (
            lambda: OptunaPruning(study_of(directions=["minimize", "maximize"]).ask()),
            ValueError,
            "only trials of studies with one objective, but this study has 2; leave out OptunaPruning",
        ),
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ("val_loss", "OptunaPruning monitors 'val_loss', but this fit has only loss; give fit validation_data or"),
        ("los", "OptunaPruning monitors 'los', but this fit has only loss; did you mean 'loss'?"),
    ],
)
def test_a_missing_entry_is_refused_before_the_first_step(monitor: str, message: str) -> None:
    network, study = small_network(), study_of()
    with pytest.raises(ValueError, match=message):
        fitted(OptunaPruning(study.ask(), monitor), network=network)
    assert (network.step, values_of(study)) == (0, {})


class Spoil(Callback):
    """Set all weights to 0 after the first epoch, so that a correlation has no value."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.network.set_weights([(0 * W, 0 * b) for W, b in self.network.get_weights() if b is not None])


@pytest.mark.filterwarnings("ignore::fastmlp.metrics.UndefinedMetricWarning")
@pytest.mark.parametrize("pruned", [True, False])
def test_nan_is_reported_and_the_pruner_decides(pruned: bool) -> None:
    pruner = optuna.pruners.ThresholdPruner(upper=1.0) if pruned else optuna.pruners.NopPruner()
    study = optuna.create_study(direction="maximize", pruner=pruner)
    numbers, network = X @ [1.0, -2.0, 0.5], Network([3, 5, 1], optimizer=SGD(0.01), seed=0)

    def objective(trial: Any) -> float:
        callbacks = [OptunaPruning(trial, "val_pearson"), Spoil()]
        options: dict[str, Any] = {"validation_split": 0.3, "metrics": ["pearson"], "callbacks": callbacks}
        network.fit(X, numbers, epochs=4, **options)
        return 0.0

    study.optimize(objective, n_trials=1)
    expected = [True, False] if pruned else [True, False, False, False]
    assert [math.isfinite(value) for value in values_of(study).values()] == expected
    assert study.trials[0].state.name == ("PRUNED" if pruned else "COMPLETE")


# Several fits in one trial --------------------------------------------------------------------------------------------


def test_further_fits_of_a_trial_continue_after_its_last_step() -> None:
    """Optuna ignores another value of a step, with a warning, which is an error here."""
    study = study_of()
    trial = study.ask()
    pruning, network = OptunaPruning(trial, "loss"), small_network()
    losses: list[float] = []
    for callback in (pruning, pruning, OptunaPruning(trial, "loss")):
        losses += fitted(callback, epochs=2, network=network).history.history["loss"]  # type: ignore[union-attr]
    assert values_of(study) == dict(enumerate(losses))


def test_first_step_gives_folds_that_end_early_the_same_steps_in_all_trials() -> None:
    study = study_of()
    trial = study.ask()
    for fold, epochs in enumerate((2, 3, 1)):
        fitted(OptunaPruning(trial, "loss", first_step=10 * fold), epochs=epochs)
    assert [*values_of(study)] == [0, 1, 10, 11, 12, 20]


@pytest.mark.parametrize(("every", "step"), [(1, 0), (2, 1)])
def test_a_step_that_the_trial_has_already_is_refused_before_the_first_step(every: int, step: int) -> None:
    network, pruning = small_network(), OptunaPruning(study_of().ask(), "loss", first_step=0, every=every)
    fitted(pruning, epochs=2)
    with pytest.raises(
        ValueError,
        match=f"already has a value of step {step}, and Optuna would ignore another; leave out first_step, or give a "
        "number of at least 2, got 0",
    ):
        fitted(pruning, network=network)
    assert network.step == 0


def test_an_objective_can_train_its_best_network_again() -> None:
    def objective(trial: Any) -> float:
        rate = trial.suggest_float("rate", 1e-3, 1e-1)
        network = fitted(OptunaPruning(trial, "loss"), network=small_network(optimizer=SGD(rate)))
        return float(network.evaluate(X, LABELS)["loss"])

    study = study_of()
    study.optimize(objective, n_trials=2)
    assert objective(study.best_trial) == study.best_value
    assert objective(optuna.trial.FixedTrial(study.best_params)) == study.best_value


# Copies ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_reports_to_the_same_trial(copied: Callable[[Any], Any]) -> None:
    class Listed(OptunaPruning):
        def __init__(self, trial: Any) -> None:
            super().__init__(trial, "loss")
            self.seen: list[int] = []

    study = study_of()
    original = Listed(study.ask())
    fitted(original, epochs=1)
    other = copied(original)
    assert type(other) is Listed
    assert other.trial is original.trial
    assert (other.seen is original.seen) == (copied is copy.copy)
    fitted(other, epochs=1)
    assert [*values_of(study)] == [0, 1]


def test_the_networks_of_fit_many_report_to_one_trial_one_after_the_other() -> None:
    study, networks = study_of(prune_at=4), [small_network(seed=seed) for seed in range(3)]
    with pytest.raises(optuna.TrialPruned):
        fit_many(networks, X, LABELS, epochs=3, callbacks=[OptunaPruning(study.ask(), "loss")])
    assert [network.epoch for network in networks] == [3, 2, 0]
    losses = [loss for network in networks[:2] for loss in network.history.history["loss"]]  # type: ignore[union-attr]
    assert values_of(study) == dict(enumerate(losses))


def test_the_folds_of_scikit_learn_report_to_one_trial() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    from fastmlp.sklearn import MLPClassifier

    study = study_of()
    model = MLPClassifier((4,), max_iter=3, random_state=0, callbacks=[OptunaPruning(study.ask(), "loss")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three epochs are too few to converge
        selection.cross_val_score(model, X, LABELS, cv=2)
    assert [*values_of(study)] == [0, 1, 2, 3, 4, 5]


def test_a_study_in_memory_cannot_be_pickled_and_one_in_a_file_is_shared(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="study is in the memory of this process; to fit in other processes, give"):
        pickle.dumps(OptunaPruning(study_of().ask(), "loss"))
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    study = study_of(storage=optuna.storages.JournalStorage(backend))
    fitted(pickle.loads(pickle.dumps(OptunaPruning(study.ask(), "loss"))))
    assert [*values_of(study)] == [0, 1, 2]


# Beside other callbacks, and without Optuna ---------------------------------------------------------------------------


def test_early_stopping_ends_a_fit_that_is_not_pruned() -> None:
    study = study_of()
    stopping = EarlyStopping("loss", patience=1, min_delta=1e9)
    network = fitted(stopping, OptunaPruning(study.ask(), "loss"), epochs=9)
    assert [*values_of(study)] == [0, 1]
    assert bits(network)["weights"] == bits(fitted(epochs=1))["weights"]


def test_without_optuna_the_error_names_the_extra() -> None:
    code = (
        "import sys\n"
        "sys.modules['optuna'] = None\n"
        "from fastmlp import OptunaPruning\n"
        "try:\n    OptunaPruning(None)\nexcept ImportError as error:\n    print(error)"
    )
    assert run_python(code)[0] == 'OptunaPruning needs optuna: pip install "fastmlp[optuna]"\n'
