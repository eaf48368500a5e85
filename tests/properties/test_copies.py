"""Relations of what a network returns: nothing it does afterwards changes it, and changing it changes no network."""

from __future__ import annotations

import contextlib
from typing import Any

from cases import tensors
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, answers, cases, metrics_of, state_after

from fastmlp import EarlyStopping, NonFiniteLossError


def returned(network: Any, X: Any, y: Any, sample_weight: Any) -> list[Any]:
    """Return the arrays that the methods of a network return."""
    return [
        *tensors(network.get_weights()),
        *tensors(network.loss_and_gradients(X, y, sample_weight)[1]),
        network.predict(X),
        *network.hidden_activations(X),
        network.input_gradients(X),
    ]


@given(cases())
def test_results_are_copies(case: Case) -> None:
    """To the bit: results stay as they are while the network goes on, and may be written."""
    network, data = case.network(), case.data()
    results = returned(network, **data)
    before = [result.tobytes() for result in results]
    with contextlib.suppress(NonFiniteLossError):
        network.train_on_batch(*data.values())
    returned(network, **{**data, "X": 2 * data["X"]})
    assert [result.tobytes() for result in results] == before
    state = answers(network, **data)
    for result in results:
        result[:] = 1e3
    assert answers(network, **data) == state


@given(cases(), st.integers(1, 3), st.sampled_from(("min", "max")))
def test_early_stopping_leaves_the_weights_of_the_best_epoch(case: Case, patience: int, mode: Any) -> None:
    """To the bit: the weights of a fit of as many epochs as the best one needs, and its loss."""
    data = case.data()
    validated = {"validation_data": tuple(data.values()), "metrics": metrics_of(case.loss)}
    fit = {**data, **validated, "batch_size": 16}
    stopped, short = case.network(), case.network()
    stopping = EarlyStopping("val_loss", patience=patience, mode=mode)
    if state_after(stopped, **fit, epochs=6, callbacks=[stopping])["error"]:  # the loss became NaN
        return
    assert stopping.best_epoch is not None
    state_after(short, **fit, epochs=stopping.best_epoch + 1)
    assert answers(stopped, **data) == answers(short, **data)
    losses = short.history.history["val_loss"]
    assert repr(stopping.best) == repr(losses[-1])
    assert losses[-1] == (min if mode == "min" else max)(losses)
