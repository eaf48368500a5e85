"""The tests of scikit-learn for its perceptrons, run on those of fastmlp: only their import is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import sklearn.neural_network

TEST_FILE = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
SOURCE = TEST_FILE.read_text()

assert SOURCE.count(IMPORT) == 1
exec(
    compile(SOURCE.replace(IMPORT, IMPORT.replace("sklearn.neural_network", "fastmlp.sklearn")), str(TEST_FILE), "exec")
)


@pytest.fixture
def global_random_seed() -> int:
    """Return the default seed of the tests of scikit-learn."""
    return 42


def test_all_tests_run_on_the_estimators_of_fastmlp(request: pytest.FixtureRequest) -> None:
    assert globals()["MLPClassifier"].__module__.startswith("fastmlp.")
    found = [item for item in request.session.items if item.path == Path(__file__)]
    assert len(found) == 1 + {"1.9.1": 59}.get(sklearn.__version__, len(found) - 1)
