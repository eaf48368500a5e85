"""Multi-layer perceptrons, trained fast on the CPU: compiled forward pass, backpropagation and optimizer."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmlp.callbacks import Callback, EarlyStopping
    from fastmlp.gradient_check import check_gradients
    from fastmlp.history import History
    from fastmlp.initializers import Constant, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
    from fastmlp.layers import Dense
    from fastmlp.model_file import ModelFormatError
    from fastmlp.network import Network
    from fastmlp.optimizers import SGD, Adam
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
    from fastmlp.training import NonFiniteLossError

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "Callback",
    "Constant",
    "ConstantRate",
    "CosineDecay",
    "CosineDecayRestarts",
    "Dense",
    "EarlyStopping",
    "ExponentialDecay",
    "History",
    "InverseScaling",
    "InverseTimeDecay",
    "ModelFormatError",
    "Network",
    "NonFiniteLossError",
    "OneCycle",
    "Orthogonal",
    "PolynomialDecay",
    "RandomNormal",
    "RandomUniform",
    "Schedule",
    "StepDecay",
    "TruncatedNormal",
    "Warmup",
    "check_gradients",
]

# In a checkout the compiled code lies beside this package, not in it (see package-dir in pyproject.toml).
if not (Path(__file__).parent / "kernels").is_dir():
    __path__.append(str(Path(__file__).parent.parent))

_HOMES = {
    "SGD": "optimizers",
    "Adam": "optimizers",
    "Callback": "callbacks",
    "Constant": "initializers",
    "ConstantRate": "schedules",
    "CosineDecay": "schedules",
    "CosineDecayRestarts": "schedules",
    "Dense": "layers",
    "EarlyStopping": "callbacks",
    "ExponentialDecay": "schedules",
    "History": "history",
    "InverseScaling": "schedules",
    "InverseTimeDecay": "schedules",
    "ModelFormatError": "model_file",
    "Network": "network",
    "NonFiniteLossError": "training",
    "OneCycle": "schedules",
    "Orthogonal": "initializers",
    "PolynomialDecay": "schedules",
    "RandomNormal": "initializers",
    "RandomUniform": "initializers",
    "Schedule": "schedules",
    "StepDecay": "schedules",
    "TruncatedNormal": "initializers",
    "Warmup": "schedules",
    "check_gradients": "gradient_check",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import fastmlp` itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fastmlp' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fastmlp.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted({*__all__, "__version__"})
