"""The numbers of optimizers, losses and activations as parameters of an estimator, such as `optimizer__learning_rate`.

scikit-learn's searches set such numbers in place. The objects of fastmlp are frozen, so that the estimator is given a
changed copy instead.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fastmlp._runtime.settings import Settings
from fastmlp.activations import ACTIVATIONS
from fastmlp.losses import LOSSES
from fastmlp.optimizers import OPTIMIZERS

_TABLES: dict[str, Mapping[str, Settings]] = {"activation": ACTIVATIONS, "loss": LOSSES, "optimizer": OPTIMIZERS}
"""The parameters whose values have numbers, and what their names stand for."""


def split(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the parameters of an estimator itself, and the numbers by the parameter to whose value they belong."""
    own, numbers = {}, defaultdict[str, dict[str, Any]](dict)
    for key, value in params.items():
        name, delimiter, number = key.partition("__")
        if delimiter and name in _TABLES:
            numbers[name][number] = value
        else:
            own[key] = value
    return own, numbers


def numbers_of_all(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of the values of an estimator's parameters, as `optimizer__learning_rate`."""
    settings = {name: _settings(name, params[name]) for name in _TABLES if name in params}  # a subclass may have fewer
    return {
        f"{name}__{key}": value
        for name, each in settings.items()
        if each is not None
        for key, value in _all_numbers(each).items()
    }


def with_numbers(estimator: Any, name: str, changes: Mapping[str, Any]) -> Settings:
    """Return a copy of the value of an estimator's parameter with other numbers.

    Raises
    ------
    ValueError
        If the value has no such numbers, or one is out of range.
    """
    value = getattr(estimator, name)
    settings = _settings(name, value)
    if settings is None:
        what = " or ".join(f"{name}__{key}" for key in changes)
        raise ValueError(
            f"Invalid parameter {what!r} for estimator {estimator}: {name} is {value!r}, which has no parameters; set "
            f"{name} to an object such as {_EXAMPLES[name]}, or to the name of one"
        )
    return _changed(settings, changes)


_EXAMPLES = {"activation": "LeakyReLU(0.2)", "loss": "Huber(0.5)", "optimizer": "AdamW(0.001)"}


def _settings(name: str, value: Any) -> Settings | None:
    """Return the object of a parameter's value, or None if the value is not one object of fastmlp or its name."""
    if isinstance(value, str):
        return _TABLES[name].get(value)
    return value if isinstance(value, Settings) else None


def _numbers(settings: Settings) -> dict[str, Any]:
    return {key: getattr(settings, key) for key in settings.to_dict() if key != "name"}


def _all_numbers(settings: Settings) -> dict[str, Any]:
    """Return the numbers of an object, and those of a schedule in it, as `learning_rate__steps`."""
    found = {}
    for key, value in _numbers(settings).items():
        found[key] = value
        if isinstance(value, Settings):
            found |= {f"{key}__{inner}": number for inner, number in _all_numbers(value).items()}
    return found


def _changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return a copy with other numbers. The messages are those of scikit-learn."""
    numbers, inner = _numbers(settings), defaultdict[str, dict[str, Any]](dict)
    valid = list(numbers)
    for key, value in changes.items():
        name, delimiter, rest = key.partition("__")
        if name not in valid or (delimiter and not isinstance(changes.get(name, numbers[name]), Settings)):
            raise ValueError(f"Invalid parameter {key!r} for estimator {settings!r}. Valid parameters are: {valid!r}.")
        if delimiter:
            inner[name][rest] = value
        else:
            numbers[name] = value
    for name, changes_inside in inner.items():
        numbers[name] = _changed(numbers[name], changes_inside)
    return dataclasses.replace(settings, **numbers)
