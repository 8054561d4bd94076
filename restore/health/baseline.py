"""The same fit without normalisation, beside the normalised one: what the normalisation is worth.

Neither side may rescue itself: no rewind, no lowered rate, no early stop. Divergence is the result. A side is one
network, whatever number of them the plan averages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from restore.errors import UsageError, unknown_name
from restore.fitting import Fitted, Observer, fit
from restore.fitting.observers import ReferenceCurve
from restore.health.convergence import Run, compare
from restore.health.recorder import HealthRecorder
from restore.health.summary import gradient_health
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["BASELINES", "FACTORS", "OTHER_RATES", "Side", "check_baseline", "compare_with_baseline", "fit_side"]

BASELINES = ("unnormalized", "fair")

FACTORS = (0.1, 0.1**0.5, 1.0, 10**0.5)
"""Factors on the plan's learning rate among which a fair comparison chooses, for every side of its optimiser."""

OTHER_RATES: Mapping[str, Sequence[float]] = {
    "adam": (3e-4, 1e-3, 3e-3, 1e-2),
    "muon": (2e-3, 6e-3, 2e-2, 6e-2),
    "sgd": (0.01, 0.1, 1.0, 10.0),  # a step of SGD is the gradient itself, and those of a mean over pixels are small
}
"""Rates among which it chooses for the optimiser that the plan does not have."""

TUNING_SIZE = 128
"""Height and width of the part of the picture on which rates are chosen."""

TUNING_SHARE = 4
"""The iterations of a plan over those of a fit that only chooses a rate."""

CONTROLS: Sequence[Mapping[str, Any]] = (
    {"norm": "bias"},
    {"norm": "bias", "init": "he"},
    {"norm": "bias", "init": "orthogonal"},
    {"norm": "none"},
)
"""What a sceptic asks for: the control of equal expressive power, from initial weights that keep the signal's power."""

NORMALIZED = "normalized"
"""Name of the side that the others are compared with; under another optimiser that is added to it."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a fit that was left to itself.

    Attributes:
        change: what is different from the plan that it is compared with, in words.
        plan: what was done.
        fitted: what came of it.
        run: its curves.
        health: its gradient health.
    """

    change: str
    plan: Plan
    fitted: Fitted
    run: Run
    health: dict[str, Any]


def check_baseline(kind: str, plan: Plan) -> None:
    """Raise UsageError for an unknown kind of baseline, and for a plan that has no normalisation to leave out."""
    if kind not in BASELINES:
        raise unknown_name("baseline", kind, BASELINES)
    if plan.norm in ("none", "bias"):
        raise UsageError(f"--norm {plan.norm} is the baseline itself: leave --baseline out, or take another norm.")


def compare_with_baseline(
    kind: str, problem: Problem, plan: Plan, reference: Tensor | None = None, say: Say = lambda line: None
) -> tuple[dict[str, Any], dict[str, Side]]:
    """Return the report of the comparison, and its sides by name; the first one is the normalised fit.

    The report is that of the twin `bias`, which can represent what the normalised network can; `beside` holds those of
    the other sides.

    Args:
        kind: `unnormalized`: the twins `bias` and `none`, one setting changed; or `fair`: every side at the best of
            four rates, under the plan's optimiser and Adam (SGD, where Adam is the plan's), from PyTorch's, He's and
            orthogonal initial weights. A side is compared with the normalised network under its own optimiser.
        problem: what is fitted.
        plan: of the normalised fit.
        reference: (1, C, H, W), for PSNR; no fit and no choice of a rate sees it.
        say: told what is being fitted.

    Raises UsageError as `check_baseline`.
    """
    check_baseline(kind, plan)
    plans = {NORMALIZED: plan}
    edges: dict[str, str | None] = {}
    if kind == "unnormalized":
        plans |= {norm: dataclasses.replace(plan, norm=norm) for norm in ("bias", "none")}
    else:
        plans |= _fair(plan)
        for name, each in plans.items():
            rates = [factor * plan.learning_rate for factor in FACTORS]
            rates = rates if each.optimizer == plan.optimizer else list(OTHER_RATES[each.optimizer])
            plans[name], edges[name] = _tuned(name, problem, each, rates, say)
    sides: dict[str, Side] = {}
    for name, each in plans.items():
        say(f"baseline: fitting {name} at the rate {each.learning_rate:.3g}")
        sides[name] = fit_side(name, problem, each, reference)
    rivals = {side.plan.optimizer: side for name, side in sides.items() if name.startswith(NORMALIZED)}
    reports = {
        name: {**_report(rivals[side.plan.optimizer], side), "rate_at_edge": edges.get(name)}
        for name, side in sides.items()
        if name != NORMALIZED
    }
    main = reports.pop("bias")
    own = {**_own(sides[NORMALIZED]), "rate_at_edge": edges.get(NORMALIZED)}
    return {**main, "kind": kind, "normalized": own, "beside": list(reports.values())}, sides


def fit_side(change: str, problem: Problem, plan: Plan, reference: Tensor | None = None) -> Side:
    """Fit `plan` without a rescue and without a stop, and return what became of it."""
    plan = _left_alone(plan)
    recorder = HealthRecorder()
    curve = None if reference is None else ReferenceCurve(problem, reference, unclips=plan.unclips)
    observers: list[Observer] = [recorder] if curve is None else [recorder, curve]
    fitted = fit(problem, plan, observers)
    if fitted.stop_reason == "interrupted":
        raise KeyboardInterrupt
    return Side(change, plan, fitted, _run(fitted, curve), gradient_health(recorder.record))


def _run(fitted: Fitted, curve: ReferenceCurve | None) -> Run:
    trace = fitted.trace
    named = {"iteration": trace.iteration, "seconds": trace.seconds, "loss": trace.loss}
    psnr = [] if curve is None else curve.psnr
    return Run(**{name: np.asarray(values, dtype=np.float64) for name, values in {**named, "psnr": psnr}.items()})


def _left_alone(plan: Plan) -> Plan:
    return dataclasses.replace(plan, rescue=False, stop="none", time_budget=None, networks=1, accelerate="none")


def _fair(plan: Plan) -> dict[str, Plan]:
    """Return the plans of a fair comparison by name; of the normalised network under the other optimiser too."""
    other = "sgd" if plan.optimizer == "adam" else "adam"
    plans = {f"{NORMALIZED}, {other}": dataclasses.replace(plan, optimizer=other)}
    for optimizer in (plan.optimizer, other):
        for control in CONTROLS:
            name = ", ".join(str(value) for value in control.values())
            name = name if optimizer == plan.optimizer else f"{name}, {optimizer}"
            plans[name] = dataclasses.replace(plan, optimizer=optimizer, **control)
    return plans


def _tuned(name: str, problem: Problem, plan: Plan, rates: Sequence[float], say: Say) -> tuple[Plan, str | None]:
    """Return the plan at that of the rising `rates` whose last smoothed loss is least, on a part of the picture.

    Beside it `lowest` or `highest` if that is an end of the grid, beyond which a better rate may lie; else None.
    """
    part = _middle(problem)
    short = dataclasses.replace(_left_alone(plan), iterations=max(20, plan.iterations // TUNING_SHARE))
    losses: dict[float, float] = {}
    for rate in rates:
        fitted = fit(part, dataclasses.replace(short, learning_rate=rate))
        if fitted.stop_reason == "interrupted":
            raise KeyboardInterrupt
        last = _run(fitted, None).smooth_loss[-1]
        losses[rate] = float(last) if np.isfinite(last) else float("inf")
    best = min(losses, key=lambda rate: losses[rate])
    edge = "lowest" if best == rates[0] else "highest" if best == rates[-1] else None
    beyond = "" if edge is None else f", the {edge}: a better one may lie beyond"
    say(f"baseline: {name}: the rate {best:.3g} is best of {', '.join(f'{rate:.3g}' for rate in losses)}{beyond}")
    return dataclasses.replace(plan, learning_rate=best), edge


def _middle(problem: Problem) -> Problem:
    """Return the middle of the problem, where rates are chosen; all of it where nothing is known in the middle."""
    starts = [max(0, (length - TUNING_SIZE) // 2) for length in problem.size]
    rows, columns = (slice(start, start + TUNING_SIZE) for start in starts)
    measurement, known = (each[:, :, rows, columns].contiguous() for each in (problem.measurement, problem.known))
    return problem.part(measurement, known) if bool(known.any()) else problem


def _own(side: Side) -> dict[str, Any]:
    """Return the figures of a side alone, and why what is None is None."""
    loss = side.run.smooth_loss
    reasons = {}
    if not np.isfinite(side.run.psnr).any():
        why = "needs --reference" if len(side.run.psnr) == 0 else "no picture of this side was finite"
        reasons = dict.fromkeys(("psnr", "psnr_peak"), why)
    elif not np.isfinite(side.run.psnr[-1]):
        reasons["psnr"] = "the last picture of this side was not finite"
    if len(loss) == 0 or not np.isfinite(loss[-1]):
        reasons["loss"] = "the fit ended before its first check" if len(loss) == 0 else "the loss was not finite"
    return {
        "change": side.change,
        "optimizer": side.plan.optimizer,
        "init": side.plan.init,
        "learning_rate": side.plan.learning_rate,
        "iterations": side.fitted.iterations,
        "seconds": side.fitted.seconds,
        "psnr": float(side.run.psnr[-1]) if len(side.run.psnr) else None,
        "psnr_peak": float(np.nanmax(side.run.psnr)) if np.isfinite(side.run.psnr).any() else None,
        "loss": float(loss[-1]) if len(loss) else None,
        "gradient_health": side.health,
        "null_reasons": reasons,
    }


def _report(rival: Side, side: Side) -> dict[str, Any]:
    own, compared = _own(side), compare(rival.run, side.run)
    reasons = {**own["null_reasons"], **compared["null_reasons"]}
    return {**own, **compared, "compared_with": rival.change, "null_reasons": reasons}
