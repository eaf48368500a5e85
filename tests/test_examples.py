"""The examples do what they say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray_processes import require_ray, run_ray

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> dict[str, Any]:
    """Return the functions of an example."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_every_example_is_tested() -> None:
    tests = {name.removeprefix("test_the_").removesuffix("_example") for name in globals() if name.endswith("_example")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tests


def test_the_cartpole_example() -> None:
    pytest.importorskip("gymnasium", reason="needs Gymnasium, which the extra 'examples' installs")
    functions = example("cartpole")
    assert functions["average_return"](functions["train"]()) >= 475


def test_the_spring_example() -> None:
    functions = example("spring")
    x, *slopes = functions["swing"](np.array([3.0]), np.array([0.4]))
    for slope, shift in zip(slopes, np.eye(2) * 1e-6, strict=True):
        constants = [np.array([[3.0], [0.4]]) + sign * shift[:, None] for sign in (1, -1)]
        above, below = (functions["swing"](*each)[0] for each in constants)
        np.testing.assert_allclose(slope, (above - below) / 2e-6, atol=1e-7)
    exact = np.exp(-0.2 * 4.0) * (np.cos(np.sqrt(2.96) * 4.0) + 0.2 / np.sqrt(2.96) * np.sin(np.sqrt(2.96) * 4.0))
    assert x[-1, 0] == pytest.approx(exact, abs=1e-5)  # after 80 steps of 0.05
    geometry = np.random.default_rng(1).uniform(size=(200, 2))
    constants = np.column_stack(functions["true_constants"](geometry))
    errors = functions["relative_errors"](functions["train"](epochs=60))
    assert (errors < np.abs(constants.mean(axis=0) / constants - 1).mean(axis=0) / 4).all()  # of springs taken as equal


def test_the_quantiles_example() -> None:
    functions = example("quantiles")
    shares = functions["coverage"](functions["train"]())
    # Four deviations of a share of the 4,000 rows of the fit and of the 10,000 new ones, which are independent.
    levels = np.array(functions["LEVELS"])
    assert (np.abs(shares - levels) <= 4 * np.sqrt(levels * (1 - levels) * (1 / 4000 + 1 / 10000))).all()


def test_the_transfer_example() -> None:
    fresh, at_rest, unfrozen = example("transfer")["compare"]()
    assert at_rest > 0.8  # chance is 0.2
    assert unfrozen > at_rest
    assert fresh > 0.9


def test_the_optuna_search_example() -> None:
    optuna = pytest.importorskip("optuna", reason="needs Optuna, which the extra 'optuna' installs")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    functions = example("optuna_search")
    study = functions["search"](trials=20)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}
    net, loss = functions["train"](study.best_trial)
    assert loss == study.best_value
    assert net.evaluate(*functions["TEST"])["accuracy"] > 0.9


@pytest.mark.heavy
def test_the_ray_search_example(tmp_path: Path) -> None:
    require_ray()
    printed = run_ray(EXAMPLES / "ray_search.py", tmp_path)
    assert re.search(r"^12 trials, of which [1-9]\d* ended early$", printed, re.MULTILINE)
    assert re.search(r"^accuracy on test rows (9\d\.\d|100\.0)%$", printed, re.MULTILINE)
