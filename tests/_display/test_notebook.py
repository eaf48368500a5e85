"""HTML for notebooks: well-formed, escaped, without matplotlib, in the colours of the notebook."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from fastmlp import Dense, History, Network
from fastmlp._display.notebook import sparkline

NAN = math.nan


def cells(html: str) -> list[list[str]]:
    """Return the texts of the cells of a table. Parsing it as XML checks that it is well-formed."""
    return [["".join(cell.itertext()) for cell in row] for row in ElementTree.fromstring(html).iter("tr")]


def right_aligned(html: str) -> list[set[str]]:
    """Return the texts of each row's cells that are aligned on the right."""
    rows = ElementTree.fromstring(html).iter("tr")
    return [{"".join(cell.itertext()) for cell in row if "right" in cell.attrib["style"]} for row in rows]


def test_a_network_has_the_cells_of_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    net = Network([3, Dense(4, "tanh", dropout=0.25), Dense(2, use_bias=False)], output="softmax", seed=7)
    found = cells(net._repr_html_())
    assert found == [
        ["layer", "units", "activation", "options", "parameters"],
        ["input", "3", "", "", ""],
        ["dense 1", "4", "tanh", "dropout 0.25", "16"],
        ["dense 2", "2", "softmax", "no bias", "8"],
    ]
    assert right_aligned(net._repr_html_()) == [{"units", "parameters"}, {"3", ""}, {"4", "16"}, {"2", "8"}]
    net.summary()
    printed = capsys.readouterr().out
    assert [[cell for cell in row if cell] for row in found] == [
        re.split(r"\s{2,}", line.strip()) for line in printed.splitlines()[:-1] if "---" not in line
    ]
    caption = ElementTree.fromstring(net._repr_html_()).find("caption")
    assert caption is not None
    assert caption.text == printed.splitlines()[-1]


def test_a_history_shows_last_lowest_highest_value_and_a_curve() -> None:
    history = History({"loss": [0.9, 0.5, 0.3], "val_loss": [0.8, NAN, 0.45], "val_<b>&": [NAN] * 3}, [0, 1, 2], 1.5)
    html = history._repr_html_()
    assert cells(html) == [
        ["entry", "last", "lowest", "highest", "course"],
        ["loss", "0.3", "0.3", "0.9", ""],
        ["val_loss", "0.45", "0.45", "0.8", ""],
        ["val_<b>&", "nan", "", "", ""],
    ]
    assert html.count("<svg") == 2
    assert right_aligned(html)[:2] == [{"last", "lowest", "highest"}, {"0.3", "0.9"}]
    assert "3 epochs, 1.50 s" in html
    assert "1 epoch, 0.00 s" in History({"loss": [1.0]}, [0])._repr_html_()
    assert cells(History()._repr_html_()) == [["entry", "last", "lowest", "highest", "course"]]


def test_no_colours_are_set() -> None:
    for html in (Network([1, 1])._repr_html_(), History({"loss": [1.0, 2.0]}, [0, 1])._repr_html_()):
        assert not re.search(r"#[0-9a-f]{3,6}\b|rgb|(?<!current)color:|background", html)


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ([1.0, 3.0, 2.0], "M3.0 21.0h0L60.0 3.0L117.0 12.0"),
        ([1.0, NAN, 2.0], "M3.0 21.0h0M117.0 3.0h0"),
        ([5.0], "M3.0 12.0h0"),
        ([5.0, 5.0], "M3.0 12.0h0L117.0 12.0"),
        ([0.0, 5e-324], "M3.0 12.0h0L117.0 12.0"),
        ([-1.7e308, 1.7e308], "M3.0 21.0h0L117.0 3.0"),
        ([math.inf, 1.0], "M117.0 12.0h0"),
    ],
)
def test_a_sparkline_goes_through_the_values(values: list[float], path: str) -> None:
    assert f'd="{path}"' in sparkline(values)


def test_a_sparkline_of_many_epochs_stays_small() -> None:
    assert len(sparkline([1 / (epoch + 1) for epoch in range(10_000)])) < 10_000
    assert sparkline([NAN, NAN]) == sparkline([]) == ""
    assert sparkline([NAN, 1.0, NAN, NAN] * 240) == ""  # of 960 epochs every fourth is drawn


def test_matplotlib_is_not_needed() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from fastmlp import History, Network\n"
        "assert '<table>' in Network([1, 1])._repr_html_()\n"
        "assert '<svg' in History({'loss': [1.0]}, [0])._repr_html_()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
