"""From the user's arrays to checked samples, and from samples to the batches that the kernels read.

May import `_runtime`, `kernels` and the specifications of a network (`architecture`, `losses` ...), not the engine.
"""
