"""Arrays of every kind, wherever a network takes one: the bits of a plain copy, or an error that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from behaviour import run_python
from conftest import Tried

KINDS = Path(__file__).with_name("kinds.py")


def run_kinds(what: str, every: int, seconds: float) -> Any:
    """What `kinds.py` found, in a process in which a warning is an error."""
    code = (
        f"import runpy, sys; sys.argv = ['', {what!r}, '{every}']; runpy.run_path({str(KINDS)!r}, run_name='__main__')"
    )
    return json.loads(run_python(code, "-W", "error", seconds=seconds)[0])


# Strides that share no factor with the tables, so that all pairs of their entries come by.
@pytest.mark.parametrize("every", [397, pytest.param(7, marks=pytest.mark.heavy)])
def test_an_array_of_any_kind_does_as_a_plain_copy_of_it(every: int, tried: Tried) -> None:
    found = run_kinds("taken", every, seconds=170)
    assert not found["wrong"]
    assert found["kernels"] > 10
    assert found["count"] > 50_000 / every
    tried("an array of any kind: the bits of a plain copy, itself unchanged, nothing compiled anew", found["count"])


@pytest.mark.parametrize("every", [43, pytest.param(1, marks=pytest.mark.heavy)])
def test_what_is_no_array_of_finite_numbers_is_refused_with_what_to_do(every: int, tried: Tried) -> None:
    found = run_kinds("not_taken", every, seconds=120)
    assert not found["wrong"]
    assert found["count"] > 6000 / every
    tried("NaN, infinity and what is no number: refused by place, the network unchanged", found["count"])
