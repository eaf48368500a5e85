"""Names from the user's data, such as class labels and column names, made safe to show."""

from __future__ import annotations

REPLACEMENT = "\ufffd"  # the Unicode replacement character


def printable_name(name: object, max_length: int = 30) -> str:
    """Return `str(name)` as one line of at most `max_length` characters.

    White space becomes a blank. Other characters that are not printable become U+FFFD, because neither pictures nor XML
    can hold control characters. A name that is cut ends with "...".
    """
    line = "".join(c if c.isprintable() else " " if c.isspace() else REPLACEMENT for c in str(name))
    return line if len(line) <= max_length else line[: max_length - 3] + "..."
