"""The operations of a network on panels and blocks.

In reading order:

- `activations`: each activation and its derivative;
- `losses`: each loss and its gradient;
- `optimizers`: the update rule of each optimizer;
- `random`: the counter-based random generator, initial weights and shuffles;
- `dropout`: masks of dropout;
- `orthogonal`: random orthogonal matrices;
- `user_functions`: activations and losses from a user's Python functions.
"""
