"""Callbacks: objects whose methods a fit calls at its events, to stop it, to save the network or to record values.

Pass them to `fit`: `net.fit(X, y, callbacks=[EarlyStopping(patience=5), CSVLogger("log.csv")])`.

To write a callback, derive a class from `Callback` and override the methods of the events you need. `self.network` is
the network, `logs` holds the loss and the metrics of the epoch::

    from fastmlp import Callback

    class StopAtLoss(Callback):
        def __init__(self, target):
            self.target = target

        def on_epoch_end(self, epoch, logs):
            if logs["loss"] <= self.target:
                self.network.stop_training = True

`help(fastmlp.Callback)` describes the events, their order and their cost, how to stop a fit, and exceptions.
`LambdaCallback` makes a callback from functions.
"""

from typing import TYPE_CHECKING

from fastmlp._runtime.names import module_attributes
from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.csv_logger import CSVLogger
from fastmlp.callbacks.early_stopping import EarlyStopping
from fastmlp.callbacks.gradient_monitor import GradientMonitor
from fastmlp.callbacks.lambda_callback import LambdaCallback
from fastmlp.callbacks.model_checkpoint import ModelCheckpoint
from fastmlp.callbacks.monitoring import UndefinedScoreError
from fastmlp.callbacks.optuna_pruning import OptunaPruning
from fastmlp.callbacks.progress_bar import ProgressBar
from fastmlp.callbacks.ray_report import RayReport
from fastmlp.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from fastmlp.callbacks.time_limit import TimeLimit

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "GradientMonitor",
    "LambdaCallback",
    "ModelCheckpoint",
    "OptunaPruning",
    "ProgressBar",
    "RayReport",
    "ReduceLROnPlateau",
    "TimeLimit",
    "UndefinedScoreError",
]

if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
