"""Multi-layer perceptrons, trained fast on the CPU: compiled forward pass, backpropagation and optimizer."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

# The public names, by the module that defines them. Each is imported when it is first used. A public module is an
# attribute as well: `fastmlp.plot`. `__init__.pyi` lists the same names for editors and type checkers.
_LAZY: dict[str, tuple[str, ...]] = {
    "activations": ("ELU", "GELU", "LeakyReLU"),
    "architecture": (),
    "arrow": ("ArrowFiles",),
    "callbacks": (
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
    ),
    "datasets": (),
    "ensembles": ("Ensemble", "mc_dropout"),
    "gradient_check": ("check_gradients",),
    "history": ("History",),
    "initializers": ("Constant", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal"),
    "interchange": (),
    "interchange.c": ("to_c",),
    "interchange.onnx": ("to_onnx",),
    "interchange.sklearn": ("from_sklearn", "register_with_skl2onnx", "to_sklearn"),
    "interchange.torch": ("from_torch", "to_torch"),
    "layers": ("Dense", "LayerNormalization", "Normalization", "Scale"),
    "own_losses": ("OwnLoss",),
    "losses": (
        "BinaryCrossentropy",
        "BinaryFocalCrossentropy",
        "CategoricalCrossentropy",
        "GaussianNLL",
        "Huber",
        "Quantile",
        "Tweedie",
    ),
    "many": ("fit_many",),
    "metrics": (),
    "network": ("Network",),
    "optimizers": ("LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Lion", "Nadam", "RMSprop"),
    "plot": (),
    "reference": (),
    "registration": ("register_activation", "register_loss"),
    "schedules": (
        "ConstantRate",
        "CosineDecay",
        "CosineDecayRestarts",
        "ExponentialDecay",
        "InverseScaling",
        "InverseTimeDecay",
        "OneCycle",
        "PolynomialDecay",
        "Schedule",
        "StepDecay",
        "Warmup",
    ),
    "sklearn": (
        "MLPClassifier",
        "MLPEnsembleClassifier",
        "MLPEnsembleRegressor",
        "MLPRegressor",
        "MLPSearchCV",
    ),
    "tables": (),
    "_engine.engine": ("NonFiniteLossError", "StaleForwardError"),
    "_io.model_file": ("ModelFormatError",),
}
_HOMES = {name: module for module, names in _LAZY.items() for name in names}
_MODULES = [module for module in _LAZY if "." not in module]

# `from fastmlp import *` gives the names, but no module, and nothing that needs scikit-learn to be installed.
__all__ = sorted(name for name, module in _HOMES.items() if module != "sklearn")

# In a checkout the compiled code lies beside this package, not in it (see package-dir in pyproject.toml).
if not (Path(__file__).parent / "kernels").is_dir():
    __path__.append(str(Path(__file__).parent.parent))


def __getattr__(name: str) -> Any:
    """Import a public name or module when it is first used, so that `import fastmlp` itself costs nothing."""
    if name not in _HOMES and name not in _MODULES:
        from fastmlp._runtime.names import hint

        found = hint(name, __dir__(), "fastmlp") if not name.startswith("_") else ""
        raise AttributeError(f"module 'fastmlp' has no attribute {name!r}{found}", name=name)
    from fastmlp.kernels.host.collection import paused_collection
    from fastmlp.kernels.host.interrupts import HeldSignals

    with HeldSignals(), paused_collection(kept=True):  # a half-imported Numba cannot be imported again in the process
        module = importlib.import_module(f"fastmlp.{_HOMES.get(name, name)}")
        value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names and modules."""
    return sorted({*_HOMES, *_MODULES, "__version__"})
