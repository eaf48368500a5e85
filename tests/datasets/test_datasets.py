"""load_breast_cancer: the data equal those of scikit-learn, with malignant as class 1."""

from importlib import resources

import numpy as np
import pytest
from sklearn import datasets as peer

from fastmlp.datasets import load_breast_cancer


@pytest.fixture(scope="module")
def data():
    return load_breast_cancer()


def test_the_measurements_equal_those_of_scikit_learn(data):
    expected = peer.load_breast_cancer()
    np.testing.assert_array_equal(data.X, expected.data)
    assert data.feature_names == tuple(expected.feature_names)
    assert (data.X.dtype, data.X.shape, data.X.flags.c_contiguous) == (np.float64, (569, 30), True)


def test_class_1_is_malignant(data):
    expected = peer.load_breast_cancer()
    assert data.target_names == ("benign", "malignant")
    named = np.array(data.target_names)[data.y]
    np.testing.assert_array_equal(named, expected.target_names[expected.target])
    assert (data.y.dtype, data.y.shape, data.y.sum()) == (np.int64, (569,), 212)


def test_the_description_names_source_and_licence(data):
    for fact in ("10.24432/C5DW2B", "CC BY 4.0", "Wolberg", "Mangasarian", "Street", "1993", "1 for malignant"):
        assert fact in data.description
    assert data.description == resources.files("fastmlp.datasets").joinpath("breast_cancer.md").read_text("utf-8")


def test_each_call_returns_new_arrays_in_a_frozen_object(data):
    again = load_breast_cancer()
    again.X[0, 0] = -1.0
    again.y[0] = -1
    assert load_breast_cancer().X[0, 0] == data.X[0, 0] == 17.99
    assert load_breast_cancer().y[0] == data.y[0] == 1
    with pytest.raises(AttributeError):
        again.X = data.X
