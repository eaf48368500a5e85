"""The colours of pictures, on light and on dark ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Theme = Literal["light", "dark", "auto"]
THEMES = ("light", "dark", "auto")


@dataclass(frozen=True)
class Palette:
    """The colours of one theme, all different, so that each can be told from its number.

    Parameters
    ----------
    surface, ink, muted, faint : str
        The ground; texts; what is said in passing; grids.
    series : tuple of str
        Of lines and areas: the first is training or a positive weight, the second validation or a negative one.
    """

    surface: str
    ink: str
    muted: str
    faint: str
    series: tuple[str, ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """All of them, in the same order in every theme."""
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


def palette_of(theme: str) -> Palette:
    """The colours to draw with; "auto" draws in light ones, which `DARK_RULES` turn into dark ones.

    Raises
    ------
    ValueError
        If there is no such theme.
    """
    if theme not in THEMES:
        raise ValueError(f"theme must be one of {', '.join(map(repr, THEMES))}, got {theme!r}")
    return DARK if theme == "dark" else LIGHT


def _rules() -> str:
    """A rule for each colour: matplotlib writes it into a style attribute, where a selector finds it."""
    rules = [
        f'[style*="{what}: {light}"]{{{what}:{dark} !important}}'
        for light, dark in zip(LIGHT.colours, DARK.colours, strict=True)
        for what in ("fill", "stroke")
    ]
    return "@media (prefers-color-scheme: dark){" + "".join(rules) + "}"


DARK_RULES = _rules()
"""CSS that turns a light SVG into a dark one where the reader prefers that; elsewhere it stays light."""
