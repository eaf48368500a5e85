"""LambdaCallback: functions receive what the methods of Callback receive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from recording import EVENTS, STEPS, fitted

from fastmlp import LambdaCallback


def test_functions_receive_the_arguments_of_the_methods() -> None:
    received: list[Any] = []

    def note(event: str) -> Callable[..., None]:
        return lambda *arguments: received.append((event, *arguments))

    network = fitted(LambdaCallback(**{event: note(event) for event in EVENTS}), epochs=1)
    assert network.history is not None
    loss = network.history.history["loss"][0]
    assert [entry for entry in received if "batch" not in entry[0] and "steps" not in entry[0]] == [
        ("on_train_begin",), ("on_epoch_begin", 0), ("on_epoch_end", 0, {"loss": loss}), ("on_train_end",),
    ]  # fmt: skip
    batches = [entry for entry in received if "batch" in entry[0]]
    assert [entry[1] for entry in batches] == list(range(STEPS))
    assert all(list(entry[2]) == ["loss"] for entry in batches)
    assert [entry[1] for entry in received if "steps" in entry[0]] == list(range(STEPS))


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"on_train_begin": lambda logs: None}, r"must accept the arguments \(\), got a function of \(logs\)"),
        (
            {"on_epoch_end": lambda epoch: None},
            r"must accept the arguments \(epoch, logs\), got a function of \(epoch\)",
        ),
        ({"on_train_batch_end": lambda: None}, r"on_train_batch_end must accept the arguments \(batch, logs\), got"),
        ({"on_steps_end": lambda batch, logs: None}, r"on_steps_end must accept the arguments \(batch\), got"),
        ({"on_epoch_end": "print"}, "on_epoch_end must be a function, got 'print'"),
        ({"on_batch_end": print}, "unexpected keyword argument 'on_batch_end'"),
    ],
)
def test_functions_with_other_arguments_are_refused_at_once(functions: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        LambdaCallback(**functions)


def test_functions_without_a_signature_are_accepted() -> None:
    LambdaCallback(on_epoch_end=max)
