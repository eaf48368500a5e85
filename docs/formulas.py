"""Write the line numbers into docs/formulas.md: `python docs/formulas.py`.

Each link of that page quotes a piece of code, [`code`](../file#L1), and must lead to the line that holds it. With
`--check` nothing is written; the exit code is 1 if the page is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGE = Path(__file__).with_suffix(".md")
LINK = re.compile(r"\[`([^`\n]+)`\]\(([\w./]+)#L\d+\)")


def with_line_numbers(text: str) -> str:
    """Return the text with each link at the line that holds the quoted code.

    Raises
    ------
    ValueError
        If a file does not hold a quoted piece of code, or holds it in several lines; the message lists all of these.
    """
    problems = []

    def link(found: re.Match[str]) -> str:
        code, file = found[1], found[2]
        source = (PAGE.parent / file).resolve()
        numbered = list(enumerate(source.read_text().splitlines() if source.exists() else (), 1))
        whole = [number for number, line in numbered if code == line.strip()]
        lines = whole or [number for number, line in numbered if code in line]
        if len(lines) != 1:
            problems.append(f"{file} has {len(lines)} lines with {code!r}")
            return found[0]
        return f"[`{code}`]({file}#L{lines[0]})"

    text = LINK.sub(link, text)
    if problems:
        raise ValueError(f"{PAGE.name} must quote code that stands in one line of its file:\n" + "\n".join(problems))
    return text


def main() -> int:
    """Write the page, or check it, and return the exit code."""
    old = PAGE.read_text()
    try:
        new = with_line_numbers(old)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if "--check" in sys.argv[1:]:
        if new != old:
            print(f"{PAGE.name} is out of date; run: python docs/formulas.py", file=sys.stderr)
        return int(new != old)
    PAGE.write_text(new)
    print(f"wrote {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
