"""The operations of a network on panels and blocks.

In reading order:

- `activations`: each activation and its derivative;
- `columns`: the layers whose columns have numbers of their own, in place of a matrix;
- `losses`: each loss and its gradient, for a target of each output;
- `distribution_losses`: losses with several outputs for a target;
- `optimizers`: the update rule of each optimizer;
- `random`: the counter-based random generator, initial weights and shuffles;
- `dropout`: masks of dropout;
- `orthogonal`: random orthogonal matrices;
- `user_functions`, `user_row_losses`: activations and losses from a user's Python functions of numbers and of rows.
"""
