"""The fit: an untrained network is trained on one measurement until a stopping rule speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from restore.errors import FitError
from restore.fitting.checkpoint import Checkpoint, parts_of
from restore.fitting.stopping import make_rule
from restore.fitting.trace import Observer, Trace
from restore.fitting.training import Training
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Fitted", "fit"]


@dataclass(frozen=True)
class Fitted:
    """What a fit gives back. The images are float32 (1, C, H, W), neither clipped nor composited.

    Attributes:
        image: the averaged image that the stopping rule thinks best.
        last: the averaged image of the last step.
        output: the network's output of the last step, not averaged.
        iterations: number of the last step.
        iteration_best: step of `image`.
        stop_reason: `heldout`, `variance`, `discrepancy`, `iterations`, `time`, `interrupted` or `diverged`.
        seconds: that the steps took.
        held_out_error: mean squared error of `image` on the held-out pixels, or None without any.
        held_out_deviation: standard error of that mean, or None.
        parameters: number of the network's parameters.
        precision: `float32` or `bfloat16`: what the last step ran in.
        set_back: the losses of the steps that were set back, and of the one at which the fit gave up.
        warnings: what went wrong on the way, in sentences.
        trace: the record.
    """

    image: Tensor
    last: Tensor
    output: Tensor
    iterations: int
    iteration_best: int
    stop_reason: str
    seconds: float
    held_out_error: float | None
    held_out_deviation: float | None
    parameters: int
    precision: str
    set_back: tuple[float, ...]
    warnings: tuple[str, ...]
    trace: Trace


@dataclass
class _Best:
    """The best image so far, (1, C, H, W), and its step; the number of steps done."""

    image: Tensor | None = None
    iteration: int = 0
    done: int = 0

    def state(self) -> dict[str, Any]:
        return dict(vars(self))

    def restore(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


def fit(
    problem: Problem, plan: Plan, observers: Sequence[Observer] = (), checkpoint: Checkpoint | None = None
) -> Fitted:
    """Fit an untrained network to the measurement of `problem` as `plan` says, and return the best image.

    Ctrl-C ends the fit with the best image so far. The same plan on the same machine gives the same image, on a CPU
    bit for bit.

    Args:
        observers: called after every step.
        checkpoint: where the fit goes on from, and is kept now and then.

    Raises FitError when no image came of it, UsageError for a plan whose parts do not go together.
    """
    rule = make_rule(plan, problem.sigma)
    training = Training(problem, plan)
    for observer in observers:
        if hasattr(observer, "attach"):
            observer.attach(training)
    trace = Trace()
    watching: list[Observer] = [trace, *observers]
    best, first, reason = _Best(), 1, "iterations"
    parts = parts_of({"training": training, "rule": rule, "best": best, "trace": trace}, observers)
    if checkpoint is not None:
        last_step, warnings = checkpoint.begin(problem, plan, parts)
        training.warnings += warnings
        first += last_step
    try:
        for iteration in range(first, plan.iterations + 1):
            step = training.step(iteration)
            if training.gave_up:
                reason = "diverged"
                break
            if step is None:
                continue
            best.done = iteration
            for observer in watching:
                observer(step)
            verdict = rule(step)
            if verdict.best:
                best.image, best.iteration = step.image.clone(), iteration
            if verdict.stop:
                reason = verdict.stop
                break
            if plan.time_budget is not None and step.seconds >= plan.time_budget:
                reason = "time"
                break
            if checkpoint is not None:
                training.warnings += checkpoint.take(iteration, step.seconds, parts)
    except KeyboardInterrupt:
        reason = "interrupted"

    last = training.average.image
    if last is None and reason == "interrupted":
        raise KeyboardInterrupt
    if last is None:
        raise FitError(f"the fit ended ({reason}) before its first step was done, so there is no image.")
    image, image_iteration = (last, best.done) if best.image is None else (best.image.to(last.device), best.iteration)
    error, deviation = training.held_out_error(image)
    return Fitted(
        image=image,
        last=last,
        output=training.output,
        iterations=best.done,
        iteration_best=image_iteration,
        stop_reason=reason,
        seconds=training.seconds,
        held_out_error=error,
        held_out_deviation=deviation,
        parameters=sum(parameter.numel() for parameter in training.prior.parameters()),
        precision=training.precision,
        set_back=tuple(training.set_back),
        warnings=tuple(training.warnings),
        trace=trace,
    )
