"""`fastmlp train`: from a CSV file to a saved model; without a file, on the breast-cancer data of the package."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any

from fastmlp.cli import demo, options
from fastmlp.cli.interrupts import told_if_nothing_written

if TYPE_CHECKING:
    from fastmlp.callbacks import GradientMonitor
    from fastmlp.cli.html_report import ReportError
    from fastmlp.history import History
    from fastmlp.tables import TabularModel, TrainingTable

MANY_ROWS, LARGE_BATCH, USUAL_BATCH = 100_000, 256, 32
_DESCRIPTION = """
With a file: train a network that predicts its column COLUMN from all the others, and save it with all that it needs to
read such files again. Columns may hold numbers or texts; missing values are empty, NA, N/A, n/a, #N/A, <NA>, NaN, nan,
NAN, null, NULL, None, ? or -.
Without a file: train a network 30-16-8-2 (relu, relu, softmax) that tells malignant from benign breast masses: 569
fine-needle aspirates with 30 measurements each, which ship with the package. 60 % of the rows train, 20 % decide when
to stop, 20 % test; every class is split alike. Malignant is the positive class.
"""
_EPILOG = """
`fastmlp predict MODEL DATA.csv` goes on from a file's model. The model without a file takes the measurements as they
are, fastmlp.Network.load(PATH).predict(X): the standardisation is folded into its first layer.
"""
_ONLY_WITH_DATA = {  # option: its default with a file
    "target": None,
    "layers": [64, 32],
    "activation": "relu",
    "optimizer": "adam",
    "dropout": 0.0,
    "l2": 0.0,
    "validation": 0.2,
    "task": "auto",
    "categorical": [],
    "ignore": [],
    "separator": None,
    "decimal": ".",
}


def add_to(commands: Any) -> None:
    """Declare the command to argparse."""
    parser = commands.add_parser(
        "train",
        help="train on a CSV file, or on the breast-cancer data; save the model",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("data", nargs="?", metavar="DATA.csv", help="a CSV file in UTF-8 with a header")
    _add_options_of_both(parser)
    group = parser.add_argument_group("with a file")

    def option(name: str, text: str, usual: str, **settings: Any) -> None:
        group.add_argument(name, help=f"{text} (default: {usual})", **settings)

    group.add_argument("--target", metavar="COLUMN", help="the column to predict; needed")
    option("--task", "classes or numbers", "by the target", choices=["auto", "classification", "regression"])
    option("--layers", "units of the hidden layers, or none", "64,32", type=options.layers, metavar="N,N")
    option("--activation", "of the hidden layers", "relu", type=options.activation, metavar="NAME")
    option("--optimizer", "the update rule", "adam", type=options.optimizer, metavar="NAME")
    option("--dropout", "share of hidden units dropped in training", "0", type=options.share, metavar="X")
    option("--l2", "penalty on the weights", "0", type=options.penalty, metavar="X")
    option("--validation", "share of the rows kept out, to decide when to stop", "0.2", type=options.share, metavar="X")
    many = {"type": options.names, "action": "extend", "metavar": "A,B"}
    option("--categorical", "columns whose values are names, even if they are numbers", "texts", **many)
    option("--ignore", "columns to leave out", "none", **many)
    option("--decimal", "the decimal sign, a point or a comma", "point", choices=[".", ","], metavar="X")
    options.add_separator(group)
    parser.set_defaults(run=functools.partial(run, parser))


def _add_options_of_both(parser: argparse.ArgumentParser) -> None:
    def option(name: str, text: str, usual: str, **settings: Any) -> None:
        parser.add_argument(name, help=f"{text} (default: {usual})", **settings)

    option("--seed", "decides split, first weights and shuffles", "0", type=options.whole(0), default=0, metavar="N")
    option("--epochs", "the most passes over the training rows", "200", type=options.whole(1), default=200, metavar="N")
    option(
        "--batch-size",
        "rows in a step",
        f"{USUAL_BATCH}; {LARGE_BATCH} with a file of more than {MANY_ROWS:,} training rows",
        type=options.whole(1),
        metavar="N",
    )
    option(
        "--learning-rate",
        "the optimizer's step size",
        f"{demo.LEARNING_RATE}; with a file the optimizer's own, 0.001 for adam",
        type=options.positive,
        metavar="X",
    )
    option(
        "--patience",
        "epochs without a better validation loss until it stops",
        "20",
        type=options.whole(1),
        default=20,
        metavar="N",
    )
    option(
        "--out",
        "write PREFIX.safetensors, without a file also PREFIX.png",
        f"model; {demo.OUT}",
        type=options.file_name,
        metavar="PREFIX",
    )
    option(
        "--report",
        "write a page with data, network, learning curves and how good it is; needs fastmlp[plot]",
        "none",
        type=options.html_name,
        metavar="FILE.html",
    )
    options.add_output_options(parser)


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Train on the file, or on the package's data.

    Raises
    ------
    NothingWritten
        If it is interrupted and the model's file is as it was.
    """
    given = [name for name in _ONLY_WITH_DATA if getattr(arguments, name) is not None]
    if arguments.data is None:
        if given:
            parser.error(f"--{given[0]} needs a file: fastmlp train data.csv --target COLUMN")
        arguments.batch_size = arguments.batch_size or USUAL_BATCH
        arguments.learning_rate = arguments.learning_rate or demo.LEARNING_RATE
        arguments.out = arguments.out or demo.OUT
        demo.run(arguments)
        return
    for name, default in _ONLY_WITH_DATA.items():
        if name not in given:
            setattr(arguments, name, default)
    if arguments.target is None:
        parser.error(f"--target COLUMN is needed: which column to predict{_columns_of(arguments)}")
    path = (arguments.out or "model").removesuffix(options.SUFFIX) + options.SUFFIX
    with told_if_nothing_written(path):
        options.require_writable(path, arguments.data)
        if arguments.report:
            from fastmlp.cli import html_report

            html_report.require(arguments.report, arguments.data)
        _train(arguments, path)


def _columns_of(arguments: argparse.Namespace) -> str:
    """The columns that a target could be, if the file can tell."""
    from fastmlp.tables import Reader, TableError
    from fastmlp.tables.errors import list_names

    try:
        return f". The columns are: {list_names(Reader(arguments.data, arguments.separator).names)}"
    except (TableError, OSError):
        return ""


def _train(arguments: argparse.Namespace, path: str) -> None:
    from fastmlp.cli import table_report as report
    from fastmlp.tables import prepare

    verbose = options.verbose(arguments)
    chatty = not (arguments.json or arguments.quiet)
    table = prepare(
        arguments.data,
        arguments.target,
        task=arguments.task,
        validation=arguments.validation,
        seed=arguments.seed,
        categorical=arguments.categorical,
        ignore=arguments.ignore,
        separator=arguments.separator,
        decimal=arguments.decimal,
        verbose=verbose,
    )
    model = _model(arguments, table)
    batch_size = arguments.batch_size or (LARGE_BATCH if len(table.X) > MANY_ROWS else USUAL_BATCH)
    if chatty:
        print(report.opening(table, arguments.seed, batch_size))
        model.network.summary()
        print(flush=True)
    monitor = _monitor(arguments, table)
    history = _fit(arguments, model, table, batch_size, verbose, monitor)
    figures = model.validation_figures(table)
    model.save(path)
    if not arguments.json:
        print(report.course(history))
        if figures is not None:
            print(f"On the {figures['rows']:,} rows kept out of training:\n")
            print(report.figures(figures, table.schema))
        print(f"wrote {path}", flush=True)
    failure = _write_report(arguments, model, table, batch_size, history, monitor)
    if arguments.json:
        written = arguments.report if failure is None else None
        about = {"model": path, "report": written, "seed": arguments.seed}
        print(json.dumps(_described(table, history, figures) | about))
    if failure is not None:
        raise failure
    if not arguments.json:
        print(f"next: fastmlp predict {report.quoted(path)} {report.quoted(arguments.data)}")


def _model(arguments: argparse.Namespace, table: TrainingTable) -> TabularModel:
    from fastmlp import optimizers
    from fastmlp.tables import TabularModel

    optimizer = optimizers.resolve(arguments.optimizer)
    if arguments.learning_rate is not None:
        optimizer = dataclasses.replace(optimizer, learning_rate=arguments.learning_rate)
    return TabularModel.for_table(
        table,
        arguments.layers,
        activation=arguments.activation,
        dropout=arguments.dropout,
        l2=arguments.l2,
        optimizer=optimizer,
        seed=arguments.seed,
    )


def _fit(
    arguments: argparse.Namespace,
    model: TabularModel,
    table: TrainingTable,
    batch_size: int,
    verbose: bool | str,
    monitor: GradientMonitor | None,
) -> History:
    from fastmlp import EarlyStopping
    from fastmlp.callbacks import Callback

    callbacks: list[Callback] = [EarlyStopping(patience=arguments.patience)] if len(table.X_validation) else []
    if monitor is not None:
        callbacks.append(monitor)
    return model.fit(table, epochs=arguments.epochs, batch_size=batch_size, callbacks=callbacks, verbose=verbose)


def _monitor(arguments: argparse.Namespace, table: TrainingTable) -> GradientMonitor | None:
    """What a report needs to be seen while the network trains."""
    if not arguments.report:
        return None
    from fastmlp.cli import html_report

    return html_report.monitor_of(table.X, table.y)


def _write_report(
    arguments: argparse.Namespace,
    model: TabularModel,
    table: TrainingTable,
    batch_size: int,
    history: History,
    monitor: GradientMonitor | None,
) -> ReportError | None:
    """Write the report, if one is asked for; what became of it, since the model is saved and the rest is to be told."""
    if monitor is None:
        return None
    from fastmlp.cli import html_report

    def gather() -> html_report.Training:
        return html_report.of_table(model, table, arguments, batch_size, history, monitor)

    return html_report.write(arguments, gather)


def _described(table: TrainingTable, history: History, figures: dict[str, Any] | None) -> dict[str, Any]:
    from fastmlp.cli.table_report import best_epoch

    described = table.schema.to_dict()
    for column in described["columns"]:
        column["missing_values"] = table.missing[column["name"]]
    return {
        "data": table.path,
        "rows": {"training": len(table.X), "validation": len(table.X_validation)},
        "columns": described["columns"],
        "target": described["target"],
        "constant": list(table.constant),
        "inputs": table.schema.width,
        "epochs": len(history.epoch),
        "best_epoch": best_epoch(history.history),
        "seconds": round(history.seconds, 3),
        "validation": figures,
    }
