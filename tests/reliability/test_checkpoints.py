"""A training whose process is killed continues from its checkpoint, to the bits of an uninterrupted training."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import Tried, bits, run_python, small_data, small_network, start_python
from cases import DTYPES, OPTIMIZERS

from fastmlp import Callback, EarlyStopping, ModelCheckpoint, Network, NonFiniteLossError
from fastmlp._engine.step_runner import StepRunner

X, LABELS = small_data()
BATCH, STEPS = 8, 6  # steps of an epoch

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def trained(epochs: int, *callbacks: Callback, network: Network | None = None, **options: Any) -> Network:
    network = network or small_network()
    network.fit(X, LABELS, epochs=epochs, batch_size=BATCH, callbacks=callbacks, **options)
    return network


class Values(Callback):
    """A callback that replaces the values of the validation by given ones."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        logs["val_loss"] = self.values[epoch]


def best_of(path: Path, *values: float, network: Network | None = None, **options: Any) -> ModelCheckpoint:
    """Run a fit whose epochs, counted from 0, have given values."""
    checkpoint = ModelCheckpoint(path, save_best_only=True, **options)
    epochs = len(values) - (network.epoch if network else 0)
    trained(epochs, Values(*values), checkpoint, network=network, validation_split=0.2)
    return checkpoint


# Files -----------------------------------------------------------------------------------------------------------


def test_every_epoch_is_saved_with_the_memory_of_the_optimizer(path: Path) -> None:
    names = "at {epoch:02d} {step} {loss:.3f} {{}}.safetensors"
    network = trained(3, ModelCheckpoint(path), ModelCheckpoint(path.with_name(names)))
    assert network.history is not None
    assert bits(Network.load(path)) == bits(network)
    for epoch, loss in enumerate(network.history.history["loss"], 1):
        stored = Network.load(path.with_name(f"at {epoch:02d} {STEPS * epoch} {loss:.3f} {{}}.safetensors"))
        assert bits(stored) == bits(trained(epoch))
    assert len(list(path.parent.iterdir())) == 4


def test_steps_are_saved_with_their_numbers(path: Path) -> None:
    trained(2, ModelCheckpoint(path.with_name("{epoch}.{batch}.{step}"), save_freq=3))
    assert sorted(file.name for file in path.parent.iterdir()) == ["1.3.3", "1.6.6", "2.3.9", "2.6.12"]
    for file in path.parent.iterdir():
        assert Network.load(file).step == int(file.name.split(".")[2])


@pytest.mark.parametrize("save_freq", ["epoch", 4, 10])
def test_saving_costs_no_call_a_step(path: Path, monkeypatch: pytest.MonkeyPatch, save_freq: Any) -> None:
    calls = []
    run = StepRunner.run
    monkeypatch.setattr(StepRunner, "run", lambda *arguments: (calls.append(1), run(*arguments))[1])
    one = trained(5, ModelCheckpoint(path, save_freq=save_freq))
    assert len(calls) <= 5 + (0 if save_freq == "epoch" else 5 * STEPS // save_freq)
    assert bits(one) == bits(trained(5))


@pytest.mark.parametrize("every", [1, 2, 5, 7])
def test_a_callback_hears_of_the_steps_that_it_asks_for(every: int) -> None:
    class Asking(Callback):
        every_steps = every

        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            heard.append((self.network.step, batch, logs["loss"]))

    class All(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            steps.append((self.network.step, batch, logs["loss"]))

    class Never(All):
        every_steps = 0

    heard: list[Any] = []
    steps: list[Any] = []
    trained(3, Never(), Asking())
    assert steps == []
    trained(3, All())
    assert heard == [each for each in steps if each[0] % every == 0]
    heard.clear()
    steps.clear()
    trained(3, Asking(), All(), Never())
    assert heard == [each for each in steps if each[0] % every == 0]
    assert len(steps) == 3 * STEPS


def test_a_number_of_steps_that_is_none_is_refused() -> None:
    callback = Callback()
    callback.every_steps = -1
    with pytest.raises(ValueError, match="every_steps of Callback"):
        trained(1, callback)


def test_the_folder_is_made(path: Path) -> None:
    inner = path.parent / "a" / "b" / "model"
    trained(1, ModelCheckpoint(inner))
    assert Network.load(inner).epoch == 1


# What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "{epoch"}, "filepath must be"),
        ({"filepath": "{epoch}/model"}, "in the file name only"),
        ({"filepath": ""}, "filepath must be"),
        ({"filepath": "a", "mode": "up"}, "mode must be"),
        ({"filepath": "a", "save_freq": 0}, "save_freq"),
        ({"filepath": "a", "save_freq": 5, "save_best_only": True}, "needs save_freq='epoch'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelCheckpoint(**arguments)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("{val_loss}", {}, ValueError, "has the field val_loss, but this fit provides only epoch, step, loss"),
        ("{batch}", {}, ValueError, "has the field batch, but this fit"),
        ("{}", {}, ValueError, "has the field {} without a name"),
        ("{epoch:.2q}", {}, ValueError, "has a field with an invalid format"),
        ("{loss:d}", {}, ValueError, "has a field with an invalid format"),
        ("{epoch:{width}}", {}, ValueError, "has a field with an invalid format"),
        ("model", {"save_best_only": True}, ValueError, "ModelCheckpoint monitors 'val_loss', but this fit has only"),
        ("folder", {}, IsADirectoryError, "the checkpoint is a folder"),
        ("file/model", {}, OSError, "file"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_anything_is_learned(
    tmp_path: Path, name: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    network = small_network()
    with pytest.raises(error, match=message):
        trained(1, ModelCheckpoint(tmp_path / name, **options), network=network)
    assert bits(network) == bits(small_network())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_learned(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mock refuses the write, since root may write to any folder."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    network = small_network()
    with pytest.raises(PermissionError, match="the checkpoint cannot be written"):
        trained(1, ModelCheckpoint(path), network=network)
    assert network.step == 0


def test_a_save_that_fails_ends_the_fit_with_a_network_that_can_go_on(tmp_path: Path) -> None:
    class Remove(Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            if epoch == 2:
                shutil.rmtree(tmp_path / "runs")

    network = small_network()
    with pytest.raises(FileNotFoundError, match="runs"):
        trained(5, Remove(), ModelCheckpoint(tmp_path / "runs" / "model"), network=network)
    assert network.history is not None
    assert network.history.epoch == [0, 1, 2]
    network.save(tmp_path / "elsewhere")
    assert bits(trained(2, network=Network.load(tmp_path / "elsewhere"))) == bits(trained(5))


def test_weights_that_overflow_never_take_the_place_of_good_ones(path: Path) -> None:
    """The last file can be loaded, at whichever step the training diverges."""
    network = Network([2, 1], loss="mean_absolute_error", seed=0)
    enormous = np.full((2, 2), 1e22, np.float32)  # the square of the gradient overflows, but not the loss
    target, seen = np.array([1.0, 2.0]), []

    class Load(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            seen.append((Network.load(path).step, bool(np.isfinite(network._engine.parameters.slots).all())))

    network.fit(np.ones((2, 2), np.float32), target, batch_size=1, callbacks=[ModelCheckpoint(path)])
    before = bits(network)
    with pytest.raises(NonFiniteLossError):
        network.fit(enormous, target, batch_size=1, callbacks=[ModelCheckpoint(path, save_freq=1), Load()])
    assert seen == [(2, False)]
    assert bits(network) == bits(Network.load(path)) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_exception_where_weights_have_overflowed_leaves_those_before(error: type[BaseException]) -> None:
    class Fail(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            assert not np.isfinite(network._engine.parameters.slots).all()
            raise error

    network = Network([2, 1], loss="mean_absolute_error", seed=0)
    before = bits(network)
    with pytest.raises(error):
        network.fit(np.full((2, 2), 1e22, np.float32), [1.0, 2.0], batch_size=1, callbacks=[Fail()])
    assert bits(network) == before


def test_a_network_that_is_not_finite_is_not_saved(path: Path) -> None:
    network = trained(1)
    network.save(path)
    network._engine.parameters.slots[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        network.save(path)
    assert Network.load(path).epoch == 1


# The best --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "mode", "epochs"),
    [
        ([3.0, 2.0, 2.0, 2.5, 1.0], "auto", [1, 2, 5]),
        ([3.0, 4.0, 1.0, 4.0, 5.0], "max", [1, 2, 5]),
        ([math.inf, math.inf, 5.0, -math.inf, 6.0], "min", [1, 3, 4]),
    ],
)
def test_only_better_epochs_are_saved(path: Path, values: list[float], mode: Any, epochs: list[int]) -> None:
    best_of(path.with_name("{epoch}"), *values, mode=mode)
    assert sorted(int(file.name) for file in path.parent.iterdir()) == epochs
    found = best_of(path, *values, mode=mode)
    assert Network.load(path).epoch == epochs[-1]
    assert found.best == values[epochs[-1] - 1]


@pytest.mark.parametrize("name", ["best", "best {epoch} {val_loss:.2f}"])
def test_a_better_model_of_an_earlier_process_is_kept(path: Path, name: str) -> None:
    last, best = path, path.with_name(name)
    values = (3.0, 1.25, 2.0, 1.5, 1.0)
    trained(3, Values(*values), ModelCheckpoint(last), ModelCheckpoint(best, save_best_only=True), validation_split=0.2)
    first = {file: file.read_bytes() for file in path.parent.iterdir() if file != last}
    best_of(best, *values[:4], network=Network.load(last))
    assert {file: file.read_bytes() for file in path.parent.iterdir() if file != last} == first
    assert best_of(best, *values, network=Network.load(last)).best == 1.0
    assert any(Network.load(file).epoch == 5 for file in path.parent.iterdir() if file != last)


def test_a_fit_that_goes_on_in_the_same_process_knows_its_best_too(path: Path) -> None:
    network = small_network()
    best_of(path, 1.0, network=network)
    best_of(path, 1.0, 2.0, network=network)
    assert Network.load(path).epoch == 1
    best_of(path, 1.0, 2.0, 0.5, network=network)
    assert Network.load(path).epoch == 3


@pytest.mark.parametrize("kind", ["fresh", "another seed", "another figure", "no value", "no model"])
def test_a_file_of_another_training_is_replaced(path: Path, kind: str) -> None:
    best_of(path, 1.0)
    if kind == "no value":
        trained(1, ModelCheckpoint(path))
    if kind == "no model":
        path.write_text("hello")
    network = trained(1, network=small_network(seed=8)) if kind == "another seed" else trained(1)
    if kind == "fresh":
        best_of(path, 2.0)
        assert storage_best(path) == 2.0
        return
    values = {"monitor": "loss"} if kind == "another figure" else {}
    best_of(path, 2.0, 3.0, network=network, **values)
    stored = Network.load(path)
    assert (stored.epoch, stored.seed) == (2, network.seed)


def storage_best(path: Path) -> float | None:
    from fastmlp._io import checkpoint

    return checkpoint.best_of(path, small_network().architecture, "val_loss")


def test_a_best_file_is_an_ordinary_model(path: Path) -> None:
    network = small_network()
    best_of(path, 1.0, network=network)
    assert bits(Network.load(path)) == bits(network)
    assert bits(trained(2, network=Network.load(path), validation_split=0.2)) == bits(trained(3, validation_split=0.2))


def test_an_error_between_the_end_of_an_epoch_and_its_validation_loses_no_entry_of_the_history() -> None:
    class Fail(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            if self.network.step == 2 * STEPS:
                raise ZeroDivisionError

    network = small_network()
    with pytest.raises(ZeroDivisionError):
        network.fit(X, LABELS, epochs=4, batch_size=BATCH, validation_data=(X, LABELS), callbacks=[Fail()])
    assert network.history is not None
    assert network.history.epoch == [0, 1]
    assert network.history.history["loss"] == trained(2).history.history["loss"]  # type: ignore[union-attr]
    assert np.isnan(network.history.history["val_loss"][1])


def test_early_stopping_and_the_best_file_agree(path: Path) -> None:
    network = small_network()
    stopping = EarlyStopping(patience=2)
    trained(30, ModelCheckpoint(path, save_best_only=True), stopping, network=network, validation_split=0.3)
    assert stopping.best_epoch is not None
    assert Network.load(path).epoch == stopping.best_epoch + 1
    assert bits(Network.load(path))["weights"] == bits(network)["weights"]


# Killed processes ------------------------------------------------------------------------------------------------

KILLED = """
import dataclasses, itertools, json, os, random, signal, sys, tempfile
from behaviour import bits, small_data
from cases import DTYPES, OPTIMIZERS
from fastmlp import Callback, CosineDecay, Dense, ModelCheckpoint, Network, Warmup

X, LABELS = small_data()
EPOCHS, BATCH = 6, 8
draw = random.Random(5)

def make(name, dtype, dropout, scheduled):
    optimizer = OPTIMIZERS[name]
    if scheduled:
        optimizer = dataclasses.replace(optimizer, learning_rate=Warmup(5, CosineDecay(0.02, 25, 0.1)))
    layers = [3, Dense(6, "tanh", dropout=0.2 * dropout, l2=1e-3), Dense(5), Dense(3, "softmax")]
    return Network(layers, optimizer=optimizer, dtype=dtype, seed=7)

class Die(Callback):
    "Kills its process after so many steps."
    def __init__(self, steps):
        self.left, self.every_steps = steps, 1 if steps else 0
    def on_train_batch_end(self, batch, logs):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)

class Tell(Callback):
    "Writes a byte after each step, by which the parent knows when to kill."
    def __init__(self, pipe):
        self.pipe = pipe
    def on_train_batch_end(self, batch, logs):
        os.write(self.pipe, b".")

def train(case, path, shuffle, *callbacks):
    "As a user would: from the file if there is one."
    network = Network.load(path) if os.path.exists(path) else make(*case)
    if network.epoch < EPOCHS:
        network.fit(X, LABELS, epochs=EPOCHS - network.epoch, batch_size=BATCH, shuffle=shuffle, callbacks=callbacks)

def in_a_process(function, *arguments):
    if (child := os.fork()) == 0:
        try:
            function(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    return child

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def resumed(case, path, shuffle):
    assert ended(in_a_process(train, case, path, shuffle, ModelCheckpoint(path))) == 0
    whole = make(*case)
    whole.fit(X, LABELS, epochs=EPOCHS, batch_size=BATCH, shuffle=shuffle)
    assert bits(Network.load(path)) == bits(whole), (case, shuffle)

tried = {"after three epochs": 0, "within an epoch": 0, "at random moments": 0}
for *case, shuffle in itertools.product(NAMES, DTYPES, *[(False, True)] * 3 if ALL else [(True,)] * 3):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "epochs")
        child = in_a_process(train, case, path, shuffle, ModelCheckpoint(path), Die(19))
        assert ended(child) == -signal.SIGKILL
        assert (Network.load(path).epoch, Network.load(path).step) == (3, 18)
        resumed(case, path, shuffle)
        tried["after three epochs"] += 1

        path, steps = os.path.join(folder, "steps"), draw.randrange(5, 36)
        child = in_a_process(train, case, path, shuffle, ModelCheckpoint(path, save_freq=4), Die(steps))
        assert ended(child) == -signal.SIGKILL
        assert Network.load(path).step in (steps // 4 * 4, (steps - 1) // 4 * 4)
        resumed(case, path, shuffle)
        tried["within an epoch"] += 1

        for freq in ("epoch", 1) if all(case[2:]) and shuffle else ():
            path = os.path.join(folder, f"random {freq}")
            for _ in range(2):
                reader, writer = os.pipe()
                child = in_a_process(train, case, path, shuffle, ModelCheckpoint(path, save_freq=freq), Tell(writer))
                os.close(writer)
                for _ in range(draw.randrange(1, 12)):
                    os.read(reader, 1)
                os.kill(child, signal.SIGKILL)
                tried["at random moments"] += ended(child) == -signal.SIGKILL
                os.close(reader)
                if os.path.exists(path):
                    Network.load(path)
            resumed(case, path, shuffle)
print(json.dumps(tried))
"""


@forks
@pytest.mark.parametrize("names", [["amsgrad"], pytest.param(list(OPTIMIZERS), marks=pytest.mark.heavy)])
def test_a_killed_training_goes_on_to_the_same_bits(names: list[str], tried: Tried) -> None:
    everything = len(names) > 3
    code = f"NAMES, ALL = {names!r}, {everything}\n" + KILLED
    said, _ = run_python(code, "-W", "error", "-W", "ignore:This process:DeprecationWarning", seconds=400)
    found = json.loads(said)
    cases = len(names) * len(DTYPES) * (8 if everything else 1)
    assert found["after three epochs"] == found["within an epoch"] == cases
    assert found["at random moments"] >= len(names) * len(DTYPES)
    for when, count in found.items():
        tried(f"a training killed by SIGKILL {when}; a new process goes on", count)


TRAIN = """
import os, sys
from behaviour import small_data, small_network
from cases import LEARNERS
from fastmlp import Callback, ModelCheckpoint, Network

class Tell(Callback):
    def on_epoch_end(self, epoch, logs):
        print(epoch, flush=True)

X, labels = small_data()

def train(name, folder):
    path = os.path.join(folder, name)
    network = Network.load(path) if os.path.exists(path) else small_network(optimizer=LEARNERS[name])
    checkpoint = ModelCheckpoint(path, save_freq=4)
    network.fit(X, labels, epochs=EPOCHS - network.epoch, batch_size=8, callbacks=[checkpoint, Tell()])
    return network
"""
RESUME = """
from behaviour import bits
for name in NAMES:
    stored = Network.load(os.path.join(FOLDER, name)).step
    whole = small_network(optimizer=LEARNERS[name])
    whole.fit(X, labels, epochs=EPOCHS, batch_size=8)
    print("same", 0 < stored < whole.step, bits(train(name, FOLDER)) == bits(whole))
"""


def test_a_killed_process_and_a_new_one_make_the_same_bits_as_one(tmp_path: Path, tried: Tried) -> None:
    names = ["momentum", "by a schedule"]
    epochs = 120
    head = f"NAMES, FOLDER, EPOCHS = {names!r}, {str(tmp_path)!r}, {epochs}\n" + TRAIN

    def killed(name: str) -> int:
        process = start_python(head + f"train({name!r}, FOLDER)", "-W", "error")
        assert process.stdout is not None
        for _ in range(random.Random(name).randrange(1, epochs // 4)):
            process.stdout.readline()
        process.kill()
        process.communicate()
        return process.returncode

    with ThreadPoolExecutor() as pool:
        assert 0 not in pool.map(killed, names)
    said, _ = run_python(head + RESUME, "-W", "error")
    assert [line for line in said.splitlines() if line.startswith("same")] == ["same True True"] * len(names)
    tried("a training killed by SIGKILL at random moments; a new process goes on", len(names))
