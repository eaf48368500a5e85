"""The annotations of kernels: pointers, addresses of kernels, and tables that Python and kernels share.

A table is a class whose annotations name its fields and their types; `@table` lays it out as a C struct. Python sees it
as a `ctypes` structure of `structure_of`, kernels as a record: `plan.rows` is spelled alike on both sides. Its fields
are typed, so a field of another table, or a number where an address belongs, is an error when the kernel is compiled.

`ctypes` and not NumPy's structured arrays: to set a field takes 0.08 us with `ctypes` and 0.9 us with NumPy, and a
prediction of one row sets two.
"""

from __future__ import annotations

import ctypes
import operator
import re
from typing import Any, Protocol, TypeVar

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import errors
from numba.core.datamodel import models, register_default
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Reals(Protocol):
    """A pointer to float32 or float64 elements, whichever the network computes in."""

    def __getitem__(self, index: int) -> float: ...
    def __setitem__(self, index: int, value: float) -> None: ...


class Floats(Reals, Protocol):
    """A pointer to float64 elements."""


class Ints(Protocol):
    """A pointer to int64 elements."""

    def __getitem__(self, index: int) -> int: ...
    def __setitem__(self, index: int, value: int) -> None: ...


class Code(Protocol):
    """The address of a compiled kernel, which `call` calls."""


class Records(Protocol[T_co]):
    """A pointer to the first of several records of one table."""

    def __getitem__(self, index: int) -> T_co: ...


class RecordType(types.Record):  # type: ignore[misc]
    """Numba's type of a record. Its name is short, because Numba mangles it into the name of every function."""

    def __init__(self, name: str, fields: dict[str, Any], size: int) -> None:
        types.Type.__init__(self, name)
        entries = [
            (field, {"type": kind, "offset": 8 * place, "alignment": 8})
            for place, (field, kind) in enumerate(fields.items())
        ]
        self.fields = dict(self._normalize_fields(entries))
        self.size, self.aligned, self.bitwidth = size, True, 8 * size

    def typeof(self, key: str) -> Any:
        """Return the type of a field.

        Raises
        ------
        TypingError
            If the table has no field of that name.
        """
        if key not in self.fields:
            raise errors.TypingError(f"the table {self.name} has no field {key!r}; it has {', '.join(self.fields)}")
        return self.fields[key].type


class RecordsType(types.Type):  # type: ignore[misc]
    """Numba's type of a pointer to records; an index gives one of them."""

    def __init__(self, record: RecordType) -> None:
        super().__init__(f"pointer to {record.name}")
        self.record = record


class CodeType(types.Opaque):  # type: ignore[misc]
    """Numba's type of the address of a kernel."""


@register_default(RecordsType)
class _RecordsModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: RecordsType) -> None:
        super().__init__(manager, kind, ir.ArrayType(ir.IntType(8), kind.record.size).as_pointer())


register_default(RecordType)(models.RecordModel)
register_default(CodeType)(models.OpaqueModel)


@infer_global(operator.getitem)
class _RecordOfRecords(AbstractTemplate):  # type: ignore[misc]
    def generic(self, arguments: Any, keywords: Any) -> Any:
        pointer, index = arguments
        if isinstance(pointer, RecordsType) and isinstance(index, types.Integer):
            return signature(pointer.record, pointer, types.intp)
        return None


@lower_builtin(operator.getitem, RecordsType, types.intp)
def _record_of_records(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    return builder.gep(arguments[0], [arguments[1]])


CODE = CodeType("address of a kernel")
ADDRESS = types.Opaque("address of reals")  # in kernels that do not know the dtype

_TABLES: dict[str, type] = {}
_STRUCTURES: dict[str, type[ctypes.Structure]] = {}
_RECORDS: dict[tuple[str, Any], RecordType] = {}
_RECORDS_OF = re.compile(r"Records\[(\w+)\]")


def table(described: type[T]) -> type[T]:
    """Lay out a class of annotations as a table, each field 8 bytes in the order in which they stand."""
    name = described.__name__
    kinds = {"int": ctypes.c_int64, "float": ctypes.c_double}
    fields = [(field, kinds.get(kind, ctypes.c_int64)) for field, kind in described.__annotations__.items()]
    # Without slots a misspelt field would become a new attribute of the object.
    body = {"__slots__": (), "_fields_": fields, "__doc__": described.__doc__}
    _TABLES[name], _STRUCTURES[name] = described, type(name, (ctypes.Structure,), body)
    return described


def structure_of(described: type) -> Any:
    """Return the `ctypes` structure of a table; addresses are ints in it, 0 where there is nothing."""
    return _STRUCTURES[described.__name__]


def record_type(name: str, real: Any) -> RecordType:
    """Return Numba's type of a record; `real` is the type of its reals, None where kernels do not read them."""
    key = (name, real if _holds_reals(name) else None)
    if key not in _RECORDS:
        fields = {field: _type_of(kind, real) for field, kind in _TABLES[name].__annotations__.items()}
        _RECORDS[key] = RecordType(f"{name}[{key[1]}]" if key[1] else name, fields, 8 * len(fields))
    return _RECORDS[key]


def numba_type(annotation: str, dtype: np.dtype[Any]) -> Any:
    """Return Numba's type of a kernel's parameter with an annotation, in the version for a dtype."""
    return _type_of(annotation, types.float32 if dtype == np.float32 else types.float64)


def _type_of(annotation: str, real: Any) -> Any:
    kinds = {
        "Reals": types.CPointer(real) if real else ADDRESS,
        "Floats": types.CPointer(types.float64),
        "Ints": types.CPointer(types.int64),
        "Code": CODE,
        "int": types.int64,
        "float": types.float64,
        "None": types.void,
    }
    if annotation in kinds:
        return kinds[annotation]
    if of := _RECORDS_OF.fullmatch(annotation):
        return RecordsType(_record_of(of[1], real))
    return _record_of(annotation, real)


def _record_of(annotation: str, real: Any) -> RecordType:
    name = annotation.removeprefix("Any")
    if name not in _TABLES:
        raise TypeError(f"a kernel takes pointers, tables, int and float, got the annotation {annotation!r}")
    return record_type(name, None if name != annotation else real)


def depends_on_dtype(annotation: str) -> bool:
    """Return whether the type of an annotation differs between a kernel's versions for float32 and float64."""
    of = _RECORDS_OF.fullmatch(annotation)
    return annotation == "Reals" or _holds_reals(of[1] if of else annotation)


def _holds_reals(name: str) -> bool:
    """Return whether a table of that name, or one that it points to, has a pointer to reals."""
    return name in _TABLES and any(depends_on_dtype(kind) for kind in _TABLES[name].__annotations__.values())
