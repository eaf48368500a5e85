"""The names that a network learns: columns of frames are taken by name, and labels may be strings."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from behaviour import Interruption, everything, small_data, small_network

from fastmlp import Callback, ModelCheckpoint, Network, NonFiniteLossError
from fastmlp._data import arrays, names
from fastmlp._engine.engine import engine_of

COLUMNS = ("a", "b", "c")
CLASSES = ("high", "low", "middle")
X, LABELS = small_data()
NAMES = np.array(CLASSES)[LABELS]
SWAPPED = X[:, [2, 0, 1]]  # the columns c, a, b
MAKERS: dict[str, Callable[[Any], Any]] = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "Arrow": pa.table}


def frame(columns: Any = COLUMNS, values: Any = X, library: str = "pandas") -> Any:
    return MAKERS[library](dict(zip(columns, np.asarray(values).T, strict=True)))


def trained(X: Any = X, y: Any = LABELS, **options: Any) -> Network:
    network = small_network()
    network.fit(X, y, **options)
    return network


def same_weights(one: Network, other: Network) -> bool:
    return everything(one)["weights"] == everything(other)["weights"]


# Columns --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", MAKERS)
def test_columns_are_taken_by_name_in_every_method(library: str) -> None:
    given, swapped = frame(library=library), frame("cab", SWAPPED, library)
    network, expected = trained(given), trained()
    assert network.feature_names == COLUMNS
    assert same_weights(network, expected)
    assert np.array_equal(network.predict(swapped), expected.predict(X))
    assert np.array_equal(network.predict_classes(swapped), expected.predict_classes(X))
    assert np.array_equal(network.input_gradients(swapped), expected.input_gradients(X))
    for one, other in zip(network.hidden_activations(swapped), expected.hidden_activations(X), strict=True):
        assert np.array_equal(one, other)
    assert network.evaluate(swapped, LABELS) == expected.evaluate(X, LABELS)
    assert network.loss_and_gradients(swapped, LABELS)[0] == expected.loss_and_gradients(X, LABELS)[0]
    assert network.train_on_batch(swapped, LABELS) == expected.train_on_batch(X, LABELS)
    validated = network.fit(swapped, LABELS, validation_data=(given, LABELS))
    assert validated.history == expected.fit(X, LABELS, validation_data=(X, LABELS)).history
    assert same_weights(network, expected)


def test_large_frames_are_reordered_as_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained(epochs=2, validation_split=0.25)
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1)
    assert isinstance(names.Names(COLUMNS).arrange(SWAPPED, ("c", "a", "b"), "X"), arrays.SelectedColumns)
    network = small_network()
    engine_of(network).names = names.Names(COLUMNS)
    network.fit(frame("cab", SWAPPED), LABELS, epochs=2, validation_split=0.25)
    assert same_weights(network, expected)
    assert network.history is not None
    assert expected.history is not None
    assert network.history.history == expected.history.history
    assert np.array_equal(network.predict(frame("cab", SWAPPED)), expected.predict(X))


WRONG_COLUMNS: dict[str, tuple[Any, str]] = {
    "unknown": (frame("abz"), "missing: 'c'; unknown: 'z'; an array is taken by position$"),
    "missing": (frame("ab", X[:, :2]), "missing: 'c'; an array"),
    "too many": (frame("abcde", np.hstack([X, X[:, :2]])), "unknown: 'd', 'e'; an array"),
    "repeated": (pd.DataFrame(np.hstack([X, X[:, :1]]), columns=list("abca")), "repeated: 'a'; an array"),
}


@pytest.mark.parametrize("kind", WRONG_COLUMNS)
def test_other_names_are_refused_in_every_method(kind: str) -> None:
    wrong, message = WRONG_COLUMNS[kind]
    network = trained(frame())
    before = everything(network)
    calls: list[Callable[[], Any]] = [
        lambda: network.predict(wrong),
        lambda: network.predict_classes(wrong),
        lambda: network.hidden_activations(wrong),
        lambda: network.input_gradients(wrong),
        lambda: network.evaluate(wrong, LABELS),
        lambda: network.loss_and_gradients(wrong, LABELS),
        lambda: network.train_on_batch(wrong, LABELS),
        lambda: network.fit(wrong, LABELS),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=f"^X must have the columns that the network was trained on.*; {message}"):
            call()
    with pytest.raises(ValueError, match=r"^X of validation_data must have the columns"):
        network.fit(X, LABELS, validation_data=(wrong, LABELS))
    assert everything(network) == before


def test_arrays_and_frames_without_names_are_taken_by_position() -> None:
    network, expected = trained(frame()), trained()
    for given in (
        X,
        X.tolist(),
        pd.DataFrame(X),
        pd.DataFrame(X, columns=pd.MultiIndex.from_product([["a"], ["x", "y", "z"]])),
    ):
        assert np.array_equal(network.predict(given), expected.predict(X))
    assert expected.feature_names is None
    assert np.array_equal(expected.predict(frame("zyx")), expected.predict(X))  # no names to compare with
    network.fit(X, LABELS)
    assert network.feature_names == COLUMNS
    expected.fit(frame("zyx"), LABELS)
    assert expected.feature_names == ("z", "y", "x")


def test_names_of_a_frame_for_validation_alone_are_not_learned() -> None:
    assert trained(X, validation_data=(frame(), LABELS)).feature_names is None


def test_repeated_names_are_refused_and_names_of_some_columns() -> None:
    with pytest.raises(
        ValueError, match="columns must have different names, but 'a' is there twice; rename one, or gi"
    ):
        trained(pd.DataFrame(X, columns=list("aba")))
    with pytest.raises(TypeError, match="all strings, or all something else, but has the name 2 too"):
        trained(pd.DataFrame(X, columns=["a", "b", 2]))


def test_names_that_no_model_file_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_BYTES", 50)
    with pytest.raises(
        ValueError, match=r"the names of columns and classes take .* bytes in a model file, the limit is"
    ):
        trained(frame(["a" * 30, "b", "c"]))


# Labels ---------------------------------------------------------------------------------------------------------------

LABEL_KINDS: dict[str, Any] = {
    "strings": NAMES,
    "list": NAMES.tolist(),
    "tuple": tuple(NAMES.tolist()),
    "objects": NAMES.astype(object),
    "StringDType": NAMES.astype(np.dtypes.StringDType()),
    "pandas": pd.Series(NAMES),
    "pandas string": pd.Series(NAMES, dtype="string"),
    "pandas category": pd.Series(NAMES, dtype="category"),
    "pandas Index": pd.Index(NAMES),
    "polars": pl.Series(NAMES),
    "polars Categorical": pl.Series(NAMES, dtype=pl.Categorical),
    "Arrow": pa.array(NAMES),
    "Arrow dictionary": pa.chunked_array([pa.array(NAMES).dictionary_encode()]),
}


@pytest.mark.parametrize("kind", LABEL_KINDS)
def test_labels_may_be_strings_of_every_kind(kind: str) -> None:
    labels = LABEL_KINDS[kind]
    network, expected = small_network(), small_network()
    history = network.fit(X, labels, validation_split=0.25, class_weight={"low": 2.0})
    assert history.history == expected.fit(X, LABELS, validation_split=0.25, class_weight={1: 2.0}).history
    assert network.classes == CLASSES
    assert network.evaluate(X, labels) == expected.evaluate(X, LABELS)


def test_balanced_weights_of_labels_are_those_of_their_numbers() -> None:
    balanced = trained(X, NAMES, class_weight="balanced", validation_split=0.25)
    assert same_weights(balanced, trained(class_weight="balanced", validation_split=0.25))


def test_labels_are_taken_by_every_method() -> None:
    network, expected = trained(X, NAMES), trained()
    assert network.evaluate(X[:9], NAMES[:9]) == expected.evaluate(X[:9], LABELS[:9])
    assert network.loss_and_gradients(X[:2], NAMES[:2])[0] == expected.loss_and_gradients(X[:2], LABELS[:2])[0]
    assert network.train_on_batch(X[:2], NAMES[:2]) == expected.train_on_batch(X[:2], LABELS[:2])
    validated = network.fit(X, NAMES, validation_data=(X[:5], NAMES[:5]))
    assert validated.history == expected.fit(X, LABELS, validation_data=(X[:5], LABELS[:5])).history
    assert network.predict_classes(X).dtype == np.intp
    assert network.predict_labels(X).tolist() == [CLASSES[index] for index in network.predict_classes(X)]
    assert network.evaluate(X, LABELS) == expected.evaluate(X, LABELS)  # numbers of classes are taken still


@pytest.mark.parametrize("output", ["sigmoid", "hinge"])
def test_one_output_tells_two_labels_apart(output: str) -> None:
    options: dict[str, Any] = {"output": "sigmoid"} if output == "sigmoid" else {"loss": "hinge"}
    network, expected = Network([3, 4, 1], seed=0, **options), Network([3, 4, 1], seed=0, **options)
    labels = (LABELS == 1).astype(int)
    network.fit(X, np.where(labels, "yes", "no"), epochs=3, class_weight={"yes": 3.0})
    expected.fit(X, labels, epochs=3, class_weight={1: 3.0})
    assert same_weights(network, expected)
    assert network.classes == ("no", "yes")
    assert set(network.predict_labels(X)) <= {"no", "yes"}


def test_classes_decides_the_order_and_names_what_y_does_not_hold() -> None:
    order = ["low", "middle", "high"]
    network = small_network()
    network.fit(X, NAMES, classes=order)
    assert network.classes == tuple(order)
    expected = trained(X, np.array([order.index(name) for name in NAMES]))
    assert same_weights(network, expected)
    few = small_network()
    few.fit(X[:4], ["low", "high", "low", "low"], classes=CLASSES)
    assert few.classes == CLASSES
    numbered = trained(X, LABELS, classes=CLASSES)
    assert numbered.predict_labels(X).tolist() == np.array(CLASSES)[numbered.predict_classes(X)].tolist()
    batch = small_network()
    batch.train_on_batch(X[:1], ["low"], classes=np.array(CLASSES))
    assert batch.classes == CLASSES


def test_a_class_that_occurs_only_in_validation_is_a_class() -> None:
    order = np.argsort(LABELS, kind="stable")
    network = trained(X[order], NAMES[order], validation_split=0.25, shuffle=False)
    assert network.classes == CLASSES


WRONG_LABELS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "more than outputs": (
        {"y": np.append(NAMES[1:], "new")},
        ValueError,
        r"y has 4 different labels \('high', 'low', 'middle', 'new'\), but the network has 3 classes$",
    ),
    "fewer than outputs": (
        {"y": np.where(NAMES == "low", "low", "high")},
        ValueError,
        r"y has 2 different labels \('high', 'low'\), but the network has 3 classes; give classes=\[...\], the names",
    ),
    "None": ({"y": [None, *NAMES[1:]]}, ValueError, "y must have a label in every row, got None in row 0, counted"),
    "NaN": ({"y": [*NAMES[1:], float("nan")]}, ValueError, "y must have a label in every row, got nan in row 40"),
    "pandas.NA": (
        {"y": pd.Series([*NAMES[1:], None], dtype="string")},
        ValueError,
        "y must have a label in every row, got <NA> in row 40",
    ),
    "Arrow null": (
        {"y": pa.chunked_array([pa.array([*NAMES[1:], None]).dictionary_encode()])},
        ValueError,
        "y must have a label in every row, got None in row 40",
    ),
    "numbers too": ({"y": [*NAMES[1:], 7]}, TypeError, "y must hold strings or numbers, got both: '.*' and 7"),
    "masked": ({"y": np.ma.array(NAMES, mask=LABELS == 1)}, ValueError, "y must have a value in every place, but some"),
    "a column": (
        {"y": NAMES.reshape(-1, 1)},
        ValueError,
        r"y must have one dimension .*got shape \(41, 1\); np.ravel\(y\) has one",
    ),
    "a frame": (
        {"y": pd.DataFrame({"k": NAMES})},
        TypeError,
        r"column 'k' of y must .*; labels are one column, y\['k'\]",
    ),
    "no rows": ({"X": X[:0], "y": NAMES[:0]}, ValueError, "X must have at least one row, got none"),
    "no labels": ({"y": NAMES[:0]}, ValueError, "y holds labels such as '', but the network knows the names of no"),
    "long labels": (
        {"y": ["x" * 1000, *NAMES[1:]]},
        ValueError,
        r"y has 4 different labels \('high', 'low', 'middle', 'x+\.\.\.x+'\), but the network has 3 classes$",
    ),
    "bytes": ({"y": NAMES.astype("S")}, TypeError, r"y must .* array of |S6; y.astype\(str\) makes labels of them"),
    "rows": ({"y": NAMES[1:]}, ValueError, "X and y must have the same number of rows, got 41 and y of shape"),
    "validation": (
        {"validation_data": (X[:2], ["low", "new"])},
        ValueError,
        "y of validation_data has the label 'new', which is none of the network's classes: 'high', 'low', 'middle'",
    ),
    "class_weight": (
        {"class_weight": {"low": 1.0, "new": 2.0}},
        ValueError,
        "class_weight has the label 'new', but the labels are 'high', 'low', 'middle'",
    ),
    "class_weight by number too": ({"class_weight": {"low": 1.0, 1: 2.0}}, ValueError, "class_weight has the label 1,"),
    "class_weight without labels": (
        {"y": LABELS, "class_weight": {"low": 1.0}},
        ValueError,
        "class_weight has the label 'low', but the labels of y are numbers",
    ),
    "classes a string": ({"classes": "abc"}, TypeError, "classes must be a list of strings, got 'abc'"),
    "classes numbers": (
        {"classes": [0, 1, 2]},
        TypeError,
        "classes must be a list of strings, got 0; labels 0, 1, ...",
    ),
    "too few classes": (
        {"classes": ["low", "high"]},
        ValueError,
        "classes must have 3 names for this network, got 2: 'low', 'high'",
    ),
    "classes twice": ({"classes": ["a", "b", "a"]}, ValueError, "classes must have different names, but 'a' is there"),
    "classes with NUL": (
        {"classes": ["a", "b", "c\0"]},
        ValueError,
        "classes must have names that do not end with NUL, which NumPy removes",
    ),
    "not in classes": ({"classes": ["low", "high", "x"]}, ValueError, "y has the label 'middle', which is none of the"),
}


@pytest.mark.parametrize("kind", WRONG_LABELS)
def test_labels_that_do_not_suit_are_refused_and_nothing_is_learned(kind: str) -> None:
    given, error, message = WRONG_LABELS[kind]
    network = small_network()
    before = everything(network)
    with pytest.raises(error, match=f"^{message}"):
        network.fit(**{"X": frame(), "y": NAMES, **given})
    assert everything(network) == before
    assert (network.feature_names, network.classes) == (None, None)


def test_labels_need_a_loss_that_takes_classes() -> None:
    for network in (Network([3, 3]), Network([3, 3], output="sigmoid"), Network([3, 1])):
        with pytest.raises(
            TypeError, match=r"y holds texts such as '.*', but .* of . outputs? takes numbers; labels need"
        ):
            network.fit(X, NAMES)
        with pytest.raises(
            ValueError, match="classes need a softmax, or one sigmoid or hinge output; this network has"
        ):
            network.fit(X, np.zeros((41, network.architecture.outputs)), classes=["a", "b"])


def test_a_network_without_labels_says_so() -> None:
    network = trained()
    with pytest.raises(
        ValueError, match="the network knows no labels, because it was not trained on strings; predict_"
    ):
        network.predict_labels(X)
    for call in (network.evaluate, network.loss_and_gradients):
        with pytest.raises(
            ValueError, match=r"y holds labels such as '.*', but the network knows the names of no classes"
        ):
            call(X, NAMES)
    network.fit(X, NAMES)
    assert network.classes == CLASSES


def test_a_second_fit_must_have_the_same_labels() -> None:
    network = trained(X, NAMES)
    before = everything(network)
    with pytest.raises(
        ValueError, match="y has the label 'new', which is none of the network's classes: 'high', 'low',"
    ):
        network.fit(X[:2], ["low", "new"])
    with pytest.raises(
        ValueError, match="classes must be those that the network was trained on, 'high', 'low', 'middle'"
    ):
        network.fit(X, NAMES, classes=["low", "middle", "high"])
    assert everything(network) == before
    network.fit(X[:2], ["low", "low"], classes=CLASSES)
    network.fit(X, LABELS)
    assert network.classes == CLASSES


def test_metrics_and_callbacks_see_numbers() -> None:
    seen = []

    def first_target(y: Any, predictions: Any) -> float:
        seen.append(y.dtype.kind)
        return float(y[0])

    history = trained(X, NAMES, validation_data=(X, NAMES), metrics=[first_target, "accuracy"])
    del history
    assert seen == ["i"]


# Chunks ---------------------------------------------------------------------------------------------------------------


def test_chunks_may_be_frames_with_labels() -> None:
    chunks = [(frame()[:20], NAMES[:20]), (frame("cab", SWAPPED)[20:], NAMES[20:])]
    network, expected = small_network(), small_network()
    network.fit(chunks, classes=CLASSES, validation_data=(frame("cab", SWAPPED), NAMES), epochs=2)
    expected.fit([(X[:20], LABELS[:20]), (X[20:], LABELS[20:])], validation_data=(X, LABELS), epochs=2)
    assert network.feature_names == ("c", "a", "b")  # the validation rows are read first
    assert network.classes == CLASSES
    alone = small_network()
    alone.fit(chunks, classes=CLASSES, epochs=2)
    assert alone.feature_names == COLUMNS
    assert same_weights(alone, expected)


def test_wrong_chunks_are_refused_with_their_number_and_nothing_is_learned() -> None:
    network = small_network()
    before = everything(network)
    for chunks, options, message in (
        (
            [(frame(), NAMES)],
            {},
            "y of chunk 0 holds labels such as '.*', but the network knows the names of no classes",
        ),
        ([(frame(), NAMES), (frame("abz"), NAMES)], {"classes": CLASSES}, "X of chunk 1 must have the columns that"),
        ([(frame(), np.append(NAMES[1:], "new"))], {"classes": CLASSES}, "y of chunk 0 has the label 'new', which is"),
    ):
        with pytest.raises(ValueError, match=message):
            network.fit(chunks, batch_size=64, **options)
        assert everything(network)["names"] == before["names"]
        assert everything(network)["weights"] == before["weights"]


# What outlives the network, and what does not -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["copy", "deepcopy", "pickle", "file", "file without optimizer", "checkpoint"])
def test_names_are_copied_pickled_and_saved(way: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    network = trained(frame(["größe", 'a"\\b', "x" * 300]), NAMES, callbacks=[ModelCheckpoint(path)])
    if way.startswith("file"):
        network.save(path, optimizer=way == "file")
    ways: dict[str, Callable[[Any], Any]] = {"copy": copy.copy, "deepcopy": copy.deepcopy}
    other = ways.get(way, lambda _: Network.load(path))(network)
    other = pickle.loads(pickle.dumps(network)) if way == "pickle" else other
    assert other.feature_names == network.feature_names == ("größe", 'a"\\b', "x" * 300)
    assert other.classes == CLASSES
    assert np.array_equal(other.predict_labels(frame(other.feature_names)), network.predict_labels(X))
    with pytest.raises(ValueError, match="which is none of the network's classes"):
        other.fit(X[:1], ["new"])


def test_an_interrupted_epoch_is_finished_with_columns_in_another_order(tmp_path: Path) -> None:
    expected = trained(frame(), NAMES, batch_size=8)
    network = small_network()
    with pytest.raises(KeyboardInterrupt):
        network.fit(frame(), NAMES, batch_size=8, callbacks=[Interruption(2)])
    network.save(tmp_path / "model.safetensors")
    resumed = Network.load(tmp_path / "model.safetensors")
    resumed.fit(frame("cab", SWAPPED), NAMES.tolist(), batch_size=8)
    assert (resumed.epoch, resumed.step) == (1, 6)
    assert same_weights(resumed, expected)


def test_a_reset_network_knows_no_names() -> None:
    network = trained(frame(), NAMES)
    network.reinitialize()
    assert (network.feature_names, network.classes) == (None, None)


class Failing(Callback):
    """A callback that fails before the first step, or after it."""

    def __init__(self, event: str) -> None:
        self.event = event

    def on_train_begin(self) -> None:
        assert self.network.feature_names == COLUMNS
        if self.event == "begin":
            raise RuntimeError("failed")

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        raise RuntimeError("failed")


def test_a_fit_that_fails_before_its_first_step_teaches_nothing() -> None:
    network = small_network()
    with pytest.raises(RuntimeError, match="failed"):
        network.fit(frame(), NAMES, callbacks=[Failing("begin")])
    assert (network.feature_names, network.classes, network.step) == (None, None, 0)
    with pytest.raises(RuntimeError, match="failed"):
        network.fit(frame(), NAMES, callbacks=[Failing("batch")])
    assert (network.feature_names, network.classes, network.step) == (COLUMNS, CLASSES, 1)


def test_a_step_that_is_undone_teaches_nothing() -> None:
    network = Network([3, 1], optimizer="sgd", seed=0)
    network.learning_rate = 1e30
    for call in (network.fit, network.train_on_batch):
        with pytest.raises(NonFiniteLossError):
            call(frame(values=X * 1e15), LABELS.astype(float) * 1e15)
        assert network.feature_names is None


def test_names_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    network = small_network()
    engine_of(network).names = names.Names(("age", "b\n" * 30, "c"), CLASSES)
    network.summary()
    table = capsys.readouterr().out
    assert "input        3              age, b b b b b b b b b..., c" in table
    assert "high, low, middle" in table
    assert "high, low, middle" in network._repr_html_()
    assert repr(network).endswith("seed=7, classes='high, low, middle')")
    many = Network([6, 2], seed=0)
    engine_of(many).names = names.Names(tuple("abcdef"))
    assert "a, b, c, d, ...<" in many._repr_html_()


def test_a_pickle_of_a_network_without_names_is_read() -> None:
    state = trained(frame(), NAMES).__getstate__()
    del state["feature_names"], state["classes"]  # as before networks knew names
    old = Network.__new__(Network)
    old.__setstate__(state)
    assert (old.feature_names, old.classes) == (None, None)


@pytest.mark.parametrize("other", [names.Names(("c", "b", "a")), names.Names(classes=("no", "yes"))])
def test_names_that_another_thread_has_set_meanwhile_are_not_replaced(other: names.Names) -> None:
    names.Names(COLUMNS, CLASSES).check_agreement(names.Names())
    with pytest.raises(RuntimeError, match="another thread has trained this network on columns or labels with other"):
        names.Names(COLUMNS, CLASSES).check_agreement(other)
