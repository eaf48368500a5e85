"""What describes a network, a table or a result cannot be changed: every dataclass but a few is frozen."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "fastmlp"
CHANGEABLE = {"History", "Trace", "Names", "FitJob", "_Layer"}  # what a training, or the reading of a module, fills


def test_dataclasses_are_frozen() -> None:
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            decorators = [ast.unparse(each) for each in node.decorator_list] if isinstance(node, ast.ClassDef) else []
            for decorator in decorators:
                if decorator.removeprefix("dataclasses.").startswith("dataclass"):
                    found["frozen=True" in decorator].add(node.name)  # type: ignore[attr-defined]
    assert found[False] == CHANGEABLE
    assert {"Architecture", "Layer", "Dense", "Schema", "Adam", "Metric", "GradientReport"} <= found[True]
