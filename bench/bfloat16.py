"""What products in bfloat16 would cost in accuracy: train on digits of MNIST with rounded operands, by PyTorch.

Run it from the root of the checkout: `python -m bench.bfloat16 FOLDER`, where the folder holds images and labels of
MNIST, idx files in gzip. It needs PyTorch, but no processor that multiplies bfloat16: a product of two bfloat16 numbers
is exact in float32, so rounded operands and float32 sums give what such a processor gives, up to the order of the sums.

Three ways are compared: float32; "products", where the operands of `A W`, `delta W^T` and `A^T delta` are rounded to
bfloat16, and sums, weights, activations and Adam stay in float32; and PyTorch's `autocast`, where the results of the
products are rounded too. The last fifth of the rows is for the test; a row of the table is the mean of some seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import numpy as np

from bench.test_estimators import samples

try:
    import torch
    from torch import nn
except ImportError:
    raise SystemExit("PyTorch is not installed; install it with: pip install torch") from None

NETWORKS = ([784, 256, 256, 256, 10], [784, 1024, 1024, 1024, 10])
SEEDS, EPOCHS, BATCH, RATE = 5, 5, 128, 1e-3


def rounded(numbers: Any) -> Any:
    """Round float32 numbers to bfloat16, and keep them as float32."""
    return numbers.to(torch.bfloat16).to(torch.float32)


class RoundedProduct(torch.autograd.Function):
    """`A W`, and its gradients, with rounded operands."""

    @staticmethod
    def forward(context: Any, A: Any, W: Any) -> Any:
        context.save_for_backward(A, W)
        return rounded(A) @ rounded(W)

    @staticmethod
    def backward(context: Any, delta: Any) -> tuple[Any, Any]:
        A, W = context.saved_tensors
        return rounded(delta) @ rounded(W).T, rounded(A).T @ rounded(delta)


class RoundedLinear(nn.Linear):
    """A linear layer with rounded products."""

    def forward(self, A: Any) -> Any:
        return RoundedProduct.apply(A, self.weight.T) + self.bias


WAYS: dict[str, tuple[type, Callable[[], Any]]] = {
    "float32": (nn.Linear, nullcontext),
    "products in bfloat16": (RoundedLinear, nullcontext),
    "PyTorch's autocast": (nn.Linear, lambda: torch.autocast("cpu", torch.bfloat16)),
}


def accuracy(sizes: list[int], way: str, seed: int, X: Any, y: Any) -> float:
    """Train on four fifths of the rows, and return the share of the others that is classified correctly."""
    torch.manual_seed(seed)
    kind, context = WAYS[way]
    layers = [layer for pair in pairwise(sizes) for layer in (kind(*pair), nn.ReLU())]
    network = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    known = len(X) * 4 // 5
    for _ in range(EPOCHS):
        for rows in torch.randperm(known).split(BATCH):
            optimizer.zero_grad()
            with context():
                loss = nn.functional.cross_entropy(network(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
    with torch.no_grad(), context():
        return float((network(X[known:]).argmax(1) == y[known:]).float().mean())


def main(folder: str) -> None:
    images, labels = samples("MNIST", folder)
    X, y = torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    print("| network | products | accuracy, mean | of single seeds |\n| --- | --- | ---: | ---: |")
    for sizes in NETWORKS:
        for way in WAYS:
            found = 100.0 * np.array([accuracy(sizes, way, seed, X, y) for seed in range(SEEDS)])
            name, span = "-".join(map(str, sizes)), f"{found.min():.2f} to {found.max():.2f} %"
            print(f"| {name} | {way} | {found.mean():.2f} % | {span} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
