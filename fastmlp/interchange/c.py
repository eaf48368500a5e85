"""`to_c` exports a network or an ensemble as one C99 header that needs only <math.h>.

No suffix of a name in a header has an underscore. So the names of two headers never meet, as the leaky_relu of "mlp"
and the relu of "mlp_leaky" would. The exception is `predict_std`, which meets no other name because no header has the
suffix `std`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from string import Template
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp._io.atomic import write_atomically
from fastmlp.interchange.exports import Exported, Mixture, WeightedLayer, exported, translate_activation

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)  # C99 distinguishes 63 characters, suffixes included
_LINE_LENGTH = 100  # of lines of numbers


def to_c(
    network: fastmlp.Network | fastmlp.Ensemble, path: str | os.PathLike[str] | None = None, *, name: str = "mlp"
) -> str:
    """Export a network or an ensemble as a C99 header that predicts as its method `predict` does.

    The header defines `void mlp_predict(const float *x, float *y)`, which predicts one row (double for a float64
    network), and the macros MLP_INPUTS, MLP_OUTPUTS and MLP_SCRATCH. The weights are constants with enough digits to
    have the same bits as in the network. The function allocates no memory and is thread-safe. It uses MLP_SCRATCH
    numbers on the stack. Link with the mathematical library, `-lm`.

    For an ensemble `mlp_predict` writes the mean. The header also defines
    `void mlp_predict_std(const float *x, float *y, float *std)`, which writes the mean and the standard deviation of
    `Ensemble.predict(X, return_std=True)`. With `GaussianNLL` MLP_OUTPUTS is the number of targets. The deviation is
    computed in the dtype of the members. In float32 a deviation above 1e19 is therefore infinite, and one below 1e-19
    inexact.

    Headers with different names can be used in one program. The names may differ in case alone, but then give the files
    other names, because Windows and macOS do not distinguish them.

    Parameters
    ----------
    network : Network or Ensemble
        The network or the ensemble. Dropout and penalties affect only training and are not exported.
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
        If `network` is neither a Network nor an Ensemble, or `name` is not a string.
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
    text = _Header(exported(network, "to_c"), name).text()
    if path is not None:
        write_atomically(path, [text.encode("ascii")])
    return text


class _Header:
    """The parts of a header.

    In the templates, `$real` is float or double, and `$f` is the suffix of functions and constants of type float.
    """

    def __init__(self, model: Exported, name: str) -> None:
        self.mixture = model.mixture
        is_float = model.dtype == np.dtype(np.float32)
        words = {
            "name": name,
            **{macro: _macro(name, macro) for macro in ("INPUTS", "OUTPUTS", "SCRATCH")},
            "real": "float" if is_float else "double",
            "f": "f" if is_float else "",
            "version": fastmlp.__version__,
        }
        numbers = [None] if model.mixture is None else range(model.mixture.members)
        self.networks = [
            _NetworkCode(layers, words, number) for layers, number in zip(model.networks, numbers, strict=True)
        ]
        first = model.networks[0]
        outputs = first[-1].layer.units
        scratch = max(sum(code.scratch.values()) for code in self.networks)
        self.words: dict[str, Any] = {**words, "inputs": first[0].layer.inputs}
        if model.mixture is None:
            self.words |= {"outputs": outputs, "scratch": scratch, "layers": self.networks[0].layer_lines()}
        else:
            self.words |= {"outputs": model.mixture.columns, "scratch": scratch + outputs, "member_outputs": outputs}
            self.words |= self._mixture_words(model.mixture)

    def _mixture_words(self, mixture: Mixture) -> dict[str, Any]:
        """Return the words that depend on the members of an ensemble."""
        kinds = Counter(code.layer_lines() for code in self.networks)
        calls = [Template(_CALLS).substitute(self.words, member=member) for member in range(mixture.members)]
        noise = "" if mixture.epsilon is None else _NOISE
        return {
            "members": mixture.members,
            "layers": "\n".join(f" *   {count} of the members:\n{each}" for each, count in kinds.items()),
            "calls": "\n".join(calls),
            "noise": Template(noise).substitute(self.words, epsilon=repr(mixture.epsilon)),
        }

    def text(self) -> str:
        """Return the whole header."""
        kinds = dict.fromkeys(layer.kind for code in self.networks for layer, _, _ in code.layers)
        parts = [
            self._head(),
            *(array for code in self.networks for array in code.arrays()),
            *(Template(LAYERS[kind]).substitute(self.words) for kind in kinds),
            *(Template(code).substitute(self.words) for code in self._activation_code()),
            *(code.function() for code in self.networks),
            *([] if self.mixture is None else [Template(_MIXTURE).substitute(self.words)]),
        ]
        return "\n".join([*parts, f"#endif /* FASTMLP_{self.words['name']}_H */", ""])

    def _head(self) -> str:
        """Return the comment at the top and the macros."""
        texts = _NETWORK_TEXTS if self.mixture is None else _ENSEMBLE_TEXTS
        return Template(_HEAD).substitute(
            self.words, **{key: Template(text).substitute(self.words) for key, text in texts.items()}
        )

    def _activation_code(self) -> list[str]:
        """Return the definition of each used activation once, after the definitions of the functions that it calls."""
        definitions: dict[str, None] = {}

        def add(function: Function) -> None:
            for other in function.calls:
                add(FUNCTIONS[other])
            if function.code:
                definitions[function.code] = None

        for code in self.networks:
            for function in code.functions:
                add(function)
        return list(definitions)


class _NetworkCode:
    """The arrays and the function of one network, which may be a member of an ensemble.

    Parameters
    ----------
    layers : list of WeightedLayer
        The layers of the network.
    words : dict
        The words of the templates.
    member : int or None
        The number of a member, which is part of its names. None for a network alone, whose function is `predict`.
    """

    def __init__(self, layers: list[WeightedLayer], words: dict[str, Any], member: int | None) -> None:
        self.layers, self.words = layers, words
        self.functions = [
            translate_activation(layer.activation, FUNCTIONS, index, "to_c", member)
            for index, (layer, _, _) in enumerate(layers)
        ]
        hidden = [each.layer.units for each in layers[:-1]]
        self.scratch = {"a": max(hidden[::2], default=0), "b": max(hidden[1::2], default=0)}  # used alternately
        name, part = words["name"], "" if member is None else f"member{member}"
        self.array_prefix = f"{name}_{part}"
        self.function_name = f"{name}_{part or 'predict'}"

    def layer_lines(self) -> str:
        """Return one line for each layer, for the comment at the top of the header."""
        return "\n".join(f" *     {_layer_line(each)}" for each in self.layers)

    def arrays(self) -> Iterator[str]:
        """Yield the definitions of the constant arrays."""
        for index, (_, W, b) in enumerate(self.layers):
            yield self._array(f"W{index}", W)
            if b is not None:
                yield self._array(f"b{index}", b)

    def _array(self, name: str, numbers: NDArray[Any]) -> str:
        """Return the definition of a constant array."""
        declaration = f"static const {self.words['real']} {self.array_prefix}{name}[{numbers.size}] = {{"
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

    def function(self) -> str:
        """Return the definition of the function that predicts, which computes one layer after the other."""
        name, real = self.words["name"], self.words["real"]
        lines = [f"static inline void {self.function_name}(const {real} *x, {real} *y)", "{"]
        lines += [f"    {real} {array}[{size}];" for array, size in self.scratch.items() if size]
        source = "x"
        for index, ((layer, _, b), function) in enumerate(zip(self.layers, self.functions, strict=True)):
            target = "y" if index == len(self.layers) - 1 else "ab"[index % 2]
            weights, bias = f"{self.array_prefix}W{index}", "0" if b is None else f"{self.array_prefix}b{index}"
            sizes = [str(layer.units)] if layer.is_columns else [str(layer.inputs), str(layer.units)]
            sizes += [f"{layer.epsilon!r}{self.words['f']}"] if layer.epsilon else []
            function_name = f"{name}_{layer.kind.replace('_', '')}"
            lines.append(f"    {function_name}({source}, {weights}, {bias}, {', '.join(sizes)}, {target});")
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
 * $subject, written by fastmlp $version. It needs only C99 and <math.h>.
 *
$layers
 *
 * Usage (link with -lm):
 *
 *     #include "$name.h"
 *
$usage
 *
$contract
 * Weights are stored in row-major order, one row for each input.
 */
#ifndef FASTMLP_${name}_H
#define FASTMLP_${name}_H

#include <math.h>

#define $INPUTS $inputs
#define $OUTPUTS $outputs
#define $SCRATCH $scratch
"""

_NETWORK_TEXTS = {
    "subject": "A multi-layer perceptron",
    "usage": """\
 *     $real x[$INPUTS] = {0}, y[$OUTPUTS];
 *     ${name}_predict(x, y);""",
    "contract": """\
 * The function reads one row x and writes y; x and y must not overlap. It allocates no memory, uses
 * $SCRATCH numbers on the stack, and is thread-safe.""",
}

_ENSEMBLE_TEXTS = {
    "subject": "An ensemble of multi-layer perceptrons",
    "usage": """\
 *     $real x[$INPUTS] = {0}, y[$OUTPUTS], std[$OUTPUTS];
 *     ${name}_predict(x, y);
 *     ${name}_predict_std(x, y, std);""",
    "contract": """\
 * Both functions read one row x and write y, the mean of the predictions; the second one writes std, too, their
 * standard deviation. x, y and std must not overlap. The functions allocate no memory, use
 * $SCRATCH numbers on the stack, and are thread-safe.""",
}

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

# Ensembles ------------------------------------------------------------------------------------------------------------

# The sum of squared deviations grows by the update of Youngs and Cramer (1971). It needs the prediction of one member
# at a time, and loses no digits as the mean of squares minus the square of the mean would.
_MIXTURE = """\
/*
 * Add the outputs z of one more member to y, the sum over the first `count` members, and to std, the sum of their
 * squared deviations from their mean; std may be null.
 */
static inline void ${name}_add(const $real *z, int count, $real *y, $real *std)
{
    for (int j = 0; j < $OUTPUTS; j++) {
        if (std && count) {
            const $real change = z[j] - y[j] / ($real)count;
            std[j] += change * change * (($real)count / ($real)(count + 1));
        }
$noise        y[j] += z[j];
    }
}

/* Write the mean y and the standard deviation std; std may be null. */
static inline void ${name}_predict_std(const $real *x, $real *y, $real *std)
{
    $real z[$member_outputs];
    for (int j = 0; j < $OUTPUTS; j++) {
        y[j] = 0;
        if (std) {
            std[j] = 0;
        }
    }
$calls
    for (int j = 0; j < $OUTPUTS; j++) {
        y[j] /= $members;
        if (std) {
            std[j] = sqrt$f(std[j] / $members);
        }
    }
}

static inline void ${name}_predict(const $real *x, $real *y)
{
    ${name}_predict_std(x, y, 0);
}
"""

_NOISE = """\
        if (std) {
            std[j] += exp$f(z[$OUTPUTS + j]) + $epsilon$f; /* the variance that the member predicts */
        }
"""

_CALLS = """\
    ${name}_member$member(x, z);
    ${name}_add(z, $member, y, std);"""

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
    """Return a function of z, and of a parameter of the activation if it has one."""
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
