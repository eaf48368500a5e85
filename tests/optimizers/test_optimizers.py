"""Optimizers: numbers are checked, compared and stored; each follows its schedule, learns, and clips gradients."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from behaviour import bits, small_data, small_network
from cases import DTYPES, LEARNERS, Training, assert_same_bits, data_for, largest_error, tensors

import fastmlp
from fastmlp import Network, NonFiniteLossError, register_loss
from fastmlp._engine.purposes import TRAINING
from fastmlp.kernels.layout import DECAY
from fastmlp.losses import LOSSES
from fastmlp.optimizers import OPTIMIZERS as TABLE
from fastmlp.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    Nadam,
    Optimizer,
    RMSprop,
    StepOptimizer,
    from_dict,
    resolve,
)
from fastmlp.reference import Network as Reference
from fastmlp.schedules import (
    SCHEDULES,
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

NAN, INF = math.nan, math.inf
X, LABELS = small_data()
STEPPING = {name: optimizer for name, optimizer in TABLE.items() if isinstance(optimizer, StepOptimizer)}

# Numbers -------------------------------------------------------------------------------------------------------------

NO_RATE = "learning_rate must be a number or a schedule such as CosineDecay(1e-3, 1000), got "
RATES: list[tuple[Any, type[Exception], str]] = [
    (True, TypeError, "learning_rate must be a number, got True of type bool"),
    ("fast", TypeError, f"{NO_RATE}'fast'"),
    (None, TypeError, f"{NO_RATE}None"),
    ([0.1], TypeError, f"{NO_RATE}[0.1]"),
    (-1e-3, ValueError, "learning_rate must be at least 0 and finite, got -0.001"),
    (NAN, ValueError, "learning_rate must be at least 0 and finite, got nan"),
    (INF, ValueError, "learning_rate must be at least 0 and finite, got inf"),
    (10**400, ValueError, "learning_rate must be at least 0 and finite, got 1000"),
]
LIMITS: list[tuple[Any, type[Exception], str]] = [
    (0, ValueError, "must be None, or greater than 0, got 0.0"),
    (1e-31, ValueError, "must be None, or greater than 0, got 1e-31"),
    (-1.0, ValueError, "must be at least 0 and finite, got -1.0"),
    (NAN, ValueError, "must be at least 0 and finite, got nan"),
    (INF, ValueError, "must be at least 0 and finite, got inf"),
    (True, TypeError, "must be a number, got True of type bool"),
    ("1", TypeError, "must be a number, got '1' of type str"),
]
SHARE = "must be at least 0 and less than 1, got "
LEAST = "must be at least 0 and finite, got "
EPSILON = "must be finite and at least 1e-30, got "
SWITCH = "must be True or False, got "
BAD: list[tuple[type[Optimizer], dict[str, Any], type[Exception], str]] = [
    (SGD, {"momentum": 1.5}, ValueError, "sgd: momentum must be at least 0 and at most 1, got 1.5"),
    (SGD, {"momentum": -0.1}, ValueError, f"sgd: momentum {LEAST}-0.1"),
    (SGD, {"momentum": "0.9"}, TypeError, "sgd: momentum must be a number, got '0.9' of type str"),
    (SGD, {"nesterov": True}, ValueError, "sgd: momentum must be positive with nesterov=True, got 0.0"),
    (SGD, {"momentum": 0.9, "nesterov": 1}, ValueError, f"sgd: nesterov {SWITCH}1"),
    (RMSprop, {"rho": 1}, ValueError, f"rmsprop: rho {SHARE}1.0"),
    (RMSprop, {"momentum": 1}, ValueError, f"rmsprop: momentum {SHARE}1.0"),
    (RMSprop, {"epsilon": 0.0}, ValueError, f"rmsprop: epsilon {EPSILON}0.0"),
    (RMSprop, {"centered": "yes"}, ValueError, f"rmsprop: centered {SWITCH}'yes'"),
    (Adagrad, {"initial_accumulator_value": -1}, ValueError, f"adagrad: initial_accumulator_value {LEAST}-1"),
    (Adagrad, {"initial_accumulator_value": 1e31}, ValueError, "initial_accumulator_value must be at most 1e30, got"),
    (Adagrad, {"epsilon": 1e-31}, ValueError, f"adagrad: epsilon {EPSILON}1e-31"),
    (Adadelta, {"rho": 1.5}, ValueError, f"adadelta: rho {SHARE}1.5"),
    (Adadelta, {"epsilon": NAN}, ValueError, f"adadelta: epsilon {LEAST}nan"),
    (Adam, {"beta_1": 1.0}, ValueError, f"adam: beta_1 {SHARE}1.0"),
    (Adam, {"beta_2": NAN}, ValueError, f"adam: beta_2 {LEAST}nan"),
    (Adam, {"epsilon": 0}, ValueError, f"adam: epsilon {EPSILON}0.0"),
    (Adam, {"amsgrad": None}, ValueError, f"adam: amsgrad {SWITCH}None"),
    (Adam, {"epsilon_hat": 1}, ValueError, f"adam: epsilon_hat {SWITCH}1"),
    (AdamW, {"weight_decay": -0.1}, ValueError, f"adamw: weight_decay {LEAST}-0.1"),
    (AdamW, {"weight_decay": INF}, ValueError, f"adamw: weight_decay {LEAST}inf"),
    (AdamW, {"beta_1": 2}, ValueError, f"adamw: beta_1 {SHARE}2.0"),
    (Nadam, {"momentum_decay": -1}, ValueError, f"nadam: momentum_decay {LEAST}-1"),
    (Nadam, {"beta_2": 1}, ValueError, f"nadam: beta_2 {SHARE}1.0"),
    (Lion, {"beta_1": 1}, ValueError, f"lion: beta_1 {SHARE}1.0"),
    (Lion, {"beta_2": -1}, ValueError, f"lion: beta_2 {LEAST}-1"),
    (Lion, {"weight_decay": "0"}, TypeError, "lion: weight_decay must be a number, got '0' of type str"),
]  # fmt: skip


def refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", STEPPING.values(), ids=STEPPING)
def test_every_optimizer_checks_its_learning_rate_and_its_limits(kind: Optimizer) -> None:
    make: Any = type(kind)
    for value, error, message in RATES:
        refused(lambda value=value: make(value), error, f"{kind.name}: {message}")  # type: ignore[misc]
    for name in ("clipvalue", "global_clipnorm"):
        for value, error, message in LIMITS:
            refused(lambda name=name, value=value: make(**{name: value}), error, f"{kind.name}: {name} {message}")  # type: ignore[misc]
    both = f"{kind.name}: clipvalue must be None if global_clipnorm is given (give one limit only), got 0.5"
    refused(lambda: make(clipvalue=0.5, global_clipnorm=1.0), ValueError, both)


@pytest.mark.parametrize(("kind", "numbers", "error", "message"), BAD)
def test_a_wrong_number_is_refused(kind: Any, numbers: dict[str, Any], error: type[Exception], message: str) -> None:
    refused(lambda: kind(**numbers), error, message)


def test_there_is_a_wrong_case_for_every_number() -> None:
    numbers = {(type(o), key) for o in STEPPING.values() for key in o.to_dict()}
    common = {"name", "learning_rate", "clipvalue", "global_clipnorm"}
    asked = {(kind, key) for kind, given, *_ in BAD for key in given}
    of_adam = ("beta_2", "epsilon", "amsgrad", "epsilon_hat")
    inherited = {(AdamW, key) for key in of_adam} | {(Nadam, "beta_1"), (Nadam, "epsilon")}
    assert {(kind, key) for kind, key in numbers if key not in common} == asked | inherited


def test_numbers_of_any_type_become_python_numbers() -> None:
    given = Adam(np.float32(0.5), beta_1=0, epsilon=np.float64(1e-3), global_clipnorm=1)  # type: ignore[arg-type]
    assert given == Adam(0.5, beta_1=0.0, epsilon=1e-3, global_clipnorm=1.0)
    assert {type(value) for value in given.to_dict().values()} == {str, float, bool, type(None)}


def test_the_representation_evaluates_to_an_equal_optimizer() -> None:
    assert repr(SGD(0.5)) == "SGD(0.5)"
    assert repr(Lion(clipvalue=2, beta_1=0.5)) == "Lion(0.0001, clipvalue=2.0, beta_1=0.5)"
    for optimizer in LEARNERS.values():
        assert eval(repr(optimizer), vars(fastmlp) | vars(fastmlp.optimizers) | vars(fastmlp.schedules)) == optimizer


def test_optimizers_are_equal_if_class_and_numbers_are_equal() -> None:
    assert len({*LEARNERS.values(), *LEARNERS.values()}) == len(LEARNERS)
    assert Adam(1e-3) != AdamW(1e-3, weight_decay=0.0)
    assert Adam() == Adam(1e-3) == resolve("adam")
    assert hash(SGD(0.5, clipvalue=1)) == hash(SGD(0.5, clipvalue=1.0))
    assert SGD(0.5) != SGD(0.5, clipvalue=1.0)
    assert SGD(ConstantRate(0.5)) != SGD(0.5)
    with pytest.raises(AttributeError):
        LEARNERS["adam"].learning_rate = 1.0  # type: ignore[misc]


NESTED = Warmup(3, Warmup(5, CosineDecay(0.1, 50), start=0.02), start=0.01)


@pytest.mark.parametrize(
    "optimizer",
    [*LEARNERS.values(), *TABLE.values(), *(SGD(schedule) for schedule in SCHEDULES.values()), Lion(NESTED)],
    ids=repr,
)
def test_an_optimizer_is_restored_from_json(optimizer: Optimizer) -> None:
    found = from_dict(json.loads(json.dumps(optimizer.to_dict())))
    assert found == optimizer
    assert hash(found) == hash(optimizer)
    if isinstance(found, StepOptimizer):
        assert type(found.learning_rate) is type(optimizer.learning_rate)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": "adamax"}, ValueError, "unknown optimizer 'adamax'. Known names: sgd, rmsprop, adagrad, adadelta, "),
        ({"name": 3}, TypeError, "optimizer must be a dictionary with a 'name' and numbers, got {'name': 3"),
        ({"colour": 1}, ValueError, "optimizer 'sgd' must have the entries name, learning_rate, clipvalue, global_cl"),
        ({"momentum": -1}, ValueError, "sgd: momentum must be at least 0 and finite, got -1"),
        ({"learning_rate": {"name": "cos"}}, ValueError, "unknown schedule 'cos'. Known names: constant, step"),
        ({"learning_rate": {"name": "cosine"}}, ValueError, "schedule 'cosine' must have the entries name, initial_l"),
        ({"learning_rate": "cosine"}, TypeError, f"sgd: {NO_RATE}'cosine'"),
        ({"clipvalue": 1, "global_clipnorm": 1}, ValueError, "clipvalue must be None if global_clipnorm is given"),
    ],
)  # fmt: skip
def test_a_wrong_description_is_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    refused(lambda: from_dict({**SGD().to_dict(), **changes}), error, message)


# Constants of the steps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_the_constants_of_a_step_do_not_depend_on_the_block_of_steps(optimizer: Optimizer) -> None:
    for first, count in ((1, 300), (4090, 20), (10**6, 7), (10**7, 7), (10**12, 7)):
        steps = np.arange(first, first + count)
        with np.errstate(all="raise"):
            whole, decay = optimizer.constants(steps), optimizer.decay(steps)
            single = [optimizer.constants(steps[i : i + 1]) for i in range(count)]
        assert whole.shape[1] <= DECAY
        assert np.isfinite(whole).all()
        assert_same_bits(whole, np.concatenate(single))
        assert_same_bits(decay, np.concatenate([optimizer.decay(steps[i : i + 1]) for i in range(count)]))


@pytest.mark.parametrize("beta_1", [0.0, 0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("momentum_decay", [0.0, 4e-3, 1.0])
def test_nadam_multiplies_the_momentum_of_all_steps_so_far(beta_1: float, momentum_decay: float) -> None:
    optimizer = Nadam(1.0, beta_1=beta_1, momentum_decay=momentum_decay, beta_2=0.0, epsilon=1e-3)
    mu = beta_1 * (1 - 0.5 * 0.96 ** (np.arange(1, 50_003) * momentum_decay))
    product = np.cumprod(mu)
    for step in (1, 2, 10, 50, 60, 1000, 4096, 4097, 40_000, 50_000):
        *_, of_gradient, of_mean, epsilon = optimizer.constants(np.array([step]))[0]
        assert epsilon == 1e-3
        assert of_gradient == pytest.approx(-(1 - mu[step - 1]) / (1 - product[step - 1]), rel=1e-12)
        assert of_mean == pytest.approx(-mu[step] / (1 - product[step]) * (1 - beta_1), rel=1e-12)


@pytest.mark.parametrize(("beta_1", "momentum_decay"), [(1 - 1e-7, 1.0), (1 - 1e-9, 4e-3), (1 - 1e-9, 1e-9)])
def test_nadam_multiplies_the_momentum_of_all_steps_beyond_a_million_steps(
    beta_1: float, momentum_decay: float
) -> None:
    """From step 2^20 on the product is continued by a power of beta_1, with the same bits for one step and for many."""
    optimizer, settled = Nadam(1.0, beta_1=beta_1, momentum_decay=momentum_decay, beta_2=0.0), 1 << 20
    steps = np.arange(settled - 5, settled + 6)
    factors = beta_1 * (1 - 0.5 * 0.96 ** (np.arange(1, steps[-1] + 1) * momentum_decay))
    product = np.cumprod(factors)[steps - 1]
    found = optimizer.constants(steps)
    assert found[:, 2] == pytest.approx(-(1 - factors[steps - 1]) / (1 - product), rel=1e-6)
    assert_same_bits(
        found[::3], np.concatenate([optimizer.constants(steps[i : i + 1]) for i in range(0, len(steps), 3)])
    )


# Schedules -----------------------------------------------------------------------------------------------------------

SHORT: list[Schedule] = [
    ConstantRate(0.05),
    StepDecay(0.1, 3, 0.5),
    ExponentialDecay(0.1, 4, 0.5),
    InverseTimeDecay(0.1, 4, 1.0),
    InverseScaling(0.1),
    PolynomialDecay(0.1, 9, 0.01, 2.0),
    CosineDecay(0.1, 9, 0.1),
    CosineDecayRestarts(0.1, 3),
    OneCycle(0.1, 11),
    Warmup(5, 0.1),
    Warmup(3, Warmup(2, StepDecay(0.1, 3, 0.5), 0.05), 0.01),
]
"""One schedule of every class; each passes through all of its phases within 12 steps."""


@pytest.mark.parametrize("schedule", SHORT, ids=repr)
@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_training_with_a_schedule_agrees_with_the_reference(kind: Any, schedule: Schedule) -> None:
    case = Training((9, 17, 3), {"output": "softmax", "optimizer": kind(schedule)})
    network, reference = case.make(Network, "float64"), case.make(Reference, "float64")
    for trained in (network, reference):
        trained.fit(**case.arguments(trained, "float64"), epochs=3)
    assert network.step == 12
    assert largest_error(network.get_weights(), reference.get_weights()) <= 1e-9
    np.testing.assert_allclose(network.history.history["loss"], reference.history.history["loss"], rtol=1e-9)


@pytest.mark.parametrize("schedule", SHORT, ids=repr)
def test_a_step_uses_the_rate_of_its_schedule(schedule: Schedule) -> None:
    network = Network([3, 2], optimizer=SGD(schedule), dtype="float64", seed=0)
    rows, y = data_for(network, 20, "float64")
    for step in range(12):
        (before, _), (gradient, _) = network.get_weights()[0], network.loss_and_gradients(rows, y)[1][0]
        network.train_on_batch(rows, y)
        moved = network.get_weights()[0][0] - before
        np.testing.assert_allclose(moved, -float(schedule.rates(step)) * gradient, rtol=1e-9, atol=1e-15)


def test_every_class_of_schedules_is_among_the_short_ones() -> None:
    assert {type(schedule) for schedule in SHORT} == {type(schedule) for schedule in SCHEDULES.values()}


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
def test_every_optimizer_learns(optimizer: Optimizer, dtype: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4))
    labels = (rows @ rng.normal(size=(4, 3))).argmax(axis=1)
    network = Network([4, 16, 3], output="softmax", optimizer=optimizer, dtype=dtype, seed=0)
    before = network.evaluate(rows, labels)
    network.fit(rows, labels, epochs=30, batch_size=20)
    after = network.evaluate(rows, labels)
    assert after["loss"] < 0.5 * before["loss"]
    assert after["accuracy"] > 0.85


def test_reinitializing_resets_the_sum_of_adagrad() -> None:
    network = small_network(optimizer=Adagrad(0.1, initial_accumulator_value=0.5))
    network.fit(X, LABELS)
    own = network._engine.parameters
    assert all((slot >= 0.5).all() and (slot > 0.5).any() for slot in tensors(own.unpack(own.slots[0])))
    network.reinitialize(3)
    assert all((slot == 0.5).all() for slot in tensors(own.unpack(own.slots[0])))
    assert own.slots.sum() == pytest.approx(0.5 * sum(layer.parameters for layer in network.architecture.layers))
    other = small_network(optimizer=Adagrad(0.1, initial_accumulator_value=0.5), seed=3)
    for each in (network, other):
        each.fit(X, LABELS)
    assert bits(network) == bits(other)


# Limits of the gradient ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def breaking_loss() -> Iterator[str]:
    """Register a loss whose gradient is NaN for outputs above 50, though the loss itself is finite."""
    register_loss("breaking", lambda a, y: abs(a - y), lambda a, y: math.nan if a > 50 else 1.0 if a > y else -1.0)
    yield "breaking"
    del LOSSES["breaking"]


@pytest.mark.parametrize("limit", [{"global_clipnorm": 0.1}, {"clipvalue": 0.1}, {}])
@pytest.mark.parametrize(("batch_size", "batch"), [(4, 1), (12, 0)])
def test_nan_in_a_gradient_is_not_clipped_away(
    breaking_loss: str, batch_size: int, batch: int, limit: dict[str, Any]
) -> None:
    rows, y = np.ones((12, 2), np.float32), np.zeros(12)
    network = Network([2, 3, 1], loss=breaking_loss, optimizer=Adam(0.01, **limit), seed=0)
    network.fit(rows, y, epochs=2, batch_size=batch_size)
    first, (w, b) = network.get_weights()
    assert b is not None
    network.set_weights([first, (w, b + 100)])
    kept = bits(network)
    with pytest.raises(NonFiniteLossError) as caught:
        network.fit(rows, y, epochs=2, batch_size=batch_size)
    assert (caught.value.epoch, caught.value.batch) == (
        2,
        batch,
    )  # the first batch at which the weights or the loss are NaN
    assert bits(network) == kept


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_includes_the_gradient_that_clipping_by_norm_stores(dtype: str) -> None:
    def network(**limit: Any) -> Network:
        return Network([64, 100, 3], output="softmax", optimizer=Adam(**limit), dtype=dtype, seed=0)

    plain, clipped = network(), network(global_clipnorm=1.0)
    plans = [each._engine.plans.get(TRAINING, 32) for each in (plain, clipped)]
    more = clipped.memory(32) - plain.memory(32)
    assert more == plans[1].nbytes - plans[0].nbytes
    assert more >= clipped._engine.parameters.weights.nbytes  # the whole gradient
    assert network(clipvalue=1.0).memory(32) == plain.memory(32)
