"""Callbacks: what a fit calls at its joints, to stop it early or to keep what it has reached."""

from fastmlp.callbacks.base import Callback
from fastmlp.callbacks.early_stopping import EarlyStopping
from fastmlp.callbacks.model_checkpoint import ModelCheckpoint

__all__ = ["Callback", "EarlyStopping", "ModelCheckpoint"]
