"""PyTorch: `nn.Sequential` and the fused Adam, on batches that are views of one tensor.

The variant "compiled" puts forward pass and loss under `torch.compile`, which also makes the backward pass. The fused
Adam stays a kernel of PyTorch. Denormals are flushed with `torch.set_flush_denormal`.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bench.peers import Call, Predict, Train, Unavailable
from bench.workloads import BETA_1, BETA_2, EPSILON, RATE, Workload

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def model(workload: Workload) -> nn.Sequential:
    """Return the network without the softmax."""
    layers: list[nn.Module] = []
    for W, b in workload.weights():
        layer = nn.Linear(*W.shape, dtype=getattr(torch, workload.dtype))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(W.T))
            layer.bias.copy_(torch.from_numpy(b))
        layers += [layer, ACTIVATIONS[workload.activation]()]
    return nn.Sequential(*layers[:-1])


def prepare(threads: int | None) -> None:
    torch.set_flush_denormal(True)
    if threads:
        torch.set_num_threads(threads)


def trainer(workload: Workload, threads: int | None, way: str = "eager") -> Train:
    prepare(threads)
    net = model(workload)
    loss_of = nn.CrossEntropyLoss() if workload.output == "softmax" else nn.MSELoss()

    def whole(X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss_of(net(X), y)

    loss_at = compiled(whole) if way == "compiled" else whole
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True)
    X, y = (torch.from_numpy(array) for array in workload.data())
    batches = list(zip(X.split(workload.batch_size), y.split(workload.batch_size), strict=True))

    def train(epochs: int) -> list[float]:
        losses = []
        for x, t in itertools.chain.from_iterable(itertools.repeat(batches, epochs)):
            optimizer.zero_grad()
            loss = loss_at(x, t)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).reshape(epochs, -1).mean(dim=1).tolist()

    return train


def compiled(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return the function under `torch.compile`.

    Raises
    ------
    Unavailable
        If there is no C++ compiler, which `torch.compile` needs.
    """
    if not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++", "cl")))):
        raise Unavailable("torch.compile needs a C++ compiler, and there is none")
    return torch.compile(function)


def caller(workload: Workload, threads: int | None, way: str) -> Call:
    prepare(threads)
    net = model(workload)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True)
    X, y = workload.data()

    def predict() -> Any:
        with torch.inference_mode():
            return net(torch.from_numpy(X)).numpy()

    def train() -> Any:
        optimizer.zero_grad()
        outputs = net(torch.from_numpy(X))
        if way == "train_on_gradient":
            outputs.backward(torch.from_numpy(y))
            optimizer.step()
            return None
        loss = nn.functional.mse_loss(outputs, torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        return loss.item()

    return predict if way == "predict" else train


def predictor(workload: Workload, threads: int | None, way: str = "eager") -> Predict:
    prepare(threads)
    net = model(workload)
    if workload.output == "softmax":
        net.append(nn.Softmax(dim=1))
    X = torch.from_numpy(workload.data()[0])

    def predict() -> torch.Tensor:
        with torch.inference_mode():
            return net(X)

    return predict
