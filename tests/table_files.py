"""CSV files for the tests of tables and of the command line."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path


def write(path: Path, content: str | bytes) -> str:
    """Write a file without changing line ends, and return its path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def lines(rows: int = 120, seed: int = 0) -> list[list[str]]:
    """Return header and rows of a table of flats.

    There are two columns of numbers, two of texts with missing values, a price and a class.
    """
    chance = random.Random(seed)
    table = [["rooms", "area", "district", "garden", "price", "sold"]]
    for _ in range(rows):
        rooms = chance.randint(1, 8)
        area = rooms * 20 + chance.gauss(0, 8)
        district, garden = chance.choice(["Mitte", "Nord", "Süd"]), chance.choice(["yes", "no", ""])
        price = 1500 * area * (1.5 if district == "Mitte" else 1) + 20000 * (garden == "yes")
        shown = "NA" if chance.random() < 0.05 else f"{area:.2f}"
        table.append([str(rooms), shown, district, garden, f"{price:.0f}", "late" if price > 150000 else "soon"])
    return table


def flats(
    path: Path, rows: int = 120, *, separator: str = ",", end: str = "\n", seed: int = 0, without: str = ""
) -> str:
    """Write the table of flats to a file, without the column `without`, and return its path."""
    table = lines(rows, seed)
    kept = [place for place, name in enumerate(table[0]) if name != without]
    return write(path, "".join(separator.join(row[place] for place in kept) + end for row in table))


def one_column(header: str, values: Sequence[object], folder: Path) -> str:
    """Write a file of one column and a target y of two classes, and return its path."""
    rows = "".join(f'"{value}",{"no" if i % 2 else "yes"}\n' for i, value in enumerate(values))
    return write(folder / "a.csv", f"{header},y\n{rows}")
