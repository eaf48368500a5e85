"""How a network is kept in a file: the file's layout, its header, and a write that never harms an older file.

May import `_runtime` and the specifications of a network, not the engine.
"""
