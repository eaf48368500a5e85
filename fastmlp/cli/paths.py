"""Check the files that commands read and write before the work begins."""

from __future__ import annotations

import errno
import os

from fastmlp._io import atomic

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
    raise FileNotFoundError(
        errno.ENOENT,
        "there is no such model; check the path, or write a model with `fastmlp train data.csv --target COLUMN`",
        text,
    )


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
