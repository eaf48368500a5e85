"""The layers of columns: each column of A below has numbers of its own, and there are as many units as inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastmlp._runtime.checks import number
from fastmlp._runtime.names import check_keywords
from fastmlp.activations import Activation
from fastmlp.layers.base import LayerDescription

LAYER_NORMALIZATION_EPSILON = 1e-3  # Keras'; PyTorch's is 1e-5
SMALLEST_EPSILON = 1e-30  # so that float32 holds it, and the reciprocal of its root


@dataclass(frozen=True)
class _ScaledColumns(LayerDescription):
    """The fields of a layer with a factor and an offset of each column."""

    activation: str | Activation | None
    use_bias: bool
    dropout: float
    l1: float
    l2: float
    trainable: bool
    learning_rate_factor: float


@dataclass(frozen=True)
class Scale(_ScaledColumns):
    """A layer that multiplies each column by a factor and adds an offset, `A = D o g(W o A_below + b)`.

    Factors begin at 1 and offsets at 0. As biases, factors have no weight decay.

    Parameters
    ----------
    activation : str or Activation, optional
        The function g. None is linear, and in the last layer the output activation of the network.
    use_bias : bool
        Whether b is added.
    dropout : float
        The share of outputs that each training step sets to 0, as in `Dense`.
    l1, l2 : float
        The strengths of the penalties `l1 * sum|W| + l2 / 2 * sum W^2`, at least 0.
    trainable : bool
        False lets the layer rest, as in `Dense`.
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
    >>> net = Network([8, 32, 1, Scale()])  # targets of any size and offset
    """

    kind: ClassVar[str] = "scale"

    @check_keywords
    def __init__(
        self,
        *,
        activation: str | Activation | None = None,
        use_bias: bool = True,
        dropout: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        trainable: bool = True,
        learning_rate_factor: float = 1.0,
    ) -> None:
        self._set(
            activation=activation,
            use_bias=use_bias,
            dropout=dropout,
            l1=l1,
            l2=l2,
            trainable=trainable,
            learning_rate_factor=learning_rate_factor,
        )


@dataclass(frozen=True)
class LayerNormalization(_ScaledColumns):
    """A layer that normalizes each row, and then scales the columns, `A = D o g(W o N + b)`.

    N is `(A_below - mean) / sqrt(variance + epsilon)`, with the mean and the variance of the row (Ba, Kiros and Hinton,
    2016). Factors begin at 1 and offsets at 0. As biases, factors have no weight decay.

    Parameters
    ----------
    epsilon : float
        What is added to the variance, at least 1e-30.
    activation, use_bias, dropout, l1, l2, trainable, learning_rate_factor
        As in `Scale`.

    Raises
    ------
    ValueError
        If a name is unknown or a number is out of range.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> net = Network([30, Dense(64, "linear"), LayerNormalization(activation="relu"), 2], output="softmax")
    """

    kind: ClassVar[str] = "layer_normalization"
    mixes_columns: ClassVar[bool] = True
    epsilon: float

    @check_keywords
    def __init__(
        self,
        *,
        epsilon: float = LAYER_NORMALIZATION_EPSILON,
        activation: str | Activation | None = None,
        use_bias: bool = True,
        dropout: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        trainable: bool = True,
        learning_rate_factor: float = 1.0,
    ) -> None:
        epsilon = number(epsilon, "epsilon")
        if epsilon < SMALLEST_EPSILON:
            raise ValueError(
                f"epsilon must be at least {SMALLEST_EPSILON:g}, got {epsilon:g}; a constant row is divided by it"
            )
        self._set(
            epsilon=epsilon,
            activation=activation,
            use_bias=use_bias,
            dropout=dropout,
            l1=l1,
            l2=l2,
            trainable=trainable,
            learning_rate_factor=learning_rate_factor,
        )


@dataclass(frozen=True)
class Normalization(LayerDescription):
    """A layer that standardizes each column, `A = (A_below - mean) / deviation`, with numbers taken from data.

    `Network.adapt` takes them. They are part of the network, its files and exports, so that it takes raw numbers, and
    training never changes them. Before `adapt` the means are 0 and the deviations 1. `get_weights` returns the
    deviations as W and the means as b. A column whose deviation is 0 becomes 0. It cannot be the last layer.

    Examples
    --------
    >>> net = Network([30, Normalization(), 16, 2], output="softmax")
    >>> net.adapt(X)
    """

    kind: ClassVar[str] = "normalization"
    learns: ClassVar[bool] = False

    activation = None
    use_bias, trainable = True, False
    dropout = l1 = l2 = 0.0
    learning_rate_factor = 1.0

    @check_keywords
    def __init__(self) -> None:
        pass
