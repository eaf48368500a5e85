"""Values and names in messages, tables and pictures are cut at their documented lengths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fastmlp._display.texts import printable_name
from fastmlp._runtime.checks import shown
from fastmlp.tables.errors import quote_value


@pytest.mark.parametrize(
    ("of_length", "limit"),
    [
        (lambda n: shown(10 ** (n - 1)), 80),
        (lambda n: printable_name("a" * n), 30),
        (lambda n: quote_value("a" * n)[1:-1], 60),
    ],
    ids=["shown", "printable_name", "quote_value"],
)
def test_a_text_is_cut_from_its_limit_on(of_length: Callable[[int], str], limit: int) -> None:
    whole, cut = of_length(limit), of_length(limit + 1)
    assert [len(whole), len(cut)] == [limit, limit]
    assert not whole.endswith("...")
    assert cut == whole[:-3] + "..."
