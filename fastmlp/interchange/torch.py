"""Networks from and to PyTorch's `nn.Sequential`; it needs torch, `pip install "fastmlp[torch]"`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from fastmlp import activations
from fastmlp._runtime.extras import needed_by
from fastmlp.activations import ACTIVATIONS, ELU, GELU, Activation, LeakyReLU
from fastmlp.interchange.exports import said, weighted_layers
from fastmlp.layers import Dense
from fastmlp.losses import Loss
from fastmlp.network import Network
from fastmlp.optimizers import Optimizer

_PLAIN = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "selu": "SELU",
    "silu": "SiLU",
    "mish": "Mish",
    "sigmoid": "Sigmoid",
    "hard_sigmoid": "Hardsigmoid",
    "tanh": "Tanh",
}
"""The activations without numbers, and torch's modules of the same formula."""

_LOSSES = {
    "MSELoss": "'mean_squared_error'",
    "L1Loss": "'mean_absolute_error'",
    "HuberLoss": "fastmlp.Huber(delta)",
    "SmoothL1Loss": "fastmlp.Huber(1.0), the same at beta=1",
    "CrossEntropyLoss": "output='softmax' alone",
    "NLLLoss": "output='softmax' alone",
    "BCELoss": "'binary_crossentropy'",
    "BCEWithLogitsLoss": "output='sigmoid' alone",
    "PoissonNLLLoss": "output='exponential' alone",
    "KLDivLoss": "'kl_divergence'",
}
"""What to write for torch's losses; for messages only."""

_HINTS = {
    "Flatten": "; make rows of the data instead, X.reshape(len(X), -1)",
    "LogSoftmax": "; at the end, with output='softmax', it gives way to softmax",
}

_SCALE_FREE = ("linear", "relu", "leaky_relu")
"""Where g(d z) is d g(z) for every d from 0, so that dropout before and behind is the same."""

_SOFTPLUS_THRESHOLD = 40.0  # beyond it torch takes z itself; at its default of 20 that leaves out e^-20, 2e-9


def from_torch(
    module: Any,
    *,
    output: str | Activation | None = None,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
    seed: int | None = None,
    dtype: Any = None,
) -> Network:
    """A network with the layers of a torch module, and copies of their weights.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of `Linear`, each perhaps followed by an activation and `Dropout`, in any nesting, with `Identity` anywhere. On
        any device; whether it is in training mode makes no difference, nor does anything change in it.
    output : str or Activation, optional
        The activation of the last layer where the module leaves it to its loss, see the table below.
    loss : str or Loss, optional
        As in `Network`; a torch module knows nothing of its loss.
    optimizer, seed : optional
        As in `Network`; what a torch optimizer remembers is not carried over. The seed is that of further training.
    dtype : {"float32", "float64"}, optional
        None takes that of the module.

    Returns
    -------
    Network
        It predicts what `module.eval()` gives for the same rows, with `output` applied.

    Raises
    ------
    ImportError
        If torch is not installed.
    TypeError
        If it is no module, or holds one of a kind that a network has no layer for; the message names its index and type
        and lists what there is.
    ValueError
        If modules stand in an order that a network does not have, have numbers that it does not have, or share weights.

    Notes
    -----
    What to give for a module that was trained with

    ==================  ==================================================================================
    torch               fastmlp
    ==================  ==================================================================================
    MSELoss             nothing: mean squared error is the loss of a linear output
    L1Loss              `loss="mean_absolute_error"`
    HuberLoss(delta)    `loss=Huber(delta)`; SmoothL1Loss is the same at its defaults
    CrossEntropyLoss    `output="softmax"`: it takes logits, so that the module ends without Softmax
    NLLLoss             `output="softmax"`, which takes the place of the module's LogSoftmax
    BCEWithLogitsLoss   `output="sigmoid"`: it takes logits. The mean over the outputs; ours is their sum
    BCELoss             nothing: the module ends in Sigmoid. Again, ours is the sum over the outputs
    PoissonNLLLoss      `output="exponential"`: by default it takes the logarithm of the prediction
    ==================  ==================================================================================

    Examples
    --------
    >>> net = from_torch(nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 2)), output="softmax")
    """
    with needed_by("from_torch", "fastmlp[torch]"):
        from torch import nn
    for what, given in (("loss", loss), ("output", output)):
        if isinstance(given, nn.Module):
            name = type(given).__name__
            instead = _LOSSES.get(name, "a name or an object of fastmlp's") if what == "loss" else "its fastmlp name"
            raise TypeError(f"{what} must be of fastmlp; in place of {name} give {instead}")
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Sequential, got {module!r:.100} of type {type(module).__name__}")
    layers = _layers(_without_logarithm(list(_flat(module, "")), output))
    network = Network(
        [layers[0].inputs, *(layer.dense(output is not None and layer is layers[-1]) for layer in layers)],
        output=output,
        loss=loss,
        optimizer=optimizer,
        seed=seed,
        dtype=_dtype(layers) if dtype is None else dtype,
    )
    network.set_weights([(layer.W, layer.b) for layer in layers])
    return network


def to_torch(network: Network, *, logits: bool = False) -> Any:
    """The network as a torch module: `Linear`, the activation's module, `Dropout`, for each layer.

    Weights are copies, on the CPU. As any new module it is in training mode, in which Dropout drops: call `.eval()`
    before you predict with it. torch's own random numbers are not drawn from.

    Parameters
    ----------
    network : Network
        float32 or float64. Penalties, loss and optimizer are not part of a module.
    logits : bool
        Leave out the last layer's activation, for CrossEntropyLoss (softmax), BCEWithLogitsLoss (sigmoid) and
        PoissonNLLLoss (exponential), which take Z; `from_torch` says what losses correspond.

    Returns
    -------
    torch.nn.Sequential
        `from_torch(to_torch(network))` predicts as the network does.

    Raises
    ------
    ImportError
        If torch is not installed.
    ValueError, TypeError
        If torch has no module of an activation (exponential, and those of your own); the message names the layer.

    Examples
    --------
    >>> module = to_torch(net).eval()
    >>> with torch.no_grad():
    ...     predictions = module(torch.from_numpy(X))
    """
    with needed_by("to_torch", "fastmlp[torch]"):
        import torch
    layers = weighted_layers(network, "to_torch")
    modules = []
    for index, (layer, W, b) in enumerate(layers):
        kind = getattr(torch, network.architecture.dtype.name)
        linear = torch.nn.utils.skip_init(
            torch.nn.Linear, layer.inputs, layer.units, bias=b is not None, dtype=kind, device="cpu"
        )
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W).T)
            if b is not None:
                linear.bias.copy_(torch.from_numpy(b))
        modules.append(linear)
        if not (logits and index == len(layers) - 1) and layer.activation.name != "linear":
            make = said(layer.activation, _makers(torch.nn), index, "torch.nn")
            modules.append(make(layer.activation))
        if layer.dropout:
            modules.append(torch.nn.Dropout(layer.dropout))
    return torch.nn.Sequential(*modules)


def _makers(nn: Any) -> dict[str, Callable[[Any], Any]]:
    """From a formula to what makes torch's module of an activation."""
    made: dict[str, Callable[[Any], Any]] = {
        "linear": lambda own: nn.Identity(),
        "leaky_relu": lambda own: nn.LeakyReLU(own.slope),
        "elu": lambda own: nn.ELU(own.alpha),
        "softplus": lambda own: nn.Softplus(threshold=_SOFTPLUS_THRESHOLD),
        "gelu": lambda own: nn.GELU(),
        "gelu_tanh": lambda own: nn.GELU(approximate="tanh"),
        "softmax": lambda own: nn.Softmax(dim=-1),
    }
    return made | {name: functools.partial(_plain_module, getattr(nn, kind)) for name, kind in _PLAIN.items()}


def _plain_module(kind: Any, own: Activation) -> Any:
    return kind()


# Reading --------------------------------------------------------------------------------------------------------------

Placed = tuple[str, Any]
"""A module, and its index, of all the Sequential around it: `1.0`."""


@dataclass
class _Layer:
    """A Linear, and what was found behind it."""

    place: str
    W: NDArray[Any]
    b: NDArray[Any] | None
    kind: Any
    activation: Activation | None = None
    dropout: float = 0.0

    @property
    def inputs(self) -> int:
        return int(self.W.shape[0])

    @property
    def units(self) -> int:
        return int(self.W.shape[1])

    def dense(self, open_end: bool) -> Dense:
        """As `Network` takes it; an open end leaves the activation to `output`."""
        activation = self.activation or (None if open_end else "linear")
        return Dense(self.units, activation, use_bias=self.b is not None, dropout=self.dropout)


def _flat(module: Any, place: str) -> Iterator[Placed]:
    """The modules of a Sequential and of those within, in their order."""
    from torch import nn

    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        _require_no_hooks(place, module)
        for index, each in enumerate(module):
            yield from _flat(each, f"{place}.{index}" if place else str(index))
    elif type(module) is nn.Identity:
        _require_no_hooks(place, module)
    else:
        yield place, module


def _require_no_hooks(place: str, module: Any) -> None:
    if module._forward_hooks or module._forward_pre_hooks:
        hint = "such as those of weight_norm or prune; remove them first"
        raise ValueError(f"{_named(place, module)} has forward hooks, which a fastmlp network has not, {hint}")


def _named(place: str, module: Any) -> str:
    return f"module {place}, {type(module).__name__}," if place else f"the module, {type(module).__name__},"


def _without_logarithm(modules: list[Placed], output: str | Activation | None) -> list[Placed]:
    """Without the LogSoftmax at the end, where softmax is to take its place."""
    from torch import nn

    softmax = output is not None and activations.resolve(output).name == "softmax"
    if softmax and modules and type(modules[-1][1]) is nn.LogSoftmax:
        _require_units_dim(modules[-1][1])
        return modules[:-1]
    return modules


def _layers(modules: list[Placed]) -> list[_Layer]:
    """Each Linear with the activation and the dropout behind it."""
    from torch import nn

    layers: list[_Layer] = []
    seen: set[int] = set()
    for place, module in modules:
        if type(module) is nn.Linear:
            if id(module.weight) in seen:
                raise ValueError(
                    f"{_named(place, module)} shares its weights with one before, which layers here cannot"
                )
            seen.add(id(module.weight))
            layers.append(_linear(place, module, layers))
        elif type(module) is nn.Dropout:
            _add_dropout(place, module, layers)
        else:
            _add_activation(place, module, layers)
        _require_no_hooks(place, module)
    if not layers:
        raise ValueError("module must hold at least one Linear, got none")
    if layers[-1].dropout:
        raise ValueError(
            f"module {layers[-1].place}, Linear, is the last and has Dropout behind it: no output is dropped"
        )
    return layers


def _linear(place: str, module: Any, below: list[_Layer]) -> _Layer:
    if any(parameter.is_meta for parameter in module.parameters()):
        raise ValueError(f"{_named(place, module)} is on the device 'meta', without numbers; load its weights first")
    if below and below[-1].units != module.in_features:
        raise ValueError(
            f"{_named(place, module)} takes {module.in_features} inputs, below are {below[-1].units} units"
        )
    b = None if module.bias is None else _array(module.bias)
    return _Layer(place, _array(module.weight).T, b, module.weight.dtype)


def _array(tensor: Any) -> NDArray[Any]:
    """Its numbers; float16 and bfloat16, of which NumPy lacks one, in float32, which holds them all."""
    import torch

    kind = tensor.dtype if tensor.dtype in (torch.float32, torch.float64) else torch.float32
    array: NDArray[Any] = tensor.detach().to("cpu", kind).numpy()
    return array


def _dtype(layers: list[_Layer]) -> str:
    kinds = sorted({str(layer.kind).removeprefix("torch.") for layer in layers})
    if kinds not in (["float32"], ["float64"]):
        raise ValueError(f"module must be of float32 or of float64, got {', '.join(kinds)}; give dtype to convert it")
    return kinds[0]


def _add_dropout(place: str, module: Any, layers: list[_Layer]) -> None:
    if module.p == 0:
        return
    if not layers:
        raise ValueError(f"{_named(place, module)} stands before the first Linear: inputs are not dropped here")
    if layers[-1].dropout:
        raise ValueError(f"{_named(place, module)} is the second behind a Linear; one Dropout does for both")
    if module.p == 1:
        raise ValueError(f"{_named(place, module)} drops everything; p must be less than 1")
    layers[-1].dropout = module.p


def _add_activation(place: str, module: Any, layers: list[_Layer]) -> None:
    activation = _activation(place, module)
    if not layers:
        raise ValueError(f"{_named(place, module)} stands before the first Linear; an activation comes behind one")
    layer = layers[-1]
    if layer.activation is not None:
        raise ValueError(f"{_named(place, module)} is the second activation behind a Linear; there can be one")
    if layer.dropout and activation.name not in _SCALE_FREE:
        raise ValueError(f"{_named(place, module)} stands behind Dropout; here an activation comes before it")
    layer.activation = activation


def _activation(place: str, module: Any) -> Activation:
    """The same formula with the same numbers."""
    from torch import nn

    readers = _readers(nn)
    if type(module) not in readers:
        kinds = ", ".join(sorted({"Sequential", "Linear", "Identity", "Dropout", *(kind.__name__ for kind in readers)}))
        hint = _HINTS.get(type(module).__name__, "")
        raise TypeError(f"{_named(place, module)} is nothing that a fastmlp network has. There are: {kinds}{hint}")
    try:
        return readers[type(module)](module)
    except ValueError as error:
        raise ValueError(f"{_named(place, module)} cannot be carried over: {error}") from None


def _readers(nn: Any) -> dict[type, Callable[[Any], Activation]]:
    """From the type of a torch module to what reads it."""
    read: dict[type, Callable[[Any], Activation]] = {
        nn.LeakyReLU: lambda module: LeakyReLU(module.negative_slope),
        nn.ELU: lambda module: ELU(module.alpha),
        nn.GELU: lambda module: GELU(approximate=module.approximate == "tanh"),
        nn.Softplus: _read_softplus,
        nn.Softmax: _read_softmax,
    }
    return read | {getattr(nn, kind): functools.partial(_read_plain, name) for name, kind in _PLAIN.items()}


def _read_plain(name: str, module: Any) -> Activation:
    return ACTIVATIONS[name]


def _read_softplus(module: Any) -> Activation:
    if module.beta != 1 or module.threshold < 20:  # above the threshold torch takes z: at 20, 2e-9 from the formula
        raise ValueError(f"beta must be 1 and threshold at least 20, got {module.beta} and {module.threshold}")
    return ACTIVATIONS["softplus"]


def _read_softmax(module: Any) -> Activation:
    _require_units_dim(module)
    return ACTIVATIONS["softmax"]


def _require_units_dim(module: Any) -> None:
    if module.dim not in (-1, 1, None):  # None is 1 where there are two dimensions
        raise ValueError(f"dim must be -1 or 1, that of the units, got {module.dim}")
