"""The file of an ensemble: all its networks in one model file.

The metadata are those of the first network, and beside them

    ensemble   {"bootstrap": false, "validation": "own split"}
    members    a JSON array with a string for each member, which is a JSON array of strings: the keys in which its
               metadata differ from those of the first network, each followed by its text

The tensors of member 3 are "members.3.layers.0.W" and so on, otherwise named as in the file of one network.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from fastmlp._io import checkpoint, description, model_file
from fastmlp._io.checkpoint import MEMBERS, Checkpoint, ExpectedTensors
from fastmlp._io.description import Description, Strings
from fastmlp._io.model_header import METADATA_LIMIT

_OPTIONS = "ensemble"
_OF_MEMBER = re.compile(r"members\.(0|[1-9][0-9]{0,9})\.(.+)")


def write(path: str | os.PathLike[str], members: Sequence[Checkpoint], options: Mapping[str, Any]) -> None:
    """Write the file of an ensemble; an older file of that name stays as it is until the new one is complete.

    Raises
    ------
    ValueError
        If `read` would refuse the file, for example because a weight is not finite, or there are too many members.
    OSError
        If the file cannot be written.
    """
    tensors: dict[str, NDArray[Any]] = {}
    described: list[dict[str, str]] = []
    for index, member in enumerate(members):
        metadata, own = checkpoint.encode(member)
        described.append(metadata)
        tensors |= {f"members.{index}.{name}": tensor for name, tensor in own.items()}
    first = described[0]
    differences = [{key: text for key, text in each.items() if first.get(key) != text} for each in described]
    texts = [json.dumps([part for pair in each.items() for part in pair]) for each in differences]
    model_file.write(path, {**first, _OPTIONS: json.dumps(dict(options)), MEMBERS: json.dumps(texts)}, tensors)


def read(path: str | os.PathLike[str]) -> tuple[list[Checkpoint], dict[str, Any]]:
    """Read the file of an ensemble; return its members, and the options, which the caller must check.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelFormatError
        If anything in it differs from what `write` wrote.
    """
    members: list[ExpectedTensors] = []
    descriptions: list[Description] = []

    def accept(version: str, metadata: Mapping[str, str], tensors: model_file.Tensors) -> None:
        if MEMBERS not in metadata:
            raise ValueError("it holds a single network; load it with fastmlp.Network.load")
        for described, complete in _descriptions(version, metadata, sum(1 for _ in tensors)):
            descriptions.append(described)
            members.append(ExpectedTensors(described.architecture, complete))
        _check_tensors(members, tensors)

    _, metadata, tensors = model_file.read(path, accept)
    with model_file.naming(path):
        names = description.decode_names(metadata, descriptions[0].architecture)
        own: list[dict[str, Any]] = [{} for _ in members]
        for name, tensor in tensors.items():
            index, rest = _split(name)
            own[index][rest] = tensor
        found = []
        for index, (described, expected) in enumerate(zip(descriptions, members, strict=True)):
            with _of_member(index):
                found.append(checkpoint.assemble(described, expected.complete, names.copy(), own[index]))
        return found, _options(metadata)


def _options(metadata: Mapping[str, str]) -> dict[str, Any]:
    if _OPTIONS not in metadata:
        raise ValueError(f"{_OPTIONS!r} is missing")
    try:
        (options,) = description.decode_objects(metadata, _OPTIONS)
    except RecursionError as error:
        raise ValueError(f"{_OPTIONS!r} is wrong: {error}") from None
    return options


def _descriptions(version: str, metadata: Mapping[str, str], tensors: int) -> Iterator[tuple[Description, bool]]:
    """Yield the description of each member, and whether the file has the tensors of its optimizer.

    Descriptions stop as soon as they need more tensors than there are: a short text can describe many members.
    """
    layers = count = 0
    for count, text in enumerate(Strings(metadata[MEMBERS], MEMBERS), 1):
        with _of_member(count - 1):
            described, complete = checkpoint.decode(version, {**metadata, **_own_metadata(text)})
        layers += len(described.architecture.layers)
        if layers > tensors:
            raise ValueError(f"members 0 to {count - 1} have {layers:,} layers, but there are only {tensors:,} tensors")
        yield described, complete
    if not count:
        raise ValueError("it has no members")


def _own_metadata(text: str) -> dict[str, str]:
    """Return the metadata in which a member differs from the first."""
    parts = [*itertools.islice(Strings(text, MEMBERS), 2 * METADATA_LIMIT + 1)]
    if len(parts) > 2 * METADATA_LIMIT:
        raise ValueError(f"its description has more than {METADATA_LIMIT} keys")
    if len(parts) % 2:
        raise ValueError("its description has a key without a text")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _check_tensors(members: Sequence[ExpectedTensors], tensors: model_file.Tensors) -> None:
    """Check that there are the tensors of all members, and no others."""
    for name, shape, dtype in tensors:
        index, rest = _split(name)
        if index >= len(members):
            raise ValueError(f"tensor {name!r} is unknown: there are {len(members)} members")
        with _of_member(index):
            members[index].take(rest, shape, dtype)
    for index, member in enumerate(members):
        with _of_member(index):
            member.require_all()


def _split(name: str) -> tuple[int, str]:
    """Return the member and the rest of a tensor's name."""
    match = _OF_MEMBER.fullmatch(name)
    if match is None:
        raise ValueError(f"tensor {name!r} is unknown")
    return int(match[1]), match[2]


@contextlib.contextmanager
def _of_member(index: int) -> Iterator[None]:
    """Say in a ValueError of the body which member it concerns."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"member {index}: {error}") from None
