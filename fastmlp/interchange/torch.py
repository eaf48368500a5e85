"""Conversion from and to `nn.Sequential` of PyTorch. It needs torch: `pip install "fastmlp[torch]"`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import activations
from fastmlp._runtime.extras import needed_by
from fastmlp.activations import ACTIVATIONS, ELU, GELU, Activation, LeakyReLU
from fastmlp.architecture import Layer
from fastmlp.interchange.exports import translate_activation, weighted_layers
from fastmlp.layers import Dense, LayerDescription, LayerNormalization, Normalization, Scale
from fastmlp.layers.columns import SMALLEST_EPSILON
from fastmlp.losses import Loss
from fastmlp.network import Network
from fastmlp.optimizers import Optimizer

_PARAMETERLESS = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "selu": "SELU",
    "silu": "SiLU",
    "mish": "Mish",
    "sigmoid": "Sigmoid",
    "hard_sigmoid": "Hardsigmoid",
    "tanh": "Tanh",
}
"""From the formulas of activations without parameters to the names of their torch modules."""

_LOSS_EQUIVALENTS = {
    "MSELoss": "loss='mean_squared_error'",
    "L1Loss": "loss='mean_absolute_error'",
    "HuberLoss": "loss=fastmlp.Huber(delta)",
    "SmoothL1Loss": "loss=fastmlp.Huber(1.0), which is equal at beta=1",
    "CrossEntropyLoss": "output='softmax' and no loss",
    "NLLLoss": "output='softmax' and no loss",
    "BCELoss": "loss='binary_crossentropy'",
    "BCEWithLogitsLoss": "output='sigmoid' and no loss",
    "PoissonNLLLoss": "output='exponential' and no loss",
    "KLDivLoss": "loss='kl_divergence'",
}
"""From the losses of torch to the arguments of `from_torch`, for messages."""

_HINTS = {
    "Flatten": "; remove it and give the network rows, X.reshape(len(X), -1)",
    "LogSoftmax": "; output='softmax' replaces it at the end of the module",
}
"""From unsupported modules to what to do, for messages."""

_HOMOGENEOUS = ("linear", "relu", "leaky_relu")
"""Activations with g(d z) = d g(z) for d >= 0: dropout before and after such an activation is equivalent."""

_SOFTPLUS_THRESHOLD = 40.0  # torch returns z above the threshold; its default 20 would neglect e^-20 = 2e-9


def from_torch(
    module: Any,
    *,
    output: str | Activation | None = None,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
    seed: int | None = None,
    dtype: Any = None,
) -> Network:
    """Return a network with the layers of a torch module and copies of their weights.

    Parameters
    ----------
    module : torch.nn.Sequential
        `Linear` or `LayerNorm` modules, or those that `to_torch` makes of other layers, each optionally followed by an
        activation and `Dropout`. `Sequential` may be nested, and `Identity` may occur anywhere. The module may be on
        any device, in training or evaluation mode. It is not changed.
    output : str or Activation, optional
        The activation of the last layer, if the loss of the module applies it. See the table below.
    loss : str or Loss, optional
        The loss for further training, as in `Network`. A torch module has no loss.
    optimizer : str or Optimizer, optional
        The optimizer for further training, as in `Network`. The state of a torch optimizer is not converted.
    seed : int, optional
        The seed for further training, as in `Network`.
    dtype : {"float32", "float64"}, optional
        The dtype of the network. None takes the dtype of the module.

    Returns
    -------
    Network
        A network that predicts what `module.eval()` returns for the same rows, with `output` applied.

    Raises
    ------
    ImportError
        If torch is not installed. The message gives the command that installs it.
    TypeError
        If `module` is not a module, or contains a module that a network does not support. The message names its index
        and type, and lists the supported modules. If `loss` or `output` is a torch module.
    ValueError
        If the order or a parameter of the modules is not supported, or modules share weights.

    Notes
    -----
    Arguments for a module that was trained with a loss of torch:

    ==================  ==================================================================================
    torch               fastmlp
    ==================  ==================================================================================
    MSELoss             none: mean squared error is the loss of a linear output
    L1Loss              `loss="mean_absolute_error"`
    HuberLoss(delta)    `loss=Huber(delta)`; SmoothL1Loss with its defaults is `Huber(1.0)`
    CrossEntropyLoss    `output="softmax"`, because it takes logits and the module has no Softmax
    NLLLoss             `output="softmax"`, which replaces the LogSoftmax of the module
    BCEWithLogitsLoss   `output="sigmoid"`, because it takes logits. torch computes the mean over the outputs,
                        fastmlp the sum.
    BCELoss             none: the module ends in Sigmoid. torch computes the mean over the outputs, fastmlp
                        the sum.
    PoissonNLLLoss      `output="exponential"`, because by default it takes the logarithm of the prediction
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
            equivalent = _LOSS_EQUIVALENTS.get(name) if what == "loss" else None
            hint = equivalent or f"the name or an instance of a fastmlp {'loss' if what == 'loss' else 'activation'}"
            raise TypeError(f"{what} must not be a torch module, got {name}; give {hint}")
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Sequential, got {module!r:.100} of type {type(module).__name__}")
    layers = _read_layers(_remove_log_softmax(list(_flatten(module, "")), output))
    network = Network(
        [layers[0].inputs, *(layer.describe(output is not None and layer is layers[-1]) for layer in layers)],
        output=output,
        loss=loss,
        optimizer=optimizer,
        seed=seed,
        dtype=_common_dtype(layers) if dtype is None else dtype,
    )
    network.set_weights([(layer.W, layer.b) for layer in layers])
    return network


def to_torch(network: Network, *, logits: bool = False) -> Any:
    """Return the network as a torch module: for each layer a `Linear` or `LayerNorm`, the activation and `Dropout`.

    Parameters
    ----------
    network : Network
        The network. Penalties, loss and optimizer are not part of a module and are not converted.
    logits : bool
        Whether to omit the activation of the last layer, for CrossEntropyLoss (softmax), BCEWithLogitsLoss (sigmoid)
        and PoissonNLLLoss (exponential), which take Z. `help(from_torch)` has a table of corresponding losses.

    Returns
    -------
    torch.nn.Sequential
        The module, with copies of the weights, on the CPU. As any new module it is in training mode, in which Dropout
        is active: call `.eval()` before predicting. `from_torch(to_torch(network))` predicts as the network does.
        `Scale` and `Normalization` become modules of `fastmlp.interchange.torch_modules`, which torch lacks.

    Raises
    ------
    ImportError
        If torch is not installed. The message gives the command that installs it.
    TypeError
        If `network` is not a Network.
    ValueError
        If torch has no module for an activation: exponential, or one registered by `register_activation`. The message
        names the layer.

    Notes
    -----
    The function does not draw from the random numbers of torch.

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
        modules.append(_make_layer(layer, torch.from_numpy(W), None if b is None else torch.from_numpy(b)))
        if not (logits and index == len(layers) - 1) and layer.activation.name != "linear":
            make_module = translate_activation(layer.activation, _module_makers(torch.nn), index, "torch.nn")
            modules.append(make_module(layer.activation))
        if layer.dropout:
            modules.append(torch.nn.Dropout(layer.dropout))
    return torch.nn.Sequential(*modules)


def _make_layer(layer: Layer, W: Any, b: Any) -> Any:
    """Return the module that computes Z of a layer with copies of W and b, which are tensors."""
    import torch

    from fastmlp.interchange import torch_modules

    if layer.kind == Scale.kind:
        return torch_modules.Scale(W, b)
    if layer.kind == Normalization.kind:
        return torch_modules.Normalization(b, W)
    options = {"bias": b is not None, "dtype": W.dtype, "device": "cpu"}
    if layer.kind == LayerNormalization.kind:
        module, weight = torch.nn.LayerNorm(layer.units, layer.epsilon, **options), W
    else:
        module = torch.nn.utils.skip_init(torch.nn.Linear, layer.inputs, layer.units, **options)
        weight = W.T
    with torch.no_grad():
        module.weight.copy_(weight)
        if b is not None:
            module.bias.copy_(b)
    return module


def _module_makers(nn: Any) -> dict[str, Callable[[Any], Any]]:
    """Return, for each formula, the function that makes the torch module of an activation."""
    with_parameters: dict[str, Callable[[Any], Any]] = {
        "linear": lambda activation: nn.Identity(),
        "leaky_relu": lambda activation: nn.LeakyReLU(activation.slope),
        "elu": lambda activation: nn.ELU(activation.alpha),
        "softplus": lambda activation: nn.Softplus(threshold=_SOFTPLUS_THRESHOLD),
        "gelu": lambda activation: nn.GELU(),
        "gelu_tanh": lambda activation: nn.GELU(approximate="tanh"),
        "softmax": lambda activation: nn.Softmax(dim=-1),
    }
    without = {name: functools.partial(_make_parameterless, getattr(nn, kind)) for name, kind in _PARAMETERLESS.items()}
    return with_parameters | without


def _make_parameterless(kind: Any, activation: Activation) -> Any:
    return kind()


# Reading a module -----------------------------------------------------------------------------------------------------

IndexedModule = tuple[str, Any]
"""The index of a module and the module. The index in a nested Sequential is the path of indices, such as `1.0`."""


@dataclass
class _Layer:
    """A module with weights, with the activation and the dropout that follow it."""

    index: str
    W: NDArray[Any]
    b: NDArray[Any] | None
    torch_dtype: Any
    kind: type[LayerDescription] = Dense
    epsilon: float = 0.0
    trainable: bool = True
    activation: Activation | None = None
    dropout: float = 0.0

    @property
    def inputs(self) -> int:
        return int(self.W.shape[0])

    @property
    def units(self) -> int:
        return int(self.W.shape[-1])

    def describe(self, output_given: bool) -> LayerDescription:
        """Return the layer for `Network`. With `output_given`, `Network` sets an activation that is missing."""
        if self.kind is Normalization:
            return Normalization()
        options: dict[str, Any] = {
            "activation": self.activation or (None if output_given else "linear"),
            "use_bias": self.b is not None,
            "dropout": self.dropout,
            "trainable": self.trainable,
        }
        if self.kind is Dense:
            options["units"] = self.units
        if self.kind is LayerNormalization:
            options["epsilon"] = self.epsilon
        return self.kind(**options)


def _flatten(module: Any, index: str) -> Iterator[IndexedModule]:
    """Yield the modules of nested Sequentials in their order, without Identity."""
    from torch import nn

    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        _require_no_hooks(index, module)
        for position, inner in enumerate(module):
            yield from _flatten(inner, f"{index}.{position}" if index else str(position))
    elif type(module) is nn.Identity:
        _require_no_hooks(index, module)
    else:
        yield index, module


def _require_no_hooks(index: str, module: Any) -> None:
    if module._forward_hooks or module._forward_pre_hooks:
        hint = "such as those of weight_norm or prune, which a fastmlp network does not support; remove them first"
        raise ValueError(f"{_subject(index, module)} has forward hooks, {hint}")


def _subject(index: str, module: Any) -> str:
    """Return the beginning of a message about a module."""
    return f"module {index}, {type(module).__name__}," if index else f"the module, {type(module).__name__},"


def _remove_log_softmax(modules: list[IndexedModule], output: str | Activation | None) -> list[IndexedModule]:
    """Return the modules without a LogSoftmax at the end, if `output` is softmax and therefore replaces it."""
    from torch import nn

    softmax = output is not None and activations.resolve(output).name == "softmax"
    if softmax and modules and type(modules[-1][1]) is nn.LogSoftmax:
        _require_units_dim(modules[-1][1])
        return modules[:-1]
    return modules


def _read_layers(modules: list[IndexedModule]) -> list[_Layer]:
    """Return each module with weights, with the activation and the dropout that follow it."""
    from torch import nn

    layers: list[_Layer] = []
    seen: set[int] = set()
    readers = _layer_readers()
    for index, module in modules:
        if type(module) in readers:
            if seen.intersection(map(id, module.parameters())):
                raise ValueError(
                    f"{_subject(index, module)} shares its weights with an earlier module; in fastmlp each layer has "
                    "its own weights"
                )
            seen.update(map(id, module.parameters()))
            _check_weights(index, module)
            layers.append(readers[type(module)](index, module))
            _check_chain(index, module, layers)
        elif type(module) is nn.Dropout:
            _add_dropout(index, module, layers)
        else:
            _add_activation(index, module, layers)
        _require_no_hooks(index, module)
    if not layers:
        raise ValueError("module must hold at least one module with weights, such as a Linear, got none")
    if layers[-1].dropout:
        raise ValueError(
            f"module {layers[-1].index} is the last one with weights and has Dropout behind it; remove the Dropout, "
            "the output layer of a fastmlp network has none"
        )
    return layers


def _check_weights(index: str, module: Any) -> None:
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise ValueError(f"{_subject(index, module)} is on the device 'meta' and has no weights; load them first")


def _check_chain(index: str, module: Any, layers: list[_Layer]) -> None:
    """Check that the last layer takes the outputs of the one below."""
    *below, layer = layers
    if below and below[-1].units != layer.inputs:
        raise ValueError(
            f"{_subject(index, module)} takes {layer.inputs} inputs, but the layer below has {below[-1].units} units"
        )


def _layer_readers() -> dict[type, Callable[[str, Any], _Layer]]:
    """Return, for each type of torch module with weights, the function that reads it."""
    from torch import nn

    from fastmlp.interchange import torch_modules

    return {
        nn.Linear: _read_linear,
        nn.LayerNorm: _read_layer_norm,
        torch_modules.Scale: _read_scale,
        torch_modules.Normalization: _read_normalization,
    }


def _read_linear(index: str, module: Any) -> _Layer:
    return _Layer(index, _to_array(module.weight).T, _bias_of(module), module.weight.dtype)


def _read_layer_norm(index: str, module: Any) -> _Layer:
    shape = tuple(module.normalized_shape)
    if len(shape) != 1:
        raise ValueError(f"{_subject(index, module)} must normalize one dimension, the units, got {shape}")
    if module.eps < SMALLEST_EPSILON:
        raise ValueError(
            f"{_subject(index, module)} must have an eps of at least {SMALLEST_EPSILON:g}, got {module.eps}"
        )
    own = module.weight is not None
    W = _to_array(module.weight) if own else np.ones(shape, np.float32)
    dtype = module.weight.dtype if own else None
    return _Layer(index, W, _bias_of(module), dtype, LayerNormalization, module.eps, trainable=own)


def _read_scale(index: str, module: Any) -> _Layer:
    return _Layer(index, _to_array(module.weight), _bias_of(module), module.weight.dtype, Scale)


def _read_normalization(index: str, module: Any) -> _Layer:
    mean, deviation = _to_array(module.mean), _to_array(module.deviation)
    return _Layer(index, deviation, mean, module.mean.dtype, Normalization)


def _bias_of(module: Any) -> NDArray[Any] | None:
    return None if module.bias is None else _to_array(module.bias)


def _to_array(tensor: Any) -> NDArray[Any]:
    """Return a tensor as an array of float32 or float64. float32 holds all float16 and bfloat16 numbers exactly."""
    import torch

    dtype = tensor.dtype if tensor.dtype in (torch.float32, torch.float64) else torch.float32
    array: NDArray[Any] = tensor.detach().to("cpu", dtype).numpy()
    return array


def _common_dtype(layers: list[_Layer]) -> str:
    """Return the dtype of all layers."""
    kinds = {layer.torch_dtype for layer in layers if layer.torch_dtype} or {"float32"}
    names = sorted(str(kind).removeprefix("torch.") for kind in kinds)
    if names not in (["float32"], ["float64"]):
        raise ValueError(f"module must have dtype float32 or float64, got {', '.join(names)}; give dtype to convert it")
    return names[0]


def _add_dropout(index: str, module: Any, layers: list[_Layer]) -> None:
    """Set the dropout of the last layer."""
    if module.p == 0:
        return
    if not layers:
        raise ValueError(f"{_subject(index, module)} stands before the first layer; fastmlp has no dropout of inputs")
    _require_not_normalization(index, module, layers[-1])
    if layers[-1].dropout:
        raise ValueError(f"{_subject(index, module)} is the second behind a layer; combine both into one Dropout")
    if module.p == 1:
        raise ValueError(f"{_subject(index, module)} drops all units; p must be less than 1, got {module.p}")
    layers[-1].dropout = module.p


def _require_not_normalization(index: str, module: Any, layer: _Layer) -> None:
    if layer.kind is Normalization:
        raise ValueError(f"{_subject(index, module)} stands behind a Normalization, which has no activation or dropout")


def _add_activation(index: str, module: Any, layers: list[_Layer]) -> None:
    """Set the activation of the last layer."""
    activation = _read_activation(index, module)
    if not layers:
        raise ValueError(f"{_subject(index, module)} stands before the first layer; an activation must follow one")
    layer = layers[-1]
    _require_not_normalization(index, module, layer)
    if layer.activation is not None:
        raise ValueError(f"{_subject(index, module)} is the second activation behind a layer; a layer has only one")
    if layer.dropout and activation.name not in _HOMOGENEOUS:
        raise ValueError(f"{_subject(index, module)} stands behind Dropout; in fastmlp dropout follows the activation")
    layer.activation = activation


def _read_activation(index: str, module: Any) -> Activation:
    """Return the activation with the formula and the parameters of a torch module."""
    from torch import nn

    readers = _activation_readers(nn)
    if type(module) not in readers:
        every = (nn.Sequential, nn.Identity, nn.Dropout, *_layer_readers(), *readers)
        kinds = ", ".join(sorted({kind.__name__ for kind in every}))
        hint = _HINTS.get(type(module).__name__, "")
        raise TypeError(f"{_subject(index, module)} is not supported by fastmlp. Supported are: {kinds}{hint}")
    try:
        return readers[type(module)](module)
    except ValueError as error:
        raise ValueError(f"{_subject(index, module)} cannot be converted: {error}") from None


def _activation_readers(nn: Any) -> dict[type, Callable[[Any], Activation]]:
    """Return, for each type of torch module, the function that converts it to an activation."""
    with_parameters: dict[type, Callable[[Any], Activation]] = {
        nn.LeakyReLU: lambda module: LeakyReLU(module.negative_slope),
        nn.ELU: lambda module: ELU(module.alpha),
        nn.GELU: lambda module: GELU(approximate=module.approximate == "tanh"),
        nn.Softplus: _read_softplus,
        nn.Softmax: _read_softmax,
    }
    without = {getattr(nn, kind): functools.partial(_read_parameterless, name) for name, kind in _PARAMETERLESS.items()}
    return with_parameters | without


def _read_parameterless(name: str, module: Any) -> Activation:
    return ACTIVATIONS[name]


def _read_softplus(module: Any) -> Activation:
    if module.beta != 1 or module.threshold < 20:  # torch returns z above the threshold; at 20 the error is 2e-9
        raise ValueError(f"beta must be 1 and threshold at least 20, got {module.beta} and {module.threshold}")
    return ACTIVATIONS["softplus"]


def _read_softmax(module: Any) -> Activation:
    _require_units_dim(module)
    return ACTIVATIONS["softmax"]


def _require_units_dim(module: Any) -> None:
    if module.dim not in (-1, 1, None):  # for two dimensions, None means 1
        raise ValueError(f"dim must be -1 or 1, the dimension of the units, got {module.dim}")
