"""The numbers and switches that a user gets without asking are the documented ones.

Other tests read these values from the objects themselves, so a changed default would pass them.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import fastmlp
from fastmlp.metrics import top_k_accuracy
from fastmlp.tables import TabularModel, prepare

ADAM = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}  # as PyTorch; Keras has epsilon 1e-7
DEFAULTS: dict[Any, dict[str, Any]] = {
    fastmlp.LeakyReLU: {"slope": 0.01},
    fastmlp.ELU: {"alpha": 1.0},
    fastmlp.GELU: {"approximate": False},
    fastmlp.Dense: {"use_bias": True, "dropout": 0.0, "l1": 0.0, "l2": 0.0},
    fastmlp.Huber: {"delta": 1.0},
    fastmlp.BinaryCrossentropy: {"label_smoothing": 0.0},
    fastmlp.CategoricalCrossentropy: {"label_smoothing": 0.0},
    fastmlp.Constant: {"value": 0.0},
    fastmlp.Orthogonal: {"gain": 1.0},
    fastmlp.RandomNormal: {"mean": 0.0, "stddev": 0.05},
    fastmlp.RandomUniform: {"minval": -0.05, "maxval": 0.05},
    fastmlp.TruncatedNormal: {"mean": 0.0, "stddev": 0.05},
    fastmlp.SGD: {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    fastmlp.Adam: ADAM | {"amsgrad": False, "epsilon_hat": False},
    fastmlp.AdamW: ADAM | {"weight_decay": 0.01},
    fastmlp.Nadam: ADAM | {"learning_rate": 0.002, "momentum_decay": 0.004},
    fastmlp.Lion: {"learning_rate": 1e-4, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.0},
    fastmlp.RMSprop: {"learning_rate": 0.01, "rho": 0.99, "momentum": 0.0, "epsilon": 1e-8, "centered": False},
    fastmlp.Adagrad: {"learning_rate": 0.01, "initial_accumulator_value": 0.0, "epsilon": 1e-10},
    fastmlp.Adadelta: {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6},
    fastmlp.StepDecay: {"gamma": 0.1},
    fastmlp.ExponentialDecay: {"staircase": False},
    fastmlp.InverseTimeDecay: {"staircase": False},
    fastmlp.InverseScaling: {"power": 0.5},
    fastmlp.PolynomialDecay: {"end_learning_rate": 1e-4, "power": 1.0, "cycle": False},
    fastmlp.CosineDecay: {"alpha": 0.0},
    fastmlp.CosineDecayRestarts: {"t_mul": 2.0, "m_mul": 1.0, "alpha": 0.0},
    fastmlp.OneCycle: {"pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4, "three_phase": False},
    fastmlp.Warmup: {"start": 0.0},
    fastmlp.EarlyStopping: {"patience": 10, "min_delta": 0.0, "restore_best_weights": True},
    fastmlp.ModelCheckpoint: {"save_best_only": False},
    fastmlp.ReduceLROnPlateau: {"factor": 0.1, "patience": 10, "min_delta": 1e-4, "cooldown": 0, "min_lr": 0.0},
    fastmlp.CSVLogger: {"separator": ",", "append": False},
    fastmlp.GradientMonitor: {"every": 1},
    fastmlp.Network.fit: {"epochs": 1, "batch_size": 32, "validation_split": 0.0, "shuffle": True},
    fastmlp.check_gradients: {"step": 1e-6, "seed": 0, "samples": 200},
    top_k_accuracy: {"k": 5},
    prepare: {"validation": 0.2, "test": 0.15, "seed": 0},
    TabularModel.for_table: {"hidden": (64, 32), "dropout": 0.0, "l2": 0.0, "seed": 0},
    TabularModel.fit: {"epochs": 200, "batch_size": 32},
}


@pytest.mark.parametrize("of", DEFAULTS, ids=lambda of: of.__qualname__)
def test_defaults_are_the_documented_ones(of: Any) -> None:
    parameters = inspect.signature(of).parameters
    assert {name: parameters[name].default for name in DEFAULTS[of]} == DEFAULTS[of]
