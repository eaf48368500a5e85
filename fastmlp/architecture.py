"""What a network is, fully decided: every layer, the loss, the optimizer, the dtype and the seed.

Both `fastmlp.Network` and `fastmlp.reference.Network` take the same arguments; here they become one description in
which nothing is left open, which is also what a model file stores.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fastmlp import activations, initializers, losses, optimizers
from fastmlp._runtime import settings
from fastmlp._runtime.checks import whole_number
from fastmlp.activations import ACTIVATIONS, Activation
from fastmlp.initializers import Initializer
from fastmlp.layers import Dense
from fastmlp.losses import LOSSES, Loss
from fastmlp.optimizers import Optimizer
from fastmlp.schedules import Schedule


@dataclass(frozen=True)
class Layer:
    """A `Dense` with nothing left open.

    Parameters
    ----------
    inputs, units : int
        The shape of W.
    activation : Activation
        The function g.
    weight_init, bias_init : Initializer
        The distributions W and b start from.
    use_bias, dropout, l1, l2
        As in `Dense`.
    """

    inputs: int
    units: int
    activation: Activation
    weight_init: Initializer
    bias_init: Initializer
    use_bias: bool = True
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return self.inputs * self.units + (self.units if self.use_bias else 0)


@dataclass(frozen=True)
class Architecture:
    """A network with nothing left open.

    Parameters
    ----------
    layers : tuple of Layer
        From the first hidden layer to the output.
    loss : Loss
        What is minimised.
    optimizer : Optimizer
        How it is minimised.
    dtype : numpy.dtype
        float32 or float64.
    seed : int
        Determines initial weights, shuffles, dropout and splits.
    """

    layers: tuple[Layer, ...]
    loss: Loss
    optimizer: Optimizer
    dtype: np.dtype[Any]
    seed: int

    @property
    def inputs(self) -> int:
        """The number of columns of X."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """The number of columns of the prediction."""
        return self.layers[-1].units

    @functools.cached_property
    def units(self) -> int:
        """The number of units of all layers."""
        return sum(layer.units for layer in self.layers)

    @functools.cached_property
    def weights(self) -> int:
        """The number of weights of all layers, without biases."""
        return sum(layer.inputs * layer.units for layer in self.layers)

    @property
    def exact_pair(self) -> bool:
        """Whether output activation and loss have their exact common gradient with respect to Z."""
        return self.loss.partner == self.layers[-1].activation.name

    @property
    def penalised(self) -> bool:
        """Whether some layer has an l1 or l2 penalty."""
        return any(layer.l1 or layer.l2 for layer in self.layers)

    def with_learning_rate(self, rate: float | Schedule) -> Architecture:
        """The same network, learning at this rate.

        Raises
        ------
        TypeError, ValueError
            If it is neither a schedule nor a number of at least 0.
        """
        return replace(self, optimizer=replace(self.optimizer, learning_rate=rate))

    def to_dict(self) -> dict[str, Any]:
        """Plain names and numbers, as a model file stores them."""
        layers = [
            {
                **asdict(layer),
                "activation": layer.activation.to_dict(),
                "weight_init": layer.weight_init.to_dict(),
                "bias_init": layer.bias_init.to_dict(),
            }
            for layer in self.layers
        ]
        return {
            "layers": layers,
            "loss": self.loss.to_dict(),
            "optimizer": self.optimizer.to_dict(),
            "dtype": self.dtype.name,
            "seed": self.seed,
        }


def from_dict(stored: dict[str, Any]) -> Architecture:
    """The architecture that `Architecture.to_dict` described; everything in it is checked again.

    The layers may be an iterator.

    Raises
    ------
    ValueError, TypeError, KeyError
        If something is missing, unknown, out of range or does not chain.
    """
    if stored["seed"] is None:
        raise ValueError("seed must be a whole number, got None")
    if stored["dtype"] not in ("float32", "float64"):  # NumPy takes more, None among it
        raise ValueError(f"dtype must be 'float32' or 'float64', got {stored['dtype']!r}")
    layers: list[int | Dense] = []
    width = None
    for index, layer in enumerate(stored["layers"]):
        inputs = whole_number(layer["inputs"], "inputs of a layer")
        if width is None:
            layers.append(inputs)
        elif inputs != width:
            raise ValueError(f"layers do not chain: layer {index} has {inputs} inputs, the one below {width} units")
        dense = _dense(layer)
        layers.append(dense)
        width = dense.units
    return build(
        layers,
        loss=settings.from_dict(stored["loss"], LOSSES, "loss"),
        optimizer=optimizers.from_dict(stored["optimizer"]),
        dtype=stored["dtype"],
        seed=stored["seed"],
    )


def _dense(stored: dict[str, Any]) -> Dense:
    """A layer as `Architecture.to_dict` describes it, which leaves nothing open, as the arguments of `Network` may."""
    numbers = {key: value for key, value in stored.items() if key != "inputs"}
    numbers["activation"] = settings.from_dict(stored["activation"], ACTIVATIONS, "activation")
    for key in ("weight_init", "bias_init"):
        numbers[key] = initializers.from_dict(stored[key])
    return Dense(**numbers)


def build(
    layers: Sequence[int | Dense],
    *,
    activation: str | Activation = "relu",
    output: str | Activation | None = None,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
    dtype: Any = "float32",
    seed: int | None = None,
) -> Architecture:
    """Decide everything that the arguments of `Network` leave open.

    Parameters
    ----------
    layers : sequence
        The number of inputs, then ints or `Dense`.
    activation : str
        For hidden layers that name none.
    output : str, optional
        For the last layer, if it names none; None lets it follow from the loss.
    loss : str, optional
        None lets it follow from the output activation.
    optimizer : str or Optimizer, optional
        None is `Adam(1e-3)`.
    dtype : {"float32", "float64"}
        Of the parameters and of everything that is computed.
    seed : int, optional
        None draws one.

    Raises
    ------
    ValueError, TypeError
        If something is unknown or out of range, or if the arguments contradict each other.
    """
    inputs, dense = _split(layers)
    hidden = activations.resolve(activation)
    chosen_loss = None if loss is None else losses.resolve(loss)
    last = _output_activation(dense[-1], output, chosen_loss)
    chosen_loss = chosen_loss or LOSSES[last.output_loss]
    _check_pair(last, chosen_loss, dense[-1])

    resolved, width = [], inputs
    chosen = [hidden if layer.activation is None else activations.resolve(layer.activation) for layer in dense[:-1]]
    for layer, own in zip(dense, [*chosen, last], strict=True):
        resolved.append(
            Layer(
                inputs=width,
                units=layer.units,
                activation=own,
                weight_init=initializers.resolve(layer.weight_init or own.weight_init),
                bias_init=initializers.resolve(layer.bias_init),
                use_bias=layer.use_bias,
                dropout=layer.dropout,
                l1=layer.l1,
                l2=layer.l2,
            )
        )
        width = layer.units
    chosen_optimizer = optimizers.Adam() if optimizer is None else optimizers.resolve(optimizer)
    return Architecture(tuple(resolved), chosen_loss, chosen_optimizer, _dtype(dtype), resolve_seed(seed))


def _split(layers: Sequence[int | Dense]) -> tuple[int, list[Dense]]:
    if isinstance(layers, (str, bytes)) or not isinstance(layers, Sequence):
        raise TypeError(f"layers must be a list such as [30, 16, 2], got {layers!r}")
    if len(layers) < 2:
        raise ValueError(f"layers must hold the number of inputs and at least one layer, got {list(layers)!r}")
    if isinstance(layers[0], Dense):
        raise TypeError("layers[0] must be the number of inputs, got a Dense; write [30, Dense(16), ...]")
    inputs = whole_number(layers[0], "the number of inputs, layers[0],")
    dense = []
    for position, layer in enumerate(layers[1:], 1):
        dense.append(layer if isinstance(layer, Dense) else Dense(whole_number(layer, f"layers[{position}]")))
    if dense[-1].dropout:
        raise ValueError("the last layer cannot have dropout: it would drop the prediction itself")
    return inputs, dense


def _output_activation(last: Dense, output: str | Activation | None, loss: Loss | None) -> Activation:
    if output is not None and last.activation is not None:
        given, own = activations.resolve(output), activations.resolve(last.activation)
        if given != own:
            raise ValueError(f"output={given.name!r} contradicts the last layer's activation {own.name!r}")
    if last.activation is not None:
        return activations.resolve(last.activation)
    if output is not None:
        return activations.resolve(output)
    return activations.resolve(loss.partner if loss and loss.partner else "linear")


def _check_pair(last: Activation, loss: Loss, layer: Dense) -> None:
    if last.name == "softmax" and layer.units == 1:
        raise ValueError(
            "softmax over a single unit is always 1 and cannot learn; use 2 units, or 1 unit with output='sigmoid'"
        )
    if loss.targets == "classes" and layer.units == 1:
        raise ValueError(f"{loss.name} needs at least 2 outputs; for one output use loss='binary_crossentropy'")


def _dtype(dtype: Any) -> np.dtype[Any]:
    try:
        result: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be 'float32' or 'float64', got {dtype!r}") from None
    if result not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return result


def resolve_seed(seed: int | None) -> int:
    """The seed, or a fresh one where it is None.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number from 0 to 2**63 - 1.
    """
    if seed is None:
        return secrets.randbits(31)
    result = whole_number(seed, "seed", minimum=0)
    if result >= 2**63:
        raise ValueError(f"seed must be less than 2**63, got {result}")
    return result
