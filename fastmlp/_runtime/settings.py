"""What activations, losses, initialisers, optimizers and schedules have in common: a name, and numbers of their own.

Each is a class whose `name` is the one that users write and model files store; one with numbers is a frozen dataclass
of them. Tables hold an instance of each with its defaults.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from fastmlp._runtime.checks import number, whole_number

T = TypeVar("T", bound="Settings")


@dataclass(frozen=True)
class Settings:
    """The base: equal where class and numbers are equal.

    Fields of the types float, int and bool are checked when an object is made.

    Attributes
    ----------
    name : str
        Of the class.
    least, below : float
        The range of its floats, [least, below).
    later : tuple of str
        Fields that a file may lack, since it is older than they are: these have their defaults.
    """

    name = ""
    least, below = 0.0, math.inf
    later: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            given, what = getattr(self, field.name), f"{self.name}: {field.name}"
            if field.type == "float":
                object.__setattr__(self, field.name, number(given, what, self.least, self.below))
            elif field.type == "int":
                object.__setattr__(self, field.name, whole_number(given, what))
                require(given < 2**53, self, field.name, given, "less than 2**53")
            elif field.type == "bool":
                require(isinstance(given, bool), self, field.name, given, "True or False")

    @property
    def parameters(self) -> tuple[float, ...]:
        """Its floats, as a formula takes them."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self) if field.type == "float")

    @property
    def label(self) -> str:
        """The name, with the numbers that are not the defaults: `leaky_relu(slope=0.3)`."""
        defaults = {field.name: field.default for field in dataclasses.fields(self) if field.name != "name"}
        own = [f"{key}={value}" for key, value in self.to_dict().items() if defaults.get(key, value) != value]
        return f"{self.name}({', '.join(own)})" if own else self.name

    def to_dict(self) -> dict[str, Any]:
        """Name and numbers, as a model file stores them."""
        numbers = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        stored = {key: value.to_dict() if isinstance(value, Settings) else value for key, value in numbers.items()}
        return {"name": self.name, **stored}


def require(holds: bool, owner: Settings, name: str, value: object, wanted: str) -> None:
    """Raise ValueError, in one form for all, where a number of `owner` is not as it should be."""
    if not holds:
        raise ValueError(f"{owner.name}: {name} must be {wanted}, got {value!r}")


def find(name: str, table: Mapping[str, T], what: str) -> T:
    """The entry of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists all.
    """
    if name not in table:
        own = what in ("activation", "loss")
        hint = f"; one of your own must be registered first, with fastmlp.register_{what}" if own else ""
        raise ValueError(f"unknown {what} {name!r}. There are: {', '.join(table)}{hint}")
    return table[name]


def from_dict(stored: Any, table: Mapping[str, T], what: str) -> T:
    """The object that `Settings.to_dict` described.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or a number is missing, unknown or out of range.
    """
    if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
        raise TypeError(f"{what} must be described by its name and numbers, got {stored!r}")
    name = stored["name"]
    known = find(name, table, what)
    if stored.keys() | set(known.later) != known.to_dict().keys():
        raise ValueError(f"{what} {name!r} is described by {', '.join(known.to_dict())}, got {', '.join(stored)}")
    numbers = {key: value for key, value in stored.items() if key != "name"}
    return dataclasses.replace(known, **numbers) if numbers else known
