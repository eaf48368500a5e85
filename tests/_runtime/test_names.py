"""A wrong name, keyword argument or attribute leads to the right one, and nothing else about it is unusual."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastmlp
from fastmlp import (
    SGD,
    Adam,
    AdamW,
    Callback,
    CosineDecay,
    CSVLogger,
    Dense,
    EarlyStopping,
    Ensemble,
    ExponentialDecay,
    GradientMonitor,
    Huber,
    LambdaCallback,
    LeakyReLU,
    ModelCheckpoint,
    Network,
    ReduceLROnPlateau,
    RMSprop,
    TimeLimit,
)
from fastmlp._runtime import names
from fastmlp._runtime.names import ADVICE, hint, nearest
from fastmlp.activations import ACTIVATIONS
from fastmlp.datasets import load_breast_cancer
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.metrics import METRICS
from fastmlp.optimizers import OPTIMIZERS

NET = Network([4, 3, 2], output="softmax", seed=0)

SPELLINGS = [
    (
        ACTIVATIONS,
        "ReLU relu, LeakyReLU leaky_relu, swish silu, SiLU silu, logistic sigmoid, identity linear, Sigmoid sigmoid, "
        "Tanh tanh, GELU gelu, soft-max softmax, Hardsigmoid hard_sigmoid, PReLU leaky_relu, none linear",
    ),
    (
        LOSSES,
        "mse mean_squared_error, MSE mean_squared_error, mae mean_absolute_error, bce binary_crossentropy, "
        "crossentropy categorical_crossentropy, cross_entropy categorical_crossentropy, "
        "log_loss categorical_crossentropy, "
        "sparse_categorical_crossentropy categorical_crossentropy, CrossEntropyLoss categorical_crossentropy, "
        "NLLLoss categorical_crossentropy, BCEWithLogitsLoss binary_crossentropy, MSELoss mean_squared_error, "
        "L1Loss mean_absolute_error, SmoothL1Loss huber, HuberLoss huber, squared_error mean_squared_error, "
        "absolute_error mean_absolute_error, KLDivLoss kl_divergence, BinaryCrossentropy binary_crossentropy, "
        "logcosh log_cosh",
    ),
    (
        METRICS,
        "acc accuracy, auc roc_auc, AUC roc_auc, roc_auc_score roc_auc, f1_score f1, mse mean_squared_error, "
        "rmse root_mean_squared_error, mae mean_absolute_error, r2_score r2, R2 r2, accuracy_score accuracy, "
        "sparse_categorical_accuracy accuracy, crossentropy log_loss, recall_score recall, pearsonr pearson",
    ),
    (OPTIMIZERS, "Adam adam, RMSProp rmsprop, SGD sgd, momentum sgd, adma adam, NAdam nadam"),
    (
        INITIALIZERS,
        "xavier glorot_uniform, kaiming_normal he_normal, HeNormal he_normal, normal random_normal",
    ),
]


@pytest.mark.parametrize(
    ("known", "given", "right"),
    [(table, *pair.split()) for table, pairs in SPELLINGS for pair in pairs.split(",")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_spellings_of_other_libraries_lead_to_the_name_here(known: Any, given: str, right: str) -> None:
    assert nearest(given, known) == right


KEYWORDS: list[tuple[Callable[..., Any], str, str]] = [
    (Adam, "lr", "did you mean 'learning_rate'?"),
    (SGD, "lr", "did you mean 'learning_rate'?"),
    (Adam, "eps", "did you mean 'epsilon'?"),
    (Adam, "beta1", "did you mean 'beta_1'?"),
    (AdamW, "betas", "give beta_1= and beta_2="),
    (RMSprop, "alpha", "did you mean 'rho'?"),
    (SGD, "weight_decay", r"give it to each layer, Dense\(16, l2=1e-4\), or use AdamW"),
    (Adam, "clipnorm", "did you mean 'global_clipnorm'?"),
    (LeakyReLU, "alpha", "did you mean 'slope'?"),
    (LeakyReLU, "negative_slope", "did you mean 'slope'?"),
    (Huber, "foo", "the arguments are delta"),
    (CosineDecay, "T_max", "did you mean 'decay_steps'?"),
    (ExponentialDecay, "gamma", "did you mean 'decay_rate'?"),
    (Network, "learning_rate", "give it to the optimizer, such as optimizer=Adam"),
    (Network, "hidden_layer_sizes", r"as the first argument: Network\(\[30, 16, 8, 2\]\)"),
    (Network, "random_state", "did you mean 'seed'?"),
    (Network, "n_jobs", "did you mean 'threads'?"),
    (Network, "solver", "did you mean 'optimizer'?"),
    (Network, "epochs", r"give it to fit: net.fit\(X, y, epochs=...\)"),
    (Network, "foo", "the arguments are activation, dtype, layers, "),
    (Dense, "input_dim", "the first entry of layers is the number of inputs"),
    (Dense, "kernel_initializer", "did you mean 'weight_init'?"),
    (Dense, "kernel_regularizer", "give l1= or l2="),
    (Dense, "name", "layers have no names"),
    (NET.fit, "nb_epoch", "did you mean 'epochs'?"),
    (NET.fit, "n_epochs", "did you mean 'epochs'?"),
    (NET.fit, "max_iter", "did you mean 'epochs'?"),
    (NET.fit, "validation_fraction", "did you mean 'validation_split'?"),
    (NET.fit, "x", "did you mean 'X'?"),
    (NET.fit, "patience", r"callbacks=\[EarlyStopping\(patience=10\)\]"),
    (NET.fit, "lr", "or set net.learning_rate"),
    (NET.fit, "loss", "give it to Network"),
    (NET.evaluate, "verbose", "leave it out"),
    (NET.predict, "batch", "did you mean 'batch_size'?"),
    (NET.save, "filepath", "did you mean 'path'?"),
    (GradientMonitor, "frequency", "the arguments are X, every, y"),
    (LambdaCallback, "epoch_end", "did you mean 'on_epoch_end'?"),
    (EarlyStopping, "n_iter_no_change", "did you mean 'patience'?"),
    (EarlyStopping, "verbose", "stopped_epoch and best_epoch tell"),
    (ModelCheckpoint, "path", "did you mean 'filepath'?"),
    (ReduceLROnPlateau, "threshold", "did you mean 'min_delta'?"),
    (CSVLogger, "path", "did you mean 'filename'?"),
    (TimeLimit, "minutes", "the arguments are seconds"),
    (fastmlp.MLPClassifier, "epochs", "did you mean 'max_iter'?"),
    (fastmlp.MLPClassifier, "lr", "did you mean 'learning_rate_init'?"),
    (fastmlp.MLPRegressor, "patience", "did you mean 'n_iter_no_change'?"),
    (fastmlp.MLPRegressor, "seed", "did you mean 'random_state'?"),
    (load_breast_cancer, "return_X_y", "then data.X and data.y"),
    (fastmlp.tables.prepare, "validation_split", "did you mean 'validation'?"),
    (fastmlp.tables.TabularModel.for_table, "lr", "optimizer=Adam"),
    (fastmlp.tables.TabularModel.fit, "n_epochs", "did you mean 'epochs'?"),
]


@pytest.mark.parametrize(
    ("function", "keyword", "message"), KEYWORDS, ids=[f"{case[0].__qualname__}-{case[1]}" for case in KEYWORDS]
)
def test_an_unknown_keyword_argument_has_a_hint(function: Callable[..., Any], keyword: str, message: str) -> None:
    with pytest.raises(TypeError, match=rf"\) got an unexpected keyword argument '{keyword}'; .*{message}"):
        function(**{keyword: 1})


ATTRIBUTES: list[tuple[object, str, str]] = [
    (NET, "layers", "architecture.layers describes the layers, and get_weights"),
    (NET, "weights", "did you mean 'get_weights'?"),
    (NET, "lr", "did you mean 'learning_rate'?"),
    (NET, "optimizer", "write net.architecture.optimizer"),
    (NET, "loss", "write net.architecture.loss"),
    (NET, "compile", "give loss= and optimizer= to Network"),
    (NET, "predict_proba", "did you mean 'predict'?"),
    (NET, "coefs_", "did you mean 'get_weights'?"),
    (NET, "score", "did you mean 'evaluate'?"),
    (NET, "stop_trainig", "did you mean 'stop_training'?"),
    (NET, "to", "fastmlp runs on the CPU"),
    (Adam(), "lr", "did you mean 'learning_rate'?"),
    (Callback(), "model", "write self.network"),
    (load_breast_cancer(), "data", "write X"),
    (load_breast_cancer(), "target", "write y"),
    (fastmlp, "Sequential", r"write fastmlp.Network\(\[30, 16, 2\]\)"),
    (fastmlp.metrics, "f1_score", "did you mean 'f1'?"),
    (fastmlp.losses, "mse", "did you mean 'MeanSquaredError'?"),
    (fastmlp.datasets, "load_iris", "scikit-learn has this data set"),
    (fastmlp.callbacks, "EarlyStop", "did you mean 'EarlyStopping'?"),
    (fastmlp.schedules, "CosineDecays", "did you mean 'CosineDecay'?"),
    (fastmlp.layers, "Dens", "did you mean 'Dense'?"),
    (fastmlp.initializers, "Normal", "did you mean 'RandomNormal'?"),
    (fastmlp.activations, "LeakyRelu", "did you mean 'LeakyReLU'?"),
    (fastmlp.optimizers, "Adamw", "did you mean 'AdamW'?"),
    (fastmlp.plot, "roc_curve", "did you mean 'roc_curves'?"),
    (fastmlp, "EarlyStoping", "did you mean 'EarlyStopping'?"),
]


@pytest.mark.parametrize(("owner", "name", "message"), ATTRIBUTES, ids=[f"{case[1]}" for case in ATTRIBUTES])
def test_an_unknown_attribute_has_a_hint(owner: object, name: str, message: str) -> None:
    assert not hasattr(owner, name)
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; {message}") as caught:
        getattr(owner, name)
    assert caught.value.name == name
    assert caught.value.obj is None  # or Python appends a suggestion of its own


def test_a_name_without_a_similar_one_has_no_hint() -> None:
    assert hint("zzz", ["relu", "tanh"]) == ""
    with pytest.raises(AttributeError, match=r"'Network' object has no attribute 'zzz'$"):
        NET.zzz  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"'Network' object has no attribute '_layers'$"):
        NET._layers  # type: ignore[attr-defined]  # noqa: B018


def test_an_attribute_error_within_a_property_is_not_hidden() -> None:
    with pytest.raises(AttributeError, match=r"'Network' object has no attribute '_engine'$"):
        Network.__new__(Network).architecture  # noqa: B018


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Network(30, 16, 2),
            r"takes only layers without a name, got 3 .* one list.*: Network\(\[30, 16, 2\]",
        ),
        (lambda: NET.fit([], [], 10), "takes only X and y without a name, got 3 such arguments; .* such as epochs=10$"),
        (
            lambda: Dense(3, "relu", 0.1),
            "takes only units and activation without a name, got 3 .* such as use_bias=",
        ),
        (lambda: load_breast_cancer(True), r"load_breast_cancer\(\) takes no argument without a name, got 1 such"),
    ],
)
def test_too_many_arguments_without_a_name_are_told_their_names(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lr", "; did you mean 'learning_rate'\\?$"),
        ("optimizer", "; it is decided when the Network is created$"),
        ("weights", "; did you mean 'get_weights'\\?$"),
    ],
)
def test_setting_an_attribute_of_another_library_is_refused(name: str, message: str) -> None:
    with pytest.raises(AttributeError, match=f"setting '{name}' of a Network has no effect{message}"):
        setattr(NET, name, 0.1)
    assert name not in vars(NET)


def test_networks_and_their_subclasses_take_attributes_of_their_own() -> None:
    class Own(Network):
        pass

    network = Own([2, 1])
    network.lr = 0.1  # type: ignore[attr-defined]
    assert network.lr == 0.1  # type: ignore[attr-defined]
    plain = Network([2, 1])
    plain.label = "first"  # type: ignore[attr-defined]
    assert plain.label == "first"  # type: ignore[attr-defined]


ENTRIES = ("loss", "val_loss", "val_accuracy")


@pytest.mark.parametrize(
    ("name", "entries", "message"),
    [
        ("val_acc", 3, "did you mean 'val_accuracy'\\?$"),
        ("accuracy", 3, "did you mean 'val_accuracy'\\?$"),
        ("acc", 3, "did you mean 'val_accuracy'\\?$"),
        ("val_acc", 2, "did you mean 'val_accuracy'\\? Then give fit metrics=\\['accuracy'\\]$"),
        ("val_acc", 1, "did you mean 'val_accuracy'\\? Then give fit validation_data or validation_split$"),
        ("val_auc", 2, "did you mean 'val_roc_auc'\\? Then give fit metrics=\\['roc_auc'\\]$"),
        ("val_accuracy", 2, "val_loss; give fit metrics=\\['accuracy'\\]$"),
        ("loss_val", 2, "did you mean 'val_loss'\\?$"),
        ("val_own", 3, "; give fit metrics=\\['own'\\]$"),
    ],
)
def test_a_monitor_of_a_wrong_entry_leads_to_the_right_one(name: str, entries: int, message: str) -> None:
    stopping = EarlyStopping(name)
    stopping.entries = ENTRIES[:entries]
    with pytest.raises(ValueError, match=f"EarlyStopping monitors '{name}', but this fit has only loss.*{message}"):
        stopping.on_train_begin()


@pytest.mark.parametrize("kind", [Network, Dense, Adam, LeakyReLU, ExponentialDecay, EarlyStopping])
def test_the_signature_is_that_of_init(kind: type) -> None:
    """Neither the check of keywords nor `__new__` replaces it, for help(), editors and scikit-learn's clone."""
    parameters = inspect.signature(kind).parameters
    assert parameters
    assert all(each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters.values())


@pytest.mark.parametrize("value", [NET, Adam(0.5), Dense(3), LeakyReLU(0.2), EarlyStopping(), load_breast_cancer()])
def test_objects_with_hints_are_copied_and_pickled(value: object) -> None:
    for copied in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert repr(copied) == repr(value)


def test_every_name_and_every_owner_of_the_tables_exists() -> None:
    """A name here that is renamed must not stay in the tables."""
    classes = [getattr(fastmlp, name) for name in dir(fastmlp) if isinstance(getattr(fastmlp, name, None), type)]
    classes += [fastmlp.tables.TabularModel, fastmlp.datasets.Dataset, fastmlp.optimizers.Optimizer]
    functions = [
        Network.fit,
        Ensemble.predict,
        Ensemble.predict_samples,
        Ensemble.from_networks,
        fastmlp.tables.prepare,
        fastmlp.tables.TabularModel.for_table,
        *(kind.__init__ for kind in classes),
    ]
    known = {parameter for each in functions for parameter in inspect.signature(each).parameters}
    known |= {name for kind in classes for name in [*dir(kind), *getattr(kind, "__annotations__", ())]}
    known |= {"train", "out"}  # of the command line
    known |= {*ACTIVATIONS, *LOSSES, *METRICS, *INITIALIZERS, *OPTIMIZERS, *ENTRIES}
    assert names._OTHERS.keys() <= known
    owners = {kind.__name__ for kind in classes} | {"fastmlp", "load_breast_cancer()"}
    assert {owner.removesuffix("()").split(".")[0] for owner in ADVICE} - owners == {"load_breast_cancer"}


def test_a_network_is_loaded_by_its_class_and_not_by_another_network(tmp_path: Path) -> None:
    net, kept = Network([3, 2], seed=0), tmp_path / "kept.safetensors"
    net.save(kept)
    message = "^load\\(\\) returns a new Network and does not change this one; .* such as new = Network.load\\(...\\)$"
    with pytest.raises(TypeError, match=message):
        net.load(kept)
    with pytest.raises(AttributeError, match=r"; write net = Network\.load\(path\), which returns a new network$"):
        net.load_weights  # type: ignore[attr-defined]  # noqa: B018

    class Mine(Network):
        """A network of a user."""

        @classmethod
        def load(cls, path: Any, **options: Any) -> Network:
            """Load as its base class does."""
            return super().load(path, **options)

    assert type(Network.load(kept)) is Network
    assert type(Mine.load(kept)) is Mine
    assert inspect.signature(Network.load).parameters.keys() == {"path", "threads"}
    assert Network.load.__doc__ == net.load.__doc__


def test_a_number_of_an_optimizer_or_activation_is_not_set_but_replaced() -> None:
    message = r"^'{}' of {} cannot be set, .*dataclasses\.replace\(\.\.\., {}=\.\.\.\){}$"
    adam, leaky = Adam(0.1), LeakyReLU(0.2)
    rate = r" \(of a network: net\.learning_rate = \.\.\.\)"
    with pytest.raises(AttributeError, match=message.format("learning_rate", "Adam", "learning_rate", rate)):
        adam.learning_rate = 0.2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match=message.format("slope", "LeakyReLU", "slope", "")):
        leaky.slope = 0.3  # type: ignore[misc]
    assert (adam, leaky) == (Adam(0.1), LeakyReLU(0.2))
    assert dataclasses.replace(adam, learning_rate=0.2) == Adam(0.2)
