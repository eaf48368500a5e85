"""A network as one C99 header that needs nothing but <math.h>."""

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
from fastmlp.interchange.exports import Weighted, said, weighted_layers

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)  # C99 tells 63 characters apart, suffixes included
_WIDTH = 100  # characters in a line of numbers


def to_c(network: fastmlp.Network, path: str | os.PathLike[str] | None = None, *, name: str = "mlp") -> str:
    """The network as a C99 header, which predicts as `Network.predict` does.

    It declares `void mlp_predict(const float *x, float *y)`, one row at a time (double for a float64 network), and the
    macros MLP_INPUTS, MLP_OUTPUTS and MLP_SCRATCH. Parameters are constants, each with the digits that give its bits
    back. It allocates nothing, has no state and so may be called by many threads at once; the hidden layers take
    MLP_SCRATCH numbers of the stack. Link with the mathematical library, `-lm`.

    Parameters
    ----------
    network : Network
        Dropout and penalties, which are of training alone, are not in the header.
    path : path-like, optional
        Where to write it, whole or not at all; usually `*.h`.
    name : str
        What all names in the header begin with, macros in capitals: up to 40 letters, digits and underscores of ASCII,
        a letter first.

    Returns
    -------
    str
        The header.

    Raises
    ------
    ValueError, TypeError
        If a layer has an activation of your own, or C does not take the name.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> fastmlp.to_c(net, "mlp.h")
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r}")
    if not _NAME.fullmatch(name):
        wanted = "up to 40 letters, digits and underscores of ASCII, a letter first"
        raise ValueError(f"name must be {wanted}, got {name!r}")
    text = _Header(weighted_layers(network, "to_c"), network.architecture.dtype, name).text()
    if path is not None:
        write_atomically(path, [text.encode("ascii")])
    return text


class _Header:
    """The parts of a header, in `$real`, float or double, with `$f` after functions and numbers of float."""

    def __init__(self, layers: list[Weighted], dtype: np.dtype[Any], name: str) -> None:
        self.layers = layers
        self.functions = [said(each.layer.activation, FUNCTIONS, l, "to_c") for l, each in enumerate(layers)]
        narrow = dtype == np.dtype(np.float32)
        self.words = {
            "name": name,
            "NAME": name.upper(),
            "real": "float" if narrow else "double",
            "f": "f" if narrow else "",
            "version": fastmlp.__version__,
            "inputs": layers[0].layer.inputs,
            "outputs": layers[-1].layer.units,
            "layers": "\n".join(f" *     {_described(each)}" for each in layers),
        }
        hidden = [each.layer.units for each in layers[:-1]]
        self.scratch = {"a": max(hidden[::2], default=0), "b": max(hidden[1::2], default=0)}  # layers take turns

    def text(self) -> str:
        """All of it."""
        words = {**self.words, "scratch": sum(self.scratch.values())}
        parts = [Template(_HEAD).substitute(words)]
        for index, (_, W, b) in enumerate(self.layers):
            parts.append(self._array(f"W{index}", W))
            if b is not None:
                parts.append(self._array(f"b{index}", b))
        parts += [Template(code).substitute(words) for code in (_DENSE, *self._needed())]
        return "\n".join([*parts, self._predict(), f"#endif /* {self.words['NAME']}_H */", ""])

    def _array(self, name: str, numbers: NDArray[Any]) -> str:
        declared = f"static const {self.words['real']} {self.words['name']}_{name}[{numbers.size}] = {{"
        return "\n".join([declared, *self._lines(numbers), "};", ""])

    def _lines(self, numbers: NDArray[Any]) -> Iterator[str]:
        """The shortest digits that mean each number and no other of its dtype, in lines of some length."""
        line = "   "
        for digits in numbers.ravel().astype(str).tolist():
            word = f" {digits}{self.words['f']},"
            if len(line) + len(word) > _WIDTH:
                yield line
                line = "   "
            line += word
        yield line

    def _needed(self) -> list[str]:
        """The code of the activations in use, what another calls before it, each once."""
        found: dict[str, None] = {}

        def add(function: Function) -> None:
            for other in function.calls:
                add(FUNCTIONS[other])
            if function.code:
                found[function.code] = None

        for function in self.functions:
            add(function)
        return list(found)

    def _predict(self) -> str:
        """The function that is called: layer after layer, each from what the one below left."""
        name, real = self.words["name"], self.words["real"]
        lines = [f"static inline void {name}_predict(const {real} *x, {real} *y)", "{"]
        lines += [f"    {real} {array}[{size}];" for array, size in self.scratch.items() if size]
        source = "x"
        for index, ((layer, _, b), function) in enumerate(zip(self.layers, self.functions, strict=True)):
            target = "y" if index == len(self.layers) - 1 else "ab"[index % 2]
            bias = "0" if b is None else f"{name}_b{index}"
            sizes = f"{layer.inputs}, {layer.units}"
            lines.append(f"    {name}_dense({source}, {name}_W{index}, {bias}, {sizes}, {target});")
            numbers = [f"{number!r}{self.words['f']}" for number in layer.activation.parameters]
            lines += self._apply(function, target, layer.units, numbers)
            source = target
        return "\n".join([*lines, "}", ""])

    def _apply(self, function: Function, array: str, units: int, numbers: list[str]) -> list[str]:
        if not function.called:
            return []
        called = Template(function.called).substitute(self.words)
        if function.whole:
            return [f"    {called}({array}, {units});"]
        arguments = ", ".join([f"{array}[i]", *numbers])
        return [f"    for (int i = 0; i < {units}; i++) {{", f"        {array}[i] = {called}({arguments});", "    }"]


def _described(weighted: Weighted) -> str:
    layer = weighted.layer
    return f"{layer.inputs} -> {layer.units}, {layer.activation.label}{'' if layer.use_bias else ', no bias'}"


_HEAD = """\
/*
 * A multi-layer perceptron, written by fastmlp $version. It needs C99 and <math.h>, nothing else.
 *
$layers
 *
 * How to use it (link with -lm):
 *
 *     #include "$name.h"
 *
 *     $real x[${NAME}_INPUTS] = {0}, y[${NAME}_OUTPUTS];
 *     ${name}_predict(x, y);
 *
 * One row at a time: x is read, y is written, and they must not overlap. Nothing is allocated and there
 * is no state, so that many threads may predict at once; ${NAME}_SCRATCH numbers lie on the stack meanwhile.
 * Weights lie row after row, one row for each input.
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <math.h>

#define ${NAME}_INPUTS $inputs
#define ${NAME}_OUTPUTS $outputs
#define ${NAME}_SCRATCH $scratch
"""

_DENSE = """\
/* z = x W + b; b may be null. */
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

# Activations ----------------------------------------------------------------------------------------------------------


class Function(NamedTuple):
    """How C computes an activation.

    Parameters
    ----------
    called : str
        The function to call; empty where there is nothing to do.
    code : str
        Its definition; empty where it is one of <math.h>.
    calls : tuple of str
        The activations that it calls.
    whole : bool
        Whether it takes all units of a layer, in place, and not one number.
    """

    called: str = ""
    code: str = ""
    calls: tuple[str, ...] = ()
    whole: bool = False


def _scalar(name: str, body: str, *calls: str, numbers: str = "") -> Function:
    """One of z, and perhaps of a number of its own."""
    own = f", $real {numbers}" if numbers else ""
    return Function(f"${{name}}_{name}", f"static inline $real ${{name}}_{name}($real z{own})\n{{\n{body}}}\n", calls)


_SOFTMAX = """\
/* The largest z is subtracted before the exponentials, so that none overflows. */
static inline void ${name}_softmax($real *z, int units)
{
    $real top = z[0], sum = 0;
    for (int j = 1; j < units; j++) {
        top = fmax$f(top, z[j]);
    }
    for (int j = 0; j < units; j++) {
        z[j] = exp$f(z[j] - top);
        sum += z[j];
    }
    for (int j = 0; j < units; j++) {
        z[j] /= sum;
    }
}
"""

_GELU_TANH = """\
    const $real t = fmin$f(fabs$f(z), 22); /* from there on all is 0 or 1 */
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
    "leaky_relu": _scalar("leaky_relu", "    return z < 0 ? slope * z : z;\n", numbers="slope"),
    "relu6": _scalar("relu6", "    return z < 0 ? 0 : z > 6 ? 6 : z;\n"),
    "elu": _scalar("elu", "    return z < 0 ? alpha * expm1$f(z) : z;\n", numbers="alpha"),
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
    "softmax": Function("${name}_softmax", _SOFTMAX, whole=True),
}
