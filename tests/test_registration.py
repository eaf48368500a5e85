"""Registered activations and losses are checked and compiled at registration, and used and stored by name."""

from __future__ import annotations

import copy
import json
import math
import operator
import pickle
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import run_python
from cases import Array, data_for
from own_functions import network_of, register_swish, swish, swish_slope

from fastmlp import Dense, LeakyReLU, Network, register_activation, register_loss
from fastmlp.activations import ACTIVATIONS
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.registration import _Z

pytestmark = pytest.mark.usefixtures("forget_registered")

TABLE = {"half": 0.5}
LIST = [0.5]
MINUS_ONE = -1


# Names ---------------------------------------------------------------------------------------------------------------


def test_a_name_works_wherever_a_built_in_one_does() -> None:
    register_activation("own", swish, swish_slope, weight_init="he_normal", output_loss="huber")
    networks = [
        Network([4, Dense(9, "own"), Dense(3, "own")], seed=1),
        Network([4, 9, 3], activation="own", output="own", seed=1),
        Network([4, Dense(9, ACTIVATIONS["own"]), 3], output=ACTIVATIONS["own"], loss="huber", seed=1),
    ]
    for network in networks:
        assert network.architecture == networks[0].architecture
        assert network.architecture.loss == LOSSES["huber"]
        assert network.architecture.layers[0].weight_init == INITIALIZERS["he_normal"]
        assert "output='own'" in repr(network)


@pytest.mark.parametrize(
    ("targets", "metrics"),
    [("values", ["mean_absolute_error", "r2"]), ("counts", ["mean_absolute_error", "r2"]), ("binary", ["accuracy"])],
)
def test_the_metrics_follow_from_the_targets(targets: Any, metrics: list[str]) -> None:
    register_loss("own", lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y), targets=targets)
    network = Network([3, 1], loss="own", seed=0)
    assert list(network.evaluate(np.ones((2, 3)), [0.0, 1.0])) == ["loss", *metrics]


def test_a_name_registered_anew_is_for_new_networks_alone() -> None:
    register_activation("own", lambda z: z, lambda z: 1.0)
    register_loss("own", lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
    old = network_of(Network, "own", loss="own")
    X, y = data_for(old, 20, "float64")
    register_activation("own", lambda z: 2 * z, lambda z: 2.0)
    register_loss("own", lambda a, y: 2 * (a - y) ** 2, lambda a, y: 4 * (a - y))
    new, copied = network_of(Network, "own", loss="own"), copy.deepcopy(old)
    linear = network_of(Network, "linear")
    for network in (old, copied, copy.copy(old)):
        np.testing.assert_array_equal(network.predict(X), old.predict(X))
        assert network.evaluate(X, y) == old.evaluate(X, y)
    copied.fit(X, y)
    old.fit(X, y)
    np.testing.assert_array_equal(copied.predict(X), old.predict(X))
    np.testing.assert_array_equal(new.hidden_activations(X)[0], 2 * linear.hidden_activations(X)[0])


def test_numbers_around_a_function_are_those_of_the_registration() -> None:
    factor = 2.0

    def scaled(z: float) -> float:
        return factor * z

    register_activation("own", scaled, lambda z: 2.0)
    factor = 3.0
    network = Network([3, Dense(2, "own")], dtype="float64", seed=0)
    linear = Network([3, 2], dtype="float64", seed=0)
    np.testing.assert_array_equal(network.predict(np.eye(3)), 2 * linear.predict(np.eye(3)))


# Files and processes -------------------------------------------------------------------------------------------------

ELSEWHERE = """
import pickle
from fastmlp import Network
import own_functions
import test_registration as own
path, pickled = {path!r}, {pickled!r}
for read in (lambda: Network.load(path), lambda: pickle.loads(open(pickled, "rb").read())):
    try:
        read()
    except Exception as error:
        print(type(error).__name__, error)
own_functions.register_swish()
for network in (Network.load(path), pickle.loads(open(pickled, "rb").read()), own.trained()):
    print(network.predict(own.SOME).tobytes().hex())
"""
SOME: Array = np.linspace(-3, 3, 40).reshape(10, 4)


def trained() -> Network:
    network: Network = network_of(Network, "own_swish")
    network.fit(*data_for(network, 50, "float64"), epochs=2)
    return network


def test_what_is_stored_is_the_name_and_other_processes_give_the_same_bits(tmp_path: Path) -> None:
    register_swish()
    network, path, pickled = trained(), tmp_path / "own.safetensors", tmp_path / "own.pickle"
    network.save(path)
    pickled.write_bytes(pickle.dumps(network))
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    layers = json.loads(header["__metadata__"]["layers"])
    assert [layer["activation"] for layer in layers] == [{"name": "own_swish"}] * 2 + [{"name": "linear"}]
    out, _ = run_python(ELSEWHERE.format(path=str(path), pickled=str(pickled)))
    refused_file, refused_pickle, *outputs = out.splitlines()
    hint = "; register your own activation with fastmlp.register_activation first"
    assert refused_file.startswith(f"ModelFormatError {str(path)!r} is not a valid fastmlp model: ")
    for said in (refused_file, refused_pickle):
        assert "unknown activation 'own_swish'. Known names: linear, relu" in said
        assert said.endswith(hint)
    assert refused_pickle.startswith("ValueError unknown activation")
    assert outputs == [network.predict(SOME).tobytes().hex()] * 3


def test_a_loss_that_is_not_registered_is_not_loaded(tmp_path: Path) -> None:
    register_loss("own", lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
    network = Network([3, 1], loss="own", seed=0)
    assert "loss='own'" in repr(network)
    network.save(tmp_path / "own")
    again = Network.load(tmp_path / "own")
    assert again.architecture == network.architecture
    assert pickle.loads(pickle.dumps(network)).architecture.loss is LOSSES["own"]
    del LOSSES["own"]
    with pytest.raises(
        ValueError, match=r"unknown loss 'own'.*register your own loss with fastmlp\.register_loss first$"
    ):
        Network.load(tmp_path / "own")


CACHED = """
from cases import data_for
from own_functions import network_of, register_swish
from fastmlp import Network, register_loss
from fastmlp.kernels.host import code_cache
def files():
    return sorted(path.name for path in code_cache.directory().iterdir() if path.suffix == ".kernel")
network = network_of(Network, "silu", loss="log_cosh")
network.fit(*data_for(network, 50, "float64"))
before = files()
register_swish()
register_loss("own", lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
network = network_of(Network, "own_swish", loss="own")
network.fit(*data_for(network, 50, "float64"))
print(len(before), sorted(set(files()) - set(before)))
"""


def test_the_code_of_a_user_is_not_kept_on_disk() -> None:
    count, new = run_python(CACHED)[0].split(maxsplit=1)
    assert int(count) > 5
    assert new.strip() == "[]"


# What is refused -----------------------------------------------------------------------------------------------------


def line(z: float) -> float:
    return z


def one(z: float) -> float:
    return 1.0


def error(a: float, y: float) -> float:
    return (a - y) ** 2


def error_gradient(a: float, y: float) -> float:
    return 2 * (a - y)


def raising(z: float) -> float:
    if z > 100:
        raise ValueError("too large")
    return z


def asserting(z: float) -> float:
    assert z < 100
    return 1.0


def bad(z: float) -> float:
    if z > 5:
        raise ZeroDivisionError("too large")
    return z


BAD_ACTIVATIONS: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = {
    "name a number": ((3, line, one), {}, TypeError, "the name of a registered activation must be a string, got 3"),
    "name empty": (("", line, one), {}, ValueError, "must be a Python name such as 'softsign', got ''"),
    "name with a space": (("my own", line, one), {}, ValueError, "must be a Python name such as 'softsign', got 'my o"),
    "built in": (("relu", line, one), {}, ValueError, "'relu' is a built-in activation; choose another name"),
    "forward a name": (
        ("own", "tanh", one), {}, TypeError, "forward must be a Python function of one number, z, got 'tanh'",
    ),
    "forward built in": (
        ("own", math.tanh, one), {}, TypeError, "forward must be a Python function of one number, z, got <built-in",
    ),
    "forward a ufunc": (
        ("own", np.tanh, one), {}, TypeError, "forward must be a Python function of one number, z, got <ufunc 'tanh'>",
    ),
    "derivative nothing": (
        ("own", line, None), {}, TypeError, "derivative must be a Python function of one number, z, got None",
    ),
    "forward of two": (("own", error, one), {}, TypeError, "forward must take one number, z, got (a: "),
    "derivative of none": (("own", line, lambda: 1.0), {}, TypeError, "derivative must take one number, z, got ()"),
    "forward of any": (("own", lambda *z: z[0], one), {}, TypeError, "forward must take one number, z, got (*z)"),
    "forward by keyword": (("own", lambda *, z: z, one), {}, TypeError, "forward must take one number, z, got (*, z)"),
    "weight_init": (("own", line, one), {"weight_init": "he"}, ValueError, "unknown initializer 'he'"),
    "weight_init an object": (
        ("own", line, one), {"weight_init": INITIALIZERS["zeros"]}, TypeError,
        "weight_init must be a name, got Zeros()",
    ),
    "output_loss": (("own", line, one), {"output_loss": "mse"}, ValueError, "unknown loss 'mse'"),
    "output_loss an object": (
        ("own", line, one), {"output_loss": LOSSES["hinge"]}, TypeError, "output_loss must be a name, got Hinge()",
    ),
    "forward fails": (
        ("own", bad, one), {}, ValueError, "own: forward(5.00922) failed: ZeroDivisionError: too large",
    ),
    "forward NaN": (
        ("own", lambda z: math.nan, one), {}, ValueError, "own: forward(-6.0137) must be a finite number, got nan",
    ),
    "forward infinite": (
        ("own", lambda z: z if z < 6 else math.inf, one), {}, ValueError,
        "own: forward(6.0113) must be a finite number, got inf",
    ),
    "forward complex": (
        ("own", lambda z: z * 1j, one), {}, ValueError, "own: forward(-6.0137) failed: TypeError: ",
    ),
    "forward of nothing": (
        ("own", lambda z: None, one), {}, ValueError, "own: forward(-6.0137) failed: TypeError: ",
    ),
    "derivative infinite": (
        ("own", line, lambda z: math.inf), {}, ValueError, "own: derivative(-6.0137) must be a finite number, got inf",
    ),
    "derivative wrong": (
        ("own", lambda z: z * z, lambda z: z), {}, ValueError,
        "own: derivative(-6.0137) is -6.0137, but the central difference is -12.0274",
    ),
    "derivative hardly wrong": (
        ("own", line, lambda z: 1.00002), {}, ValueError,
        "is 1.00002, but the central difference is 1",
    ),
    "jumps everywhere": (
        ("own", lambda z: math.floor(z * 5e4) / 5e4, lambda z: 0.0), {}, ValueError,
        "own: derivative cannot be checked: the function has kinks or jumps at ",
    ),
    "a dict": (
        ("own", lambda z: TABLE["half"] * z, lambda z: 0.5), {}, ValueError,
        "own: forward cannot be compiled: Untyped global name 'TABLE': Cannot determine Numba type of <class 'dict'> "
        "(test_registration.py, line ",
    ),
    "a list": (
        ("own", lambda z: LIST[0] * z, lambda z: 0.5), {}, ValueError,
        "own: forward cannot be compiled: The use of a reflected list(float64)",
    ),
    "a dict in a helper": (
        ("own", lambda z: helper_of_table(z), lambda z: 0.5), {}, ValueError,
        "own: forward cannot be compiled: Untyped global name 'TABLE'",
    ),
    "a method": (
        ("own", line, lambda z: z.as_integer_ratio()[0] * 0 + 1.0), {}, ValueError,
        "own: derivative cannot be compiled: Unknown attribute 'as_integer_ratio' of type float64 (test_registration",
    ),
    "an array": (
        ("own", lambda z: np.asarray(z), one), {}, ValueError,
        "own: forward cannot be compiled: it must return a number, got array(float64, 0d, C)",
    ),
    "raises": (
        ("own", raising, one), {}, ValueError,
        "own: forward cannot be compiled: raising must not raise an error: a kernel cannot stop; return math",
    ),
    "asserts": (
        ("own", line, lambda z: asserting(z)), {}, ValueError,
        "own: derivative cannot be compiled: asserting must not raise an error: ",
    ),
    "other bits when compiled": (
        ("own", lambda z: z * 2**MINUS_ONE, lambda z: 0.5), {}, ValueError,
        "own: forward(-6.0137) is -3.00685 in Python, but -0 when compiled",
    ),
    "another derivative when compiled": (
        ("own", lambda z: 0.5 * z, lambda z: 2**MINUS_ONE), {}, ValueError,
        "own: derivative(-6.0137) is 0.5 in Python, but 0 when compiled",
    ),
}  # fmt: skip


def helper_of_table(z: float) -> float:
    return TABLE["half"] * z


@pytest.mark.parametrize("case", BAD_ACTIVATIONS)
def test_a_bad_activation_is_refused_and_not_registered(case: str) -> None:
    arguments, options, kind, message = BAD_ACTIVATIONS[case]
    before = dict(ACTIVATIONS)
    with pytest.raises(kind) as caught:
        register_activation(*arguments, **options)
    said = str(caught.value)
    assert message in said
    assert before == ACTIVATIONS
    assert len(said) < 400  # a line, not a page of the compiler's
    assert "\n" not in said
    assert "pipeline" not in said
    assert "numba/core" not in "".join(traceback.format_exception(caught.value))


BAD_LOSSES: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = {
    "no name": (
        (None, error, error_gradient), {}, TypeError, "the name of a registered loss must be a string, got None",
    ),
    "name with a hyphen": (("a-b", error, error_gradient), {}, ValueError, "must be a Python name such as "),
    "built in": (("huber", error, error_gradient), {}, ValueError, "'huber' is a built-in loss; choose another name"),
    "value built in": (
        ("own", operator.sub, error_gradient), {}, TypeError,
        "value must be a Python function of two numbers, a and y, got <built-in function sub>",
    ),
    "value of one": (("own", line, error_gradient), {}, TypeError, "value must take two numbers, a and y, got (z: "),
    "gradient of one": (("own", error, line), {}, TypeError, "gradient must take two numbers, a and y, got (z: "),
    "targets": (
        ("own", error, error_gradient), {"targets": "numbers"}, ValueError,
        "targets must be one of classes, binary, signs, counts, positive, values, got 'numbers'",
    ),
    "value outside of its domain": (
        ("own", lambda a, y: math.log(a), lambda a, y: 1 / a), {}, ValueError,
        "own: value(-3.0137, -1.507) failed: ValueError: ",
    ),
    "gradient wrong": (
        ("own", error, lambda a, y: a - y), {}, ValueError,
        "own: gradient(-3.0137, 2.011) is -5.0247, but the central difference is -10.0494",
    ),
    "gradient wrong for one target": (
        ("own", error, lambda a, y: 2 * (a - y) if y < 1 else 0.0), {"targets": "binary"}, ValueError,
        "own: gradient(0.0213, 1) is 0, but the central difference is -1.9574",
    ),
    "gradient in y": (("own", error, lambda a, y: 2 * (y - a)), {}, ValueError, "own: gradient("),
    "value compiled": (
        ("own", lambda a, y: TABLE["half"] * a, lambda a, y: 0.5), {}, ValueError,
        "own: value cannot be compiled: Untyped global name 'TABLE'",
    ),
    "gradient compiled": (
        ("own", lambda a, y: 0.5 * a, lambda a, y: 2**MINUS_ONE), {}, ValueError,
        "own: gradient(-3.0137, -1.507) is 0.5 in Python, but 0 when compiled",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LOSSES)
def test_a_bad_loss_is_refused_and_not_registered(case: str) -> None:
    arguments, options, kind, message = BAD_LOSSES[case]
    before = dict(LOSSES)
    with pytest.raises(kind) as caught:
        register_loss(*arguments, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before == LOSSES


def test_an_error_leaves_what_had_the_name_before() -> None:
    register_swish()
    kept = ACTIVATIONS["own_swish"]
    with pytest.raises(ValueError, match="central difference"):
        register_activation("own_swish", lambda z: z, lambda z: z)
    assert ACTIVATIONS["own_swish"] is kept


@pytest.mark.parametrize("place", np.linspace(-6, 6, 13))
def test_a_derivative_that_is_wrong_in_one_place_is_caught(place: float) -> None:
    with pytest.raises(ValueError, match=r"but the central difference is 1$"):
        register_activation("own", line, lambda z: 1.01 if abs(z - place) < 0.05 else 1.0)


@pytest.mark.parametrize("kink", [-3, 0, 0.5, float(_Z[100])])
def test_a_kink_may_lie_anywhere(kink: float) -> None:
    register_activation("own", lambda z: abs(z - kink), lambda z: 1 if z > kink else -1)
    assert Network([3, Dense(2, "own"), 1], seed=0).architecture.layers[0].activation is ACTIVATIONS["own"]


def test_an_unknown_name_is_refused_with_those_registered() -> None:
    register_swish()
    with pytest.raises(ValueError, match="unknown activation 'own_swich'; did you mean 'own_swish'"):
        network_of(Network, "own_swich")
    assert LeakyReLU() in ACTIVATIONS.values()
