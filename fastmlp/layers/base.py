"""`LayerDescription`, the base class of the layers, and the check of the options that they share."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Self

from fastmlp import activations
from fastmlp._runtime.checks import check_bool, number
from fastmlp._runtime.names import AttributeHints
from fastmlp.activations import Activation


class LayerDescription(AttributeHints):
    """A layer as it is given to `Network`, with the options that all layers have; subclasses are frozen dataclasses.

    Attributes
    ----------
    kind : str
        The name of the kind of layer in model files.
    is_columns : bool
        Whether W has a number for each column, in place of a matrix.
    mixes_columns : bool
        Whether the inputs of a row must be known together.
    learns : bool
        Whether training can change its numbers.
    """

    kind: ClassVar[str]
    is_columns: ClassVar[bool] = True
    mixes_columns: ClassVar[bool] = False
    learns: ClassVar[bool] = True
    activation: str | Activation | None
    use_bias: bool
    dropout: float
    l1: float
    l2: float
    trainable: bool
    learning_rate_factor: float

    @classmethod
    def of(cls, layer: Any) -> Self:
        """Return the description of a layer of an `Architecture`, of this kind."""
        return cls(**{name: getattr(layer, name) for name in cls.options()})

    @classmethod
    def options(cls) -> list[str]:
        """Return the names of the options of this kind of layer."""
        return [field.name for field in fields(cls)]  # type: ignore[arg-type]

    def _set(self, **values: Any) -> None:
        """Set the fields of a new object, after a check of those that all layers have."""
        if values["activation"] is not None:
            activations.resolve(values["activation"])
        for name in ("use_bias", "trainable"):
            check_bool(values[name], name)
            values[name] = bool(values[name])
        values["dropout"] = number(values["dropout"], "dropout", below=1.0)
        for name in ("l1", "l2", "learning_rate_factor"):
            values[name] = number(values[name], name)
        for name, value in values.items():
            object.__setattr__(self, name, value)
