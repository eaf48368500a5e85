"""`Architecture`, the complete description of a network: layers, loss, optimizer, dtype and seed, nothing left open.

`build` decides what the arguments of `Network` leave open. `fastmlp.Network` and `fastmlp.reference.Network` both use
it. `Architecture.to_dict` and `from_dict` convert the description to and from the contents of a model file.
"""

from __future__ import annotations

import functools
import secrets
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fastmlp import activations, initializers, losses, optimizers
from fastmlp._runtime import settings
from fastmlp._runtime.checks import whole_number
from fastmlp.activations import ACTIVATIONS, Activation
from fastmlp.initializers import INITIALIZERS, Initializer
from fastmlp.layers import LAYERS, Dense, LayerDescription, LayerNormalization
from fastmlp.losses import LOSSES, Loss
from fastmlp.optimizers import Optimizer, StepOptimizer
from fastmlp.schedules import Schedule

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Layer:
    """A layer with nothing left open.

    Parameters
    ----------
    inputs, units : int
        The numbers of columns of A below and of A; equal in a layer of columns.
    activation : Activation
        The function g.
    weight_init, bias_init : Initializer
        The distributions of the initial W and b.
    use_bias : bool
        Whether b is added.
    dropout : float
        The share of outputs that each training step sets to 0.
    l1, l2 : float
        The strengths of the penalties on W.
    trainable : bool
        Whether training changes W and b.
    learning_rate_factor : float
        What the learning rate is multiplied by for this layer.
    kind : str
        A name of `fastmlp.layers.LAYERS`.
    epsilon : float
        What a layer that normalizes rows adds to their variance.
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
    trainable: bool = True
    learning_rate_factor: float = 1.0
    kind: str = "dense"
    epsilon: float = 0.0

    @property
    def is_columns(self) -> bool:
        """Whether W has a number for each column, in place of a matrix."""
        return LAYERS[self.kind].is_columns

    @property
    def mixes_columns(self) -> bool:
        """Whether the units of a row, or its inputs, must be known together: a thread cannot have a part of them."""
        return LAYERS[self.kind].mixes_columns or self.activation.mixes_units

    @property
    def learns(self) -> bool:
        """Whether training can change W and b; `trainable` tells whether it does."""
        return LAYERS[self.kind].learns

    @property
    def rows(self) -> int:
        """The number of rows of W; 1 where W has a number for each column."""
        return 1 if self.is_columns else self.inputs

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of W."""
        return (self.units,) if self.is_columns else (self.inputs, self.units)

    @property
    def weights(self) -> int:
        """The number of elements of W."""
        return self.rows * self.units

    @property
    def parameters(self) -> int:
        """The number of elements of W and b."""
        return self.weights + (self.units if self.use_bias else 0)

    def to_dict(self) -> dict[str, Any]:
        """Return names and numbers; newer fields that say nothing are left out, so that older versions read them."""
        described = {"inputs", "units", "kind", *LAYERS[self.kind].options()}
        stored = {
            **asdict(self),
            "activation": self.activation.to_dict(),
            "weight_init": self.weight_init.to_dict(),
            "bias_init": self.bias_init.to_dict(),
        }
        return {key: value for key, value in stored.items() if key in described and (key, value) not in _SAYS_NOTHING}

    def describe(self) -> LayerDescription:
        """Return the layer as an argument of `Network`."""
        return LAYERS[self.kind].of(self)


_SAYS_NOTHING = (("trainable", True), ("learning_rate_factor", 1.0), ("kind", "dense"))


@dataclass(frozen=True)
class Architecture:
    """A network with nothing left open.

    Parameters
    ----------
    layers : tuple of Layer
        From the first hidden layer to the output.
    loss : Loss
        The function that training minimizes.
    optimizer : Optimizer
        The rule by which a training step changes the parameters.
    dtype : numpy.dtype
        float32 or float64: the type of the parameters and of all computed values.
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
        """The number of columns of a prediction."""
        return self.layers[-1].units

    @functools.cached_property
    def target_columns(self) -> int:
        """The numbers of y in a row; as many as there are outputs, unless the loss says something else."""
        return self.loss.target_columns(self.outputs)

    @functools.cached_property
    def units(self) -> int:
        """The number of units of all layers together."""
        return sum(layer.units for layer in self.layers)

    @functools.cached_property
    def weights(self) -> int:
        """The number of weights of all layers together, without biases."""
        return sum(layer.weights for layer in self.layers)

    @functools.cached_property
    def parameters(self) -> int:
        """The number of weights and biases of all layers together."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def step_optimizer(self) -> StepOptimizer:
        """The optimizer, which makes a step for each batch.

        Raises
        ------
        ValueError
            If it trains on all rows at once.
        """
        if not isinstance(self.optimizer, StepOptimizer):
            name = type(self.optimizer).__name__
            raise ValueError(
                f"{name} trains on all rows at once, by fit, and has neither single steps nor a learning rate; other "
                "optimizers, such as Adam, have"
            )
        return self.optimizer

    @property
    def clips_norm(self) -> bool:
        """Whether a step limits the norm of the whole gradient."""
        return isinstance(self.optimizer, StepOptimizer) and self.optimizer.global_clipnorm is not None

    @property
    def exact_pair(self) -> bool:
        """Whether the loss is computed directly from Z of the last layer, together with its activation."""
        return self.loss.partner == self.layers[-1].activation.name

    @property
    def penalised(self) -> bool:
        """Whether any layer that is trained has an l1 or l2 penalty."""
        return any(layer.trainable and (layer.l1 or layer.l2) for layer in self.layers)

    @property
    def lowest_trained(self) -> int:
        """The place of the lowest layer that is trained; no deltas are needed below it."""
        return [layer.trainable for layer in self.layers].index(True)

    def places_of(self, layers: int | Iterable[int]) -> list[int]:
        """Return the places of some layers, of which the first has the number 0 and the last the number -1, too.

        Raises
        ------
        TypeError
            If a number is not whole.
        ValueError
            If there is no such layer, or none is named.
        """
        alone = isinstance(layers, (str, bytes)) or (isinstance(layers, np.ndarray) and layers.ndim == 0)
        numbers = list(layers) if isinstance(layers, Iterable) and not alone else [layers]
        count, places = len(self.layers), []
        if not numbers:
            raise ValueError("layers must name at least one layer, got none")
        for given in numbers:
            number = whole_number(given, "the number of a layer", minimum=-sys.maxsize)
            if not -count <= number < count:
                raise ValueError(f"the layers have the numbers 0 to {count - 1}, or -{count} to -1, got {number}")
            places.append(number % count)
        return places

    def with_trainable(self, places: Iterable[int], trainable: bool) -> Architecture:
        """Return a copy in which some layers are trained, or rest.

        Raises
        ------
        ValueError
            If no layer would be trained, or a layer to train is a `Normalization`.
        """
        chosen = set(places)
        for place in sorted(chosen if trainable else ()):
            if not self.layers[place].learns:
                name = LAYERS[self.layers[place].kind].__name__
                raise ValueError(f"layer {place} is a {name}, which training never changes; leave it out")
        layers = [
            replace(layer, trainable=trainable) if place in chosen else layer for place, layer in enumerate(self.layers)
        ]
        _require_trained(layers)
        return replace(self, layers=tuple(layers))

    def with_learning_rate(self, rate: float | Schedule) -> Architecture:
        """Return a copy whose optimizer has this learning rate.

        Parameters
        ----------
        rate : float or Schedule
            A number of at least 0, or a schedule.

        Returns
        -------
        Architecture
            The copy; this object does not change.

        Raises
        ------
        TypeError, ValueError
            If rate is neither, or the optimizer has no learning rate.
        """
        return replace(self, optimizer=replace(self.step_optimizer, learning_rate=rate))

    def to_dict(self) -> dict[str, Any]:
        """Return the description as names and numbers that JSON can hold; `from_dict` is the inverse.

        Returns
        -------
        dict
            "layers" (a list of dicts), "loss", "optimizer", "dtype" and "seed".
        """
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "loss": self.loss.to_dict(),
            "optimizer": self.optimizer.to_dict(),
            "dtype": self.dtype.name,
            "seed": self.seed,
        }


def from_dict(stored: dict[str, Any]) -> Architecture:
    """Return the architecture that `Architecture.to_dict` describes, after checking every entry.

    Parameters
    ----------
    stored : dict
        The description; its "layers" may be an iterator.

    Returns
    -------
    Architecture
        An equal architecture.

    Raises
    ------
    ValueError, TypeError, KeyError
        If an entry is missing, unknown or out of range, or the layers do not chain.
    """
    if stored["seed"] is None:  # `build` would draw a seed
        raise ValueError("seed must be a whole number, got None")
    if stored["dtype"] not in DTYPES:  # NumPy accepts more names, and None
        raise ValueError(f"dtype must be 'float32' or 'float64', got {stored['dtype']!r}")
    return build(
        _layers_from_dicts(stored["layers"]),
        loss=settings.from_dict(stored["loss"], LOSSES, "loss"),
        optimizer=optimizers.from_dict(stored["optimizer"]),
        dtype=stored["dtype"],
        seed=stored["seed"],
    )


def _layers_from_dicts(stored: Iterable[dict[str, Any]]) -> list[int | LayerDescription]:
    """Return the layers as an argument of `build`, after checking that each takes the outputs of the one before."""
    layers: list[int | LayerDescription] = []
    units_before = None
    for index, layer in enumerate(stored):
        inputs = whole_number(layer["inputs"], "inputs of a layer")
        if units_before is None:
            layers.append(inputs)
        elif inputs != units_before:
            raise ValueError(
                f"layers do not chain: layer {index - 1} has {units_before} units, but layer {index} {inputs} inputs"
            )
        layers.append(_description_from_dict(layer))
        units_before = whole_number(layer["units"], "units of a layer")
        if not isinstance(layers[-1], Dense) and units_before != inputs:
            raise ValueError(f"layer {index} has {inputs} inputs and must have as many units, got {units_before}")
    return layers


def _description_from_dict(stored: dict[str, Any]) -> LayerDescription:
    """Return one stored layer; unlike the arguments of its class, none of its entries may be None."""
    name = stored.get("kind", Dense.kind)
    if name not in LAYERS:
        raise ValueError(f"unknown kind of layer {name!r}. Known names: {', '.join(LAYERS)}")
    kind = LAYERS[name]
    expected = set(kind.options())
    options = {key: value for key, value in stored.items() if key not in {"inputs", "units", "kind"} - expected}
    if "activation" in expected:
        options["activation"] = settings.from_dict(stored["activation"], ACTIVATIONS, "activation")
    for key in expected & {"weight_init", "bias_init"}:
        options[key] = initializers.from_dict(stored[key])
    return kind(**options)


def build(
    layers: Sequence[int | LayerDescription],
    *,
    activation: str | Activation = "relu",
    output: str | Activation | None = None,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer | None = None,
    dtype: Any = "float32",
    seed: int | None = None,
) -> Architecture:
    """Check the arguments of `Network` and decide everything that they leave open.

    Parameters
    ----------
    layers : sequence of int or LayerDescription
        The number of inputs, then the number of units or an object such as a `Dense` for each layer.
    activation : str or Activation
        The activation of hidden layers that name none.
    output : str or Activation, optional
        The activation of the last layer, if it names none. None takes the partner of the loss, or linear.
    loss : str or Loss, optional
        None takes the default loss of the output activation.
    optimizer : str or Optimizer, optional
        None takes `Adam(1e-3)`.
    dtype : {"float32", "float64"}
        The type of the parameters and of all computed values.
    seed : int, optional
        None draws a seed.

    Returns
    -------
    Architecture
        The complete description.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown, a value is out of range, or two arguments contradict each other.
    """
    inputs, descriptions = _check_layers(layers)
    hidden = activations.resolve(activation)
    chosen_loss = None if loss is None else losses.resolve(loss)
    last = _output_activation(descriptions[-1], output, chosen_loss)
    chosen_loss = chosen_loss or LOSSES[last.output_loss]
    complete = _complete_layers(inputs, descriptions, hidden, last)
    _check_output(last, chosen_loss, complete[-1].units)
    _require_trained(complete)
    chosen_optimizer = optimizers.Adam() if optimizer is None else optimizers.resolve(optimizer)
    if not isinstance(chosen_optimizer, StepOptimizer):
        _check_full_batch(type(chosen_optimizer).__name__, complete)
    return Architecture(complete, chosen_loss, chosen_optimizer, _check_dtype(dtype), resolve_seed(seed))


def _check_layers(layers: Sequence[int | LayerDescription]) -> tuple[int, list[LayerDescription]]:
    """Return the number of inputs, and the description of each layer."""
    if isinstance(layers, (str, bytes)) or not isinstance(layers, Sequence):
        raise TypeError(f"layers must be a list such as [30, 16, 2], got {layers!r}")
    if len(layers) < 2:
        raise ValueError(f"layers must hold the number of inputs and at least one layer, got {list(layers)!r}")
    if isinstance(layers[0], LayerDescription):
        kind = type(layers[0]).__name__
        example = f"{kind}({'16' if isinstance(layers[0], Dense) else ''})"
        raise TypeError(f"layers[0] must be the number of inputs, got a {kind}; write [30, {example}, ...]")
    inputs = whole_number(layers[0], "the number of inputs, layers[0],")
    descriptions: list[LayerDescription] = []
    for position, layer in enumerate(layers[1:], 1):
        if isinstance(layer, (str, Activation)):
            raise TypeError(
                f"layers[{position}] must be a whole number, got {layer!r} of type {type(layer).__name__}; write an "
                f"activation into its layer: Dense(16, {layer!r})"
            )
        if isinstance(layer, type) and issubclass(layer, LayerDescription):
            raise TypeError(
                f"layers[{position}] must be an object, got the class {layer.__name__}; write {layer.__name__}()"
            )
        if not isinstance(layer, LayerDescription):
            layer = Dense(whole_number(layer, f"layers[{position}]"))
        descriptions.append(layer)
    if not descriptions[-1].learns:
        name = type(descriptions[-1]).__name__
        raise ValueError(
            f"the last layer cannot be a {name}, which training never changes; Scale() learns "
            "the size and the offset of the outputs"
        )
    if descriptions[-1].dropout:
        raise ValueError("the last layer cannot have dropout: it would drop the prediction itself")
    return inputs, descriptions


def _output_activation(last: LayerDescription, output: str | Activation | None, loss: Loss | None) -> Activation:
    """Return the activation of the last layer: its own, or `output`, or the partner of the loss, or linear."""
    if output is not None and last.activation is not None:
        given, own = activations.resolve(output), activations.resolve(last.activation)
        if given != own:
            raise ValueError(f"output={given.name!r} contradicts the last layer's activation {own.name!r}")
    if last.activation is not None:
        return activations.resolve(last.activation)
    if output is not None:
        return activations.resolve(output)
    return activations.resolve(loss.partner if loss and loss.partner else "linear")


def _check_output(activation: Activation, loss: Loss, units: int) -> None:
    """Check that the output activation and the loss can work with this number of units."""
    if activation.name == "softmax" and units == 1:
        raise ValueError(
            "softmax over a single unit is always 1 and cannot learn; use 2 units, or 1 unit with output='sigmoid'"
        )
    loss.target_columns(units)
    if loss.targets == "classes" and units == 1:
        raise ValueError(f"{loss.name} needs at least 2 outputs; for one output use loss='binary_crossentropy'")


def _complete_layers(
    inputs: int, descriptions: list[LayerDescription], hidden: Activation, last: Activation
) -> tuple[Layer, ...]:
    """Return the layers with their numbers of inputs, activations and initializers."""
    layers = []
    for each in descriptions[:-1]:
        layers.append(_complete_layer(inputs, each, _hidden_activation(each, hidden)))
        inputs = layers[-1].units
    return (*layers, _complete_layer(inputs, descriptions[-1], last))


def _hidden_activation(layer: LayerDescription, hidden: Activation) -> Activation:
    """Return the activation of a hidden layer: its own, or `hidden`, or linear for a layer of columns."""
    if layer.activation is not None:
        return activations.resolve(layer.activation)
    return hidden if isinstance(layer, Dense) else ACTIVATIONS["linear"]


def _complete_layer(inputs: int, layer: LayerDescription, activation: Activation) -> Layer:
    if isinstance(layer, Dense):
        units, bias_init = layer.units, initializers.resolve(layer.bias_init)
        weight_init = initializers.resolve(layer.weight_init or activation.weight_init)
    else:
        units, weight_init, bias_init = inputs, INITIALIZERS["ones"], INITIALIZERS["zeros"]
        if layer.mixes_columns and units == 1:
            raise ValueError(
                f"{type(layer).__name__} needs at least 2 units below it: a row of one unit has no variance"
            )
    return Layer(
        inputs=inputs,
        units=units,
        activation=activation,
        weight_init=weight_init,
        bias_init=bias_init,
        use_bias=layer.use_bias,
        dropout=layer.dropout,
        l1=layer.l1,
        l2=layer.l2,
        trainable=layer.trainable,
        learning_rate_factor=layer.learning_rate_factor,
        kind=layer.kind,
        epsilon=layer.epsilon if isinstance(layer, LayerNormalization) else 0.0,
    )


def _check_full_batch(optimizer: str, layers: Sequence[Layer]) -> None:
    """Check that a network can be trained on all rows at once, without steps."""
    for index, layer in enumerate(layers):
        if layer.dropout:
            raise ValueError(
                f"{optimizer} minimizes one loss, so there is no dropout, got {layer.dropout} in layer {index}"
            )
        if layer.learning_rate_factor != 1:
            raise ValueError(
                f"{optimizer} has no learning rate, so layers have no factor of it, got {layer.learning_rate_factor} "
                f"in layer {index}"
            )


def _require_trained(layers: Sequence[Layer]) -> None:
    if not any(layer.trainable for layer in layers):
        raise ValueError(f"at least one layer must be trainable, but all {len(layers)} layers are frozen")


def _check_dtype(dtype: Any) -> np.dtype[Any]:
    try:
        result: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be 'float32' or 'float64', got {dtype!r}") from None
    if result not in map(np.dtype, DTYPES):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return result


def resolve_seed(seed: int | None) -> int:
    """Return the seed, or draw one if it is None.

    Parameters
    ----------
    seed : int, optional
        A whole number from 0 to 2**63 - 1.

    Returns
    -------
    int
        The seed; one that is drawn is less than 2**31.

    Raises
    ------
    TypeError, ValueError
        If seed is not a whole number from 0 to 2**63 - 1.
    """
    if seed is None:
        return secrets.randbits(31)
    result = whole_number(seed, "seed", minimum=0)
    if result >= 2**63:
        raise ValueError(f"seed must be less than 2**63, got {result}")
    return result
