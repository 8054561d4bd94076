"""What a refinement adds to the time of a step: medians of interleaved steps, so that other work matters little."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from restore.fitting import Training, make_plan
from restore.problems.problem import denoising
from restore.settings import FitSettings

__all__ = ["Cost", "refinement_costs"]


@dataclass(frozen=True)
class Cost:
    """The time of a step with a refinement beside the same step without.

    Attributes:
        cell, refine, refine_steps, refine_channels: as in `FitSettings`.
        milliseconds: median time of a step.
        ratio: median, over the rounds, of its time over the time of the step without in the same round.
        parameters: more than the bare network has.
    """

    cell: str
    refine: str
    refine_steps: int
    refine_channels: int
    milliseconds: float
    ratio: float
    parameters: int


def refinement_costs(
    bare: FitSettings,
    variants: Sequence[FitSettings],
    *,
    size: tuple[int, int] = (256, 256),
    channels: int = 3,
    rounds: int = 20,
) -> list[Cost]:
    """Return the cost of `bare`, whose ratio is 1, and then those of the `variants`.

    Args:
        bare: the fit that the others are compared with.
        variants: other fits of the same picture.
        size: (H, W) of the picture, which is noise.
        channels: of the picture.
        rounds: steps of every fit, taken in turn; two more go before them unmeasured.

    Raises UsageError for settings that do not go together.
    """
    picture = torch.rand(channels, *size, generator=torch.Generator().manual_seed(bare.seed))
    problem = denoising(picture, 25.0)
    plans = [make_plan(problem, each) for each in (bare, *variants)]
    fits = [Training(problem, plan) for plan in plans]
    times: list[list[float]] = [[] for _ in fits]
    for number in range(1, rounds + 3):
        for fit, spent in zip(fits, times, strict=True):
            began = time.perf_counter()
            fit.step(number)  # ends with the loss on the CPU, so that nothing is left to wait for
            if number > 2:
                spent.append(time.perf_counter() - began)
    counts = [sum(parameter.numel() for parameter in fit.prior.parameters()) for fit in fits]
    return [
        Cost(
            cell=plan.cell,
            refine=plan.refine,
            refine_steps=plan.refine_steps,
            refine_channels=plan.refine_channels,
            milliseconds=1000 * statistics.median(spent),
            ratio=statistics.median(mine / base for mine, base in zip(spent, times[0], strict=True)),
            parameters=count - counts[0],
        )
        for plan, spent, count in zip(plans, times, counts, strict=True)
    ]
