"""Fits of the estimators of fastmlp and scikit-learn, with default parameters, on real data, for the same iterations.

Each library has a process of its own. Fits alternate, and the best one of each library counts. The handwritten digits
of MNIST are in no package: `--mnist FOLDER` names a folder with images and labels, idx files in gzip.
"""

from __future__ import annotations

import functools
import gzip
import importlib
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from bench.rounds import CLOCK, Effort

LIBRARIES = {"fastmlp": "fastmlp.sklearn", "scikit-learn": "sklearn.neural_network"}
DATA = {
    "breast cancer": "load_breast_cancer",
    "digits": "load_digits",
    "diabetes": "load_diabetes",
    "MNIST": "",
}
AGREEMENT = 1e-6  # of the losses of the last iteration; hundreds of iterations amplify rounding


class Fit(NamedTuple):
    """The time and the result of a fit."""

    seconds: float
    iterations: int
    loss: float
    rows: int
    columns: int


@functools.cache
def samples(name: str, folder: str) -> tuple[Any, Any]:
    """Return X scaled to mean 0 and deviation 1 (MNIST to [0, 1]), and y: labels, or scaled numbers."""
    if name == "MNIST":
        images, labels = (next(Path(folder).glob(f"*{kind}*.gz")) for kind in ("images", "labels"))
        y = np.frombuffer(gzip.decompress(labels.read_bytes())[8:], np.uint8)
        X = np.frombuffer(gzip.decompress(images.read_bytes())[16:], np.uint8).reshape(len(y), -1)
        return X / 255.0, y
    from sklearn import datasets
    from sklearn.preprocessing import scale

    X, y = getattr(datasets, DATA[name])(return_X_y=True)
    return scale(X), scale(y) if name == "diabetes" else y


def fit(library: str, name: str, folder: str) -> Fit:
    """Fit once with default parameters."""
    X, y = samples(name, folder)
    estimators = importlib.import_module(LIBRARIES[library])
    estimator = (estimators.MLPRegressor if name == "diabetes" else estimators.MLPClassifier)(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 200 iterations are not always enough
        started = time.perf_counter()
        estimator.fit(X, y)
        seconds = time.perf_counter() - started
    return Fit(seconds, estimator.n_iter_, float(estimator.loss_), *X.shape)


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, ProcessPoolExecutor]]:
    """Start a process for each library."""
    with ExitStack() as stack:
        yield {library: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for library in LIBRARIES}


@pytest.fixture(scope="module", params=DATA)
def fits(
    request: pytest.FixtureRequest, processes: dict[str, ProcessPoolExecutor], effort: Effort
) -> tuple[str, dict[str, list[Fit]]]:
    """Return the name of the data and the fits of each library; the first fits load code and do not count."""
    name, folder = request.param, request.config.getoption("--mnist")
    if name == "MNIST" and not folder:
        pytest.skip("no --mnist FOLDER")
    found: dict[str, list[Fit]] = {library: [] for library in LIBRARIES}
    for number in range(1 + effort.rounds):
        for library, process in processes.items():
            result = process.submit(fit, library, name, str(folder)).result()
            if number:
                found[library].append(result)
    return name, found


@pytest.mark.benchmark(timer=CLOCK)
@pytest.mark.parametrize("library", LIBRARIES)
def test_fit(benchmark: Any, fits: tuple[str, dict[str, list[Fit]]], library: str) -> None:
    name, found = fits
    own, hers = found["fastmlp"][0], found["scikit-learn"][0]
    assert own.iterations == hers.iterations
    assert own.loss == pytest.approx(hers.loss, rel=AGREEMENT)
    benchmark.group = f"fit of {name}, {own.rows} rows of {own.columns}"
    times = [each.seconds for each in found[library]]
    CLOCK.play(benchmark, times)
    benchmark.extra_info.update(
        fit=name, who=library, rows=own.rows, columns=own.columns, iterations=own.iterations, seconds=min(times)
    )
