"""`TabularModel`: a network and the schema of the table that it learned from, in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._io.model_file import HEADER_LIMIT, ModelFormatError
from fastmlp.callbacks import Callback
from fastmlp.history import History
from fastmlp.layers import Dense
from fastmlp.network import Network
from fastmlp.optimizers import Optimizer
from fastmlp.tables import schema as schemas
from fastmlp.tables.encode import Encoder
from fastmlp.tables.figures import Figures
from fastmlp.tables.preparing import TrainingTable
from fastmlp.tables.reader import Reader
from fastmlp.tables.schema import ClassTarget, Schema

_ROOM_OF_LAYERS = 1 << 20  # bytes of the header; some 1,500 layers


class TabularModel:
    """A network that takes the rows of a CSV file.

    Parameters
    ----------
    network : Network
        With an input for each column, or category, of the schema, and softmax over its classes, or one linear output.
    schema : Schema
        What the columns are.

    Raises
    ------
    ValueError
        If network and schema do not fit together, or a model file cannot hold the schema.

    Examples
    --------
    >>> table = prepare("houses.csv", "price")
    >>> model = TabularModel.for_table(table, [64, 32])
    >>> history = model.fit(table, epochs=100)
    >>> model.predict("new.csv")
    """

    def __init__(self, network: Network, schema: Schema) -> None:
        _check_fit(network, schema)
        _check_size(schema)
        self.network, self.schema = network, schema

    @classmethod
    def for_table(
        cls,
        table: TrainingTable,
        hidden: Sequence[int] = (64, 32),
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        l2: float = 0.0,
        optimizer: str | Optimizer | None = None,
        seed: int = 0,
    ) -> TabularModel:
        """A fresh model for a table.

        Parameters
        ----------
        table : TrainingTable
            What `prepare` made of a file.
        hidden : sequence of int
            The units of each hidden layer; none is a linear model.
        activation : str
            Of the hidden layers.
        dropout : float
            The share of hidden units dropped in training, in [0, 1).
        l2 : float
            The penalty on the weights of every layer.
        optimizer : str or Optimizer, optional
            None is `Adam(1e-3)`.
        seed : int
            Decides first weights, shuffles and dropout.

        Raises
        ------
        ValueError, TypeError
            If an argument is unknown or out of its range.
        """
        schema = table.schema
        output = "softmax" if isinstance(schema.target, ClassTarget) else "linear"
        layers: list[int | Dense] = [Dense(units, activation, dropout=dropout, l2=l2) for units in hidden]
        layers = [schema.width, *layers, Dense(schema.target.outputs, output, l2=l2)]
        return cls(Network(layers, optimizer=optimizer, seed=seed), schema)

    def fit(
        self,
        table: TrainingTable,
        *,
        epochs: int = 200,
        batch_size: int = 32,
        callbacks: Iterable[Callback] = (),
        verbose: bool | str = "auto",
    ) -> History:
        """Train on a table's training rows, evaluating those kept out; parameters and errors as in `Network.fit`.

        Raises
        ------
        ValueError
            If the table's rows are not encoded by the model's schema.
        """
        self._require_own(table)
        validation = (table.X_validation, table.y_validation) if len(table.X_validation) else None
        return self.network.fit(
            table.X,
            table.y,
            epochs=epochs,
            batch_size=batch_size,
            validation_data=validation,
            callbacks=callbacks,
            verbose=verbose,
        )

    def outputs(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Of encoded rows: probabilities (n, classes), float32, or numbers (n, 1) in the table's unit, float64."""
        found = self.network.predict(X)
        target = self.schema.target
        if isinstance(target, ClassTarget):
            return found
        return found.astype(np.float64) * target.deviation + target.mean

    def predictions(
        self, path: str | os.PathLike[str], *, separator: str | None = None, verbose: bool | str = "auto"
    ) -> Iterator[NDArray[Any]]:
        """The outputs for a file's rows, block by block, so that the file may be larger than memory.

        The file's columns may come in another order, with others among them; the target need not be there.

        Raises
        ------
        TableError
            If the file cannot be used.
        """
        reader = Reader(path, separator, verbose)
        encoder = Encoder(self.schema, reader, with_target=False)
        for block in reader.blocks():
            yield self.outputs(encoder.inputs(block))

    def predict(self, path: str | os.PathLike[str], *, separator: str | None = None) -> NDArray[Any]:
        """The class name of each row of a file, or its number; errors as in `predictions`."""
        found = np.concatenate(list(self.predictions(path, separator=separator)))
        return self.named(found)

    def named(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The most probable class of each row, (n,) names; or the numbers, (n,)."""
        target = self.schema.target
        if isinstance(target, ClassTarget):
            names: NDArray[Any] = np.array(target.classes)[outputs.argmax(axis=1)]
            return names
        numbers: NDArray[Any] = outputs[:, 0]
        return numbers

    def evaluate(
        self, path: str | os.PathLike[str], *, separator: str | None = None, verbose: bool | str = "auto"
    ) -> dict[str, Any]:
        """The figures that `Figures.result` describes, of a file that holds the target too.

        Raises
        ------
        TableError
            If the file cannot be used, or holds a class that the model does not know.
        """
        reader = Reader(path, separator, verbose)
        encoder = Encoder(self.schema, reader, with_target=True)
        figures = Figures(self.schema)
        for block in reader.blocks():
            figures.add(encoder.targets(block), self.outputs(encoder.inputs(block)))
        return figures.result()

    def validation_figures(self, table: TrainingTable) -> dict[str, Any] | None:
        """The same of the rows that the table kept out; None if there are none; errors as in `fit`."""
        return self.figures(*self.answers(table)) if len(table.X_validation) else None

    def answers(self, table: TrainingTable) -> tuple[NDArray[Any], NDArray[Any]]:
        """What is true of the rows that the table kept out, and the outputs for them; of all rows if none are kept out.

        Both as `Figures.add` takes them; errors as in `fit`.
        """
        self._require_own(table)
        kept_out = len(table.X_validation) > 0
        X, y = (table.X_validation, table.y_validation) if kept_out else (table.X, table.y)
        return self._in_unit(y), self.outputs(X)

    def figures(self, y: NDArray[Any], outputs: NDArray[Any]) -> dict[str, Any]:
        """The same of the answers for any rows."""
        figures = Figures(self.schema)
        figures.add(y, outputs)
        return figures.result()

    def _require_own(self, table: TrainingTable) -> None:
        if table.schema != self.schema:
            raise ValueError(
                f"{table.path} was prepared by other columns, means or categories than the model's; make a model for "
                "it with TabularModel.for_table"
            )

    def _in_unit(self, y: NDArray[Any]) -> NDArray[Any]:
        """Places of classes as they are; standardised numbers in the table's unit."""
        target = self.schema.target
        if isinstance(target, ClassTarget):
            return y
        numbers: NDArray[np.float64] = y.astype(np.float64) * target.deviation + target.mean
        return numbers

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write network and schema to one file, which is the old one or the new one at any moment.

        `Network.load` reads the network out of it.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self.network._save(os.fspath(path), False, json.dumps(self.schema.to_dict()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TabularModel:
        """The model that `save` wrote.

        Raises
        ------
        OSError
            If the file cannot be read.
        ModelFormatError
            If anything in it is not as `save` writes it, or it holds a network without a table.
        """
        network, schema = read(path)
        if schema is None:
            raise ModelFormatError(
                f"{os.fspath(path)}: holds a network without the columns of a table; use a model that `fastmlp train "
                "data.csv` wrote, or fastmlp.Network.load in Python"
            )
        return cls(network, schema)


def read(path: str | os.PathLike[str]) -> tuple[Network, Schema | None]:
    """A model file's network, and its schema if it has one that fits.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelFormatError
        If anything in it is not as `Network.save` or `TabularModel.save` writes it.
    """
    name = os.fspath(path)
    network, stored = Network._load(name)
    if stored is None:
        return network, None
    try:
        schema = schemas.from_dict(json.loads(stored))
        _check_fit(network, schema)
        _check_size(schema)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFormatError(f"{name}: the description of the table is wrong: {error!s:.2000}") from error
    return network, schema


def _check_size(schema: Schema) -> None:
    """Raise ValueError before the training, not after it, if the schema is too long for the file's header."""
    size, most = len(json.dumps(json.dumps(schema.to_dict()))), HEADER_LIMIT - _ROOM_OF_LAYERS
    if size > most:
        raise ValueError(
            f"the names of the table's {len(schema.columns):,} columns and their categories take {size:,} bytes, but a "
            f"model file holds {most:,}; leave columns out"
        )


def _check_fit(network: Network, schema: Schema) -> None:
    """Raise ValueError if the network is not one for such a table."""
    architecture = network.architecture
    if (architecture.inputs, architecture.outputs) != (schema.width, schema.target.outputs):
        raise ValueError(
            f"the network has {architecture.inputs} inputs and {architecture.outputs} outputs, but the table needs "
            f"{schema.width} and {schema.target.outputs}"
        )
    wanted = "softmax" if isinstance(schema.target, ClassTarget) else "linear"
    found = architecture.layers[-1].activation.name
    if found != wanted:
        raise ValueError(f"the network's output must be {wanted} for the table's target, got {found}")
