"""Training, inference and the memory behind them; `engine` is the interface that the rest of fastmlp uses.

May import everything below it: `kernels`, `_runtime`, `_data`, `_io`, `_display` and the specifications of a network.

In reading order:

- `engine`: the interface, and the lock under which everything happens;
- `parameters`, `records`: the memory that outlives a fit;
- `step_plan`, `plan_buffers`, `plan`: what a step consists of, and the tables from which the kernels work;
- `fit_loop`, `step_runner`: the loop over epochs, and the calls of many steps;
- `inference`, `few_rows`: everything outside of training;
- `thread_tuner`, `flops`: whether threads pay;
- `checkpointing`: the memory as a checkpoint and back;
- `warmup`: compilation in advance.
"""
