"""Write the report of a training, `fastmlp train --report FILE.html`: data, network, learning curves and metrics."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp import plot
from fastmlp._display import notebook
from fastmlp._io.atomic import write_atomically
from fastmlp.callbacks import GradientMonitor
from fastmlp.cli import paths, table_report
from fastmlp.cli.html_page import Page
from fastmlp.plot.canvas import require_matplotlib
from fastmlp.tables.preparing import KEPT_OUT
from fastmlp.tables.schema import ClassTarget

if TYPE_CHECKING:
    from fastmlp.history import History
    from fastmlp.network import Network
    from fastmlp.tables import TabularModel, TrainingTable
    from fastmlp.tables.preparing import Part

_MONITORED_ROWS = 256  # training rows whose gradients are measured after each epoch


class ReportError(ValueError):
    """Raised when a report cannot be written."""


@dataclass(frozen=True)
class Training:
    """The content of a report.

    Parameters
    ----------
    title, command : str
        The title of the page, and the command that was typed.
    data : sequence of str
        Sentences on the rows, the split and the target.
    columns : sequence of tuple of str
        A table of the columns, beginning with its header. It may be empty.
    network : Network
        The trained network.
    history : History
        The losses of each epoch.
    loss_unit : str
        A sentence that says in which unit the losses are. It may be empty.
    hints : sequence of str
        Sentences on what the training suggests.
    evaluated_on : sequence of str
        Sentences that say which rows `metrics`, `y` and `outputs` belong to.
    parts : sequence of str
        The names of the parts of the rows in which the metrics were measured.
    metrics : sequence of tuple of str
        The name of each metric, and its value in each part.
    y : ndarray of shape (n,)
        The true targets: indices of classes, or numbers.
    outputs : ndarray of shape (n, k)
        Probabilities of the classes, or (n, 1) predicted numbers.
    classes : sequence of str or None
        The names of the classes; None for numbers.
    monitor : GradientMonitor
        The callback that recorded gradients during the training.
    """

    title: str
    command: str
    data: Sequence[str]
    columns: Sequence[tuple[str, ...]]
    network: Network
    history: History
    loss_unit: str
    hints: Sequence[str]
    evaluated_on: Sequence[str]
    parts: Sequence[str]
    metrics: Sequence[tuple[str, ...]]
    y: NDArray[Any]
    outputs: NDArray[Any]
    classes: Sequence[str] | None
    monitor: GradientMonitor


def check_possible(path: str, *inputs: str) -> None:
    """Check that a report can be written, so that a command fails before the training and not after it.

    Raises
    ------
    ReportError
        If matplotlib is not installed.
    OSError
        If `path` cannot be written, or is one of the command's input files.
    """
    try:
        require_matplotlib()
    except ImportError as error:
        raise ReportError(f"--report draws pictures: {error}") from error
    paths.require_writable(path, *inputs, option="--report")


def make_monitor(X: NDArray[Any], y: NDArray[Any]) -> GradientMonitor:
    """Return a callback that records gradients on some training rows.

    The rows are spread evenly over the table, because files are often sorted.
    """
    rows = np.unique(np.linspace(0, len(X) - 1, min(len(X), _MONITORED_ROWS)).astype(np.intp))
    return GradientMonitor(X[rows], y[rows])


def from_table(
    model: TabularModel,
    table: TrainingTable,
    arguments: argparse.Namespace,
    batch_size: int,
    history: History,
    monitor: GradientMonitor,
) -> Training:
    """Return the content of the report of a training on a CSV file."""
    rows: dict[str, int] = {part: len(table.part(part)[0]) for part in KEPT_OUT}
    measured: list[Part] = [part for part in KEPT_OUT if rows[part]] or ["training"]
    figures = [model.table_figures(table, part) or {} for part in measured]
    # One point is no picture.
    drawable: list[Part] = ["training", *(part for part in measured if rows.get(part, 0) > 1)]
    pictured = drawable[-1]
    y, outputs = model.answers(table, pictured)
    target = model.schema.target
    shown = f"The pictures show the {len(y):,} {pictured} rows."
    return Training(
        title=f"{table.path}: {target.name}",
        command=arguments.command,
        data=[f"{table_report.size_line(table)}.", *table_report.plan_lines(table, arguments.seed, batch_size)],
        columns=table_report.column_rows(table.schema, table.missing),
        network=model.network,
        history=history,
        loss_unit=_loss_unit(model),
        hints=table_report.hint_lines(model.hints),
        evaluated_on=[table_report.kept_out_line(rows), shown],
        parts=measured,
        metrics=table_report.metric_rows(figures, model.schema),
        y=y,
        outputs=outputs,
        classes=target.classes if isinstance(target, ClassTarget) else None,
        monitor=monitor,
    )


def _loss_unit(model: TabularModel) -> str:
    """Return a sentence that says in which unit the losses of a target of numbers are."""
    if isinstance(model.schema.target, ClassTarget):
        return ""
    loss, name = model.network.architecture.loss.name, model.schema.target.name
    unit = "the unit" if loss == "mean_absolute_error" else "the square of the unit"
    return f"The losses, {loss}, are in {unit} of {name}."


def write(arguments: argparse.Namespace, collect: Callable[[], Training]) -> ReportError | None:
    """Write a report to `arguments.report`, completely or not at all, and print that it was written.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments of the command.
    collect : callable
        Returns the content of the report.

    Returns
    -------
    ReportError or None
        The error if the report cannot be written. It is returned and not raised, so that the command can first print
        the results of the training.
    """
    path = arguments.report
    try:
        page = make_page(collect())
        # Names of files need not be valid Unicode. What is not valid is written as an escape.
        write_atomically(path, [page.encode("utf-8", "backslashreplace")])
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        failure = ReportError(f"the model is saved, but the report {path} is not: {reason or type(error).__name__}")
        failure.__cause__ = error
        return failure
    if not arguments.json:
        print(f"wrote {path}")
    return None


def make_page(training: Training) -> str:
    """Return the HTML of a report."""
    page = Page(training.title)
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    page.code(training.command)
    page.paragraph(f"fastmlp {fastmlp.__version__}, {now}")
    _add_data(page, training)
    _add_training(page, training)
    _add_metrics(page, training)
    _add_gradients(page, training)
    return page.text()


def _add_data(page: Page, training: Training) -> None:
    page.heading("Data")
    for sentence in training.data:
        page.paragraph(sentence)
    if training.columns:
        page.table(training.columns[0], training.columns[1:], training.columns[0][2:])


def _add_training(page: Page, training: Training) -> None:
    history = training.history
    page.heading("Network")
    page.picture(plot.network(training.network), "The layers of the network")
    page.html(notebook.network_table(training.network.architecture))
    page.heading("Training")
    page.paragraph(table_report.training_line(history))
    for sentence in (*training.hints, training.loss_unit):
        if sentence:
            page.paragraph(sentence)
    page.picture(plot.learning_curves(history, title=None), "The loss of each epoch")
    page.html(notebook.history_table(history.history, len(history.epoch), history.seconds))


def _add_metrics(page: Page, training: Training) -> None:
    page.heading("Metrics")
    for sentence in training.evaluated_on:
        page.paragraph(sentence)
    page.table(("metric", *training.parts), training.metrics, training.parts)
    if training.classes is None:
        page.picture(plot.predicted_versus_true(training.y, training.outputs[:, 0]), "Predicted against true numbers")
        return
    indices, predicted = np.arange(len(training.classes)), training.outputs.argmax(axis=1)
    matrix = plot.confusion_matrix(training.y, predicted, labels=indices, display_labels=training.classes)
    page.picture(matrix, "Confusion matrix")
    if len(np.unique(training.y)) == 1:
        page.paragraph("All these rows belong to one class, so there is no ROC curve.")
        return
    page.picture(plot.roc_curves(training.y, training.outputs, display_labels=training.classes), "ROC curves")


def _add_gradients(page: Page, training: Training) -> None:
    rows = len(np.asarray(training.monitor.y))
    page.heading("Gradients")
    page.paragraph(
        f"Norms of each layer after each epoch, measured on {rows} of the training rows. Gradients vanish if they are "
        "orders of magnitude smaller in the first layers than in the last ones. Dead units, whose output is 0 for all "
        "these rows, learn nothing."
    )
    page.picture(plot.gradient_norms(training.monitor), "Weights, gradients and activations of each layer")
