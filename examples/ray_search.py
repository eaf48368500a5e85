"""Ray Tune searches a network for the breast-cancer data: trials run side by side, and the bad ones end early.

Each trial has a number of hidden units and a learning rate of its own. Rows of validation choose the trial and the
checkpoint; the accuracy at the end is that of test rows, which nothing has seen before. Trials end early if others were
better before them, so the order in which a machine runs them has a part in it. Run it with
`python examples/ray_search.py`, after `pip install fastmlp[ray]`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

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
        return Network.load(Path(folder) / RayReport.filename, threads=1)


def train(config):
    """Train the network of a trial, or continue from its checkpoint. Ray calls this in a process of its own."""
    training, validation, _ = rows()
    checkpoint = tune.get_checkpoint()  # None, unless Ray has interrupted the trial
    if checkpoint:
        net = load(checkpoint)
    else:
        rate = Adam(config["rate"])
        net = Network([30, config["units"], 2], output="softmax", optimizer=rate, seed=0, threads=1)
    if net.epoch < EPOCHS:
        report = RayReport(["val_loss", "val_accuracy"], checkpoint_every=4)
        net.fit(*training, epochs=EPOCHS - net.epoch, validation_data=validation, callbacks=[report])


def search(folder, trials=12, seed=0):
    """Return the results of some trials, whose checkpoints are in a folder."""
    config = tune.TuneConfig(
        metric="val_loss",
        mode="min",
        num_samples=trials,
        search_alg=BasicVariantGenerator(random_state=seed),
        scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=4),
    )
    space = {"units": tune.choice([4, 8, 16, 32]), "rate": tune.loguniform(1e-4, 1e-1)}
    run = tune.RunConfig(storage_path=str(folder), verbose=0)
    return tune.Tuner(train, param_space=space, tune_config=config, run_config=run).fit()


def best_network(results):
    """Return the network of the checkpoint with the smallest validation loss in the best trial."""
    return load(results.get_best_result(scope="all").get_best_checkpoint("val_loss", "min"))


if __name__ == "__main__":
    ray.init(log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        results = search(folder)
        net = best_network(results)
    early = sum(result.metrics["epoch"] + 1 < EPOCHS for result in results)
    print(f"{len(results)} trials, of which {early} ended early")
    units, rate = net.architecture.layers[0].units, net.learning_rate
    print(f"the best has {units} hidden units and the learning rate {rate:.3g}; its checkpoint is of epoch {net.epoch}")
    _, _, test = rows()
    print(f"accuracy on test rows {net.evaluate(*test)['accuracy']:.1%}")
