"""The command `fastmlp`: a module for each subcommand; this one chooses among them and makes exit codes of failures.

Exit codes: 0 success, 1 a file or data that cannot be used, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
from collections.abc import Sequence

import fastmlp
from fastmlp.cli import check, evaluate, info, predict, summary, train, warmup
from fastmlp.cli.interrupts import NothingWritten

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; None takes those of the process.

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
        arguments = _parser().parse_args(given)
        arguments.command = shlex.join(["fastmlp", *given])
        arguments.run(arguments)
        if sys.stdout is not None:  # a program may be started without one
            sys.stdout.flush()
    except SystemExit as stop:  # argparse, after --help, --version and wrong usage
        return stop.code if isinstance(stop.code, int) else 1
    except NothingWritten:
        return _fail("interrupted; no file was written", 130)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone, as in `fastmlp info | head -1`
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
    print(f"fastmlp: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastmlp",
        description="Multi-layer perceptrons, trained fast on the CPU.",
        epilog="`fastmlp train` is a good start; `fastmlp COMMAND --help` tells more.",
    )
    parser.add_argument("--version", action="version", version=f"fastmlp {fastmlp.__version__}")
    parser.set_defaults(run=lambda _: parser.print_help())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in (train, predict, evaluate, check, summary, info, warmup):
        command.add_to(commands)
    return parser
