"""`Settings`, the base of activations, losses, initializers, optimizers and schedules: a name and checked numbers.

Each of these is a class. Its `name` is what users write and what model files store. A class with numbers of its own is
a frozen dataclass with one field for each number. A table such as `ACTIVATIONS` holds one instance of each class, with
the default numbers, under its name.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from abc import ABCMeta
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self, TypeVar

from fastmlp._runtime.checks import number, whole_number
from fastmlp._runtime.names import AttributeHints, parameters_of, require_known

T = TypeVar("T", bound="Settings")


class _SettingsType(ABCMeta):
    """The type of the classes of settings: their frozen instances say what to do instead of setting a field."""

    def __setattr__(cls, name: str, value: Any) -> None:
        """Replace the `__setattr__` that `dataclass` gives a frozen class, whose message has no advice."""
        super().__setattr__(name, _refuse_change if name == "__setattr__" else value)


def _refuse_change(self: Settings, name: str, value: object) -> NoReturn:
    kind = type(self).__name__
    rate = " (of a network: net.learning_rate = ...)" if name == "learning_rate" else ""
    raise dataclasses.FrozenInstanceError(
        f"{name!r} of {kind} cannot be set, because networks may share it; make another one, with "
        f"dataclasses.replace(..., {name}=...){rate}"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Settings(AttributeHints, metaclass=_SettingsType):
    """A name and checked numbers; two instances are equal if their classes and numbers are.

    Fields of the types float, int and bool are checked when an instance is made.

    Attributes
    ----------
    name : str
        The name of the class, in tables and model files.
    minimum, below : float
        The range [minimum, below) of all fields of type float.
    newer_fields : tuple of str
        Fields that files of older versions lack; they then take their defaults.
    """

    name = ""
    minimum, below = 0.0, math.inf
    newer_fields: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *_: Any, **named: Any) -> Self:
        """Check the names of keyword arguments, so that the TypeError for an unknown one has a hint."""
        if named:
            require_known(named, parameters_of(cls.__init__), [base.__name__ for base in cls.__mro__])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            given, what = getattr(self, field.name), f"{self.name}: {field.name}"
            if field.type == "float":
                object.__setattr__(self, field.name, number(given, what, self.minimum, self.below))
            elif field.type == "int":
                object.__setattr__(self, field.name, whole_number(given, what))
                require(given < 2**53, self, field.name, given, "less than 2**53")
            elif field.type == "bool":
                require(isinstance(given, bool), self, field.name, given, "True or False")

    # Defined once: `dataclass` would compile these methods for each of 40 classes, which takes 0.015 s of each process.

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Settings) or type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        named = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self))
        return f"{type(self).__qualname__}({', '.join(named)})"

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in _field_names(type(self))])

    @property
    def parameters(self) -> tuple[float, ...]:
        """The values of the fields of type float, in the order in which a formula takes them."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self) if field.type == "float")

    @property
    def label(self) -> str:
        """The name with the numbers that differ from the defaults, such as `leaky_relu(slope=0.3)`."""
        defaults = {field.name: field.default for field in dataclasses.fields(self) if field.name != "name"}
        changed = [f"{key}={value}" for key, value in self.to_dict().items() if defaults.get(key, value) != value]
        return f"{self.name}({', '.join(changed)})" if changed else self.name

    def replaced(self, **numbers: Any) -> Self:
        """Return the settings with other numbers."""
        return dataclasses.replace(self, **numbers) if numbers else self

    def to_dict(self) -> dict[str, Any]:
        """Return the name and the numbers, as a model file stores them."""
        numbers = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        stored = {key: value.to_dict() if isinstance(value, Settings) else value for key, value in numbers.items()}
        return {"name": self.name, **stored}


@functools.cache
def _field_names(kind: type[Settings]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def require(condition: bool, owner: Settings, field: str, value: object, expected: str) -> None:
    """Check a condition on one field of `owner`; every message about a field has this form.

    Raises
    ------
    ValueError
        If the condition is false: "name: field must be `expected`, got `value`".
    """
    if not condition:
        raise ValueError(f"{owner.name}: {field} must be {expected}, got {value!r}")


def find(name: str, table: Mapping[str, T], what: str) -> T:
    """Return the entry of `table` with this name, which comes from a file or a pickle.

    Raises
    ------
    ValueError
        If the table has no such name; the message lists all names.
    """
    if name not in table:
        registered = what in ("activation", "loss")
        hint = f"; register your own {what} with fastmlp.register_{what} first" if registered else ""
        raise ValueError(f"unknown {what} {name!r}. Known names: {', '.join(table)}{hint}")
    return table[name]


def from_dict(stored: Any, table: Mapping[str, T], what: str) -> T:
    """Return the instance that `Settings.to_dict` describes.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown or out of range.
    """
    if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
        raise TypeError(f"{what} must be a dictionary with a 'name' and numbers, got {stored!r}")
    name = stored["name"]
    known = find(name, table, what)
    if stored.keys() | set(known.newer_fields) != known.to_dict().keys():
        raise ValueError(f"{what} {name!r} must have the entries {', '.join(known.to_dict())}, got {', '.join(stored)}")
    return known.replaced(**{key: value for key, value in stored.items() if key != "name"})
