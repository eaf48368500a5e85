"""Unsuitable input raises an error that says what was given and what is expected, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import everything, small_data, small_network
from numpy.typing import NDArray

from fastmlp import SGD, Adam, Callback, CosineDecay, Dense, EarlyStopping, Network
from fastmlp.activations import ELU, GELU, LeakyReLU
from fastmlp.initializers import HeNormal
from fastmlp.losses import BinaryCrossentropy, CategoricalCrossentropy, Huber
from fastmlp.reference import Network as Reference

X, LABELS = small_data()
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
NAN, INF = float("nan"), float("inf")

Case = tuple[str, Callable[[], Any], type[Exception], str]


def by_name(cases: list[Any]) -> Any:
    """Return the parameters of a table whose first column names the case."""
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


def net(layers: Any, **options: Any) -> Callable[[], Any]:
    return lambda: Network(layers, **options)


def made(what: Any, *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: what(*arguments, **options)


CONSTRUCTION: list[Case] = [
    ("layers a string", net("30,2"), TypeError, r"layers must be a list such as \[30, 16, 2\], got '30,2'"),
    ("layers a number", net(30), TypeError, "layers must be a list .*, got 30"),
    ("layers a set", net({3, 2}), TypeError, "layers must be a list"),
    ("no layers", net([]), ValueError, r"at least one layer, got \[\]"),
    ("inputs alone", net([30]), ValueError, r"at least one layer, got \[30\]"),
    ("inputs a Dense", net([Dense(3), 2]), TypeError, r"layers\[0\] must be the number of inputs, got a Dense"),
    ("inputs a float", net([3.0, 2]), TypeError, r"layers\[0\], must be a whole number, got 3.0 of type float"),
    ("inputs none", net([None, 2]), TypeError, r"layers\[0\], must be a whole number, got None"),
    ("inputs zero", net([0, 2]), ValueError, r"layers\[0\], must be at least 1, got 0"),
    ("units a string", net([3, "relu"]), TypeError, r"layers\[1\] must be a whole number, got 'relu' of type str"),
    (
        "layers an activation",
        net([3, "relu", 2]),
        TypeError,
        r"got 'relu' of type str; write .* its layer: Dense\(16, 'relu'\)$",
    ),
    (
        "layers an object",
        net([3, LeakyReLU(), 2]),
        TypeError,
        r"got LeakyReLU\(slope=0.01\) of type LeakyReLU; write an acti",
    ),
    ("Dense turned round", made(Dense, "relu", 16), TypeError, "units of a layer must be a whole number, got 'relu'"),
    ("a long value", made(Dense, 2, dropout=[0.5] * 99), TypeError, r"got \[0\.5, [0.5, ]*\.\.\. of type list$"),
    ("units negative", net([3, 5, -2]), ValueError, r"layers\[2\] must be at least 1, got -2"),
    ("units a bool", net([3, True]), TypeError, r"layers\[1\] must be a whole number, got True"),
    ("activation", net([3, 2, 2], activation="rellu"), ValueError, "'rellu'; did you mean 'relu'.*Known names: linear"),
    (
        "activation a function",
        net([3, 2], activation=np.tanh),
        TypeError,
        "activation must be a name or an instance of Activation, got <ufunc 'tanh'> of type ufunc; to use a "
        "function of your own, register it with fastmlp.register_activation and give its name",
    ),
    (
        "activation a class",
        net([3, 2, 2], activation=LeakyReLU),
        TypeError,
        r"got the class LeakyReLU; write LeakyReLU\(\)$",
    ),
    (
        "activation a loss",
        net([3, 2], activation=Huber()),
        TypeError,
        r"instance of Activation, got Huber\(delta=1.0\)",
    ),
    ("output a class", net([3, 2], output=ELU), TypeError, r"activation must be a name .*; write ELU\(\)$"),
    ("output an initializer", net([3, 2], output=HeNormal()), TypeError, "instance of Activation, got HeNormal"),
    ("loss a class", net([3, 2], loss=Huber), TypeError, r"loss must be a name .*; write Huber\(\)$"),
    ("loss an activation", net([3, 2], loss=ELU()), TypeError, r"instance of Loss, got ELU\(alpha=1.0\) of type ELU$"),
    ("loss a function", net([3, 2], loss=abs), TypeError, "register it with fastmlp.register_loss and give its name"),
    ("kl of one", net([3, 1], loss="kl_divergence"), ValueError, "softmax over a single unit is always 1"),
    (
        "kl of one sigmoid",
        net([3, 1], output="sigmoid", loss="kl_divergence"),
        ValueError,
        "kl_divergence needs at least 2 outputs; for one output use loss='binary_crossentropy'",
    ),
    ("output", net([3, 2], output="soft-max"), ValueError, "'soft-max'; did you mean 'softmax'"),
    (
        "loss",
        net([3, 2], loss="mse"),
        ValueError,
        "unknown loss 'mse'; did you mean 'mean_squared_error'.*Known names:",
    ),
    ("swish", net([3, Dense(2, "linear")], activation="Swish"), ValueError, "did you mean 'silu'"),
    ("Xavier", made(Dense, 2, weight_init="xavier-normal"), ValueError, "did you mean 'glorot_normal'"),
    ("loss a number", net([3, 2], loss=1), TypeError, "loss must be a name or an instance of Loss, got 1"),
    ("optimizer", net([3, 2], optimizer="adma"), ValueError, "'adma'; did you mean 'adam'"),
    (
        "optimizer a class",
        net([3, 2], optimizer=Adam),
        TypeError,
        r"optimizer must be a name or an instance of Optimizer, got the class Adam; write Adam\(\)$",
    ),
    ("optimizer a schedule", net([3, 2], optimizer=CosineDecay(0.1, 9)), TypeError, "of Optimizer, got CosineDecay"),
    ("optimizer a number", net([3, 2], optimizer=0.1), TypeError, r"got 0.1 of type float; write Adam\(0.1\) or SGD"),
    ("rate an optimizer", made(SGD, SGD(0.1)), TypeError, "sgd: learning_rate must be a number or .*, got SGD"),
    ("dtype half", net([3, 2], dtype="float16"), ValueError, "dtype must be 'float32' or 'float64', got 'float16'"),
    ("dtype unknown", net([3, 2], dtype="real"), TypeError, "dtype must be 'float32' or 'float64', got 'real'"),
    ("dtype integers", net([3, 2], dtype=int), ValueError, "dtype must be 'float32' or 'float64', got <class 'int'>"),
    ("dtype foreign", net([3, 2], dtype=">f4"), ValueError, "dtype must be 'float32' or 'float64', got '>f4'"),
    ("seed negative", net([3, 2], seed=-1), ValueError, "seed must be at least 0, got -1"),
    ("seed a float", net([3, 2], seed=1.5), TypeError, "seed must be a whole number, got 1.5"),
    ("seed too large", net([3, 2], seed=2**63), ValueError, r"seed must be less than 2\*\*63"),
    ("no threads", net([3, 2], threads=0), ValueError, "threads must be at least 1, got 0"),
    ("threads a string", net([3, 2], threads="all"), TypeError, "threads must be a whole number, got 'all'"),
    ("softmax of one", net([3, 1], output="softmax"), ValueError, "single unit is always 1 .* use 2 units"),
    ("contradiction", net([3, Dense(2, "tanh")], output="linear"), ValueError, "output='linear' contradicts .*'tanh'"),
    ("last dropout", net([3, Dense(2, dropout=0.1)]), ValueError, "the last layer cannot have dropout"),
    ("Dense zero", made(Dense, 0), ValueError, "units of a layer must be at least 1, got 0"),
    ("Dense float", made(Dense, 2.5), TypeError, "units of a layer must be a whole number, got 2.5"),
    ("Dense activation", made(Dense, 2, "sigmoyd"), ValueError, "did you mean 'sigmoid'"),
    (
        "Dense activation a class",
        made(Dense, 2, LeakyReLU),
        TypeError,
        r"Activation, got the class LeakyReLU; write LeakyReLU\(\)",
    ),
    ("Dense activation an initializer", made(Dense, 2, HeNormal()), TypeError, "instance of Activation, got HeNormal"),
    ("Dense activation a number", made(Dense, 2, 3), TypeError, "instance of Activation, got 3 of type int$"),
    ("Dense init a class", made(Dense, 2, weight_init=HeNormal), TypeError, r"Initializer, .*; write HeNormal\(\)$"),
    ("Dense init an activation", made(Dense, 2, weight_init=ELU()), TypeError, "instance of Initializer, got ELU"),
    ("ELU", made(ELU, 0), ValueError, "elu: alpha must be greater than 0, and at most 1e30, got 0"),
    ("ELU str", made(ELU, "1"), TypeError, "elu: alpha must be a number, got '1' of type str"),
    ("LeakyReLU", made(LeakyReLU, 1.5), ValueError, "leaky_relu: slope must be greater than 0 and at most 1, got 1.5"),
    ("GELU", made(GELU, "tanh"), ValueError, "gelu: approximate must be True or False, got 'tanh'"),
    ("Huber", made(Huber, -1), ValueError, "huber: delta must be at least 0 and finite, got -1"),
    ("Huber zero", made(Huber, 0), ValueError, "huber: delta must be greater than 0, and at most 1e15, got 0"),
    (
        "smoothing",
        made(CategoricalCrossentropy, 1.0),
        ValueError,
        "categorical_crossentropy: label_smoothing must be at least 0 and less than 1, got 1.0",
    ),
    ("smoothing bool", made(BinaryCrossentropy, True), TypeError, "label_smoothing must be a number, got True"),
    ("Dense dropout 1", made(Dense, 2, dropout=1), ValueError, "dropout must be at least 0 and less than 1, got 1"),
    ("Dense dropout below", made(Dense, 2, dropout=-0.1), ValueError, "dropout must be at least 0 .*, got -0.1"),
    ("Dense dropout NaN", made(Dense, 2, dropout=NAN), ValueError, "dropout must be .*, got nan"),
    ("Dense dropout str", made(Dense, 2, dropout="0.5"), TypeError, "dropout must be a number, got '0.5' of type str"),
    ("Dense l1", made(Dense, 2, l1=-1), ValueError, "l1 must be at least 0 and finite, got -1"),
    ("Dense l2", made(Dense, 2, l2=INF), ValueError, "l2 must be at least 0 and finite, got inf"),
    ("Dense l2 enormous", made(Dense, 2, l2=10**400), ValueError, "l2 must be at least 0 and finite"),
    ("Dense bias", made(Dense, 2, use_bias="no"), TypeError, "use_bias must be True or False, got 'no'"),
    ("Dense init", made(Dense, 2, weight_init="he"), ValueError, "unknown initializer 'he'.*he_uniform"),
    (
        "Dense bias init",
        made(Dense, 2, bias_init="one"),
        ValueError,
        "'one'; did you mean 'ones'.*zeros",
    ),
    ("Adam rate", made(Adam, -1e-3), ValueError, "adam: learning_rate must be at least 0 and finite, got -0.001"),
    ("Adam rate NaN", made(Adam, NAN), ValueError, "learning_rate must be .*, got nan"),
    ("Adam rate none", made(Adam, None), TypeError, "adam: learning_rate must be a number or .*, got None"),
    ("SGD momentum", made(SGD, momentum=CosineDecay(0.1, 9)), TypeError, "sgd: momentum must be a number, got Cosine"),
    ("Adam rate str", made(Adam, "fast"), TypeError, "adam: learning_rate must be a number or .*, got 'fast'"),
    ("Adam beta_1", made(Adam, beta_1=1.0), ValueError, "adam: beta_1 must be at least 0 and less than 1, got 1.0"),
    ("Adam beta_2", made(Adam, beta_2=1.5), ValueError, "adam: beta_2 must be at least 0 and less than 1, got 1.5"),
    ("Adam epsilon", made(Adam, epsilon=0), ValueError, "adam: epsilon must be finite and at least 1e-30, got 0"),
    ("SGD rate", made(SGD, INF), ValueError, "sgd: learning_rate must be at least 0 and finite, got inf"),
    ("SGD momentum", made(SGD, momentum=1.1), ValueError, "sgd: momentum must be at least 0 and at most 1, got 1.1"),
    ("SGD nesterov", made(SGD, nesterov=True), ValueError, "sgd: momentum must be positive with nesterov=True"),
    ("SGD nesterov str", made(SGD, momentum=0.5, nesterov="yes"), ValueError, "nesterov must be True or False"),
    ("patience", made(EarlyStopping, patience=0), ValueError, "patience must be at least 1, got 0"),
    ("patience float", made(EarlyStopping, patience=2.5), TypeError, "patience must be a whole number, got 2.5"),
    ("min_delta", made(EarlyStopping, min_delta=-1), ValueError, "min_delta must be at least 0 and finite, got -1"),
    ("mode", made(EarlyStopping, mode="up"), ValueError, "mode must be 'auto', 'min' or 'max', got 'up'"),
    ("monitor", made(EarlyStopping, 3), TypeError, "monitor must be .*got 3"),
]


@pytest.mark.parametrize(("call", "error", "message"), by_name(CONSTRUCTION))
def test_bad_construction_is_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def at(position: int, value: float, array: NDArray[Any] = X) -> NDArray[Any]:
    """Return a copy with this value at a position in flat order."""
    changed = array.astype(np.float64) if not np.isfinite(value) or abs(value) > 1e38 else array.copy()
    changed.reshape(-1)[position] = value
    return changed


WEIGHTS = small_network().get_weights()


def replaced(layer: int, w: Any = None, b: Any = None) -> list[Any]:
    """Return good weights in which one layer is replaced."""
    pairs: list[Any] = [tuple(pair) for pair in WEIGHTS]
    old_w, old_b = pairs[layer]
    pairs[layer] = (old_w if w is None else w, old_b if b is None else b)
    return pairs


X_CASES: list[tuple[str, Any, Any, str]] = [
    ("one sample", X[0], ValueError, r"X must have shape \(n, 3\).*got \(3,\); one sample is X.reshape\(1, -1\)"),
    ("too few columns", X[:, :2], ValueError, r"X must have shape \(n, 3\) for this network, got \(41, 2\)"),
    ("three dimensions", X[None], ValueError, r"X must have shape \(n, 3\).*got \(1, 41, 3\)"),
    ("a number", 5.0, ValueError, r"X must have shape \(n, 3\).*got \(\)"),
    ("nothing", None, TypeError, "X must hold real numbers, got objects such as None"),
    ("a string", "data.csv", TypeError, "X must hold real numbers, got an array of <U8"),
    ("strings", X.astype(str), TypeError, "X must hold real numbers, got an array of <U"),
    ("bytes", X.astype("S"), TypeError, r"X must hold real numbers, got an array of \|S"),
    ("complex", X * 1j, TypeError, "X must hold real numbers, got an array of complex"),
    ("dates", X.astype("i8").astype("M8[s]"), TypeError, "X must hold real numbers, got an array of datetime64"),
    ("ragged", [[1, 2, 3], [4, 5]], ValueError, "X must be a table of numbers, but its rows differ in length"),
    ("objects", [[1, 2, object()]], TypeError, "X must hold real numbers, got objects such as"),
    ("a huge whole number", [[1, 2, 10**400]], ValueError, "X holds a whole number that float64 cannot hold"),
    ("masked", np.ma.masked_less(X, 0), ValueError, "X must have a value in every place, but some are masked; fill"),
    ("a dict", {"a": 1}, TypeError, "X must hold real numbers, got objects such as {'a': 1}"),
    ("records", np.zeros(4, "f4,f4,f4"), TypeError, "X must hold real numbers, got an array of"),
    ("NaN first", at(0, NAN), ValueError, r"X must be finite, but X\[0, 0\] is nan"),
    ("NaN in the middle", at(61, NAN), ValueError, r"X must be finite, but X\[20, 1\] is nan"),
    ("NaN last", at(-1, NAN), ValueError, r"X must be finite, but X\[40, 2\] is nan"),
    ("inf first", at(0, INF), ValueError, r"X must be finite, but X\[0, 0\] is inf"),
    ("inf in the middle", at(61, -INF), ValueError, r"X must be finite, but X\[20, 1\] is -inf"),
    ("inf last", at(-1, INF), ValueError, r"X must be finite, but X\[40, 2\] is inf"),
    ("NaN in half precision", at(4, NAN).astype("f2"), ValueError, r"X\[1, 1\] is nan"),
    ("NaN in columns", np.asfortranarray(at(4, NAN)), ValueError, r"X\[1, 1\] is nan"),
    ("NaN in objects", at(4, NAN).astype(object), ValueError, r"X\[1, 1\] is nan"),
    ("1e39", at(61, 1e39), ValueError, r"X\[20, 1\] is 1e\+39, which float32 cannot hold"),
    (
        "texts",
        X.astype(str),
        TypeError,
        "X must hold real numbers, got an array of <U.*; astype\\(float\\) turns texts",
    ),
    ("texts as objects", X.astype(str).astype(object), TypeError, r"objects such as .*; astype\(float\) turns texts"),
    ("a gap", [[1, 2, None]], TypeError, "objects such as None; leave such rows out, or fill them in"),
    ("a path", "X.npy", TypeError, "X must hold real numbers, got .*np.load a file's path"),
]

# Only where there are targets.
NO_ROWS: list[tuple[str, Any, Any, str]] = [
    ("no rows", X[:0], ValueError, "X must have at least one row, got none"),
]

Y_CASES: list[tuple[str, Any, Any, str]] = [
    ("too few", LABELS[:-1], ValueError, r"X and y must have the same number of rows, got 41 and y of shape \(40,\)"),
    ("a number", 1, ValueError, r"same number of rows, got 41 and y of shape \(\)"),
    ("none", None, TypeError, "y (is missing; without it, fit takes chunks|must hold .* objects such as None)"),
    (
        "too large",
        np.where(LABELS == 2, 3, LABELS),
        ValueError,
        "from 0 to 2, since the network has 3 outputs; got .* to 3",
    ),
    ("negative", LABELS - 1, ValueError, "labels from 0 to 2.*got labels from -1 to 1"),
    ("far too large", at(7, 2**62, LABELS), ValueError, "labels from 0 to 2.*to 4611686018427387904"),
    ("huge unsigned", at(7, 2**64 - 1, LABELS.astype("u8")), ValueError, "labels from 0 to 2.*to 18446744073709551615"),
    ("fractions", LABELS + 0.5, ValueError, "y must hold class labels, whole numbers from 0 to 2, got float64"),
    ("NaN label first", at(0, NAN, LABELS), ValueError, r"y must be finite, but y\[0\] is nan"),
    ("NaN label in the middle", at(20, NAN, LABELS), ValueError, r"y must be finite, but y\[20\] is nan"),
    ("NaN label last", at(-1, NAN, LABELS), ValueError, r"y must be finite, but y\[40\] is nan"),
    ("inf label", at(20, INF, LABELS), ValueError, "y must be finite, but y.20. is inf"),
    ("names as bytes", np.array(["a", "b", "c"])[LABELS].astype("S"), TypeError, r"y must .*; y.astype\(str\) makes"),
    (
        "narrow one-hot",
        ONE_HOT[:, :2],
        ValueError,
        r"y must have shape \(41, 3\) or labels of shape \(41,\).*got \(41, 2\)",
    ),
    ("wide one-hot", np.eye(4)[LABELS], ValueError, r"y must have shape \(41, 3\).*got \(41, 4\)"),
    (
        "column of labels",
        LABELS[:, None],
        ValueError,
        r"y must have shape \(41, 3\) or labels of shape \(41,\).*\(41, 1\)",
    ),
    ("cube", ONE_HOT[None].repeat(41, 0), ValueError, r"y must have shape \(41, 3\).*got \(41, 41, 3\)"),
    ("above 1", ONE_HOT * 2, ValueError, "y must lie between 0 and 1 for categorical_crossentropy, got .* from 0 to 2"),
    ("below 0", ONE_HOT - 1, ValueError, "y must lie between 0 and 1 .*from -1 to 0"),
    ("NaN first", at(0, NAN, ONE_HOT), ValueError, r"y must be finite, but y\[0, 0\] is nan"),
    ("NaN in the middle", at(61, NAN, ONE_HOT), ValueError, r"y must be finite, but y\[20, 1\] is nan"),
    ("NaN last", at(-1, NAN, ONE_HOT), ValueError, r"y must be finite, but y\[40, 2\] is nan"),
    ("inf last", at(-1, INF, ONE_HOT), ValueError, r"y must be finite, but y\[40, 2\] is inf"),
    ("1e39", at(61, 1e39, ONE_HOT), ValueError, r"y\[20, 1\] is 1e\+39, which float32 cannot hold"),
    ("complex", ONE_HOT * 1j, TypeError, "y must hold real numbers, got an array of complex"),
    ("ragged", [[1, 0, 0], [1]], ValueError, "y must be a table of numbers, but its rows differ in length"),
    ("objects", [object()] * 41, TypeError, "y must hold real numbers, got objects such as"),
    (
        "names and numbers",
        np.array(["a", 1] * 20 + ["b"], object),
        (TypeError, ValueError),
        "y (must hold|holds) .* 'a'",
    ),
]

ONES = np.ones(41)
SAMPLE_WEIGHT_CASES: list[tuple[str, Any, Any, str]] = [
    ("too few", ONES[:-1], ValueError, r"sample_weight must have shape \(41,\), one weight for each row, got \(40,\)"),
    ("a column", ONES[:, None], ValueError, r"sample_weight must have shape \(41,\).*got \(41, 1\)"),
    ("a number", 1.0, ValueError, r"sample_weight must have shape \(41,\).*got \(\)"),
    ("negative", at(5, -0.5, ONES), ValueError, "sample_weight must be at least 0, got -0.5"),
    ("NaN first", at(0, NAN, ONES), ValueError, r"sample_weight must be finite, but sample_weight\[0\] is nan"),
    ("NaN in the middle", at(20, NAN, ONES), ValueError, r"sample_weight\[20\] is nan"),
    ("NaN last", at(-1, NAN, ONES), ValueError, r"sample_weight\[40\] is nan"),
    ("inf", at(20, INF, ONES), ValueError, r"sample_weight\[20\] is inf"),
    ("strings", ["1"] * 41, TypeError, "sample_weight must hold real numbers, got an array of <U1"),
    ("complex", ONES * 1j, TypeError, "sample_weight must hold real numbers, got an array of complex"),
]

FIT_CASES: list[tuple[str, dict[str, Any], Any, str]] = [
    ("epochs 0", {"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
    ("epochs a float", {"epochs": 2.0}, TypeError, "epochs must be a whole number, got 2.0 of type float"),
    ("batch_size 0", {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ("batch_size a bool", {"batch_size": True}, TypeError, "batch_size must be a whole number, got True"),
    ("batch_size none", {"batch_size": None}, TypeError, "batch_size must be a whole number, got None"),
    ("verbose", {"verbose": "loud"}, ValueError, "verbose must be 'auto', True or False, got 'loud'"),
    ("split 1", {"validation_split": 1.0}, ValueError, "validation_split must be at least 0 and less than 1, got 1.0"),
    ("split below", {"validation_split": -0.1}, ValueError, "validation_split must be at least 0 .*got -0.1"),
    ("split str", {"validation_split": "10%"}, TypeError, "validation_split must be a number, got '10%'"),
    (
        "two validations",
        {"validation_split": 0.5, "validation_data": (X, LABELS)},
        ValueError,
        "validation_data or validation_split, not both",
    ),
    ("validation X alone", {"validation_data": (X,)}, ValueError, r"validation_data must be a tuple \(X, y\)"),
    ("validation of four", {"validation_data": (X, LABELS, ONES, 1)}, ValueError, "validation_data must be a tuple"),
    ("validation array", {"validation_data": X[:2]}, TypeError, "validation_data must be a tuple"),
    ("validation number", {"validation_data": 5}, TypeError, "validation_data must be a tuple"),
    ("validation iterator", {"validation_data": iter((X, LABELS))}, TypeError, "validation_data must be a tuple"),
    ("validation columns", {"validation_data": (X[:, :2], LABELS)}, ValueError, r"must have shape \(n, 3\)"),
    ("validation labels", {"validation_data": (X, LABELS + 1)}, ValueError, "must hold class labels from 0 to 2"),
    ("validation NaN", {"validation_data": (at(-1, NAN), LABELS)}, ValueError, r"\[40, 2\] is nan"),
    ("validation weights", {"validation_data": (X, LABELS, -ONES)}, ValueError, "at least 0, got -1"),
    ("validation empty", {"validation_data": (X[:0], LABELS[:0])}, ValueError, "must have at least one row"),
    ("class 3", {"class_weight": {3: 1.0}}, ValueError, "class_weight has the label 3; labels are 0 to 2"),
    ("class -1", {"class_weight": {-1: 1.0}}, ValueError, "class_weight has the label -1; labels are 0 to 2"),
    ("class name", {"class_weight": {"cat": 1.0}}, ValueError, "class_weight has the label 'cat'"),
    ("class fraction", {"class_weight": {0.5: 1.0}}, ValueError, "class_weight has the label 0.5"),
    ("class bool", {"class_weight": {True: 5.0}}, (ValueError, TypeError), "class_weight has the label True"),
    ("class negative", {"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] must be at least 0 .*got -1.0"),
    ("class NaN", {"class_weight": {0: NAN}}, ValueError, r"class_weight\[0\] must be at least 0 and finite, got nan"),
    ("class weight str", {"class_weight": {0: "big"}}, TypeError, r"class_weight\[0\] must be a number, got 'big'"),
    ("class list", {"class_weight": [1.0, 2.0, 3.0]}, TypeError, "class_weight must be a .*, got"),
    ("class balance", {"class_weight": "balance"}, TypeError, "or 'balanced', got 'balance'"),
    (
        "callback class",
        {"callbacks": [EarlyStopping]},
        TypeError,
        r"callbacks must be instances of fastmlp.Callback, got the class itself; write EarlyStopping\(...\)",
    ),
    ("callback function", {"callbacks": [print]}, TypeError, "callbacks must be instances of fastmlp.Callback, got"),
    ("one callback", {"callbacks": Callback()}, TypeError, r"callbacks must be a list .*callbacks=\[...\]"),
    ("callbacks number", {"callbacks": 5}, TypeError, "callbacks must be .*, got 5"),
    ("callbacks none", {"callbacks": None}, TypeError, "callbacks must be .*, got None"),
]

SET_WEIGHTS_CASES: list[tuple[str, Any, Any, str]] = [
    ("none", None, (TypeError, ValueError), r"weights must be 3 pairs \(W, b\), got"),
    ("a number", 5, (TypeError, ValueError), r"weights must be 3 pairs \(W, b\), got"),
    ("no layers", [], ValueError, r"weights must be 3 pairs \(W, b\), got 0 entries"),
    ("too few layers", WEIGHTS[:2], ValueError, r"weights must be 3 pairs \(W, b\), got 2 entries"),
    ("a flat list", [array for pair in WEIGHTS for array in pair], ValueError, "weights must be 3 pairs"),
    ("numbers", [1, 2, 3], (TypeError, ValueError), "weights must be 3 pairs"),
    ("transposed", replaced(0, w=WEIGHTS[0][0].T), ValueError, r"W of layer 0 must have shape \(3, 6\), got \(6, 3\)"),
    ("last W", replaced(2, w=np.zeros((5, 4))), ValueError, r"W of layer 2 must have shape \(5, 3\), got \(5, 4\)"),
    ("short b", replaced(1, b=[0.0] * 4), ValueError, r"b of layer 1 must have shape \(5,\), got \(4,\)"),
    ("b a row", replaced(1, b=np.zeros((1, 5))), ValueError, r"b of layer 1 must have shape \(5,\), got \(1, 5\)"),
    ("no b", [(w, None) for w, _ in WEIGHTS], ValueError, "layer 0 has a bias, got b=None"),
    ("NaN", replaced(2, w=at(14, NAN, WEIGHTS[2][0])), ValueError, r"W of layer 2\[4, 2\] is nan"),
    ("inf", replaced(0, b=at(0, INF, np.zeros(6))), ValueError, r"b of layer 0\[0\] is inf"),
    ("1e39", replaced(2, b=[0, 1e39, 0]), ValueError, r"b of layer 2\[1\] is 1e\+39, which float32 cannot hold"),
    ("strings", replaced(2, b=["a", "b", "c"]), (TypeError, ValueError), "b of layer 2 must .*real numbers"),
    ("complex", replaced(2, b=[0j, 1j, 0j]), TypeError, "b of layer 2 must .*real numbers"),
    ("objects", replaced(2, b=[None, 1, 2]), TypeError, "b of layer 2 must .*real numbers"),
    ("ragged", replaced(2, w=[[1, 2, 3], [1]]), ValueError, "W of layer 2"),
]

METHODS: list[tuple[str, Callable[[Network], Any], Any, str]] = [
    ("predict batch", lambda n: n.predict(X, batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
    ("predict float batch", lambda n: n.predict(X, batch_size=1.5), TypeError, "batch_size must be a whole number"),  # type: ignore[arg-type]
    ("memory", lambda n: n.memory("much"), TypeError, "batch_size must be a whole number, got 'much'"),  # type: ignore[arg-type]
    ("reinitialize", lambda n: n.reinitialize(-5), ValueError, "seed must be at least 0, got -5"),
    ("reinitialize float", lambda n: n.reinitialize(0.5), TypeError, "seed must be a whole number, got 0.5"),  # type: ignore[arg-type]
    ("save nowhere", lambda n: n.save("/nowhere/at/all/x.safetensors"), OSError, "/nowhere/at/all"),
    (
        "one row to split",
        lambda n: n.fit(X[:1], LABELS[:1], validation_split=0.5),
        ValueError,
        "at least 2 rows, got 1",
    ),
]

READERS: dict[str, Callable[[Network, Any], Any]] = {
    "predict": lambda n, given: n.predict(given),
    "predict_classes": lambda n, given: n.predict_classes(given),
    "hidden_activations": lambda n, given: n.hidden_activations(given),
    "input_gradients": lambda n, given: n.input_gradients(given),
}
LEARNERS: dict[str, Callable[[Network, Any, Any, Any], Any]] = {
    "fit": lambda n, x, y, w: n.fit(x, y, epochs=2, sample_weight=w),
    "train_on_batch": lambda n, x, y, w: n.train_on_batch(x, y, w),
    "evaluate": lambda n, x, y, w: n.evaluate(x, y, w),
    "loss_and_gradients": lambda n, x, y, w: n.loss_and_gradients(x, y, w),
}


def trained() -> Network:
    """Return a network after two epochs, with filled slots and a history."""
    network = small_network()
    network.fit(X, LABELS, epochs=2, batch_size=8)
    return network


def assert_refused(call: Callable[[Network], Any], error: Any, message: str) -> None:
    """Check that the call raises this error and leaves the network unchanged."""
    network = trained()
    before = everything(network)
    with pytest.raises(error, match=message):
        call(network)
    assert everything(network) == before


@pytest.mark.parametrize("method", READERS)
@pytest.mark.parametrize(("given", "error", "message"), by_name(X_CASES))
def test_bad_rows_are_not_predicted(method: str, given: Any, error: type[Exception], message: str) -> None:
    assert_refused(lambda network: READERS[method](network, given), error, message)


@pytest.mark.parametrize("method", LEARNERS)
@pytest.mark.parametrize(("given", "error", "message"), by_name(X_CASES + NO_ROWS))
def test_bad_rows_are_not_learned(method: str, given: Any, error: type[Exception], message: str) -> None:
    assert_refused(lambda network: LEARNERS[method](network, given, LABELS, None), error, message)


@pytest.mark.parametrize("method", LEARNERS)
@pytest.mark.parametrize(("given", "error", "message"), by_name(Y_CASES))
def test_bad_targets_are_not_learned(method: str, given: Any, error: type[Exception], message: str) -> None:
    assert_refused(lambda network: LEARNERS[method](network, X, given, None), error, message)


@pytest.mark.parametrize("method", LEARNERS)
@pytest.mark.parametrize(("given", "error", "message"), by_name(SAMPLE_WEIGHT_CASES))
def test_bad_weights_of_samples_are_refused(method: str, given: Any, error: type[Exception], message: str) -> None:
    assert_refused(lambda network: LEARNERS[method](network, X, LABELS, given), error, message)


@pytest.mark.parametrize(("options", "error", "message"), by_name(FIT_CASES))
def test_bad_options_of_fit_are_refused(options: dict[str, Any], error: Any, message: str) -> None:
    assert_refused(lambda network: network.fit(X, LABELS, **options), error, message)


@pytest.mark.parametrize(("given", "error", "message"), by_name(SET_WEIGHTS_CASES))
def test_bad_weights_are_not_set(given: Any, error: Any, message: str) -> None:
    assert_refused(lambda network: network.set_weights(given), error, message)


def test_a_bias_where_there_is_none_is_not_set() -> None:
    network = Network([3, Dense(2, use_bias=False)], seed=0)
    with pytest.raises(ValueError, match="layer 0 has no bias, got b="):
        network.set_weights([(np.zeros((3, 2)), np.zeros(2))])


@pytest.mark.parametrize(("call", "error", "message"), by_name(METHODS))
def test_bad_arguments_of_methods_are_refused(call: Callable[[Network], Any], error: Any, message: str) -> None:
    assert_refused(call, error, message)


BINARY: list[tuple[str, Any, Any, str]] = [
    (
        "labels 1 and 2",
        LABELS.clip(0, 1) + 1,
        ValueError,
        "y must lie between 0 and 1 for binary_crossentropy.* 1 to 2",
    ),
    ("labels -1 and 1", LABELS.clip(0, 1) * 2 - 1, ValueError, "between 0 and 1 .* from -1 to 1"),
    ("two columns", ONE_HOT[:, :2], ValueError, r"y must have shape \(41, 1\) for binary_crossentropy, got \(41, 2\)"),
]


@pytest.mark.parametrize(("given", "error", "message"), by_name(BINARY))
def test_bad_binary_targets_are_refused(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Network([3, 1], output="sigmoid", seed=0).fit(X, given)


POSITIVE = np.abs(X[:, 0])
SIGNS = np.where(X[:, 0] > 0, 1.0, -1.0)
KINDS: list[tuple[str, dict[str, Any], Any, Any, str]] = [
    ("hinge a half", {"loss": "hinge"}, at(3, 0.5, SIGNS), ValueError, "-1 and 1, or 0 and 1, for hinge, got 0.5"),
    ("hinge labels", {"loss": "hinge"}, LABELS, ValueError, "y must hold -1 and 1, or 0 and 1, for hinge, got 2"),
    ("hinge both", {"loss": "hinge"}, at(3, 0.0, SIGNS), ValueError, "0 and 1, for hinge, got -1 and 0"),
    ("hinge numbers", {"loss": "hinge"}, X[:, 0], ValueError, r"for hinge, got -?[\d.]+$"),
    ("hinge NaN", {"loss": "hinge"}, at(3, NAN, SIGNS), ValueError, r"y must be finite, but y\[3, 0\] is nan"),
    ("names of numbers", {"loss": "log_cosh"}, SIGNS.astype(str), TypeError, "y holds texts such as '.*labels need a"),
    ("hinge columns", {"loss": "hinge"}, ONE_HOT, ValueError, r"y must have shape \(41, 1\) for hinge, got \(41, 3\)"),
    ("negative count", {"loss": "poisson"}, at(3, -1, POSITIVE), ValueError, "be at least 0 for poisson, got "),
    ("negative rate", {"output": "exponential"}, -POSITIVE, ValueError, "y must be at least 0 for poisson, got "),
    ("infinite count", {"loss": "poisson"}, at(3, INF, POSITIVE), ValueError, r"must be finite, but y\[3, 0\] is inf"),
    ("two logs", {"loss": BinaryCrossentropy(0.1)}, LABELS, ValueError, "1 for binary_crossentropy, .* from 0 to 2"),
    ("log_cosh columns", {"loss": "log_cosh"}, ONE_HOT, ValueError, r"\(41, 1\) for log_cosh, got \(41, 3\)"),
    ("huber NaN", {"loss": Huber()}, at(0, NAN, X[:, 0]), ValueError, r"y must be finite, but y\[0, 0\] is nan"),
]  # fmt: skip


@pytest.mark.parametrize("method", LEARNERS)
@pytest.mark.parametrize(("options", "given", "error", "message"), by_name(KINDS))
def test_targets_that_do_not_suit_the_loss_are_not_learned(
    method: str, options: dict[str, Any], given: Any, error: type[Exception], message: str
) -> None:
    network = Network([3, 4, 1], seed=0, **options)
    before = everything(network)
    with pytest.raises(error, match=message):
        LEARNERS[method](network, X, given, None)
    assert everything(network) == before


@pytest.mark.parametrize(("options", "given"), [case[1:3] for case in KINDS if case[0] != "names of numbers"])
def test_targets_that_do_not_suit_the_loss_are_refused_by_the_reference(options: dict[str, Any], given: Any) -> None:
    with pytest.raises(ValueError, match=r"^y "):
        Reference([3, 4, 1], seed=0, **options).evaluate(X, given)


@pytest.mark.parametrize("y", [SIGNS, (SIGNS + 1) / 2, SIGNS > 0, np.ones(41), -np.ones(41), np.zeros(41)])
def test_signs_may_be_minus_1_and_1_or_0_and_1_or_truth_values(y: Any) -> None:
    network = Network([3, 4, 1], loss="hinge", dtype="float64", seed=0)
    signs = np.where(y > 0, 1.0, -1.0)
    assert network.loss_and_gradients(X, y)[0] == network.loss_and_gradients(X, signs)[0]


def test_labels_and_rows_of_a_divergence_are_checked_as_those_of_its_cross_entropy() -> None:
    for given, message in (
        (LABELS + 1, "class labels from 0 to 2"),
        (ONE_HOT * 2, "between 0 and 1 for kl_diverg"),
    ):
        with pytest.raises(ValueError, match=message):
            Network([3, 3], loss="kl_divergence", seed=0).fit(X, given)


def test_one_column_of_targets_does_not_stand_for_two_outputs() -> None:
    with pytest.raises(ValueError, match=r"y must have shape \(41, 2\) for mean_squared_error, got \(41,\)"):
        Network([3, 2], seed=0).fit(X, X[:, 0])


@pytest.mark.parametrize(
    ("network", "y"),
    [
        (Network([3, 1], seed=0), X[:, 0]),
        (Network([3, 3], output="softmax", seed=0), np.full((41, 3), 0.25)),
        (Network([3, 2], output="sigmoid", seed=0), np.ones((41, 2))),
    ],
    ids=["numbers", "soft rows", "several binary outputs"],
)
def test_weights_of_classes_need_one_class_a_row(network: Network, y: Any) -> None:
    with pytest.raises(ValueError, match="class_weight needs "):
        network.fit(X, y, class_weight={0: 2.0})
    assert network.step == 0


def test_a_bad_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        Network.load(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        Network.load(tmp_path / "none.safetensors", threads=0)


def test_numbers_that_only_float64_holds_suit_a_float64_network() -> None:
    network = small_network(dtype="float64")
    assert np.isfinite(network.predict(at(61, 1e39))).all()
    with pytest.raises(ValueError, match="which float64 cannot hold"):
        network.predict(at(61, 1.0).astype(np.longdouble) * np.longdouble("1e4000"))


def test_a_bad_call_within_a_callback_ends_the_fit_and_keeps_the_network() -> None:
    class Careless(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            self.network.predict(X[:, :2])

    network, other = small_network(), small_network()
    with pytest.raises(ValueError, match=r"X must have shape \(n, 3\)"):
        network.fit(X, LABELS, epochs=3, callbacks=[Careless()])
    other.fit(X, LABELS)
    assert everything(network)["weights"] == everything(other)["weights"]
