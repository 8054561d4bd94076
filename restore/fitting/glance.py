"""What is made of a part of a picture that had too little time: whether its fit is of use, and another's look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from restore.fitting.judge import Fitted
from restore.fitting.memory import release
from restore.fitting.plan import make_plan
from restore.fitting.training import Training
from restore.problems.problem import Problem
from restore.settings import FitSettings

__all__ = ["cut_short", "glance", "is_useful"]


def cut_short(kind: str, tiles: int, finished: int, shown: int) -> str:
    """Return in words what became of the tiles of a fit that was cut short; `shown` of them were glanced at."""
    left = tiles - finished - shown
    filled = ", their holes filled from their neighbours" if kind == "inpaint" else ""
    others = [f"{shown} were shown once to what these had learned"] if shown else []
    others += [f"{left} are as they came{filled}"] if left else []
    return f"only {finished} of {tiles} tiles were restored; {', '.join(others)}."


def glance(part: Problem, settings: FitSettings, learned: Mapping[str, Any]) -> Tensor | None:
    """Return what networks that `learned` elsewhere make of a part, (1, C, H, W); None where that is no use."""
    plan = make_plan(part, settings)
    if not learned or (part.kind == "inpaint" and plan.hidden_spread == 0):  # strokes are not alike
        return None
    image = Training(part, plan, learned).glance().cpu()
    release(plan.device)
    # Of an image that has nothing of the noise, the measurement differs by the noise and by the image's error.
    misfit = (image - part.measurement)[part.known.expand_as(image)].square().mean()
    if part.kind == "denoise" and not misfit < 2 * (part.sigma / 255) ** 2:
        return None
    return part.unclipped(image) if plan.unclips else image


def is_useful(problem: Problem, fitted: Fitted) -> bool:
    """Whether a fit that was cut short has come closer to the truth than the measurement is.

    The mean squared error on held-out pixels is that of the image plus sigma^2, and that of the measurement sigma^2.
    Without held-out pixels nothing is known; a budget of time was meant to be enough, Ctrl-C came unforeseen.
    """
    if fitted.stop_reason not in ("interrupted", "time") or problem.kind == "inpaint" or problem.sigma == 0:
        return True
    if fitted.held_out_error is None:
        return fitted.stop_reason == "time"
    return fitted.held_out_error < 2 * (problem.sigma / 255) ** 2
