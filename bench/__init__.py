"""Benchmarks: `pytest bench` times kernels and whole steps, and `python -m bench.report` writes the tables."""
