"""Warnings that name the line of the user's code, however deep in fastmlp they arise."""

from __future__ import annotations

import sys
import warnings
from types import FrameType


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn on behalf of the innermost line that is not part of fastmlp."""
    level, frame = 1, sys._getframe(0)
    while _is_own(frame) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_own(frame: FrameType) -> bool:
    """Return whether a frame runs code of fastmlp."""
    name: str = frame.f_globals.get("__name__", "")
    return name == "fastmlp" or name.startswith("fastmlp.")
