"""The fit: an untrained network is trained on one measurement until a stopping rule speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from torch import Tensor

from restore.fitting.checkpoint import Checkpoint, parts_of
from restore.fitting.judge import Fitted, Judge
from restore.fitting.trace import Observer
from restore.fitting.training import Training
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["fit"]


def fit(
    problem: Problem,
    plan: Plan,
    observers: Sequence[Observer] = (),
    checkpoint: Checkpoint | None = None,
    start: Mapping[str, Any] | None = None,
    *,
    before: tuple[int, float] = (0, 0.0),
    held_out: Tensor | None = None,
) -> Fitted:
    """Fit an untrained network to the measurement of `problem` as `plan` says, and return the best image.

    Ctrl-C ends the fit with the best image so far. The same plan on the same machine gives the same image, on a CPU
    bit for bit.

    Args:
        observers: called after every step.
        checkpoint: where the fit goes on from, and is kept now and then and at Ctrl-C.
        start: what `Training.learned` gave of a fit of another picture, to begin with instead of drawn weights.
        before, held_out: as for `Training`.

    Raises FitError when no image came of it, UsageError for a plan whose parts do not go together.
    """
    training = Training(problem, plan, start, before=before, held_out=held_out)
    judge = Judge(training, observers)
    for observer in observers:
        if hasattr(observer, "attach"):
            observer.attach(training)
    done = 0
    parts = parts_of({"training": training, "judge": judge}, observers)
    if checkpoint is not None:
        done, warnings = checkpoint.begin(problem, plan, parts)
        training.warnings += warnings
    reason: str | None = None
    try:
        with checkpoint or nullcontext():
            for iteration in range(done + 1, plan.iterations + 1):
                step = training.step(iteration)
                if training.gave_up:
                    reason = "diverged"
                elif step is not None:
                    reason = judge.see(step)
                    if checkpoint is not None and reason is None:
                        checkpoint.take(step, parts, training.warnings)
                if reason is not None:
                    break
    except KeyboardInterrupt:
        reason = "interrupted"
    return judge.fitted(
        reason or "iterations",
        seconds=training.seconds,
        parameters=training.parameters,
        precision=training.precision,
        set_back=training.set_back,
        warnings=training.warnings,
        before=training.before,
    )
