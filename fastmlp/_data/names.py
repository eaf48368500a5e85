"""The names that a network learns from its data: those of its inputs, and those of its classes, which are labels.

A fit works on a copy. `Engine` takes the copy over when the training begins, and drops it if no step is completed.
"""

from __future__ import annotations

import array
import dataclasses
import itertools
import json
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.arrays import SelectedColumns, refuse_masked, row_slices, select_columns
from fastmlp._data.frames import column_names, is_frame, is_missing, series_array
from fastmlp._runtime.checks import repeated_name
from fastmlp.architecture import Architecture

MAX_BYTES = 4 << 20  # of all names in the header of a model file
SHOWN = 5  # names in a message
_REPR = reprlib.Repr()
_REPR.maxstring = 60
_LABEL_BYTES = 64  # of a label as a Python object, about: labels are read in slices


@dataclasses.dataclass
class Names:
    """The names that a network knows.

    Parameters
    ----------
    features : tuple of str, or None
        The name of each input, if the network was trained on a frame.
    classes : tuple of str, or None
        The label of each class, if the network was trained on labels that are strings.
    """

    features: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None

    def copy(self) -> Names:
        """Return a copy, which can learn without changing these names."""
        return Names(self.features, self.classes)

    def check_agreement(self, others: Names) -> None:
        """Raise RuntimeError if other names, which another thread may have set meanwhile, differ from these."""
        if others.features not in (None, self.features) or others.classes not in (None, self.classes):
            raise RuntimeError("another thread has trained this network on columns or labels with other names")

    # Learning ---------------------------------------------------------------------------------------------------------

    def learn(self, X: Any, y: Any, architecture: Architecture, classes: Iterable[str] | None = None) -> Any:
        """Learn all names that are not known yet from the arguments of a fit.

        Returns
        -------
        array-like
            y, as an array if it holds strings.
        """
        self.learn_features(X, architecture)
        self.set_classes(classes, architecture)
        return self.learn_classes(y, architecture)

    def learn_features(self, X: Any, architecture: Architecture, name: str = "X") -> None:
        """Learn the names of the columns if X is a frame of the right width, and none are known.

        Raises
        ------
        TypeError
            If only some names are strings.
        ValueError
            If a name is repeated, or the names are too long.
        """
        if self.features is None and is_frame(X):
            names = column_names(X, name)
            if names is not None and len(names) == architecture.inputs:
                self.set_features(names, architecture)

    def learn_classes(self, y: Any, architecture: Architecture, name: str = "y") -> Any:
        """Learn the classes, in alphabetical order, if y holds strings and no classes are known.

        Returns
        -------
        array-like
            y, as an array if it holds strings.

        Raises
        ------
        TypeError
            If the network takes no labels, or y holds something else beside strings.
        ValueError
            If a label is missing, or there are more or fewer labels than classes.
        """
        labels = label_array(y)
        if labels is None:
            return y
        if self.classes is not None or not len(labels):
            return labels
        count = _check_labels(labels, architecture, name)
        found: set[str] = set()
        for rows in row_slices(len(labels), _LABEL_BYTES):
            found |= _texts(labels, rows, name)
        if len(found) != count:
            has, more = f"the network has {count} classes", len(found) > count
            hint = "" if more else f"; give classes=[...], the names of all {count} in the order of the outputs"
            raise ValueError(f"{name} has {len(found)} different labels ({_shown(sorted(found))}), but {has}{hint}")
        self._set_classes(tuple(sorted(found)), architecture)
        return labels

    def set_classes(self, classes: Iterable[str] | None, architecture: Architecture) -> None:
        """Take the names of the classes from an argument of the user; None changes nothing.

        Raises
        ------
        TypeError
            If the argument is not a list of strings.
        ValueError
            If names are repeated or too many or too few, or other names are known already.
        """
        if classes is None:
            return
        if isinstance(classes, str) or not isinstance(classes, Iterable):
            raise TypeError(f"classes must be a list of strings, got {classes!r}")
        given = list(classes)
        for label in given:
            if not isinstance(label, str):
                raise TypeError(f"classes must be a list of strings, got {label!r}; labels 0, 1, ... need no classes")
        names = tuple(map(str, given))
        if self.classes not in (None, names):
            raise ValueError(
                f"classes must be those that the network was trained on, {_shown(self.classes)}, got {_shown(names)}"
            )
        self._set_classes(names, architecture)

    def set_features(self, names: tuple[str, ...], architecture: Architecture) -> None:
        """Take the names of the inputs; raise ValueError if a network of this architecture cannot have them."""
        check_names(names, "columns", architecture.inputs)
        _check_size(names, self.classes)
        self.features = names

    def _set_classes(self, names: tuple[str, ...], architecture: Architecture) -> None:
        check_names(names, "classes", class_count(architecture))
        _check_size(self.features, names)
        self.classes = names

    # Use --------------------------------------------------------------------------------------------------------------

    def arrange(
        self, array: NDArray[Any], columns: tuple[str, ...] | None, name: str
    ) -> NDArray[Any] | SelectedColumns:
        """Return the columns of a frame in the order of the network's inputs; without names, as they are.

        Parameters
        ----------
        array : ndarray of shape (n, columns)
            The numbers of the frame.
        columns : tuple of str, or None
            The names of its columns.
        name : str
            The name of the argument in messages.

        Raises
        ------
        ValueError
            If the names are not those of the inputs; the message says which are missing and which are unknown.
        """
        if self.features is None or columns in (None, self.features):
            return array
        assert columns is not None
        position = {column: index for index, column in enumerate(columns)}
        wrong = {
            "missing": [column for column in self.features if column not in position],
            "unknown": sorted(position.keys() - set(self.features)),
            "repeated": [column for column, count in Counter(columns).items() if count > 1],
        }
        if any(wrong.values()):
            found = "; ".join(f"{what}: {_shown(names)}" for what, names in wrong.items() if names)
            raise ValueError(
                f"{name} must have the columns that the network was trained on, in any order; {found}; "
                "an array is taken by position"
            )
        return select_columns(array, np.array([position[column] for column in self.features]))

    def indices(self, labels: NDArray[Any], architecture: Architecture, name: str) -> NDArray[np.int64]:
        """Return the class of each label, (n,).

        Raises
        ------
        TypeError
            If the network takes no labels, or something is not a string.
        ValueError
            If a label is missing or new, or no classes are known.
        """
        _check_labels(labels, architecture, name)
        if self.classes is None:
            raise ValueError(
                f"{name} holds labels such as {_first_text(labels)}, but the network knows the names of no classes "
                "yet; fit takes them from y, or from classes=[...], which chunks need"
            )
        index = {label: place for place, label in enumerate(self.classes)}
        found = np.empty(len(labels), np.int64)
        for rows in row_slices(len(labels), _LABEL_BYTES):
            try:
                found[rows] = [index[label] for label in labels[rows].tolist()]
            except (KeyError, TypeError):  # not hashable
                new = sorted(_texts(labels, rows, name) - index.keys())
                raise ValueError(
                    f"{name} has the label {_brief(new[0])}, which is none of the network's classes: "
                    f"{_shown(self.classes)}"
                ) from None
        return found

    def class_weight_by_index(self, class_weight: Any) -> Any:
        """Return `class_weight` with classes in place of labels; anything but a mapping with labels is unchanged.

        Raises
        ------
        ValueError
            If a label is unknown.
        """
        if not isinstance(class_weight, Mapping) or not any(isinstance(label, str) for label in class_weight):
            return class_weight
        index = {label: place for place, label in enumerate(self.classes or ())}
        for label in class_weight:
            if label not in index:
                known = f"the labels are {_shown(self.classes)}" if self.classes else "the labels of y are numbers"
                raise ValueError(f"class_weight has the label {_brief(label)}, but {known}")
        return {index[label]: weight for label, weight in class_weight.items()}


def class_count(architecture: Architecture) -> int | None:
    """Return how many classes a network tells apart, or None if a row does not have exactly one class."""
    kind, outputs = architecture.loss.targets, architecture.outputs
    if kind == "classes":
        return outputs
    return 2 if kind in ("binary", "signs") and outputs == 1 else None


def label_array(y: Any) -> NDArray[Any] | None:
    """Return targets that hold strings as an array of strings and other objects; None for other targets."""
    if isinstance(y, list | tuple):
        if not any(isinstance(label, str) for label in y):
            return None
        array = np.empty(len(y), object)  # NumPy would turn numbers, None and NaN beside strings into strings
        array[:] = y
        return array
    if (type(y) is np.ndarray and y.dtype.kind in "fiub") or is_frame(y) or not hasattr(y, "__array__"):
        return None
    try:
        array = series_array(y)
    except ValueError:  # a broken __array__, which the check of numbers reports
        return None
    if array.dtype.kind == "O" and any(isinstance(label, str) for label in array.flat):
        return array
    return array if array.dtype.kind in "UT" else None


def _check_labels(labels: NDArray[Any], architecture: Architecture, name: str) -> int:
    """Return how many classes the network has; raise if it takes no labels, or they are masked or no vector."""
    count = class_count(architecture)
    if count is None:
        raise TypeError(
            f"{name} holds texts such as {_first_text(labels)}, but {architecture.loss.name} of "
            f"{architecture.outputs} outputs takes numbers; labels need a softmax with an output for each class, or "
            "one sigmoid for two classes"
        )
    refuse_masked(labels, name)
    if labels.ndim != 1:
        hint = f"; np.ravel({name}) has one dimension" if labels.shape[1:] == (1,) else ""
        raise ValueError(f"{name} must have one dimension if it holds labels, got shape {labels.shape}{hint}")
    return count


def _texts(labels: NDArray[Any], rows: slice, name: str) -> set[str]:
    """Return the different labels of some rows, or raise an error if one is missing or is not a string."""
    values = labels[rows].tolist()
    for row, label in enumerate(values, rows.start):
        if not isinstance(label, str):
            if is_missing(label):
                raise ValueError(
                    f"{name} must have a label in every row, got {label} in row {row}, counted from 0; leave such rows "
                    "out"
                )
            raise TypeError(f"{name} must hold strings or numbers, got both: {_first_text(labels)} and {_brief(label)}")
    return set(map(str, values))


def _first_text(labels: NDArray[Any]) -> str:
    return _brief(str(next((label for label in labels.flat if isinstance(label, str)), "")))


def check_names(names: Iterable[str], what: str, count: int | None) -> None:
    """Check that a network can have these names. Of an iterable that makes them when they are read, none is kept.

    Parameters
    ----------
    names : iterable of str
        The names; an iterable that can be read more than once.
    what : {"columns", "classes"}
        What they name.
    count : int or None
        How many there must be; None if the network has no classes.

    Raises
    ------
    ValueError
        If names are repeated, too many, too few or end with NUL, or the network has no classes.
    """
    if count is None:
        raise ValueError("classes need a softmax, or one sigmoid or hinge output; this network has no classes")
    hashes = array.array("q")
    for name in names:
        hashes.append(hash(name))
        if name.endswith("\0"):
            raise ValueError(
                f"{what} must have names that do not end with NUL, which NumPy removes, got {_brief(name)}"
            )
    if len(hashes) != count:
        raise ValueError(f"{what} must have {count} names for this network, got {len(hashes)}: {_shown(names)}")
    repeated = repeated_name(hashes, names)
    if repeated is not None:
        hint = "; rename one, or give an array, such as X.to_numpy()" if what == "columns" else ""
        raise ValueError(f"{what} must have different names, but {_brief(repeated)} is there twice{hint}")


def _check_size(*names: tuple[str, ...] | None) -> None:
    """Raise ValueError if names would take too much of the header of a model file."""
    written = sum(len(json.dumps(json.dumps(each))) for each in names)
    if written > MAX_BYTES:
        raise ValueError(
            f"the names of columns and classes take {written} bytes in a model file, the limit is {MAX_BYTES}; give "
            "an array, such as X.to_numpy(), or shorter names"
        )


def _shown(names: Iterable[str]) -> str:
    """Return the first names for a message."""
    first = list(itertools.islice(names, SHOWN + 1))
    return ", ".join(map(_brief, first[:SHOWN])) + (", ..." if len(first) > SHOWN else "")


def _brief(name: object) -> str:
    """Return `repr(name)`, with the middle of a long string left out."""
    return _REPR.repr(name)
