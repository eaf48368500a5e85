"""A request for more memory than there is raises MemoryError, with numbers, before anything is allocated."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import Tried, bits, run_python, small_data, small_network

from fastmlp import Callback, Dense, Network
from fastmlp._runtime import memory

GB = 10**9


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], tuple[int, str]]:
    """Return the available memory on a system with given files, without a limit of this process."""
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_left_to_process", lambda: (sys.maxsize, "this process"))

    def written(files: dict[str, str]) -> tuple[int, str]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return memory.available()

    return written


MACHINE = {
    "proc/meminfo": "MemTotal:  32000000 kB\nMemAvailable:   16000000 kB\nSwapFree: 1000 kB\nHugePages_Total: 0\n"
}
WHOLE = 16_001_000 * 1024
STAT = "anon 5\nfile 7\ninactive_file 3000\nactive_file 1000\n"


def kept(size: int) -> int:
    """Return the part of a size that is not reserved for other programs."""
    return size - size // memory.RESERVED_PART


SYSTEMS: dict[str, tuple[dict[str, str], int, str]] = {
    "a machine": ({}, WHOLE, "the machine"),
    "no limit": (
        {"proc/self/cgroup": "0::/user\n", "cgroup/user/memory.max": "max\n", "cgroup/user/memory.current": "7\n"},
        WHOLE,
        "the machine",
    ),
    "version 2": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "cgroup/a/b/memory.max": "max\n",
            "cgroup/a/b/memory.current": "7\n",
            "cgroup/a/memory.max": "1000000\n",
            "cgroup/a/memory.current": "300000\n",
            "cgroup/a/memory.stat": STAT,
            "cgroup/a/memory.swap.max": "0\n",
        },
        704_000,
        "the control group",
    ),
    "version 2 in a container, with swap": (
        {
            "proc/self/cgroup": "0::/../host/path\n",
            "cgroup/memory.max": "1000000\n",
            "cgroup/memory.current": "300000\n",
            "cgroup/memory.swap.max": "500\n",
            "cgroup/memory.swap.current": "100\n",
        },
        700_400,
        "the control group",
    ),
    "version 2, more swap allowed than there is": (
        {
            "proc/self/cgroup": "0::/\n",
            "cgroup/memory.max": "1000000\n",
            "cgroup/memory.current": "300000\n",
            "cgroup/memory.swap.max": "1000000000\n",
            "cgroup/memory.swap.current": "0\n",
        },
        700_000 + 1000 * 1024,
        "the control group",
    ),
    "version 2, swap without a limit": (
        {
            "proc/self/cgroup": "0::/\n",
            "cgroup/memory.max": "1000000\n",
            "cgroup/memory.current": "300000\n",
            "cgroup/memory.swap.max": "max\n",
            "cgroup/memory.swap.current": "5\n",
        },
        700_000 + 1000 * 1024,
        "the control group",
    ),
    "version 1": (
        {
            "proc/self/cgroup": "5:cpu:/x\n4:memory:/box\n1:name=systemd:/\n",
            "cgroup/memory/box/memory.limit_in_bytes": "1000000\n",
            "cgroup/memory/box/memory.usage_in_bytes": "900000\n",
            "cgroup/memory/box/memory.stat": "total_inactive_file 10\ntotal_active_file 20\ninactive_file 5000\n",
        },
        100_030,
        "the control group",
    ),
    "over the limit": (
        {
            "proc/self/cgroup": "0::/\n",
            "cgroup/memory.max": "1000\n",
            "cgroup/memory.current": "2000\n",
            "cgroup/memory.swap.max": "0\n",
        },
        0,
        "the control group",
    ),
    "rubbish": (
        {"proc/self/cgroup": "0::/\n", "cgroup/memory.max": "much\n", "cgroup/memory.current": "\n"},
        WHOLE,
        "the",
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_left_is_read_where_the_system_says_it(name: str, system: Any, tried: Tried) -> None:
    files, left, whose = SYSTEMS[name]
    found, owner = system({**MACHINE, **files})
    assert found == kept(left)
    assert owner.startswith(whose)
    tried("systems and containers asked for the memory they have left", 1)


def test_a_system_that_says_nothing_has_at_most_its_memory(system: Any) -> None:
    assert 0 < system({})[0] <= sys.maxsize


def test_a_limit_on_addresses_leaves_what_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource: Any = pytest.importorskip("resource", reason="this system has no limits of a process's memory")
    limit, page = 10 * GB, resource.getpagesize()
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, limit))
    assert memory._left_to_process() == (limit, "this process (by its limit on addresses, ulimit -v)")
    (tmp_path / "self").mkdir()
    for pages, left in ((300, limit - 300 * page), (limit, 0)):
        (tmp_path / "self" / "statm").write_text(f"{pages} 20 10 5 0 15 0\n")
        assert memory._left_to_process()[0] == left
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert memory._left_to_process() == (sys.maxsize, "this process")


def test_this_machine_has_memory_left() -> None:
    assert memory.available()[0] > 1 << 20


def test_what_is_small_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: pytest.fail("asked"))
    X, labels = small_data()
    network = small_network()
    network.fit(X, labels, validation_split=0.2)
    network.evaluate(X, labels)
    copy.deepcopy(network).input_gradients(X)
    with pytest.raises(pytest.fail.Exception):
        Network([8000, 8000])


# Each in a few words, with what its message says.
ENORMOUS: dict[str, tuple[Callable[[], Any], str]] = {
    "a million classes": (
        lambda: Network([1000, 1000, 1_000_000], output="softmax"),
        r"^a network, 4 times its weights for adam in float32, takes 28\.\d GB of memory, but the machine has 1.00 GB "
        r"left; narrower layers, float32 or an optimizer that remembers less, such as sgd, would take less$",
    ),
    "10**12 by 10**12": (lambda: Network([10**12, 10**12]), "takes more memory than a process can address"),
    "10**200 by 10**200": (lambda: Network([10**200, 10**200]), "takes more memory than a process can address"),
    "10**5000 units": (lambda: Network([2, 10**5000, 2]), "takes more memory than a process can address"),
    "a batch of 10**9 rows": (
        lambda: Network([3, 2], seed=0).train_on_batch(np.broadcast_to(np.float32(1), (10**9, 3)), ROWS_OF_2),
        r"a step \(.* 1,000,000,000 rows\) takes 8\.0\d GB of memory.*; fewer rows or narrower",
    ),
    "chunks in batches of 10**12": (
        lambda: Network([3, 2], seed=0).fit([small_data()], batch_size=10**12),
        "a fit in batches of 1,000,000,000,000 rows .* GB of memory",
    ),
    "chunks in batches of 10**30": (
        lambda: Network([3, 2], seed=0).fit([small_data()], batch_size=10**30),
        "rows .* takes more memory than a process can address",
    ),
    "the order of 10**9 rows": (
        lambda: Network([3, 2], seed=0).fit(THIN_ROWS, ROWS_OF_2, batch_size=100),
        r"the order of the rows takes 8.00 GB of memory, .*shuffle=False",
    ),
    "the split of 10**9 rows": (
        lambda: Network([3, 2], seed=0).fit(THIN_ROWS, ROWS_OF_2, validation_split=0.1, shuffle=False),
        r"the order of the rows takes 8.00 GB",
    ),
    "predictions of 10**9 rows": (
        lambda: Network([3, 2], seed=0).predict(THIN_ROWS),
        r"the activations of all rows, \(n, units\), takes 8.00 GB of memory.*fewer rows in a call",
    ),
    "hidden activations of 10**9 rows": (
        lambda: Network([3, 4, 4, 2], seed=0).hidden_activations(THIN_ROWS),
        r"the activations of all hidden layers, \(n, units\) each, takes 32.0 GB",
    ),
    "gradients of 10**9 inputs": (
        lambda: Network([3, 2], seed=0).input_gradients(THIN_ROWS),
        r"\(n, outputs, inputs\), takes 24.0 GB",
    ),
    "an evaluation of 10**9 rows": (
        lambda: Network([3, 2], seed=0).evaluate(THIN_ROWS, ROWS_OF_2),
        "to evaluate 1,000,000,000 rows at once takes 72.0 GB",
    ),
    "a validation of 10**9 rows": (
        lambda: Network([3, 2], seed=0).fit(*FEW, validation_data=(THIN_ROWS, ROWS_OF_2)),
        "to evaluate 1,000,000,000 rows at once takes 72.0 GB",
    ),
}
THIN_ROWS = np.broadcast_to(np.float32(1), (10**9, 3))  # 12 bytes, read 10**9 times
ROWS_OF_2 = np.broadcast_to(np.float32(1), (10**9, 2))
FEW = np.ones((4, 3)), np.ones((4, 2))


@pytest.mark.parametrize("name", ENORMOUS)
def test_what_is_enormous_is_told_before_it_is_tried(name: str, monkeypatch: pytest.MonkeyPatch, tried: Tried) -> None:
    if "10**9" in name:  # nobody looks through so many here; the checks themselves are not in question
        for module in ("arrays", "inputs", "targets"):
            monkeypatch.setattr(f"fastmlp._data.{module}.check_finite", lambda *_: None)
    monkeypatch.setattr(memory, "available", lambda: (GB, "the machine"))
    call, message = ENORMOUS[name]
    tracemalloc.start()
    try:
        with pytest.raises(MemoryError, match=message):
            call()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 200 << 20
    tried("what takes more memory than there is: told before it is tried", 1)


CALLS: dict[str, Callable[[Network], Any]] = {
    "fit": lambda n: n.fit(*LARGE, batch_size=900),
    "fit and split": lambda n: n.fit(*LARGE, validation_split=0.5),
    "chunks": lambda n: n.fit([LARGE], batch_size=900),
    "train_on_batch": lambda n: n.train_on_batch(*LARGE),
    "evaluate": lambda n: n.evaluate(*LARGE),
    "predict": lambda n: n.predict(LARGE[0]),
    "hidden_activations": lambda n: n.hidden_activations(LARGE[0]),
    "input_gradients": lambda n: n.input_gradients(LARGE[0]),
    "loss_and_gradients": lambda n: n.loss_and_gradients(*LARGE),
    "get_weights": lambda n: n.get_weights(),
    "copy": copy.copy,
    "pickle": pickle.dumps,
    "objects": lambda n: n.predict(LARGE[0].astype(object)),
}
LARGE = small_data(1000)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_would_take_too_much_leaves_the_network_as_it_was(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tried: Tried
) -> None:
    network = Network([3, Dense(40, "tanh"), 3], output="softmax", seed=7)
    network.fit(*small_data())
    before, state = bits(network), network.__getstate__()["state"]
    monkeypatch.setattr(memory, "CHECKED_FROM", 1)
    monkeypatch.setattr(memory, "available", lambda: (1000, "the machine"))
    with pytest.raises(MemoryError, match=r"takes 0\.00 GB of memory, but the machine has 0\.00 GB left"):
        CALLS[name](network)
    monkeypatch.undo()
    assert bits(network) == before
    assert network.__getstate__()["state"] == state
    network.fit(*LARGE)  # it goes on
    tried("what takes more memory than there is: told before it is tried", 1)


def test_an_epoch_under_way_is_not_forgotten_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            if batch == 2:
                raise KeyboardInterrupt

    network, other = small_network(), small_network()
    data = small_data(100_000)
    with pytest.raises(KeyboardInterrupt):
        network.fit(*data, batch_size=10_000, callbacks=[Stop()])
    monkeypatch.setattr(memory, "CHECKED_FROM", 500_000)
    monkeypatch.setattr(memory, "available", lambda: (500_000, "the machine"))
    with pytest.raises(MemoryError, match="the order of the rows"):
        network.fit(*small_data(70_000), batch_size=10)
    monkeypatch.undo()
    for each in (network, other):
        each.fit(*data, batch_size=10_000)
    assert bits(network) == bits(other)


def test_a_file_that_has_no_room_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_network().save(tmp_path / "model")
    monkeypatch.setattr(memory, "CHECKED_FROM", 1)
    monkeypatch.setattr(memory, "available", lambda: (100, "the machine"))
    with pytest.raises(MemoryError, match="what the file holds takes"):
        Network.load(tmp_path / "model")


LIMITED = """
import resource, sys
import numpy as np
from fastmlp import Network
from fastmlp._engine.warmup import warmup  # all that maps memory once

limit, most = 12 * 10**9, resource.getrlimit(resource.RLIMIT_AS)[1]
limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    Network([1000, 1000, 1_000_000], output="softmax")
    print("made")
except MemoryError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
network = Network([3, 2], seed=0)
network.fit(np.ones((9, 3)), np.ones((9, 2)))
"""


def test_a_million_classes_are_told_in_a_process_of_limited_memory(tried: Tried) -> None:
    pytest.importorskip("resource", reason="this system has no limits of a process's memory")
    out, _ = run_python(LIMITED, seconds=60)
    told, taken = out.splitlines()
    assert told.startswith("a network, 4 times its weights for adam in float32, takes 28.")
    assert int(taken) < 50 << 10  # kilobytes, or on macOS bytes
    tried("what takes more memory than there is: told before it is tried", 1)


MILLION = """
import json, resource
import numpy as np
from fastmlp import Network
from fastmlp._runtime import memory

asked = []
require = memory.require
memory.require = lambda size, what, advice="": (asked.append(size), require(size, what, advice))
network = Network([8, CLASSES], output="softmax", optimizer="sgd", seed=0)
X = np.random.default_rng(0).normal(size=(20, 8)).astype("f4")
labels = np.arange(20) * (CLASSES // 20) + CLASSES // 20 - 1
first = network.evaluate(X, labels)["loss"]
losses = network.fit(X, labels, batch_size=10, epochs=2).history["loss"]
predicted = network.predict(X[:10])
(W, b), = network.get_weights()
Z = X[:10].astype(float) @ W.astype(float) + b
Z -= Z.max(axis=1, keepdims=True)
exact = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
print(json.dumps({
    "first": first, "losses": losses, "sums": predicted.astype(float).sum(axis=1).tolist(),
    "error": float(np.abs(predicted - exact).max() / exact.max()), "asked": max(asked),
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
}))
"""


@pytest.mark.parametrize("classes", [30_000, pytest.param(1_000_000, marks=pytest.mark.heavy)])
def test_very_many_classes_train_and_predict(classes: int, tried: Tried) -> None:
    pytest.importorskip("resource", reason="this system does not say how much memory a process took")
    if memory.available()[0] < 4 * GB:
        pytest.skip("this machine has less than 4 GB of memory left")
    found = json.loads(run_python(MILLION.replace("CLASSES", str(classes)), seconds=120)[0])
    assert found["first"] == pytest.approx(np.log(classes), rel=0.02)
    assert found["losses"][1] < found["losses"][0]
    assert np.abs(np.array(found["sums"]) - 1).max() < 1e-5  # in one chain of float32 a million sum to 0.993
    assert found["error"] < 1e-5
    tried("networks of very many classes, trained and asked", 1)


TRUE = """
import json, sys
import numpy as np
from fastmlp import Network
from fastmlp._runtime import memory

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

asked = []
require = memory.require
memory.require = lambda size, what, advice="": (asked.append(size), require(size, what, advice))
tiny = Network([4, 3], output="softmax", optimizer="adam", seed=0)  # loads kernels
tiny.fit(np.ones((9, 4)), [0] * 9)
tiny.predict(np.ones((9, 4)))
found = {}

def measured(name, call):
    asked.clear()
    open("/proc/self/clear_refs", "w").write("5")
    before = kilobytes("VmRSS")
    result = call()
    found[name] = (kilobytes("VmHWM") - before) * 1024, sum(asked)
    return result

net = measured("network", lambda: Network([1000, 30_000], output="softmax", seed=0))
X, labels = np.ones((64, 1000), "f4"), np.arange(64)
measured("fit", lambda: net.fit(X, labels, batch_size=32))
measured("weights", lambda: net.get_weights())
wide = Network([3, 100], seed=0)
rows = np.broadcast_to(np.float32(1), (1_000_000, 3))
measured("predict", lambda: wide.predict(rows))
measured("input_gradients", lambda: wide.input_gradients(rows[:100_000]))
print(json.dumps(found))
"""


@pytest.mark.heavy
def test_what_is_told_is_what_is_taken(tried: Tried) -> None:
    """The requested and the allocated memory agree within a fifth, so that nothing is refused that would have fit."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pytest.skip("this system does not measure the most memory that a call takes")
    found = json.loads(run_python(TRUE, seconds=100)[0])
    for name, (taken, asked) in found.items():
        assert 0.8 < asked / taken < 1.25, (name, taken, asked)
    tried("what a call takes, measured, beside what it would have told", len(found))
