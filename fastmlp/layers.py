"""`Dense`, the description of one fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmlp import activations, initializers
from fastmlp._runtime.checks import number, whole_number
from fastmlp.activations import Activation
from fastmlp.initializers import Initializer


@dataclass(frozen=True)
class Dense:
    """One fully connected layer, `A = D o g(A_below @ W + b)`.

    Parameters
    ----------
    units : int
        The number of outputs, at least 1.
    activation : str or Activation, optional
        The function g, a name or an object such as `LeakyReLU(0.1)`; None takes the network's.
    use_bias : bool
        Whether b is added.
    dropout : float
        The share of outputs set to 0 in training, in [0, 1); the rest is divided by `1 - dropout` (inverted dropout).
    l1, l2 : float
        Penalties `l1 * sum|W| + l2 / 2 * sum W^2` on the weights, never on the biases.
    weight_init : str or Initializer, optional
        What W starts from: a name, or an object such as `Orthogonal(gain=2.0)`; None takes what suits the activation.
    bias_init : str or Initializer
        What b starts from.

    Raises
    ------
    ValueError, TypeError
        If a value is out of its range or of the wrong kind.
    """

    units: int
    activation: str | Activation | None = None
    use_bias: bool = True
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    weight_init: str | Initializer | None = None
    bias_init: str | Initializer = "zeros"

    def __init__(
        self,
        units: int,
        activation: str | Activation | None = None,
        *,
        use_bias: bool = True,
        dropout: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        weight_init: str | Initializer | None = None,
        bias_init: str | Initializer = "zeros",
    ) -> None:
        if activation is not None:
            activations.resolve(activation)
        if weight_init is not None:
            initializers.resolve(weight_init)
        initializers.resolve_bias(bias_init)
        if not isinstance(use_bias, (bool, np.bool_)):
            raise TypeError(f"use_bias must be True or False, got {use_bias!r}")
        values = {
            "units": whole_number(units, "units of a layer"),
            "activation": activation,
            "use_bias": bool(use_bias),
            "dropout": number(dropout, "dropout", below=1.0),
            "l1": number(l1, "l1"),
            "l2": number(l2, "l2"),
            "weight_init": weight_init,
            "bias_init": bias_init,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
