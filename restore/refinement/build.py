"""A refinement by the name of its design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from restore.cells import make_cell
from restore.errors import unknown_name
from restore.priors import Prior
from restore.refinement.base import Refined
from restore.refinement.estimate import RefinedEstimate
from restore.refinement.features import RefinedFeatures

__all__ = ["DESIGNS", "refine"]

DESIGNS = ("features", "estimate")
"""Refinements of another prior; the design `generator` is a prior of its own."""


def refine(
    prior: Prior,
    design: str,
    cell: str,
    *,
    size: int,
    steps: int,
    channels: int,
    residual: bool = False,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Refined:
    """Return `prior` with a recurrent refinement around it; the weights of `prior` stay as they are.

    Args:
        design: a name in `DESIGNS`.
        cell: name of the recurrent cell.
        size: n of the cell.
        steps: T.
        channels: of the image.
        residual: whether the prior's output is a correction of what it is shown.
        options: further options of the cell, by name.
        seed: of the weights of the cell and of the maps around it.

    Raises UsageError for a design, a cell, a size or an option that does not exist.
    """
    generator = torch.Generator().manual_seed(seed)
    made = make_cell(cell, size, generator=generator, **(options or {}))
    if design == "features":
        return RefinedFeatures(prior, made, steps, generator)
    if design == "estimate":
        return RefinedEstimate(prior, made, steps, channels, residual, generator)
    raise unknown_name("refinement", design, DESIGNS)
