"""The cases of the sweep: three networks, and the axes along which one size at a time changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from bench.workloads import Workload
from fastmlp import Dense
from fastmlp.activations import ACTIVATIONS, GELU
from fastmlp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop

EPOCH_BYTES, EPOCH_FLOPS = 2**25, 1e9  # limits of the rows and of the products of an epoch
STEPS = range(2, 17)  # how many steps an epoch may have
RATE = 1e-6  # a learning rate at which no combination of these options diverges

ADAM = Adam(RATE)

Value = int | str


@dataclass(frozen=True)
class Case:
    """One point of the sweep.

    Parameters
    ----------
    axis, base, value
        The size or option that changes, the network that it changes, and its value.
    inputs, hidden, outputs, batch : int or tuple of int
        The sizes of the network, and the rows of a step.
    activation : str or Activation
        The activation of the hidden layers.
    optimizer : Optimizer
        The optimizer of the network.
    options : dict
        The options of every `Dense`.
    """

    axis: str
    base: str
    value: Value
    inputs: int
    hidden: tuple[int, ...]
    outputs: int
    batch: int
    activation: Any = "relu"
    optimizer: Optimizer = ADAM
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """The activation of the last layer: softmax if there are several outputs."""
        return "linear" if self.outputs == 1 else "softmax"

    @property
    def workload(self) -> Workload:
        """Return this point as a workload; an epoch has as many steps as memory and time allow."""
        step = Workload((self.inputs, *self.hidden, self.outputs), self.batch, self.batch, output=self.output)
        most = min(EPOCH_BYTES // (8 * self.batch * self.inputs), int(EPOCH_FLOPS / step.flops), STEPS[-1])
        return replace(step, rows=max(most, STEPS[0]) * self.batch)

    def layers(self) -> list[Any]:
        """Return the layers of the network."""
        hidden = [Dense(units, self.activation, **self.options) for units in self.hidden]
        return [self.inputs, *hidden, Dense(self.outputs, self.output, **{**self.options, "dropout": 0.0})]


BASES = {
    base.base: base
    for base in (
        Case("base", "small", 0, 30, (16, 8), 2, 32),
        Case("base", "middle", 0, 64, (64, 64), 1, 128),
        Case("base", "large", 0, 784, (256, 256), 10, 128),
    )
}


def around(multiples: range | list[int]) -> set[int]:
    """Return each number with its two neighbours."""
    return {n + d for n in multiples for d in (-1, 0, 1)}


def growing(first: int, last: int, ratio: float = 1.12) -> set[int]:
    """Return multiples of 16, each about `ratio` times the one before, so that work grows evenly along the axis."""
    found, size = set(), float(first)
    while size < last:
        found.add(round(size / 16) * 16)
        size *= ratio
    return {*found, last}


FEW = set(range(1, 41))
WIDTHS = FEW | around(range(48, 300, 16)) | set(range(40, 300, 16)) | {300}
BATCHES = FEW | growing(48, 4096) | around([48, 64, 96, 128, 256, 384, 512, 1024, 2048]) | {272, 528, 4095}
INPUTS = FEW | around(range(48, 161, 16)) | growing(160, 3000) | around([256, 512, 784, 1024, 2048])
OUTPUTS = FEW | around(range(48, 129, 16)) | growing(128, 300)
DEPTHS = set(range(1, 13))

SIZES: dict[str, tuple[set[int], Callable[[Case, int], Case]]] = {
    "width": (WIDTHS, lambda base, n: replace(base, hidden=(n,) * len(base.hidden))),
    "batch": (BATCHES, lambda base, n: replace(base, batch=n)),
    "depth": (DEPTHS, lambda base, n: replace(base, hidden=base.hidden[:1] * n)),
    "inputs": (INPUTS, lambda base, n: replace(base, inputs=n)),
    "outputs": (OUTPUTS, lambda base, n: replace(base, outputs=n)),
}

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(RATE),
    "sgd, momentum": SGD(RATE, momentum=0.9),
    "sgd, nesterov": SGD(RATE, momentum=0.9, nesterov=True),
    "rmsprop": RMSprop(RATE),
    "rmsprop, centered": RMSprop(RATE, centered=True),
    "rmsprop, centered, momentum": RMSprop(RATE, centered=True, momentum=0.9),
    "adagrad": Adagrad(RATE),
    "adadelta": Adadelta(RATE),
    "adam": ADAM,
    "adam, amsgrad": Adam(RATE, amsgrad=True),
    "adam, clipvalue": Adam(RATE, clipvalue=1.0),
    "adam, global_clipnorm": Adam(RATE, global_clipnorm=1.0),
    "adamw": AdamW(RATE),
    "nadam": Nadam(RATE),
    "lion": Lion(RATE),
}
LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"use_bias": False},
    "l1": {"l1": 1e-6},
    "l2": {"l2": 1e-6},
    "dropout": {"dropout": 0.1},
}
KINDS: dict[str, tuple[dict[str, Any], Callable[[Case, Any], Case]]] = {
    "activation": (
        {**ACTIVATIONS, "gelu, tanh": GELU(approximate=True)},
        lambda base, kind: replace(base, activation=kind),
    ),
    "optimizer": (dict(OPTIMIZERS), lambda base, kind: replace(base, optimizer=kind)),
    "layer": (dict(LAYERS), lambda base, kind: replace(base, options=kind)),
}
AXES = (*SIZES, *KINDS)


def cases(axis: str, base: str) -> Iterator[Case]:
    """Yield the points of one axis around one network, neighbours in sequence."""
    if axis in SIZES:
        sizes, at_size = SIZES[axis]
        for size in sorted(sizes):
            yield replace(at_size(BASES[base], size), axis=axis, value=size)
    else:
        kinds, of_kind = KINDS[axis]
        for name, kind in kinds.items():
            yield replace(of_kind(BASES[base], kind), axis=axis, value=name)
