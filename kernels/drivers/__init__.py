"""The drivers: kernels that Python calls.

In reading order:

- `step`: the transitions between the phases of a step;
- `team`: many training steps, by one thread or a team;
- `evaluation`: the loss and the metrics of rows;
- `many`: many networks, a thread for each;
- `regions`: one region, outside of training.
"""
