"""Training on a file that is read while it trains: rows a second, bytes read and the peak of memory.

`python -m bench.large FOLDER [GB]` writes a memory-mapped file and a Parquet file of random float32 numbers into the
folder (4 GB each, unless they are there), and trains 64-64-64-1 on them for one epoch in batches of 1024, in processes
of their own; `NUMBA_NUM_THREADS=1` leaves a core to the reader. Before each run the file is dropped from the cache of
the system (Linux). "memory" reads the file beforehand, and shows what the kernels do without waiting. The peak is that
of memory without the pages of mapped files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS, BATCH, ROWS_OF_CHUNK = 64, 1024, 1 << 16
MODES = ("memory", "blocks", "chunks", "chunks, not ahead", "parquet", "shuffled")


def write(folder: Path, rows: int) -> None:
    """Write the files, a piece at a time."""
    import pyarrow
    from pyarrow import parquet

    generator = np.random.default_rng(0)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (rows, COLUMNS))
    names = [f"x{index}" for index in range(COLUMNS)]
    schema = pyarrow.schema([(name, pyarrow.float32()) for name in [*names, "y"]])
    with parquet.ParquetWriter(folder / "X.parquet", schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, ROWS_OF_CHUNK):
            piece = generator.standard_normal((min(ROWS_OF_CHUNK, rows - start), COLUMNS), np.float32)
            X[start : start + len(piece)] = piece
            arrays = [pyarrow.array(column) for column in (*piece.T, piece[:, 0] * piece[:, 1])]
            writer.write_table(pyarrow.table(arrays, schema))
    X.flush()


def drop(path: Path) -> None:
    """Drop a file from the cache of the system."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_read() -> int:
    return int(dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["read_bytes"])


class Peak(threading.Thread):
    """The largest memory of this process, without the pages of files, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.megabytes, self.ended = 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
            self.megabytes = max(self.megabytes, int(lines["RssAnon"].split()[0]) / 1024)


def train(folder: Path, mode: str) -> dict[str, float]:
    """Train for one epoch, and return what it took."""
    from fastmlp import ArrowFiles, Network

    X = np.load(folder / "X.npy", mmap_mode=None if mode == "memory" else "r")
    y = np.array(X[:, 0] * X[:, 1]) if mode == "memory" else np.zeros(len(X), np.float32)  # which reads no file
    net = Network([COLUMNS, 64, 64, 1], seed=0)
    net.fit(np.zeros((5 * BATCH, COLUMNS), np.float32), np.zeros(5 * BATCH), batch_size=BATCH)  # loads the kernels
    drop(folder / ("X.parquet" if mode == "parquet" else "X.npy"))

    def chunks() -> Iterator[Any]:
        for start in range(0, len(X), ROWS_OF_CHUNK):
            rows = slice(start, start + ROWS_OF_CHUNK)
            yield np.array(X[rows]), y[rows]

    peak = Peak()
    options: dict[str, Any] = {"batch_size": BATCH, "verbose": False}
    before, started = bytes_read(), time.perf_counter()
    if mode == "parquet":
        net.fit(ArrowFiles(folder / "X.parquet", "y", rows=ROWS_OF_CHUNK), **options)
    elif mode.startswith("chunks"):
        net.fit(chunks, prefetch=0 if mode.endswith("not ahead") else 2, **options)
    else:
        net.fit(X, y, shuffle="blocks" if mode == "blocks" else True, **options)
    seconds = time.perf_counter() - started
    peak.ended.set()
    return {"seconds": seconds, "rows": len(X), "read": (bytes_read() - before) / 1e9, "peak": peak.megabytes}


def main() -> None:
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2 and sys.argv[2] in MODES:
        print(json.dumps(train(folder, sys.argv[2])))
        return
    gigabytes = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    if not (folder / "X.parquet").exists():
        write(folder, int(gigabytes * 1e9 / 4 / COLUMNS))
    for mode in MODES:
        command = [sys.executable, "-m", "bench.large", str(folder), mode]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rate = found["rows"] / found["seconds"] / 1e6
        print(
            f"{mode:<20}{rate:6.2f} million rows/s, {found['seconds']:6.1f} s, {found['read']:6.2f} GB read, "
            f"peak {found['peak']:6.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
