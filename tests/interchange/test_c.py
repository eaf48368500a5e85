"""to_c: the header compiles without warnings, has the weights to the bit, and predicts as the network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import ROOT
from cases import DTYPES, Array
from conversion import (
    ALL_ACTIVATIONS,
    TOLERANCE,
    assert_predicts_as,
    close_ensemble,
    columns,
    difference,
    ensemble,
    extremes,
    network,
    registered_activation,
    rows,
)

from fastmlp import Dense, Ensemble, GaussianNLL, Network, to_c
from fastmlp.activations import ACTIVATIONS, Activation
from fastmlp.interchange import c as exporter
from fastmlp.layers import LAYERS

COMPILER = next(filter(None, map(shutil.which, ("gcc", "clang", "cc"))), "")
OPTIONS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")

compiled = pytest.mark.skipif(not COMPILER, reason="there is no C compiler: neither gcc, clang nor cc was found")

PREDICTOR = """\
#include <stdio.h>
#include "mlp.h"

int main(void)
{
    static REAL x[MLP_INPUTS], y[MLP_OUTPUTS];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        mlp_predict(x, y);
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""

ENSEMBLE_PREDICTOR = """\
#include <stdio.h>
#include "mlp.h"

int main(void)
{
    static REAL x[MLP_INPUTS], y[3][MLP_OUTPUTS];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        mlp_predict(x, y[0]);
        mlp_predict_std(x, y[1], y[2]);
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""


def program(folder: Path, header: str, source: str, dtype: str, *options: str) -> Path:
    """Write the header and the source, compile the source, and return the executable."""
    (folder / "mlp.h").write_text(header)
    (folder / "main.c").write_text(source.replace("REAL", "float" if dtype == "float32" else "double"))
    arguments = [COMPILER, *OPTIONS, *options, "main.c", "-o", "main", "-lm"]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "main"


def run(executable: Path, X: Array, outputs: int) -> Array:
    done = subprocess.run([executable], input=X.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, X.dtype).reshape(len(X), outputs)


def predictions(folder: Path, net: Network, X: Array, *options: str) -> Array:
    """Return the predictions of the function of the header."""
    executable = program(folder, to_c(net), PREDICTOR, X.dtype.name, *options)
    return run(executable, X, net.architecture.outputs)


def mixtures(folder: Path, model: Ensemble, X: Array, *options: str) -> tuple[Array, Array]:
    """Return the means and the standard deviations of the functions of the header, whose means are the same."""
    columns = model.predict(X[:1]).shape[1]
    found = run(program(folder, to_c(model), ENSEMBLE_PREDICTOR, X.dtype.name, *options), X, 3 * columns)
    alone, mean, std = found.reshape(len(X), 3, columns).swapaxes(0, 1)
    assert alone.tobytes() == mean.tobytes()
    return mean, std


@compiled
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("activation", ALL_ACTIVATIONS.values(), ids=ALL_ACTIVATIONS)
def test_predictions_equal_those_of_the_network(activation: Activation, dtype: str, tmp_path: Path) -> None:
    net, X = network(activation, dtype), rows(dtype)
    assert difference(predictions(tmp_path, net, X), net.predict(X)) <= TOLERANCE[dtype]


@compiled
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.heavy), "float64"])
@pytest.mark.parametrize("activation", ALL_ACTIVATIONS.values(), ids=ALL_ACTIVATIONS)
def test_predictions_are_equal_for_tiny_and_huge_numbers(activation: Activation, dtype: str, tmp_path: Path) -> None:
    net, X = extremes(activation, dtype)
    assert difference(predictions(tmp_path, net, X), net.predict(X)) <= TOLERANCE[dtype]


@compiled
def test_sanitizers_find_no_invalid_memory_access(tmp_path: Path) -> None:
    kinds = [each for each in ACTIVATIONS.values() if each.name != "exponential"]
    net = Network([5, *(Dense(3 + index % 4, kind) for index, kind in enumerate(kinds))], seed=0)
    X = np.concatenate([rows("float32"), np.full((1, 5), 1e30, np.float32)])
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    trial = subprocess.run([COMPILER, *SANITIZERS, "main.c"], cwd=tmp_path, capture_output=True)
    if trial.returncode:
        pytest.skip("this compiler has no sanitizers")
    assert difference(predictions(tmp_path, net, X, *SANITIZERS), net.predict(X)) <= TOLERANCE["float32"]


@compiled
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_weights_have_the_bits_of_the_network(dtype: str, tmp_path: Path) -> None:
    net = Network([1, Dense(13, "tanh"), 1], dtype=dtype, seed=0)
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    values = [0.0, -0.0, 1.0, 1 / 3, -0.1, tiny, -tiny, huge, -huge, 1e20, 123456789.0, np.pi, 2.0**-30]
    (_, b), last = net.get_weights()
    net.set_weights([(np.array([values]), b), last])
    source = '#include <stdio.h>\n#include "mlp.h"\n'
    source += "int main(void) { fwrite(mlp_W0, sizeof mlp_W0, 1, stdout); return 0; }\n"
    done = subprocess.run([program(tmp_path, to_c(net), source, dtype)], capture_output=True, check=True)
    assert done.stdout == net.get_weights()[0][0].tobytes()


@compiled
def test_the_examples_of_the_documentation_and_the_header_compile(tmp_path: Path) -> None:
    net = Network([30, 16, 2], output="softmax", seed=0)
    [source] = re.findall(r"```c\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    assert len(source.splitlines()) == 6
    said = subprocess.run([program(tmp_path, to_c(net), source, "float32")], capture_output=True, text=True, check=True)
    expected = net.predict(np.zeros((1, 30)))[0]
    assert [float(number) for number in said.stdout.split()] == pytest.approx(
        expected.tolist(), rel=1e-5
    )  # %g: 6 digits
    [usage] = re.findall(r"#include \"mlp\.h\"\n(.*?predict.*?\n)", to_c(net), re.DOTALL)
    lines = "\n".join(line.removeprefix(" *") for line in usage.splitlines())
    program(tmp_path, to_c(net), f'#include "mlp.h"\nint main(void) {{ {lines} return y[0] < 0; }}\n', "float32")


@compiled
def test_two_networks_with_different_names_work_in_one_program(tmp_path: Path) -> None:
    first, second = (Network([2, 3, 1], activation="elu", seed=seed) for seed in (0, 1))
    to_c(first, tmp_path / "first.h", name="first")
    to_c(second, tmp_path / "second.h", name="second")
    main = (
        '#include <stdio.h>\n#include "first.h"\n#include "second.h"\n#include "first.h"\n#include "mlp.h"\n'
        "int main(void) { const float x[FIRST_INPUTS] = {1, 2}; float y[2];\n"
        "first_predict(x, y); second_predict(x, y + SECOND_OUTPUTS); fwrite(y, sizeof y, 1, stdout); return 0; }\n"
    )
    X = np.array([[1, 2]], np.float32)
    found = run(program(tmp_path, to_c(first), main, "float32"), X, 2)
    assert difference(found, np.concatenate([first.predict(X), second.predict(X)], axis=1)) <= 1e-6


NAMES = [
    *[("net", "relu"), ("Net", "sigmoid"), ("NET", "elu"), ("nEt", "tanh")],  # differ in case alone
    *[
        ("mlp", "leaky_relu"),
        ("mlp_leaky", "relu"),
        ("mlp_hard", "sigmoid"),
        ("mlp_", "hard_sigmoid"),
        ("mlp_W0", "gelu"),
    ],
    *[("int", "selu"), ("class", "mish"), ("math", "silu"), ("E", "softplus"), ("predict", "relu"), ("x", "elu")],
    *[("a" * 40, "relu"), ("A" * 40, "relu"), ("net_inputs", "relu6"), ("NET_INPUTS", "linear")],
    *[("mlp_predict", "relu"), ("mlp_predict_std", "elu"), ("mlp_member0", "relu"), ("std", "relu")],
]
ENSEMBLES = {"mlp", "Net", "NET", "mlp_", "predict", "x", "A" * 40, "mlp_predict", "std"}  # the others are networks


@compiled
@pytest.mark.parametrize("language", [["-std=c99"], ["-x", "c++", "-std=c++11"]], ids=["C", "C++"])
def test_networks_of_any_names_work_in_one_program(language: list[str], tmp_path: Path) -> None:
    """Names that differ in case alone, that begin or end as the names of others, and words of C and C++."""
    nets: dict[str, Ensemble | Network] = {
        name: Ensemble([2, 3 + i, 1], members=2, activation=g, seed=i)
        if name in ENSEMBLES
        else Network([2, 3 + i, 1], activation=g, seed=i)
        for i, (name, g) in enumerate(NAMES)
    }
    for index, (name, net) in enumerate(nets.items()):
        to_c(net, tmp_path / f"{index}.h", name=name)
    includes = "".join(f'#include "{index}.h"\n' for index in range(len(nets))) * 2
    calls = "".join(f"    {name}_predict(x, y + {index});\n" for index, name in enumerate(nets))
    sizes = "float x[NET_INPUTS + Net_inputs - 2 + NET_inputs - 2] = {1, 2}"
    main = f"void other(float *y);\nint main(void)\n{{\n    static float y[{len(nets)}];\n    {sizes};\n{calls}"
    main += "    other(y);\n    fwrite(y, sizeof y, 1, stdout);\n    return 0;\n}\n"
    (tmp_path / "main.c").write_text(f"#include <stdio.h>\n{includes}{main}")
    (tmp_path / "other.c").write_text(
        '#include "0.h"\nvoid other(float *y);\nvoid other(float *y)\n{\n    float x[2] = {1, 2};\n'
        "    net_predict(x, y);\n}\n"
    )
    options = [*OPTIONS[1:], *language, "main.c", "other.c", "-o", "main", "-lm"]
    done = subprocess.run([COMPILER, *options], cwd=tmp_path, capture_output=True, text=True)
    if "cc1plus" in done.stderr:
        pytest.skip("this compiler has no C++")
    assert done.returncode == 0, done.stderr
    X = np.array([[1, 2]], np.float32)
    expected = np.concatenate([net.predict(X) for net in nets.values()], axis=1)
    assert difference(run(tmp_path / "main", X, len(nets)), expected) <= 1e-6


@compiled
@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_of_columns_are_exported(dtype: str, tmp_path: Path) -> None:
    net, X = columns(dtype), rows(dtype)
    assert difference(predictions(tmp_path, net, X), net.predict(X)) <= TOLERANCE[dtype]
    assert exporter.LAYERS.keys() == LAYERS.keys(), "LAYERS of fastmlp/interchange/c.py"


def test_every_built_in_activation_has_a_function() -> None:
    assert exporter.FUNCTIONS.keys() == {"gelu_tanh", *ACTIVATIONS}, "FUNCTIONS of fastmlp/interchange/c.py"


def test_the_header_includes_math_h_only_and_has_only_the_code_it_needs() -> None:
    text = to_c(Network([5, 16, 7, 3], output="sigmoid", seed=0))
    assert re.findall(r"#include.*", text) == ['#include "mlp.h"', "#include <math.h>"]  # the first one is in a comment
    assert re.findall(r"static inline \w+ (\w+)\(", text) == ["mlp_dense", "mlp_relu", "mlp_sigmoid", "mlp_predict"]
    assert {"#define MLP_INPUTS 5", "#define MLP_OUTPUTS 3", "#define MLP_SCRATCH 23"} <= set(text.splitlines())
    assert max(map(len, text.splitlines())) <= 120
    assert "5 -> 16, relu" in text


def test_the_file_has_the_returned_text(tmp_path: Path) -> None:
    text = to_c(network(ACTIVATIONS["gelu"]), tmp_path / "mlp.h")
    assert (tmp_path / "mlp.h").read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["mlp.h"]


@pytest.mark.parametrize("name", ["", "2mlp", "_mlp", "my-net", "net!", "nét", "mlp\n", "a" * 41])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name must have up to 40 ASCII letters, digits and underscores and begin"):
        to_c(network(ACTIVATIONS["relu"]), name=name)


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    given: Any = 3
    with pytest.raises(TypeError, match="name must be a string, got 3"):
        to_c(network(ACTIVATIONS["relu"]), name=given)
    with pytest.raises(TypeError, match=r"to_c needs a fastmlp\.Network or fastmlp\.Ensemble, got builtins\.int"):
        to_c(given)
    with registered_activation() as net, pytest.raises(ValueError, match=r"layer 1 .*'softsign', registered "):
        to_c(net, tmp_path / "mlp.h")
    assert list(tmp_path.iterdir()) == []


# Ensembles -----------------------------------------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("loss", [None, GaussianNLL(0.01)], ids=["mean_squared_error", "gaussian_nll"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_ensemble_predicts_the_mean_and_the_standard_deviation(
    dtype: str, loss: GaussianNLL | None, tmp_path: Path
) -> None:
    model, X = ensemble(dtype, loss), rows(dtype)
    assert_predicts_as(model, X, *mixtures(tmp_path, model, X))


@compiled
def test_a_small_deviation_of_large_predictions_keeps_its_digits(tmp_path: Path) -> None:
    model, X = close_ensemble("float32"), rows("float32")
    _, std = mixtures(tmp_path, model, X)
    rounding = len(model) * 1000 * float(np.finfo(np.float32).eps)  # of the sum that gives the mean
    np.testing.assert_allclose(std, model.predict(X, return_std=True)[1], rtol=0, atol=rounding)


@compiled
def test_sanitizers_find_no_invalid_memory_access_in_an_ensemble(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    trial = subprocess.run([COMPILER, *SANITIZERS, "main.c"], cwd=tmp_path, capture_output=True)
    if trial.returncode:
        pytest.skip("this compiler has no sanitizers")
    shapes = [[5, 3, 7, 2], [5, 2], [5, 6, 2]]
    model = Ensemble.from_networks([Network(shape, loss=GaussianNLL(), seed=0) for shape in shapes])
    X = rows("float32")
    assert_predicts_as(model, X, *mixtures(tmp_path, model, X, *SANITIZERS))


@compiled
def test_the_usage_in_the_header_of_an_ensemble_compiles(tmp_path: Path) -> None:
    text = to_c(Ensemble([3, 4, 2], members=2, seed=0))
    [usage] = re.findall(r"#include \"mlp\.h\"\n(.*?_std.*?\n)", text, re.DOTALL)
    lines = "\n".join(line.removeprefix(" *") for line in usage.splitlines())
    program(tmp_path, text, f'#include "mlp.h"\nint main(void) {{ {lines} return std[0] < 0; }}\n', "float32")


def test_the_header_of_an_ensemble_has_each_function_once() -> None:
    networks = [
        Network([5, *hidden, 4], activation=g, loss=GaussianNLL(), seed=0)
        for hidden, g in (([16, 7], "silu"), ([16, 7], "silu"), ([], "relu"), ([9, 9, 30], "sigmoid"))
    ]
    text = to_c(Ensemble.from_networks(networks))
    helpers, members = ["mlp_dense", "mlp_sigmoid", "mlp_silu"], [f"mlp_member{index}" for index in range(4)]
    functions = [*helpers, *members, "mlp_add", "mlp_predict_std", "mlp_predict"]
    assert re.findall(r"static inline \w+ (\w+)\(", text) == functions
    macros = {"#define MLP_INPUTS 5", "#define MLP_OUTPUTS 2", "#define MLP_SCRATCH 43"}
    assert macros <= set(text.splitlines())  # 30 and 9 numbers of the last member, and the outputs of one
    assert max(map(len, text.splitlines())) <= 120
    assert " *   2 of the members:\n *     5 -> 16, silu\n" in text
    arrays = re.findall(r"static const float (\w+)\[", text)
    assert len(arrays) == len(set(arrays)) == 2 * sum(len(net.architecture.layers) for net in networks)


def test_the_message_about_an_activation_names_the_member() -> None:
    with registered_activation() as net, pytest.raises(ValueError, match=r"layer 1 of member 1 has .*'softsign'"):
        to_c(Ensemble.from_networks([Network([5, 2], seed=0), net]))
