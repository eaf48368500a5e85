"""Scripts that start Ray, each in a process of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from behaviour import run_python


def require_ray() -> None:
    """Skip the test if Ray is not installed, without importing it in this process."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray, which the extra 'ray' installs")


def run_ray(script: Path, folder: Path) -> str:
    """Run a script with a folder as its argument and its home, where Ray keeps a file. Return what it prints."""
    code = f"import runpy, sys; sys.argv = ['', {str(folder)!r}]; runpy.run_path({str(script)!r}, run_name='__main__')"
    return run_python(code, HOME=str(folder), RAY_USAGE_STATS_ENABLED="0")[0]
