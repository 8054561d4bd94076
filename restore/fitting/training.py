"""One step of a fit, and all that it needs: a measurement, a network, an optimiser, a rescue."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from typing import Any

from restore.cells import project_
from restore.fitting.network import build_prior, make_optimizer
from restore.fitting.precision import arithmetic
from restore.fitting.rescue import Rescue
from restore.fitting.subject import Subject
from restore.fitting.trace import Step
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Training"]


class Training(Subject):
    """An untrained network in training on one measurement.

    Args:
        problem, plan: of the fit.
        start: what `learned` gave of another fit with such a network, to begin with; None begins with drawn weights.

    Attributes:
        prior: the network.
        precision: `float32` or `bfloat16`, what the next step will run in.
        warnings: what went wrong so far, in sentences.
        set_back: the losses of the steps that were set back, and of the one at which the fit gave up.
        gave_up: whether the fit diverged for good.
    """

    def __init__(self, problem: Problem, plan: Plan, start: Mapping[str, Any] | None = None) -> None:
        self.prior = build_prior(problem, plan)
        super().__init__(problem, plan, self.prior)
        self._optimizer = make_optimizer(self.prior, plan)
        if start is not None:  # before the rescue takes note of them
            self.prior.load_state_dict(start["prior"])
            groups = self._optimizer.state_dict()["param_groups"]  # the rates are the plan's
            self._optimizer.load_state_dict({"state": start["optimizer"], "param_groups": groups})
        self._recurs = plan.cell != "none"
        self._rescue = Rescue(self.prior, self._optimizer, plan.rewind_rate, self.scored_pixels)
        self.precision = plan.precision
        self.warnings: list[str] = []
        self.set_back: list[float] = []
        self.gave_up = False
        self._began = time.perf_counter()

    def step(self, iteration: int) -> Step | None:
        """Do one step of the optimiser and return its state, or None if the fit had to be set back instead."""
        draw = self.draw()
        with arithmetic(self.precision, self.device):
            output = self.prior(*draw.inputs)
        image, score = self.score(output, draw)
        loss = score.loss.item()
        if self.plan.rescue:
            if trouble := self._rescue.trouble(loss):
                self._set_back(iteration, trouble, loss)
                return None
            # Before the update: only the weights that made this loss are known to be good.
            self._rescue.keep(iteration, loss)
        self._optimizer.zero_grad(set_to_none=True)
        score.loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        if self._recurs:
            project_(self.prior)
        rate = self._optimizer.param_groups[0]["lr"]
        return self.advance(iteration, image, loss, score.misfit.item(), rate, self.seconds)

    def learned(self) -> dict[str, Any]:
        """Return a copy of the weights and of what the optimiser knows of their gradients."""
        return copy.deepcopy({"prior": self.prior.state_dict(), "optimizer": self._optimizer.state_dict()["state"]})

    def state(self) -> dict[str, Any]:
        """Return all that the next steps depend on."""
        return {
            **super().state(),
            "prior": self.prior.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rescue": self._rescue.state(),
            "precision": self.precision,
            "warnings": self.warnings,
            "set_back": self.set_back,
            "seconds": self.seconds,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned, in a training of the same problem and plan."""
        super().restore(state)
        self.prior.load_state_dict(state["prior"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rescue.restore(state["rescue"])
        self.precision, self.warnings, self.set_back = state["precision"], state["warnings"], state["set_back"]
        self._began = time.perf_counter() - state["seconds"]

    @property
    def parameters(self) -> int:
        """Number of the network's parameters."""
        return sum(parameter.numel() for parameter in self.prior.parameters())

    @property
    def seconds(self) -> float:
        """Seconds since the first step could begin."""
        return time.perf_counter() - self._began

    def _set_back(self, iteration: int, trouble: str, loss: float) -> None:
        self.set_back.append(loss)
        if self._rescue.exhausted:
            self.gave_up = True
            self.warnings.append(f"at step {iteration} {trouble} once more: gave up and kept the best image so far.")
            return
        if self.precision == "bfloat16" and not math.isfinite(loss):
            self.precision = "float32"
            remedy = "went on in float32"
        else:
            remedy = f"lowered the learning rate to {self._rescue.lower():.3g}"
        self._rescue.rewind()
        self.warnings.append(f"at step {iteration} {trouble}: went back to the last good state and {remedy}.")
