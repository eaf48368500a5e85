"""The reference: multi-layer perceptrons in plain NumPy, to be read beside a textbook.

`Network` has the interface of `fastmlp.Network`. The tests compare the compiled kernels with it, so it never imports
them. Read in this order:

1. `network`: forward pass, backpropagation, a training step, epochs.
2. `activations`, `losses`, `optimizers`: the formulas, each forward function followed by its derivative.
3. `random`, `orthogonal`: random numbers, initial weights, dropout masks, shuffling.
4. `data`: the checks of X, y and the weights of the samples.
"""

from fastmlp.reference.network import Network

__all__ = ["Network"]
