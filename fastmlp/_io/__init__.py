"""Model files: their layout, what they say of a network, and writing that never harms an older file.

May import `_runtime` and the specifications of a network.
"""
