"""Ray Tune searches a network for the breast-cancer data: trials side by side, of which the bad ones end early.

Each trial has a number of hidden units and a learning rate of its own. Rows of validation choose the trial and the
epoch; the accuracy at the end is that of test rows, on the network of the checkpoint. Run it with
`python examples/ray_search.py`, after `pip install fastmlp[ray]`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from fastmlp import Adam, Network, RayReport
from fastmlp.datasets import load_breast_cancer

EPOCHS = 32


def rows(seed=0):
    """Return X and y of 341 rows to train, 114 of validation and 114 to test, scaled by those that train."""
    data = load_breast_cancer()
    parts = np.split(np.random.default_rng(seed).permutation(len(data.y)), [341, 455])
    mean, deviation = data.X[parts[0]].mean(axis=0), data.X[parts[0]].std(axis=0)
    return [((data.X[part] - mean) / deviation, data.y[part]) for part in parts]


def load(checkpoint):
    """Return the network of a checkpoint."""
    with checkpoint.as_directory() as folder:
        return Network.load(Path(folder) / RayReport.filename)


def train(config):
    """Train the network of a trial, or continue from its checkpoint. Ray runs this in a process of its own."""
    training, validation, _ = rows()
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        net = load(checkpoint)
    else:
        # One thread, because Ray gives each trial one processor.
        net = Network([30, config["units"], 2], output="softmax", optimizer=Adam(config["rate"]), seed=0, threads=1)
    if net.epoch < EPOCHS:
        report = RayReport(["val_loss", "val_accuracy"], checkpoint_every=4)
        net.fit(*training, epochs=EPOCHS - net.epoch, validation_data=validation, callbacks=[report])


def search(folder, trials=12, seed=0):
    """Return the results of some trials, whose checkpoints lie in a folder."""
    space = {"units": tune.choice([4, 8, 16, 32]), "rate": tune.loguniform(1e-4, 1e-1)}
    best_checkpoint = tune.CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="val_loss", checkpoint_score_order="min")
    tuner = tune.Tuner(
        train,
        param_space=space,
        tune_config=tune.TuneConfig(metric="val_loss", mode="min", num_samples=trials, scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=4)),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0, checkpoint_config=best_checkpoint),
    )
    return tuner.fit()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        results = search(folder)
        best = results.get_best_result()
        net = load(best.checkpoint)
    print(best.config, best.metrics)
    print(net.evaluate(*rows()[2]))
