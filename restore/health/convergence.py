"""How much sooner one fit gets somewhere than another: levels of loss and PSNR, area under the curve, speed-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FRACTIONS", "Run", "compare"]

FRACTIONS = (0.5, 0.75, 0.9, 0.95, 0.99)
"""Shares of the first run's fall in the loss, and rise in PSNR, at which the runs are compared."""

SPEEDUP_AT = 0.9
"""Share of the fall in the loss at which the speed-up is told."""

SMOOTHED = 5
"""Checks that are averaged before a loss counts as reached: that of one step says little."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Run:
    """The curves of a fit, one number a check.

    Attributes:
        iteration, seconds: when.
        loss: of that step.
        psnr: of the averaged image, in dB; empty without a reference.
    """

    iteration: Array
    seconds: Array
    loss: Array
    psnr: Array

    @property
    def smooth_loss(self) -> Array:
        """The mean of the last `SMOOTHED` losses, of fewer at the beginning; NaN from the first that is not finite."""
        broken = np.cumsum(~np.isfinite(self.loss)) > 0
        losses = np.where(broken, np.nan, self.loss)
        return np.array([losses[max(0, at + 1 - SMOOTHED) : at + 1].mean() for at in range(len(losses))])

    @property
    def area(self) -> float:
        """Mean of the smoothed loss over the iterations: the area under the curve, by trapezia, over its length."""
        if len(self.iteration) < 2:
            return float("nan")
        span = self.iteration[-1] - self.iteration[0]
        return float(np.trapezoid(self.smooth_loss, self.iteration) / span)


def compare(run: Run, baseline: Run) -> dict[str, Any]:
    """Return `levels, area, baseline_area, speedup` of a run against its baseline, and why what is None is None.

    A level's `ratio` is the baseline's iterations over the run's; None where the baseline never gets there. `speedup`
    is the ratio at 90 % of the run's fall in the loss.
    """
    levels: list[dict[str, Any]] = []
    curves: Mapping[str, tuple[Array, Array, int]] = {
        "loss": (run.smooth_loss, baseline.smooth_loss, -1),
        "psnr": (run.psnr, baseline.psnr, 1),
    }
    for metric, (own, other, sign) in curves.items():
        if len(own) < 2 or not np.isfinite(own).all():
            continue
        best = own.max() if sign > 0 else own.min()
        for fraction in FRACTIONS:
            level = float(own[0] + fraction * (best - own[0]))
            levels.append({"metric": metric, "fraction": fraction, **_reached(run, own, baseline, other, level, sign)})
    at = next((row for row in levels if row["metric"] == "loss" and row["fraction"] == SPEEDUP_AT), None)
    speedup = None if at is None else at["ratio"]
    reasons = {}
    if at is None:
        reasons["speedup"] = "the run was too short or its loss not finite"
    elif speedup is None:
        last = 0 if len(baseline.iteration) == 0 else int(baseline.iteration[-1])
        reasons["speedup"] = f"the baseline did not reach this loss in {last} iterations"
    areas = {"area": run.area, "baseline_area": baseline.area}
    reasons |= {name: "the loss was not finite to the end" for name, area in areas.items() if not np.isfinite(area)}
    return {
        "levels": levels,
        **areas,
        "speedup": speedup,
        "null_reasons": reasons,
    }


def _reached(run: Run, own: Array, baseline: Run, other: Array, level: float, sign: int) -> dict[str, Any]:
    mine, theirs = _first(own, level, sign), _first(other, level, sign)
    iterations = None if mine is None else int(run.iteration[mine])
    baseline_iterations = None if theirs is None else int(baseline.iteration[theirs])
    return {
        "level": level,
        "iterations": iterations,
        "seconds": None if mine is None else float(run.seconds[mine]),
        "baseline_iterations": baseline_iterations,
        "baseline_seconds": None if theirs is None else float(baseline.seconds[theirs]),
        "ratio": baseline_iterations / iterations if iterations and baseline_iterations else None,
    }


def _first(values: Array, level: float, sign: int) -> int | None:
    reached = np.flatnonzero(sign * values >= sign * level - 1e-12 * abs(level))
    return int(reached[0]) if len(reached) else None
