"""Turn what `pytest bench` measured into tables and a chart, so that no figure there is typed by hand.

README.md gets the short ones, bench/RESULTS.md all. It also brings the README's links to lines of the sources up to
date. Run it from the root of the checkout: `python -m bench.report`; with `--check` it writes nothing and tells by its
exit code whether it would.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import tables
from bench.chart import draw
from bench.results import RESULTS, Results

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
FULL = Path(__file__).with_name("RESULTS.md")


def main(argv: Sequence[str] | None = None) -> int:
    """Read the results, write the tables and the chart; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the tables are others")
    check = parser.parse_args(argv).check
    try:
        results = Results(RESULTS.read_text())
    except FileNotFoundError:
        print(f"{RESULTS.relative_to(ROOT)} is not there; measure first, with: pytest bench", file=sys.stderr)
        return 1
    except ValueError as wrong:
        print(f"{RESULTS.relative_to(ROOT)}: {wrong}", file=sys.stderr)
        return 1
    texts = {README: with_tables(README.read_text(), results), FULL: tables.full(results)}
    if check:
        others = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
        for path in others:
            print(f"{path.relative_to(ROOT)} is not what python -m bench.report writes", file=sys.stderr)
        return int(bool(others))
    for path, text in texts.items():
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
    print(draw(results))
    return 0


def with_tables(text: str, results: Results) -> str:
    """The README's text with the tables of these results."""
    for name, content in (
        ("steps", tables.readme_steps(results)),
        ("rest", tables.readme_rest(results)),
        ("estimators", tables.estimators(results)),
        ("machine", tables.machine_line(results)),
    ):
        text = replaced(text, name, content)
    return with_lines(text)


def with_lines(text: str) -> str:
    """The README's text with every link to a line of a source file, [`code`](file#L1), at the line that holds the code.

    Raises
    ------
    ValueError
        If a file has no such line, or several.
    """

    def mended(found: re.Match[str]) -> str:
        code, file = found[1], found[2]
        numbered = list(enumerate((ROOT / file).read_text().splitlines(), 1))
        whole = [i for i, line in numbered if code == line.strip()]
        lines = whole or [i for i, line in numbered if code in line]
        if len(lines) != 1:
            raise ValueError(f"README.md names a line {code!r} of {file}; there are {len(lines)} such lines")
        return f"[`{code}`]({file}#L{lines[0]})"

    return re.sub(r"\[`([^`\n]+)`\]\(([\w./]+)#L\d+\)", mended, text)


def replaced(text: str, name: str, content: str) -> str:
    """The text with new content between the marks of that name.

    Raises
    ------
    ValueError
        If the text has no such marks.
    """
    pattern = re.compile(rf"(<!-- {name}: begin[^>]*-->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"README.md has no marks '<!-- {name}: begin -->' and '<!-- {name}: end -->'")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


if __name__ == "__main__":
    sys.exit(main())
