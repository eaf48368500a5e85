"""Arrays: what kernels can read in place, what is copied, and what the checks say."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_cases import COLUMNS, DTYPES, LAYOUTS, ROWS, Frame, backwards, memmapped, numbers_of, strided, unaligned
from behaviour import small_network

from fastmlp._data import arrays, inputs
from fastmlp._data.arrays import SelectedRows

FLOAT32 = np.dtype(np.float32)
ARCHITECTURE = small_network().architecture
VALUES = numbers_of("float32", (ROWS, COLUMNS))


# Kernel-ready arrays --------------------------------------------------------------------------------------------------

WIDE = numbers_of("float32", (2 * ROWS, COLUMNS + 4))
READY: dict[str, Any] = {
    "C": VALUES,
    "columns of a wider array": WIDE[:, 2 : 2 + COLUMNS],
    "every second row": WIDE[::2, :COLUMNS],
    "rows in reverse": VALUES[::-1],
    "one row repeated": np.broadcast_to(VALUES[0], VALUES.shape),
    "one column, strided": WIDE[:, 3:4],
    "read-only": LAYOUTS["read-only"](VALUES),
    "no rows": VALUES[:0],
}
NOT_READY: dict[str, Any] = {
    "float64": VALUES.astype(np.float64),
    "big-endian": VALUES.astype(">f4"),
    "Fortran": np.asfortranarray(VALUES),
    "every second column": strided(VALUES),
    "columns in reverse": backwards(VALUES),
    "one column repeated": np.broadcast_to(VALUES[:, :1], VALUES.shape),
    "selected rows": SelectedRows(VALUES, np.arange(ROWS)),
}


@pytest.mark.parametrize("name", READY)
def test_a_kernel_ready_array_is_never_copied(name: str, size: str) -> None:
    array = READY[name]
    assert arrays.is_kernel_ready(array, FLOAT32)
    assert arrays.converted_if_small(array, FLOAT32) is array


@pytest.mark.parametrize("name", NOT_READY)
def test_an_array_that_is_not_kernel_ready_is_copied_if_it_is_small(name: str, size: str) -> None:
    array = NOT_READY[name]
    assert not arrays.is_kernel_ready(array, FLOAT32)
    copy = arrays.converted_if_small(array, FLOAT32)
    if size == "large" and array.shape[0] * array.shape[1] * 4 > arrays.STAGE_BYTES:
        assert copy is array
        return
    assert arrays.is_kernel_ready(copy, FLOAT32)
    assert copy.flags.c_contiguous
    assert not np.shares_memory(copy, array[:] if isinstance(array, SelectedRows) else array)
    assert (copy == array[:]).all()


def test_an_unaligned_array_is_not_kernel_ready_until_it_is_converted() -> None:
    for array in (unaligned(VALUES), unaligned(VALUES[:, :1])):
        assert not arrays.is_kernel_ready(array, FLOAT32)
        assert arrays.is_kernel_ready(arrays.converted(array, FLOAT32), FLOAT32)
        assert (arrays.converted(array, FLOAT32) == array).all()


def test_the_largest_copy_takes_stage_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    given, size = VALUES.astype(np.float64), VALUES.nbytes
    monkeypatch.setattr(arrays, "STAGE_BYTES", size)
    assert arrays.converted_if_small(given, FLOAT32) is not given
    monkeypatch.setattr(arrays, "STAGE_BYTES", size - 1)
    assert arrays.converted_if_small(given, FLOAT32) is given


def test_a_conversion_does_not_depend_on_settings_of_numpy() -> None:
    with np.errstate(all="raise"):
        assert (arrays.converted(np.array([[1e-300, 1.0]]), FLOAT32) == [[0, 1]]).all()


@pytest.mark.parametrize("rows", [0, 1, 7, 100])
@pytest.mark.parametrize("row_bytes", [0, 1, 10, 64, 1000])
def test_slices_cover_all_rows_in_sequence(rows: int, row_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "SCAN_BYTES", 64)
    slices = list(arrays.row_slices(rows, row_bytes))
    assert [row for each in slices for row in range(rows)[each]] == list(range(rows))
    assert all(0 < each.stop - each.start <= max(1, 64 // max(1, row_bytes)) for each in slices)


def test_a_staging_buffer_holds_at_least_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "STAGE_BYTES", 1000)
    assert arrays.staging_rows(10, 1) == 100
    assert arrays.staging_rows(10, 128) == 128


# Selected rows --------------------------------------------------------------------------------------------------------


def test_selected_rows_are_a_copy_if_it_is_small_and_else_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([5, 0, 40])
    copy = arrays.select_rows(VALUES, rows, FLOAT32)
    assert isinstance(copy, np.ndarray)
    assert (copy == VALUES[rows]).all()
    monkeypatch.setattr(arrays, "STAGE_BYTES", copy.nbytes - 1)
    selected = arrays.select_rows(VALUES, rows, FLOAT32)
    assert isinstance(selected, SelectedRows)
    assert selected.array is VALUES
    assert (len(selected), selected.shape, selected.dtype) == (3, (3, COLUMNS), FLOAT32)
    for index in (slice(None), slice(1, 3), np.array([2, 2, 0]), [1]):
        assert (selected[index] == copy[index]).all()


def test_the_size_of_a_selection_is_that_of_the_wider_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(10)
    monkeypatch.setattr(arrays, "STAGE_BYTES", 10 * COLUMNS * 4)
    assert isinstance(arrays.select_rows(VALUES, rows, FLOAT32), np.ndarray)
    assert isinstance(arrays.select_rows(VALUES, rows, np.dtype(np.float64)), SelectedRows)
    assert isinstance(arrays.select_rows(VALUES.astype(np.float64), rows, FLOAT32), SelectedRows)


# Arrays of real numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_of_real_numbers_is_not_copied(dtype: str, tmp_path: Path) -> None:
    array = numbers_of(dtype, (ROWS, COLUMNS))
    for given in (array, strided(array), memmapped(array, tmp_path)):
        found = arrays.real_array(given, "X")
        assert type(found) is np.ndarray
        assert np.shares_memory(found, given)


@pytest.mark.parametrize(
    "given",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        [np.array([1, 2]), np.array([3, 4])],
        np.array([[1, 2], [3, 4]], object),
        [[decimal.Decimal(1), 2], [3, True + 3]],
        Frame([[1, 2], [3, 4]]),
        np.ma.MaskedArray([[1, 2], [3, 4]], mask=False),
        np.array([[1, 2], [3, 4]]).view(np.matrix),
    ],
    ids=["lists", "tuples", "a list of arrays", "objects", "decimals", "a frame", "no mask", "a matrix"],
)
def test_lists_and_objects_become_arrays(given: Any) -> None:
    found = arrays.real_array(given, "X")
    assert type(found) is np.ndarray
    assert (found == [[1, 2], [3, 4]]).all()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([[1, 2], [3]], ValueError, "X must be a table of numbers, but its rows differ in length"),
        ([[None, 1]], TypeError, "X must hold real numbers, got objects such as None; leave such rows out, or fill"),
        ([["a", None]], TypeError, "X must hold real numbers, got objects such as 'a'; .*pandas.get_dummies"),
        ([[10**400]], ValueError, "X holds a whole number that float64 cannot hold"),
        ([[decimal.Decimal("sNaN")]], ValueError, "X holds a number that cannot be converted to float64: "),
        ([["1.5"]], TypeError, r"X must hold real numbers, got an array of <U3; astype\(float\) turns texts"),
        ([[1j]], TypeError, "got an array of complex128; np.real gives its real part"),
        (np.zeros(2, "M8[D]"), TypeError, r"convert it to a number of units, as \(t - t\[0\]\)"),
        (np.zeros(2, "i4,f8"), TypeError, "structured_to_unstructured makes a column of each field"),
        (np.ma.MaskedArray([1, 2], [False, True]), ValueError, "must have a value in every place, but some are masked"),
        ([np.ma.MaskedArray([1, 2], [False, True])], ValueError, "must have a value in every place"),
    ],
)
def test_what_does_not_hold_real_numbers_is_refused(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        arrays.real_array(given, "X")


def test_times_with_a_zone_get_the_hint_of_times() -> None:
    time = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)
    with pytest.raises(TypeError, match=r"got objects such as datetime.datetime\(2020, .*; convert it to a number of"):
        arrays.real_array(np.array([time]), "y")


def test_labels_need_a_cross_entropy() -> None:
    with pytest.raises(TypeError, match="; labels need a network with a cross-entropy, such as output='softmax'"):
        arrays.real_array(["cat", "dog"], "y")


# Inputs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [inputs.check_inputs, inputs.check_input_shape])
def test_inputs_are_not_copied(check: Any) -> None:
    assert check(VALUES, ARCHITECTURE) is VALUES


@pytest.mark.parametrize("check", [inputs.check_inputs, inputs.check_input_shape])
def test_a_shape_that_does_not_suit_the_network_is_refused(check: Any) -> None:
    with pytest.raises(ValueError, match=r"^X must have shape \(n, 3\) for this network, got \(41, 2\)$"):
        check(VALUES[:, :2], ARCHITECTURE)
    with pytest.raises(ValueError, match=r"got \(3,\); one sample is X.reshape\(1, -1\)$"):
        check(VALUES[0], ARCHITECTURE)
    with pytest.raises(ValueError, match=r"^X of chunk 2 must .*got \(3,\); one sample must have shape \(1, 3\)$"):
        check(VALUES[0], ARCHITECTURE, "X of chunk 2")


def test_a_check_of_the_shape_does_not_read_values() -> None:
    wrong = VALUES.copy()
    wrong[3, 1] = np.nan
    assert inputs.check_input_shape(wrong, ARCHITECTURE) is wrong
    with pytest.raises(ValueError, match=r"X must be finite, but X\[3, 1\] is nan; leave such rows out, or fill them"):
        inputs.check_inputs(wrong, ARCHITECTURE)


@pytest.mark.parametrize("layout", ["C", "Fortran", "strided", "negative strides", "unaligned", "big-endian"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("place", [(0, 0), (17, 2), (40, 1)])
def test_the_first_value_that_is_not_finite_is_found(
    place: tuple[int, int], dtype: str, layout: str, size: str
) -> None:
    for value in (np.nan, np.inf, -np.inf):
        wrong = numbers_of(dtype, (ROWS, COLUMNS))
        wrong[40, 2] = np.nan
        wrong[place] = value
        with pytest.raises(ValueError, match=rf"^X must be finite, but X\[{place[0]}, {place[1]}\] is {value}; "):
            arrays.check_finite(LAYOUTS[layout](wrong), FLOAT32, "X")


def test_a_value_must_be_finite_in_the_dtype_of_the_network() -> None:
    large = np.array([[1.0, 1e39]])
    arrays.check_finite(large, np.dtype(np.float64), "X")
    with pytest.raises(ValueError, match=r"X\[0, 1\] is 1e\+39, which float32 cannot hold; scale it down, or compute"):
        arrays.check_finite(large, FLOAT32, "X")
    arrays.check_finite(np.array([2**63], np.uint64), FLOAT32, "X")  # whole numbers of 64 bits always suit
