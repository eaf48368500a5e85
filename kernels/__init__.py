"""The compiled code of fastmlp, installed as `fastmlp.kernels`. It imports nothing else of fastmlp.

In reading order:

- `layout`: where numbers lie in memory;
- `tables`: the typed tables through which Python and the kernels share all state;
- `processor`: what is chosen by the processor;
- `host`: compilation, its cache, threads, signals and forks;
- `vocabulary`: the instructions and arithmetic in which kernels are written;
- `micro`: micro-kernels, which keep their values in registers: products, panels, functions;
- `operations`: activations, losses, optimizers, dropout and random numbers;
- `phases`: the phases of a training step, each for the share of one thread;
- `drivers`: the kernels that Python calls: many steps, or one region.
"""

if __name__ == "kernels":
    raise ImportError("this folder is the package fastmlp.kernels; write 'from fastmlp import kernels'")
