"""The drivers: kernels that Python calls, and that run many steps or one region."""
