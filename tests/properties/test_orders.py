"""Relations of orders: of the rows of a full batch, of the units of a layer, and of the inputs, with their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from bounds import assert_equal_gradients, assert_within, bounded
from cases import LEARNERS, Array, assert_same_bits, tensors
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, cases, state_after
from steps import assert_equal_training, assert_equal_weights, step_cases, weights_after_step

Pairs = list[tuple[Any, Any]]


@given(step_cases(), st.randoms(use_true_random=False), st.floats(1e-6, 1e6))
def test_the_order_of_rows_and_a_common_factor_of_their_weights_change_nothing(
    case: Case, random: Any, factor: float
) -> None:
    """Predictions to the bit. Loss, gradients and one step to the derived bound.

    The sums over the rows are reordered, and a weight times the factor is rounded.
    """
    network, data = case.network(), case.data()
    order = np.array(random.sample(range(case.rows), case.rows))
    weights = np.ones(case.rows) if data["sample_weight"] is None else data["sample_weight"]
    other = {"X": data["X"][order], "y": data["y"][order], "sample_weight": factor * weights[order]}
    assert_same_bits(network.predict(other["X"]), network.predict(data["X"])[order])
    assert_equal_training(network, data, other, bounded(network, *data.values()))


def permuted_units(pairs: Pairs, orders: list[Array]) -> Pairs:
    """Return (W, b) of each layer with its units in another order: W[l] has the inputs in the order below."""
    below = [slice(None), *orders[:-1]]
    return [
        (W[rows][:, columns], None if b is None else b[columns])
        for (W, b), rows, columns in zip(pairs, below, orders, strict=True)
    ]


def permuted_targets(case: Case, y: Array, order: Array) -> Array:
    """Return y for outputs in another order. The label of output `order[i]` becomes i: the classes are renamed."""
    return np.argsort(order)[y] if y.ndim == 1 and y.dtype.kind == "i" else y[:, order[: y.shape[1]]]


@given(step_cases(), st.randoms(use_true_random=False))
def test_the_order_of_units_and_classes_changes_nothing(case: Case, random: Any) -> None:
    """To the derived bound: the sums over the units are reordered. Classes are renamed with their outputs.

    Outputs that share a target keep their order.
    """
    data = case.data()
    orders = [np.array(random.sample(range(layer.units), layer.units)) for layer in case.layers[1:]]
    if case.loss.target_columns(case.outputs) != case.outputs:
        orders[-1] = np.arange(case.outputs)
    network, other = case.network(), case.network()
    other.set_weights(permuted_units(network.get_weights(), orders))
    renamed = {**data, "y": permuted_targets(case, data["y"], orders[-1])}
    bounds = bounded(network, *data.values())
    backs = [np.argsort(order) for order in orders]
    assert_within(other.predict(data["X"])[:, backs[-1]], network.predict(data["X"]), bounds.outputs, "outputs")
    loss, gradients = other.loss_and_gradients(*renamed.values())
    expected = network.loss_and_gradients(*data.values())
    assert_equal_gradients((loss, permuted_units(gradients, backs)), expected, bounds)
    after, expected_after = weights_after_step(other, renamed), weights_after_step(network, data)
    assert_equal_weights(network, permuted_units(after, backs), expected_after, bounds)


UNCLIPPED = tuple(each for each in LEARNERS.values() if each.global_clipnorm is None)


def eighths(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return multiples of 1/8 of at most 4. Sums of up to 20 products of two of them are exact in float32."""
    return rng.integers(-32, 33, shape) / 8


@given(cases(optimizers=UNCLIPPED, penalties=False), st.randoms(use_true_random=False))
def test_the_order_of_inputs_with_their_weights_changes_nothing(case: Case, random: Any) -> None:
    """To the bit, with X and the first weights such that sums of their products are exact. Answers and one step.

    Penalties and norms, which are sums over the weights, are left out.
    """
    rng, data = np.random.default_rng(case.seed), case.data()
    order = np.array(random.sample(range(case.layers[0]), case.layers[0]))
    network, other = case.network(), case.network()
    (W, b), *rest = network.get_weights()
    W, b = eighths(rng, W.shape) / 8, None if b is None else eighths(rng, b.shape) / 8
    network.set_weights([(W, b), *rest])
    other.set_weights([(W[order], b), *rest])
    data["X"] = eighths(rng, data["X"].shape)
    moved = {**data, "X": data["X"][:, order]}
    assert_same_bits(network.predict(data["X"]), other.predict(moved["X"]))
    (loss, gradients), (other_loss, other_gradients) = (
        one.loss_and_gradients(*its_data.values()) for one, its_data in ((network, data), (other, moved))
    )
    assert repr(loss) == repr(other_loss)
    assert_same_tensors(other_gradients, gradients, order)
    step = {"batch_size": case.rows, "shuffle": False}
    assert state_after(network, **data, **step)["history"] == state_after(other, **moved, **step)["history"]
    assert_same_tensors(other.get_weights(), network.get_weights(), order)


def assert_same_tensors(got: Pairs, expected: Pairs, order: Array) -> None:
    """Check all (W, b) to the bit, those of the first layer with its inputs in that order."""
    (W, b), *rest = expected
    for one, other in zip(tensors(got), tensors([(W[order], b), *rest]), strict=True):
        assert_same_bits(one, other)
