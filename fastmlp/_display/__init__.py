"""What a person is shown of a network and of its training: tables, notebooks and the progress line.

May import `_runtime` and the specifications of a network, not the engine.
"""
