"""`TabularModel`: a network and the schema of the table that it learned from, saved together in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._engine.engine import Engine, engine_of
from fastmlp._io.model_file import HEADER_LIMIT, ModelFormatError
from fastmlp._runtime.names import AttributeHints, check_keywords
from fastmlp.callbacks import Callback
from fastmlp.history import History
from fastmlp.layers import Dense
from fastmlp.network import Network, network_with
from fastmlp.optimizers import Optimizer
from fastmlp.tables import schema as schemas
from fastmlp.tables.encode import Encoder
from fastmlp.tables.evaluation import Evaluation
from fastmlp.tables.preparing import TrainingTable
from fastmlp.tables.reader import Reader
from fastmlp.tables.schema import ClassTarget, Schema

_RESERVED_FOR_LAYERS = 1 << 20  # bytes of the file's header, enough for about 1,500 layers


class TabularModel(AttributeHints):
    """A network that reads the rows of CSV files.

    Parameters
    ----------
    network : Network
        A network with as many inputs as the schema has, and with a softmax output for each class (a
        sigmoid output for a single one), or one linear output.
    schema : Schema
        The columns and the target.

    Raises
    ------
    ValueError
        If the network does not fit the schema, or the schema is too large for a model file.

    Examples
    --------
    >>> table = prepare("houses.csv", "price")
    >>> model = TabularModel.for_table(table, [64, 32])
    >>> history = model.fit(table, epochs=100)
    >>> model.save("houses.safetensors")
    >>> model.predict("new.csv")
    array([251300.5, 184020.25])
    """

    def __init__(self, network: Network, schema: Schema) -> None:
        _check_fit(network, schema)
        _check_size(schema)
        self.network, self.schema = network, schema

    def __repr__(self) -> str:
        """Return the target, the number of columns and the network in one line."""
        return f"TabularModel({self.schema.target.name!r} from {len(self.schema.columns)} columns; {self.network!r})"

    @classmethod
    @check_keywords
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
        """Create an untrained model for a table.

        Parameters
        ----------
        table : TrainingTable
            The table that `prepare` returned.
        hidden : sequence of int
            The number of units of each hidden layer. An empty sequence gives a linear model.
        activation : str
            The activation of the hidden layers.
        dropout : float
            The share of hidden units that are dropped in training, in [0, 1).
        l2 : float
            The L2 penalty on the weights of every layer.
        optimizer : str or Optimizer, optional
            The default is `Adam(1e-3)`.
        seed : int
            Seed of the initial weights, the shuffling and the dropout.

        Returns
        -------
        TabularModel
            The model. Its output is softmax for classes, sigmoid for a single class, and linear for numbers.

        Raises
        ------
        ValueError, TypeError
            If an argument is unknown or out of range.
        """
        schema = table.schema
        output = _output_activation(schema)
        layers: list[int | Dense] = [Dense(units, activation, dropout=dropout, l2=l2) for units in hidden]
        layers = [schema.width, *layers, Dense(schema.target.outputs, output, l2=l2)]
        return cls(Network(layers, optimizer=optimizer, seed=seed), schema)

    @check_keywords
    def fit(
        self,
        table: TrainingTable,
        *,
        epochs: int = 200,
        batch_size: int = 32,
        callbacks: Iterable[Callback] = (),
        verbose: bool | str = "auto",
    ) -> History:
        """Train on the training rows of a table. The loss on its validation rows is computed after each epoch.

        Parameters
        ----------
        table : TrainingTable
            The table that the model was created for.
        epochs : int
            Number of passes over the training rows.
        batch_size : int
            Number of rows in a step.
        callbacks : iterable of Callback
            Called during training, for example `EarlyStopping`.
        verbose : bool or "auto"
            Whether to show a progress line. "auto" shows it in a terminal or notebook.

        Returns
        -------
        History
            The losses of each epoch.

        Raises
        ------
        ValueError
            If the table was prepared with another schema than the model's.
        NonFiniteLossError
            If the loss becomes NaN or infinite.
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
        """Return the outputs for encoded rows.

        Parameters
        ----------
        X : ndarray of shape (n, schema.width)
            Encoded rows, such as `TrainingTable.X`.

        Returns
        -------
        ndarray
            Probabilities of the classes, (n, classes), float32; or numbers in the file's unit, (n, 1), float64.
        """
        found = self.network.predict(X)
        target = self.schema.target
        if isinstance(target, ClassTarget):
            return found if target.outputs > 1 else np.ones_like(found)  # the probability of the only class
        return found.astype(np.float64) * target.deviation + target.mean

    def predictions(
        self, path: str | os.PathLike[str], *, separator: str | None = None, verbose: bool | str = "auto"
    ) -> Iterator[NDArray[Any]]:
        """Yield the outputs for the rows of a file block by block, so that the file may be larger than memory.

        The order of the file's columns may differ from the training file's. The file may have more columns, and it may
        lack the target.

        Parameters
        ----------
        path : path-like
            A CSV file in UTF-8 with a header.
        separator : str, optional
            The character between the fields. By default it is found among comma, semicolon, tab and bar.
        verbose : bool or "auto"
            Whether to show a progress line while reading. "auto" shows it in a terminal or notebook.

        Yields
        ------
        ndarray
            Probabilities of the classes, (n, classes), float32; or numbers in the file's unit, (n, 1), float64.

        Warns
        -----
        TableWarning
            If a whole column of categories, or a tenth of all values in such columns, is unknown to the model.

        Raises
        ------
        TableError
            If the file cannot be used.
        """
        reader = Reader(path, separator, verbose)
        encoder = Encoder(self.schema, reader, with_target=False)
        for block in reader.blocks():
            yield self.outputs(encoder.inputs(block))
        encoder.unseen.warn(reader.path)

    def predict(self, path: str | os.PathLike[str], *, separator: str | None = None) -> NDArray[Any]:
        """Predict the target of each row of a file.

        Parameters
        ----------
        path : path-like
            A CSV file in UTF-8 with a header. It may lack the target.
        separator : str, optional
            The character between the fields. By default it is found among comma, semicolon, tab and bar.

        Returns
        -------
        ndarray of shape (n,)
            The name of the most probable class of each row; or numbers in the file's unit, float64.

        Warns
        -----
        TableWarning
            If a whole column of categories, or a tenth of all values in such columns, is unknown to the model.

        Raises
        ------
        TableError
            If the file cannot be used.
        """
        return self.named(np.concatenate(list(self.predictions(path, separator=separator))))

    def named(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the predictions that `outputs` stand for.

        Parameters
        ----------
        outputs : ndarray of shape (n, k)
            What `outputs` or `predictions` returned.

        Returns
        -------
        ndarray of shape (n,)
            The name of the most probable class of each row; or numbers in the file's unit.
        """
        target = self.schema.target
        if isinstance(target, ClassTarget):
            names: NDArray[Any] = np.array(target.classes)[outputs.argmax(axis=1)]
            return names
        numbers: NDArray[Any] = outputs[:, 0]
        return numbers

    def evaluate(
        self, path: str | os.PathLike[str], *, separator: str | None = None, verbose: bool | str = "auto"
    ) -> dict[str, Any]:
        """Compute the metrics of the predictions for a file that has the target column.

        Parameters
        ----------
        path : path-like
            A CSV file in UTF-8 with a header.
        separator : str, optional
            The character between the fields. By default it is found among comma, semicolon, tab and bar.
        verbose : bool or "auto"
            Whether to show a progress line while reading. "auto" shows it in a terminal or notebook.

        Returns
        -------
        dict
            "rows", the number of rows, and the metrics. For classes: "accuracy"; "f1", the plain mean over the classes
            that occur; with two classes "roc_auc", None if only one class occurs; and "confusion_matrix", whose rows
            are the true classes. For numbers: "mean_absolute_error", "root_mean_squared_error" and "r2".

        Warns
        -----
        TableWarning
            If a whole column of categories, or a tenth of all values in such columns, is unknown to the model.

        Raises
        ------
        TableError
            If the file cannot be used, or contains a class that the model does not know.
        """
        reader = Reader(path, separator, verbose)
        encoder = Encoder(self.schema, reader, with_target=True)
        evaluation = Evaluation(self.schema)
        for block in reader.blocks():
            evaluation.add(encoder.targets(block), self.outputs(encoder.inputs(block)))
        encoder.unseen.warn(reader.path)
        return evaluation.result()

    def validation_figures(self, table: TrainingTable) -> dict[str, Any] | None:
        """Compute the metrics of the predictions for the validation rows of a table.

        Returns
        -------
        dict or None
            The metrics that `evaluate` returns. None if the table has no validation rows.

        Raises
        ------
        ValueError
            If the table was prepared with another schema than the model's.
        """
        return self.figures(*self.answers(table)) if len(table.X_validation) else None

    def answers(self, table: TrainingTable) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the true targets and the outputs for the validation rows, or for all rows if none validate.

        Returns
        -------
        y : ndarray of shape (n,)
            Indices of classes, or numbers in the file's unit.
        outputs : ndarray of shape (n, k)
            Probabilities of the classes; or numbers in the file's unit, (n, 1).

        Raises
        ------
        ValueError
            If the table was prepared with another schema than the model's.
        """
        self._require_own(table)
        has_validation = len(table.X_validation) > 0
        X, y = (table.X_validation, table.y_validation) if has_validation else (table.X, table.y)
        return self._in_unit(y), self.outputs(X)

    def figures(self, y: NDArray[Any], outputs: NDArray[Any]) -> dict[str, Any]:
        """Compute the metrics of given outputs.

        Parameters
        ----------
        y : ndarray of shape (n,)
            The true targets: indices of classes, or numbers in the file's unit.
        outputs : ndarray of shape (n, k)
            Probabilities of the classes; or numbers in the file's unit, (n, 1).

        Returns
        -------
        dict
            The metrics that `evaluate` returns.
        """
        evaluation = Evaluation(self.schema)
        evaluation.add(y, outputs)
        return evaluation.result()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network and the schema to one file.

        The file is replaced atomically: it is the old one or the new one at any moment. `Network.load` reads the
        network from it.

        Parameters
        ----------
        path : path-like
            The file to write.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        engine_of(self.network).save(os.fspath(path), optimizer=False, table=json.dumps(self.schema.to_dict()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TabularModel:
        """Load a model that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.

        Raises
        ------
        OSError
            If the file cannot be read.
        ModelFormatError
            If the file is not a valid model file, or holds a network without a schema.
        """
        network, schema = read_model(path)
        if schema is None:
            raise ModelFormatError(
                f"{os.fspath(path)}: holds a network, but not the columns of a table; give a model that `fastmlp train "
                "data.csv` wrote, or use fastmlp.Network.load in Python"
            )
        return cls(network, schema)

    def _require_own(self, table: TrainingTable) -> None:
        """Raise ValueError if a table was prepared with another schema."""
        if table.schema != self.schema:
            raise ValueError(
                f"{table.path} was prepared with other columns, means or categories than the model's; create a model "
                "for it with TabularModel.for_table"
            )

    def _in_unit(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return the targets of encoded rows: indices of classes as they are, numbers in the file's unit."""
        target = self.schema.target
        if isinstance(target, ClassTarget):
            return y
        numbers: NDArray[np.float64] = y.astype(np.float64) * target.deviation + target.mean
        return numbers


def read_model(path: str | os.PathLike[str]) -> tuple[Network, Schema | None]:
    """Return the network in a model file, and the schema. The schema is None if the file has none.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelFormatError
        If the file is not a valid model file, or its schema does not fit its network.
    """
    name = os.fspath(path)
    engine, stored = Engine.load(name, None)
    network = network_with(engine)
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
    """Raise ValueError if a schema is too long for the header of a model file.

    The check is made before the training, since a trained model that cannot be saved would be lost.
    """
    size, limit = len(json.dumps(json.dumps(schema.to_dict()))), HEADER_LIMIT - _RESERVED_FOR_LAYERS
    if size > limit:
        raise ValueError(
            f"the names of the table's {len(schema.columns):,} columns and of their categories take {size:,} bytes, "
            f"but a model file has room for {limit:,}; leave columns out"
        )


def _output_activation(schema: Schema) -> str:
    """Return the activation of the last layer. One class alone has a sigmoid: softmax over one unit learns nothing."""
    if not isinstance(schema.target, ClassTarget):
        return "linear"
    return "softmax" if schema.target.outputs > 1 else "sigmoid"


def _check_fit(network: Network, schema: Schema) -> None:
    """Raise ValueError if the inputs, the outputs or the output activation of a network do not fit a schema."""
    architecture = network.architecture
    if (architecture.inputs, architecture.outputs) != (schema.width, schema.target.outputs):
        raise ValueError(
            f"the network has {architecture.inputs} inputs and {architecture.outputs} outputs, but the table needs "
            f"{schema.width} and {schema.target.outputs}; create the model with TabularModel.for_table"
        )
    expected = _output_activation(schema)
    found = architecture.layers[-1].activation.name
    if found != expected:
        raise ValueError(f"the network's output must be {expected} for the table's target, got {found}")
