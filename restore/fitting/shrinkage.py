"""How much of the measurement stays in the result: all of it where there is no noise."""

from __future__ import annotations

from restore.fitting.judge import Fitted
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["kept_share"]


def kept_share(problem: Problem, plan: Plan, fitted: Fitted) -> float:
    """Return the weight of the measurement y in the result x + w (y - x), from 0 to 1, for the image x of the fit.

    With r^2 the mean of (y - x)^2, noise of variance sigma^2 and its covariance c with x, all on held-out pixels, the
    mean squared error is least at

        v = 1 - (sigma^2 - c) / r^2.

    Where the noise is strong, v is small and errs on the high side: the network knows the pixels that it has learned
    from better than those held out. So w = max(0, 2 v - 1), which is one as well where there is no noise. Without
    noise it is one whether or not pixels were held out, unless a code was fitted as published.
    """
    if problem.kind == "denoise" and problem.sigma == 0 and problem.covariance is None and plan.objective != "fit":
        return 1.0
    error = fitted.held_out_error
    if problem.kind != "denoise" or problem.level is None or error is None:
        return 0.0
    variance = (problem.sigma / 255) ** 2
    covariance = fitted.held_out_covariance
    power = error - 2 * covariance
    if power <= 0:
        return 0.0
    return min(1.0, max(0.0, 1 - 2 * (variance - covariance) / power))
