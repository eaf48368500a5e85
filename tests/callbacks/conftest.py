"""The fixture `tune`, with which the tests of callbacks need no Ray."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fastmlp import Network, RayReport


class Tune(ModuleType):
    """What RayReport uses of `ray.tune`: it records the reports, and loads each checkpoint before it is deleted."""

    def __init__(self) -> None:
        super().__init__("ray.tune")
        self.reports: list[dict[str, Any]] = []
        self.networks: dict[int, Network] = {}
        self.trial: str | None = "trial"
        self.Checkpoint = SimpleNamespace(from_directory=Path)

    def get_context(self) -> Any:
        return SimpleNamespace(get_trial_id=lambda: self.trial)

    def report(self, metrics: dict[str, Any], *, checkpoint: Path | None = None) -> None:
        self.reports.append(metrics)
        if checkpoint is not None:
            assert [path.name for path in checkpoint.iterdir()] == ["model.safetensors"]
            self.networks[metrics["epoch"]] = Network.load(checkpoint / RayReport.filename)


@pytest.fixture
def tune(monkeypatch: pytest.MonkeyPatch) -> Tune:
    """Return the module that takes the place of `ray.tune`."""
    package, module = ModuleType("ray"), Tune()
    package.tune = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", package)
    monkeypatch.setitem(sys.modules, "ray.tune", module)
    return module
