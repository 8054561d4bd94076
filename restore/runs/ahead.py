"""What a fit would do: it is begun, and ended before its first step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from restore.fitting.forecast import Forecast, forecast
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["ahead_of"]


class _Begun(Exception):
    """Ends a fit before its first step."""


def ahead_of(run: Callable[[Callable[[Problem, Plan], None]], object]) -> tuple[Problem, Plan, Forecast]:
    """Return what the fit of `run` is given, would do, and costs.

    Args:
        run: restores a picture, and calls what it is given with the problem and the plan before the first step.

    Raises RestoreError for settings that contradict each other, and all else that keeps the fit from beginning.
    """
    found: list[tuple[Problem, Plan, Forecast]] = []

    def announce(problem: Problem, plan: Plan) -> None:
        found.append((problem, plan, forecast(problem, plan)))  # builds the network, if only its shapes
        raise _Begun

    with contextlib.suppress(_Begun):
        run(announce)
    return found[0]
