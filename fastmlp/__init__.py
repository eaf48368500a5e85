"""Multi-layer perceptrons, trained fast on the CPU: compiled forward pass, backpropagation and optimizer."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmlp._engine.step_runner import NonFiniteLossError
    from fastmlp._io.model_file import ModelFormatError
    from fastmlp.activations import ELU, GELU, LeakyReLU
    from fastmlp.callbacks import (
        Callback,
        CSVLogger,
        EarlyStopping,
        GradientMonitor,
        LambdaCallback,
        ModelCheckpoint,
        ProgressBar,
        ReduceLROnPlateau,
        TimeLimit,
    )
    from fastmlp.gradient_check import check_gradients
    from fastmlp.history import History
    from fastmlp.initializers import Constant, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
    from fastmlp.interchange.c import to_c
    from fastmlp.interchange.onnx import to_onnx
    from fastmlp.interchange.sklearn import from_sklearn, register_with_skl2onnx, to_sklearn
    from fastmlp.interchange.torch import from_torch, to_torch
    from fastmlp.layers import Dense
    from fastmlp.losses import BinaryCrossentropy, CategoricalCrossentropy, Huber
    from fastmlp.network import Network
    from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, RMSprop
    from fastmlp.registration import register_activation, register_loss
    from fastmlp.schedules import (
        ConstantRate,
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseScaling,
        InverseTimeDecay,
        OneCycle,
        PolynomialDecay,
        Schedule,
        StepDecay,
        Warmup,
    )
    from fastmlp.sklearn import MLPClassifier as MLPClassifier
    from fastmlp.sklearn import MLPRegressor as MLPRegressor


__version__ = "0.1.0"

__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "BinaryCrossentropy",
    "CSVLogger",
    "Callback",
    "CategoricalCrossentropy",
    "Constant",
    "ConstantRate",
    "CosineDecay",
    "CosineDecayRestarts",
    "Dense",
    "EarlyStopping",
    "ExponentialDecay",
    "GradientMonitor",
    "History",
    "Huber",
    "InverseScaling",
    "InverseTimeDecay",
    "LambdaCallback",
    "LeakyReLU",
    "Lion",
    "ModelCheckpoint",
    "ModelFormatError",
    "Nadam",
    "Network",
    "NonFiniteLossError",
    "OneCycle",
    "Orthogonal",
    "PolynomialDecay",
    "ProgressBar",
    "RMSprop",
    "RandomNormal",
    "RandomUniform",
    "ReduceLROnPlateau",
    "Schedule",
    "StepDecay",
    "TimeLimit",
    "TruncatedNormal",
    "Warmup",
    "check_gradients",
    "from_sklearn",
    "from_torch",
    "register_activation",
    "register_loss",
    "register_with_skl2onnx",
    "to_c",
    "to_onnx",
    "to_sklearn",
    "to_torch",
]

# MLPClassifier and MLPRegressor are left out: `from fastmlp import *` must not need scikit-learn.

# In a checkout the compiled code lies beside this package, not in it (see package-dir in pyproject.toml).
if not (Path(__file__).parent / "kernels").is_dir():
    __path__.append(str(Path(__file__).parent.parent))

_HOMES = {
    "Adadelta": "optimizers",
    "Adagrad": "optimizers",
    "Adam": "optimizers",
    "AdamW": "optimizers",
    "BinaryCrossentropy": "losses",
    "CSVLogger": "callbacks",
    "Callback": "callbacks",
    "CategoricalCrossentropy": "losses",
    "Constant": "initializers",
    "ConstantRate": "schedules",
    "CosineDecay": "schedules",
    "CosineDecayRestarts": "schedules",
    "Dense": "layers",
    "ELU": "activations",
    "EarlyStopping": "callbacks",
    "ExponentialDecay": "schedules",
    "GELU": "activations",
    "GradientMonitor": "callbacks",
    "History": "history",
    "Huber": "losses",
    "InverseScaling": "schedules",
    "InverseTimeDecay": "schedules",
    "LambdaCallback": "callbacks",
    "LeakyReLU": "activations",
    "Lion": "optimizers",
    "MLPClassifier": "sklearn",
    "MLPRegressor": "sklearn",
    "ModelCheckpoint": "callbacks",
    "ModelFormatError": "_io.model_file",
    "Nadam": "optimizers",
    "Network": "network",
    "NonFiniteLossError": "_engine.step_runner",
    "OneCycle": "schedules",
    "Orthogonal": "initializers",
    "PolynomialDecay": "schedules",
    "ProgressBar": "callbacks",
    "RMSprop": "optimizers",
    "RandomNormal": "initializers",
    "RandomUniform": "initializers",
    "ReduceLROnPlateau": "callbacks",
    "SGD": "optimizers",
    "Schedule": "schedules",
    "StepDecay": "schedules",
    "TimeLimit": "callbacks",
    "TruncatedNormal": "initializers",
    "Warmup": "schedules",
    "check_gradients": "gradient_check",
    "from_sklearn": "interchange.sklearn",
    "from_torch": "interchange.torch",
    "register_activation": "registration",
    "register_loss": "registration",
    "register_with_skl2onnx": "interchange.sklearn",
    "to_c": "interchange.c",
    "to_onnx": "interchange.onnx",
    "to_sklearn": "interchange.sklearn",
    "to_torch": "interchange.torch",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import fastmlp` itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fastmlp' has no attribute {name!r}")
    from fastmlp.kernels.host.interrupts import HeldSignals

    with HeldSignals():  # Numba that was left half loaded cannot be loaded any more
        value = getattr(importlib.import_module(f"fastmlp.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted({*_HOMES, "__version__"})
