"""Ensembles: networks that are trained together and predict together, and Monte Carlo dropout of a single network.

`fit_many` trains the networks. What their predictions say together is computed in `mixture`, by NumPy.
"""

from typing import TYPE_CHECKING

from fastmlp._runtime.names import module_attributes
from fastmlp.ensembles.dropout import mc_dropout
from fastmlp.ensembles.ensemble import Ensemble

__all__ = ["Ensemble", "mc_dropout"]

if not TYPE_CHECKING:  # type checkers shall report unknown names
    __getattr__ = module_attributes(__name__)
