"""What a fit records, calls and survives: history, callbacks, early stopping, interruptions and losses that blow up."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from behaviour import bits, overflowing, run_python, small_data, small_network
from cases import LEARNERS

from fastmlp import SGD, Adam, Callback, Dense, History, Network, NonFiniteLossError
from fastmlp._engine.evaluations import Evaluation
from fastmlp.reference import data as reference_data
from fastmlp.reference import random as reference_random

X, LABELS = small_data()
HELD_X, HELD_LABELS = small_data(60)
HELD = (HELD_X[-20:], HELD_LABELS[-20:])
BATCH = 8
STEPS = 6  # of an epoch of 41 rows

EVENTS = ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_epoch_end", "on_train_end")


class Recorder(Callback):
    """Writes down every call."""

    def __init__(self, name: str = "", into: list[Any] | None = None) -> None:
        self.name = name
        self.events: list[Any] = [] if into is None else into
        self.losses: list[float] = []
        self.logs: list[dict[str, float]] = []

    def on_train_begin(self) -> None:
        self.events.append((self.name, "train begins"))

    def on_train_end(self) -> None:
        self.events.append((self.name, "train ends"))

    def on_epoch_begin(self, epoch: int) -> None:
        self.events.append((self.name, "epoch begins", epoch))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.events.append((self.name, "epoch ends", epoch))
        self.logs.append(dict(logs))

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.events.append((self.name, "batch ends", batch))
        self.losses.append(logs["loss"])
        assert list(logs) == ["loss"]


class At(Callback):
    """Does something at one call of one event, counted from 0."""

    def __init__(self, event: str, count: int, action: Callable[[Network], Any]) -> None:
        self.left = count
        self.event, self.action = event, action

    def _called(self, event: str) -> None:
        if event == self.event:
            self.left -= 1
            if self.left == -1:
                self.action(self.network)

    def on_train_begin(self) -> None:
        self._called("on_train_begin")

    def on_train_end(self) -> None:
        self._called("on_train_end")

    def on_epoch_begin(self, epoch: int) -> None:
        self._called("on_epoch_begin")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self._called("on_epoch_end")


class AtBatch(At):
    """The same, between steps too."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self._called("on_train_batch_end")


def at_event(event: str, count: int, action: Callable[[Network], Any]) -> At:
    return (AtBatch if event == "on_train_batch_end" else At)(event, count, action)


def raising(error: BaseException) -> Callable[[Network], Any]:
    def action(network: Network) -> None:
        raise error

    return action


# History ---------------------------------------------------------------------------------------------------------


def test_history_has_an_entry_for_each_epoch() -> None:
    network = small_network()
    history = network.fit(X, LABELS, epochs=3, batch_size=BATCH)
    assert isinstance(history, History)
    assert network.history is history
    assert history.epoch == [0, 1, 2]
    assert list(history.history) == ["loss"]
    assert len(history.history["loss"]) == 3
    assert all(isinstance(loss, float) and np.isfinite(loss) for loss in history.history["loss"])
    assert (network.epoch, network.step) == (3, 3 * STEPS)
    assert history.seconds > 0
    assert "3 epochs" in repr(history)


@pytest.mark.parametrize("weights", [None, np.linspace(0, 2, 20)])
def test_validation_data_is_evaluated_after_each_epoch(weights: Any) -> None:
    seen: list[dict[str, float]] = []

    class Evaluation(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            seen.append(self.network.evaluate(*HELD, sample_weight=weights))

    data = HELD if weights is None else (*HELD, weights)
    history = small_network().fit(X, LABELS, epochs=3, validation_data=data, callbacks=[Evaluation()]).history
    assert list(history) == ["loss", "val_loss", "val_accuracy"]
    assert history["val_loss"] == [entry["loss"] for entry in seen]
    assert history["val_accuracy"] == [entry["accuracy"] for entry in seen]


def test_metrics_of_validation_suit_the_loss() -> None:
    history = Network([3, 4, 1], seed=0).fit(X, X[:, 0], epochs=2, validation_split=0.25)
    assert list(history.history) == ["loss", "val_loss", "val_mean_absolute_error", "val_r2"]
    assert {len(values) for values in history.history.values()} == {2}


def test_validation_changes_nothing_in_training() -> None:
    one, other = small_network(), small_network()
    losses = [one.fit(X, LABELS, epochs=3), other.fit(X, LABELS, epochs=3, validation_data=HELD)]
    assert losses[0].history["loss"] == losses[1].history["loss"]
    assert bits(one) == bits(other)


@pytest.mark.parametrize("share", [1e-9, 0.2, 0.5, 0.999999])
def test_split_trains_on_the_rest_and_evaluates_the_share(share: float) -> None:
    one, other = small_network(), small_network()
    weights = np.linspace(0.5, 2, len(X))
    key = reference_random.key(one.seed, reference_random.SPLIT)
    rows, kept_out = reference_data.split(len(X), share, key)
    assert sorted([*rows, *kept_out]) == list(range(len(X)))
    split = one.fit(X, LABELS, epochs=3, batch_size=BATCH, validation_split=share, sample_weight=weights)
    held = (X[kept_out], LABELS[kept_out], weights[kept_out])
    given = other.fit(
        X[rows], LABELS[rows], epochs=3, batch_size=BATCH, validation_data=held, sample_weight=weights[rows]
    )
    assert split.history == given.history
    assert bits(one) == bits(other)


def test_weights_of_classes_multiply_those_of_rows_in_training_alone() -> None:
    one, other = small_network(), small_network()
    rows = np.linspace(0.5, 2, len(X))
    by_class = one.fit(X, LABELS, sample_weight=rows, class_weight={0: 3.0, 2: 0.5}, validation_data=HELD)
    by_row = other.fit(X, LABELS, sample_weight=rows * np.array([3.0, 1.0, 0.5])[LABELS], validation_data=HELD)
    assert by_class.history == by_row.history
    assert bits(one) == bits(other)


def test_weights_of_classes_stay_out_of_the_split() -> None:
    one, other = small_network(), small_network()
    heavy = one.fit(X, LABELS, validation_split=0.5, class_weight={0: 1e-3})
    plain = other.fit(X, LABELS, validation_split=0.5)
    assert heavy.history["loss"] != plain.history["loss"]
    key = reference_random.key(one.seed, reference_random.SPLIT)
    _, kept_out = reference_data.split(len(X), 0.5, key)
    assert heavy.history["val_loss"] == [one.evaluate(X[kept_out], LABELS[kept_out])["loss"]]


@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_epochs_add_up_over_fits(optimizer: Any, shuffle: bool) -> None:
    one, other = small_network(optimizer=optimizer), small_network(optimizer=optimizer)
    whole = one.fit(X, LABELS, epochs=5, batch_size=BATCH, shuffle=shuffle)
    parts = [other.fit(X, LABELS, epochs=n, batch_size=BATCH, shuffle=shuffle) for n in (2, 3)]
    assert [part.epoch for part in parts] == [[0, 1], [2, 3, 4]]
    assert whole.history["loss"] == parts[0].history["loss"] + parts[1].history["loss"]
    assert (other.epoch, other.step) == (5, 5 * STEPS)
    assert bits(one) == bits(other)


def test_shuffling_changes_the_course() -> None:
    one, other = small_network(), small_network()
    one.fit(X, LABELS, batch_size=BATCH)
    other.fit(X, LABELS, batch_size=BATCH, shuffle=False)
    assert bits(one)["weights"] != bits(other)["weights"]


def test_a_batch_larger_than_the_data_is_the_data() -> None:
    one, other = small_network(), small_network()
    assert one.fit(X, LABELS, batch_size=10**9).history == other.fit(X, LABELS, batch_size=len(X)).history
    assert one.step == 1
    assert bits(one) == bits(other)


# Callbacks -------------------------------------------------------------------------------------------------------


def test_callbacks_are_called_in_order() -> None:
    events: list[Any] = []
    network = small_network()
    network.fit(X, LABELS)  # so that epochs do not begin with 0
    network.fit(X, LABELS, epochs=2, batch_size=20, callbacks=[Recorder("a", events), Recorder("b", events)])
    expected: list[Any] = [("train begins",)]
    for epoch in (1, 2):
        batches = [("batch ends", batch) for batch in range(3)]
        expected += [("epoch begins", epoch), *batches, ("epoch ends", epoch)]
    expected.append(("train ends",))
    assert events == [(name, *event) for event in expected for name in "ab"]


def test_callbacks_may_be_any_iterable() -> None:
    for kind in (list, tuple, iter):
        recorder = Recorder()
        small_network().fit(X, LABELS, callbacks=kind([recorder]))
        assert recorder.events[-1] == ("", "train ends")


def test_callbacks_know_their_network() -> None:
    recorder, network = Recorder(), small_network()
    network.fit(X, LABELS, callbacks=[recorder])
    assert recorder.network is network


def test_logs_of_epochs_are_the_history() -> None:
    recorder = Recorder()
    history = small_network().fit(X, LABELS, epochs=3, validation_data=HELD, callbacks=[recorder]).history
    assert recorder.logs == [{name: history[name][epoch] for name in history} for epoch in range(3)]


def test_losses_of_batches_are_those_of_single_steps() -> None:
    one, other, recorder = small_network(), small_network(), Recorder()
    one.fit(X, LABELS, batch_size=BATCH, shuffle=False, callbacks=[recorder])
    single = [other.train_on_batch(X[i : i + BATCH], LABELS[i : i + BATCH]) for i in range(0, len(X), BATCH)]
    assert recorder.losses == single
    assert np.array_equal(one.predict(X), other.predict(X))


def test_loss_of_an_epoch_is_the_mean_over_its_rows() -> None:
    recorder = Recorder()
    network = Network([3, 6, 3], output="softmax", seed=0)
    history = network.fit(X, LABELS, batch_size=BATCH, callbacks=[recorder])
    rows = [BATCH] * 5 + [1]
    assert history.history["loss"][0] == pytest.approx(np.average(recorder.losses, weights=rows), rel=1e-12)


@pytest.mark.parametrize("callback", [Callback, Recorder])
def test_watching_does_not_change_the_bits(callback: type[Callback]) -> None:
    one, other = small_network(), small_network()
    histories = [one.fit(X, LABELS, epochs=3, batch_size=BATCH)]
    histories.append(other.fit(X, LABELS, epochs=3, batch_size=BATCH, callbacks=[callback()]))
    assert histories[0].history == histories[1].history
    assert bits(one) == bits(other)


@pytest.mark.parametrize(
    ("event", "count", "epochs"),
    [("on_epoch_end", 0, 1), ("on_epoch_end", 2, 3), ("on_epoch_begin", 1, 2), ("on_train_batch_end", 0, 1)],
)
def test_a_callback_can_stop_the_fit_after_the_epoch(event: str, count: int, epochs: int) -> None:
    def stop(network: Network) -> None:
        network.stop_training = True

    network, other = small_network(), small_network()
    recorder = Recorder()
    history = network.fit(X, LABELS, epochs=9, batch_size=BATCH, callbacks=[at_event(event, count, stop), recorder])
    other.fit(X, LABELS, epochs=epochs, batch_size=BATCH)
    assert (network.epoch, len(history.history["loss"])) == (epochs, epochs)
    assert recorder.events[-1] == ("", "train ends")
    assert bits(network) == bits(other)
    network.fit(X, LABELS, epochs=2, batch_size=BATCH)
    assert network.epoch == epochs + 2


def test_weights_set_by_a_callback_are_trained_on() -> None:
    start = small_network(seed=3).get_weights()
    one, other = small_network(), small_network()
    one.fit(X, LABELS, epochs=2, callbacks=[at_event("on_epoch_end", 0, lambda n: n.set_weights(start))])
    other.fit(X, LABELS)
    other.set_weights(start)
    other.fit(X, LABELS)
    assert bits(one) == bits(other)


@pytest.mark.parametrize("action", ["fit", "train_on_batch"])
def test_a_fit_within_a_fit_is_refused_and_does_no_harm(action: str) -> None:
    refused: list[str] = []

    def again(network: Network) -> None:
        try:
            getattr(network, action)(X[:5], LABELS[:5])
        except RuntimeError as error:
            refused.append(str(error))

    one, other = small_network(), small_network()
    one.fit(X, LABELS, epochs=2, batch_size=BATCH, callbacks=[at_event("on_train_batch_end", 1, again)])
    other.fit(X, LABELS, epochs=2, batch_size=BATCH)
    assert len(refused) == 1
    assert bits(one) == bits(other)


def test_a_network_can_be_asked_and_copied_within_a_fit() -> None:
    copies: list[Network] = []

    def ask(network: Network) -> None:
        network.predict(X)
        network.evaluate(X, LABELS)
        network.loss_and_gradients(X, LABELS)
        network.input_gradients(X)
        copies.append(copy.deepcopy(network))

    one, other = small_network(), small_network()
    one.fit(X, LABELS, epochs=2, batch_size=BATCH, callbacks=[at_event("on_train_batch_end", 2, ask)])
    other.fit(X, LABELS, epochs=2, batch_size=BATCH)
    assert bits(one) == bits(other)
    copies[0].fit(X, LABELS, epochs=2, batch_size=BATCH)
    assert bits(copies[0]) == bits(other)


# Interruptions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("enough")], ids=["Ctrl-C", "error"])
@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
@pytest.mark.parametrize("batch", [0, 3, STEPS - 1, STEPS, 2 * STEPS + 4])
def test_an_interrupted_fit_goes_on_to_the_same_bits(batch: int, optimizer: Any, error: BaseException) -> None:
    one, other = small_network(optimizer=optimizer), small_network(optimizer=optimizer)
    whole = other.fit(X, LABELS, epochs=3, batch_size=BATCH).history["loss"]
    with pytest.raises(type(error)):
        one.fit(
            X, LABELS, epochs=3, batch_size=BATCH, callbacks=[at_event("on_train_batch_end", batch, raising(error))]
        )
    assert one.step == batch + 1
    assert one.history is not None
    first = one.history.history.get("loss", [])
    rest = one.fit(X, LABELS, epochs=3 - one.epoch, batch_size=BATCH).history["loss"]
    assert rest == whole[3 - len(rest) :]
    assert first == whole[: len(first)]
    assert bits(one) == bits(other)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("count", [0, 1])
def test_an_exception_in_any_callback_leaves_a_usable_network(event: str, count: int) -> None:
    if count and event in ("on_train_begin", "on_train_end"):
        count = 0
    one, other = small_network(), small_network()
    error = ZeroDivisionError("a callback's own")
    with pytest.raises(ZeroDivisionError, match="a callback's own"):
        one.fit(X, LABELS, epochs=2, batch_size=BATCH, callbacks=[at_event(event, count, raising(error))])
    assert np.isfinite(one.predict(X)).all()
    if one.epoch < 2:
        one.fit(X, LABELS, epochs=2 - one.epoch, batch_size=BATCH)
    other.fit(X, LABELS, epochs=2, batch_size=BATCH)
    assert bits(one) == bits(other)


def test_history_of_an_interrupted_fit_has_the_finished_epochs() -> None:
    network, other = small_network(), small_network()
    with pytest.raises(KeyboardInterrupt):
        network.fit(
            X,
            LABELS,
            epochs=5,
            batch_size=BATCH,
            callbacks=[at_event("on_train_batch_end", 2 * STEPS + 1, raising(KeyboardInterrupt()))],
        )
    assert network.history is not None
    assert network.history.epoch == [0, 1]
    assert network.history.history == other.fit(X, LABELS, epochs=2, batch_size=BATCH).history


@pytest.mark.parametrize(("rows", "batch_size"), [(30, BATCH), (41, BATCH + 1)])
def test_other_data_after_an_interruption_begins_the_epoch_anew(rows: int, batch_size: int) -> None:
    network = small_network()
    with pytest.raises(KeyboardInterrupt):
        network.fit(
            X,
            LABELS,
            batch_size=BATCH,
            callbacks=[at_event("on_train_batch_end", 2, raising(KeyboardInterrupt()))],
        )
    network.fit(X[:rows], LABELS[:rows], batch_size=batch_size)
    assert (network.epoch, network.step) == (1, 3 + -(-rows // batch_size))


def test_single_steps_do_not_disturb_an_interrupted_epoch() -> None:
    one, other = small_network(optimizer=SGD(0.0)), small_network(optimizer=SGD(0.0))
    with pytest.raises(KeyboardInterrupt):
        one.fit(
            X,
            LABELS,
            batch_size=BATCH,
            callbacks=[at_event("on_train_batch_end", 2, raising(KeyboardInterrupt()))],
        )
    one.train_on_batch(X[:3], LABELS[:3])
    rest = one.fit(X, LABELS, batch_size=BATCH)
    other.fit(X, LABELS, batch_size=BATCH)
    assert (one.epoch, one.step) == (1, other.step + 1)
    assert len(rest.history["loss"]) == 1


SIGINT = """
import json, os, signal, threading
from behaviour import bits, small_data, small_network

EPOCHS = 40_000
X, labels = small_data()
network, other = small_network(), small_network()

def interrupt():
    while network.step < 9000:
        pass
    os.kill(os.getpid(), signal.SIGINT)

thread = threading.Thread(target=interrupt)
interrupted = False
try:
    thread.start()
    network.fit(X, labels, epochs=EPOCHS, batch_size=8)
except KeyboardInterrupt:
    interrupted = True
thread.join()
epoch, recorded = network.epoch, network.history.epoch
network.fit(X, labels, epochs=EPOCHS - epoch, batch_size=8)
other.fit(X, labels, epochs=EPOCHS, batch_size=8)
print(json.dumps([interrupted, epoch, recorded == list(range(epoch)), bits(network) == bits(other)]))
"""


@pytest.fixture(scope="module")
def after_sigint() -> tuple[bool, int, bool, bool]:
    said, _ = run_python(SIGINT, "-W", "error")
    interrupted, epoch, recorded, same = json.loads(said)
    return interrupted, epoch, recorded, same


def test_ctrl_c_ends_a_fit_and_the_next_goes_on_to_the_same_bits(after_sigint: tuple[bool, int, bool, bool]) -> None:
    interrupted, epoch, _, same = after_sigint
    assert interrupted
    assert 0 < epoch < 40_000
    assert same


def test_ctrl_c_loses_no_finished_epoch_of_the_history(after_sigint: tuple[bool, int, bool, bool]) -> None:
    assert after_sigint[2]


# Losses that are not finite --------------------------------------------------------------------------------------

ENORMOUS = np.vstack([X[:-1], X[-1:] * np.float32(1e25)])


def regression(optimizer: Any = None) -> Network:
    """One that learns numbers, whose loss can overflow."""
    layers: list[int | Dense] = [3, Dense(6, "tanh", dropout=0.2), Dense(5, l2=1e-3), 1]
    return Network(layers, optimizer=optimizer or Adam(0.01), seed=7, activation="linear")


@pytest.mark.parametrize("optimizer", LEARNERS.values(), ids=LEARNERS)
@pytest.mark.parametrize("callbacks", [[], [Callback()], [Recorder()]], ids=["none", "by epoch", "by batch"])
def test_a_loss_that_blows_up_rolls_back_to_the_start_of_the_epoch(optimizer: Any, callbacks: list[Callback]) -> None:
    layers: list[int | Dense] = [3, Dense(6, dropout=0.2), Dense(5, l2=1e-3), 1]
    network, other = (Network(layers, optimizer=optimizer, seed=7, activation="linear") for _ in range(2))
    y = X[:, 0]
    for n in (network, other):
        n.fit(X, y, epochs=2, batch_size=BATCH)
    with pytest.raises(
        NonFiniteLossError, match="epoch 2, batch 5; the network is back where that epoch began"
    ) as info:
        network.fit(ENORMOUS, y, epochs=4, batch_size=BATCH, shuffle=False, callbacks=callbacks)
    assert (info.value.epoch, info.value.batch) == (2, 5)
    assert (network.epoch, network.step) == (2, 2 * STEPS)
    assert bits(network) == bits(other)
    assert np.array_equal(network.predict(X), other.predict(X))
    histories = [n.fit(X, y, epochs=2, batch_size=BATCH).history for n in (network, other)]
    assert histories[0] == histories[1]
    assert bits(network) == bits(other)


@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(0.01, momentum=0.9), Adam(0.01)])
@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("watch", [{}, {"callbacks": [Recorder()]}, {"validation_split": 0.0, "verbose": 0}])
def test_weights_that_are_not_finite_roll_back_the_epoch(optimizer: Any, epochs: int, watch: dict[str, Any]) -> None:
    network, rows, y = overflowing(optimizer)
    other, _, _ = overflowing(optimizer)
    for n in (network, other):
        n.fit(rows[:3], y[:3], batch_size=1)
    with pytest.raises(NonFiniteLossError) as info:
        network.fit(rows, y, epochs=epochs, batch_size=1, shuffle=False, **watch)
    assert (info.value.epoch, info.value.batch) == (1, 3)
    assert bits(network) == bits(other)
    for n in (network, other):
        n.fit(rows[:3], y[:3], epochs=2, batch_size=1)
    assert bits(network) == bits(other)


def test_weights_that_are_not_finite_are_found_before_they_are_validated() -> None:
    network, rows, y = overflowing(SGD(0.01))
    with pytest.raises(NonFiniteLossError):
        network.fit(rows, y, batch_size=1, shuffle=False, validation_data=(rows[:3], y[:3]))
    assert (network.epoch, network.step) == (0, 0)


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("callbacks", [[], [Callback()]], ids=["none", "by epoch"])
def test_history_does_not_hold_an_epoch_that_was_rolled_back(epochs: int, callbacks: list[Callback]) -> None:
    network, rows, y = overflowing(SGD(0.01))
    with pytest.raises(NonFiniteLossError):
        network.fit(rows, y, epochs=epochs, batch_size=1, shuffle=False, callbacks=callbacks)
    assert network.history is not None
    assert network.history.epoch == list(range(network.epoch)) == []


@pytest.mark.parametrize("callbacks", [[], [Callback()], [Recorder()]], ids=["none", "by epoch", "by batch"])
def test_history_keeps_the_epochs_before_the_one_that_failed(callbacks: list[Callback]) -> None:
    network = Network([1, 1], optimizer=SGD(1.0), seed=0)
    network.set_weights([([[1e15]], [0.0])])
    with pytest.raises(NonFiniteLossError) as info:  # each epoch multiplies the weight by -17, or so
        network.fit([[3.0]] * 4, np.zeros(4), epochs=50, batch_size=4, callbacks=callbacks)
    assert network.epoch == info.value.epoch > 1
    assert network.history is not None
    assert network.history.epoch == list(range(network.epoch))
    assert len(network.history.history["loss"]) == network.epoch


def test_a_single_step_with_a_loss_that_blows_up_changes_nothing() -> None:
    network = regression()
    network.fit(X, X[:, 0], epochs=2)
    before = bits(network)
    with pytest.raises(NonFiniteLossError):
        network.train_on_batch(np.full((4, 3), 1e30, np.float32), np.full(4, 1e30))
    assert bits(network) == before


@pytest.mark.parametrize("rows", [4, 400])
def test_a_single_step_to_weights_that_are_not_finite_is_undone(rows: int) -> None:
    network, x, y = overflowing(SGD(0.01))
    before = network.get_weights()

    def two_steps() -> None:  # the second finds at the latest what the first has done
        network.train_on_batch(x, y)
        network.fit(np.resize(x, (rows, 2)), np.resize(y, rows), batch_size=rows)

    with pytest.raises(NonFiniteLossError):
        two_steps()
    assert str(network.get_weights()) == str(before)


def test_the_error_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(NonFiniteLossError(3, 4)))
    assert (again.epoch, again.batch) == (3, 4)
    assert str(again) == str(NonFiniteLossError(3, 4))


# What was found on the way ----------------------------------------------------------------------------------------


def test_the_scale_of_sample_weights_does_not_matter() -> None:
    one = small_network()
    one.fit(X, LABELS, sample_weight=np.ones(len(X)), epochs=2)
    for scale in (1e-50, 1e-39, 1e39, 1e50):
        other = small_network()
        other.fit(X, LABELS, sample_weight=np.full(len(X), scale), epochs=2)
        assert np.allclose(other.history.history["loss"], one.history.history["loss"], rtol=1e-6)  # type: ignore[union-attr]
        for (W, b), (V, c) in zip(other.get_weights(), one.get_weights(), strict=True):
            np.testing.assert_allclose(W, V, rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(b, c, rtol=1e-5, atol=1e-7)  # type: ignore[arg-type]


def test_labels_that_change_while_they_are_learned_do_no_harm() -> None:
    labels = LABELS.copy()

    class Relabel(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            labels[:] = 40

    network, other = small_network(), small_network()
    network.fit(X, labels, epochs=3, callbacks=[Relabel()])
    other.fit(X, LABELS, epochs=3, callbacks=[Callback()])
    assert bits(network) == bits(other)


def test_slots_that_overflow_undo_the_epoch() -> None:
    network = Network([2, 4, 1], optimizer=Adam(1e-3), seed=0)
    rows = np.array([[1e25, 0.0], [0.0, 1e25]], np.float32)
    with pytest.raises(NonFiniteLossError):
        network.fit(rows, np.array([1.0, 2.0]), epochs=5)
    assert network._engine.are_finite()


def test_other_data_begin_an_epoch_of_their_own_after_an_interruption() -> None:
    class Interrupt(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            if batch == 1:
                raise KeyboardInterrupt

    network = small_network()
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, LABELS, batch_size=8, callbacks=[Interrupt()])
    seen = network.step
    network.fit(X + 1, LABELS, batch_size=8)
    assert network.step == seen + -(-len(X) // 8)


def test_an_interrupted_validation_leaves_its_epoch_in_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    network, evaluated = small_network(), []
    evaluate = Evaluation.__call__

    def interrupted(self: Evaluation) -> dict[str, float]:
        evaluated.append(1)
        if len(evaluated) == 2:
            raise KeyboardInterrupt
        return evaluate(self)

    monkeypatch.setattr(Evaluation, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, LABELS, epochs=5, validation_data=(X, LABELS))
    assert network.history is not None
    assert network.history.epoch == [0, 1]
    assert {len(values) for values in network.history.history.values()} == {2}
    assert np.isnan(network.history.history["val_loss"][1])
