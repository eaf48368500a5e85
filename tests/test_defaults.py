"""The numbers and switches that a user gets without asking are the documented ones.

Other tests read these values from the objects themselves, so a changed default would pass them.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import fastmlp
from fastmlp import metrics, plot
from fastmlp._runtime.settings import Settings
from fastmlp.cli import train_options
from fastmlp.tables import TabularModel, prepare, sample

ADAM = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}  # as PyTorch; Keras has epsilon 1e-7
MONITOR = {"monitor": "val_loss", "mode": "auto"}
ESTIMATOR = {"dropout": 0.0, "restore_best_weights": False, "progress_bar": False}  # and scikit-learn's, tested there
OF_CLASSES = {"pos_label": 1, "average": "binary"}
TABLE = {"skip_missing_target": False, "verbose": "auto"}
DEFAULTS: dict[Any, dict[str, Any]] = {
    fastmlp.LeakyReLU: {"slope": 0.01},
    fastmlp.ELU: {"alpha": 1.0},
    fastmlp.GELU: {"approximate": False},
    fastmlp.Dense: {"use_bias": True, "dropout": 0.0, "l1": 0.0, "l2": 0.0, "bias_init": "zeros"},
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
    fastmlp.OneCycle: {
        "pct_start": 0.3,
        "div_factor": 25.0,
        "final_div_factor": 1e4,
        "three_phase": False,
        "anneal_strategy": "cos",
    },
    fastmlp.Warmup: {"start": 0.0},
    fastmlp.EarlyStopping: MONITOR | {"patience": 10, "min_delta": 0.0, "restore_best_weights": True},
    fastmlp.ModelCheckpoint: MONITOR | {"save_best_only": False, "save_freq": "epoch"},
    fastmlp.ReduceLROnPlateau: MONITOR
    | {"factor": 0.1, "patience": 10, "min_delta": 1e-4, "cooldown": 0, "min_lr": 0.0, "verbose": False},
    fastmlp.CSVLogger: {"separator": ",", "append": False},
    fastmlp.GradientMonitor: {"every": 1},
    fastmlp.Network: {"activation": "relu", "dtype": "float32"},
    fastmlp.Network.fit: {"epochs": 1, "batch_size": 32, "validation_split": 0.0, "shuffle": True, "verbose": "auto"},
    fastmlp.Network.memory: {"batch_size": 32},
    fastmlp.Network.save: {"optimizer": True},
    fastmlp.History.plot: {"metric": "loss", "title": "Learning curves", "theme": "light"},
    fastmlp.register_activation: {"weight_init": "glorot_uniform", "output_loss": "mean_squared_error"},
    fastmlp.register_loss: {"targets": "values"},
    fastmlp.to_c: {"name": "mlp"},
    fastmlp.to_onnx: {"opset": 17, "input_name": "X", "output_name": "Y"},
    fastmlp.to_torch: {"logits": False},
    fastmlp.MLPClassifier: ESTIMATOR | {"loss": "log_loss", "class_weight": None},
    fastmlp.MLPRegressor: ESTIMATOR | {"loss": "squared_error"},
    fastmlp.check_gradients: {"step": 1e-6, "seed": 0, "samples": 200},
    metrics.precision: OF_CLASSES,
    metrics.recall: OF_CLASSES,
    metrics.f1: OF_CLASSES,
    metrics.top_k_accuracy: {"k": 5},
    plot.confusion_matrix: {"title": "Confusion matrix", "theme": "light"},
    plot.gradient_norms: {"title": None, "theme": "light"},
    plot.learning_curves: {"metric": "loss", "title": "Learning curves", "theme": "light"},
    plot.network: {"title": None, "theme": "light"},
    plot.predicted_versus_true: {"title": "Predicted versus true", "theme": "light"},
    plot.roc_curves: {"title": "ROC curves", "theme": "light"},
    prepare: TABLE | {"task": "auto", "validation": 0.2, "test": 0.15, "seed": 0, "decimal": "."},
    sample: TABLE | {"rows": 100, "seed": 0},
    TabularModel.evaluate: TABLE,
    TabularModel.for_table: {"hidden": (64, 32), "activation": "relu", "dropout": 0.0, "l2": 0.0, "seed": 0},
    TabularModel.fit: {"epochs": 200, "batch_size": 32, "verbose": "auto"},
}


@pytest.mark.parametrize("of", DEFAULTS, ids=lambda of: of.__qualname__)
def test_defaults_are_the_documented_ones(of: Any) -> None:
    parameters = inspect.signature(of).parameters
    assert {name: parameters[name].default for name in DEFAULTS[of]} == DEFAULTS[of]


def test_what_has_a_default_is_given_by_name() -> None:
    """Except the numbers of settings, such as Adam(0.01), and what comes first or is the only argument."""
    functions = [of for of in DEFAULTS if not (isinstance(of, type) and issubclass(of, Settings))]
    positional = {
        f"{of.__qualname__} {name}"
        for of in functions
        for name, parameter in inspect.signature(of).parameters.items()
        if name in DEFAULTS[of] and parameter.kind is not parameter.KEYWORD_ONLY
    }
    monitors = {f"{kind} monitor" for kind in ("EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau")}
    others = {"Network.memory batch_size", "MLPRegressor loss", "sample rows", "TabularModel.for_table hidden"}
    assert positional == monitors | others


def test_the_command_has_the_defaults_of_python() -> None:
    found = train_options._DATA_DEFAULTS
    expected = DEFAULTS[prepare] | DEFAULTS[TabularModel.for_table]
    common = expected.keys() & found.keys()
    assert common == {"task", "validation", "test", "decimal", "skip_missing_target", "activation", "dropout", "l2"}
    assert {name: found[name] for name in common} == {name: expected[name] for name in common}
    assert tuple(found["layers"]) == expected["hidden"]
