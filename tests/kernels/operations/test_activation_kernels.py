"""The compiled activations and their derivatives equal the formulas of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from cases import (
    ACTIVATIONS,
    BATCHES,
    DTYPES,
    TOLERANCE,
    Array,
    from_panels,
    relative_error,
    rounded,
    run,
    scratch,
    to_panels,
)

from fastmlp import Dense, Network, register_activation
from fastmlp.activations import Activation
from fastmlp.kernels.layout import PANEL
from fastmlp.kernels.operations.activations import ACTIVATIONS as KERNELS
from fastmlp.reference import activations as formulas

ELEMENTWISE = tuple(name for name, g in ACTIVATIONS.items() if not g.mixes_units and KERNELS[g.formula].forward)
COUNTS = (1, 7, 16, 17, 1000)
UNITS = (1, 2, 7, 16, 17, 40)
CANARY = -987.25

LOGITS: dict[str, list[float]] = {
    "moderate": np.random.default_rng(0).normal(size=1000).tolist(),
    "wide": np.random.default_rng(1).uniform(-40, 40, 1000).tolist(),
    "extreme": [-1e4, -745.0, -104.0, -88.0, -20.0, 0.0, 20.0, 88.0, 104.0, 745.0, 1e4],
}


def test_every_activation_of_the_reference_has_its_kernels() -> None:
    assert KERNELS.keys() == formulas.ACTIVATIONS.keys() == {g.formula for g in ACTIVATIONS.values()}
    assert len(ELEMENTWISE) >= 15


@pytest.mark.parametrize("name", [name for name, g in ACTIVATIONS.items() if not g.mixes_units])
def test_limits_and_what_rectifies_are_those_of_the_formula(name: str) -> None:
    """A `GradientMonitor` finds saturated and dead units by the declared limits."""
    activation = ACTIVATIONS[name]
    z = np.array([-2e9, -1e9, -1.0, -1e-3, 1e9, 2e9])
    with np.errstate(over="ignore"):
        a = formulas.ACTIVATIONS[activation.formula].forward(z, *activation.parameters)
    assert activation.rectifies == (not a[:4].any()), f"rectifies of {type(activation).__name__}"
    flat = np.isfinite(a).all() and abs(a[0] - a[1]) < 1e-6 > abs(a[5] - a[4])
    limits = (round(a[0], 6), round(a[5], 6)) if flat and not activation.rectifies else None
    assert activation.limits == limits, f"limits of {type(activation).__name__}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("range_", LOGITS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elements_follow_the_formula(name: str, range_: str, dtype: str) -> None:
    activation, kernels = ACTIVATIONS[name], KERNELS[ACTIVATIONS[name].formula]
    g, own = formulas.ACTIVATIONS[activation.formula], activation.parameters
    parameters = np.array([*own, 0.0])
    for count in COUNTS:
        Z, Z64 = rounded(within_range(activation, np.resize(LOGITS[range_], count), dtype), dtype)
        dA, dA64 = rounded(np.random.default_rng(2).normal(size=count), dtype)
        a, derivatives, delta = (np.concatenate([x, np.full(2, CANARY, dtype)]) for x in (Z, Z, dA))
        if kernels.forward_saving:
            predicted = a.copy()
            run(kernels.forward, dtype, predicted, None, count, parameters)
            run(kernels.forward_saving, dtype, a, derivatives, count, parameters)
            np.testing.assert_array_equal(predicted, a)
        else:
            run(kernels.forward, dtype, a, None, count, parameters)
        A64 = g.forward(Z64[:, None], *own)[:, 0]
        assert relative_error(a[:-2], A64) <= TOLERANCE[dtype]
        run(kernels.derivative, dtype, delta, derivatives if kernels.forward_saving else a, count, parameters)
        expected = g.backward(dA64[:, None], Z64[:, None], A64[:, None], *own)[:, 0]
        assert relative_error(delta[:-2], expected) <= TOLERANCE[dtype]
        for array in (a, derivatives, delta):
            assert (array[-2:] == CANARY).all()


def within_range(activation: Activation, Z: Array, dtype: str) -> Array:
    """Return Z, limited for the exponential so that the result is finite."""
    return np.minimum(Z, np.log(np.finfo(dtype).max) - 5) if activation.name == "exponential" else Z


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_goes_through_elements(name: str, dtype: str) -> None:
    z = np.zeros(33, dtype)
    z[[0, 20]] = np.nan
    a, delta, derivatives = z.copy(), z.copy(), z.copy()
    activation, kernels = ACTIVATIONS[name], KERNELS[ACTIVATIONS[name].formula]
    parameters = np.array([*activation.parameters, 0.0])
    run(kernels.forward_saving or kernels.forward, dtype, a, derivatives, 33, parameters)
    np.testing.assert_array_equal(np.isnan(a), np.isnan(z))  # so it reaches the loss, where a fit detects it
    np.testing.assert_array_equal(np.isnan(derivatives), np.isnan(z))
    run(kernels.derivative, dtype, delta, np.full(33, 0.5, dtype), 33, parameters)
    np.testing.assert_array_equal(np.isnan(delta), np.isnan(z))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("range_", LOGITS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_layer_applies_its_activation_and_its_derivative(name: str, range_: str, dtype: str) -> None:
    units, activation = 17, ACTIVATIONS[name]
    network = Network([units, Dense(units, activation, use_bias=False)], loss="mean_squared_error", dtype=dtype, seed=0)
    network.set_weights([(np.eye(units), None)])
    Z, Z64 = rounded(within_range(activation, np.resize(LOGITS[range_], (19, units)), dtype), dtype)
    Z64 = np.where(np.abs(Z64) < np.finfo(dtype).tiny, 0, Z64)
    g, own = formulas.ACTIVATIONS[activation.formula], activation.parameters
    A64 = g.forward(Z64, *own)
    assert relative_error(network.predict(Z), A64) <= TOLERANCE[dtype]
    jacobian = network.input_gradients(Z)
    for k in range(units):
        dA = np.zeros_like(Z64)
        dA[:, k] = 1
        expected = g.backward(dA, Z64, A64, *own)
        assert np.abs(jacobian[:, k] - expected).max() <= TOLERANCE[dtype] * max(np.abs(expected).max(), 1)


def softmax(Z: Array, padding: float = np.nan) -> tuple[Array, Array]:
    """Return the kernel's A (rows, units), and its panels, in which 16 rows behind the last group are canaries."""
    rows, units = Z.shape
    capacity = (-(-rows // PANEL) + 1) * PANEL
    panels = to_panels(Z, capacity, padding)
    panels[:, -PANEL:] = CANARY
    with scratch(units, Z.dtype.name) as work:
        run(KERNELS["softmax"].forward, Z.dtype.name, panels, rows, units, capacity * PANEL, work)
    return from_panels(panels)[:rows, :units], panels


def softmax_derivative(dA: Array, A: Array) -> tuple[Array, Array]:
    """Return the kernel's delta (rows, units), and its panels, in which 16 rows behind the last group are canaries."""
    rows, units = A.shape
    capacity = (-(-rows // PANEL) + 1) * PANEL
    delta, a = to_panels(dA, capacity, np.nan), to_panels(A, capacity, np.nan)
    delta[:, -PANEL:] = CANARY
    with scratch(units, A.dtype.name) as work:
        run(KERNELS["softmax"].derivative, A.dtype.name, delta, a, rows, units, capacity * PANEL, work)
    return from_panels(delta)[:rows, :units], delta


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("range_", LOGITS)
@pytest.mark.parametrize("units", UNITS)
def test_softmax_and_its_jacobian_follow_the_formula(units: int, range_: str, dtype: str) -> None:
    for rows in BATCHES:
        Z, Z64 = rounded(np.resize(LOGITS[range_], (rows, units)), dtype)
        dA, dA64 = rounded(np.random.default_rng(3).normal(size=(rows, units)), dtype)
        A, panels = softmax(Z)
        assert relative_error(A, formulas.softmax(Z64)) <= TOLERANCE[dtype]
        np.testing.assert_allclose(A.sum(axis=1), 1, rtol=units * float(np.finfo(dtype).eps) + 1e-15)
        delta, deltas = softmax_derivative(dA, A)
        expected = formulas.softmax_backward(dA64, Z64, A.astype(np.float64))
        assert np.abs(delta - expected).max() <= TOLERANCE[dtype] * np.abs(dA64).max()
        for buffer in (panels, deltas):
            assert (buffer[:, -PANEL:] == CANARY).all()
            assert (from_panels(buffer)[:rows, units:] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("units", UNITS)
def test_nan_makes_its_row_of_softmax_nan_and_no_other(units: int, dtype: str) -> None:
    for unit in {0, units // 2, units - 1}:
        Z, dA = np.zeros((20, units), dtype), np.ones((20, units), dtype)
        Z[3, unit] = np.nan
        A, _ = softmax(Z, padding=0.0)
        marked = (np.arange(20) == 3)[:, None] & np.ones(units, bool)
        np.testing.assert_array_equal(np.isnan(A), marked)
        delta, _ = softmax_derivative(dA, A)
        np.testing.assert_array_equal(np.isnan(delta), marked)
        dA[3, unit] = np.nan
        delta, _ = softmax_derivative(dA, np.full((20, units), 1 / units, dtype))
        np.testing.assert_array_equal(np.isnan(delta), marked)


@pytest.mark.parametrize("slope_at_0", [float("inf"), float("nan")])
def test_ones_own_slope_must_be_finite_at_0_where_padding_lies(slope_at_0: float) -> None:
    with pytest.raises(ValueError, match=r"signed_root: derivative\(0\) must be a finite number"):
        register_activation(
            "signed_root",
            lambda z: abs(z) ** 0.5 if z > 0 else -(abs(z) ** 0.5),
            lambda z: 0.5 / abs(z) ** 0.5 if z else slope_at_0,
        )
