"""Optuna searches a network for the breast-cancer data, and gives up trials whose validation loss lags behind.

Each trial has a number of hidden units, a learning rate and a penalty of its own. Rows of validation choose among the
trials; the accuracy at the end is that of test rows, which nothing has seen before. Run it with
`python examples/optuna_search.py`, after `pip install fastmlp[optuna]`.
"""

from __future__ import annotations

import numpy as np
import optuna

from fastmlp import Adam, Dense, EarlyStopping, Network, NonFiniteLossError, OptunaPruning
from fastmlp.datasets import load_breast_cancer

EPOCHS = 100


def rows(seed=0):
    """Return X and y of 341 rows to train, 114 of validation and 114 to test, scaled by those that train."""
    data = load_breast_cancer()
    parts = np.split(np.random.default_rng(seed).permutation(len(data.y)), [341, 455])
    mean, deviation = data.X[parts[0]].mean(axis=0), data.X[parts[0]].std(axis=0)
    return [((data.X[part] - mean) / deviation, data.y[part]) for part in parts]


TRAINING, VALIDATION, TEST = rows()


def train(trial):
    """Return the network of a trial with the weights of its best epoch, and its validation loss."""
    units = trial.suggest_int("units", 4, 64, log=True)
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    penalty = trial.suggest_float("penalty", 1e-6, 1e-1, log=True)
    net = Network([30, Dense(units, l2=penalty), Dense(2, "softmax", l2=penalty)], optimizer=Adam(rate), seed=0)
    stopping = EarlyStopping(patience=10)
    net.fit(*TRAINING, epochs=EPOCHS, validation_data=VALIDATION, callbacks=[stopping, OptunaPruning(trial)])
    return net, stopping.best


def search(trials=40, seed=0):
    """Return the study after some trials. A trial whose loss becomes NaN has failed, and the search goes on."""
    sampler, pruner = optuna.samplers.TPESampler(seed=seed), optuna.pruners.MedianPruner(n_warmup_steps=5)
    study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner)
    study.optimize(lambda trial: train(trial)[1], n_trials=trials, catch=(NonFiniteLossError,))
    return study


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = search()
    pruned = sum(trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials)
    print(f"{len(study.trials)} trials, of which {pruned} were given up early")
    print(", ".join(f"{name} {value:.3g}" for name, value in study.best_params.items()))
    net, loss = train(study.best_trial)  # the same numbers and the same seed give the same network
    print(f"validation loss {loss:.4f}, accuracy on test rows {net.evaluate(*TEST)['accuracy']:.1%}")
