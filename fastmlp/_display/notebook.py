"""What Jupyter and other notebooks show of a network and of a training: plain HTML in the notebook's own colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from fastmlp._display import summary
from fastmlp._display.texts import shortened
from fastmlp.architecture import Architecture

_WIDTH, _HEIGHT = 120, 24  # pixels of a small curve
_MOST_POINTS = 240  # of a small curve, two a pixel


def of_network(architecture: Architecture) -> str:
    """The table of `Network.summary`."""
    return table(summary.HEAD, summary.rows(architecture), summary.NUMBERS, summary.totals(architecture))


def of_history(history: Mapping[str, Sequence[float]], epochs: int, seconds: float) -> str:
    """For each entry its last value, its lowest and highest, and a small curve."""
    head = ("entry", "last", "lowest", "highest", "course")
    cells = [_entry(name, values) for name, values in history.items() if values]
    of = f"{epochs} {'epoch' if epochs == 1 else 'epochs'}, {seconds:.2f} s"
    return table(head, cells, head[1:4], of, pictures=("course",))


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Sequence[str],
    caption: str = "",
    *,
    pictures: Sequence[str] = (),
) -> str:
    """An HTML table in the colours of the text around it.

    Parameters
    ----------
    head : sequence of str
        The names of the columns.
    rows : iterable of sequence of str
        The cells; all is escaped, except in columns of pictures.
    numbers, pictures : sequence of str
        Which columns are aligned right, and which hold HTML.
    caption : str
        Stands below.
    """

    def line(kind: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(map(cell, [kind] * len(head), head, cells)) + "</tr>"

    def cell(kind: str, column: str, content: str) -> str:
        side = "right" if column in numbers else "left"
        shown = content if column in pictures and kind == "td" else escape(content)
        return f'<{kind} style="text-align:{side}">{shown}</{kind}>'

    below = f'<caption style="caption-side:bottom;text-align:left">{escape(caption)}</caption>' if caption else ""
    body = "".join(line("td", row) for row in rows)
    return f"<table>{below}<thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"


def sparkline(values: Sequence[float]) -> str:
    """A small curve, an SVG in the colour of the text; an epoch without a finite value is a gap."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return ""
    low = min(known) / 2  # halves, since a difference may overflow
    span = max(known) / 2 - low
    path, joined, x, y = [], False, 0.0, 0.0
    for place in range(0, len(values), max(1, len(values) // _MOST_POINTS)):
        if math.isfinite(values[place]):
            share = (values[place] / 2 - low) / span if span else 0.5
            x, y = 3 + (_WIDTH - 6) * place / max(len(values) - 1, 1), _HEIGHT - 3 - (_HEIGHT - 6) * share
            path.append(f"L{x:.1f} {y:.1f}" if joined else f"M{x:.1f} {y:.1f}h0")  # alone it is a dot
        joined = math.isfinite(values[place])
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
        f'<path d="{"".join(path)}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="currentColor"/></svg>'
    )


def _entry(name: str, values: Sequence[float]) -> tuple[str, ...]:
    known = [value for value in values if math.isfinite(value)]
    ends = (f"{min(known):.4g}", f"{max(known):.4g}") if known else ("", "")
    return shortened(name), f"{values[-1]:.4g}", *ends, sparkline(values)
