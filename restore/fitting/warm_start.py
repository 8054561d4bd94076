"""A large picture's fit begins on its middle: a step there costs a third, and what it learns holds for the whole.

A network that is shown the picture learns how to look at pictures of this noise. So it first takes its steps on the
middle, and then some on the whole picture, with the weights of before, handed over as the same function
(`restore.fitting.handover`). What it is worth: docs/speed.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from restore.fitting.checkpoint import Checkpoint
from restore.fitting.judge import Fitted
from restore.fitting.learned import Learned
from restore.fitting.loop import fit
from restore.fitting.memory import release
from restore.fitting.plan import make_plan
from restore.fitting.tile_steps import WARM_RATE, first_steps, hands_on
from restore.fitting.tiles import middle
from restore.fitting.trace import Observer
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

__all__ = ["fit_warm", "warm_plan"]

LARGE = 2**17
"""Pixels above which a fit on a CPU begins on the middle; a GPU is as fast on the whole."""

WHOLE = 0.45
"""Steps on the whole picture then, as a multiple of those from drawn weights."""


def warm_plan(problem: Problem, plan: Plan, settings: FitSettings) -> Plan:
    """Return the `plan` of a whole fit, or that of one which begins on the middle, where that is worth it.

    Args:
        settings: that the plan was made from.
    """
    large = problem.size[0] * problem.size[1] > LARGE
    on_cpu = torch.device(plan.device).type == "cpu"
    if not (large and on_cpu and hands_on(plan, settings, problem.kind)):
        return plan
    before = first_steps(make_plan(_part(problem), settings), settings, problem.kind)
    rate = plan.learning_rate * (WARM_RATE if settings.learning_rate is None else 1.0)
    return dataclasses.replace(
        plan, iterations=max(1, round(WHOLE * plan.iterations)), learning_rate=rate, warm_start=before
    )


def fit_warm(
    problem: Problem,
    plan: Plan,
    settings: FitSettings,
    observers: Sequence[Observer] = (),
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Fit the middle and then the whole, as `warm_plan` planned it; without a warm start, what `fit` gives.

    The steps on the middle are not counted, but their seconds are. Ctrl-C before the whole was seen shows it once to
    what was learned.

    Args:
        observers: called after every step on the whole picture. One that has a method `begin_fit` is also called on the
            middle, and first told what is fitted, in a word, the plan, and the seconds that went before.
        checkpoint: keeps the fit of the whole; that of the middle has a file beside it until then.

    Raises FitError, UsageError as `fit`.
    """
    if plan.warm_start == 0 or (checkpoint is not None and checkpoint.kept_plan() is not None):
        return dataclasses.replace(fit(problem, plan, observers, checkpoint), steps_before=plan.warm_start)
    part = _part(problem)
    budget = plan.time_budget
    if budget is not None:
        own, rest = plan.warm_start * part.known.numel(), plan.iterations * problem.known.numel()
        budget *= own / (own + rest)
    before = dataclasses.replace(make_plan(part, settings), iterations=plan.warm_start, time_budget=budget)
    told: list[Any] = [observer for observer in observers if hasattr(observer, "begin_fit")]
    learned = Learned()
    for observer in told:
        observer.begin_fit("middle", before)
    beside = None if checkpoint is None else checkpoint.beside("middle")
    first = fit(part, before, [*told, learned], beside)
    for observer in told:
        observer.begin_fit("", plan, first.seconds)
    start = learned.taken()
    release(plan.device)
    start = {} if first.stop_reason == "diverged" else {**start, "seconds": first.seconds}
    if first.stop_reason == "interrupted":
        glance = dataclasses.replace(plan, iterations=1)
        fitted = dataclasses.replace(fit(problem, glance, observers, start=start), stop_reason="interrupted")
    else:
        fitted = fit(problem, plan, observers, checkpoint, start=start or None)
        if beside is not None:
            beside.remove()
    return dataclasses.replace(fitted, steps_before=first.iterations, seconds_before=first.seconds)


def _part(problem: Problem) -> Problem:
    tile = middle(problem.size)
    return problem.part(tile.cut(problem.measurement).contiguous(), tile.cut(problem.known).contiguous())
