"""The command `fastmlp`. Each subcommand has a module; this one selects the subcommand and sets the exit code.

Exit codes: 0 success, 1 a file or data cannot be used, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence

import fastmlp
from fastmlp._runtime.option_names import on_command_line
from fastmlp.cli import check, evaluate, info, predict, summary, train, warmup
from fastmlp.cli.interrupts import NothingWritten
from fastmlp.cli.parser import Parser

__all__ = ["main"]

_EXAMPLES = """
examples:
  fastmlp train houses.csv --target price
  fastmlp predict model.safetensors new.csv --out predictions.csv

`fastmlp COMMAND --help` explains a command and its options.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program name. By default those of the process.

    Returns
    -------
    int
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not end a training
            stream.reconfigure(errors="backslashreplace")
    try:
        given = list(sys.argv[1:] if argv is None else argv)
        arguments = _make_parser().parse_command(given)
        arguments.command = shlex.join(["fastmlp", *given])
        with on_command_line():
            arguments.run(arguments)
        if sys.stdout is not None:  # a program may be started without standard output
            sys.stdout.flush()
    except SystemExit as stop:  # from argparse: --help, --version and wrong usage
        return stop.code if isinstance(stop.code, int) else 1
    except NothingWritten:
        return _fail("interrupted; no file was written", 130)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the program that reads the output has ended, as in `fastmlp info | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error), 1)
    except (ValueError, ArithmeticError) as error:
        return _fail(str(error), 1)
    except MemoryError as error:
        return _fail(f"there is not enough memory: {error}", 1)
    return 0


def _fail(message: str, code: int) -> int:
    """Print an error message and return the exit code."""
    print(f"fastmlp: {message}", file=sys.stderr)
    return code


def _make_parser() -> Parser:
    """Return the parser of the command line, with all subcommands."""
    parser = Parser(
        prog="fastmlp",
        description="Train multi-layer perceptrons on CSV files, fast and on the CPU, and predict with them.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"fastmlp {fastmlp.__version__}")
    parser.set_defaults(run=lambda _: parser.print_help())
    commands = parser.add_commands()
    for command in (train, predict, evaluate, check, summary, info, warmup):
        command.add_to(commands)
    return parser
