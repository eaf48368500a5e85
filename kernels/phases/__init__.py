"""The phases of a step: each is a kernel that does one thread's share of it.

In reading order:

- `forward`: the forward pass of some rows, which training and prediction share;
- `rows`: by rows: forward pass, loss and deltas of a thread's rows;
- `blocks`: by blocks of weights: gradients, penalties and the update;
- `units`: by units, for layers with many weights: forward pass and deltas of a thread's units;
- `groups`: sums of gradients by groups of rows, for long batches;
- `gradients`: gradients that are kept whole, and the update by them;
- `epoch`: what an epoch begins and ends with;
- `predict`: predictions.
"""
