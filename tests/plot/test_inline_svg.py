"""Pictures within a page of HTML have ids of their own."""

from __future__ import annotations

import pytest

from fastmlp.plot.inline_svg import _with_prefix


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("id", "m1", "p-m1"),
        ("href", "#m1", "#p-m1"),
        ("href", "data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
        ("clip-path", "url(#m1)", "url(#p-m1)"),
        ("fill", "#ffffff", "#ffffff"),
    ],
)
def test_ids_and_what_refers_to_them_have_a_prefix(attribute: str, value: str, expected: str) -> None:
    assert _with_prefix(attribute, value, "p-") == expected
