"""A large picture's fit begins on its middle: a step there costs a third, and what it learns holds for the whole.

A network that is shown the picture learns how to look at pictures of this noise. So it first takes its steps on the
middle, and then some on the whole picture, with the weights of before, handed over as the same function
(`restore.fitting.handover`). What it is worth: docs/speed.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from restore.fitting.checkpoint import Checkpoint
from restore.fitting.judge import INTERPOLATED, Fitted
from restore.fitting.learned import Learned
from restore.fitting.loop import fit
from restore.fitting.memory import release
from restore.fitting.plan import is_narrow, make_plan
from restore.fitting.subject import held_out_pixels
from restore.fitting.tile_steps import FEWEST, STRONGEST, gains_by_parts, is_fitted_alike, warm_rate
from restore.fitting.tiles import Tile, make_layout, middle
from restore.fitting.trace import Observer
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

__all__ = ["begun_on", "fit_warm", "warm_plan"]

LARGE = 2**17
"""Pixels above which a fit on a CPU begins on the middle."""

FIRST, FIRST_SHORT = 0.5, 0.25
"""Steps on the middle, as a multiple of those of a picture of its size; the second under strong noise, which half of
them learn by heart (at sigma 50 that cost 1.4 dB), and in inpainting (docs/speed.md)."""

REST, REST_NARROW = 0.45, 0.65
"""Steps on the whole picture then, as a multiple of those from drawn weights; the second of narrow networks."""


def warm_plan(problem: Problem, plan: Plan, settings: FitSettings) -> Plan:
    """Return the `plan` of a whole fit, or that of one which begins on the middle, where that is worth it.

    Args:
        settings: that the plan was made from.
    """
    large = problem.size[0] * problem.size[1] > LARGE
    if not (large and gains_by_parts(plan, settings, problem)):
        return plan
    part = make_plan(_part(problem), settings)
    if not is_fitted_alike(part, plan):
        return plan  # the middle has another kind of hole than the whole
    denoises = problem.kind == "denoise"
    share = FIRST if denoises and problem.sigma <= STRONGEST else FIRST_SHORT
    before = max(FEWEST, round(share * part.iterations))
    rest = max(1, round((REST_NARROW if is_narrow(plan) else REST) * plan.iterations))
    rate = warm_rate(plan, settings, problem)
    return dataclasses.replace(plan, iterations=rest, learning_rate=rate, warm_start=before)


def begun_on(size: tuple[int, int], plan: Plan) -> Tile:
    """Return the middle that a fit of this `plan` begins on; on tiles, that of the first one."""
    return middle(make_layout(size, plan.tile_side, plan.tile_overlap).tile_size if plan.tile_side else size)


def fit_warm(
    problem: Problem,
    plan: Plan,
    settings: FitSettings,
    observers: Sequence[Observer] = (),
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Fit the middle and then the whole, as `warm_plan` planned it; without a warm start, what `fit` gives.

    The steps on the middle are not counted, but their seconds are. The pixels that are held out of the whole are held
    out of the middle too. Ctrl-C on the middle shows the whole once to what was learned. A middle that diverges is left
    behind: the whole is fitted from drawn weights.

    Args:
        observers: called after every step on the whole picture. One that has a method `begin_fit` is also called on the
            middle, and first told what is fitted, in a word, the plan, and the seconds that went before. One with
            `interrupted` is told in words what is still done after Ctrl-C.
        checkpoint: keeps the fit of the whole; a fit that is killed on the middle begins anew.

    Raises FitError, UsageError as `fit`.
    """
    if plan.warm_start == 0 or (checkpoint is not None and checkpoint.found(problem, plan)):
        return fit(problem, plan, observers, checkpoint)
    tile, budget = middle(problem.size), plan.time_budget
    if budget is not None:
        own, rest = plan.warm_start * tile.height * tile.width, plan.iterations * problem.known.numel()
        budget *= own / (own + rest)
    part = _part(problem)
    begun = dataclasses.replace(
        make_plan(part, settings), iterations=plan.warm_start, time_budget=budget, seed=plan.seed
    )
    told: list[Any] = [observer for observer in observers if hasattr(observer, "begin_fit")]
    for observer in told:
        observer.begin_fit("middle", begun, 0.0)
    learned = Learned()
    first = fit(part, begun, [*told, learned], held_out=tile.cut(held_out_pixels(problem, plan)))
    start: Mapping[str, Any] | None = learned.taken()
    release(plan.device)
    before = (first.iterations, first.seconds)
    if first.stop_reason == "diverged":
        drawn = make_plan(problem, settings)
        plan = dataclasses.replace(drawn, seed=plan.seed, time_budget=plan.time_budget)  # a tile has its own
        start, checkpoint = None, None  # it would not be known again
    for observer in told:
        observer.begin_fit("", plan, first.seconds)
    fitted = None
    if first.stop_reason != "interrupted":
        with contextlib.suppress(KeyboardInterrupt):  # before the first step on the whole
            fitted = fit(problem, plan, observers, checkpoint, start, before=before)
    if fitted is None:
        for observer in observers:
            if hasattr(observer, "interrupted"):
                observer.interrupted("the whole is shown once to what was learned; Ctrl-C once more gives it up")
        glance = dataclasses.replace(plan, iterations=1)
        fitted = fit(problem, glance, observers, None, start, before=before)
        fitted = dataclasses.replace(fitted, stop_reason="interrupted")
    earlier = (warning for warning in first.warnings if warning != INTERPOLATED)  # only the whole is written
    warnings = tuple(dict.fromkeys((*earlier, *fitted.warnings)))
    return dataclasses.replace(fitted, warnings=warnings, set_back=(*first.set_back, *fitted.set_back))


def _part(problem: Problem) -> Problem:
    tile = middle(problem.size)
    return problem.part(tile.cut(problem.measurement).contiguous(), tile.cut(problem.known).contiguous())
