"""The explanation of rows that cannot be read. `test_reader` covers the faults that a reader meets."""

from __future__ import annotations

from pathlib import Path

import pytest
from table_files import write

from fastmlp.tables.csv_file import NulByteError
from fastmlp.tables.faults import raise_fault


def test_if_the_file_has_no_fault_any_more_the_original_error_is_raised(tmp_path: Path) -> None:
    path, error = write(tmp_path / "a.csv", "a,b\n1,2\n"), NulByteError()
    with pytest.raises(NulByteError) as raised:
        raise_fault(path, path, ",", error)
    assert raised.value is error
