"""`to_c` exports a network as one C99 header that needs only <math.h>."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from string import Template
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp._io.atomic import write_atomically
from fastmlp.interchange.exports import WeightedLayer, translate_activation, weighted_layers

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)  # C99 distinguishes 63 characters, suffixes included
_LINE_LENGTH = 100  # of lines of numbers


def to_c(network: fastmlp.Network, path: str | os.PathLike[str] | None = None, *, name: str = "mlp") -> str:
    """Export a network as a C99 header that predicts as `Network.predict` does.

    The header defines `void mlp_predict(const float *x, float *y)`, which predicts one row (double for a float64
    network), and the macros MLP_INPUTS, MLP_OUTPUTS and MLP_SCRATCH. The weights are constants with enough digits to
    have the same bits as in the network. The function allocates no memory and is thread-safe. It uses MLP_SCRATCH
    numbers on the stack. Link with the mathematical library, `-lm`.

    Headers with different names can be used in one program. The names may differ in case alone, but then give the files
    other names, because Windows and macOS do not distinguish them.

    Parameters
    ----------
    network : Network
        The network. Dropout and penalties affect only training and are not exported.
    path : path-like, optional
        The file to write, usually `*.h`. It is replaced atomically. None writes no file.
    name : str
        The prefix of all names in the header. Up to 40 ASCII letters, digits and underscores, beginning with a letter.
        Macros are in capitals, MLP_INPUTS. If the name has a capital letter, they begin with the name as it is, and end
        in small letters: Net_inputs.

    Returns
    -------
    str
        The content of the header.

    Raises
    ------
    TypeError
        If `network` is not a Network or `name` is not a string.
    ValueError
        If a layer has an activation registered by `register_activation`, or `name` is not valid.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> fastmlp.to_c(net, "mlp.h")

    In C::

        #include "mlp.h"

        float x[MLP_INPUTS] = {0}, y[MLP_OUTPUTS];
        mlp_predict(x, y);
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r}")
    if not _NAME.fullmatch(name):
        rule = "up to 40 ASCII letters, digits and underscores and begin with a letter"
        raise ValueError(f"name must have {rule}, got {name!r}")
    text = _Header(weighted_layers(network, "to_c"), network.architecture.dtype, name).text()
    if path is not None:
        write_atomically(path, [text.encode("ascii")])
    return text


class _Header:
    """The parts of a header.

    In the templates, `$real` is float or double, and `$f` is the suffix of functions and constants of type float.
    """

    def __init__(self, layers: list[WeightedLayer], dtype: np.dtype[Any], name: str) -> None:
        self.layers = layers
        activations = [layer.activation for layer, _, _ in layers]
        self.functions = [translate_activation(g, FUNCTIONS, index, "to_c") for index, g in enumerate(activations)]
        is_float = dtype == np.dtype(np.float32)
        self.words = {
            "name": name,
            **{macro: _macro(name, macro) for macro in ("INPUTS", "OUTPUTS", "SCRATCH")},
            "real": "float" if is_float else "double",
            "f": "f" if is_float else "",
            "version": fastmlp.__version__,
            "inputs": layers[0].layer.inputs,
            "outputs": layers[-1].layer.units,
            "layers": "\n".join(f" *     {_layer_line(each)}" for each in layers),
        }
        hidden = [each.layer.units for each in layers[:-1]]
        self.scratch = {"a": max(hidden[::2], default=0), "b": max(hidden[1::2], default=0)}  # used alternately

    def text(self) -> str:
        """Return the whole header."""
        words = {**self.words, "scratch": sum(self.scratch.values())}
        parts = [Template(_HEAD).substitute(words)]
        for index, (_, W, b) in enumerate(self.layers):
            parts.append(self._array(f"W{index}", W))
            if b is not None:
                parts.append(self._array(f"b{index}", b))
        kinds = dict.fromkeys(each.layer.kind for each in self.layers)
        parts += [
            Template(code).substitute(words) for code in (*(LAYERS[kind] for kind in kinds), *self._activation_code())
        ]
        return "\n".join([*parts, self._predict(), f"#endif /* FASTMLP_{self.words['name']}_H */", ""])

    def _array(self, name: str, numbers: NDArray[Any]) -> str:
        """Return the definition of a constant array."""
        declaration = f"static const {self.words['real']} {self.words['name']}_{name}[{numbers.size}] = {{"
        return "\n".join([declaration, *self._number_lines(numbers), "};", ""])

    def _number_lines(self, numbers: NDArray[Any]) -> Iterator[str]:
        """Yield lines with the shortest decimal digits that have the bits of each number."""
        line = "   "
        for digits in numbers.ravel().astype(str).tolist():
            constant = f" {digits}{self.words['f']},"
            if len(line) + len(constant) > _LINE_LENGTH:
                yield line
                line = "   "
            line += constant
        yield line

    def _activation_code(self) -> list[str]:
        """Return the definition of each used activation once, after the definitions of the functions that it calls."""
        definitions: dict[str, None] = {}

        def add(function: Function) -> None:
            for other in function.calls:
                add(FUNCTIONS[other])
            if function.code:
                definitions[function.code] = None

        for function in self.functions:
            add(function)
        return list(definitions)

    def _predict(self) -> str:
        """Return the definition of the predict function, which computes one layer after the other."""
        name, real = self.words["name"], self.words["real"]
        lines = [f"static inline void {name}_predict(const {real} *x, {real} *y)", "{"]
        lines += [f"    {real} {array}[{size}];" for array, size in self.scratch.items() if size]
        source = "x"
        for index, ((layer, _, b), function) in enumerate(zip(self.layers, self.functions, strict=True)):
            target = "y" if index == len(self.layers) - 1 else "ab"[index % 2]
            bias = "0" if b is None else f"{name}_b{index}"
            sizes = [str(layer.units)] if layer.is_columns else [str(layer.inputs), str(layer.units)]
            sizes += [f"{layer.epsilon!r}{self.words['f']}"] if layer.epsilon else []
            function_name = f"{name}_{layer.kind.replace('_', '')}"
            lines.append(f"    {function_name}({source}, {name}_W{index}, {bias}, {', '.join(sizes)}, {target});")
            numbers = [f"{number!r}{self.words['f']}" for number in layer.activation.parameters]
            lines += self._apply(function, target, layer.units, numbers)
            source = target
        return "\n".join([*lines, "}", ""])

    def _apply(self, function: Function, array: str, units: int, numbers: list[str]) -> list[str]:
        """Return the lines that apply an activation with its parameters `numbers` to an array of `units` elements."""
        if not function.name:
            return []
        name = Template(function.name).substitute(self.words)
        if function.whole_layer:
            return [f"    {name}({array}, {units});"]
        arguments = ", ".join([f"{array}[i]", *numbers])
        return [f"    for (int i = 0; i < {units}; i++) {{", f"        {array}[i] = {name}({arguments});", "    }"]


def _macro(name: str, suffix: str) -> str:
    """Return the name of a macro, which is different for names that differ in case alone."""
    return f"{name}_{suffix}".upper() if name == name.lower() else f"{name}_{suffix.lower()}"


def _layer_line(weighted: WeightedLayer) -> str:
    layer = weighted.layer
    kind = f"{layer.kind.replace('_', ' ')}, " if layer.is_columns else ""
    return f"{layer.inputs} -> {layer.units}, {kind}{layer.activation.label}{'' if layer.use_bias else ', no bias'}"


_HEAD = """\
/*
 * A multi-layer perceptron, written by fastmlp $version. It needs only C99 and <math.h>.
 *
$layers
 *
 * Usage (link with -lm):
 *
 *     #include "$name.h"
 *
 *     $real x[$INPUTS] = {0}, y[$OUTPUTS];
 *     ${name}_predict(x, y);
 *
 * The function reads one row x and writes y; x and y must not overlap. It allocates no memory, uses
 * $SCRATCH numbers on the stack, and is thread-safe.
 * Weights are stored in row-major order, one row for each input.
 */
#ifndef FASTMLP_${name}_H
#define FASTMLP_${name}_H

#include <math.h>

#define $INPUTS $inputs
#define $OUTPUTS $outputs
#define $SCRATCH $scratch
"""

_DENSE = """\
/* Compute z = x W + b; b may be null. */
static inline void ${name}_dense(const $real *x, const $real *W, const $real *b, int inputs, int units, $real *z)
{
    for (int j = 0; j < units; j++) {
        z[j] = b ? b[j] : 0;
    }
    for (int i = 0; i < inputs; i++, W += units) {
        for (int j = 0; j < units; j++) {
            z[j] += x[i] * W[j];
        }
    }
}
"""

_SCALE = """\
/* Compute z = W o x + b; b may be null. */
static inline void ${name}_scale(const $real *x, const $real *W, const $real *b, int units, $real *z)
{
    for (int j = 0; j < units; j++) {
        z[j] = W[j] * x[j] + (b ? b[j] : 0);
    }
}
"""

_LAYER_NORMALIZATION = """\
/* Compute z = W o (x - mean) / sqrt(variance + epsilon) + b; b may be null. */
static inline void ${name}_layernormalization(const $real *x, const $real *W, const $real *b, int units,
                                              $real epsilon, $real *z)
{
    $real mean = 0, variance = 0;
    for (int j = 0; j < units; j++) {
        mean += x[j];
    }
    mean /= ($real)units;
    for (int j = 0; j < units; j++) {
        z[j] = x[j] - mean;
        variance += z[j] * z[j];
    }
    const $real factor = 1 / sqrt$f(variance / ($real)units + epsilon);
    for (int j = 0; j < units; j++) {
        z[j] = W[j] * (z[j] * factor) + (b ? b[j] : 0);
    }
}
"""

_NORMALIZATION = """\
/* Compute z = (x - b) / W with means b and deviations W; 0 where W is 0. */
static inline void ${name}_normalization(const $real *x, const $real *W, const $real *b, int units, $real *z)
{
    for (int j = 0; j < units; j++) {
        z[j] = W[j] != 0 ? (x[j] - b[j]) / W[j] : 0;
    }
}
"""

LAYERS = {
    "dense": _DENSE,
    "scale": _SCALE,
    "layer_normalization": _LAYER_NORMALIZATION,
    "normalization": _NORMALIZATION,
}

# Activations ----------------------------------------------------------------------------------------------------------


class Function(NamedTuple):
    """The C function of an activation. All strings are templates.

    Parameters
    ----------
    name : str
        The name of the function; empty for the identity, which needs no call.
    code : str
        The definition; empty for a function of <math.h>.
    calls : tuple of str
        The activations whose functions this function calls.
    whole_layer : bool
        Whether the function computes all units of a layer in place, instead of one number.
    """

    name: str = ""
    code: str = ""
    calls: tuple[str, ...] = ()
    whole_layer: bool = False


def _scalar(name: str, body: str, *calls: str, parameter: str = "") -> Function:
    """Return a function of z, and of a parameter of the activation if it has one.

    No suffix of a name in the header has an underscore. So the names of two networks never meet, as the leaky_relu of
    "mlp" and the relu of "mlp_leaky" would.
    """
    second = f", $real {parameter}" if parameter else ""
    name = name.replace("_", "")
    code = f"static inline $real ${{name}}_{name}($real z{second})\n{{\n{body}}}\n"
    return Function(f"${{name}}_{name}", code, calls)


_SOFTMAX = """\
/* The largest z is subtracted from all z, so that no exponential overflows. */
static inline void ${name}_softmax($real *z, int units)
{
    $real largest = z[0], sum = 0;
    for (int j = 1; j < units; j++) {
        largest = fmax$f(largest, z[j]);
    }
    for (int j = 0; j < units; j++) {
        z[j] = exp$f(z[j] - largest);
        sum += z[j];
    }
    for (int j = 0; j < units; j++) {
        z[j] /= sum;
    }
}
"""

_GELU_TANH = """\
    const $real t = fmin$f(fabs$f(z), 22); /* beyond 22 the result is 0 or z */
    const $real e = exp$f(-1.5957691216057308$f * (t + 0.044715$f * t * t * t));
    return z * ((z < 0 ? e : 1) / (1 + e));
"""

_SIGMOID = """\
    const $real e = exp$f(-fabs$f(z));
    return (z < 0 ? e : 1) / (1 + e);
"""

FUNCTIONS: dict[str, Function] = {
    "linear": Function(),
    "relu": _scalar("relu", "    return z < 0 ? 0 : z;\n"),
    "leaky_relu": _scalar("leaky_relu", "    return z < 0 ? slope * z : z;\n", parameter="slope"),
    "relu6": _scalar("relu6", "    return z < 0 ? 0 : z > 6 ? 6 : z;\n"),
    "elu": _scalar("elu", "    return z < 0 ? alpha * expm1$f(z) : z;\n", parameter="alpha"),
    "selu": _scalar("selu", "    return 1.0507009873554805$f * ${name}_elu(z, 1.6732632423543772$f);\n", "elu"),
    "softplus": _scalar("softplus", "    return fmax$f(z, 0) + log1p$f(exp$f(-fabs$f(z)));\n"),
    "exponential": Function("exp$f"),
    "gelu": _scalar("gelu", "    return z * (erfc$f(z * -0.7071067811865476$f) / 2);\n"),
    "gelu_tanh": _scalar("gelu_tanh", _GELU_TANH),
    "silu": _scalar("silu", "    return z * ${name}_sigmoid(z);\n", "sigmoid"),
    "mish": _scalar("mish", "    return z * tanh$f(${name}_softplus(z));\n", "softplus"),
    "sigmoid": _scalar("sigmoid", _SIGMOID),
    "hard_sigmoid": _scalar("hard_sigmoid", "    return ${name}_relu6(z + 3) / 6;\n", "relu6"),
    "tanh": Function("tanh$f"),
    "softmax": Function("${name}_softmax", _SOFTMAX, whole_layer=True),
}
