"""Checks of arguments, frozen settings, exact mathematics, memory, buffers, locks and optional libraries.

Every package except `kernels` may import it.
"""
