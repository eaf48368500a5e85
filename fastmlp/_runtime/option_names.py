"""Name an option as the caller gives it: `ignore=['id']` in Python, `--ignore id` on the command line."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from contextvars import ContextVar

_command_line = ContextVar("command_line", default=False)


@contextlib.contextmanager
def on_command_line() -> Iterator[None]:
    """Let messages of the body name options of the command line instead of arguments."""
    token = _command_line.set(True)
    try:
        yield
    finally:
        _command_line.reset(token)


def option(name: str, value: str | list[str] | bool | None = None) -> str:
    """Return how the caller gives an option.

    Parameters
    ----------
    name : str
        The name of the argument in Python.
    value : str, list of str or bool, optional
        The value to give. True is an option without a value on the command line. None leaves the value open.
    """
    if not _command_line.get():
        return f"{name}=..." if value is None else f"{name}={value!r}"
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return " ".join([f"--{name.replace('_', '-')}", *("','" if each == "," else shlex.quote(each) for each in values)])
