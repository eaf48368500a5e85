"""Schedules: rates follow their formulas at every step, early or late; numbers are checked, compared and stored."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from behaviour import run_python
from cases import Array, assert_same_bits

import fastmlp
from fastmlp import (
    ConstantRate,
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseScaling,
    InverseTimeDecay,
    OneCycle,
    PolynomialDecay,
    Schedule,
    StepDecay,
    Warmup,
)
from fastmlp.schedules import SCHEDULES, from_dict, resolve

# Formulas, one step at a time, with the functions of the standard library --------------------------------------------


def half_wave(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def polynomial(s: PolynomialDecay, t: int) -> float:
    length = s.decay_steps * max(1, math.ceil(t / s.decay_steps)) if s.cycle else s.decay_steps
    left = 1 - min(t, length) / length
    return s.end_learning_rate + (s.initial_learning_rate - s.end_learning_rate) * math.pow(left, s.power)


def cosine(s: CosineDecay, t: int) -> float:
    end = s.alpha * s.initial_learning_rate
    return end + (s.initial_learning_rate - end) * half_wave(min(t, s.decay_steps) / s.decay_steps)


def restarts(s: CosineDecayRestarts, t: int) -> float:
    """Go through the cycles one by one."""
    begin, length, height = 0.0, float(s.first_decay_steps), 1.0
    while t - begin >= length - 1e-9:
        begin, length, height = begin + length, length * s.t_mul, height * s.m_mul
    share = max((t - begin) / length, 0.0)
    return s.initial_learning_rate * ((1 - s.alpha) * height * half_wave(share) + s.alpha)


def one_cycle(s: OneCycle, t: int) -> float:
    first, rise = s.max_learning_rate / s.div_factor, s.pct_start * s.total_steps - 1
    last, end = first / s.final_div_factor, s.total_steps - 1
    t = min(t, end)
    if t <= rise:
        start, stop, share = first, s.max_learning_rate, t / rise
    elif not s.three_phase:
        start, stop, share = s.max_learning_rate, last, (t - rise) / (end - rise)
    elif t <= 2 * rise:
        start, stop, share = s.max_learning_rate, first, (t - rise) / rise
    else:
        start, stop, share = first, last, (t - 2 * rise) / (end - 2 * rise)
    return start + (stop - start) * (1 - half_wave(share) if s.anneal_strategy == "cos" else share)


def warmup(s: Warmup, t: int) -> float:
    follows = resolve(s.schedule)
    first = rate(follows, 0)
    return s.start + (first - s.start) * t / s.steps if t < s.steps else rate(follows, t - s.steps)


FORMULAS: dict[type[Schedule], Callable[[Any, int], float]] = {
    ConstantRate: lambda s, t: s.learning_rate,
    StepDecay: lambda s, t: s.initial_learning_rate * math.pow(s.gamma, t // s.step_size),
    ExponentialDecay: lambda s, t: (
        s.initial_learning_rate * s.decay_rate ** (t // s.decay_steps if s.staircase else t / s.decay_steps)
    ),
    InverseTimeDecay: lambda s, t: (
        s.initial_learning_rate / (1 + s.decay_rate * (t // s.decay_steps if s.staircase else t / s.decay_steps))
    ),
    InverseScaling: lambda s, t: s.initial_learning_rate / (t + 1) ** s.power,
    PolynomialDecay: polynomial,
    CosineDecay: cosine,
    CosineDecayRestarts: restarts,
    OneCycle: one_cycle,
    Warmup: warmup,
}


def rate(schedule: Schedule, t: int) -> float:
    return FORMULAS[type(schedule)](schedule, t)


CASES: list[Schedule] = [
    *SCHEDULES.values(),
    ConstantRate(0.0),
    StepDecay(0.1, 7),
    StepDecay(0.1, 1, gamma=0.99),
    StepDecay(0.1, 3, gamma=1.0),
    ExponentialDecay(0.3, 10, 0.96),
    ExponentialDecay(0.3, 10, 0.96, staircase=True),
    ExponentialDecay(1e-6, 100, 1.001),
    InverseTimeDecay(0.3, 10, 0.5),
    InverseTimeDecay(0.3, 10, 0.5, staircase=True),
    InverseScaling(0.3, 0.0),
    InverseScaling(0.3, 1.7),
    PolynomialDecay(0.1, 50),
    PolynomialDecay(0.1, 50, end_learning_rate=0.2, power=0.5),
    PolynomialDecay(0.1, 50, power=2.0, cycle=True),
    CosineDecay(0.1, 50),
    CosineDecay(0.1, 51, alpha=0.1),
    CosineDecayRestarts(0.1, 7),
    CosineDecayRestarts(0.1, 7, t_mul=1.0, m_mul=0.9, alpha=0.01),
    CosineDecayRestarts(0.1, 5, t_mul=3.0, m_mul=0.5),
    CosineDecayRestarts(0.1, 10, t_mul=1.5, m_mul=1.2),
    CosineDecayRestarts(0.1, 100, t_mul=1.1),
    OneCycle(0.1, 200),
    OneCycle(0.1, 199, 0.137, 10.0, 100.0, "linear"),
    OneCycle(0.1, 200, three_phase=True),
    OneCycle(0.1, 201, 0.41, three_phase=True, anneal_strategy="linear"),
    Warmup(10, 0.1),
    Warmup(13, CosineDecay(0.1, 50), start=0.02),
    Warmup(1, StepDecay(0.1, 5), start=0.5),
    Warmup(5, Warmup(7, InverseScaling(0.1))),
]


@pytest.mark.parametrize("schedule", CASES, ids=repr)
def test_a_schedule_follows_its_formula(schedule: Schedule) -> None:
    steps = np.concatenate([np.arange(1500), 10 ** np.arange(4, 7)])
    expected = np.array([rate(schedule, t) for t in steps.tolist()])
    # Near the end of its fall a cosine is a difference of numbers near 1: the error is relative to the highest rate.
    np.testing.assert_allclose(schedule.rates(steps), expected, rtol=1e-12, atol=1e-13 * expected[:1500].max())


def test_every_class_is_in_the_table_tested_and_public() -> None:
    kinds = {kind for kind in Schedule.__subclasses__() if not kind.__name__.startswith("_")}
    assert kinds == {type(s) for s in SCHEDULES.values()} == set(FORMULAS)
    assert all(name == schedule.name for name, schedule in SCHEDULES.items())
    assert all(getattr(fastmlp, kind.__name__) is kind for kind in kinds)
    assert list(SCHEDULES) == [
        "constant", "step", "exponential", "inverse_time", "inverse_scaling", "polynomial", "cosine",
        "cosine_restarts", "one_cycle", "warmup",
    ]  # fmt: skip


# Borders and ends ----------------------------------------------------------------------------------------------------


def rates(schedule: Schedule, *steps: int) -> list[float]:
    return [float(r) for r in schedule.rates(steps)]


def test_steps_are_counted_from_0_and_a_decay_begins_at_its_border() -> None:
    assert rates(StepDecay(0.5, 10, 0.5), 0, 9, 10, 19, 20) == [0.5, 0.5, 0.25, 0.25, 0.125]
    assert rates(ExponentialDecay(0.5, 10, 0.5, staircase=True), 9, 10) == [0.5, 0.25]
    assert rates(InverseTimeDecay(0.5, 10, 1.0, staircase=True), 9, 10) == [0.5, 0.25]


def test_a_fall_reaches_its_end_exactly_and_stays_there() -> None:
    assert rates(PolynomialDecay(0.1, 30, 0.01, 1.5), 30, 31, 10**15) == [0.01] * 3
    assert rates(CosineDecay(0.1, 30), 30, 31, 10**15) == [0.0] * 3
    assert rates(CosineDecay(0.5, 30, alpha=0.25), 30, 31) == [0.125] * 2
    last = 0.1 / 25 / 1e4
    assert OneCycle(0.1, 30).rates([29, 30, 10**15]) == pytest.approx([last] * 3, rel=1e-10)


def test_one_cycle_is_highest_at_the_end_of_its_rise() -> None:
    schedule = OneCycle(0.1, 100, 0.25)
    assert schedule.rates([0, 24]) == pytest.approx([0.004, 0.1], rel=1e-15)
    assert schedule.rates(np.arange(100)).argmax() == 24


def test_a_polynomial_that_cycles_starts_again_after_each_end() -> None:
    schedule = PolynomialDecay(1.0, 10, 0.0, cycle=True)
    assert rates(schedule, 0, 10, 20, 30) == [1.0, 0.0, 0.0, 0.0]
    assert schedule.rates([5, 11, 21]) == pytest.approx([0.5, 0.45, 0.3], rel=1e-14)


@pytest.mark.parametrize("growth", [1.0, 1.1, 1.5, 2.0, 3.0, 10.0])
def test_a_restart_is_at_its_exact_step(growth: float) -> None:
    schedule = CosineDecayRestarts(0.5, 1000, t_mul=growth, m_mul=0.5)
    tenths = round(growth * 10)
    borders = [0]
    for cycle in range(3):
        borders.append(borders[-1] + 1000 * tenths**cycle // 10**cycle)
    assert rates(schedule, *borders) == [0.5, 0.25, 0.125, 0.0625]
    before = schedule.rates([border - 1 for border in borders[1:]])
    assert (before < 1e-5).all()


def test_late_restarts_are_at_their_exact_steps() -> None:
    for first, growth in ((7, 1), (10, 2), (3, 3), (5, 2)):
        schedule = CosineDecayRestarts(0.5, first, t_mul=growth)
        for cycle in (1, 2, 10, 25):
            border = first * (cycle if growth == 1 else (growth**cycle - 1) // (growth - 1))
            assert rates(schedule, border) == [0.5]
            assert rates(schedule, border - 1)[0] < 0.5
    endless = CosineDecayRestarts(0.5, 7, t_mul=1.0)
    assert rates(endless, 7 * 10**12) == [0.5]
    assert endless.rates([7 * 10**12 + 3]) == pytest.approx(endless.rates([3]), rel=1e-4)
    assert rates(endless, 7 * 10**12 - 1)[0] < 0.05


def test_a_growth_slightly_above_1_keeps_the_borders_of_the_cycles() -> None:
    schedule = CosineDecayRestarts(0.5, 100, t_mul=1 + 1e-12)
    assert schedule.rates(np.arange(1, 10_000, 100)) == pytest.approx([schedule.rates(1)] * 100, rel=1e-8)


def test_a_warmup_ends_at_the_first_rate_of_its_schedule() -> None:
    assert rates(Warmup(4, 1.0), 0, 1, 2, 3, 4, 5) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates(Warmup(2, StepDecay(1.0, 3, 0.5), start=0.5), 0, 1, 2, 4, 5) == [0.5, 0.75, 1.0, 1.0, 0.5]


# Any step, in any block of steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", CASES, ids=repr)
def test_the_bits_of_a_rate_do_not_depend_on_the_block_of_steps(schedule: Schedule) -> None:
    steps = np.concatenate([np.arange(131), [999, 1000, 1001, 10**6, 10**9, 10**12]])
    whole = schedule.rates(steps)
    assert_same_bits(whole, np.concatenate([schedule.rates(steps[i : i + 1]) for i in range(len(steps))]))
    assert_same_bits(whole[::-1].copy(), schedule.rates(steps[::-1]))


@pytest.mark.parametrize("schedule", CASES, ids=repr)
def test_rates_are_finite_and_not_negative_at_any_step(schedule: Schedule) -> None:
    steps = np.array([2**53 - 1, 2**53, 10**18, 2**63 - 1])
    found = schedule.rates(steps)
    assert (found >= 0).all()
    assert np.isfinite(found).all()


def test_steps_may_have_any_shape_and_integer_type() -> None:
    schedule = CosineDecay(0.1, 10)
    expected = schedule.rates(np.arange(6))
    assert_same_bits(schedule.rates(np.arange(6, dtype=np.uint8).reshape(2, 3)), expected.reshape(2, 3))
    assert schedule.rates(3) == expected[3]
    for kind in SCHEDULES.values():
        assert kind.rates(np.zeros(0, np.int64)).shape == (0,)


def test_rates_beyond_float64_give_no_nan_and_no_warning() -> None:
    with np.errstate(all="raise"):
        growing: list[Array] = [
            ExponentialDecay(0.0, 1, 10.0).rates([10**6]),
            StepDecay(2.0, 1, 10.0).rates([10**6]),
            CosineDecayRestarts(2.0, 1, 1.0, 10.0).rates([10**6]),
            ExponentialDecay(1.0, 1, 0.1).rates([10**6]),
        ]
    assert [float(r[0]) for r in growing] == [0.0, math.inf, math.inf, 0.0]


# Numbers: checked, compared, stored ----------------------------------------------------------------------------------

WRONG: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: ConstantRate(-0.1), ValueError, "constant: learning_rate must be at least 0 and finite, got -0.1"),
    (lambda: ConstantRate(math.nan), ValueError, "constant: learning_rate must be at least 0 and finite, got nan"),
    (lambda: ConstantRate("fast"), TypeError, "constant: learning_rate must be a number, got 'fast'"),  # type: ignore[arg-type]
    (lambda: ConstantRate(True), TypeError, "constant: learning_rate must be a number, got True"),
    (lambda: StepDecay(0.1, 0), ValueError, "step: step_size must be at least 1, got 0"),
    (lambda: StepDecay(0.1, 2.5), TypeError, "step: step_size must be a whole number, got 2.5"),  # type: ignore[arg-type]
    (lambda: StepDecay(0.1, 2**53), ValueError, r"step: step_size must be less than 2\*\*53, got 9007199254740992"),
    (lambda: StepDecay(0.1, 5, 0.0), ValueError, "step: gamma must be positive, got 0.0"),
    (lambda: ExponentialDecay(0.1, 5, 0.0), ValueError, "exponential: decay_rate must be positive, got 0.0"),
    (lambda: ExponentialDecay(0.1, 5, 0.5, 1), ValueError, "exponential: staircase must be True or False, got 1"),  # type: ignore[arg-type]
    (lambda: InverseTimeDecay(0.1, 5, -1.0), ValueError, "inverse_time: decay_rate must be at least 0"),
    (lambda: InverseScaling(0.1, -1.0), ValueError, "inverse_scaling: power must be at least 0"),
    (lambda: PolynomialDecay(0.1, 5, power=0.0), ValueError, "polynomial: power must be positive, got 0.0"),
    (lambda: PolynomialDecay(0.1, 5, -1e-4), ValueError, "polynomial: end_learning_rate must be at least 0"),
    (lambda: CosineDecay(0.1, -5), ValueError, "cosine: decay_steps must be at least 1, got -5"),
    (lambda: CosineDecay(0.1, 5, 1.5), ValueError, "cosine: alpha must be from 0 to 1, got 1.5"),
    (lambda: CosineDecayRestarts(0.1, 5, 0.5), ValueError, "cosine_restarts: t_mul must be at least 1, got 0.5"),
    (lambda: CosineDecayRestarts(0.1, 5, m_mul=0), ValueError, "cosine_restarts: m_mul must be positive, got 0.0"),
    (lambda: CosineDecayRestarts(0.1, 5, alpha=2), ValueError, "cosine_restarts: alpha must be from 0 to 1, got 2.0"),
    (lambda: OneCycle(0.1, 10, 1.0), ValueError, "one_cycle: pct_start must be less than 1, got 1.0"),
    (lambda: OneCycle(0.1, 10, 0.5, three_phase=True), ValueError, "pct_start must be less than 0.5, got 0.5"),
    (lambda: OneCycle(0.1, 10, 0.1), ValueError, r"pct_start \* total_steps must be more than 1 step, got 1.0"),
    (lambda: OneCycle(0.1, 10, div_factor=0), ValueError, "one_cycle: div_factor must be positive, got 0.0"),
    (lambda: OneCycle(0.1, 10, final_div_factor=0), ValueError, "final_div_factor must be positive, got 0.0"),
    (lambda: OneCycle(0.1, 10, anneal_strategy="cosine"), ValueError, "must be 'cos' or 'linear', got 'cosine'"),
    (lambda: Warmup(0, 0.1), ValueError, "warmup: steps must be at least 1, got 0"),
    (lambda: Warmup(5, "cosine"), TypeError, "must be a number or a schedule such as .*, got 'cosine'"),  # type: ignore[arg-type]
    (lambda: Warmup(5, -0.1), ValueError, "learning_rate must be at least 0"),
    (lambda: Warmup(5, 0.1, -0.1), ValueError, "warmup: start must be at least 0"),
    (lambda: ConstantRate(0.1).rates([0.5]), TypeError, "steps must be whole numbers, got float64"),
    (lambda: ConstantRate(0.1).rates([3, -1]), ValueError, "steps must be at least 0, got -1"),
    (lambda: resolve([0.1]), TypeError, "learning_rate must be a number"),  # type: ignore[arg-type]
    (lambda: from_dict({"name": "cos"}), ValueError, "unknown schedule 'cos'. Known names: constant, step"),
    (lambda: from_dict({"name": "cosine"}), ValueError, "'cosine' must have the entries name, initial_learning_rate"),
    (lambda: from_dict("cosine"), TypeError, "schedule must be a dictionary with a 'name' and numbers, got 'cosine'"),
    (
        lambda: from_dict({**Warmup(3, 0.1).to_dict(), "schedule": {"name": "constant", "learning_rate": -1}}),
        ValueError,
        "constant: learning_rate must be at least 0",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_wrong_numbers_are_refused(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("schedule", CASES, ids=repr)
def test_a_schedule_is_restored_from_json(schedule: Schedule) -> None:
    stored = json.loads(json.dumps(schedule.to_dict()))
    found = from_dict(stored)
    assert found == schedule
    assert hash(found) == hash(schedule)
    assert repr(found) == repr(schedule)
    assert eval(repr(schedule), vars(fastmlp.schedules)) == schedule


def test_schedules_are_equal_if_class_and_numbers_are_equal() -> None:
    assert StepDecay(1, 5) == StepDecay(1.0, np.int64(5), np.float64(0.1))  # type: ignore[arg-type]
    assert len({*CASES, *CASES}) == len(set(CASES)) == len(CASES)
    assert CosineDecay(0.1, 10) != CosineDecay(0.1, 11)
    assert ExponentialDecay(0.1, 10, 0.5) != InverseTimeDecay(0.1, 10, 0.5)  # type: ignore[comparison-overlap]
    assert resolve(0.1) == ConstantRate(0.1)
    assert resolve(CASES[0]) is CASES[0]
    with pytest.raises(AttributeError):
        CASES[0].learning_rate = 1.0  # type: ignore[attr-defined]


@pytest.mark.heavy
def test_bits_do_not_depend_on_the_vector_instructions_of_numpy() -> None:
    program = (
        f"import hashlib, sys\nimport numpy as np\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_schedules import CASES\n"
        "steps = np.concatenate([np.arange(2000), 10 ** np.arange(4, 15)])\n"
        "print(hashlib.sha256(b''.join(s.rates(steps).tobytes() for s in CASES)).hexdigest())"
    )
    here, _ = run_python(program, "-W", "error", seconds=75)
    there, _ = run_python(program, "-W", "error", seconds=75, NPY_DISABLE_CPU_FEATURES=dispatched())
    assert here == there


def dispatched() -> str:
    """Return the features of this CPU that NumPy can be configured not to use."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(name for name in __cpu_dispatch__ if __cpu_features__[name])
