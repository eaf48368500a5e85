"""scikit-learn's own tests of its perceptrons, run on ours: its installed module with the import alone changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import sklearn.neural_network

HERS = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
SOURCE = HERS.read_text()

assert SOURCE.count(IMPORT) == 1
exec(compile(SOURCE.replace(IMPORT, IMPORT.replace("sklearn.neural_network", "fastmlp.sklearn")), str(HERS), "exec"))


@pytest.fixture
def global_random_seed() -> int:
    """The one that scikit-learn's tests have unless they are asked for others."""
    return 42


def test_it_is_ours_that_is_tested_by_all_her_tests(request: pytest.FixtureRequest) -> None:
    assert globals()["MLPClassifier"].__module__.startswith("fastmlp.")
    found = [item for item in request.session.items if item.path == Path(__file__)]
    assert len(found) == 1 + {"1.9.1": 59}.get(sklearn.__version__, len(found) - 1)
