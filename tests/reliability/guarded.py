"""Networks in memory that ends, or begins, at a guard page: any access to this page kills the process.

Every buffer of a network and every array argument has its own pages: "end" puts the array's last byte before a guard
page, "begin" its first byte behind one. A read or write beyond kills the process at once. The rest of the array's pages
is filled with a pattern. A write within these pages changes the pattern, which is checked afterwards, and a computation
with it gives NaN.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import mmap
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from cases import ACTIVATIONS, DTYPES, LEARNERS, LOSSES, Array, data_for, kernel_of, outputs_for, run, tensors
from digests import always_parallel, digest

from fastmlp import (
    SGD,
    Dense,
    Network,
    NonFiniteLossError,
    activations,
    losses,
    register_activation,
    register_loss,
    registration,
)
from fastmlp._data import array_feed, arrays, chunk_feed, order, staging, targets
from fastmlp._data import weights as weights_module
from fastmlp._engine import (
    few_row_passes,
    few_rows,
    inference,
    parameters,
    passes,
    plan,
    plan_buffers,
    program_runner,
    records,
    step_constants,
)
from fastmlp._engine import (
    step_plan as program,
)
from fastmlp._runtime.buffers import address
from fastmlp.initializers import INITIALIZERS
from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.layout import BLOCK, PANEL
from fastmlp.kernels.micro.panels import panels_to_row, row_to_panels
from fastmlp.kernels.vocabulary.pointers import offset
from fastmlp.losses import Loss

PAGE = mmap.PAGESIZE
PATTERN = b"\xff"  # NaN in either dtype, and -1
SIDES = ("end", "begin")


# Memory --------------------------------------------------------------------------------------------------------------


class Pages(mmap.mmap):
    """Pages for one array between two guard pages. The pattern around the array is checked when it is freed."""

    guard: Guard
    around: tuple[slice, slice]

    def stray(self) -> bool:
        """Return whether something was written beside the array."""
        return any(self[part].strip(PATTERN) for part in self.around)

    def __del__(self) -> None:
        self.guard.strays += self.stray()


class Guard:
    """An allocator of arrays between guard pages.

    Parameters
    ----------
    side : {"end", "begin"}
        The end of an array that touches a guard page.

    Attributes
    ----------
    made, strays : int
        The number of arrays made, and of freed arrays beside which something was written.
    """

    def __init__(self, side: str) -> None:
        self.side = side
        self.made = self.strays = 0
        self._live: weakref.WeakSet[Pages] = weakref.WeakSet()
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        self._protect = protect

    def bytes(self, count: int) -> Array:
        """Return `count` bytes that are 0."""
        room = max(-(-count // PAGE), 1) * PAGE
        pages = Pages(-1, room + 2 * PAGE)
        start = PAGE + (room - count if self.side == "end" else 0)
        pages.guard, pages.around = self, (slice(PAGE, start), slice(start + count, PAGE + room))
        for part in pages.around:
            pages[part] = PATTERN * (part.stop - part.start)
        first = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        for page in (first, first + PAGE + room):
            if self._protect(page, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self._live.add(pages)
        self.made += 1
        return np.frombuffer(pages, np.uint8, count, start)

    def zeros(self, shape: Any, dtype: Any = np.float64) -> Array:
        """Return an array of zeros."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape))
        return self.bytes(size * dtype.itemsize).view(dtype).reshape(shape)

    def empty(self, shape: Any, dtype: Any = np.float64) -> Array:
        """Return an array filled with the pattern, so that elements that were never written are NaN."""
        array = self.zeros(shape, dtype)
        array.reshape(-1).view(np.uint8)[:] = PATTERN[0]
        return array

    def copy(self, values: Array, row_stride: int | None = None) -> Array:
        """Return a copy; rows of a matrix may begin `row_stride` elements apart, as in `big[:, :k]`."""
        if row_stride is None or values.ndim == 1:
            array = self.zeros(values.shape, values.dtype)
        else:
            rows, columns = values.shape
            flat = self.empty(max(rows - 1, 0) * row_stride + (columns if rows else 0), values.dtype)
            strides = (row_stride * flat.itemsize, flat.itemsize)
            array = np.lib.stride_tricks.as_strided(flat, values.shape, strides)
        array[:] = values
        return array

    def check(self) -> None:
        """Check that nothing was written beside an array."""
        strays = self.strays + sum(pages.stray() for pages in self._live)
        assert not strays, f"something was written beside {strays} of {self.made} arrays"


class GuardedNumpy:
    """A stand-in for NumPy that allocates arrays between guard pages."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.zeros, self.empty = guard.zeros, guard.empty

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def ones(self, shape: Any, dtype: Any = np.float64) -> Array:
        return self._guard.copy(np.ones(shape, dtype))

    def ascontiguousarray(self, values: Any, dtype: Any = None) -> Array:
        found = np.ascontiguousarray(values, dtype)
        return found if found is values else self._guard.copy(found)


DATA_MODULES = (array_feed, arrays, chunk_feed, order, staging, targets, weights_module)
ENGINE_MODULES = (few_row_passes, few_rows, inference, parameters, passes, plan, records, step_constants)
MODULES = (*DATA_MODULES, *ENGINE_MODULES, registration)
"""The places where memory for the kernels is allocated."""

DIRTY = (
    "inputs", "activations", "deltas", "targets", "row_weights", "row_losses", "block_penalties", "block_squares",
    "gradient", "group_gradients", "snapshot", "team", "scratch",
)  # fmt: skip
"""Buffers of a plan whose initial content is arbitrary; of the scratch, all but its block of zeros."""


@contextmanager
def guarded(side: str) -> Iterator[Guard]:
    """Allocate all memory of kernels next to a guard page at one side, filled with the pattern where allowed."""
    guard = Guard(side)
    allocate = plan.Plan._allocate

    def allocate_dirty(self: plan.Plan, sizes: Any) -> None:
        allocate(self, sizes)
        for name in set(DIRTY) & self._buffers.keys():
            buffer = self.buffer(name)
            clean = BLOCK if name == "scratch" else 0
            buffer.reshape(self.threads if clean else 1, -1)[:, clean:].view(np.uint8)[:] = PATTERN[0]

    step = guard.copy(inference._STEP)
    with ExitStack() as changes:
        step_constants._shared_table.cache_clear()
        changes.callback(step_constants._shared_table.cache_clear)
        for module in MODULES:
            if hasattr(module, "np"):
                changes.enter_context(mock.patch.object(module, "np", GuardedNumpy(guard)))
            if hasattr(module, "aligned_zeros"):
                changes.enter_context(mock.patch.object(module, "aligned_zeros", guard.zeros))
        changes.enter_context(mock.patch.object(plan.Plan, "_allocate", allocate_dirty))
        changes.enter_context(mock.patch.object(inference, "_STEP_ADDRESS", address(step)))
        yield guard


# The guards at work --------------------------------------------------------------------------------------------------


def read(x: Reals, out: Reals, place: int) -> None:
    out[0] = x[place]


def write(x: Reals, out: Reals, place: int) -> None:
    x[place] = 1.0


def load_lanes(x: Reals, out: Reals, place: int) -> None:
    row_to_panels(out, offset(x, place), 17, 16)


def store_lanes(x: Reals, out: Reals, place: int) -> None:
    panels_to_row(offset(x, place), out, 17, 16)


def accesses() -> Iterator[tuple[str, bool, int]]:
    """Yield each access of a child process, whether it is within the array, and the exit status of the child."""
    out = np.ones(64, np.float32)
    for function, many in ((read, 1), (write, 1), (load_lanes, 17), (store_lanes, 17)):
        kernel = kernel_of(function)
        kernel.function_for(np.dtype(np.float32))
        for side, right, wrong in (("end", 40 - many, 41 - many), ("begin", 0, -1)):
            for place in (right, wrong):
                x = Guard(side).zeros(40, np.float32)
                child = os.fork()
                if child == 0:
                    run(kernel, "float32", x, out, place)
                    os._exit(0)
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                yield f"{function.__name__} at the {side}", place == right, status


def write_beside(array: Array, place: int) -> None:
    """Write a byte beside the array, within its pages."""
    ctypes.cast(address(array) + place, ctypes.POINTER(ctypes.c_ubyte))[0] = 7


# Networks ------------------------------------------------------------------------------------------------------------

ROWS = tuple(range(1, 41))
WIDTHS = (1, 2, 15, 16, 17, 31, 33, 48, 64, 100)
RULES = {**LEARNERS, "diverging": SGD(1e30)}


@dataclass(frozen=True)
class Case:
    """One network, its data and its use."""

    number: int
    rows: int
    width: int
    dtype: str
    threads: int
    hidden: str
    output: str
    loss: str
    rule: str

    @property
    def layers(self) -> list[Any]:
        """The layers. Widths, dropout, penalties and initialisers change with the number, each with another period."""
        n = self.number
        inputs, outputs = (WIDTHS[place % len(WIDTHS)] for place in (n * 3 + n // 10, n * 7 + n // 10 + 1))
        outputs = outputs_for(LOSSES[self.loss], outputs)
        outputs = max(outputs, 2 if LOSSES[self.loss].targets == "classes" or self.output == "softmax" else 1)
        drawn = list(INITIALIZERS)
        hidden = Dense(
            self.width,
            ACTIVATIONS[self.hidden],
            dropout=0.3 if n % 3 == 0 else 0.0,
            l1=0.01 if n % 4 == 0 else 0.0,
            l2=0.01 if n % 5 == 0 else 0.0,
            weight_init=drawn[n % len(drawn)],
            use_bias=n % 7 != 0,
        )
        between = [WIDTHS[n % 5]] if n % 2 else []
        return [inputs, hidden, *between, Dense(outputs, ACTIVATIONS[self.output])]

    def __str__(self) -> str:
        widths = "-".join(str(layer.units if isinstance(layer, Dense) else layer) for layer in self.layers)
        return (
            f"{self.number}: {widths}, {self.rows} rows, {self.dtype}, {self.threads} threads, {self.hidden}, "
            f"{self.output}, {self.loss}, {self.rule}"
        )

    @contextmanager
    def way(self) -> Iterator[bool]:
        """Force the phases of large networks or large batches, if the case asks for them. Yield whether it does."""
        way, groups = self.number // 3 % 3, 1 + self.number % 4
        with ExitStack() as changes:
            if way == 1:
                changes.enter_context(mock.patch.object(program, "HEAVY_BLOCKS", 1))
            if way == 2:
                changes.enter_context(
                    mock.patch.object(plan_buffers, "row_blocking", return_value=program.RowBlocking(groups, PANEL))
                )
            yield way > 0

    def results(self, place: Callable[[Array, int | None], Array]) -> str:
        """Return the digest of all results of the network; `place` copies the user's arrays into other memory."""
        loss: Loss = LOSSES[self.loss]
        options: dict[str, Any] = {"dtype": self.dtype, "seed": self.number, "threads": self.threads}
        network = Network(self.layers, loss=loss, optimizer=RULES[self.rule], **options)
        X, y = data_for(network, self.rows, self.dtype)
        n = self.number
        row_stride = X.shape[1] + n % 6 if n % 2 else None
        staged = n % 8 == 0
        own_X = place(X[::-1], row_stride)[::-1] if n % 4 == 3 else place(X, row_stride)  # strides may be negative
        own_X = np.asfortranarray(X, "f8" if self.dtype == "float32" else "f4") if staged else own_X
        own_y = place(y, None)
        own_weights = place(np.random.default_rng(n).uniform(0.0, 2.0, self.rows), None) if n % 3 else None
        rows: dict[str, Any] = {"X": own_X, "y": own_y, "sample_weight": own_weights}
        split = {"validation_split": 0.3} if self.rows > 6 and n % 4 == 1 else {}  # two rows have an R²
        found: list[Any] = []
        with ExitStack() as changes:
            if staged:  # one batch at a time
                changes.enter_context(mock.patch.object(arrays, "STAGE_BYTES", 1))
            try:
                large = changes.enter_context(self.way())
                batch_size = self.rows // 2 + 1 if large or self.rows > ROWS[-1] else 1 + n % 17
                history = network.fit(**rows, **split, epochs=2, batch_size=batch_size, shuffle=n % 5 != 0)
                found.append(history.history["loss"])
            except NonFiniteLossError as error:
                found.append(np.frombuffer(error.args[0].encode(), np.uint8))
        found += [*tensors(network.get_weights()), network._engine.parameters.slots, network.predict(own_X)]
        found += network.hidden_activations(own_X)
        if network.architecture.outputs <= 17:
            found.append(network.input_gradients(own_X))
        value, gradients = network.loss_and_gradients(**rows)
        found += [[value], *tensors(gradients)]
        return digest(np.where(np.isnan(part), np.nan, part) for part in found)  # a NaN's sign is the processor's own


def cases(shapes: list[tuple[int, int]], threads: tuple[int, ...]) -> Iterator[Case]:
    """Yield a case for each shape (rows, width); all other properties change from case to case."""
    count = len(threads)
    for n, (rows, width) in enumerate(shapes):
        hidden, output, rule = n, n + n // len(ACTIVATIONS) + 5, n + n // len(RULES) + 7
        yield Case(
            n,
            rows,
            width,
            DTYPES[(n + n // len(WIDTHS) + n // (len(WIDTHS) * len(ROWS))) % 2],
            threads[n // 2 % count],
            list(ACTIVATIONS)[hidden % len(ACTIVATIONS)],
            list(ACTIVATIONS)[output % len(ACTIVATIONS)],
            list(LOSSES)[(n + n // len(LOSSES)) % len(LOSSES)],
            list(RULES)[rule % len(RULES)],
        )


def register_users_functions(name: str) -> None:
    """Register a user's activation and loss whose functions kernels replace. Their names begin with `name`."""
    register_activation(
        f"{name}_activation",
        lambda z: math.tanh(z) + math.exp(-z * z) + math.erf(z) + math.log1p(z * z),
        lambda z: 1.0 - math.tanh(z) ** 2 + (1.1283791670955126 - 2.0 * z) * math.exp(-z * z) + 2.0 * z / (1.0 + z * z),
    )
    register_loss(
        f"{name}_loss",
        lambda a, y: math.log(1.0 + (a - y) * (a - y)),
        lambda a, y: 2.0 * (a - y) / (1.0 + (a - y) * (a - y)),
    )


def add_users_functions() -> None:
    """Register users' functions between guard pages, and add them to the cases."""
    for side in SIDES:
        with guarded(side) as guard:
            register_users_functions(f"at_the_{side}")
            guard.check()
        ACTIVATIONS[side] = activations.ACTIVATIONS[f"at_the_{side}_activation"]
        LOSSES[side] = losses.LOSSES[f"at_the_{side}_loss"]


def cross_section() -> list[tuple[int, int]]:
    """Return each number of rows with some widths, and each width with some numbers of rows."""
    widths = itertools.cycle(WIDTHS)
    return [(rows, next(widths)) for rows in (*ROWS, *ROWS[::3], 300)]


def every_shape() -> list[tuple[int, int]]:
    """Return each number of rows with each width."""
    return [(rows, width) for rows in ROWS for width in WIDTHS]


def everything() -> list[tuple[int, int]]:
    """Return every shape several times, so that all other properties vary, and batches of more rows than a chunk."""
    add_users_functions()
    return [*every_shape() * 2, *((rows, width) for rows in (255, 256, 257, 300, 530, 1030) for width in WIDTHS)]


def compare(chosen: Iterable[Case]) -> int:
    """Run each case, and print it before: if the process dies, the last printed case is the cause.

    What it computes in guarded memory has to have the bits that it has anywhere else. Returns how many calls of kernels
    were parallel.
    """
    parallel = 0
    with ExitStack() as changes:
        for module in (program_runner, inference, few_rows):
            changes.enter_context(mock.patch.object(module, "SERIAL_FLOPS", 0))
        for case in chosen:
            print(case, flush=True)
            with always_parallel() as counted:
                expected = case.results(lambda values, _: values)
                for side in SIDES:
                    with guarded(side) as guard:
                        got = case.results(guard.copy)
                        guard.check()
                    assert got == expected, f"other bits where arrays {side} at a page"
                    assert guard.made > 20
            parallel += len(counted)
    return parallel
