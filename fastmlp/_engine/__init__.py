"""Training, inference and the memory behind them; `engine` is the interface that the rest of fastmlp uses.

May import everything below it: `kernels`, `_runtime`, `_data`, `_io`, `_display` and the specifications of a network.
"""
