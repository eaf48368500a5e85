"""The tasks of many networks: the records that a thread needs to train a network, without buffers of their own.

A `Template` is made once for all networks that differ only in seeds, weights, learning rates and rows. It holds the
words of the records of two plans, of training and of validation, and says which words point where. A task is a copy
whose words point to the memory of its network. Those that point to buffers are written by the thread that claims it.

Of their buffers, kernels read only two before they write them. The first block of the scratch has zeros, so all
networks of a thread and a dtype have their scratch in one place, and the other buffers behind it. Gradients of layers
at rest are zeros, too, so a network with such layers has memory of its own for them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp._data.samples import Samples
from fastmlp._data.staging import point_to_inputs, point_to_targets
from fastmlp._engine.evaluations import Evaluation
from fastmlp._engine.flops import step_flops
from fastmlp._engine.parameters import Parameters
from fastmlp._engine.plan import Plan, Plans
from fastmlp._engine.purposes import TRAINING
from fastmlp._engine.records import address_of
from fastmlp._engine.step_runner import FLOPS_PER_SECOND
from fastmlp._runtime.buffers import ALIGNMENT, address, aligned_zeros
from fastmlp.kernels import tables
from fastmlp.metrics.evaluation import SelectedMetrics

Words = NDArray[np.int64]

BASES = ("task", "rests", "weights", "transposed", "slots", "state", "counts")
"""What words of a task point to that belongs to its network: the task itself, memory with zeros for layers at rest, or
an attribute of `Parameters`."""

_STEP_SECONDS = 5e-7  # beside the products

WITH_RESTS = ("gradient", "group_gradients", "block_squares", "block_penalties")
"""Buffers in which zeros stand for layers at rest, as `Plan.clear_rests` writes them."""


class Work(NamedTuple):
    """What the fit of a network does, beside its weights: networks of the same work and kind share a template.

    Parameters
    ----------
    samples : Samples
        All rows, which kernels can read where they are.
    rows : int
        The number of rows that train.
    batch_size : int
        The rows of a batch.
    shuffle : bool
        Whether each epoch has its own order of rows.
    metrics : mapping
        The metrics of the rows of validation.
    """

    samples: Samples
    rows: int
    batch_size: int
    shuffle: bool
    metrics: SelectedMetrics


class Region(NamedTuple):
    """Memory that words point into: its place, and where it is in the memory of a task, a thread or a network."""

    start: int
    size: int
    base: str  # "task", "thread", or the name of an attribute of `Parameters`
    offset: int


def template_key(parameters: Parameters, work: Work, validation: int, averages_penalties: bool) -> Hashable:
    """Return what networks have in common that share a template."""
    architecture, optimizer = parameters.architecture, parameters.architecture.step_optimizer
    described = (architecture.layers, architecture.loss, architecture.dtype.name, parameters.rests.paces())
    rule = (optimizer.kernel, optimizer.slots, optimizer.clipvalue, optimizer.global_clipnorm)
    own = (id(work.samples), work.rows, work.batch_size, work.shuffle, tuple(work.metrics))
    return (*described, *rule, *own, validation, averages_penalties)


class Template:
    """The words of a task.

    Parameters
    ----------
    parameters : Parameters
        The memory of a network of the kind.
    work : Work
        What the fit does.
    validation : ndarray of int64, or None
        The rows of validation.
    averages_penalties : bool
        Whether penalties are divided by the sum of the weights of the rows; see `Engine`.
    """

    def __init__(self, parameters: Parameters, work: Work, validation: Words | None, averages_penalties: bool) -> None:
        rows, batch_size, self.dtype = work.rows, min(work.batch_size, work.rows), parameters.architecture.dtype.name
        plan = self._plan = Plan(parameters, TRAINING, batch_size, 1, averages_penalties)
        plan.use("step", parallel=False)
        order = np.empty(rows, np.int64)
        self._point(plan, work, batch_size, order)
        self.steps_per_epoch = -(-rows // batch_size)
        self.step_row = int(plan.record.step_row)
        seconds = step_flops(parameters.architecture, rows) / FLOPS_PER_SECOND
        self.epoch_seconds = seconds + _STEP_SECONDS * self.steps_per_epoch  # a guess
        self.evaluation: Evaluation | None = None
        sections = [plan.record, plan._layers]
        plans, buffers = [plan], [order, plan.snapshot_state]
        if validation is not None:
            samples = work.samples.select(validation)
            plans_of_one = Plans(parameters, 1)
            plans_of_one.averages_penalties = averages_penalties
            self.evaluation = Evaluation(plans_of_one, samples, work.metrics, in_one_call=True)
            inner = self.evaluation.plan
            sections += [self.evaluation.record, inner.record, inner._layers, self.evaluation.values]
            plans.append(inner)
            buffers += self.evaluation.buffers
        resting = () if all(layer.trainable for layer in parameters.architecture.layers) else WITH_RESTS
        for each in plans:
            buffers += [buffer for name, buffer in each._buffers.items() if name not in ("scratch", *resting)]
        rests = [buffer for each in plans for name, buffer in each._buffers.items() if name in resting]
        self._lay_out(parameters, sections, buffers, rests, [each.buffer("scratch") for each in plans])

    def _point(self, plan: Plan, work: Work, batch_size: int, order: Words) -> None:
        record, (X, targets, weights) = plan.record, work.samples
        assert isinstance(X, np.ndarray)
        point_to_inputs(record, X)
        point_to_targets(record, targets, weights if isinstance(weights, np.ndarray) else None)
        record.batch_size, record.samples, record.epoch_ready = batch_size, work.rows, 0
        record.staged_from, record.targets_from, record.shuffles = 0, -1, work.shuffle
        record.order = address(order)

    def place(self, scratch: int, others: int) -> None:
        """Move the scratch to a place in the buffers of a thread, and the other buffers to another."""
        self.relocations[: self._scratches, 1] += scratch
        self.relocations[self._scratches :, 1] += others

    def _lay_out(
        self, parameters: Parameters, sections: list[Any], buffers: list[Any], rests: list[Any], scratches: list[Any]
    ) -> None:
        """Copy the words of all sections, and find out which of them point where."""
        regions, place = [], 0
        for section in sections:
            start, size = _extent(section)
            regions.append(Region(start, size, "task", place))
            place += size
        self.starts = [region.offset for region in regions]
        of_thread, self.buffer_bytes = _placed(buffers, "thread")
        of_rests, self._rest_bytes = _placed(rests, "rests")
        regions += [*of_thread, *of_rests]
        regions += [Region(*_extent(scratch), "scratch", 0) for scratch in scratches]
        self.scratch_bytes = max(-(-scratch.nbytes // ALIGNMENT) * ALIGNMENT for scratch in scratches)
        for name in BASES[2:]:
            regions.append(Region(*_extent(getattr(parameters, name)), name, 0))
        data = b"".join(ctypes.string_at(*_extent(section)) for section in sections)
        self._words = np.frombuffer(data, np.int64).copy()
        pointing = [word for each, start in zip(sections, self.starts, strict=True) for word in _pointers(each, start)]
        targets: dict[str, list[tuple[int, int]]] = {}
        for word in pointing:
            value = int(self._words[word])
            region = next((each for each in regions if each.start <= value < each.start + each.size), None)
            if region is not None:
                targets.setdefault(region.base, []).append((word, value - region.start + region.offset))
        relocations = [*targets.pop("scratch"), *targets.pop("thread")]
        self._scratches = len(scratches)
        self.relocations = np.array(relocations, np.int64)
        self._pointing = np.array([word for base in BASES for word, _ in targets.get(base, ())], np.int64)
        self._offsets = np.array([offset for base in BASES for _, offset in targets.get(base, ())], np.int64)
        self._bases = np.repeat(np.arange(len(BASES)), [len(targets.get(base, ())) for base in BASES])

    def words_for(self, parameters: Parameters) -> tuple[Words, NDArray[Any]]:
        """Return the words of a task of a network, and memory that they point to, both of which must be kept."""
        words: Words = aligned_zeros(len(self._words), np.int64)
        words[:] = self._words
        rests = aligned_zeros(self._rest_bytes, np.uint8)
        own = (_extent(getattr(parameters, name))[0] for name in BASES[2:])
        words[self._pointing] = np.array([address(words), address(rests), *own])[self._bases] + self._offsets
        return words, rests


def _placed(buffers: list[Any], base: str) -> tuple[list[Region], int]:
    """Return the regions of buffers that lie one behind the other, and their bytes."""
    regions, place = [], 0
    for buffer in buffers:
        start, size = _extent(buffer)
        regions.append(Region(start, size, base, place))
        place += -(-size // ALIGNMENT) * ALIGNMENT
    return regions, place


def _extent(memory: Any) -> tuple[int, int]:
    """Return the address and the bytes of a record, of records or of an array."""
    if isinstance(memory, np.ndarray):
        return address(memory), memory.nbytes
    return address_of(memory), ctypes.sizeof(memory)


def _pointers(section: Any, start: int) -> Iterator[int]:
    """Yield the words of a section that hold addresses of memory."""
    if isinstance(section, np.ndarray):
        return
    kind = section._type_ if isinstance(section, ctypes.Array) else type(section)
    fields = list(getattr(tables, kind.__name__).__annotations__.values())
    count = ctypes.sizeof(section) // (8 * len(fields))
    for record in range(count):
        for place, field in enumerate(fields):
            if field not in ("int", "float", "Code"):
                yield start // 8 + record * len(fields) + place
