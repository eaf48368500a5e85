"""What a refused call leaves behind: nothing. And the refusal of masked arrays, whose masks scikit-learn ignores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastmlp._data.arrays import refuse_masked
from fastmlp.sklearn.networks import check_hidden_sizes


@contextlib.contextmanager
def unchanged_if_refused(estimator: Any, **arguments: Any) -> Iterator[None]:
    """Refuse masked arguments; if the block raises before training begins, restore the estimator and its generator.

    Arguments are checked by many functions of scikit-learn, some of which set attributes first. An array that belongs
    to an attribute is replaced and not changed until the first epoch begins, so that references are enough.
    """
    before, generator = dict(vars(estimator)), estimator.random_state
    drawn = generator.get_state() if isinstance(generator, np.random.RandomState) else None
    estimator._training_began = False
    try:
        refuse_masked_arguments(**arguments)
        check_hidden_sizes(estimator.hidden_layer_sizes)
        yield
    except BaseException:
        if not estimator._training_began:
            for name in vars(estimator).keys() - before.keys():
                delattr(estimator, name)
            vars(estimator).update(before)
            if drawn is not None:
                generator.set_state(drawn)
        raise
    finally:
        vars(estimator).pop("_training_began", None)
        if "_training_began" in before:  # of the fit whose callback is the caller
            estimator._training_began = before["_training_began"]


def refuse_masked_arguments(**given: Any) -> None:
    """Raise ValueError if an argument has masked values."""
    for name, value in given.items():
        refuse_masked(value, name)
