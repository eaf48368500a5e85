"""The data of a fit: from the arguments of `Network.fit` to the training data and the validation samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from numpy.typing import ArrayLike

from fastmlp._data.array_feed import ArrayData
from fastmlp._data.block_data import BlockData
from fastmlp._data.chunk_feed import ChunkData, ChunkSource
from fastmlp._data.names import Names
from fastmlp._data.order import split_rows
from fastmlp._data.samples import Samples, check_samples
from fastmlp._data.weights import (
    apply_class_factors,
    balanced_class_factors,
    check_class_weight,
    require_weight,
)
from fastmlp._runtime.checks import number
from fastmlp.architecture import Architecture


class TrainingData(NamedTuple):
    """The checked data of one fit.

    Parameters
    ----------
    training : ArrayData, BlockData or ChunkData
        The rows that train; `training.feed` makes the feed that provides them to the kernels.
    validation : Samples or None
        The samples that are evaluated after each epoch. Their weights do not contain those of the classes.
    """

    training: ArrayData | BlockData | ChunkData
    validation: Samples | None


def check_training_data(
    X: ArrayLike | ChunkSource,
    y: ArrayLike | None,
    architecture: Architecture,
    names: Names,
    *,
    epochs: int,
    classes: Iterable[str] | None = None,
    sample_weight: ArrayLike | None,
    class_weight: Mapping[Any, float] | Literal["balanced"] | None,
    validation_data: Sequence[Any] | None,
    validation_split: float,
    prefetch: int,
    by_blocks: bool,
) -> TrainingData:
    """Check all arguments of `Network.fit` that are about data, and select the validation samples.

    Arrays are checked as a whole, a slice at a time. A chunk is checked when training asks for it.

    Parameters
    ----------
    X, y, classes, sample_weight, class_weight, validation_data, validation_split
        The arguments of `Network.fit`. If y is None, X gives chunks.
    architecture : Architecture
        The network that the data must suit. Its seed decides which rows `validation_split` selects.
    names : Names
        A copy of the names that the network knows, which learns those of the data.
    epochs : int
        The number of epochs; an iterator of chunks allows only one.
    prefetch : int
        How many chunks are read ahead.
    by_blocks : bool
        Whether arrays are read in runs of rows.

    Raises
    ------
    TypeError
        If an argument has a wrong type or does not hold real numbers.
    ValueError
        If an argument does not suit the network, or two arguments exclude each other.
    MemoryError
        If there is no memory for the row numbers of the split, 8 bytes a row, or for a conversion.
    """
    held_out = check_validation_arguments(validation_data, validation_split)
    if y is None and held_out is not None:  # the names of chunks are not known yet
        names.learn_features(held_out[0], architecture, "X of validation_data")
    y = names.learn(X, y, architecture, classes)
    validation = None if held_out is None else check_samples(*held_out, architecture, names, " of validation_data")
    balanced = isinstance(class_weight, str) and class_weight == "balanced"
    class_factors = None
    if not balanced:
        class_factors = check_class_weight(names.class_weight_by_index(class_weight), architecture)
    if y is None:
        if by_blocks:
            raise ValueError(
                "shuffle='blocks' is for arrays; the rows of chunks are shuffled within their chunk: shuffle=True"
            )
        if balanced:
            raise ValueError(
                "class_weight='balanced' needs the labels of all rows before training, but chunks come one after the "
                "other; count the classes in a first pass, and give a dict from label to weight"
            )
        chunks = ChunkData(X, epochs, architecture, names, class_factors, sample_weight, validation_split, prefetch)
        return TrainingData(chunks, validation)
    samples, training_rows = check_samples(X, y, sample_weight, architecture, names), None
    if validation_split:
        training_rows, validation_rows = split_rows(len(samples.X), validation_split, architecture.seed)
        validation = samples.select(validation_rows)
        require_weight(validation.weights, len(validation_rows), "sample_weight of the rows of validation_split")
    if balanced:
        trained = samples if training_rows is None else samples.select(training_rows)
        class_factors = balanced_class_factors(trained.targets, trained.weights)
    weights = apply_class_factors(samples.weights, class_factors, samples.targets)
    data = ArrayData(samples._replace(weights=weights), training_rows)
    require_weight(weights, data.rows_per_epoch, "sample_weight and class_weight of the training rows", training_rows)
    if by_blocks:
        return TrainingData(BlockData(data.samples, training_rows, prefetch), validation)
    return TrainingData(data, validation)


def check_validation_arguments(
    validation_data: Sequence[Any] | None, validation_split: float
) -> tuple[Any, Any, Any] | None:
    """Check `validation_data` and `validation_split`; return X, y and the weights of `validation_data`, or None.

    Raises
    ------
    TypeError
        If `validation_data` is not a tuple.
    ValueError
        If `validation_split` is not at least 0 and below 1, both are given, or the tuple has another length.
    """
    share = number(validation_split, "validation_split", below=1.0)
    if validation_data is None:
        return None
    if share:
        raise ValueError("give validation_data or validation_split, not both")
    wanted = "validation_data must be a tuple (X, y) or (X, y, sample_weight)"
    if not isinstance(validation_data, (tuple, list)):
        raise TypeError(f"{wanted}, got {type(validation_data).__name__}")
    if len(validation_data) not in (2, 3):
        raise ValueError(f"{wanted}, got {len(validation_data)} entries")
    X, y, sample_weight = (*validation_data, None)[:3]
    return X, y, sample_weight
