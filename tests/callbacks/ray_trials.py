"""Run two trials of Ray Tune, of which the second fails once, and print a line of JSON about each.

`test_ray_report.py` runs this in a process of its own; the argument is a folder for the results.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ray
from behaviour import bits, small_data, small_network
from ray import tune

from fastmlp import Callback, Network, RayReport

EPOCHS, FAILS_AT = 6, 4
MADE_BEFORE = RayReport({"score": "val_loss"}, checkpoint_every=2)  # pickled to the processes of the trials


class Fail(Callback):
    """Raise an exception after an epoch that a network has not begun after its checkpoint."""

    def on_train_begin(self) -> None:
        self.begun = self.network.epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch == FAILS_AT and not self.begun:
            raise RuntimeError("the process of this trial is lost")


def load(checkpoint: Any) -> Network:
    with checkpoint.as_directory() as folder:
        return Network.load(Path(folder) / RayReport.filename, threads=1)


def trained(net: Network, *callbacks: Callback) -> Network:
    X, labels = small_data()
    net.fit(X, labels, epochs=EPOCHS - net.epoch, validation_split=0.25, callbacks=callbacks)
    return net


def train(config: dict[str, Any]) -> None:
    checkpoint = tune.get_checkpoint()
    net = load(checkpoint) if checkpoint else small_network(seed=config["seed"], threads=1)
    trained(net, MADE_BEFORE, *([Fail()] if config["seed"] == 2 else []))


def facts(result: Any) -> dict[str, Any]:
    """Return what a trial reported, and whether that and the checkpoint are those of a training without Ray."""
    net, epochs = trained(small_network(seed=result.config["seed"])), result.metrics_dataframe["epoch"].tolist()
    assert net.history is not None
    losses = net.history.history["val_loss"]
    return {
        "epochs": epochs,
        "scores": result.metrics_dataframe["score"].tolist() == [losses[epoch] for epoch in epochs],
        "bits": bits(load(result.checkpoint)) == bits(net),
    }


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    run = tune.RunConfig(storage_path=sys.argv[1], verbose=0, failure_config=tune.FailureConfig(max_failures=1))
    results = tune.Tuner(train, param_space={"seed": tune.grid_search([1, 2])}, run_config=run).fit()
    print(*(json.dumps(facts(result)) for result in results), sep="\n")
