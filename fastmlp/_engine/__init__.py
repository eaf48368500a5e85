"""Training, inference and the memory behind them; `engine` is the interface that the rest of fastmlp uses.

May import everything below it: `kernels`, `_runtime`, `_data`, `_io`, `_display` and the specifications of a network.

In reading order:

- `engine`: the interface, and the lock under which everything happens;
- `parameters`, `rests`, `records`: the memory that outlives a fit, and the layers that rest;
- `purposes`, `step_plan`, `plan_buffers`, `plan`: what a plan is for, the phases of a step, and the tables and buffers
  that the kernels read;
- `fit_loop`, `step_runner`, `step_constants`, `program_runner`: the loop over epochs, the calls of many steps, the
  optimizer's constants, and the call of a driver;
- `passes`, `few_row_passes`: single steps and parts of steps, for loops that are the user's;
- `inference`, `few_rows`: predictions, losses and gradients, outside of training;
- `thread_tuner`, `flops`: the choice between one thread and several;
- `checkpointing`: the conversion between parameters and checkpoints;
- `warmup`: compilation in advance.
"""
