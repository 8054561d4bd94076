"""How many steps the parts of a big picture take, by what the one before has learned: tiles, or its middle and it."""

from __future__ import annotations

import torch

from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

__all__ = ["WARM_RATE", "first_steps", "hands_on", "is_quick", "warm_steps"]

WARM = 0.33
"""Steps of a tile that begins with the weights of the one before it, as a multiple of those from drawn weights."""

FEWEST = 40
"""Steps below which no such tile is cut."""

WARM_MUON, FEWEST_MUON = 0.25, 20
"""The same of denoising by Muon, which is soon where it was: the rest of the steps is there to be averaged."""

STRONGEST = 27.0
"""Sigma above which a part's noise is learned by heart: at 50 parts cost 1.4 dB and more (docs/big-pictures.md)."""

FIRST_MUON = 0.5
"""Steps of the first tile then, which has another turn, as a multiple of those of a picture of its size."""

WARM_RATE = 0.67
"""Learning rate of such a tile, as a multiple of that from drawn weights: it has less to learn, and scatters less."""


def warm_steps(plan: Plan, settings: FitSettings, problem: Problem) -> int:
    """Return the largest number of steps of a tile of this `plan` that begins with another's weights; 0 for none.

    A number of steps that was asked for holds for every tile.
    """
    if plan.objective == "fit":
        return 0
    if settings.iterations is not None:
        return plan.iterations
    warm, fewest = (WARM_MUON, FEWEST_MUON) if is_quick(plan, problem) else (WARM, FEWEST)
    return min(plan.iterations, max(fewest, round(warm * plan.iterations)))


def first_steps(plan: Plan, settings: FitSettings, problem: Problem) -> int:
    """Return the largest number of steps of the first part, where `plan` is that of a picture of its size."""
    return max(FEWEST, round(FIRST_MUON * plan.iterations)) if _is_cut(plan, settings, problem) else plan.iterations


def hands_on(plan: Plan, settings: FitSettings, problem: Problem) -> bool:
    """Whether parts learn so much from one another that all of them are sooner done than a fit from drawn weights.

    Nothing was measured on a GPU.
    """
    on_cpu = torch.device(plan.device).type == "cpu"
    return on_cpu and problem.sigma <= STRONGEST and _is_cut(plan, settings, problem)


def _is_cut(plan: Plan, settings: FitSettings, problem: Problem) -> bool:
    return plan.objective != "fit" and settings.iterations is None and is_quick(plan, problem)


def is_quick(plan: Plan, problem: Problem) -> bool:
    """Whether a network learns a tile in so few steps that the first has another turn."""
    return problem.kind == "denoise" and plan.optimizer == "muon"
