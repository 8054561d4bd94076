"""From what a user said to what a fit does: every choice is made before the first step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from restore.errors import UsageError
from restore.fitting import paper
from restore.fitting.acceleration import check_acceleration
from restore.fitting.objectives import cannot_see_pictures
from restore.fitting.precision import resolve_device, resolve_precision
from restore.fitting.recurrence import choose_recurrence
from restore.fitting.schedules import (
    BLINDSPOT,
    DEFAULTS,
    FIT,
    MUON_WORK,
    NARROW,
    NARROW_NETWORKS,
    NETWORKS,
    RECORRUPTED,
    REGION,
    SCATTERED,
    SCHEDULES,
    SHORTER,
    UNEVEN,
    WHITE,
    WORK,
)
from restore.fitting.stopping import make_rule
from restore.problems.holes import hole_radius, is_scattered
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

__all__ = ["is_narrow", "make_plan"]

HELD_OUT = 0.02
"""Fraction of the measured pixels that are held out for the held-out rule."""

MOST_HELD_OUT = 0.05
"""The same of a small picture, where fewer would say too little: at 64x64 it was worth 0.2 to 1 dB."""

ENOUGH_HELD_OUT = 250
"""Held-out pixels for which a small picture gives more than `HELD_OUT`."""

ENOUGH_SLOW = 2500
"""The same for `recorrupted`, whose error on them is also left to the chance of the draws, and for the deep decoder:
its error falls so slowly that the chance of fewer pixels ended it hundreds of steps too soon."""

STRONGEST_VARYING = 18.0
"""Sigma above which noise that grows with the light is not told well enough: clipped and far from Gaussian."""

FEWEST_HELD_OUT = 64
"""Held-out pixels below which their error says too little to stop by."""

WIDE_RADIUS = 16.0
"""Holes that hold a larger disc are regions: nothing known looks like them, so there is nothing to learn them from."""

WEAKEST_NARROW, FULL_SIDE = 20.0, 192
"""Sigma below which the prior's own width is kept, and the side of a square below which it falls with the side: small
pictures have less detail to learn. At 256x256 narrow networks are level at 20, lose 0.07 dB at 15 and 0.4 at 10; at
128x128 they gain 0.15 at 15 (docs/benchmarks.md). The middle of a picture that begins there is no smaller."""

BLIND = ("decoder", "recurrent")
"""Priors that only take a code, and cannot be shown a picture."""


def make_plan(problem: Problem, settings: FitSettings) -> Plan:
    """Return the plan that `settings` ask for on this `problem` and machine.

    The number of steps depends on the picture's size and never on a clock, so that a plan can be repeated.

    Raises UsageError for settings that contradict each other, DeviceError for a device that is not there.
    """
    device = resolve_device(settings.device)
    check_acceleration(settings.accelerate, device)
    prior, objective, values = _choose(problem, settings)
    values = {**DEFAULTS, **values}
    for name in ("norm", "init", "optimizer", "learning_rate", "clipping", "iterations", "networks"):
        if getattr(settings, name) is not None:
            values[name] = getattr(settings, name)
    values["network"] = {**values["network"], **settings.network}
    values |= choose_recurrence(problem.kind, prior, objective, settings)
    if settings.stop != "auto":
        values["stop"] = settings.stop
    values["held_out"] = 0.0
    if values["stop"] == "heldout":
        slow = prior == "decoder" or (objective == "recorrupted" and problem.covariance is None)
        values |= _held_out(int(problem.known.sum()), ENOUGH_SLOW if slow else ENOUGH_HELD_OUT)
    plan = Plan(
        prior=prior,
        objective=objective,
        time_budget=settings.time_budget,
        seed=settings.seed,
        device=str(device),
        precision=resolve_precision(settings.precision, device),
        accelerate=settings.accelerate,
        **values,
    )
    # It refuses what the problem or the objective cannot stop by.
    make_rule(plan, problem.sigma, correlated=problem.covariance is not None)
    return plan


def is_narrow(plan: Plan) -> bool:
    """Whether the networks are those of white noise that is not weak, half as wide as the prior's own."""
    return bool(plan.network.get("channels") == NARROW["network"]["channels"])


def _held_out(known: int, enough: int) -> dict[str, Any]:
    """Return what is held out of so many known pixels; where too little is left of it, nothing stops the fit."""
    share = min(MOST_HELD_OUT, max(HELD_OUT, enough / known)) if known else 0.0
    return {"held_out": share} if known * share >= FEWEST_HELD_OUT else {"held_out": 0.0, "stop": "none"}


def _choose(problem: Problem, settings: FitSettings) -> tuple[str, str, dict[str, Any]]:
    """Return the prior, the objective, and what goes with them, by the kind of problem and what the user insists on."""
    if settings.preset.startswith("paper"):
        prior = settings.prior or "dip"
        if settings.objective in ("blindspot", "recorrupted"):
            raise UsageError(
                f"the published settings fit a fixed code: --preset paper excludes --objective {settings.objective}."
            )
        return prior, "fit", _published(problem, settings.preset, prior)
    values: Mapping[str, Any]
    wanted = settings.prior or ("recurrent" if settings.refine == "generator" else None)
    if _is_region(problem) and wanted in (None, "dip") and settings.objective != "blindspot":
        prior, objective, values = "dip", "fit", REGION
    else:
        prior = wanted or "hourglass"
        objective = settings.objective
        if objective == "auto":
            shown = "recorrupted" if _knows_noise(problem, prior, settings) else "blindspot"
            objective = "fit" if prior in BLIND else shown
        elif objective != "fit" and prior in BLIND:
            raise cannot_see_pictures(prior, objective)
        if objective == "recorrupted":
            values = _recorrupted(problem, settings)
        elif objective == "fit":
            values = FIT.get(prior, FIT["hourglass"])
        else:
            values = _blindspot(problem, settings)
    optimizer = "muon" if values.get("optimizer") == "muon" else "adam"
    kind = "scattered" if "hidden_spread" in values else problem.kind
    asked = settings.cell != "none" or "channels" in settings.network
    side = math.sqrt(problem.size[0] * problem.size[1])
    takes_narrow = problem.sigma >= WEAKEST_NARROW * min(1.0, side / FULL_SIDE) and not asked
    if (prior, objective, optimizer) == ("hourglass", "recorrupted", "muon") and takes_narrow:
        kind, values = "narrow", {**values, **NARROW, "networks": NARROW_NETWORKS[settings.preset]}
    work = (MUON_WORK if optimizer == "muon" else WORK)[settings.preset]
    steps = _steps(values["iterations"] * work, problem.size, kind, optimizer)
    return prior, objective, {**values, "iterations": steps}


def _knows_noise(problem: Problem, prior: str, settings: FitSettings) -> bool:
    """Whether the noise is so well known that `recorrupted` is better than hiding pixels."""
    if settings.refine == "estimate":
        return False
    plain = prior == "hourglass" and settings.cell == "none"
    level, sigma = problem.level, problem.sigma
    told = level is not None and sigma > 0 and (not level.varies or sigma <= STRONGEST_VARYING)
    return problem.covariance is not None or (plain and told)


def _scheduled(kind: str, settings: FitSettings) -> dict[str, Any]:
    """Return the optimiser of a fit that shows the picture, and its schedule; a recurrence learns by Adam."""
    optimizer = settings.optimizer or ("muon" if settings.cell == "none" else "adam")
    networks = {"networks": NETWORKS[settings.preset]} if optimizer == "muon" else {}
    return {**SCHEDULES[kind, "muon" if optimizer == "muon" else "adam"], "optimizer": optimizer, **networks}


def _blindspot(problem: Problem, settings: FitSettings) -> dict[str, Any]:
    """Return the values of a blind-spot fit."""
    values = {**BLINDSPOT[problem.kind], **_scheduled(problem.kind, settings)}
    if problem.kind != "inpaint":
        return values
    if is_scattered(~problem.known[0, 0].cpu().numpy()):
        return {**values, **SCATTERED}
    if values["optimizer"] == "muon" and problem.sigma == 0:
        values["stop"] = "none"  # single pixels are held out: they are at their best long before strokes are
    return values


def _recorrupted(problem: Problem, settings: FitSettings) -> Mapping[str, Any]:
    """Return the values of the objective `recorrupted`; raise UsageError where it cannot be."""
    if problem.covariance is None and (problem.level is None or problem.sigma == 0):
        raise UsageError(
            "objective 'recorrupted' needs noise whose strength could be estimated, which this picture does not show: "
            "use --objective auto or blindspot."
        )
    if settings.refine == "estimate":
        raise UsageError(
            "the design 'estimate' compares with the measurement itself, whose noise objective 'recorrupted' must not "
            "see: use --refine features, or --objective blindspot."
        )
    if problem.covariance is None:
        return {**WHITE, **_scheduled("white", settings)}
    if settings.stop == "heldout":
        raise UsageError(
            "stop 'heldout' does not hold for objective 'recorrupted' under correlated noise, which neighbours of "
            "held-out pixels know: use --stop auto, none or variance."
        )
    return UNEVEN if problem.covariance.uneven else RECORRUPTED


def _is_region(problem: Problem) -> bool:
    return problem.kind == "inpaint" and hole_radius(~problem.known[0, 0].cpu().numpy()) > WIDE_RADIUS


def _published(problem: Problem, preset: str, prior: str) -> dict[str, Any]:
    name = preset.partition(":")[2]
    if prior == "decoder" and name:
        raise UsageError(f"--preset paper:{name} is a setting of the prior dip: use --preset paper with decoder.")
    if prior == "decoder":
        values = dict(paper.DECODER)
    elif prior == "dip":
        name = name or paper.choose(problem)
        values = dict(paper.DIP_SETTINGS[name])
        if name == "f16" and problem.sigma >= paper.STRONG_SIGMA:
            values["code_noise"] = paper.STRONG_CODE_NOISE
    else:
        raise UsageError(f"there are no published settings for the prior {prior!r}: use --prior dip or decoder.")
    # Published fits run to their end and are written as they are; one that collapses is set back to its last good state
    # at the same rate.
    return {"stop": "none", "clipping": "keep", "rewind_rate": 1.0, **values}


def _steps(steps: float, size: tuple[int, int], kind: str, optimizer: str) -> int:
    """Scale the number of steps to the picture's size: more pixels teach more in a step."""
    height, width = size
    factor = min(1.0, float((65536 / (height * width)) ** SHORTER[kind, optimizer]))
    return max(50, round(steps * factor))
