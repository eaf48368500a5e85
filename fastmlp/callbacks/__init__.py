"""Callbacks: what a fit calls at its joints, to stop it early, to keep what it has reached or to watch it."""

from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.csv_logger import CSVLogger
from fastmlp.callbacks.early_stopping import EarlyStopping
from fastmlp.callbacks.gradient_monitor import GradientMonitor
from fastmlp.callbacks.lambda_callback import LambdaCallback
from fastmlp.callbacks.model_checkpoint import ModelCheckpoint
from fastmlp.callbacks.progress_bar import ProgressBar
from fastmlp.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from fastmlp.callbacks.time_limit import TimeLimit

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "GradientMonitor",
    "LambdaCallback",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TimeLimit",
]
