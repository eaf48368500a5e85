"""Atomic writing: a file is the complete new one or the unchanged old one, and no other is left."""

import contextlib
import errno
import gc
import itertools
import os
import stat
import sys

import pytest

from fastmlp._io.atomic import require_writable, write_atomically

OLDER, NEWER = [b"older"], [b"newer" * 5_000] * 2


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def test_a_timer_that_raises_while_the_place_is_looked_at_is_not_taken_for_an_answer(path, monkeypatch):
    """A TimeoutError is an OSError, which the tests of os.path take for "no"."""
    write_atomically(path, OLDER)

    def late(*_arguments, **_options):
        raise TimeoutError("too late")

    original = os.stat
    for only in range(3):
        looks = itertools.count()
        with monkeypatch.context() as patched, contextlib.suppress(TimeoutError):
            patched.setattr(os, "stat", lambda *a, **o: late() if next(looks) == only else original(*a, **o))  # noqa: B023
            write_atomically(path, NEWER)


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_or_device_is_not_replaced_by_a_file(path, linked):
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    if linked:
        path.symlink_to(pipe)
    before = sorted(path.parent.iterdir())
    with pytest.raises(OSError, match="is a device or a pipe and would be replaced; give a file"):
        write_atomically(path if linked else pipe, NEWER)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("older", [True, False])
def test_a_failing_write_leaves_the_older_file_and_no_litter(path, monkeypatch, function, error, older):
    if older:
        write_atomically(path, OLDER)
    before = {file: file.read_bytes() for file in path.parent.iterdir()}

    def fail(*_):
        raise error

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(error)):
        write_atomically(path, NEWER)
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    assert len(before) == older


def interrupted_at(number, path, parts):
    """Raise KeyboardInterrupt at a line event in write_atomically. Return whether there are so many events."""
    seen = 0

    def trace(frame, event, _):
        nonlocal seen
        if frame.f_code is not write_atomically.__code__:
            return None
        if event == "line":
            seen += 1
            if seen == number:
                raise KeyboardInterrupt
        return trace

    tracer = sys.gettrace()  # a coverage tool's
    sys.settrace(trace)
    try:
        write_atomically(path, parts)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(tracer)
    return False


def descriptors():
    """The open ones, where the system tells."""
    return sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []


def test_an_interrupt_at_any_line_leaves_one_whole_file_no_litter_and_no_descriptor(path):
    older, newer = b"".join(OLDER), b"".join(NEWER)
    gc.collect()
    found, before, number = set(), descriptors(), 1
    path.write_bytes(older)
    while interrupted_at(number, path, NEWER):
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        assert path.read_bytes() in (older, newer)
        assert descriptors() == before
        found.add(path.read_bytes())
        path.write_bytes(older)
        number += 1
    assert found == {older, newer}
    assert path.read_bytes() == newer
    assert number > 10


def test_a_file_that_has_the_temporary_name_by_chance_is_not_touched(path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda _: "taken")
    other = path.with_name(".fastmlp-taken.tmp")
    other.write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError):
        write_atomically(path, NEWER)
    assert other.read_bytes() == b"somebody else's"
    assert not path.exists()


@pytest.mark.parametrize(("where", "error"), [("missing/model", FileNotFoundError), ("file/model", NotADirectoryError)])
def test_an_error_of_the_operating_system_names_the_path_that_was_given(tmp_path, monkeypatch, where, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(error) as failed:
        write_atomically(where, NEWER)
    assert failed.value.filename == where
    assert isinstance(failed.value.__cause__, error)
    assert ".fastmlp-" not in str(failed.value)


def test_a_folder_in_place_of_the_file_is_named_as_it_was_given(tmp_path):
    with pytest.raises(OSError, match=r"directory|denied") as failed:
        write_atomically(tmp_path, NEWER)
    assert failed.value.filename == os.fspath(tmp_path)
    assert failed.value.filename2 is None
    assert not list(tmp_path.parent.glob(".fastmlp-*"))


def test_a_full_disk_names_the_path_that_was_given(path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as failed:
        write_atomically(path, NEWER)
    assert (failed.value.errno, failed.value.filename) == (errno.ENOSPC, os.fspath(path))


def test_a_folder_that_cannot_be_synchronised_is_no_failure(path, monkeypatch):
    plain = os.fsync

    def only_files(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not on this file system")
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(path, NEWER)
    assert path.read_bytes() == b"".join(NEWER)
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_file_replaces_an_older_one(path):
    write_atomically(path, OLDER)
    write_atomically(path, NEWER)
    assert path.read_bytes() == b"".join(NEWER)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("where", ["missing/model", "folder"])
def test_a_place_that_takes_no_file_is_an_operating_system_error_and_leaves_no_litter(tmp_path, where):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"missing|folder"):
        write_atomically(tmp_path / where, NEWER)
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name == "nt", reason="needs rights to link on Windows")
def test_a_symbolic_link_stays_one(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    write_atomically(link, NEWER)
    assert link.is_symlink()
    assert path.read_bytes() == b"".join(NEWER)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_the_rights_are_those_of_any_new_file(path, tmp_path):
    write_atomically(path, NEWER)
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_what_cannot_be_written_is_told_beforehand(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder for the report") as missing:
        require_writable(tmp_path / "missing" / "file", "the report")
    assert missing.value.filename == str(tmp_path / "missing")
    with pytest.raises(IsADirectoryError, match="the report is a folder; give a file in it"):
        require_writable(tmp_path, "the report")
    require_writable(path, "the report")
    assert not path.exists()
