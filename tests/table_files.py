"""CSV files that the tests of tables share."""

from __future__ import annotations

import random
from pathlib import Path


def write(path: Path, content: str | bytes) -> str:
    """Put the bytes there as they are; the path as text."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def lines(rows: int = 120, seed: int = 0) -> list[list[str]]:
    """Header and rows of flats: two columns of numbers, two of texts with missing values, a price and a class."""
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
    """The flats as a file, `without` one of their columns."""
    table = lines(rows, seed)
    kept = [place for place, name in enumerate(table[0]) if name != without]
    return write(path, "".join(separator.join(row[place] for place in kept) + end for row in table))
