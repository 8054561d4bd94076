"""What a fit gives back, and who decides it: shows each step to those who watch, keeps the best image, ends the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from restore.errors import FitError
from restore.fitting.stopping import make_rule
from restore.fitting.subject import Subject
from restore.fitting.trace import Observer, Step, Trace

__all__ = ["INTERPOLATED", "Fitted", "Judge"]

INTERPOLATED = (
    "the hole is filled by biharmonic interpolation, which was better on held-out pixels than what the networks made."
)


@dataclass(frozen=True)
class Fitted:
    """What a fit gives back. The images are float32 (1, C, H, W), neither clipped nor composited.

    They are means, as the measurement's clipped noise has them (`Problem.unclipped`); only the image that `fit_tiles`
    joins of tiles has that undone, in the tiles that were restored.

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
        trace: the record; of a fit on tiles, theirs one after the other.
        tiles: how many there were; 1 for a whole fit.
        tiles_fitted: how many of them were done when the fit ended.
        steps_before, seconds_before: on the middle of the picture, with which the fit began; the steps are not counted
            in `iterations`, the seconds in `seconds`.
        held_out_covariance: of `image` and the noise of the held-out pixels; 0 where it has never seen them.
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
    tiles: int = 1
    tiles_fitted: int = 1
    steps_before: int = 0
    seconds_before: float = 0.0
    held_out_covariance: float = 0.0


class Judge:
    """Watches the fit of one subject.

    Args:
        subject: what is fitted.
        observers: shown every step.

    Raises UsageError for a stopping rule that the plan cannot have.
    """

    def __init__(self, subject: Subject, observers: Sequence[Observer]) -> None:
        self._subject = subject
        self._rule = make_rule(subject.plan, subject.problem.sigma, correlated=subject.problem.covariance is not None)
        self._trace = Trace()
        self._watching: list[Observer] = [self._trace, *observers]
        self._best: Tensor | None = None
        self._best_iteration = self._done = 0
        self._best_scores: tuple[float | None, float | None, float] = None, None, 0.0

    def see(self, step: Step) -> str | None:
        """Show a step to all, and return the reason to stop if there is one."""
        self._done = step.iteration
        for observer in self._watching:
            observer(step)
        verdict = self._rule(step)
        if verdict.best:
            self._best, self._best_iteration = step.image.clone(), step.iteration
            self._best_scores = self._scores(step.image)
        if verdict.stop:
            return verdict.stop
        budget = self._subject.plan.time_budget
        return "time" if budget is not None and step.seconds >= budget else None

    def fitted(
        self,
        reason: str,
        *,
        seconds: float,
        parameters: int,
        precision: str,
        set_back: Sequence[float] = (),
        warnings: Sequence[str] = (),
        before: tuple[int, float] = (0, 0.0),
    ) -> Fitted:
        """Return what came of the fit, which ended for the `reason`.

        Raises FitError when no image came of it, KeyboardInterrupt when it was interrupted before.
        """
        last = self._subject.image
        if last is None and reason == "interrupted":
            raise KeyboardInterrupt
        if last is None:
            raise FitError(f"the fit ended ({reason}) before its first step was done, so there is no image.")
        best, iteration, scores = last, self._done, self._best_scores
        if self._best is None:
            scores = self._scores(last)
        else:
            best, iteration = self._best, self._best_iteration
        error, deviation, covariance = scores
        interpolation = self._subject.interpolation(best)
        if interpolation is not None:
            best, error, deviation = interpolation
            warnings = (*warnings, INTERPOLATED)
        return Fitted(
            image=best,
            last=last,
            output=self._subject.output,
            iterations=self._done,
            iteration_best=iteration,
            stop_reason=reason,
            seconds=seconds,
            held_out_error=error,
            held_out_deviation=deviation,
            parameters=parameters,
            precision=precision,
            set_back=tuple(set_back),
            warnings=tuple(warnings),
            trace=self._trace,
            held_out_covariance=covariance,
            steps_before=before[0],
            seconds_before=before[1],
        )

    def _scores(self, image: Tensor) -> tuple[float | None, float | None, float]:
        """Return the held-out error of the image of this step, its standard error, and the covariance."""
        return *self._subject.held_out_error(image), self._subject.covariance

    def state(self) -> dict[str, Any]:
        """Return what was seen and kept so far, but for the observers'."""
        rule, trace = self._rule.state(), self._trace.state()
        best = {
            "best": self._best,
            "best_iteration": self._best_iteration,
            "best_scores": list(self._best_scores),
            "done": self._done,
        }
        return {"rule": rule, "trace": trace, **best}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self._rule.restore(state["rule"])
        self._trace.restore(state["trace"])
        self._best = None if state["best"] is None else state["best"].to(self._subject.device)
        self._best_iteration, self._done = state["best_iteration"], state["done"]
        error, deviation, covariance = state["best_scores"]
        self._best_scores = error, deviation, covariance
