"""to_torch and from_torch: weights, predictions and gradients are preserved in both directions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import DTYPES, tensors
from conversion import ALL_ACTIVATIONS, TOLERANCE, columns, difference, extremes, network, registered_activation, rows

from fastmlp import ELU, GELU, Dense, LeakyReLU, Network, from_torch, to_torch
from fastmlp.activations import ACTIVATIONS, Activation
from fastmlp.interchange import torch as exchange

torch = pytest.importorskip("torch")
nn = torch.nn

CONVERTIBLE = {name: activation for name, activation in ALL_ACTIVATIONS.items() if activation.name != "exponential"}
"""All activations except the exponential, for which torch has no module."""


def predictions(module: Any, X: Any) -> Any:
    module.eval()
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()


def linears(*between: Any) -> Any:
    """Return a module with these modules between two Linear."""
    return nn.Sequential(nn.Linear(5, 4), *between, nn.Linear(4, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", CONVERTIBLE.values(), ids=CONVERTIBLE)
def test_predictions_equal_those_of_the_network(activation: Activation, dtype: str) -> None:
    net = network(activation, dtype)
    for made, X in ((net, rows(dtype)), extremes(activation, dtype)):
        assert difference(predictions(to_torch(made), X), made.predict(X)) <= TOLERANCE[dtype]


def test_every_activation_except_the_exponential_has_a_module() -> None:
    there = exchange._module_makers(nn).keys()
    assert there == {"gelu_tanh", *ACTIVATIONS} - {"exponential"}, "_PARAMETERLESS of fastmlp/interchange/torch.py"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", CONVERTIBLE.values(), ids=CONVERTIBLE)
def test_a_round_trip_gives_the_same_network(activation: Activation, dtype: str) -> None:
    net = network(activation, dtype)
    back = from_torch(to_torch(net), seed=net.seed)
    assert back.architecture == net.architecture
    assert [each.tobytes() for each in tensors(back.get_weights())] == [
        each.tobytes() for each in tensors(net.get_weights())
    ]


@pytest.mark.parametrize("activation", CONVERTIBLE.values(), ids=CONVERTIBLE)
def test_gradients_equal_those_of_autograd(activation: Activation) -> None:
    net = Network([5, Dense(9, activation), Dense(4, activation, use_bias=False), 3], dtype="float64", seed=4)
    y = np.random.default_rng(5).normal(size=(50, 3))
    # In torch the slope of Hardsigmoid is 1 / 6 in float32, for float64 modules too.
    tolerance = 1e-7 if activation.name == "hard_sigmoid" else 1e-9
    compare_gradients(net, to_torch(net), y, nn.MSELoss(), tolerance=tolerance)


Y = np.random.default_rng(6)
LOGITS: dict[str, tuple[str, Any, Any]] = {
    "softmax": ("CrossEntropyLoss", Y.integers(0, 3, 50), 1),
    "sigmoid": ("BCEWithLogitsLoss", Y.integers(0, 2, (50, 3)).astype(np.float64), 3),
    "exponential": ("PoissonNLLLoss", Y.poisson(2, (50, 3)).astype(np.float64), 1),
}


@pytest.mark.parametrize("output", LOGITS)
def test_gradients_from_logits_equal_those_of_the_losses_of_torch(output: str) -> None:
    """`scale` turns the mean over the outputs, which torch computes, into a sum."""
    loss, y, scale = LOGITS[output]
    net = Network([5, Dense(9, "tanh"), 3], output=output, dtype="float64", seed=4)
    module = to_torch(net, logits=True)
    assert type(module[-1]) is nn.Linear
    compare_gradients(net, module, y, getattr(nn, loss)(), scale)
    back = from_torch(module, output=output, seed=4)
    assert back.architecture == net.architecture
    assert difference(back.predict(rows("float64")), net.predict(rows("float64"))) == 0


def compare_gradients(
    net: Network, module: Any, y: Any, loss: Callable[..., Any], scale: float = 1, tolerance: float = 1e-9
) -> None:
    X = rows("float64")
    value = scale * loss(module(torch.from_numpy(X)), torch.from_numpy(y))
    value.backward()
    own, gradients = net.loss_and_gradients(X, y)
    assert own == pytest.approx(value.item(), rel=tolerance)
    found = [each.grad.numpy().T for each in module.parameters()]
    for ours, theirs in zip(tensors(gradients), found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1, float(np.abs(theirs).max())))


@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_of_columns_are_converted_to_and_fro(dtype: str) -> None:
    net, X = columns(dtype), rows(dtype)
    module = to_torch(net).eval()
    assert difference(predictions(module, X), net.predict(X)) <= TOLERANCE[dtype]
    back = from_torch(module)
    assert back.architecture.layers == net.architecture.layers
    np.testing.assert_array_equal(back.predict(X), net.predict(X))
    assert [name for name, _ in module.named_parameters() if name.startswith("0.")] == []  # a Normalization rests


def test_layer_norms_of_torch_are_read() -> None:
    module = nn.Sequential(
        nn.LayerNorm(5), nn.Linear(5, 8), nn.ReLU(), nn.LayerNorm(8, elementwise_affine=False), nn.Linear(8, 2)
    )
    net, X = from_torch(module), rows("float32")
    assert difference(predictions(module.eval(), X), net.predict(X)) <= TOLERANCE["float32"]
    first, _, second, _ = net.architecture.layers
    assert (first.epsilon, first.trainable, second.trainable, second.use_bias) == (1e-5, True, False, False)
    with pytest.raises(ValueError, match=r"must normalize one dimension, the units, got \(3, 5\)"):
        from_torch(nn.Sequential(nn.Linear(5, 5), nn.LayerNorm((3, 5))))
    with pytest.raises(ValueError, match="stands behind a Normalization"):
        from_torch(nn.Sequential(to_torch(columns())[0], nn.ReLU(), nn.Linear(5, 2)))


def test_dropout_is_a_module_that_is_active_in_training_only() -> None:
    net = network(ACTIVATIONS["relu"])
    module = to_torch(net)
    assert [type(each).__name__ for each in module] == ["Linear", "ReLU", "Linear", "ReLU", "Dropout", "Linear", "ReLU"]
    assert module.training
    assert module[4].p == 0.2
    X = torch.from_numpy(rows("float32"))
    assert not torch.equal(module(X), module(X))
    assert torch.equal(module.eval()(X), module(X))


def test_weights_are_copies_and_the_state_of_torch_is_unchanged() -> None:
    net = network(ACTIVATIONS["relu"])
    before, state = net.predict(rows("float32")), torch.get_rng_state()
    module = to_torch(net).train(False)
    assert torch.equal(state, torch.get_rng_state())
    copy = from_torch(module)
    assert not module.training
    with torch.no_grad():
        for each in module.parameters():
            assert each.requires_grad
            each.zero_()
    assert (net.predict(rows("float32")) == before).all()
    assert (copy.predict(rows("float32")) == before).all()
    net.set_weights([(W + 1, b) for W, b in net.get_weights()])
    assert not any(each.any() for each in module.parameters())


def test_nested_and_identity_modules_are_read() -> None:
    inner = nn.Sequential(nn.Linear(5, 4, bias=False), nn.Identity(), nn.Dropout(0.0), nn.ELU(0.7), nn.Dropout(0.25))
    module = nn.Sequential(nn.Dropout(0.0), nn.Sequential(inner), nn.Sequential(nn.Linear(4, 2), nn.Identity()))
    net = from_torch(module, seed=0)
    first, last = net.architecture.layers
    assert (first.activation, first.dropout, first.use_bias) == (ELU(0.7), 0.25, False)
    assert (last.activation.name, net.architecture.loss.name) == ("linear", "mean_squared_error")
    assert difference(net.predict(rows("float32")), predictions(module, rows("float32"))) <= 1e-5


def test_a_single_linear_becomes_a_network() -> None:
    module = nn.Linear(5, 2)
    assert difference(from_torch(module).predict(rows("float32")), predictions(module, rows("float32"))) <= 1e-5


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (lambda: nn.LeakyReLU(0.3), LeakyReLU(0.3)),
        (lambda: nn.GELU(), GELU()),
        (lambda: nn.GELU("tanh"), GELU(approximate=True)),
        (lambda: nn.Softplus(), ACTIVATIONS["softplus"]),
        (lambda: nn.Softmax(dim=1), ACTIVATIONS["softmax"]),
        (lambda: nn.Softmax(dim=-1), ACTIVATIONS["softmax"]),
        (lambda: nn.Hardsigmoid(inplace=True), ACTIVATIONS["hard_sigmoid"]),
    ],
)
def test_parameters_of_activations_are_read(module: Callable[[], Any], expected: Activation) -> None:
    made = linears(module())
    net = from_torch(made)
    assert net.architecture.layers[0].activation == expected
    assert difference(net.predict(rows("float32")), predictions(made, rows("float32"))) <= 1e-5


@pytest.mark.parametrize("between", [("ReLU", "Dropout"), ("Dropout", "ReLU")])
def test_dropout_before_relu_equals_dropout_after_it(between: tuple[str, str]) -> None:
    net = from_torch(linears(*(getattr(nn, name)() for name in between)))
    layer = net.architecture.layers[0]
    assert (layer.activation.name, layer.dropout) == ("relu", 0.5)


def test_softmax_replaces_log_softmax() -> None:
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), nn.LogSoftmax(dim=1))
    net = from_torch(module, output="softmax")
    assert net.architecture.loss.name == "categorical_crossentropy"
    assert difference(net.predict(rows("float32")), np.exp(predictions(module, rows("float32")))) <= 1e-5


def test_the_dtype_is_that_of_the_module_or_the_given_one() -> None:
    X = rows("float64")
    assert from_torch(linears().double()).predict(X).dtype == np.float64
    assert from_torch(linears(), dtype="float64").predict(X).dtype == np.float64
    half = linears(nn.ReLU()).to(torch.bfloat16)
    with pytest.raises(ValueError, match="got bfloat16; give dtype to convert it"):
        from_torch(half)
    converted = from_torch(half, dtype="float32")
    assert difference(converted.predict(rows("float32")), predictions(half.float(), rows("float32"))) <= 1e-5


def tied() -> Any:
    linear = nn.Linear(5, 5)
    return nn.Sequential(linear, nn.ReLU(), linear)


def hooked() -> Any:
    module = linears()
    module[0].register_forward_hook(lambda module, inputs, output: output * 2)
    return module


class Own(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, X: Any) -> Any:
        return X


class Doubled(nn.Sequential):  # type: ignore[misc, name-defined]
    def forward(self, X: Any) -> Any:
        return 2 * super().forward(X)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: linears(nn.BatchNorm1d(4)),
            TypeError,
            "module 1, BatchNorm1d, is not supported .* Supported are: .*Linear",
        ),
        (lambda: linears(nn.Sequential(nn.ReLU(), nn.PReLU())), TypeError, r"module 1\.1, PReLU,"),
        (lambda: linears(nn.Conv1d(4, 4, 1)), TypeError, "module 1, Conv1d,"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), TypeError, r"module 0, Flatten, .*X\.reshape"),
        (lambda: nn.Sequential(nn.Linear(5, 2), nn.LogSoftmax(dim=1)), TypeError, "1, LogSoftmax, .*output='softmax'"),
        (Own, TypeError, "the module, Own, is not supported"),
        (Doubled, TypeError, "the module, Doubled, is not supported"),
        (lambda: nn.LazyLinear(3), TypeError, "the module, LazyLinear, is not supported"),
        (lambda: linears(nn.ELU(-1.0)), ValueError, "module 1, ELU, cannot be converted: elu: alpha must be"),
        (lambda: linears(nn.LeakyReLU(0.0)), ValueError, "module 1, LeakyReLU, .*slope must be greater than 0"),
        (lambda: linears(nn.Softplus(beta=2)), ValueError, "module 1, Softplus, .*beta must be 1 .*got 2"),
        (lambda: linears(nn.Softplus(threshold=5)), ValueError, "threshold at least 20, got 1.* and 5"),
        (lambda: linears(nn.Softmax(dim=0)), ValueError, "module 1, Softmax, .*dim must be -1 or 1.* got 0"),
        (lambda: linears(nn.ReLU(), nn.Tanh()), ValueError, "module 2, Tanh, is the second activation"),
        (lambda: linears(nn.Dropout(), nn.Tanh()), ValueError, "module 2, Tanh, stands behind Dropout"),
        (lambda: linears(nn.Dropout(), nn.Dropout()), ValueError, "module 2, Dropout, is the second"),
        (lambda: linears(nn.Dropout(1.0)), ValueError, "module 1, Dropout, drops all units"),
        (lambda: nn.Sequential(nn.Dropout(), nn.Linear(5, 2)), ValueError, "module 0, Dropout, stands before"),
        (lambda: nn.Sequential(nn.ReLU(), nn.Linear(5, 2)), ValueError, "module 0, ReLU, stands before"),
        (
            lambda: nn.Sequential(nn.Linear(5, 2), nn.Dropout()),
            ValueError,
            "module 0 is the last one with weights and has",
        ),
        (lambda: nn.Sequential(nn.Linear(5, 4), nn.Linear(3, 2)), ValueError, "1, Linear, takes 3 inputs, .* 4 units"),
        (nn.Sequential, ValueError, "such as a Linear"),
        (tied, ValueError, "module 2, Linear, shares its weights"),
        (hooked, ValueError, "module 0, Linear, has forward hooks"),
        (lambda: linears().double().append(nn.Linear(2, 2)), ValueError, "got float32, float64; give dtype"),
        (
            lambda: nn.Sequential(nn.Linear(5, 2, device="meta")),
            ValueError,
            "module 0, Linear, is on the device 'meta'",
        ),
        (lambda: "model.pt", TypeError, "got 'model.pt' of type str"),
    ],
)
def test_unsupported_modules_are_refused_by_name(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_torch(make())


def test_losses_and_activations_of_torch_are_refused_with_their_equivalents() -> None:
    with pytest.raises(TypeError, match="loss must not be a torch module, got MSELoss; give loss='mean_squared_error'"):
        from_torch(linears(), loss=nn.MSELoss())
    with pytest.raises(TypeError, match="got CrossEntropyLoss; give output='softmax' and no loss"):
        from_torch(linears(), loss=nn.CrossEntropyLoss())
    with pytest.raises(TypeError, match="output must not be a torch module, got Softmax; give the name or an instance"):
        from_torch(linears(), output=nn.Softmax(dim=1))
    with pytest.raises(ValueError, match="output='softmax' contradicts"):
        from_torch(nn.Sequential(nn.Linear(5, 2), nn.Sigmoid()), output="softmax")


def test_activations_without_a_torch_module_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"layer 0 has the activation 'exponential', built in, which torch\.nn"):
        to_torch(Network([5, Dense(4, "exponential"), 2], seed=0))
    with (
        registered_activation() as net,
        pytest.raises(ValueError, match=r"layer 1 .*'softsign', registered .*Supported are: "),
    ):
        to_torch(net)
    with pytest.raises(TypeError, match=r"to_torch needs a fastmlp\.Network, got torch\.nn"):
        to_torch(linears())


@pytest.mark.parametrize("call", [lambda: from_torch(None), lambda: to_torch(network(ACTIVATIONS["relu"]))])
def test_without_torch_the_error_names_the_extra(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'_torch needs torch: pip install "fastmlp\[torch\]"'):
        call()
