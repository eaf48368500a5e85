"""The colours of plots on a light or dark background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Theme = Literal["light", "dark", "auto"]
THEMES = ("light", "dark", "auto")


@dataclass(frozen=True)
class Palette:
    """The colours of one theme. All are different, so that `DARK_RULES` can replace each by its dark counterpart.

    Parameters
    ----------
    surface : str
        The background.
    ink : str
        Texts and the frame.
    muted : str
        Secondary lines and texts.
    faint : str
        The grid.
    series : tuple of str
        Lines and areas. The first is used for training and positive weights, the second for validation and negative
        weights.
    """

    surface: str
    ink: str
    muted: str
    faint: str
    series: tuple[str, ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """All colours, in the same order in every theme."""
        return (self.surface, self.ink, self.muted, self.faint, *self.series)


LIGHT = Palette(
    "#ffffff",
    "#333333",
    "#6a6f75",
    "#dddddd",
    ("#1f6fb4", "#d9722a", "#24855b", "#9a4596", "#c2313d", "#2b93b5", "#86691a", "#5d6269"),
)
DARK = Palette(
    "#16191d",
    "#e4e6e9",
    "#a1a8b0",
    "#3b4148",
    ("#6cb2ee", "#f39a5b", "#5fc795", "#d891d3", "#f4767f", "#7bd3ea", "#d6b85f", "#b3bac2"),
)


def palette_for(theme: str) -> Palette:
    """Return the colours of a theme. "auto" has the light colours, which `DARK_RULES` replace by dark ones.

    Raises
    ------
    ValueError
        If the theme is unknown.
    """
    if theme not in THEMES:
        raise ValueError(f"theme must be one of {', '.join(map(repr, THEMES))}, got {theme!r}")
    return DARK if theme == "dark" else LIGHT


def _dark_rules() -> str:
    """Return a CSS rule for each colour. Its selector finds the style attribute in which matplotlib writes colours."""
    rules = [
        f'[style*="{attribute}: {light}"]{{{attribute}:{dark} !important}}'
        for light, dark in zip(LIGHT.colours, DARK.colours, strict=True)
        for attribute in ("fill", "stroke")
    ]
    return "@media (prefers-color-scheme: dark){" + "".join(rules) + "}"


DARK_RULES = _dark_rules()
"""CSS that shows a light SVG in dark colours if the reader prefers a dark colour scheme."""
