"""A picture as a part of an HTML page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from fastmlp.plot.canvas import written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DROPPED = ("metadata", "style")  # a page has its own, and a style would hold for all of it
STYLE = "svg *{stroke-linejoin:round;stroke-linecap:butt}"
"""What matplotlib's SVGs need of a page, beside `DARK_RULES`."""


def inline_svg(figure: Figure, prefix: str, label: str) -> str:
    """The figure as an `svg` element; names that it gives its parts begin with `prefix`, a page holds each once.

    Parameters
    ----------
    figure : Figure
        In light colours.
    prefix : str
        Letters, another one for each picture of the page.
    label : str
        What the picture shows, for those who do not see it.
    """
    root = ElementTree.fromstring(written(figure, ".svg"))
    for element in list(root.iter()):
        for child in list(element):
            if _plain(child.tag) in _DROPPED:
                element.remove(child)
        element.tag = _plain(element.tag)
        element.attrib = {_plain(name): _renamed(_plain(name), value, prefix) for name, value in element.items()}
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": root.attrib["width"],
        "role": "img",
        "aria-label": label,
    }
    return ElementTree.tostring(root, encoding="unicode")


def _plain(name: str) -> str:
    """Without the namespace, which HTML does not have."""
    return name.rpartition("}")[2]


def _renamed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return re.sub(r"url\(#", f"url(#{prefix}", value)
