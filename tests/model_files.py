"""Model files of both format versions, taken apart and put together again without fastmlp."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

START = b'{"__metadata__":{"sha256":"'
DIGEST = slice(8 + len(START), 8 + len(START) + 64)  # of a file's bytes
PARTS = ("network", "layers", "loss", "optimizer", "training")
"""Keys of the metadata of every file of version 2."""


def split(blob: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the tensors' bytes of a good file."""
    length = int.from_bytes(blob[:8], "little")
    return json.loads(blob[8 : 8 + length]), blob[8 + length :]


def joined(header: Any, data: bytes) -> bytes:
    """Return a file of header and tensors, spelled as `model_file.write` spells it; its digest is not yet right."""
    text = dumped(header, (",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def sealed(blob: bytes) -> bytes:
    """Return the file with the digest that fits, if it has a place for one."""
    if blob[8 : DIGEST.start] != START or len(blob) < DIGEST.stop:
        return blob
    digest = hashlib.sha256(blob[8 : DIGEST.start] + b"0" * 64 + blob[DIGEST.stop :]).hexdigest().encode()
    return blob[: DIGEST.start] + digest + blob[DIGEST.stop :]


def dumped(value: Any, separators: tuple[str, str] | None = None) -> str:
    """Return JSON, in which "<[500>" becomes 500 nested lists, deeper than `json.dumps` goes, and "<{500>" objects."""

    def spelled(found: re.Match[str]) -> str:
        depth = int(found[2])
        return "[" * depth + "]" * depth if found[1] == "[" else '{"a":' * depth + "1" + "}" * depth

    return re.sub(r'"<([\[{])([0-9]+)>"', spelled, json.dumps(value, separators=separators))


def parts_of(metadata: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the metadata of version 2 say of the architecture and of the training."""
    found = {key: json.loads(metadata[key]) for key in PARTS}
    network, training = found.pop("network"), found.pop("training")
    return found | network, training


def metadata_of(version: str, architecture: dict[str, Any], training: dict[str, Any]) -> dict[str, str]:
    """Return the metadata in which that version of the format stores architecture and training."""
    if version == "1":  # in the order in which it was written
        order = ("layers", "loss", "optimizer", "dtype", "seed")
        ordered = {key: architecture[key] for key in order if key in architecture} | architecture
        last = {key: training[key] for key in ("optimizer_state",) if key in training}
        counters = {key: value for key, value in training.items() if key not in last}
        return {"architecture": dumped(ordered), "training": dumped({**counters, **last})}
    network = dict(architecture)
    own = {key: network.pop(key) for key in ("layers", "loss", "optimizer") if key in network}
    return {key: dumped(part) for key, part in {"network": network, **own, "training": training}.items()}


def as_version_1(blob: bytes) -> bytes:
    """Return a good file of version 2 as fastmlp 0.1.0 would have written it."""
    header, data = split(blob)
    metadata = header["__metadata__"]
    assert metadata["format_version"] == "2"
    header["__metadata__"] = {
        "sha256": metadata["sha256"],
        "format": "fastmlp",
        "format_version": "1",
        **metadata_of("1", *parts_of(metadata)),
        **{key: metadata[key] for key in ("table", "best") if key in metadata},
    }
    return sealed(joined(header, data))
