"""Tools for every other package: checks of arguments, frozen settings, exact mathematics, memory, buffers, locks.

It imports no other package of fastmlp, except that `system` looks at the package and its kernels when it is called.
"""
