"""How a network and its training are shown to a person: text tables, HTML for notebooks, and the progress line.

May import `_runtime` and the specifications of a network (activations, losses, layers, architecture ...).
"""
