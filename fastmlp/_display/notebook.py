"""HTML tables of networks and histories for Jupyter and other notebooks, in the colours of the notebook."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from fastmlp._data.names import Names
from fastmlp._display import summary
from fastmlp._display.texts import printable_name
from fastmlp.architecture import Architecture

CURVE_WIDTH, CURVE_HEIGHT = 120, 24  # pixels
MAX_CURVE_POINTS = 240  # two a pixel


def network_table(architecture: Architecture, names: Names | None = None) -> str:
    """Return the table of `Network.summary` as HTML."""
    rows, totals = summary.layer_rows(architecture, names or Names()), summary.totals(architecture)
    return html_table(summary.COLUMNS, rows, summary.NUMERIC_COLUMNS, totals)


def history_table(history: Mapping[str, Sequence[float]], epochs: int, seconds: float) -> str:
    """Return an HTML table with the last, lowest and highest value and a small curve of each entry of a history."""
    columns = ("entry", "last", "lowest", "highest", "course")
    rows = [_history_row(name, values) for name, values in history.items() if values]
    caption = f"{epochs} {'epoch' if epochs == 1 else 'epochs'}, {seconds:.2f} s"
    return html_table(columns, rows, columns[1:4], caption, html_columns=("course",))


def html_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    numeric_columns: Sequence[str],
    caption: str = "",
    *,
    html_columns: Sequence[str] = (),
) -> str:
    """Return an HTML table in the colours of the surrounding text.

    Parameters
    ----------
    columns : sequence of str
        The names of the columns.
    rows : iterable of sequence of str
        The cells. Their text is escaped, except in `html_columns`.
    numeric_columns : sequence of str
        The columns that are aligned right.
    caption : str
        The text below the table.
    html_columns : sequence of str
        The columns whose cells hold HTML.
    """

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(map(cell, [tag] * len(columns), columns, cells)) + "</tr>"

    def cell(tag: str, column: str, content: str) -> str:
        side = "right" if column in numeric_columns else "left"
        html = content if column in html_columns and tag == "td" else escape(content)
        return f'<{tag} style="text-align:{side}">{html}</{tag}>'

    below = f'<caption style="caption-side:bottom;text-align:left">{escape(caption)}</caption>' if caption else ""
    body = "".join(line("td", row) for row in rows)
    return f"<table>{below}<thead>{line('th', columns)}</thead><tbody>{body}</tbody></table>"


def sparkline(values: Sequence[float]) -> str:
    """Return a small curve as SVG in the colour of the text; a value that is not finite leaves a gap."""
    points = list(enumerate(values))[:: max(1, len(values) // MAX_CURVE_POINTS)]
    finite = [value for _, value in points if math.isfinite(value)]
    if not finite:
        return ""
    low = min(finite) / 2  # halves, because a difference may overflow
    span = max(finite) / 2 - low
    path, connected = [], False
    for index, value in points:
        if math.isfinite(value):
            level = (value / 2 - low) / span if span else 0.5
            x = 3 + (CURVE_WIDTH - 6) * index / max(len(values) - 1, 1)
            y = CURVE_HEIGHT - 3 - (CURVE_HEIGHT - 6) * level
            path.append(f"L{x:.1f} {y:.1f}" if connected else f"M{x:.1f} {y:.1f}h0")  # h0 makes a single point a dot
        connected = math.isfinite(value)
    return (
        f'<svg width="{CURVE_WIDTH}" height="{CURVE_HEIGHT}" viewBox="0 0 {CURVE_WIDTH} {CURVE_HEIGHT}" role="img">'
        f'<path d="{"".join(path)}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="currentColor"/></svg>'
    )


def _history_row(name: str, values: Sequence[float]) -> tuple[str, ...]:
    finite = [value for value in values if math.isfinite(value)]
    limits = (f"{min(finite):.4g}", f"{max(finite):.4g}") if finite else ("", "")
    return printable_name(name), f"{values[-1]:.4g}", *limits, sparkline(values)
