"""`fastmlp train`: train a network on a CSV file and save it. Without a file, see `demo`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from fastmlp.cli import demo, notices, options, train_options
from fastmlp.cli.interrupts import watch_files
from fastmlp.cli.paths import SUFFIX, data_source, require_writable

if TYPE_CHECKING:
    from fastmlp.callbacks import GradientMonitor
    from fastmlp.cli.html_report import ReportError
    from fastmlp.history import History
    from fastmlp.tables import TabularModel, TrainingTable
    from fastmlp.tables.csv_file import NamedFile


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a network on a CSV file, or on the breast-cancer data of the package",
        usage=train_options.USAGE,
        description=train_options.DESCRIPTION,
        epilog=train_options.EPILOG,
    )
    train_options.add_to(parser)
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> None:
    """Train on the CSV file, or on the data of the package.

    Raises
    ------
    NothingWritten
        If the command is interrupted before the model is written.
    """
    train_options.complete(arguments)
    if arguments.data is None:
        demo.run(arguments)
        return
    path = arguments.out.removesuffix(SUFFIX) + SUFFIX
    with watch_files(path):
        require_writable(path, arguments.data)
        if arguments.report:
            from fastmlp.cli import html_report

            html_report.check_possible(arguments.report, arguments.data)
        with data_source(arguments.data) as data, notices.shown(arguments) as found:
            _train(arguments, data, path, found)


def _train(arguments: argparse.Namespace, data: str | NamedFile, path: str, warnings: list[str]) -> None:
    """Read the file, train, save the model, and print the results. `warnings` fills while the file is read."""
    from fastmlp.cli import table_report
    from fastmlp.tables.preparing import KEPT_OUT

    table = _read_table(arguments, data)
    model = _make_model(arguments, table)
    batch_size = train_options.batch_size(arguments, len(table.X))
    if not (arguments.json or arguments.quiet):
        print(table_report.before_training(table, arguments.seed, batch_size))
        model.network.summary()
        print(flush=True)
    elif not arguments.json:
        print("".join(f"{line}\n" for line in table_report.left_out_lines(table)), end="")
    monitor = _make_monitor(arguments, table)
    history = _fit(arguments, model, table, batch_size, monitor)
    figures: dict[str, dict[str, Any] | None] = {part: model.table_figures(table, part) for part in KEPT_OUT}
    model.save(path)
    if not arguments.json:
        print(table_report.after_training(history, figures, model))
        print(f"wrote {path}", flush=True)
    failure = _write_report(arguments, model, table, batch_size, history, monitor)
    if arguments.json:
        files = {"model": path, "report": None if failure is not None else arguments.report}
        results: dict[str, Any] = {**figures, "hints": list(model.hints), "warnings": warnings}
        print(json.dumps(_to_dict(table, history) | results | files | {"seed": arguments.seed}))
    if failure is not None:
        raise failure
    if not arguments.json:
        new = "DATA.csv" if arguments.data == "-" else table_report.quote(arguments.data)
        print(f"next: fastmlp predict {table_report.quote(path)} {new}")


def _read_table(arguments: argparse.Namespace, data: str | NamedFile) -> TrainingTable:
    from fastmlp.tables import prepare

    return prepare(
        data,
        arguments.target,
        task=arguments.task,
        validation=arguments.validation,
        test=arguments.test,
        seed=arguments.seed,
        categorical=arguments.categorical,
        ignore=arguments.ignore,
        keep=arguments.keep,
        separator=arguments.separator,
        decimal=arguments.decimal,
        skip_missing_target=arguments.skip_missing_target,
        verbose=options.verbose(arguments),
    )


def _make_model(arguments: argparse.Namespace, table: TrainingTable) -> TabularModel:
    from fastmlp import optimizers
    from fastmlp.tables import TabularModel

    optimizer = optimizers.resolve(arguments.optimizer)
    if arguments.learning_rate is not None:
        if not isinstance(optimizer, optimizers.StepOptimizer):
            raise ValueError(
                f"--learning-rate is of no use with --optimizer {optimizer.name}, which has none; leave it out"
            )
        optimizer = dataclasses.replace(optimizer, learning_rate=arguments.learning_rate)
    return TabularModel.for_table(
        table,
        arguments.layers,
        activation=arguments.activation,
        dropout=arguments.dropout,
        l2=arguments.l2,
        loss=arguments.loss,
        optimizer=optimizer,
        seed=arguments.seed,
    )


def _make_monitor(arguments: argparse.Namespace, table: TrainingTable) -> GradientMonitor | None:
    """Return the callback that records what a report shows. None if no report is asked for."""
    if not arguments.report:
        return None
    from fastmlp.cli import html_report

    return html_report.make_monitor(table.X, table.y)


def _fit(
    arguments: argparse.Namespace,
    model: TabularModel,
    table: TrainingTable,
    batch_size: int,
    monitor: GradientMonitor | None,
) -> History:
    from fastmlp import EarlyStopping
    from fastmlp.callbacks import Callback

    callbacks: list[Callback] = [EarlyStopping(patience=arguments.patience)] if len(table.X_validation) else []
    if monitor is not None:
        callbacks.append(monitor)
    return model.fit(
        table,
        epochs=arguments.epochs,
        batch_size=batch_size,
        callbacks=callbacks,
        verbose=options.verbose(arguments),
    )


def _write_report(
    arguments: argparse.Namespace,
    model: TabularModel,
    table: TrainingTable,
    batch_size: int,
    history: History,
    monitor: GradientMonitor | None,
) -> ReportError | None:
    """Write the report, if one is asked for.

    Returns
    -------
    ReportError or None
        The error if the report cannot be written. It is returned and not raised, because the model is already saved
        and its metrics have yet to be printed.
    """
    if monitor is None:
        return None
    from fastmlp.cli import html_report

    def collect() -> html_report.Training:
        return html_report.from_table(model, table, arguments, batch_size, history, monitor)

    return html_report.write(arguments, collect)


def _to_dict(table: TrainingTable, history: History) -> dict[str, Any]:
    """Return the table and the training as --json prints them."""
    from fastmlp.cli.table_report import best_epoch

    schema = table.schema.to_dict()
    for column in schema["columns"]:
        column["missing_values"] = table.missing[column["name"]]
    return {
        "data": table.path,
        "rows": {"training": len(table.X), "validation": len(table.X_validation), "test": len(table.X_test)},
        "skipped": table.skipped,
        "columns": schema["columns"],
        "target": schema["target"],
        "constant": list(table.constant),
        "left_out": [dataclasses.asdict(column) for column in table.left_out],
        "suspicious": [dataclasses.asdict(column) for column in table.suspicious],
        "inputs": table.schema.width,
        "epochs": len(history.epoch),
        "best_epoch": best_epoch(history.history),
        "seconds": round(history.seconds, 3),
    }
