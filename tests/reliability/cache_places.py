"""Ways to damage a filled cache of compiled code, each with the number of warnings that may follow.

Two small kernels run with every damaged cache in one process, and a whole training runs with each in its own process.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pickle
import re
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.kernels.host import code_cache
from fastmlp.kernels.host.annotations import Reals
from fastmlp.kernels.host.jit import Kernel

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
NOBODY = 65534


def _gives_away() -> bool:
    """Return whether this process can change the owner of files: it is root, and the system has other users."""
    with tempfile.NamedTemporaryFile() as file, contextlib.suppress(OSError):
        os.chown(file.name, NOBODY, NOBODY)
        return True
    return False


GIVES_AWAY = AS_ROOT and _gives_away()
HUGE = 10 << 30  # of a file with nothing in it, which takes no room on the disk
FLOAT64 = np.dtype(np.float64)

DAMAGES: dict[str, tuple[Callable[[Path], None], int]] = {}


def damages(what: str, warned: int) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Return a decorator that registers a function which damages a cache, with the number of expected warnings."""

    def put_in(function: Callable[[Path], None]) -> Callable[[Path], None]:
        DAMAGES[what] = function, warned
        return function

    return put_in


def folder_in(root: Path) -> Path:
    (folder,) = root.iterdir()
    return folder


def files_in(root: Path) -> list[Path]:
    """Return the files of the four kernels that compile fastest."""
    return sorted(folder_in(root).iterdir(), key=lambda path: path.stat().st_size)[:4]


# The folder -------------------------------------------------------------------------------------------------------


@damages("nothing", 0)
def nothing(root: Path) -> None: ...


@damages("absent", 0)
def absent(root: Path) -> None:
    shutil.rmtree(root)


@damages("a file in place of the root", 1)
def file_as_root(root: Path) -> None:
    shutil.rmtree(root)
    root.write_text("mine")


@damages("a file in place of the folder", 1)
def file_as_folder(root: Path) -> None:
    folder = folder_in(root)
    shutil.rmtree(folder)
    folder.write_text("mine")


@damages("a link to nowhere in place of the folder", 1)
def dangling_folder(root: Path) -> None:
    folder = folder_in(root)
    shutil.rmtree(folder)
    folder.symlink_to(root / "nowhere")


@damages("a link to itself in place of the root", 1)
def looping_root(root: Path) -> None:
    shutil.rmtree(root)
    root.symlink_to(root)


@damages("a link to a folder of ours in place of the root", 0)
def linked_root(root: Path) -> None:
    root.rename(root.with_name(root.name + " elsewhere"))
    root.symlink_to(root.with_name(root.name + " elsewhere"))


@damages("a root that cannot be written", 1)
def closed_root(root: Path) -> None:
    shutil.rmtree(folder_in(root))
    root.chmod(0o500)


@damages("a folder that cannot be written and lacks kernels", 1)
def closed_folder(root: Path) -> None:
    for path in files_in(root)[:2]:
        path.unlink()
    folder_in(root).chmod(0o500)


@damages("a folder that cannot be written and lacks nothing", 0)
def read_only(root: Path) -> None:
    folder_in(root).chmod(0o500)
    root.chmod(0o500)


@damages("a folder that cannot be read", 1)
def unreadable_folder(root: Path) -> None:
    folder_in(root).chmod(0)


@damages("a folder that a group can write", 1)
def group_folder(root: Path) -> None:
    folder_in(root).chmod(0o770)


@damages("a folder that anybody can write", 1)
def open_folder(root: Path) -> None:
    folder_in(root).chmod(0o777)


@damages("a root that anybody can write, as /tmp", 0)
def open_root(root: Path) -> None:
    root.chmod(0o1777)


# Its files --------------------------------------------------------------------------------------------------------


def replaces(what: str, warned: int) -> Callable[[Callable[[Path], None]], None]:
    """Return a decorator that registers a function which replaces one file, and apply it to four files of the cache."""

    def put_in(function: Callable[[Path], None]) -> None:
        def damage(root: Path) -> None:
            for path in files_in(root):
                path.unlink()
                function(path)

        damages(what, warned)(damage)

    return put_in


replaces("folders in place of files", 1)(lambda path: path.mkdir())
replaces("pipes in place of files", 1)(lambda path: os.mkfifo(path, 0o600))
replaces("links to nowhere in place of files", 1)(lambda path: path.symlink_to("nowhere"))
replaces("files of no bytes", 0)(lambda path: path.write_bytes(b""))
replaces("files of other content", 0)(lambda path: path.write_bytes(b"\x80\x05N." * 20))


@replaces("links to other files in place of files", 1)
def _linked(path: Path) -> None:
    mine = path.parent.parent / "mine"
    mine.write_text("mine")
    path.symlink_to(mine)


@replaces("files of 10 GB", 1)
def _huge(path: Path) -> None:
    path.touch(0o600)
    os.truncate(path, HUGE)


def _chmod_files(mode: int) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for path in files_in(root):
            path.chmod(mode)

    return damage


damages("files that cannot be read", 1)(_chmod_files(0))
damages("files that a group can write", 1)(_chmod_files(0o660))


@damages("files cut in half", 0)
def halved(root: Path) -> None:
    for path in files_in(root):
        os.truncate(path, path.stat().st_size // 2)


@damages("files with a bit flipped", 0)
def flipped(root: Path) -> None:
    for path in files_in(root):
        code = bytearray(path.read_bytes())
        code[len(code) // 3] ^= 16
        path.write_bytes(code)


@damages("files that have changed places", 0)
def rotated(root: Path) -> None:
    files = files_in(root)
    codes = [path.read_bytes() for path in files]
    for path, code in zip(files, [*codes[1:], codes[0]], strict=True):
        path.write_bytes(code)


if GIVES_AWAY:

    @damages("a folder of somebody else", 1)
    def foreign_folder(root: Path) -> None:
        os.chown(folder_in(root), NOBODY, NOBODY)

    @damages("files of somebody else", 1)
    def foreign_files(root: Path) -> None:
        for path in files_in(root):
            os.chown(path, NOBODY, NOBODY)


def open_again(root: Path) -> None:
    """Restore the permissions, so that the folder can be removed."""
    for path in (root, *(root.iterdir() if root.is_dir() else ())):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)


# Small kernels ----------------------------------------------------------------------------------------------------


def one(a: Reals) -> None:
    a[0] = 1.0


def two(a: Reals, count: int) -> None:
    for i in range(count):
        a[i] = 2.0


def unprivileged() -> None:
    """If this process is root, drop its capabilities (capset of Linux), but not the ownership of its files."""
    if AS_ROOT:
        libc = ctypes.CDLL(None)
        assert libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0


def start_afresh(root: Path | str) -> None:
    """Reset the state of this process about its cache, and use another root."""
    os.environ["FASTMLP_CACHE_DIR"] = str(root)
    code_cache.directory.cache_clear()
    code_cache._tidy.cache_clear()
    code_cache._warned = False


def run_kernels() -> tuple[int, list[str]]:
    """Run both kernels as in a new process. Return how many were loaded from the cache, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kernels = [Kernel(one), Kernel(two)]
        out = np.zeros(3)
        kernels[1].function_for(FLOAT64)(out.ctypes.data, 3)
        kernels[0].function_for(FLOAT64)(out.ctypes.data)
    assert out.tolist() == [1.0, 2.0, 2.0]
    said = [str(warning.message) for warning in caught]
    assert all(re.search("fastmlp's cache of compiled code.*FASTMLP_CACHE_DIR", message) for message in said), said
    return sum(not kernel._keep for kernel in kernels), said


def fill(root: Path) -> None:
    """Fill a cache with both kernels."""
    start_afresh(root)
    assert run_kernels() == (0, [])


def filled(where: Path, names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield each name with a cache of its own below `where`, filled with both kernels, which are compiled once."""
    first = where / "filled"
    fill(first)
    for number, name in enumerate(names):
        yield name, Path(shutil.copytree(first, where / str(number)))


def warm_up(where: str, root: str) -> None:
    """Compile once, so that all modules are imported, then reset the state with another cache."""
    fill(Path(where))
    start_afresh(root)


def open_files() -> int:
    """Return the number of open files, if none below the highest was closed."""
    with open(os.devnull) as file:
        return file.fileno()


def try_small_kernels(where: str) -> None:
    """Run the kernels twice with each damaged cache, and print its description and the results."""
    roots = dict(filled(Path(where), DAMAGES))
    for what, (damage, _) in DAMAGES.items():
        damage(roots[what])
    unprivileged()
    for what, root in roots.items():
        start_afresh(root)
        before = open_files()
        _, warned = run_kernels()
        start_afresh(root)
        loaded, warned_again = run_kernels()
        print(what, len(warned), loaded, len(warned_again), open_files() - before, sep="\t", flush=True)


def run_kernels_as_nobody(where: str, root: str) -> None:
    """Run the kernels in a child of root under another user. Print the warnings and how many kernels were loaded."""
    warm_up(where, root)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    loaded, warned = run_kernels()
    print(len(warned), loaded, sep="\t")


# Contents ---------------------------------------------------------------------------------------------------------


def try_every_byte(where: str, stride: int) -> None:
    """Cut a file, and flip a bit of it, at every `stride` bytes. Print the number of cases, and of kernels loaded."""
    root = Path(where)
    fill(root)
    kernel = Kernel(one)
    kernel.address(FLOAT64)
    cache = kernel._cache(FLOAT64)
    path = folder_in(root) / cache._file_name()
    whole = path.read_bytes()

    def loads(code: bytes) -> bool:
        path.write_bytes(code)
        return cache.load() is not None

    assert loads(whole)
    loaded = [loads(whole[:cut]) for cut in range(0, len(whole), stride)]
    for place in range(0, len(whole), stride):
        bit = 1 << place // stride % 8
        loaded.append(loads(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]))
    print(len(loaded), sum(loaded), code_cache._warned)


CONTENTS = {
    "nothing": b"",
    "no machine code": b"no machine code",
    "half of the beginning of machine code": code_cache._BEGINNING[:7],
    "a pickle": pickle.dumps({"a": 1}),
}


def try_contents(where: str) -> None:
    """Load complete files with the right name and digest, but other contents, and print the results."""
    for what, root in filled(Path(where), CONTENTS):
        start_afresh(root)
        kernel = Kernel(one)
        kernel.address(FLOAT64)
        cache = kernel._cache(FLOAT64)
        (folder_in(root) / cache._file_name()).write_bytes(cache._digest(CONTENTS[what]) + CONTENTS[what])
        start_afresh(root)
        _, warned = run_kernels()
        start_afresh(root)
        print(what, len(warned), *run_kernels(), sep="\t", flush=True)


# While a process runs ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def limited(name: str, most: int) -> Iterator[None]:
    """Limit a resource of this process, such as "RLIMIT_FSIZE", inside the `with` block."""
    import resource

    number = getattr(resource, name)
    before = resource.getrlimit(number)
    resource.setrlimit(number, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(number, before)


def no_handles() -> contextlib.AbstractContextManager[None]:
    """Return a context in which no more files can be opened."""
    with open(os.devnull) as file:
        return limited("RLIMIT_NOFILE", file.fileno())


@contextlib.contextmanager
def failing(module: Any, name: str, error: Exception) -> Iterator[None]:
    """Replace a function by one that raises an error, inside the `with` block."""

    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise error

    real = getattr(module, name)
    setattr(module, name, fail)
    try:
        yield
    finally:
        setattr(module, name, real)


@contextlib.contextmanager
def no_place_at_all() -> Iterator[None]:
    """Hide the home folder and the folder for temporary files, inside the `with` block."""
    names = ("FASTMLP_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ["HOME"] = ""
    code_cache.directory.cache_clear()
    try:
        with (
            failing(tempfile, "gettempdir", FileNotFoundError(errno.ENOENT, "No usable temporary directory found")),
            failing(os, "mkdir", PermissionError(errno.EACCES, os.strerror(errno.EACCES))),
        ):
            yield
    finally:
        os.environ.update({name: value for name, value in before.items() if value is not None})


TROUBLES: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "files may have 100 bytes": lambda: limited("RLIMIT_FSIZE", 100),
    "no file can be opened": no_handles,
    "the disk is full at the renaming": lambda: failing(
        os, "replace", OSError(errno.ENOSPC, "No space left on device")
    ),
    "no home, nothing temporary": no_place_at_all,
}


def try_troubles(where: str) -> None:
    """Run the small kernels under each failure. Print its description, the warnings, and the files that are left."""
    for number, (what, trouble) in enumerate(TROUBLES.items()):
        root = Path(where) / str(number)
        start_afresh(root)
        with trouble():
            _, warned = run_kernels()
        print(what, len(warned), sum(path.is_file() for path in root.rglob("*")), sep="\t", flush=True)


def vanish(where: str) -> None:
    """Remove the cache while a process uses it. Print how many kernels a second start loads, and the warnings."""
    root = Path(where) / "cache"
    start_afresh(root)
    _, warned = run_kernels()
    shutil.rmtree(root)
    _, warned_then = run_kernels()
    loaded, warned_at_last = run_kernels()
    print(loaded, *warned, *warned_then, *warned_at_last, sep="\t")


def warn_as_error(where: str) -> None:
    """Turn warnings into errors, with a file in place of the cache. Print what each of three calls raises."""
    root = Path(where) / "file"
    root.write_text("mine")
    start_afresh(root)
    own, out = Kernel(one), np.zeros(1)
    for _ in range(3):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                own.function_for(FLOAT64)(out.ctypes.data)
            print("done", out[0], sep="\t")
        except RuntimeWarning as warning:
            print("raised", str(warning).partition(",")[0], sep="\t")


def fill_a_disk(where: str) -> None:
    """Mount a disk of 4 kB where nobody else sees it and fill a cache there; prints the warnings and what is left.

    Prints "not allowed" where the system does not let this process.
    """
    libc = ctypes.CDLL(None)
    new_user, new_mounts, private = 0x10000000, 0x00020000, 1 << 18 | 1 << 14
    user = os.geteuid()
    if libc.unshare(new_mounts):
        if libc.unshare(new_mounts | new_user):
            print("not allowed")
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")  # one's files stay one's own
    libc.mount(b"none", b"/", None, ctypes.c_ulong(private), None)
    if libc.mount(b"tmpfs", where.encode(), b"tmpfs", ctypes.c_ulong(0), b"size=4k"):
        print("not allowed")
        return
    start_afresh(Path(where) / "cache")
    _, warned = run_kernels()
    print(*warned, [path.suffix for path in Path(where).rglob("*") if path.is_file()], sep="\t")


# Killed while it fills ----------------------------------------------------------------------------------------------


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_at(moment: str, which: int) -> None:
    """Let this process be killed at a given moment while it writes its file number `which`."""
    make, place, open_for = tempfile.mkstemp, os.replace, os.fdopen
    begun: list[str] = []

    def mkstemp(*arguments: Any, **options: Any) -> Any:
        begun.append("")
        if len(begun) == which and moment == "before the file is there":
            _kill()
        made = make(*arguments, **options)
        if len(begun) == which and moment == "when the file is empty":
            _kill()
        return made

    def fdopen(handle: int, mode: str = "r", *arguments: Any) -> Any:
        file = open_for(handle, mode, *arguments)
        if len(begun) == which and mode == "wb" and moment == "when half of it is written":
            write = file.write

            class Half:
                def __enter__(self) -> Half:
                    return self

                def __exit__(self, *_: object) -> None: ...

                def write(self, code: bytes) -> None:
                    write(code[: len(code) // 2])
                    file.flush()
                    _kill()

            return Half()
        return file

    def replace(*arguments: Any) -> None:
        if len(begun) == which and moment == "before it has its name":
            _kill()
        place(*arguments)
        if len(begun) == which and moment == "when it has its name":
            _kill()

    tempfile.mkstemp, os.fdopen, os.replace = mkstemp, fdopen, replace


MOMENTS = (
    "before the file is there",
    "when the file is empty",
    "when half of it is written",
    "before it has its name",
    "when it has its name",
)


def try_kills(where: str) -> None:
    """Kill processes while they fill a cache, and start another process after each. Print the files that are left."""
    for number, (moment, which) in enumerate((moment, which) for moment in MOMENTS for which in (1, 2)):
        root = Path(where) / str(number)
        child = os.fork()
        if not child:
            start_afresh(root)
            _kill_at(moment, which)
            run_kernels()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        left = sum(path.suffix == ".part" for path in root.rglob("*"))
        start_afresh(root)
        loaded, warned = run_kernels()
        start_afresh(root)
        print(moment, which, os.waitstatus_to_exitcode(status), left, loaded, len(warned), *run_kernels(), sep="\t")
