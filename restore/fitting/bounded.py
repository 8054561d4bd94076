"""Whether a picture is fitted whole or on tiles, by the memory that this takes, and what is done when that runs out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from restore.errors import FitError, UsageError
from restore.fitting.checkpoint import Checkpoint
from restore.fitting.forecast import forecast, fullest, to_fit
from restore.fitting.judge import Fitted
from restore.fitting.memory import granted, is_out_of_memory, release
from restore.fitting.plan import make_plan
from restore.fitting.tile_steps import first_steps, gains_by_parts, hands_on, is_fitted_alike, warm_steps
from restore.fitting.tiled import fit_tiles
from restore.fitting.tiles import make_layout
from restore.fitting.trace import Observer
from restore.fitting.warm_start import fit_warm, warm_plan
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

__all__ = ["SIDES", "bounded_plan", "fit_bounded", "smaller_plan", "tile_plan"]

SIDES = (1024, 896, 768, 640, 512, 384, 256, 192, 128)
"""Sides that tiles may have at most. Few, so that a little more or less of free memory does not change the result."""

OVERLAP = 64
"""Pixels that neighbouring tiles share; of small tiles a quarter of their side."""

SMALL = 2**18
"""Pixels up to which a picture is not asked what it takes, unless a limit was given."""

MOST_WHOLE = 2**19
"""Pixels above which a fit on a CPU takes tiles unasked, in half of the memory and no worse; scattered holes, and
strong noise, are done better so (docs/big-pictures.md)."""

UNASKED = 640
"""Side of such tiles, at most."""

STROKE = 8
"""Width in pixels of a stroke that no chance leaves, and that is no region."""

SMALLER = 0.71
"""Factor on the side of tiles that did not fit into the memory: half of their pixels."""

Observe = Callable[[Plan], Sequence[Observer]]
"""Gives what looks on at the fit of a plan; called again for another attempt."""


def bounded_plan(
    problem: Problem,
    plan: Plan,
    settings: FitSettings,
    checkpoint: Checkpoint | None = None,
    share: float = 1.0,
    *,
    diagnosed: bool = False,
) -> Plan:
    """Return `plan`, or that of a fit on tiles where a whole one takes more memory than it may, or gains nothing by it.

    Where nothing was said about memory, a fit that a checkpoint keeps goes on as it was begun.

    Args:
        plan: of the whole fit.
        settings: that it was made from.
        share: of the free memory, where several processes share it.
        diagnosed: whether what looks on needs a whole fit, if the memory allows one.

    Raises UsageError for a limit that is too low for the smallest tiles.
    """
    limit = settings.memory_limit
    if limit is None:
        kept = None if checkpoint is None else checkpoint.kept_plan()
        if kept is not None:
            side = kept.get("tile_side")
            return tile_plan(problem, plan, settings, side) if side in SIDES and _splits(problem, side) else plan
        if problem.size[0] * problem.size[1] <= SMALL:
            return plan
    most = granted(plan.device, share) if limit is None else limit
    sides = [side for side in SIDES if _splits(problem, side)]
    large = problem.size[0] * problem.size[1] > MOST_WHOLE
    unasked = limit is None and not diagnosed and large and gains_by_parts(plan, settings, problem)
    if unasked and _are_alike(problem, plan, settings):
        sides = [side for side in sides if side <= UNASKED]
    elif most is None or forecast(problem, plan).memory_mb * 2**20 <= most:
        return plan
    tried = [tile_plan(problem, plan, settings, side) for side in sides]
    for tiles in tried:
        if most is None or _needed(problem, tiles, settings) <= most:
            return tiles
    if limit is None:  # what is free may be more by the time it is needed
        return tried[-1] if tried else plan
    least = _needed(problem, tried[-1], settings) if tried else forecast(problem, plan).memory_mb * 2**20
    what = f"tiles of {SIDES[-1]}x{SIDES[-1]} pixels, the smallest, take" if tried else "this small picture takes"
    raise UsageError(
        f"max_memory (--max-memory) is {limit / 2**20:.0f} MiB, but {what} about {least / 2**20:.0f} MiB with all "
        "that belongs to the picture: give more, or crop or shrink the picture."
    )


def tile_plan(problem: Problem, plan: Plan, settings: FitSettings, side: int) -> Plan:
    """Return the plan of a fit on tiles of at most `side` x `side` pixels; `plan` is that of the whole picture.

    A tile gets the steps of a picture of its size. One whose network is shown the picture learns how to look at
    pictures, and hands that on: the next needs fewer steps. A code says nothing about another tile; and under strong
    noise each is a fit of its own, with a warm start if it is large.
    """
    overlap = min(OVERLAP, side // 4)
    layout = make_layout(problem.size, side, overlap)
    part = fullest(problem, layout)
    own = make_plan(part, settings)
    if (own.prior, own.objective) != (plan.prior, plan.objective):
        own = dataclasses.replace(plan, iterations=own.iterations)
    if hands_on(plan, problem):
        steps, warm = (count(own, settings, problem) for count in (first_steps, warm_steps))
        alone = len(to_fit(problem, layout)) == 1
        own = dataclasses.replace(own, iterations=own.iterations if alone else steps, tile_iterations=warm)
    else:
        own = warm_plan(part, own, settings)
    return dataclasses.replace(own, tile_side=side, tile_overlap=overlap)


def smaller_plan(problem: Problem, plan: Plan, settings: FitSettings) -> Plan | None:
    """Return the plan of tiles with about half of the pixels of what `plan` fits at once; None for none that small."""
    height, width = problem.size
    side = SMALLER * (plan.tile_side or (height * width) ** 0.5)
    for smaller in SIDES:
        if smaller <= side and _splits(problem, smaller):
            return tile_plan(problem, make_plan(problem, settings), settings, smaller)
    return None


def fit_bounded(
    problem: Problem,
    plan: Plan,
    settings: FitSettings,
    observe: Observe,
    checkpoint: Checkpoint | None = None,
    *,
    name: str = "the picture",
    may_split: bool = True,
) -> Fitted:
    """Fit as `plan` says, whole or on tiles; out of memory, once more on smaller tiles.

    Args:
        observe: gives what looks on.
        name: of the picture.
        may_split: whether a fit that was to be whole may be one on tiles.

    Raises FitError where the memory does not suffice, or no image came of the fit.
    """
    fitted = _attempt(problem, plan, settings, observe, checkpoint)
    if isinstance(fitted, Fitted):
        return fitted
    smaller = smaller_plan(problem, plan, settings) if may_split else None
    release(plan.device)
    if smaller is not None:
        if checkpoint is not None:
            checkpoint.remove()
        again = _attempt(problem, smaller, settings, observe, checkpoint)
        if isinstance(again, Fitted):
            told = f"the memory of {plan.device} ran out: fitted once more, on tiles of {smaller.tile_side} pixels."
            return dataclasses.replace(again, warnings=(told, *again.warnings))
        fitted = again
    height, width = problem.size
    raise FitError(
        f"not enough memory on {plan.device} to fit {name!r}, {width}x{height}"
        f"{', even on smaller tiles' if smaller is not None else ''}: crop or shrink the picture, close other "
        "programs, set a lower limit (--max-memory 2GiB), take a smaller network (--prior hourglass), or another "
        f"--device ({fitted})."
    )


def _attempt(
    problem: Problem, plan: Plan, settings: FitSettings, observe: Observe, checkpoint: Checkpoint | None
) -> Fitted | str:
    """Return what came of the fit, or in words that the memory ran out: an exception would hold what filled it."""
    try:
        if plan.tile_side:
            return fit_tiles(problem, plan, settings, observe(plan), checkpoint)
        return fit_warm(problem, plan, settings, observe(plan), checkpoint)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return type(error).__name__


def _splits(problem: Problem, side: int) -> bool:
    return max(problem.size) > side


def _are_alike(problem: Problem, plan: Plan, settings: FitSettings) -> bool:
    """Whether tiles would all be fitted as the whole is: a stroke among scattered holes fills one of them."""
    if problem.kind == "denoise":
        return True
    parts = [
        tile.cut(problem.known).contiguous() for tile in to_fit(problem, make_layout(problem.size, UNASKED, OVERLAP))
    ]
    plans = [make_plan(problem.part(torch.zeros(known.shape), known), settings) for known in parts]
    return all(is_fitted_alike(each, plan) for each in plans)


def _needed(problem: Problem, plan: Plan, settings: FitSettings) -> float:
    """Return the bytes that a fit on tiles takes at most: tiles may differ in their networks, by their holes."""
    part = fullest(problem, make_layout(problem.size, plan.tile_side, plan.tile_overlap))
    of_tile = [forecast(part, dataclasses.replace(plan, tile_side=0)).memory_mb]
    around = forecast(problem, plan).memory_mb - of_tile[0]
    if problem.kind == "inpaint":
        barred = torch.ones_like(part.known)
        barred[..., :STROKE, :] = False  # what strokes take is prepared, whatever the hole of the fullest tile
        holed = (part, part.part(part.measurement, barred))
        of_tile += [forecast(each, make_plan(each, settings)).memory_mb for each in holed]
    return (around + max(of_tile)) * 2**20
