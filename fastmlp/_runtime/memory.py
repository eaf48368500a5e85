"""How much memory is available, and the refusal of a request that needs more, before any of it is allocated.

Linux grants memory that it does not have, and later kills the process that uses it. Every large request is therefore
compared with what the machine, the container and the process have left. Small requests are not checked.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHECKED_FROM = 256 << 20  # bytes; to ask the system takes 0.7 ms, to fill so much memory takes 50 ms
RESERVED_PART = 32  # one part in 32 is left to other programs

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
_PAGE = 4096  # bytes; the smallest page of any system


def require(size: int, what: str, advice: str = "") -> None:
    """Check that `size` bytes are available.

    Parameters
    ----------
    size : int
        How many bytes are about to be allocated.
    what : str
        What takes them: the subject of the message.
    advice : str
        What would take less: the end of the message.

    Raises
    ------
    MemoryError
        If fewer bytes are available.
    """
    if size < CHECKED_FROM:
        return
    left, owner = available()
    if size > left:
        takes = "more memory than a process can address" if size > sys.maxsize else f"{gigabytes(size)} of memory"
        hint = f"; {advice}" if advice else ""
        raise MemoryError(f"{what} takes {takes}, but {owner} has {gigabytes(left)} left{hint}")


def available() -> tuple[int, str]:
    """Return how many bytes can be allocated without harm to other programs, and what sets this limit."""
    left, owner = min(_left_to_machine(), *_left_to_groups(), _left_to_process())
    return max(left - left // RESERVED_PART, 0), owner


def commit(buffer: NDArray[np.uint8]) -> None:
    """Write to every page of a large new buffer of zeros.

    The system then counts the memory as used, so that the next call of `available` does not offer it again.
    """
    if buffer.nbytes >= CHECKED_FROM:
        buffer[::_PAGE] = 0


def gigabytes(size: int) -> str:
    """Format a number of bytes for people: `12.3 GB`."""
    return f"{size / 1e9:,.2f} GB" if size < 10**10 else f"{size / 1e9:,.1f} GB"


def _left_to_machine() -> tuple[int, str]:
    """Return what programs can allocate without swapping each other out; page cache that can be dropped is free."""
    fields = _fields(_PROC / "meminfo")
    if "MemAvailable:" in fields:
        return fields["MemAvailable:"] * 1024 + _free_swap(), "the machine"
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "the machine"
    except (AttributeError, ValueError, OSError):  # on Windows; it grants only memory that it has
        return sys.maxsize, "the machine"


def _free_swap() -> int:
    return _fields(_PROC / "meminfo").get("SwapFree:", 0) * 1024


def _left_to_groups() -> list[tuple[int, str]]:
    """Return what each control group of this process (such as its container) has left."""
    found = []
    for line in _lines(_PROC / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            roots = [_CGROUP, _CGROUP / "unified"]
        elif "memory" in controllers.split(","):  # version 1
            roots = [_CGROUP / "memory"]
        else:
            continue
        # Inside a container the path may be that of the host. The root is then the container's own group.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        folders = [root.joinpath(*parts[:depth]) for root in roots for depth in range(len(parts) + 1)]
        found += [left for folder in folders if (left := _left_to_group(folder)) is not None]
    return [(left, "the control group (container) of this process") for left in found]


def _left_to_group(folder: Path) -> int | None:
    """Return what one control group has left, or None if it has no limit; cached files can be dropped."""
    files = _fields(folder / "memory.stat")
    limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")  # version 2
    if limit is not None and used is not None:
        swap_limit, swapped = _number(folder / "memory.swap.max"), _number(folder / "memory.swap.current")
        swap_left = sys.maxsize if swap_limit is None else max(swap_limit - (swapped or 0), 0)
        cached = files.get("inactive_file", 0) + files.get("active_file", 0)
        return max(limit - used, 0) + cached + min(swap_left, _free_swap())  # a group may swap more than there is
    limit, used = _number(folder / "memory.limit_in_bytes"), _number(folder / "memory.usage_in_bytes")  # version 1
    if limit is not None and used is not None:
        return max(limit - used, 0) + files.get("total_inactive_file", 0) + files.get("total_active_file", 0)
    return None


def _left_to_process() -> tuple[int, str]:
    """Return what the limit on the addresses of this process (`ulimit -v`) leaves."""
    owner = "this process"
    try:
        import resource
    except ImportError:
        return sys.maxsize, owner
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize, owner
    pages = "".join(_lines(_PROC / "self" / "statm")).split()
    used = int(pages[0]) * resource.getpagesize() if pages else 0
    return max(limit - used, 0), f"{owner} (by its limit on addresses, ulimit -v)"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii", "replace").splitlines()
    except OSError:
        return []


def _fields(file: Path) -> dict[str, int]:
    """Return the lines of a file that hold a name and a whole number."""
    split = [line.split() for line in _lines(file)]
    return {parts[0]: int(parts[1]) for parts in split if len(parts) > 1 and parts[1].isdecimal()}


def _number(file: Path) -> int | None:
    """Return the one number in a file, or None if there is no file or no number, such as "max"."""
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdecimal() else None
