"""Recurrent refinement: a cell at work on an untrained prior's features or on its estimate."""

from restore.refinement.base import BLOCK, Refined
from restore.refinement.build import DESIGNS, refine
from restore.refinement.estimate import RefinedEstimate
from restore.refinement.features import RefinedFeatures

__all__ = ["BLOCK", "DESIGNS", "Refined", "RefinedEstimate", "RefinedFeatures", "refine"]
