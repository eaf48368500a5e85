"""Build an HTML page without scripts, files or addresses, in light or dark colours as the reader prefers."""

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
# Names from a hostile file are escaped. This policy would stop them from loading or running anything even if not.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Page:
    """An HTML page to which elements are added one after the other. All texts are escaped, except in `html`.

    Parameters
    ----------
    title : str
        The title of the page, which is also its first heading.
    """

    def __init__(self, title: str) -> None:
        self._title = escape(title)
        self._body = [f"<h1>{self._title}</h1>"]
        self._pictures = 0

    def heading(self, text: str) -> None:
        """Add the heading of a section."""
        self._body.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._body.append(f"<p>{escape(text)}</p>")

    def code(self, text: str) -> None:
        """Add a text in the font of a terminal."""
        self._body.append(f"<pre>{escape(text)}</pre>")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str]) -> None:
        """Add a table. The columns named in `numbers` are aligned right."""
        self._body.append(notebook.html_table(head, rows, numbers))

    def html(self, element: str) -> None:
        """Add an element that is already HTML."""
        self._body.append(element)

    def picture(self, figure: Figure, label: str) -> None:
        """Add a figure that is drawn in light colours. `label` describes it for screen readers."""
        self._pictures += 1
        self._body.append(f"<figure>{inline_svg(figure, f'picture{self._pictures}-', label)}</figure>")

    def text(self) -> str:
        """Return the complete page."""
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
    """Return the colours of a palette as CSS variables."""
    names = ("surface", "ink", "muted", "faint")
    return ";".join(f"--{name}:{getattr(palette, name)}" for name in names)
