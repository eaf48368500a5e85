"""The argument parser of the command line: argparse with help texts in paragraphs, and hints for misspelled words."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from fastmlp._runtime.names import nearest


class ParagraphFormatter(argparse.HelpFormatter):
    """Formats descriptions and epilogs in paragraphs.

    Blank lines separate paragraphs, and indented lines stay as they are. Other lines are filled to the width of the
    terminal.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled: list[str] = []
        for is_kept, lines in groupby(text.strip("\n").split("\n"), lambda line: not line or line.startswith(" ")):
            part = "\n".join(lines)
            filled.append(part if is_kept else super()._fill_text(part, width, indent))
        return "\n".join(filled)


class Parser(argparse.ArgumentParser):
    """An argument parser that suggests corrections for unknown commands and options.

    Takes the parameters of `argparse.ArgumentParser`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=ParagraphFormatter, **settings)
        self._commands: Any = None

    def add_commands(self) -> Any:
        """Return the object to which subcommands are added with `add_parser`."""
        self._commands = self.add_subparsers(title="commands", metavar="COMMAND")
        return self._commands

    def parse_command(self, given: Sequence[str]) -> argparse.Namespace:
        """Return the parsed arguments.

        Parameters
        ----------
        given : sequence of str
            The arguments after the program name.

        Raises
        ------
        SystemExit
            After --help and --version with code 0, and with 2 if the arguments are wrong.
        """
        if given and not given[0].startswith("-"):
            self._check_command(given[0])
        arguments, unknown = self.parse_known_args(given)
        if unknown:
            used: Parser = self._commands.choices.get(given[0], self)
            used.error(f"unrecognized arguments: {shlex.join(unknown)}{used._hint(unknown)}")
        return arguments

    def _check_command(self, word: str) -> None:
        """End with wrong usage if there is no such command."""
        names = list(self._commands.choices)
        if word in names:
            return
        similar = nearest(word, names)
        hint = f"; did you mean {similar!r}?" if similar else "."
        if os.path.isfile(word):
            hint = f"; to train on this file, type: fastmlp train {shlex.quote(word)} --target COLUMN."
        self.error(f"there is no command {word!r}{hint} The commands are: {', '.join(names)}")

    def _hint(self, unknown: Sequence[str]) -> str:
        """Return what to do about unknown arguments: the most similar option, or where all options are listed."""
        options = sorted(set(re.findall(r"--([a-z][a-z0-9-]*)", self.format_help())))
        for word in unknown:
            similar = nearest(word.strip("-").partition("=")[0], options) if word.startswith("--") else None
            if similar:
                return f"; did you mean --{similar}?"
        return f"; `{self.prog} --help` lists all arguments"
