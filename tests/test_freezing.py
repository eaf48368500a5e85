"""Layers at rest, and layers with a learning rate of their own."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, LEARNERS, TOLERANCE, assert_same_bits, largest_error, tensors
from digests import SHAPES, always_parallel, big_network

from fastmlp import SGD, Adam, AdamW, Callback, CosineDecay, Dense, Network, NonFiniteLossError, StaleForwardError
from fastmlp._engine.flops import step_flops
from fastmlp.kernels.host import threads
from fastmlp.reference import Network as Reference

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(64, 5)), rng.normal(size=(64, 2))
ORDER = {"batch_size": 16, "shuffle": False}


def layers(**options: Any) -> list[Any]:
    return [5, Dense(20, "tanh", l2=0.1), Dense(17, "softmax", l1=0.1, **options), Dense(9, "gelu"), 2]


def assert_same_tensors(found: Any, expected: Any) -> None:
    for a, b in zip(tensors(found), tensors(expected), strict=True):
        assert_same_bits(a, b)


def network(kind: Any = Network, optimizer: Any = "adam", dtype: str = "float64", **options: Any) -> Any:
    return kind(layers(**options), optimizer=optimizer, dtype=dtype, seed=1)


# Beside the reference and PyTorch -------------------------------------------------------------------------------------


def train_with_rests(net: Any) -> list[float]:
    """Train in four parts, between which layers rest and are trained again. Return the losses."""
    found = []
    for change, places in ((net.freeze, [1]), (net.freeze, [0, 3]), (net.unfreeze, [0]), (net.unfreeze, [1, 3])):
        change(places)
        found += net.fit(X, Y, epochs=2, **ORDER).history["loss"]
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LEARNERS)
def test_trainings_with_rests_are_those_of_the_reference(name: str, dtype: str) -> None:
    net, reference = (network(kind, LEARNERS[name], dtype) for kind in (Network, Reference))
    losses = [train_with_rests(each) for each in (net, reference)]
    np.testing.assert_allclose(*losses, rtol=100 * TOLERANCE[dtype])
    assert largest_error(net.get_weights(), reference.get_weights()) <= 100 * TOLERANCE[dtype]


@pytest.mark.parametrize("name", LEARNERS)
def test_a_factor_multiplies_the_rate_of_one_layer(name: str) -> None:
    net, reference = (network(kind, LEARNERS[name], learning_rate_factor=0.25) for kind in (Network, Reference))
    for each in (net, reference):
        each.fit(X, Y, epochs=3, **ORDER)
        each.freeze(1)
        each.fit(X, Y, epochs=1, **ORDER)
        each.unfreeze(1)
        each.fit(X, Y, epochs=2, **ORDER)
    assert largest_error(net.get_weights(), reference.get_weights()) <= 100 * TOLERANCE["float64"]


@pytest.mark.parametrize(
    ("optimizer", "of_torch", "options"),
    [
        (SGD(0.05, momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
        (Adam(0.01), "Adam", {"lr": 0.01}),
        (AdamW(0.01, weight_decay=0.1), "AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    ],
)
def test_moments_and_counts_of_layers_at_rest_are_those_of_pytorch(optimizer: Any, of_torch: str, options: Any) -> None:
    torch = pytest.importorskip("torch")
    net = Network(
        [5, Dense(8, "tanh"), Dense(6, "tanh", use_bias=False), 2], optimizer=optimizer, dtype="float64", seed=0
    )
    parameters = [
        [None if each is None else torch.tensor(each, requires_grad=True) for each in pair]
        for pair in net.get_weights()
    ]
    every = [each for pair in parameters for each in pair if each is not None]
    decayed = [each for each in every if each.ndim == 2]
    groups = [{"params": decayed}, {"params": [each for each in every if each.ndim == 1], "weight_decay": 0.0}]
    rule = getattr(torch.optim, of_torch)(groups, **options)
    for step in range(30):
        resting = {0} if 5 <= step < 15 else {1, 2} if 15 <= step < 22 else set()
        net.unfreeze()
        for place in resting:
            net.freeze(place)
        net.train_on_batch(X, Y)
        rule.zero_grad()
        A = torch.tensor(X)
        for place, (W, b) in enumerate(parameters):
            for each in (W, b):
                if each is not None:
                    each.requires_grad_(place not in resting)
            A = A @ W if b is None else A @ W + b
            A = torch.tanh(A) if place < 2 else A
        torch.nn.functional.mse_loss(A, torch.tensor(Y)).backward()
        rule.step()
    expected = [each.detach().numpy() for each in every]
    for found, wanted in zip(tensors(net.get_weights()), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


# What rests -----------------------------------------------------------------------------------------------------------


def test_layers_at_rest_do_not_change_and_have_no_gradient() -> None:
    net = network(optimizer=Adam(0.01, global_clipnorm=1e-3))
    net.train_on_batch(X, Y)
    net.freeze([1, 0])
    own = net._engine.parameters
    before, moments = net.get_weights(), [own.unpack(slot) for slot in own.slots]
    net.apply_gradients(np.ones_like(net.flat_weights()))
    for gradients in (net.loss_and_gradients(X, Y)[1], net.gradients(X, Y), net.backward(X, Y)):
        assert all((each == 0).all() for each in tensors(gradients[:2]))
        assert all((each != 0).any() for each in tensors(gradients[2:]))
    net.fit(X, Y, epochs=2)
    net.train_on_batch(X, Y)
    net.train_on_gradient(X, Y)
    net.apply_gradients(np.ones_like(net.flat_weights()))
    assert_same_tensors(net.get_weights()[:2], before[:2])
    assert all((a != b).any() for a, b in zip(tensors(net.get_weights()[2:]), tensors(before[2:]), strict=True))
    for slot, expected in zip(own.slots, moments, strict=True):
        assert_same_tensors(own.unpack(slot)[:2], expected[:2])


def test_layers_at_rest_have_no_penalty() -> None:
    net, plain = (
        network(),
        Network([5, Dense(20, "tanh"), Dense(17, "softmax"), Dense(9, "gelu"), 2], seed=1, dtype="float64"),
    )
    assert net.evaluate(X, Y)["loss"] > plain.evaluate(X, Y)["loss"]
    net.freeze([0, 1])
    assert net.evaluate(X, Y)["loss"] == plain.evaluate(X, Y)["loss"]
    assert net.train_on_batch(X, Y) == pytest.approx(plain.evaluate(X, Y)["loss"], rel=1e-12)


def test_the_norm_is_that_of_the_layers_that_are_trained() -> None:
    limited, gradients = network(optimizer=SGD(1.0, global_clipnorm=0.01)), network().gradients(X, Y)
    limited.freeze([0, 2])
    before = limited.get_weights()
    limited.train_on_batch(X, Y)
    trained = [1, 3]
    norm = np.sqrt(sum((each**2).sum() for place in trained for each in gradients[place]))
    for place in trained:
        for w, after, g in zip(before[place], limited.get_weights()[place], gradients[place], strict=True):
            np.testing.assert_allclose(w - after, g * 0.01 / norm, rtol=1e-3)


def test_input_gradients_go_through_layers_at_rest() -> None:
    net, other = network(), network()
    net.freeze([0, 1, 2])
    assert_same_bits(net.input_gradients(X), other.input_gradients(X))
    dX = [each.backward(X, Y, return_input_gradient=True)[1] for each in (net, other)]
    assert_same_bits(*dX)
    net._engine.few_row_passes.max_rows = 0
    assert_same_bits(net.backward(X, Y, return_input_gradient=True)[1], dX[1])
    assert_same_bits(net.input_gradients(X), other.input_gradients(X))
    gradients = net.backward(X, Y)
    assert all((each == 0).all() for each in tensors(gradients[:3]))
    assert_same_tensors(gradients[3:], other.backward(X, Y)[3:])


def test_no_products_are_computed_for_layers_at_rest() -> None:
    net = Network([784, 256, 256, 256, 10], seed=0)
    weights = [784 * 256, 256 * 256, 256 * 256, 256 * 10]
    every = 3 * sum(weights) - weights[0]
    assert step_flops(net.architecture, 1) == 2 * every
    net.freeze(range(3))
    assert step_flops(net.architecture, 1) == 2 * (sum(weights) + weights[3])
    net.unfreeze(1)
    assert step_flops(net.architecture, 1) == 2 * (every - 2 * weights[0] - weights[1] - weights[2] + weights[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_any_number_of_threads_gives_the_same_bits(shape: str, dtype: str) -> None:
    if threads.layer() not in ("omp", "tbb"):
        pytest.skip("needs OpenMP or TBB, which any thread may enter")
    sizes, rows = SHAPES[shape]
    data = rng.normal(size=(rows, sizes[0])).astype(dtype), rng.integers(0, sizes[-1], rows)
    found = []
    for count in (1, 2):
        net = big_network(shape, dtype, count, Adam(0.01, global_clipnorm=0.1))
        with always_parallel() as counted:
            for place in range(len(sizes) - 1):
                net.unfreeze()
                net.freeze(place)
                net.fit(*data, epochs=1, batch_size=rows // 2)
        assert set(counted) == ({2} if count > 1 else set())
        found.append(net.flat_weights())
    assert_same_bits(*found)


# When layers begin and end to rest ------------------------------------------------------------------------------------


class ThawsLayers(Callback):
    """Trains the last layer alone at first, and another one from each epoch on."""

    def on_train_begin(self) -> None:
        self.network.freeze(range(3))

    def on_epoch_begin(self, epoch: int) -> None:
        if 0 < epoch < 4:
            self.network.unfreeze(3 - epoch)


def test_a_callback_may_thaw_layers_during_its_fit() -> None:
    net, reference = network(), network(Reference)
    net.fit(X, Y, epochs=5, callbacks=[ThawsLayers()], **ORDER)
    reference.freeze(range(3))
    for epoch in range(5):
        if 0 < epoch < 4:
            reference.unfreeze(3 - epoch)
        reference.fit(X, Y, epochs=1, **ORDER)
    assert largest_error(net.get_weights(), reference.get_weights()) <= 100 * TOLERANCE["float64"]


def rested() -> Network:
    net = network(optimizer=Adam(CosineDecay(0.01, 100)), learning_rate_factor=0.5)
    net.fit(X, Y, epochs=1, **ORDER)
    net.freeze([0, 1])
    net.fit(X, Y, epochs=1, **ORDER)
    net.unfreeze(1)
    net.fit(X, Y, epochs=1, **ORDER)
    return net  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", ["file", "pickle", "copy"])
def test_copies_and_files_keep_what_rests_and_what_was_missed(how: str, tmp_path: Path) -> None:
    net = rested()
    net.save(tmp_path / "net.safetensors")
    other = {
        "file": lambda: Network.load(tmp_path / "net.safetensors"),
        "pickle": lambda: pickle.loads(pickle.dumps(net)),
        "copy": lambda: copy.deepcopy(net),
    }[how]()
    assert other._engine.parameters.rests.missed(12) == net._engine.parameters.rests.missed(12) == (8, 4, 0, 0)
    for each in (net, other):
        each.fit(X, Y, epochs=1, **ORDER)
        each.unfreeze()
        each.fit(X, Y, epochs=1, **ORDER)
    assert other.architecture == net.architecture
    assert_same_bits(net.flat_weights(), other.flat_weights())


def test_an_epoch_that_is_undone_counts_no_rest() -> None:
    net, other = network(), network()

    class Overflows(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            if self.network.step == 6:
                self.network.freeze(0)
                self.network.learning_rate = 1e300

    for each in (net, other):
        each.fit(X, Y, epochs=1, **ORDER)
    with pytest.raises(NonFiniteLossError):
        net.fit(X, Y, epochs=1, callbacks=[Overflows()], **ORDER)
    assert net.step == 4
    net.learning_rate = 1e-3
    other.freeze(0)
    for each in (net, other):
        each.fit(X, Y, epochs=1, **ORDER)
        each.unfreeze(0)
        each.fit(X, Y, epochs=1, **ORDER)
    assert_same_bits(net.flat_weights(), other.flat_weights())


@pytest.mark.parametrize("optimizer", [SGD(0.05), Adam(0.01)])
def test_an_epoch_in_which_layers_thawed_may_be_undone(optimizer: Any, tmp_path: Path) -> None:
    net, other = network(optimizer=optimizer), network(optimizer=optimizer)

    class ThawsAndOverflows(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            if self.network.step in (5, 6):
                self.network.unfreeze(self.network.step - 5)
            if self.network.step == 6:
                self.network.learning_rate = 1e300

    for each in (net, other):
        each.freeze([0, 1])
        each.fit(X, Y, epochs=1, **ORDER)
    with pytest.raises(NonFiniteLossError):
        net.fit(X, Y, epochs=1, callbacks=[ThawsAndOverflows()], **ORDER)
    net.learning_rate = optimizer.learning_rate
    assert (net.step, net._engine.parameters.rests.missed(4)) == (4, (4, 4, 0, 0))
    net.save(tmp_path / "net.safetensors")
    other.unfreeze()
    for each in (net, other):
        each.fit(X, Y, epochs=1, **ORDER)
    assert_same_bits(net.flat_weights(), other.flat_weights())


def test_a_new_beginning_forgets_what_was_missed_but_not_what_rests() -> None:
    net = rested()
    net.reinitialize(1)
    assert net._engine.parameters.rests.missed(0) == (0, 0, 0, 0)
    assert [layer.trainable for layer in net.architecture.layers] == [False, True, True, True]
    other = Network(
        [5, Dense(20, "tanh", l2=0.1, trainable=False), *layers(learning_rate_factor=0.5)[2:]],
        optimizer=Adam(CosineDecay(0.01, 100)),
        dtype="float64",
        seed=1,
    )
    for each in (net, other):
        each.fit(X, Y, epochs=1, **ORDER)
    assert_same_bits(net.flat_weights(), other.flat_weights())


def test_steps_of_few_rows_and_of_many_rest_alike() -> None:
    few, many = network(), network()
    many._engine.few_row_passes.max_rows = 0
    for each in (few, many):
        each.train_on_batch(X, Y)
        each.freeze([0, 2])
        each.train_on_batch(X, Y)
        each.forward(X)
        each.unfreeze(0)
        each.apply_gradients(each.backward(None, Y))  # the weights are the same
        each.freeze(1)
        each.apply_gradients(each.gradients(X, Y, out=each.flat_weights()))
        each.unfreeze()
        each.train_on_gradient(X, Y)
    assert_same_bits(few.flat_weights(), many.flat_weights())
    with pytest.raises(StaleForwardError):
        few.backward(None, Y)


# Transfer -------------------------------------------------------------------------------------------------------------


def test_a_network_takes_over_the_first_layers_of_another() -> None:
    net = network(optimizer=Adam(0.01))
    net.fit(X, Y, epochs=1)
    other = net.with_layers(2, [Dense(7, "tanh"), 3], output="softmax", seed=5)
    assert repr(other).startswith(
        "Network(5-20-17-7-3, output='softmax', loss='categorical_crossentropy', optimizer=Adam(0.01)"
    )
    assert other.architecture.layers[:2] == net.architecture.layers[:2]
    assert_same_tensors(other.get_weights()[:2], net.get_weights()[:2])
    fresh = Network([5, *map(Dense.of, other.architecture.layers)], dtype="float64", seed=5)
    assert_same_tensors(other.get_weights()[2:], fresh.get_weights()[2:])
    before = net.flat_weights()
    other.fit(X, rng.integers(0, 3, 64), epochs=1)
    assert_same_bits(net.flat_weights(), before)
    assert net.with_layers(4, [2]).architecture.layers[3].units == 2


def test_the_summary_says_what_rests(capsys: pytest.CaptureFixture[str]) -> None:
    rested().summary()
    lines = capsys.readouterr().out.splitlines()
    assert "l2 0.1, frozen" in lines[3]
    assert "l1 0.1, learning rate x 0.5" in lines[4]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda net: net.freeze(range(4)), ValueError, "at least one layer must be trainable, but all 4 layers are"),
        (lambda net: net.freeze(4), ValueError, "the layers have the numbers 0 to 3, or -4 to -1, got 4"),
        (lambda net: net.freeze([0, -5]), ValueError, "or -4 to -1, got -5"),
        (lambda net: net.freeze([]), ValueError, "layers must name at least one layer, got none"),
        (lambda net: net.freeze("0"), TypeError, "the number of a layer must be a whole number, got '0'"),
        (lambda net: net.unfreeze(1.5), TypeError, "the number of a layer must be a whole number, got 1.5"),
        (lambda net: net.freeze(b"0"), TypeError, "the number of a layer must be a whole number, got b'0'"),
        (lambda net: net.with_layers(1, 5), TypeError, r"layers must be a list such as \[16, 2\], got 5"),
        (lambda net: net.with_layers(5, [2]), ValueError, "kept must be at most 4, the number of layers, got 5"),
        (lambda net: net.with_layers(0, [2]), ValueError, "kept must be at least 1, got 0"),
        (lambda net: Network([3, Dense(2, trainable=False)]), ValueError, "at least one layer must be trainable"),
        (lambda net: Dense(2, trainable="no"), TypeError, "trainable must be True or False, got 'no'"),
        (lambda net: Dense(2, learning_rate_factor=-1), ValueError, "learning_rate_factor must be at least 0"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(call: Any, kind: Any, message: str) -> None:
    net = network()
    before = net.architecture
    with pytest.raises(kind, match=message):
        call(net)
    assert net.architecture is before
