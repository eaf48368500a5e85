"""The layers of columns that torch lacks, as modules. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

import torch


class Scale(torch.nn.Module):
    """`weight o x + bias`, with a number for each column.

    Parameters
    ----------
    weight : torch.Tensor of shape (columns,)
        The factors; copied into a parameter.
    bias : torch.Tensor of shape (columns,), optional
        The offsets; copied into a parameter.
    """

    def __init__(self, weight: Any, bias: Any = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight.clone())
        self.bias = None if bias is None else torch.nn.Parameter(bias.clone())

    def forward(self, x: Any) -> Any:
        """Return the scaled columns of x (n, columns)."""
        product = self.weight * x
        return product if self.bias is None else product + self.bias

    def extra_repr(self) -> str:
        """Return what `repr` shows in parentheses."""
        return f"{len(self.weight)}, bias={self.bias is not None}"


class Normalization(torch.nn.Module):
    """`(x - mean) / deviation` of each column, 0 where the deviation is 0. Both are buffers: no optimizer changes them.

    Parameters
    ----------
    mean, deviation : torch.Tensor of shape (columns,)
        The numbers; copied.
    """

    def __init__(self, mean: Any, deviation: Any) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())

    def forward(self, x: Any) -> Any:
        """Return the standardized columns of x (n, columns)."""
        some = self.deviation != 0
        divided = (x - self.mean) / torch.where(some, self.deviation, torch.ones_like(self.deviation))
        return torch.where(some, divided, torch.zeros_like(divided))

    def extra_repr(self) -> str:
        """Return what `repr` shows in parentheses."""
        return str(len(self.mean))
