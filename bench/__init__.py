"""Measurement: `pytest bench` times kernels and whole steps, `python -m bench.report` writes what it found."""
