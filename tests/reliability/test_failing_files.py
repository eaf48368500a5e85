"""Without disk space, rights, handles or memory, or with a path that is no file, an error names the path.

No existing file is harmed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from behaviour import Tried, run_python, small_network

from fastmlp import ModelFormatError, Network
from fastmlp._io.atomic import write_atomically

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits, rights or pipes")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has this")

BEGIN = """
import contextlib, ctypes, errno, os, resource, sys, tempfile
from pathlib import Path
from behaviour import small_data, small_network
from fastmlp import Network

def limited(what, most):
    resource.setrlimit(what, (most, resource.getrlimit(what)[1]))

def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}

def refused(call, path, *numbers):
    try:
        call()
    except OSError as error:
        assert error.errno in numbers, error
        assert error.filename == str(path), error
        assert ".fastmlp-" not in str(error), error
        return True
    return False

older, newer = small_network(seed=1), small_network(seed=2)
newer.fit(*small_data(), batch_size=8)
"""


@pytest.mark.parametrize("stride", [97, pytest.param(5, marks=pytest.mark.heavy)])
@posix
def test_a_limit_of_the_files_size_leaves_the_old_file(tmp_path: Path, stride: int, tried: Tried) -> None:
    code = f"""
folder = Path({str(tmp_path)!r})
path = folder / "model"
newer.save(path)
size, infinite = path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)[0]
for older_one in (True, False):
    older.save(path) if older_one else path.unlink()
    before = files(folder)
    for most in range(0, size, {stride}):
        limited(resource.RLIMIT_FSIZE, most)
        failed = refused(lambda: newer.save(path), path, errno.EFBIG)
        limited(resource.RLIMIT_FSIZE, infinite)
        assert failed and files(folder) == before, most
limited(resource.RLIMIT_FSIZE, size)
newer.save(path)
print(2 * len(range(0, size, {stride})))
"""
    tried("a save beyond a size that files may have", int(run_python(BEGIN + code)[0]))


@linux
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, tried: Tried) -> None:
    """Mount a small disk in memory, in a separate namespace."""
    code = f"""
folder = Path({str(tmp_path)!r})
libc = ctypes.CDLL(None, use_errno=True)
user, group = os.getuid(), os.getgid()
if libc.unshare(0x10020000) == 0:  # a user and a mount namespace
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {{user}} 1")
        Path("/proc/self/gid_map").write_text(f"0 {{group}} 1")
elif libc.unshare(0x20000) != 0:
    sys.exit(0)
private = libc.mount(b"none", b"/", None, 0x44000, None)
if private or libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=256k"):
    sys.exit(0)

path, filler, tried = folder / "model", folder / "filler", 0
larger = Network([64, 64, 64], seed=3)
for network in (newer, larger):
    for free in range(0, 40):
        filler.unlink(missing_ok=True)
        older.save(path)
        filler.write_bytes(b"")
        with open(filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        with open(filler, "ab") as file:
            file.truncate(max(0, file.tell() - 4096 * free))
        before = files(folder)
        if not refused(lambda: network.save(path), path, errno.ENOSPC):
            break
        assert files(folder) == before
        tried += 1
    assert free > 0
    Network.load(path)
print(tried)
"""
    out, _ = run_python(BEGIN + code)
    if not out:
        pytest.skip("this machine lets no process have a file system of its own (unshare, mount)")
    assert int(out) > 10
    tried("a save on a full disk", int(out))


@posix
def test_without_rights_nothing_is_written_or_read_and_the_old_file_is_intact(tried: Tried) -> None:
    code = """
import cache_places
with tempfile.TemporaryDirectory() as name:
    os.chmod(name, 0o755)
    folder = Path(name) / "folder"
    folder.mkdir()
    path = folder / "model"
    older.save(path)
    before = files(folder)
    path.chmod(0o444)
    folder.chmod(0o555)
    secret = Path(name) / "secret"
    older.save(secret)
    secret.chmod(0)
    pid = os.fork()
    if pid == 0:
        cache_places.unprivileged()  # root may do anything
        good = refused(lambda: newer.save(path), path, errno.EACCES)
        good &= refused(lambda: newer.save(folder / "other"), folder / "other", errno.EACCES)
        good &= refused(lambda: Network.load(secret), secret, errno.EACCES)
        Network.load(path)
        os._exit(0 if good else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    folder.chmod(0o755)
    assert status == 0, status
    assert files(folder) == before
print(3)
"""
    tried("a save or load without the right to it", int(run_python(BEGIN + code)[0]))


@posix
def test_without_handles_nothing_is_written_or_read_and_the_old_file_is_intact(tmp_path: Path, tried: Tried) -> None:
    code = f"""
folder = Path({str(tmp_path)!r})
path = folder / "model"
older.save(path)
before, tried, number = files(folder), 0, resource.getrlimit(resource.RLIMIT_NOFILE)[0]
taken = os.open(os.devnull, os.O_RDONLY)  # the lowest that is free
os.close(taken)
limited(resource.RLIMIT_NOFILE, taken)
calls = (lambda: newer.save(path), lambda: Network.load(path))
failed = [refused(call, path, errno.EMFILE) for call in calls]
limited(resource.RLIMIT_NOFILE, number)
assert all(failed), failed
assert files(folder) == before
for left in range(1, 4):  # enough for the file itself
    older.save(path)
    limited(resource.RLIMIT_NOFILE, taken + left)
    newer.save(path)
    Network.load(path)
    limited(resource.RLIMIT_NOFILE, number)
    assert list(folder.iterdir()) == [path]
print(2 + 2 * 3)
"""
    tried("a save or load with hardly a file handle left", int(run_python(BEGIN + code)[0]))


@linux
def test_without_memory_a_save_or_load_is_a_memory_error_and_the_old_file_intact(tmp_path: Path, tried: Tried) -> None:
    code = f"""
folder = Path({str(tmp_path)!r})
path, other = folder / "model", folder / "other"
large = Network([1000, 700, 3], seed=1)  # 3 MB, and twice that of moments
large.save(other)
older.save(path)
before, tried = files(folder), 0
infinite = resource.getrlimit(resource.RLIMIT_AS)[0]
for call, room in ((lambda: large.save(path), 28), (lambda: Network.load(other), 60)):
    failed = 0
    for megabytes in range(0, room, 4):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limited(resource.RLIMIT_AS, used + megabytes * 2**20)
        try:
            call()
        except MemoryError:
            failed += 1
            limited(resource.RLIMIT_AS, infinite)
            assert files(folder) == before
        limited(resource.RLIMIT_AS, infinite)
        tried += 1
        if path.read_bytes() != before["model"]:
            assert path.read_bytes() == before["other"]
            older.save(path)
    assert failed > 1, (failed, room)
    call()
    older.save(path)
print(tried)
"""
    # malloc learns to keep freed blocks of this size for later, unless its threshold is set. They need no new memory.
    said, _ = run_python(BEGIN + code, MALLOC_MMAP_THRESHOLD_=str(2**17))
    tried("a save or load with little memory", int(said))


# What is no file -----------------------------------------------------------------------------------------------------


@posix
def test_a_pipe_is_refused_at_once(tmp_path: Path, tried: Tried) -> None:
    """A plain open of a pipe would wait for a writer."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = f"""
import errno
from fastmlp import Network
from fastmlp.tables import TabularModel
for kind in (Network, TabularModel):
    try:
        kind.load({str(pipe)!r})
    except OSError as error:
        assert error.errno == errno.EINVAL and error.filename == {str(pipe)!r}
        assert "is a device or a pipe; give a file" in str(error)
    else:
        raise AssertionError
"""
    run_python(code, seconds=60)
    tried("a load of what is no file", 2)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full", "/dev/tty"])
@linux
def test_a_device_is_refused(device: str, tried: Tried) -> None:
    with pytest.raises(OSError, match=r"is a device or a pipe; give a file|No such (file|device)"):
        Network.load(device)
    with pytest.raises(OSError, match=r"is a device or a pipe and would be replaced|No such|denied"):
        small_network().save(device)
    tried("a load of what is no file", 1)


@pytest.mark.parametrize(
    "file", ["/proc/self/status", "/proc/self/maps", "/proc/self/mem", "/sys/kernel/mm/transparent_hugepage/enabled"]
)
@linux
def test_a_file_of_the_kernel_is_no_model(file: str, tried: Tried) -> None:
    if not os.path.exists(file):
        pytest.skip(f"there is no {file} here")
    with pytest.raises((ModelFormatError, PermissionError)):
        Network.load(file)
    tried("a load of what is no file", 1)


def test_a_folder_is_refused(tmp_path: Path, tried: Tried) -> None:
    for call in (lambda: Network.load(tmp_path), lambda: small_network().save(tmp_path)):
        with pytest.raises(OSError, match=r"directory|denied") as failed:
            call()
        assert failed.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []
    tried("a load of what is no file", 1)


def test_a_file_within_a_file_is_refused(tmp_path: Path) -> None:
    small_network().save(tmp_path / "model")
    for call in (Network.load, small_network().save):
        with pytest.raises((NotADirectoryError, FileNotFoundError)):
            call(tmp_path / "model" / "model")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


@posix
def test_a_link_to_itself_is_refused_and_stays(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.symlink_to(two)
    two.symlink_to(one)
    for path in (one, two):
        for call in (Network.load, small_network().save):
            with pytest.raises(OSError, match="symbolic links") as failed:
                call(path)
            assert failed.value.filename == str(path)
    assert one.is_symlink()
    assert two.is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


@posix
def test_a_link_into_nothing_becomes_one_to_the_file(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        Network.load(link)
    small_network().save(link)
    assert link.is_symlink()
    Network.load(tmp_path / "model")


@pytest.mark.parametrize("kind", [os.fsencode, str, Path])
@pytest.mark.parametrize(
    "name", [b"model", "ü 😀 .safetensors".encode(), b"\xff\xfe", b" ", b"-", b"new\nline", b"m" * 200]
)
@linux
def test_a_path_is_of_any_kind_and_name(tmp_path: Path, kind: Callable[[str], str], name: bytes) -> None:
    path = kind(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    network = small_network()
    network.save(path)
    assert os.listdir(os.fsencode(tmp_path)) == [name]
    assert np.array_equal(Network.load(path).get_weights()[0][0], network.get_weights()[0][0])
    with open(path, "r+b") as file:
        file.truncate(500)
    with pytest.raises(ModelFormatError) as failed:
        Network.load(path)
    assert repr(os.fspath(path)) in str(failed.value)


@pytest.mark.parametrize("path", [3, None, 1.5, ["model"]])
def test_what_is_no_path_is_a_type_error(path: object) -> None:
    for call in (Network.load, small_network().save, lambda path: write_atomically(path, [b""])):
        with pytest.raises(TypeError, match=r"os\.PathLike"):
            call(path)  # type: ignore[operator]


def test_a_path_that_no_system_takes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="null"):
        Network.load(f"{tmp_path}/a\0b")
    with pytest.raises(ValueError, match="null"):
        small_network().save(f"{tmp_path}/a\0b")
    for call in (Network.load, small_network().save):
        with pytest.raises(OSError, match=r"long|No such|Invalid"):
            call(tmp_path / ("n" * 5000))
    assert list(tmp_path.iterdir()) == []
