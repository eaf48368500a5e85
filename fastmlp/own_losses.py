"""`OwnLoss`: a loss that `fastmlp.register_loss` has made of a user's functions, with its parameters."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._runtime.checks import number, whole_number
from fastmlp._runtime.function_checks import check_derivative, check_rows, finite_values, settable_parameters
from fastmlp._runtime.names import require_known
from fastmlp._runtime.settings import find
from fastmlp.losses import LOSSES, Loss

Floats = NDArray[np.float64]
Parameters = dict[str, float | tuple[float, ...]]
TargetColumns = int | Callable[..., int] | None

MAX_NUMBERS = 256
"""The largest number of elements of all parameters of a loss, which share its workspace with three rows."""
ROWS = 30  # at which functions of rows are checked

# The points of the checks avoid whole numbers and halves, where functions often have kinks.
_A = {
    "classes": np.linspace(0.0213, 0.9817, 41),
    "binary": np.linspace(0.0213, 0.9817, 41),
    "signs": np.linspace(-3.0137, 3.0113, 61),
    "counts": np.linspace(0.0213, 5.0117, 61),
    "positive": np.linspace(0.0213, 5.0117, 61),
    "values": np.linspace(-3.0137, 3.0113, 61),
}
_Y = {
    "classes": (0.0, 0.307, 1.0),
    "binary": (0.0, 0.307, 1.0),
    "signs": (-1.0, 1.0),
    "counts": (0.0, 1.0, 3.0),
    "positive": (0.307, 1.0, 3.0),
    "values": (-1.507, 0.003, 2.011),
}


class Definition:
    """What `register_loss` has been given and has checked.

    Parameters
    ----------
    name : str
        The registered name.
    value, gradient : function
        The functions of an output and its target, or of a row.
    targets : str
        See `Loss`.
    by_row : bool
        Whether the functions take rows.
    target_columns : int, function or None
        The number of targets of a row, or a function that returns it for a number of outputs.
    """

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        gradient: Callable[..., Any],
        targets: str,
        by_row: bool = False,
        target_columns: TargetColumns = None,
    ) -> None:
        self.name, self.value, self.gradient = name, value, gradient
        self.targets, self.by_row, self.target_columns = targets, by_row, target_columns
        self.defaults: Parameters = settable_parameters(value, 2)

    @property
    def settable(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(self.defaults)

    @property
    def tuples(self) -> tuple[str, ...]:
        """The names of those parameters that are tuples."""
        return tuple(key for key, default in self.defaults.items() if isinstance(default, tuple))

    def columns(self, outputs: int, parameters: Parameters) -> int:
        """Return how many numbers of y belong to a row.

        Raises
        ------
        ValueError
            If there cannot be so many outputs.
        """
        if self.target_columns is None:
            return outputs
        if not callable(self.target_columns):
            return self.target_columns
        accepted = list(inspect.signature(self.target_columns).parameters)[1:]
        own = {key: each for key, each in parameters.items() if key in accepted}
        what = f"target_columns of {self.name} for {outputs} outputs"
        try:
            columns = self.target_columns(outputs, **own)
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"{what} failed: {type(error).__name__}: {error}") from error
        return whole_number(columns, what)

    def points(self) -> list[tuple[float, float]]:
        """Return the pairs of an output and its target at which functions of these are checked."""
        return [(a, y) for y in _Y[self.targets] for a in _A[self.targets].tolist()]

    def rows(self, outputs: int, columns: int) -> tuple[Floats, Floats]:
        """Return the rows of outputs and of targets at which functions of rows are checked."""
        rng, domain = np.random.default_rng(0), _A[self.targets]
        A = rng.uniform(domain[0], domain[-1], (ROWS, outputs))
        if self.targets == "classes":
            return A, rng.dirichlet(np.ones(columns), ROWS) if columns > 1 else rng.uniform(size=(ROWS, 1))
        return A, rng.choice(_Y[self.targets], (ROWS, columns))

    def check(self, outputs: int, parameters: Parameters) -> tuple[Floats, Floats]:
        """Return values and derivatives where the functions are checked, after comparing them with differences."""
        if self.by_row:
            rows = self.rows(outputs, self.columns(outputs, parameters))
            return check_rows(self.value, self.gradient, *rows, parameters, self.name)
        value, gradient = (functools.partial(each, **parameters) for each in (self.value, self.gradient))
        values = finite_values(value, self.points(), f"{self.name}: value")
        return values, check_derivative(value, gradient, self.points(), f"{self.name}: gradient")


class OwnLoss(Loss):
    """A loss that `fastmlp.register_loss` has made of a user's functions, with other parameters than their defaults.

    A pickle or a model file holds the name and the parameters.

    Parameters
    ----------
    name : str
        The registered name.
    **parameters : float or tuple of float
        The parameters of the functions whose default is a float or a tuple of floats. A tuple may have any length.

    Raises
    ------
    ValueError, TypeError
        If the name is not registered, a parameter is unknown or of another kind, or the functions are wrong with it.

    Examples
    --------
    >>> Network([8, 32, 5], loss=OwnLoss("quantiles", levels=(0.05, 0.25, 0.5, 0.75, 0.95)))
    """

    definition: Definition
    given: Parameters

    def __new__(cls, *_: Any, **__: Any) -> OwnLoss:
        """Leave the names of keyword arguments to `__init__`: they are those of the user's functions."""
        return object.__new__(cls)

    def __init__(self, name: str, /, **parameters: float | tuple[float, ...]) -> None:
        found = find(name, LOSSES, "loss") if isinstance(name, str) else name
        if not isinstance(found, OwnLoss):
            raise TypeError(f"OwnLoss takes the name of a loss that register_loss has made, got {name!r}")
        self._define(found.definition, parameters)
        if parameters and not self.definition.by_row:
            self.definition.check(1, self.given)

    @classmethod
    def of(cls, definition: Definition) -> OwnLoss:
        """Return the loss of a definition, with the default parameters."""
        loss = object.__new__(cls)
        loss._define(definition, {})
        return loss

    def _define(self, definition: Definition, parameters: Mapping[str, Any]) -> None:
        require_known(parameters, frozenset(definition.defaults), ["OwnLoss"])
        given = {
            key: _checked(parameters.get(key, default), default, f"{definition.name}: {key}")
            for key, default in definition.defaults.items()
        }
        if sum(len(each) if isinstance(each, tuple) else 1 for each in given.values()) > MAX_NUMBERS:
            raise ValueError(f"{definition.name}: the parameters must have at most {MAX_NUMBERS} numbers together")
        for key, each in (("name", definition.name), ("targets", definition.targets), ("definition", definition)):
            object.__setattr__(self, key, each)
        object.__setattr__(self, "given", given)
        object.__setattr__(self, "has_estimates", definition.target_columns is None)

    @property
    def parameters(self) -> tuple[float, ...]:
        """The numbers for the kernel; with functions of rows the length of each parameter, then their elements."""
        if not self.definition.by_row:
            return tuple(self.given.values())  # type: ignore[arg-type]  # all are numbers
        tuples = [each if isinstance(each, tuple) else (each,) for each in self.given.values()]
        return (*(float(len(each)) for each in tuples), *(element for each in tuples for element in each))

    def target_columns(self, outputs: int) -> int:
        """Return how many numbers of y belong to a row, after trying the functions with so many outputs."""
        columns = self.definition.columns(outputs, self.given)
        if self.definition.by_row:
            _try(self, outputs)
        return columns

    def replaced(self, **numbers: Any) -> OwnLoss:
        """Return the loss with other parameters."""
        return self if numbers == self.given else OwnLoss(self.name, **numbers)

    def to_dict(self) -> dict[str, Any]:
        """Return the name and the parameters; the functions are not stored."""
        return {"name": self.name, **self.given}

    @property
    def label(self) -> str:
        """The name with the parameters that differ from the defaults."""
        changed = [f"{key}={each}" for key, each in self.given.items() if each != self.definition.defaults[key]]
        return f"{self.name}({', '.join(changed)})" if changed else self.name

    def __repr__(self) -> str:
        named = [f"{key}={each!r}" for key, each in self.given.items()]
        return f"OwnLoss({', '.join([repr(self.name), *named])})"

    def _values(self) -> tuple[Any, ...]:
        return self.definition, *self.given.items()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle name and parameters; the process that unpickles must have registered the name."""
        return _own, (self.name, self.given)

    def __deepcopy__(self, memo: Any) -> OwnLoss:
        """Return the object itself, so that a copied network keeps its functions if the name is registered anew."""
        return self


def _own(name: str, parameters: Parameters) -> Loss:
    return find(name, LOSSES, "loss").replaced(**parameters)


@functools.lru_cache(maxsize=256)
def _try(loss: OwnLoss, outputs: int) -> None:
    """Check the functions of rows for a number of outputs; a network asks for it more than once."""
    loss.definition.check(outputs, loss.given)


def _checked(given: Any, default: float | tuple[float, ...], what: str) -> float | tuple[float, ...]:
    """Return a parameter as a float, or as a tuple of floats if its default is one."""
    if not isinstance(default, tuple):
        return number(given, what, minimum=-math.inf)
    if not isinstance(given, tuple | list | np.ndarray) or not len(given):
        raise TypeError(f"{what} must be a tuple of numbers, as its default {default} is, got {given!r}")
    return tuple(number(each, f"an element of {what}", minimum=-math.inf) for each in given)
