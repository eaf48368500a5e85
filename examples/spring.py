"""A network learns the constants of springs that nobody has measured, from how the springs swing.

The network gets the geometry of a spring, and its outputs are the logarithms of stiffness k and damping c. A simulator
solves `x'' = -k x - c x'` with them, and J compares the paths with those that were seen. The simulator also returns how
a path changes with k and c (its forward sensitivities), so J has a gradient for the network: `dA = dJ/dA`. Run it with
`python examples/spring.py`.
"""

from __future__ import annotations

import numpy as np

from fastmlp import Adam, CosineDecay, Network

TIME_STEP, TIMES = 0.05, 80


def derivative(state, k, c):
    """Return d/dt of position x and velocity v, and of their derivatives by k and by c, of every spring."""
    x, v, x_k, v_k, x_c, v_c = state
    return np.array([v, -k * x - c * v, v_k, -x - k * x_k - c * v_k, v_c, -v - k * x_c - c * v_c])


def swing(k, c):
    """Return x at all times and its derivatives by k and c, (times, springs) each, by the Runge-Kutta method."""
    state, path = np.zeros((6, len(k))), np.empty((TIMES, 3, len(k)))
    state[0] = 1.0  # pulled by 1 and let go
    for t in range(TIMES):
        a = derivative(state, k, c)
        b = derivative(state + TIME_STEP / 2 * a, k, c)
        d = derivative(state + TIME_STEP / 2 * b, k, c)
        e = derivative(state + TIME_STEP * d, k, c)
        state = state + TIME_STEP / 6 * (a + 2 * b + 2 * d + e)
        path[t] = state[[0, 2, 4]]
    return path[:, 0], path[:, 1], path[:, 2]


def true_constants(geometry):
    """Return k and c of springs with a thickness of the wire and a width of the coil, both from 0 to 1."""
    wire, coil = 1 + geometry[:, 0], 1 + geometry[:, 1]
    return 3 * wire**2 / coil, 0.2 + 0.3 * wire / coil**2


def train(epochs=400, springs=300, seed=0):
    """Return the network, after it has seen the noisy paths of some springs."""
    rng = np.random.default_rng(seed)
    geometry = rng.uniform(size=(springs, 2))
    seen = swing(*true_constants(geometry))[0] + 0.02 * rng.normal(size=(TIMES, springs))
    optimizer = Adam(CosineDecay(0.01, epochs * springs // 50))
    net = Network([2, 32, 2], activation="tanh", optimizer=optimizer, dtype="float64", seed=seed)
    for _ in range(epochs):
        for rows in np.split(rng.permutation(springs), springs // 50):
            k, c = np.exp(net.forward(geometry[rows])).T
            x, x_k, x_c = swing(k, c)
            error = 2 * (x - seen[:, rows]) / x.size  # of J, the mean squared error
            dA = np.column_stack([(error * x_k).sum(axis=0) * k, (error * x_c).sum(axis=0) * c])
            net.apply_gradients(net.backward(None, dA))
    return net


def relative_errors(net, springs=200, seed=1):
    """Return the mean relative errors of k and c of springs that the network has not seen."""
    geometry = np.random.default_rng(seed).uniform(size=(springs, 2))
    found, true = np.exp(net.predict(geometry)), np.column_stack(true_constants(geometry))
    return np.abs(found / true - 1).mean(axis=0)


if __name__ == "__main__":
    of_k, of_c = relative_errors(train())
    print(f"stiffness within {of_k:.1%}, damping within {of_c:.1%} on average")
