"""A training step allocates nothing: Numba's own counters say so, after they have shown that they count."""

from __future__ import annotations

import json

import numpy as np
from behaviour import run_python

from fastmlp import Network
from fastmlp._engine.purposes import TRAINING

COUNT = """
import json
import numba, numpy as np
from numba.core.runtime import rtsys
from cases import DTYPES, OPTIONS
from digests import SHAPES, always_parallel, big_data, big_network
from fastmlp import Adam, Network
from fastmlp.kernels.host import threads
from fastmlp.kernels.drivers.team import train_serial

def allocations():
    return rtsys.get_allocation_stats().alloc

@numba.njit
def deliberate(n):
    return np.empty(n)

deliberate(3)
before = allocations()
kept = [deliberate(1000) for _ in range(5)]
found = {"deliberate": allocations() - before, "serial": {}, "parallel": {}}

NAMES = (
    "dropout", "penalties", "hidden softmax", "several sigmoid outputs", "optimizer nesterov", "one row",
    "clipped by norm", "clipped by value", "optimizer nadam",
)
for name in NAMES:
    for dtype in DTYPES:
        network = OPTIONS[name].make(Network, dtype)
        given = OPTIONS[name].arguments(network, dtype)
        network.fit(**given)  # compiles, and makes the plan
        before, steps = allocations(), network.step
        network.fit(**given, epochs=5)
        found["serial"][f"{name} {dtype}"] = [network.step - steps, allocations() - before]

if threads.available(2) > 1:
    for (shape, (_, batch)), limit in zip(SHAPES.items(), 2 * ({}, {"global_clipnorm": 0.1}), strict=True):
        for dtype in DTYPES:
            network = big_network(shape, dtype, 2, Adam(0.01, **limit))
            with always_parallel() as counted:
                network.fit(**big_data(shape, dtype), batch_size=batch)
                before, steps = allocations(), network.step
                network.fit(**big_data(shape, dtype), epochs=5, batch_size=batch)
            assert counted
            found["parallel"][f"{shape} {dtype}"] = [network.step - steps, allocations() - before]
print(json.dumps(found))
"""


def test_no_training_step_allocates() -> None:
    found = json.loads(run_python(COUNT, "-W", "error", seconds=75, NUMBA_NRT_STATS="1")[0])
    assert found["deliberate"] >= 5
    assert len(found["serial"]) == 18
    for name, (steps, allocations) in {**found["serial"], **found["parallel"]}.items():
        assert steps >= 5, name
        assert allocations == 0, name


def test_a_second_fit_makes_no_new_buffers() -> None:
    network = Network([9, 17, 3], output="softmax", seed=0)
    X, y = np.ones((50, 9), np.float32), np.zeros(50, int)
    network.fit(X, y)
    plan = network._engine.plans.get(TRAINING, 32)
    network.fit(X, y, epochs=2)
    assert network._engine.plans.get(TRAINING, 32) is plan
    assert network._engine.plans.get(TRAINING, 7) is plan  # a smaller batch has room in it
