"""What came of many fits that together are one: their steps added, their errors averaged, their records joined."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from restore.fitting.judge import INTERPOLATED, Fitted
from restore.fitting.trace import Trace
from restore.settings import Plan

__all__ = ["Ledger"]

REASONS = ("interrupted", "time", "diverged", "iterations", "variance", "discrepancy", "heldout")
"""Of the reasons for which the fits ended, the first of these is that of all."""


@dataclass
class Ledger:
    """The sum of the fits that were entered.

    Attributes:
        iterations, best: steps, and steps of the images that were kept.
        before, seconds_before: steps and seconds on the middles of fits that began there.
        seconds: that all took.
        parameters, precision: of the last network.
        errors: by the fit's name, if it had held-out pixels: their error, its standard error, their noise's
            covariance with the image, and the fit's pixels.
        reasons: for which they ended.
        set_back: the losses of all steps that were set back.
        warnings: in sentences, each once.
        trace: the records, one after the other.
    """

    iterations: int = 0
    best: int = 0
    before: int = 0
    seconds_before: float = 0.0
    seconds: float = 0.0
    parameters: int = 0
    precision: str = ""
    errors: dict[str, tuple[float, float, float, int]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    set_back: list[float] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)

    def enter(self, fitted: Fitted, kept: bool, name: str) -> None:
        """Add a fit, `kept` if its image was taken; one of the same `name` takes the place of an earlier image."""
        record = fitted.trace
        self.trace.iteration += [self.iterations + iteration for iteration in record.iteration]
        self.trace.seconds += [self.seconds + seconds for seconds in record.seconds]
        self.trace.loss += record.loss
        self.trace.learning_rate += record.learning_rate
        self.trace.held_out += record.held_out
        self.iterations += fitted.iterations
        self.best += fitted.iteration_best if kept else 0
        self.before += fitted.steps_before
        self.seconds_before += fitted.seconds_before
        self.seconds += fitted.seconds
        self.parameters, self.precision = fitted.parameters, fitted.precision
        if kept and fitted.held_out_error is not None and fitted.held_out_deviation is not None:
            pixels = fitted.image.shape[-2] * fitted.image.shape[-1]
            covariance = fitted.held_out_covariance
            self.errors[name] = (fitted.held_out_error, fitted.held_out_deviation, covariance, pixels)
        self.reasons.append(fitted.stop_reason)
        self.set_back += fitted.set_back
        if kept:  # an earlier image is no longer there
            self.warnings = [warning for warning in self.warnings if warning != f"{name}: {INTERPOLATED}"]
        self.warnings += [f"{name}: {warning}" for warning in fitted.warnings]

    def fitted(self, image: Tensor, plan: Plan, tiles: int, done: int) -> Fitted:
        """Return all as one fit, whose image this is."""
        errors = list(self.errors.values())
        pixels = sum(count for *_, count in errors)
        error = deviation = None
        covariance = 0.0
        if pixels:
            error = sum(each * count for each, *_, count in errors) / pixels
            deviation = math.sqrt(sum((each * count) ** 2 for _, each, _, count in errors)) / pixels
            covariance = sum(each * count for _, _, each, count in errors) / pixels
        return Fitted(
            image=image,
            last=image,
            output=image,
            iterations=self.iterations,
            iteration_best=self.best,
            stop_reason=next((reason for reason in REASONS if reason in self.reasons), "iterations"),
            seconds=self.seconds,
            held_out_error=error,
            held_out_deviation=deviation,
            parameters=self.parameters,
            precision=self.precision or plan.precision,
            set_back=tuple(self.set_back),
            warnings=tuple(self.warnings),
            trace=self.trace,
            tiles=tiles,
            tiles_fitted=done,
            steps_before=self.before,
            seconds_before=self.seconds_before,
            held_out_covariance=covariance,
        )

    def state(self) -> dict[str, Any]:
        """Return all of it."""
        return {**vars(self), "trace": self.trace.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        vars(self).update({name: value for name, value in state.items() if name != "trace"})
        self.trace.restore(state["trace"])
