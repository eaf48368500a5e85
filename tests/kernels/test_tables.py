"""Tables are typed: what does not belong to a table, or is no address, is an error before anything runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.errors import NumbaError

from fastmlp._engine.records import address_of, copy_record, new_record, new_records
from fastmlp._runtime.buffers import ALIGNMENT, address
from fastmlp.kernels import tables
from fastmlp.kernels.host.annotations import Code, Floats, Records, structure_of
from fastmlp.kernels.host.jit import kernel
from fastmlp.kernels.tables import AnyPlan, Evaluation, Layer, Phase, Plan, Result, State, StepTable, Task, TaskQueue
from fastmlp.kernels.vocabulary.pointers import call, exists, null_like, offset

TABLES = (State, Layer, Phase, Result, StepTable, Plan, Evaluation, Task, TaskQueue)
FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


@kernel(cached=False)
def read_and_write(plan: Plan) -> int:
    layer = plan.layers[1]
    layer.units += plan.rows
    plan.state[0].loss_sum = 0.5
    plan.scale = layer.threshold
    layer.a[2] = 7.0
    return layer.units if exists(layer.a) and not exists(layer.mask) and not exists(null_like(layer.a)) else -1


def test_fields_are_the_same_memory_on_both_sides() -> None:
    plan, layers, state, a = new_record(Plan), new_records(Layer, 3), new_record(State), np.zeros(4, np.float32)
    plan.layers, plan.state, plan.rows = address_of(layers), address_of(state), 5
    layers[1].units, layers[1].threshold, layers[1].a = 30, -2.5, address(a)
    assert read_and_write.function_for(FLOAT32)(address_of(plan)) == 35
    assert (layers[1].units, layers[0].units, layers[2].units) == (35, 0, 0)
    assert (state.loss_sum, plan.scale) == (0.5, -2.5)
    assert a.tolist() == [0.0, 0.0, 7.0, 0.0]


@kernel(cached=False)
def set_region(plan: AnyPlan, code: Code) -> None:
    plan.region = code
    plan.rows = 1 if exists(plan.region) else 0


def test_a_kernel_of_any_dtype_passes_on_what_it_does_not_read() -> None:
    plan = new_record(Plan)
    assert set_region.dtypes == (INT64,)
    set_region.function_for(INT64)(address_of(plan), 123)
    assert (plan.region, plan.rows) == (123, 1)


def units_of_plan(plan: Plan) -> int:
    return plan.units  # type: ignore[attr-defined, no-any-return]


def rows_of_layer(layer: Layer) -> int:
    return layer.rows  # type: ignore[attr-defined, no-any-return]


def written_to_another_table(state: State) -> None:
    state.rows = 1  # type: ignore[attr-defined]


def a_number_as_pointer(plan: Plan) -> float:
    return offset(plan.rows, 1)[0]


def a_pointer_as_number(plan: Plan) -> int:
    return plan.rows + plan.weights  # type: ignore[operator, no-any-return]


def a_number_as_pointer_in_a_field(plan: Plan) -> None:
    plan.weights = plan.rows  # type: ignore[assignment]


def a_number_as_kernel(plan: Plan) -> None:
    call(plan.rows, (plan.rows,))


def a_pointer_as_kernel(plan: Plan) -> None:
    call(plan.weights, (plan.rows,))


def reals_where_the_dtype_is_unknown(plan: AnyPlan) -> float:
    return plan.weights[0]


def a_layer_as_a_plan(layers: Records[Layer]) -> int:
    return layers[0].layers[0].units  # type: ignore[attr-defined, no-any-return]


def a_pointer_of_another_type(plan: Plan, numbers: Floats) -> None:
    plan.labels = numbers  # type: ignore[assignment]


WRONG = (
    units_of_plan, rows_of_layer, written_to_another_table, a_number_as_pointer, a_pointer_as_number,
    a_number_as_pointer_in_a_field, a_number_as_kernel, a_pointer_as_kernel, reals_where_the_dtype_is_unknown,
    a_layer_as_a_plan, a_pointer_of_another_type,
)  # fmt: skip


@pytest.mark.parametrize("function", WRONG, ids=lambda function: function.__name__)
def test_what_mixes_tables_numbers_and_addresses_does_not_compile(function: Any) -> None:
    with pytest.raises((NumbaError, NotImplementedError)):
        kernel(cached=False)(function).address(FLOAT32)


def test_an_unknown_field_is_named_with_its_table() -> None:
    with pytest.raises(NumbaError, match=r"the table Plan\[float32\] has no field .units.; it has phase, region"):
        kernel(cached=False)(units_of_plan).address(FLOAT32)


def test_an_unknown_annotation_is_refused() -> None:
    def wrong(plan: Plan, what: bytes) -> None:
        """Stand for a function that is not a kernel."""

    with pytest.raises(TypeError, match="pointers, tables, int and float, got the annotation 'bytes'"):
        kernel(cached=False)(wrong).address(FLOAT32)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_python_refuses_a_misspelt_field(table: type) -> None:
    record = new_record(table)
    with pytest.raises(AttributeError):
        record.no_such_field = 1
    with pytest.raises(AttributeError):
        record.no_such_field  # noqa: B018


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_records_begin_at_cache_lines_as_zeros_and_are_copied_whole(table: type) -> None:
    one, several = new_record(table), new_records(table, 3)
    assert address_of(one) % ALIGNMENT == address_of(several) % ALIGNMENT == 0
    names = [name for name, _ in structure_of(table)._fields_]
    assert names == list(table.__annotations__)
    assert not any(getattr(one, name) for name in names)
    for number, name in enumerate(names, 1):
        setattr(several[1], name, number)
    copy_record(one, several[1])
    assert [getattr(one, name) for name in names] == list(range(1, len(names) + 1))
    assert not any(getattr(several[2], name) for name in names)


@pytest.mark.parametrize("size", [0, 8, 87, 89])
def test_bytes_of_another_size_are_refused_and_nothing_is_copied(size: int) -> None:
    record = new_record(State)
    record.epoch = 5
    with pytest.raises(ValueError, match=f"a record of State has 88 bytes, got {size}"):
        copy_record(record, b"x" * size)
    assert record.epoch == 5


def test_every_field_says_what_it_is() -> None:
    lines = Path(tables.__file__).read_text("utf-8").splitlines()
    fields = [
        line for line in lines if re.match(r"    [a-z0-9_]+: (int|float|Reals|Floats|Ints|Code|Records\[\w+\])", line)
    ]
    assert len(fields) == sum(len(table.__annotations__) for table in TABLES)
    bare = [line.split(":")[0].strip() for line in fields if "#" not in line]
    assert set(bare) <= {"units", "epoch_weight_sum", "epoch_penalty_sum"}  # said by the name, or by the line above
