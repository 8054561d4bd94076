"""What the recorder of gradient health adds to the time of a fit: a median of interleaved stretches of steps."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch

from restore.fitting import Training, make_plan
from restore.health import EVERY, HealthRecorder
from restore.problems.problem import denoising
from restore.settings import FitSettings

__all__ = ["HealthCost", "health_cost"]


@dataclass(frozen=True)
class HealthCost:
    """The time of `every` steps, one of them with a look, beside the same without.

    Attributes:
        every: K.
        milliseconds: median time of a step without a recorder.
        ratio: median, over the rounds, of the time with one over the time without.
    """

    every: int
    milliseconds: float
    ratio: float


def health_cost(
    settings: FitSettings, *, size: tuple[int, int] = (256, 256), rounds: int = 6, every: int = EVERY
) -> HealthCost:
    """Return what a recorder costs in a fit of `settings` to a colour picture of noise of `size`.

    Two fits take K steps each in turn, `rounds` times after one round that is not measured.
    """
    picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(settings.seed))
    problem = denoising(picture, 25.0)
    plan = make_plan(problem, settings)
    plain, watched = Training(problem, plan), Training(problem, plan)
    recorder = HealthRecorder(every)
    recorder.attach(watched)
    times: dict[str, list[float]] = {"plain": [], "watched": []}
    for number in range(rounds + 1):
        for name, training in (("plain", plain), ("watched", watched)):
            began = time.perf_counter()
            for iteration in range(number * every + 1, (number + 1) * every + 1):
                step = training.step(iteration)
                if step is not None and name == "watched":
                    recorder(step)
            if number:
                times[name].append(time.perf_counter() - began)
    ratios = [watched / plain for plain, watched in zip(times["plain"], times["watched"], strict=True)]
    return HealthCost(every, 1000 * statistics.median(times["plain"]) / every, statistics.median(ratios))
