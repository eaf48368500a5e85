"""The multi-layer perceptron in plain NumPy: the face of `fastmlp.Network`, readable beside a textbook.

It is the oracle that the compiled kernels are proved against, so it never imports them. The mathematics stands in
`activations`, `losses` and `optimizers`, the one random generator in `random`, the network that puts them together in
`network`.
"""

from fastmlp.reference.network import Network

__all__ = ["Network"]
