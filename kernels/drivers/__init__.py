"""The drivers: kernels that Python calls.

In reading order:

- `step`: the transitions between the phases of a step;
- `team`: many training steps, by one thread or a team;
- `regions`: one region, outside of training.
"""
