"""Micro-kernels: products, panels and functions, each a loop that keeps its values in registers."""
