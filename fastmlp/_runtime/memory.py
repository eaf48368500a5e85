"""How much memory can be had, and the refusal of what takes more, before any of it is taken.

Linux promises memory that it does not have, and kills the process that then uses it. So what is large is compared with
what is left to the machine, to the container and to the process; what is small is not asked about.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ASK_FROM = 256 << 20  # bytes; to ask the system takes 0.7 ms, to fill so much 50
SPARED = 32  # a part of so many is left to everybody else

_PROCESSES, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_PAGE = 4096  # bytes; the smallest that any system has


def require(size: int, what: str, less: str = "") -> None:
    """Raise MemoryError where so many bytes are not to be had.

    Parameters
    ----------
    size : int
        Bytes that are about to be taken.
    what : str
        For what, as the beginning of a sentence.
    less : str
        What would take less, as its end.
    """
    if size < ASK_FROM:
        return
    left, whose = available()
    if size > left:
        takes = "more memory than a process can address" if size > sys.maxsize else f"{gigabytes(size)} of memory"
        hint = f"; {less}" if less else ""
        raise MemoryError(f"{what} takes {takes}, but {whose} has {gigabytes(left)} left{hint}")


def available() -> tuple[int, str]:
    """How many bytes can be taken without harm to anybody, and who it is that has no more."""
    left, whose = min(_of_machine(), *_of_groups(), _of_process())
    return max(left - left // SPARED, 0), whose


def take(memory: NDArray[np.uint8]) -> None:
    """Make new zeros, if they are many, memory that is taken and not only promised; the next to ask must know."""
    if memory.nbytes >= ASK_FROM:
        memory[::_PAGE] = 0


def gigabytes(size: int) -> str:
    """That many bytes for people: `12.3 GB`."""
    return f"{size / 1e9:,.2f} GB" if size < 10**10 else f"{size / 1e9:,.1f} GB"


def _of_machine() -> tuple[int, str]:
    """What programs can take without pushing each other out; page cache that can be dropped counts as free."""
    fields = _fields(_PROCESSES / "meminfo")
    if "MemAvailable:" in fields:
        return fields["MemAvailable:"] * 1024 + _free_swap(), "the machine"
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "the machine"
    except (AttributeError, ValueError, OSError):  # Windows gives only what it has
        return sys.maxsize, "the machine"


def _free_swap() -> int:
    return _fields(_PROCESSES / "meminfo").get("SwapFree:", 0) * 1024


def _of_groups() -> list[tuple[int, str]]:
    """What the limits of a container, or of any control group that this process is in, leave."""
    found = []
    for line in _lines(_PROCESSES / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            roots = [_GROUPS, _GROUPS / "unified"]
        elif "memory" in controllers.split(","):
            roots = [_GROUPS / "memory"]
        else:
            continue
        # Within a container the path may be the host's: then the root is the container's own.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        folders = [root.joinpath(*parts[:depth]) for root in roots for depth in range(len(parts) + 1)]
        found += [left for folder in folders if (left := _of_group(folder)) is not None]
    return [(left, "its control group (as of a container)") for left in found]


def _of_group(folder: Path) -> int | None:
    """What the limit of one group leaves, if it has one; cached files can be dropped."""
    files = _fields(folder / "memory.stat")
    limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")  # version 2
    if limit is not None and used is not None:
        swap, swapped = _number(folder / "memory.swap.max"), _number(folder / "memory.swap.current")
        allowed = sys.maxsize if swap is None else max(swap - (swapped or 0), 0)
        cached = files.get("inactive_file", 0) + files.get("active_file", 0)
        return max(limit - used, 0) + cached + min(allowed, _free_swap())  # containers may often swap where none is
    limit, used = _number(folder / "memory.limit_in_bytes"), _number(folder / "memory.usage_in_bytes")  # version 1
    if limit is not None and used is not None:
        return max(limit - used, 0) + files.get("total_inactive_file", 0) + files.get("total_active_file", 0)
    return None


def _of_process() -> tuple[int, str]:
    """What the limit on this process's addresses (`ulimit -v`) leaves."""
    whose = "this process"
    try:
        import resource
    except ImportError:
        return sys.maxsize, whose
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize, whose
    pages = "".join(_lines(_PROCESSES / "self" / "statm")).split()
    used = int(pages[0]) * resource.getpagesize() if pages else 0
    return max(limit - used, 0), f"{whose} (by its limit on addresses, ulimit -v)"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii", "replace").splitlines()
    except OSError:
        return []


def _fields(file: Path) -> dict[str, int]:
    """The lines of a name and a whole number."""
    split = [line.split() for line in _lines(file)]
    return {parts[0]: int(parts[1]) for parts in split if len(parts) > 1 and parts[1].isdecimal()}


def _number(file: Path) -> int | None:
    """The number that is all a file holds; None where there is no file, or "max" in it."""
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdecimal() else None
