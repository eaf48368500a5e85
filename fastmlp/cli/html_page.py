"""An HTML page that needs nothing but itself: no script, no file, no address; light or dark as its reader prefers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from fastmlp._display import notebook
from fastmlp.plot.inline_svg import STYLE, inline_svg
from fastmlp.plot.themes import DARK, DARK_RULES, LIGHT, Palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LAYOUT = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;
background:var(--surface);color:var(--ink)}
h1{font-size:1.6rem;overflow-wrap:anywhere}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid var(--faint)}
pre{border:1px solid var(--faint);padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}
p{overflow-wrap:anywhere}
table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}
th,td{padding:.15rem .8rem .15rem 0;border-bottom:1px solid var(--faint);vertical-align:middle}
caption{color:var(--muted);padding-top:.4rem}
figure{margin:1rem 0;overflow-x:auto}figure svg{max-width:100%;height:auto}
"""
# A name from a hostile file cannot load or run anything, even if it were not escaped.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Page:
    """A page in the making; every text that is given is escaped.

    Parameters
    ----------
    title : str
        Of the page, and its headline.
    """

    def __init__(self, title: str) -> None:
        self._title = escape(title)
        self._body = [f"<h1>{self._title}</h1>"]
        self._pictures = 0

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._body.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add a sentence or two."""
        self._body.append(f"<p>{escape(text)}</p>")

    def code(self, text: str) -> None:
        """Add what is typed into a terminal."""
        self._body.append(f"<pre>{escape(text)}</pre>")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str]) -> None:
        """Add a table, `numbers` being the columns that are aligned right."""
        self._body.append(notebook.html_table(head, rows, numbers))

    def html(self, element: str) -> None:
        """Add an element that is HTML already."""
        self._body.append(element)

    def picture(self, figure: Figure, label: str) -> None:
        """Add a picture, drawn in light colours; `label` says what it shows."""
        self._pictures += 1
        self._body.append(f"<figure>{inline_svg(figure, f'picture{self._pictures}-', label)}</figure>")

    def text(self) -> str:
        """The whole page."""
        dark = f"@media (prefers-color-scheme: dark){{:root{{{_variables(DARK)}}}}}"
        style = f":root{{color-scheme:light dark;{_variables(LIGHT)}}}{dark}{_LAYOUT}{STYLE}{DARK_RULES}"
        body = "\n".join(self._body)
        return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width">
<title>{self._title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _variables(palette: Palette) -> str:
    names = ("surface", "ink", "muted", "faint")
    return ";".join(f"--{name}:{getattr(palette, name)}" for name in names)
