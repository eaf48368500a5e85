"""Micro-kernels: loops that keep their values in registers.

In reading order:

- `product`: the matrix products of a training step;
- `panels`: copies, transposes and sums of panels;
- `columns`: columns of a panel times numbers of their own;
- `lanes`: operations over the units of a row, for 16 transposed rows;
- `functions`: exp, log, tanh, erf and others, which become vector code;
- `finite`: the search for infinite numbers and NaN.
"""
