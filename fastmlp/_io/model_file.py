"""The file of a model: the safetensors layout, written as a whole or not at all, and read without trust.

    8 bytes    the header's length, a little-endian unsigned integer
    header     JSON in ASCII, padded with spaces to a multiple of 8:
               {"__metadata__":{"sha256":"...","format":"fastmlp","format_version":"2",...},
                "name":{"dtype":"F32","shape":[16,8],"data_offsets":[begin,end]},...}
    tensors    little-endian, row-major, one after the other in the header's order

The layout is that of https://github.com/huggingface/safetensors, whose readers read these files. fastmlp is stricter:
the JSON has one spelling, with `__metadata__` first; wide numbers come before narrow ones, so that every tensor is
aligned; and a SHA-256 covers header and tensors, where the 64 characters of the digest itself count as zeros.

This module knows the layout, which is the same in every format version. `checkpoint` and `description` know what the
metadata and the tensors mean, and `description` says how that may change.
"""

from __future__ import annotations

import array
import contextlib
import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp._io import model_header
from fastmlp._io.atomic import write_atomically
from fastmlp._io.model_header import METADATA_LIMIT, NAME_LIMIT, Entry
from fastmlp._runtime import memory
from fastmlp._runtime.checks import repeated_name
from fastmlp._runtime.file_kinds import file_kind, is_text

FORMAT = "fastmlp"
VERSION = "2"  # the version that is written
VERSIONS = ("1", "2")  # all that are read
DTYPES: dict[str, np.dtype[Any]] = {"F64": np.dtype("<f8"), "I64": np.dtype("<i8"), "F32": np.dtype("<f4")}
HEADER_LIMIT = 1 << 23  # bytes; some 10,000 layers. It bounds what a hostile header can make a reader do.

_SAMPLE_BYTES = 1 << 12  # which decide of what kind a file is
_ZEROS = "0" * 64
_DIGEST = model_header.DIGEST
_OWN_KEYS = ("sha256", "format", "format_version")

_COPY_WEIGHTS = "copy its weights: net.set_weights([(W, b), ...]), with W of shape (inputs, units)"
_ADVICE = {  # for files of other kinds
    "a PyTorch file": "load it with torch, and import the module with fastmlp.from_torch(module)",
    "a Python pickle": "load it with pickle or joblib; fastmlp.from_sklearn imports scikit-learn's models",
    "a Keras model": f"load it with Keras, and {_COPY_WEIGHTS}",
    "an HDF5 file": f"if it is a Keras model, load it with Keras, and {_COPY_WEIGHTS}",
    "an ONNX model": f"fastmlp writes ONNX but does not read it; {_COPY_WEIGHTS}",
}


class Content(NamedTuple):
    """What a model file holds.

    Attributes
    ----------
    version : str
        The format version, one of `VERSIONS`.
    metadata : dict of str to str
        As it was given to `write`.
    tensors : dict of str to ndarray
        Writable, aligned views of one block of memory.
    """

    version: str
    metadata: dict[str, str]
    tensors: dict[str, NDArray[Any]]


Tensors = Iterable[tuple[str, tuple[int, ...], np.dtype[Any]]]
"""Name, shape and dtype of one tensor after the other, as often as they are iterated over."""

Accept = Callable[[str, Mapping[str, str], Tensors], None]
"""A function of format version, metadata and tensors that raises ValueError to refuse a file."""


class ModelFormatError(ValueError):
    """A file is not a model that fastmlp wrote, or it is damaged; the message names the file and says what is wrong."""


def write(path: str | os.PathLike[str], metadata: Mapping[str, str], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a model file; an older file of that name stays as it is until the new one is complete.

    Parameters
    ----------
    path : path-like
        Where the file goes; its folder must exist.
    metadata : mapping of str to str
        Texts that describe the tensors.
    tensors : mapping of str to ndarray
        Arrays of float32, float64 or int64, of any shape.

    Raises
    ------
    TypeError
        If a key or a text is not a string, or a tensor has another dtype.
    ValueError
        If the layout reserves a key, a text is not valid Unicode, or keys, names or the header exceed their limits.
    OSError
        If the file cannot be written.
    """
    _check_metadata(metadata)
    _check_names(tensors)
    codes = {name: _dtype_code(name, tensor) for name, tensor in tensors.items()}
    order = sorted(tensors, key=lambda name: -DTYPES[codes[name]].itemsize)
    arrays = {name: np.asarray(tensors[name], DTYPES[codes[name]], order="C") for name in order}

    entries, begin = {}, 0
    for name, tensor in arrays.items():
        entries[name] = Entry(codes[name], tensor.shape, begin, begin + tensor.nbytes)
        begin += tensor.nbytes
    own = {"sha256": _ZEROS, "format": FORMAT, "format_version": VERSION}
    blank = model_header.encode({**own, **metadata}, entries)
    if len(blank) > HEADER_LIMIT:
        raise ValueError(f"metadata and tensor names take {len(blank)} bytes, the limit is {HEADER_LIMIT}")
    digest = _digest(blank, (tensor.reshape(-1).data for tensor in arrays.values()))
    header = b"".join((blank[: _DIGEST.start], digest.encode(), blank[_DIGEST.stop :]))
    write_atomically(
        path, [len(header).to_bytes(8, "little"), header, *(tensor.reshape(-1).data for tensor in arrays.values())]
    )


def read(path: str | os.PathLike[str], accept: Accept = lambda version, metadata, tensors: None) -> Content:
    """Read a model file of any format version that `write` has ever written.

    The header is checked against the file's size before memory is allocated for the tensors.

    Parameters
    ----------
    path : path-like
        The file.
    accept : callable
        A function of format version, metadata and tensors (names, shapes and dtypes). It is called before any tensor
        is read, and raises ValueError to refuse the file.

    Raises
    ------
    ModelFormatError
        If a single bit of the file differs from what `write` wrote, or `accept` refuses the file.
    OSError
        If the file cannot be read, or is a device or a pipe; FileNotFoundError if there is none.
    """
    name = os.fspath(path)
    with open(name, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is a device or a pipe; give a file", name)
        with naming(name):
            return _read(file, status.st_size, accept)


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn a ValueError of the body into a ModelFormatError that names the file."""
    try:
        yield
    except ValueError as error:
        raise ModelFormatError(f"{os.fspath(path)!r} is not a valid fastmlp model: {error}") from None


def _open_without_waiting(name: str, flags: int) -> int:
    """Open a file descriptor; without O_NONBLOCK, opening a pipe would wait until another process writes to it."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _read(file: BinaryIO, size: int, accept: Accept) -> Content:
    header = _read_header(file, size)
    metadata, begin = model_header.metadata(header)
    digest = header[_DIGEST].decode("ascii", "replace")
    if metadata["sha256"] != digest:
        raise ValueError("its SHA-256 is not 64 characters long")
    version = _check_format(metadata)
    length = size - 8 - len(header)
    _check_entries(header, begin, length)
    own = {key: text for key, text in metadata.items() if key not in _OWN_KEYS}
    accept(version, own, _Described(header, begin))

    memory.require(length, "what the file holds")
    data = np.empty(length, np.uint8)
    if file.readinto(data) != length:  # type: ignore[attr-defined]
        raise ValueError("it became shorter while it was read")
    if _digest(header, [data.data]) != digest:
        raise ValueError("its SHA-256 does not match its content: the file is damaged; use another copy")
    views = {
        name: data[entry.begin : entry.end].view(DTYPES[entry.dtype]).reshape(entry.shape)
        for name, entry in model_header.entries(header, begin)
    }
    return Content(version, own, views)


class _Described:
    """Name, shape and dtype of each tensor of a header, parsed each time when they are iterated over."""

    def __init__(self, header: bytes, begin: int) -> None:
        self.header, self.begin = header, begin

    def __iter__(self) -> Iterator[tuple[str, tuple[int, ...], np.dtype[Any]]]:
        """Yield one tensor after the other."""
        for name, entry in model_header.entries(self.header, self.begin):
            yield name, entry.shape, DTYPES[entry.dtype]


def _read_header(file: BinaryIO, size: int) -> bytes:
    if size == 0:
        raise ValueError("the file is empty")
    _refuse_other_kinds(file)
    if size < 8:
        raise ValueError(f"it is truncated: it has {size} bytes, fewer than the 8 of the header's length")
    length = int.from_bytes(file.read(8), "little")
    if length == 0:
        raise ValueError("its header length is 0")
    if length > HEADER_LIMIT:
        raise ValueError(f"its header length is {length}, the limit is {HEADER_LIMIT}; is it a file of another kind?")
    if length > size - 8:
        raise ValueError(f"it is truncated: its header takes {length} bytes, but only {size - 8} are there")
    header = file.read(length)
    if len(header) != length:
        raise ValueError("it became shorter while it was read")
    return header


def _refuse_other_kinds(file: BinaryIO) -> None:
    """Raise ValueError that names a file of another kind. A file whose header begins with "{" is taken for a model."""
    start = file.read(_SAMPLE_BYTES)
    file.seek(0)
    if len(start) < 8 or start[8:9] == b"{":
        return
    kind = file_kind(start) or ("a text file" if is_text(start) else None)
    if kind is not None:
        advice = _ADVICE.get(kind, "give a file that `save` or `fastmlp train` wrote")
        raise ValueError(f"the file is {kind}; {advice}")


def _check_format(metadata: Mapping[str, str]) -> str:
    """Check the name of the format, and return its version."""
    if metadata.get("format") != FORMAT:
        raise ValueError(f"its format is {metadata.get('format')!r:.99}, expected {FORMAT!r}")
    version = metadata.get("format_version")
    if version not in VERSIONS:
        known = " and ".join(map(repr, VERSIONS))
        raise ValueError(
            f"its format version is {version!r:.99}, but this fastmlp reads {known}; "
            "a newer fastmlp may have written it: update fastmlp"
        )
    return version


def _check_entries(header: bytes, begin: int, length: int) -> None:
    """Check that the tensors are possible, have different names and fill `length` bytes one after the other."""
    position, hashes = 0, array.array("q")
    for name, entry in model_header.entries(header, begin):
        hashes.append(hash(name))
        if entry.dtype not in DTYPES:
            raise ValueError(f"tensor {name!r} has dtype {entry.dtype!r}, expected one of {', '.join(DTYPES)}")
        width = DTYPES[entry.dtype].itemsize
        # Python's integers do not overflow; the product without zeros is what NumPy must be able to address.
        addressed = math.prod(max(extent, 1) for extent in entry.shape) * width
        if min(entry.shape, default=0) < 0 or addressed >= 1 << 63:
            raise ValueError(f"tensor {name!r} has the impossible shape {list(entry.shape)}")
        if entry.begin != position or entry.begin % width:
            raise ValueError(f"tensor {name!r} begins at byte {entry.begin}, expected {position}: a hole or an overlap")
        needed = math.prod(entry.shape) * width
        if entry.end - entry.begin != needed:
            raise ValueError(
                f"tensor {name!r} has data_offsets {[entry.begin, entry.end]}, "
                f"but {entry.dtype} of shape {list(entry.shape)} takes {needed} bytes"
            )
        position = entry.end
        if position > length:
            raise ValueError(f"it is truncated: tensor {name!r} ends at byte {position} of {length}")
    if position != length:
        raise ValueError(f"its tensors take {position} bytes, but {length} follow the header")
    repeated = repeated_name(hashes, (name for name, _ in model_header.entries(header, begin)))
    if repeated is not None:
        raise ValueError(f"its header names {repeated!r} twice")


def _digest(header: bytes, parts: Iterable[memoryview]) -> str:
    """Return the SHA-256, in hexadecimal, of header and tensors; the digest within the header counts as zeros."""
    whole = memoryview(header)
    state = hashlib.sha256()
    pieces: tuple[bytes | memoryview, ...] = (whole[: _DIGEST.start], _ZEROS.encode(), whole[_DIGEST.stop :], *parts)
    for part in pieces:
        state.update(part)
    return state.hexdigest()


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) + len(_OWN_KEYS) > METADATA_LIMIT:
        raise ValueError(f"metadata must have at most {METADATA_LIMIT - len(_OWN_KEYS)} keys, got {len(metadata)}")
    for key, text in metadata.items():
        _check_text(key, "a key of the metadata")
        _check_length(key, "a key of the metadata")
        _check_text(text, f"the metadata's text for {key!r}")
        if key in _OWN_KEYS:
            raise ValueError(f"the metadata's key {key!r} belongs to the file layout; use another")


def _check_names(tensors: Mapping[str, NDArray[Any]]) -> None:
    for name in tensors:
        _check_text(name, "a tensor's name")
        _check_length(name, "a tensor's name")
        if name == "__metadata__":
            raise ValueError("a tensor's name cannot be '__metadata__': it belongs to the file layout; use another")


def _check_text(text: object, what: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a string, got {text!r} of type {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} must be valid Unicode, got {text!r}") from None


def _check_length(name: str, what: str) -> None:
    length = len(json.dumps(name))
    if length > NAME_LIMIT:
        raise ValueError(f"{what} must take at most {NAME_LIMIT} bytes as JSON, got {length}: {name[:20]!r}...")


def _dtype_code(name: str, tensor: NDArray[Any]) -> str:
    """Return the name of a tensor's dtype in the header."""
    for code, dtype in DTYPES.items():
        if isinstance(tensor, np.ndarray) and tensor.dtype.newbyteorder("<") == dtype:
            return code
    found = getattr(tensor, "dtype", type(tensor).__name__)
    raise TypeError(f"tensor {name!r} must be an array of float32, float64 or int64, got {found}")
