"""The interface between compiled code and the Python process: compilation, its cache, threads, forks and signals.

In reading order:

- `annotations`: the types of kernels' parameters: pointers, addresses of kernels, and tables;
- `jit`: how kernels are declared and compiled;
- `linking`: how Numba compiles what a kernel consists of;
- `code_cache`: the machine code that is kept between processes;
- `machine_code`: machine code that is loaded into the process;
- `collection`: the garbage collector, paused meanwhile;
- `threads`: how many threads a kernel may use now;
- `interrupts`: signals that wait until memory is consistent;
- `forks`: forks that wait until no other thread compiles.
"""
