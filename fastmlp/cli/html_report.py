"""The report of a training, `fastmlp train --report FILE.html`: what was asked, learned and reached, with pictures."""

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
from fastmlp.cli import options, table_report
from fastmlp.cli.html_page import Page
from fastmlp.plot.canvas import require_matplotlib
from fastmlp.tables.schema import ClassTarget

if TYPE_CHECKING:
    from fastmlp.history import History
    from fastmlp.network import Network
    from fastmlp.tables import TabularModel, TrainingTable

_WATCHED = 256  # training rows whose gradients are measured after each epoch


class ReportError(ValueError):
    """A report that cannot be written."""


@dataclass(frozen=True)
class Training:
    """What a report tells of.

    Parameters
    ----------
    title, command : str
        The headline; and what was typed.
    data : sequence of str
        Sentences on rows, split and target.
    columns : sequence of tuple of str
        A table of the columns, its head first; may be empty.
    network : Network
        After the training.
    history : History
        Of the training.
    judged : str
        On which rows y and outputs are.
    figures : sequence of tuple of str
        Names and values of the metrics on these rows.
    y : ndarray of shape (n,)
        Places of classes, or numbers.
    outputs : ndarray of shape (n, k)
        Probabilities of the classes, or (n, 1) predicted numbers.
    classes : sequence of str, optional
        Their names; None where numbers are predicted.
    monitor : GradientMonitor
        That watched the training.
    """

    title: str
    command: str
    data: Sequence[str]
    columns: Sequence[tuple[str, ...]]
    network: Network
    history: History
    judged: str
    figures: Sequence[tuple[str, str]]
    y: NDArray[Any]
    outputs: NDArray[Any]
    classes: Sequence[str] | None
    monitor: GradientMonitor


def require(path: str, *read: str) -> None:
    """Fail before the training and not after it.

    Raises
    ------
    ReportError
        If matplotlib is not installed.
    OSError
        If the file cannot be written, or is one of those that are read.
    """
    try:
        require_matplotlib()
    except ImportError as error:
        raise ReportError(f"--report draws pictures: {error}") from error
    options.require_writable(path, *read, option="--report")


def monitor_of(X: NDArray[Any], y: NDArray[Any]) -> GradientMonitor:
    """A callback that watches some of the training rows, from all over the table: files are often sorted."""
    some = np.unique(np.linspace(0, len(X) - 1, min(len(X), _WATCHED)).astype(np.intp))
    return GradientMonitor(X[some], y[some])


def of_table(
    model: TabularModel,
    table: TrainingTable,
    arguments: argparse.Namespace,
    batch_size: int,
    history: History,
    monitor: GradientMonitor,
) -> Training:
    """What there is to tell of a training on a CSV file."""
    y, outputs = model.answers(table)
    target = model.schema.target
    kept_out = f"On the {len(y):,} rows kept out of training, which also decided when it stopped."
    return Training(
        title=f"{table.path}: {target.name}",
        command=arguments.command,
        data=[f"{table_report.size(table)}.", *table_report.plan(table, arguments.seed, batch_size)],
        columns=table_report.column_rows(table.schema, table.missing),
        network=model.network,
        history=history,
        judged=kept_out if len(table.X_validation) else f"On the {len(y):,} training rows: none were kept out.",
        figures=table_report.named_figures(model.figures(y, outputs), model.schema),
        y=y,
        outputs=outputs,
        classes=target.classes if isinstance(target, ClassTarget) else None,
        monitor=monitor,
    )


def write(arguments: argparse.Namespace, gather: Callable[[], Training]) -> ReportError | None:
    """Write the report of what `gather` gives to `arguments.report`, whole or not at all, and say so.

    Returns
    -------
    ReportError or None
        What went wrong, to be raised when all else is told: a training is not lost by its report.
    """
    path = arguments.report
    try:
        page = page_of(gather())
        # Names of files need not be Unicode; what is not shows as an escape.
        write_atomically(path, [page.encode("utf-8", "backslashreplace")])
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        failure = ReportError(f"the model is saved, but not the report, {path}: {reason or type(error).__name__}")
        failure.__cause__ = error
        return failure
    if not arguments.json:
        print(f"wrote {path}")
    return None


def page_of(training: Training) -> str:
    """The report's HTML."""
    page = Page(training.title)
    made = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    page.code(training.command)
    page.paragraph(f"fastmlp {fastmlp.__version__}, {made}")
    page.heading("Data")
    for sentence in training.data:
        page.paragraph(sentence)
    if training.columns:
        page.table(training.columns[0], training.columns[1:], training.columns[0][2:])
    page.heading("Network")
    page.picture(plot.network(training.network), "The layers of the network")
    page.html(notebook.network_table(training.network.architecture))
    page.heading("Training")
    page.paragraph(table_report.course(training.history))
    page.picture(plot.learning_curves(training.history, title=None), "The loss of every epoch")
    page.html(notebook.history_table(training.history.history, len(training.history.epoch), training.history.seconds))
    page.heading("How good it is")
    page.paragraph(training.judged)
    page.table(("metric", "value"), training.figures, ("value",))
    if training.classes is None:
        page.picture(plot.predicted_versus_true(training.y, training.outputs[:, 0]), "Predicted against true numbers")
    else:
        _add_classes(page, training, training.classes)
    page.heading("Gradients")
    watched = len(np.asarray(training.monitor.y))
    page.paragraph(
        f"Layer by layer after each epoch, on {watched} of the training rows. A gradient that is "
        "smaller by orders of magnitude in the first layers than in the last ones vanishes; dead units, which are 0 in "
        "all these rows, learn nothing."
    )
    page.picture(plot.gradient_norms(training.monitor), "Weights, gradients and activations of each layer")
    return page.text()


def _add_classes(page: Page, training: Training, classes: Sequence[str]) -> None:
    places, called = np.arange(len(classes)), training.outputs.argmax(axis=1)
    matrix = plot.confusion_matrix(training.y, called, labels=places, display_labels=classes)
    page.picture(matrix, "How often each class was taken for each")
    if len(np.unique(training.y)) == 1:
        page.paragraph("All these rows are of one class, so there is no ROC curve.")
        return
    page.picture(plot.roc_curves(training.y, training.outputs, display_labels=classes), "ROC curves")
