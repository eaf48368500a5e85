"""Names that a user's data brings along, made fit to be shown."""

from __future__ import annotations

_ANYTHING = "\ufffd"  # what stands for a character that cannot be shown


def shortened(name: object, most: int = 30) -> str:
    """`name` in one line of at most `most` characters; control characters, which no picture or XML can hold, marked."""
    line = "".join(c if c.isprintable() else " " if c.isspace() else _ANYTHING for c in str(name))
    return line if len(line) <= most else line[: most - 3] + "..."
