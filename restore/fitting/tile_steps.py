"""How many steps the parts of a big picture take, by what the one before has learned: tiles, or its middle and it."""

from __future__ import annotations

import torch

from restore.fitting.plan import is_narrow
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

__all__ = [
    "FEWEST",
    "STRONGEST",
    "first_steps",
    "gains_by_parts",
    "hands_on",
    "has_alike_parts",
    "is_fitted_alike",
    "warm_rate",
    "warm_steps",
]

WARM = 0.33
"""Steps of a tile that begins with the weights of the one before it, as a multiple of those from drawn weights."""

FEWEST = 40
"""Steps below which no such tile is cut."""

WARM_MUON, FEWEST_MUON = 0.25, 20
"""The same of denoising by Muon, which is soon where it was: the rest of the steps is there to be averaged."""

WARM_SCATTERED, FIRST_SCATTERED = 0.2, 0.4
"""The same of inpainting by Muon where pixels are missing one by one, and of its first tile, as `FIRST_MUON`."""

STRONGEST = 27.0
"""Sigma above which weights that have seen one tile's noise learn the next one's by heart: at 50 that cost 0.7 dB and
more, and tiles that begin anew are better than a whole (docs/big-pictures.md). Nothing between 25 and 50 was
measured."""

FIRST_MUON = 0.5
"""Steps of the first tile then, which has another turn, as a multiple of those of a picture of its size."""

WARM_RATE = 0.67
"""Learning rate of a denoising fit by Muon that begins with another's weights, as a multiple of that from drawn ones:
it has less to learn, and scatters less. Narrow networks keep theirs."""


def hands_on(plan: Plan, problem: Problem) -> bool:
    """Whether a tile of this `plan` begins with what the one before has learned, if there is time to choose."""
    return plan.objective != "fit" and not (_denoises_by_muon(plan, problem) and problem.sigma > STRONGEST)


def warm_steps(plan: Plan, settings: FitSettings, problem: Problem) -> int:
    """Return the largest number of steps of a tile of this `plan` that begins with another's weights.

    A number of steps that was asked for holds for every tile.
    """
    if settings.iterations is not None:
        return plan.iterations
    warm, fewest = WARM, FEWEST
    if _denoises_by_muon(plan, problem):
        warm, fewest = WARM_MUON, FEWEST_MUON
    elif has_alike_parts(plan, problem):
        warm = WARM_SCATTERED
    return min(plan.iterations, max(fewest, round(warm * plan.iterations)))


def warm_rate(plan: Plan, settings: FitSettings, problem: Problem) -> float:
    """Return the learning rate of such a tile, or of a whole that began on its middle; one that was asked for holds."""
    slower = _denoises_by_muon(plan, problem) and not is_narrow(plan) and settings.learning_rate is None
    return plan.learning_rate * (WARM_RATE if slower else 1.0)


def first_steps(plan: Plan, settings: FitSettings, problem: Problem) -> int:
    """Return the largest number of steps of the first tile where weights go on; `plan` is of a picture of its size."""
    if settings.iterations is not None or not has_alike_parts(plan, problem):
        return plan.iterations
    share = FIRST_MUON if _denoises_by_muon(plan, problem) else FIRST_SCATTERED
    return max(FEWEST, round(share * plan.iterations))


def gains_by_parts(plan: Plan, settings: FitSettings, problem: Problem) -> bool:
    """Whether the fit of a large picture gains by tiles, or by a beginning on its middle: time, or memory.

    Nothing was measured on a GPU.
    """
    on_cpu = torch.device(plan.device).type == "cpu"
    return on_cpu and has_alike_parts(plan, problem) and plan.objective != "fit" and settings.iterations is None


def is_fitted_alike(one: Plan, other: Plan) -> bool:
    """Whether what is learned in a fit of one plan is what another's has to learn, by networks of the same kind."""
    kind, wanted = (
        (plan.prior, plan.network, plan.networks, plan.objective, plan.hidden_spread) for plan in (one, other)
    )
    return kind == wanted


def has_alike_parts(plan: Plan, problem: Problem) -> bool:
    """Whether a network that learned a part by Muon soon knows the others: those of noise, and of scattered holes."""
    return _denoises_by_muon(plan, problem) or (plan.optimizer == "muon" and plan.hidden_spread > 0)


def _denoises_by_muon(plan: Plan, problem: Problem) -> bool:
    return problem.kind == "denoise" and plan.optimizer == "muon"
