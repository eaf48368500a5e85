"""Write the tables and the chart of what `pytest bench` measured, so that no figure is typed by hand.

README.md and the pages in docs/ get the short tables, bench/RESULTS.md all of them. Run it from the root of the
checkout: `python -m bench.report`. With `--check` it writes nothing; the exit code is 1 if a table is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import tables
from bench.chart import draw
from bench.results import Results, all_results

ROOT = Path(__file__).parent.parent
FULL = Path(__file__).with_name("RESULTS.md")

# The tables of each page, by the name of their marks.
PAGES = {
    ROOT / "README.md": {"why": tables.why, "steps": tables.readme_steps},
    ROOT / "docs" / "speed.md": {
        "steps": tables.speed_steps,
        "rest": tables.speed_rest,
    },
    ROOT / "docs" / "scikit-learn.md": {"estimators": tables.every_estimators},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Read the results, write the tables and the chart, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a table is out of date")
    check = parser.parse_args(argv).check
    try:
        worlds = all_results()
    except (FileNotFoundError, ValueError) as wrong:
        print(wrong, file=sys.stderr)
        return 1
    texts = {**{path: with_tables(path, worlds) for path in PAGES}, FULL: tables.full(worlds)}
    if check:
        outdated = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
        for path in outdated:
            print(f"{path.relative_to(ROOT)} is out of date; run: python -m bench.report", file=sys.stderr)
        return int(bool(outdated))
    for path, text in texts.items():
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
    print(draw(worlds))
    return 0


def with_tables(path: Path, worlds: Sequence[Results]) -> str:
    """Return the text of a page with the tables of these results.

    Raises
    ------
    ValueError
        If the page has no place for one of its tables.
    """
    text = path.read_text()
    for name, table in PAGES[path].items():
        text = replaced(text, name, table(worlds), path.name)
    return text


def replaced(text: str, name: str, content: str, page: str) -> str:
    """Return the text with new content between the marks of that name.

    Raises
    ------
    ValueError
        If the text has no such marks.
    """
    pattern = re.compile(rf"(<!-- {name}: begin[^>]*-->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{page} must hold the marks '<!-- {name}: begin -->' and '<!-- {name}: end -->'")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


if __name__ == "__main__":
    sys.exit(main())
