"""`TabularModel`: a network and the schema of the table that it learned from, saved together in one file."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp._engine.engine import Engine, engine_of
from fastmlp._io.model_file import HEADER_LIMIT, ModelFormatError
from fastmlp._runtime.checks import shown
from fastmlp._runtime.names import AttributeHints, check_keywords, on_class_only
from fastmlp.callbacks import Callback
from fastmlp.history import History
from fastmlp.layers import Dense
from fastmlp.losses import Loss
from fastmlp.network import Network, network_with
from fastmlp.optimizers import Optimizer
from fastmlp.tables import hints, record
from fastmlp.tables import schema as schemas
from fastmlp.tables.encode import Encoder
from fastmlp.tables.errors import TableError
from fastmlp.tables.evaluation import Evaluation
from fastmlp.tables.preparing import KEPT_OUT, Part, TrainingTable
from fastmlp.tables.record import TrainingRecord
from fastmlp.tables.schema import ClassTarget, NumberTarget, Schema, Target
from fastmlp.tables.seen_rows import SeenRowCounter, SeenRows, share_by_chance
from fastmlp.tables.sources import Source, open_table
from fastmlp.tables.target_losses import loss_units, resolve_loss

_ROWS_TO_JUDGE = 20  # validation rows
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

    Attributes
    ----------
    record : TrainingRecord or None
        How the model was trained: the numbers of rows, the columns left out, the figures on the validation rows and on
        the test rows, and digests of the rows it has seen. None before the first `fit`, and for files without it.
    hints : tuple of str
        What the last `fit` suggests: more epochs, another learning rate, or that nothing was learned. Not saved.

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
        self.record: TrainingRecord | None = None
        self.hints: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the target, the number of columns and the network in one line."""
        return f"TabularModel({self.schema.target.name!r} from {len(self.schema.columns)} columns; {self.network!r})"

    @on_class_only
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
        loss: str | Loss | None = None,
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
        loss : str or Loss, optional
            For classes "categorical_crossentropy", the default, or "kl_divergence". For numbers "mean_squared_error",
            the default, "half_squared_error", "mean_absolute_error", "huber" or "log_cosh". The network has
            standardised targets, so that the delta of `Huber` is a number of standard deviations.
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
        schema = _require_table(table).schema
        if isinstance(hidden, (int, str)):
            raise TypeError(f"hidden must be a list of the units of each hidden layer, such as [64], got {hidden!r}")
        output = _output_activation(schema)
        layers: list[int | Dense] = [Dense(units, activation, dropout=dropout, l2=l2) for units in hidden]
        layers = [schema.width, *layers, Dense(schema.target.outputs, output, l2=l2)]
        found = None if loss is None else resolve_loss(loss, schema.target)
        return cls(Network(layers, loss=found, optimizer=optimizer, seed=seed), schema)

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

        Losses and errors of numbers are those in the target's own unit, or in its square for squared errors.

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
            The losses of each epoch. Afterwards `record` holds the figures on the rows kept out, and `hints` what the
            losses suggest.

        Raises
        ------
        ValueError
            If the table was prepared with another schema than the model's.
        NonFiniteLossError
            If the loss becomes NaN or infinite.
        """
        self._require_own(table)
        begun = self._record_of(table)
        engine, first_step = engine_of(self.network), self.network.step
        engine.units = loss_units(self.network.architecture.loss, self.schema.target)
        try:
            history = self.network.fit(
                table.X,
                table.y,
                epochs=epochs,
                batch_size=batch_size,
                validation_data=table.part("validation") if len(table.X_validation) else None,
                metrics=self._validation_metrics(table),
                callbacks=callbacks,
                verbose=verbose,
            )
        finally:
            engine.units = {}
            if self.network.step != first_step:
                self.record, self.hints = begun, ()
        validation, test = (record.stored_figures(self.table_figures(table, part)) for part in KEPT_OUT)
        self.record = dataclasses.replace(begun, validation=validation, test=test)
        if not isinstance(self.schema.target, ClassTarget) or len(self.schema.target.classes) > 1:
            found = [*hints.curve_hints(history.history), *self._baseline_hints(table)]
            self.hints = (*found, *self._duplicate_hints(table, begun.seen))
        return history

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
        self, data: Source, *, separator: str | None = None, verbose: bool | str = "auto"
    ) -> Iterator[NDArray[Any]]:
        """Yield the outputs for the rows of a file block by block, so that the file may be larger than memory.

        The order of the file's columns may differ from the training file's. The file may have more columns, and it may
        lack the target.

        Parameters
        ----------
        data : path-like, DataFrame, pyarrow.Table or pyarrow.RecordBatch
            A CSV file in UTF-8 with a header; or a DataFrame of pandas or polars, or an Arrow table.
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
            If a whole column of categories, or a tenth of all values in such columns, is unknown to the model. If a
            column of numbers is empty in at least 20 rows.

        Raises
        ------
        TableError
            If the file cannot be used.
        """
        reader = open_table(data, separator, verbose, self.schema.decimal)
        encoder = Encoder(self.schema, reader, with_target=False)
        for block in reader.blocks():
            yield self.outputs(encoder.inputs(block))
        encoder.unseen.warn(reader.path)

    def predict(self, data: Source, *, separator: str | None = None) -> NDArray[Any]:
        """Predict the target of each row of a file.

        Parameters
        ----------
        data : path-like, DataFrame, pyarrow.Table or pyarrow.RecordBatch
            A CSV file in UTF-8 with a header; or a DataFrame of pandas or polars, or an Arrow table. Its columns are
            taken by name, and it may lack the target.
        separator : str, optional
            The character between the fields. By default it is found among comma, semicolon, tab and bar.

        Returns
        -------
        ndarray of shape (n,)
            The name of the most probable class of each row; or numbers in the file's unit, float64.

        Warns
        -----
        TableWarning
            If a whole column of categories, or a tenth of all values in such columns, is unknown to the model. If a
            column of numbers is empty in at least 20 rows.

        Raises
        ------
        TableError
            If the file cannot be used.
        """
        return self.named(np.concatenate(list(self.predictions(data, separator=separator))))

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
        self,
        data: Source,
        *,
        separator: str | None = None,
        skip_missing_target: bool = False,
        verbose: bool | str = "auto",
    ) -> dict[str, Any]:
        """Compute the metrics of the predictions for a file or DataFrame that has the target column.

        Parameters
        ----------
        data : path-like, DataFrame, pyarrow.Table or pyarrow.RecordBatch
            A CSV file in UTF-8 with a header; or a DataFrame of pandas or polars, or an Arrow table.
        separator : str, optional
            The character between the fields. By default it is found among comma, semicolon, tab and bar.
        skip_missing_target : bool
            Whether to leave out rows whose target is missing. By default such a row is an error.
        verbose : bool or "auto"
            Whether to show a progress line while reading. "auto" shows it in a terminal or notebook.

        Returns
        -------
        dict
            "rows", the number of rows; with `skip_missing_target` "skipped", how many were left out; and the metrics.
            For classes: "accuracy"; "f1", the plain mean over the classes that occur; with two classes "roc_auc", None
            if only one class occurs; and "confusion_matrix", whose rows are the true classes. For numbers:
            "mean_absolute_error", "root_mean_squared_error" and "r2", None if all true numbers are equal. "known_share"
            is the share of the rows that are among the training rows and validation rows of the model, for which the
            figures are too good. It is None if the model has no record of them, and an estimate if they were more than
            12,000.

        Warns
        -----
        TableWarning
            If a whole column of categories, or a tenth of all values in such columns, is unknown to the model. If a
            column of numbers is empty in at least 20 rows.

        Raises
        ------
        TableError
            If the file cannot be used, or contains a class that the model does not know.
        """
        reader = open_table(data, separator, verbose, self.schema.decimal)
        encoder = Encoder(self.schema, reader, with_target=True)
        evaluation = Evaluation(self.schema)
        counter = None if self.record is None else SeenRowCounter(self.record.seen)
        skipped = 0
        for block in reader.blocks():
            kept = encoder.without_missing_target(block) if skip_missing_target else block
            skipped += len(block.lines) - len(kept.lines)
            X, y = encoder.inputs(kept), encoder.targets(kept)
            evaluation.add(y, self.outputs(X))
            if counter is not None:
                counter.add(X, _standardised(y, self.schema.target))
        encoder.unseen.warn(reader.path)
        if not evaluation.rows:
            raise TableError(reader.path, "the target is missing in every row", column=self.schema.target.name)
        figures = {**evaluation.result(), "known_share": None if counter is None else counter.share()}
        return figures | ({"skipped": skipped} if skip_missing_target else {})

    def table_figures(self, table: TrainingTable, part: Part = "validation") -> dict[str, Any] | None:
        """Compute the metrics of the predictions for the rows of a part of a table.

        Parameters
        ----------
        table : TrainingTable
            The table that the model was created for.
        part : {"training", "validation", "test"}
            Which rows.

        Returns
        -------
        dict or None
            The metrics that `evaluate` returns. None if the part has no rows.

        Raises
        ------
        ValueError
            If the table was prepared with another schema than the model's.
        """
        return self.figures(*self.answers(table, part)) if len(table.part(part)[0]) else None

    def answers(self, table: TrainingTable, part: Part = "validation") -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the true targets and the outputs for the rows of a part of a table.

        Parameters
        ----------
        table : TrainingTable
            The table that the model was created for.
        part : {"training", "validation", "test"}
            Which rows.

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
        X, y = table.part(part)
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
            The metrics that `evaluate` returns, without "known_share".
        """
        evaluation = Evaluation(self.schema)
        evaluation.add(y, outputs)
        return evaluation.result()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network, the schema and the record of the training to one file.

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
        engine_of(self.network).save(os.fspath(path), optimizer=False, table=_to_json(self.schema, self.record))

    @on_class_only
    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TabularModel:
        """Return the model that `save` wrote. Call it on the class: `model = TabularModel.load(path)`.

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
        network, schema, found = read_model(path)
        if schema is None:
            raise ModelFormatError(
                f"{os.fspath(path)}: holds a network, but not the columns of a table; give a model that `fastmlp train "
                "data.csv` wrote, or use fastmlp.Network.load in Python"
            )
        model = cls(network, schema)
        model.record = found
        return model

    def _record_of(self, table: TrainingTable) -> TrainingRecord:
        """Return the record of a fit of a table that begins, with the rows of this fit and of earlier ones.

        Raises
        ------
        ValueError
            If the record would be too large for a model file.
        """
        rows = {"training": len(table.X), "validation": len(table.X_validation), "test": len(table.X_test)}
        begun = TrainingRecord(rows, table.left_out)
        seen = begun.seen if self.record is None else self.record.seen
        seen = seen.with_rows(*table.part("training")).with_rows(*table.part("validation"))
        begun = dataclasses.replace(begun, seen=seen)
        _check_size(self.schema, begun)
        return begun

    def _validation_metrics(self, table: TrainingTable) -> list[str] | None:
        """Return the metrics of the validation rows, None for the default: R squared of one number is undefined."""
        is_number = isinstance(self.schema.target, NumberTarget)
        return ["mean_absolute_error"] if is_number and len(table.X_validation) == 1 else None

    def _baseline_hints(self, table: TrainingTable) -> list[str]:
        """Return whether the model is no better than a constant: on the validation rows, or on the training rows.

        A few validation rows would tell nothing.
        """
        part: Part = "validation" if len(table.X_validation) >= _ROWS_TO_JUDGE else "training"
        y, outputs = self.answers(table, part)
        target = self.schema.target
        if isinstance(target, ClassTarget):
            return hints.class_hints(part, y, outputs, table.y, target.classes)
        return hints.number_hints(part, y, outputs[:, 0], target.mean)

    def _duplicate_hints(self, table: TrainingTable, seen: SeenRows) -> list[str]:
        """Return whether many test rows are equal to rows of the training, and not by chance."""
        X, y = table.part("test")
        if not len(X):
            return []
        counter = SeenRowCounter(seen)
        counter.add(X, y)
        return hints.duplicate_hints(
            counter.share(), share_by_chance(seen, X, y, [column.width for column in self.schema.columns])
        )

    def _require_own(self, table: TrainingTable) -> None:
        """Raise ValueError if a table was prepared with another schema, and TypeError if it is none."""
        if _require_table(table).schema != self.schema:
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


def _require_table(table: TrainingTable) -> TrainingTable:
    """Return the table, and raise TypeError if it is something else, such as a path."""
    if not isinstance(table, TrainingTable):
        raise TypeError(f"table must be what fastmlp.tables.prepare(path, target) returns, got {shown(table)}")
    return table


def read_model(path: str | os.PathLike[str]) -> tuple[Network, Schema | None, TrainingRecord | None]:
    """Return the network in a model file, the schema and the record of the training. None stands for what it lacks.

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
        return network, None, None
    try:
        schema, found = _from_json(stored)
        _check_fit(network, schema)
        _check_size(schema, found)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFormatError(f"{name}: the description of the table is wrong: {error!s:.2000}") from error
    return network, schema, found


def _to_json(schema: Schema, found: TrainingRecord | None) -> str:
    """Return what a model file stores of a table: the schema and, under the key "training", the record."""
    training = {} if found is None else {"training": found.to_dict()}
    return json.dumps({**schema.to_dict(), **training})


def _from_json(text: str) -> tuple[Schema, TrainingRecord | None]:
    """Return what `_to_json` described."""
    stored = json.loads(text)
    found = None
    if isinstance(stored, dict) and "training" in stored:
        found = record.from_dict(stored.pop("training"))
    return schemas.from_dict(stored), found


def _standardised(y: NDArray[Any], target: Target) -> NDArray[Any]:
    """Return targets as a network is trained on them: indices of classes, or standardised numbers."""
    if isinstance(target, NumberTarget):
        standardised: NDArray[np.float32] = ((y - target.mean) / target.deviation).astype(np.float32)
        return standardised
    return y


def _check_size(schema: Schema, found: TrainingRecord | None = None) -> None:
    """Raise ValueError if schema and record are too long for the header of a model file.

    The check is made before the training, since a trained model that cannot be saved would be lost.
    """
    size, limit = len(json.dumps(_to_json(schema, found))), HEADER_LIMIT - _RESERVED_FOR_LAYERS
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
