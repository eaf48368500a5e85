"""A figure as an `svg` element, to be embedded in an HTML page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from fastmlp.plot.canvas import encode_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REMOVED = ("metadata", "style")  # the page has its own metadata, and a style element would apply to the whole page
STYLE = "svg *{stroke-linejoin:round;stroke-linecap:butt}"
"""CSS that the page needs for the SVG of matplotlib, in addition to `DARK_RULES`."""


def inline_svg(figure: Figure, prefix: str, label: str) -> str:
    """Return a figure as an `svg` element.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure, in light colours.
    prefix : str
        Letters that begin the id of each part of the figure. Each figure of a page needs its own prefix, because an id
        must be unique in a page.
    label : str
        A description of the figure for screen readers.

    Returns
    -------
    str
        The element, without namespaces.
    """
    root = ElementTree.fromstring(encode_figure(figure, ".svg"))
    for element in list(root.iter()):
        for child in list(element):
            if _without_namespace(child.tag) in _REMOVED:
                element.remove(child)
        element.tag = _without_namespace(element.tag)
        attributes = [(_without_namespace(name), value) for name, value in element.items()]
        element.attrib = {name: _with_prefix(name, value, prefix) for name, value in attributes}
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": root.attrib["width"],
        "role": "img",
        "aria-label": label,
    }
    return ElementTree.tostring(root, encoding="unicode")


def _without_namespace(name: str) -> str:
    """Return the name of an element or attribute for HTML, which has no namespaces."""
    return name.rpartition("}")[2]


def _with_prefix(name: str, value: str, prefix: str) -> str:
    """Return the value of an attribute with the prefix before each id that it defines or refers to."""
    if name == "id":
        return prefix + value
    if name == "href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return re.sub(r"url\(#", f"url(#{prefix}", value)
