"""Relations of the gradient of any network: to the reference in NumPy, and to differences of the loss."""

from __future__ import annotations

import numpy as np
from bounds import Bounded, assert_equal_gradients, assert_within, bounded, clipping_of
from hypothesis import given
from networks import Case, cases

from fastmlp.reference import Network as Reference


@given(cases(dropout=False, centred=True))
def test_loss_and_gradients_are_those_of_the_reference(case: Case) -> None:
    """To the derived bound: two computations, in different orders and with different functions."""
    network, data = case.network(), case.data()
    reference = Reference.like(network, "float64")
    arguments = data["X"].astype(np.float64), data["y"], data["sample_weight"]
    bounds: Bounded = bounded(network, *data.values())
    with clipping_of(network.architecture.dtype):
        expected = reference.loss_and_gradients(*arguments)
    assert_within(network.predict(data["X"]), reference.predict(arguments[0]), bounds.outputs, "predictions")
    assert_equal_gradients(network.loss_and_gradients(*data.values()), expected, bounds)
