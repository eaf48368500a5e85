"""A model file comes back bit for bit, or is refused with a reason; a failing write keeps the older file."""

import errno
import hashlib
import io
import json
import os
import pickle
import re
import stat
import tracemalloc
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from fastmlp._io import model_file
from fastmlp._io.model_file import ModelFormatError, write

METADATA = {"architecture": '{"layers": ["ü \\"😀"]}', "": ""}
TENSORS = {
    "single": np.array([[1.5, -0.0], [np.nan, 3.0], [np.inf, 1e-45]], np.float32),
    "double": np.array([np.pi, 5e-324]),
    "whole": np.array([-(2**63), 2**63 - 1], np.int64),
    "scalar": np.array(7.0, np.float32),
    "no rows": np.empty((0, 3)),
    'na"me ü': np.arange(24, dtype=np.float64).reshape(2, 3, 4),
}
ZEROS = "0" * 64
ENTRY = '"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'


def read(path):
    """The metadata and tensors of a file."""
    return model_file.read(path)[1:]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def small(path):
    """The bytes of a small file, and where it lies."""
    write(path, {"a": "b"}, {"w": np.array([1.0, 2.0], np.float32), "v": np.array([3], np.int64)})
    return path.read_bytes(), path


def sealed(header: str, data: bytes = b"12345678") -> bytes:
    """A file with that header (64 zeros stand for the digest) and data, padded and with the digest that fits."""
    blank = header.encode("utf-8", "surrogatepass")
    blank += b" " * (-len(blank) % 8)
    digest = hashlib.sha256(blank + data).hexdigest().encode()
    return len(blank).to_bytes(8, "little") + blank.replace(ZEROS.encode(), digest, 1) + data


def header(entries: str = ENTRY, more: str = "", version: str = "2", form: str = "fastmlp") -> str:
    own = f'"sha256":"{ZEROS}","format":"{form}","format_version":"{version}"'
    return f'{{"__metadata__":{{{own}{more}}}{"," if entries else ""}{entries}}}'


def entry(dtype: str = "F32", shape: str = "[2]", offsets: str = "[0,8]", name: str = "w") -> str:
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


def test_what_was_written_is_read_bit_for_bit(path):
    write(path, METADATA, TENSORS)
    metadata, tensors = read(path)
    assert metadata == METADATA
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        found = tensors[name]
        assert (found.dtype, found.shape, found.tobytes()) == (tensor.dtype, tensor.shape, tensor.tobytes())


def test_keys_and_names_at_their_limits_are_possible(path):
    metadata = {str(key): "" for key in range(96)} | {"k" * 998: ""}
    write(path, metadata, {"ä" * 166 + "nn": np.ones(1)})
    found, tensors = read(path)
    assert (found, set(tensors)) == (metadata, {"ä" * 166 + "nn"})


def test_every_character_comes_back(path):
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000), 0x10FFFF]))
    write(path, {"text": text, "ascii": text[:128], "latin": text[:256]}, {})
    assert read(path)[0] == {"text": text, "ascii": text[:128], "latin": text[:256]}


def test_a_file_without_tensors_and_metadata_is_possible(path):
    write(path, {}, {})
    assert read(path) == ({}, {})


def test_arrays_of_any_order_and_byte_order_are_written_row_by_row_and_little_endian(path):
    square = np.arange(6, dtype=np.float64).reshape(2, 3)
    write(path, {}, {"columns": square.T, "strided": square[:, ::2], "big": square.astype(">f8")})
    _, tensors = read(path)
    for name, expected in (("columns", square.T), ("strided", square[:, ::2]), ("big", square)):
        np.testing.assert_array_equal(tensors[name], expected)


def test_tensors_that_were_read_are_aligned_and_can_be_written(path):
    write(path, {}, {"odd": np.ones(3, np.float32), "double": np.ones(2), "whole": np.ones(1, np.int64)})
    for tensor in read(path)[1].values():
        assert tensor.flags.aligned
        tensor[0] = 5


def test_the_bytes_are_the_safetensors_layout_with_a_digest_over_header_and_tensors(small):
    blob, _ = small
    length = int.from_bytes(blob[:8], "little")
    text, data = blob[8 : 8 + length], blob[8 + length :]
    found = json.loads(text)
    digest = found["__metadata__"]["sha256"]
    assert length % 8 == 0
    assert found == {
        "__metadata__": {"sha256": digest, "format": "fastmlp", "format_version": "2", "a": "b"},
        "v": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
        "w": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
    }
    assert data == np.array([3], "<i8").tobytes() + np.array([1, 2], "<f4").tobytes()
    assert digest == hashlib.sha256(text.replace(digest.encode(), ZEROS.encode()) + data).hexdigest()


def test_every_truncation_is_refused(small):
    blob, path = small
    for length in range(len(blob)):
        path.write_bytes(blob[:length])
        with pytest.raises(ModelFormatError):
            read(path)


def test_every_flipped_bit_is_refused(small):
    blob, path = small
    for position in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(ModelFormatError):
            read(path)


@pytest.mark.parametrize("version", model_file.VERSIONS)
def test_the_crafted_header_of_these_tests_is_good_where_nothing_is_wrong(path, version):
    path.write_bytes(sealed(header(more=',"a":"b"', version=version)))
    found, metadata, tensors = model_file.read(path)
    assert (found, metadata) == (version, {"a": "b"})
    assert tensors["w"].tobytes() == b"12345678"


CRAFTED = {
    "empty": (b"", "the file is empty"),
    "header length 0": (bytes(8) + b"{}", "header length is 0"),
    "header length huge": (
        b"\xff" * 8 + b"{}",
        "header length is 18446744073709551615, .*is it a file of another kind",
    ),
    "header longer than the file": ((100).to_bytes(8, "little") + b"{}      ", "truncated: its header takes 100"),
    "header one byte longer": ((9).to_bytes(8, "little") + b"{}      ", "its header takes 9 bytes, but only 8 are"),
    "another safetensors file": (sealed('{"__metadata__":{"format":"pt"}}'), "header begins with"),
    "no JSON": (sealed("hello"), "header begins with"),
    "not UTF-8": (sealed(header(more=',"a":"b"')).replace(b'"b"', b'"\xff"'), "string of ASCII"),
    "half a surrogate pair": (sealed(header(more=',"a":"\\ud800"')), "valid JSON string"),
    "unknown escape": (sealed(header(more=',"a":"\\x"')), "string of ASCII"),
    "escape without its end": (sealed(header(more=',"a":"\\u12"')), "string of ASCII"),
    "metadata that is no text": (sealed(header(more=',"a":1')), "string of ASCII"),
    "NaN": (sealed(header(more=',"a":NaN')), "has b'NaN"),
    "deep nesting": (sealed(header(more=',"a":' + "[" * 100_000)), "string of ASCII"),
    "nested shape": (sealed(header(entry(shape="[" * 100_000))), "whole number"),
    "white space": (sealed(header(" " + ENTRY)), "string of ASCII"),
    "padding that is too long": (sealed(header() + " " * 8), "header's end"),
    "padding that is no space": (sealed(header() + "\t"), "where"),
    "no end": (sealed(header()[:-1]), "was expected"),
    "metadata key twice": (sealed(header(more=',"a":"b","a":"b"')), "'a' twice"),
    "metadata key twice, spelled differently": (sealed(header(more=',"a":"b","\\u0061":"b"')), "'a' twice"),
    "too many keys": (sealed(header(more="".join(f',"{key}":""' for key in range(98)))), "more than 100 keys"),
    "a long key": (sealed(header(more=f',"{"k" * 999}":""')), "string of ASCII characters, of at most 1000 bytes,"),
    "a long name": (sealed(header(entry(name="w" * 999))), "string of ASCII characters, of at most 1000 bytes,"),
    "tensor twice": (sealed(header(f"{entry()},{entry(offsets='[8,16]')}"), bytes(16)), "'w' twice"),
    "metadata twice": (sealed(header(f'{ENTRY},"__metadata__":{{}}')), "'__metadata__' twice"),
    "no format": (sealed(header()).replace(b'","format":', b'","Format":'), "format is None"),
    "other format": (sealed(header(form="pt")), "format is 'pt', expected 'fastmlp'"),
    "later version": (
        sealed(header(version="3")),
        "format version is '3', but this fastmlp reads '1' and '2'; a newer fastmlp may have written it: update",
    ),
    "version spelled differently": (sealed(header(version="02")), "format version is '02', but"),
    "no version": (sealed(header()).replace(b'"format_version":', b'"format-version":'), "format version is None, but"),
    "unknown dtype": (sealed(header(entry("BF16"))), "dtype 'BF16', expected one of F64, I64, F32"),
    "negative shape": (sealed(header(entry(shape="[-2]"))), r"impossible shape \[-2\]"),
    "two negative extents": (sealed(header(entry(shape="[-1,-2]"))), "impossible shape"),
    "huge shape": (sealed(header(entry(shape="[9223372036854775807]"))), "impossible shape"),
    "shape too long to be a number": (sealed(header(entry(shape=f"[{'9' * 5000}]"))), "','"),
    "shape whose product overflows to 8 bytes": (
        sealed(header(entry(shape="[4611686018427387905,2]"))),
        "impossible shape",
    ),
    "no elements in a huge shape": (
        sealed(header(entry(shape=f"[0,{2**62},{2**62}]", offsets="[0,0]")), b""),
        "impossible shape",
    ),
    "too many dimensions": (
        sealed(header(entry(shape=f"[{','.join(['1'] * 65)}]", offsets="[0,4]"))),
        "at most 64 numbers",
    ),
    "fraction in a shape": (sealed(header(entry(shape="[2.0]"))), "','"),
    "shape that needs more": (sealed(header(entry(shape="[3]"))), r"F32 of shape \[3\] takes 12 bytes"),
    "offsets backwards": (sealed(header(entry(offsets="[0,-8]"))), "takes 8 bytes"),
    "negative offset": (sealed(header(entry(offsets="[-8,0]"))), "begins at byte -8"),
    "one offset": (sealed(header(entry(offsets="[0]"))), "1 data_offsets"),
    "hole": (sealed(header(entry(offsets="[4,12]")), bytes(12)), "begins at byte 4, expected 0: a hole"),
    "overlap": (sealed(header(f"{entry()},{entry(name='v', offsets='[4,12]')}"), bytes(12)), "expected 8"),
    "not aligned": (
        sealed(header(f"{entry(shape='[1]', offsets='[0,4]')},{entry('F64', '[1]', '[4,12]', 'v')}"), bytes(12)),
        "begins at byte 4",
    ),
    "data too short": (sealed(header(), b"1234"), "truncated: tensor 'w' ends at byte 8 of 4"),
    "trailing bytes": (sealed(header(), b"123456789"), "its tensors take 8 bytes, but 9 follow"),
    "bytes without a tensor": (sealed(header(""), b"1"), "its tensors take 0 bytes, but 1 follow"),
    "digest of something else": (sealed(header()).replace(b"12345678", b"12345679"), "SHA-256 does not match"),
    "a tensor renamed": (sealed(header()).replace(b'"w"', b'"x"'), "SHA-256 does not match"),
    "short digest": (sealed(header().replace(ZEROS, "0" * 60)), "SHA-256 is not 64 characters"),
    "digest in capitals": (sealed(header().replace(ZEROS, "A" * 64)), "SHA-256 does not match"),
}


@pytest.mark.parametrize(("blob", "reason"), CRAFTED.values(), ids=CRAFTED)
def test_a_hostile_file_is_refused_with_its_name_and_the_reason(path, blob, reason):
    path.write_bytes(blob)
    with pytest.raises(ModelFormatError, match=reason) as refused:
        read(path)
    assert str(path) in str(refused.value)


def zipped(member):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, "")
    return buffer.getvalue()


OTHER_KINDS = {
    "Keras": (
        zipped("metadata.json"),
        "the file is a Keras model; load it with Keras, and copy its weights",
    ),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(9), "the file is an HDF5 file; if it is a Keras model, load it with Keras"),
    "PyTorch": (zipped("model/data.pkl"), "the file is a PyTorch file; load it with torch, and import the module with"),
    "PyTorch before 1.6": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "the file is a PyTorch file"),
    "pickle": (pickle.dumps([1, 2]), "the file is a Python pickle; load it with pickle or joblib"),
    "ONNX": (b"\x08\x07\x12\x07fastmlp\x1a", "the file is an ONNX model; fastmlp writes ONNX but does not read it"),
    "Parquet": (b"PAR1" + bytes(9), "the file is a Parquet file; give a file that `save` or `fastmlp train` wrote"),
    "gzip, long": (b"\x1f\x8b\x08" + bytes(600_000), "the file is compressed by gzip"),
    "CSV": (b"a,b,class\n1,2,\xc3\xa4\n", "the file is a text file; give a file that"),
    "CSV, cut in a letter": (b"a,b,class\n" + "\u00e4".encode() * 4000, "the file is a text file"),
}


@pytest.mark.parametrize(("blob", "reason"), OTHER_KINDS.values(), ids=OTHER_KINDS)
def test_a_file_of_another_kind_is_named(path, blob, reason):
    path.write_bytes(blob)
    with pytest.raises(ModelFormatError, match=re.escape(reason)):
        read(path)


@pytest.mark.parametrize(
    "blob",
    [
        sealed(header(entry(shape="[1000000000]", offsets="[0,4000000000]")), bytes(200_000)),
        (2**22).to_bytes(8, "little") + bytes(200_000),
        sealed(header(more=',"a":' + "[" * 200_000)),
        sealed(header(more=',"a":{' + '"a":[],' * 30_000)),
    ],
    ids=["huge tensor", "huge header", "deep nesting", "many small objects"],
)
def test_a_hostile_file_cannot_make_the_reader_take_more_than_twice_its_size(path, blob):
    path.write_bytes(blob)
    with pytest.raises(ModelFormatError):  # a first time, for what Python allocates once
        read(path)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError):
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(blob)


@pytest.mark.parametrize("kept", ["header", "data"])
def test_a_file_that_shrinks_while_it_is_read_is_refused(small, monkeypatch, kept):
    blob, path = small
    path.write_bytes(blob[:100] if kept == "header" else blob[:-1])
    found = SimpleNamespace(st_size=len(blob), st_mode=stat.S_IFREG)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", lambda _: found)
        with pytest.raises(ModelFormatError, match="became shorter"):
            read(path)


def test_a_missing_file_is_missing_and_a_folder_is_a_folder(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        read(path)
    with pytest.raises(OSError, match=r"directory|Permission"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("metadata", "tensors", "error", "reason"),
    [
        ({"a": 1}, {}, TypeError, "text for 'a' must be a string, got 1 of type int"),
        ({1: "a"}, {}, TypeError, "a key of the metadata must be a string"),
        ({"sha256": "a"}, {}, ValueError, "'sha256' belongs to the file layout"),
        ({"format": "a"}, {}, ValueError, "'format' belongs to the file layout"),
        ({"a": "\ud800"}, {}, ValueError, "valid Unicode"),
        ({"a": "b" * model_file.HEADER_LIMIT}, {}, ValueError, "the limit is"),
        ({str(key): "" for key in range(98)}, {}, ValueError, "at most 97 keys, got 98"),
        ({"k" * 999: ""}, {}, ValueError, "a key of the metadata must take at most 1000 bytes as JSON, got 1001"),
        ({}, {"ä" * 167: np.ones(1)}, ValueError, "a tensor's name must take at most 1000 bytes as JSON, got 1004"),
        ({}, {1: np.ones(1)}, TypeError, "a tensor's name must be a string"),
        ({}, {"__metadata__": np.ones(1)}, ValueError, "'__metadata__'"),
        ({}, {"w": np.ones(1, np.float16)}, TypeError, "'w' must be an array of float32, .* got float16"),
        ({}, {"w": np.ones(1, np.int32)}, TypeError, "got int32"),
        ({}, {"w": np.ones(1, bool)}, TypeError, "got bool"),
        ({}, {"w": [1.0]}, TypeError, "got list"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused_and_nothing_is_written(path, metadata, tensors, error, reason):
    with pytest.raises(error, match=reason):
        write(path, metadata, tensors)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("older", [True, False])
def test_a_failing_write_leaves_the_older_file_and_no_litter(path, monkeypatch, function, error, older):
    if older:
        write(path, {"state": "older"}, {})
    before = {file: file.read_bytes() for file in path.parent.iterdir()}

    def fail(*_):
        raise error

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(error)):
        write(path, {"state": "newer"}, TENSORS)
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    assert len(before) == older


def test_a_newer_file_replaces_an_older_one(path):
    write(path, {"state": "older"}, TENSORS)
    write(path, {"state": "newer"}, {})
    assert read(path) == ({"state": "newer"}, {})
    assert list(path.parent.iterdir()) == [path]
