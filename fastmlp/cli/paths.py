"""Check the files that commands read and write before the work begins."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastmlp._io import atomic

if TYPE_CHECKING:
    from fastmlp.tables.csv_file import NamedFile

SUFFIX = ".safetensors"
"""The suffix of model files."""


def find_model(text: str) -> str:
    """Return the path of a model file, whose suffix may be left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file, with or without the suffix.
    ValueError
        If the file does not begin as a model file does. Most often the model and the CSV file are exchanged.
    """
    for path in (text, text + SUFFIX):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                begin = file.read(9)
            if begin[8:] not in (b"{", b""):
                raise ValueError(
                    f"{path!r} is not a valid fastmlp model; give MODEL, a file that `fastmlp train` wrote, before any "
                    "CSV file"
                )
            return path
    from fastmlp.tables.file_format import similar_file

    similar = similar_file(text.removesuffix(SUFFIX) + SUFFIX, SUFFIX)
    hint = "check the path" if similar is None else f"did you mean {similar!r}? Check the path"
    raise FileNotFoundError(
        errno.ENOENT,
        f"there is no such model; {hint}, or write a model with `fastmlp train data.csv --target COLUMN`",
        text,
    )


@contextlib.contextmanager
def data_source(data: str) -> Iterator[str | NamedFile]:
    """Yield the path of a CSV file. Standard input, "-", is copied to a file, because data is read more than once.

    Raises
    ------
    OSError
        If there is no standard input.
    """
    if data != "-":
        yield data
        return
    from fastmlp.tables.csv_file import NamedFile

    if sys.stdin is None:
        raise OSError("- stands for standard input, but there is none; give a CSV file")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "input.csv")
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield NamedFile(path, "standard input")


def require_writable(path: str, *inputs: str, option: str = "--out") -> None:
    """Check that a file can be written, so that a command fails before the work and not after it.

    Parameters
    ----------
    path : str
        The file to write.
    inputs : str
        The files that the command reads. They must not be overwritten.
    option : str
        The option that gave `path`, for messages.

    Raises
    ------
    OSError
        If the folder of `path` is missing or not writable, or if `path` is a folder, a device, a pipe or an input.
    """
    atomic.require_writable(path, option)
    if os.path.exists(path) and any(os.path.exists(other) and os.path.samefile(path, other) for other in inputs):
        raise FileExistsError(errno.EEXIST, f"{option} would overwrite an input file; give another name", path)
