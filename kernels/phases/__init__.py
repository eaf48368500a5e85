"""The phases of a step. The kernel of a phase, its region, computes one thread's share.

In reading order:

- `forward`: the forward pass of some rows, which training and prediction share;
- `rows`: by rows: forward pass, loss and deltas of a thread's rows;
- `blocks`: by blocks of weights: gradients, penalties and the update;
- `units`: by units, for layers with many weights: forward pass and deltas of a thread's units;
- `groups`: sums of gradients by groups of rows, for long batches;
- `gradients`: gradients that are stored whole, and the update by them;
- `epoch`: the snapshot before an epoch, the order of its rows, and the check after it;
- `checks`: the check before a call of few rows;
- `predict`: predictions.
"""
