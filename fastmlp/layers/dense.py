"""`Dense`, which describes one fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastmlp import initializers
from fastmlp._runtime.checks import whole_number
from fastmlp._runtime.names import check_keywords
from fastmlp.activations import Activation
from fastmlp.initializers import Initializer
from fastmlp.layers.base import LayerDescription


@dataclass(frozen=True)
class Dense(LayerDescription):
    """One fully connected layer, `A = D o g(A_below @ W + b)`.

    Use it in the list of layers of `Network` where a number of units is not enough.

    Parameters
    ----------
    units : int
        The number of outputs, at least 1.
    activation : str or Activation, optional
        The function g: a name of `fastmlp.activations.ACTIVATIONS`, or an object such as `LeakyReLU(0.1)`. None takes
        the activation that the network gives to its hidden layers, or to its output.
    use_bias : bool
        Whether b is added.
    dropout : float
        The share of outputs that each training step sets to 0, in [0, 1). The others are divided by `1 - dropout`
        (inverted dropout). The factor of each output is D. The last layer of a network cannot have dropout.
    l1, l2 : float
        The strengths of the penalties `l1 * sum|W| + l2 / 2 * sum W^2`, at least 0. Biases have no penalty.
    weight_init : str or Initializer, optional
        The initial W: a name of `fastmlp.initializers.INITIALIZERS`, or an object such as `Orthogonal(gain=2.0)`. None
        takes the default of the activation.
    bias_init : str or Initializer
        The initial b.
    trainable : bool
        False lets the layer rest: training does not change it, and it has no penalty. `Network.freeze` and `unfreeze`
        change it later.
    learning_rate_factor : float
        What the learning rate is multiplied by for this layer, at least 0.

    Raises
    ------
    ValueError
        If a name is unknown or a number is out of range.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> net = Network([30, Dense(16, "tanh", dropout=0.2), Dense(8, l2=1e-4), 2], output="softmax")
    """

    kind: ClassVar[str] = "dense"
    is_columns: ClassVar[bool] = False
    units: int
    activation: str | Activation | None
    use_bias: bool
    dropout: float
    l1: float
    l2: float
    weight_init: str | Initializer | None
    bias_init: str | Initializer
    trainable: bool
    learning_rate_factor: float

    @check_keywords
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
        trainable: bool = True,
        learning_rate_factor: float = 1.0,
    ) -> None:
        units = whole_number(units, "units of a layer")
        if weight_init is not None:
            initializers.resolve(weight_init)
        initializers.resolve_bias(bias_init)
        self._set(
            units=units,
            activation=activation,
            use_bias=use_bias,
            dropout=dropout,
            l1=l1,
            l2=l2,
            weight_init=weight_init,
            bias_init=bias_init,
            trainable=trainable,
            learning_rate_factor=learning_rate_factor,
        )
