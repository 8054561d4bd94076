"""One step of a fit, and all that it needs: a measurement, networks, an optimiser, a rescue."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from restore.cells import project_
from restore.fitting.acceleration import Calls
from restore.fitting.handover import channel_statistics, hand_over_
from restore.fitting.network import build_priors, make_optimizer
from restore.fitting.objectives import Score
from restore.fitting.precision import arithmetic
from restore.fitting.rescue import Rescue
from restore.fitting.subject import Subject, mean_image
from restore.fitting.trace import Step
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Training"]


class Training(Subject):
    """Untrained networks in training on one measurement: one, or several whose images are averaged.

    Args:
        problem, plan: of the fit.
        start: what `learned` gave of another fit with such a network, to begin with; None begins with drawn weights.
            With the `statistics` of its channels on the other picture, normalisation takes them up (`hand_over_`).
        before: steps and seconds of that other fit, if it was the beginning of this one.
        held_out: bool (1, 1, H, W), pixels that are never scored; None draws them.

    Attributes:
        networks: all of them.
        prior: the first.
        precision: `float32` or `bfloat16`, what the next step will run in.
        warnings: what went wrong so far, in sentences.
        set_back: the losses of the steps that were set back, and of the one at which the fit gave up.
        gave_up: whether the fit diverged for good.
        before: steps and seconds with which the fit began; the seconds count as this fit's, the steps do not.
    """

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        start: Mapping[str, Any] | None = None,
        *,
        before: tuple[int, float] = (0, 0.0),
        held_out: Tensor | None = None,
    ) -> None:
        priors = build_priors(problem, plan)
        self.prior, self.networks = priors[0], nn.ModuleList(priors)
        super().__init__(problem, plan, self.prior, held_out)
        self._calls = Calls(priors, plan.accelerate, self.device)
        self._optimizer = make_optimizer(self.networks, plan)
        self.precision = plan.precision
        if start is not None:  # before the rescue takes note of them
            self.networks.load_state_dict(start["networks"])
            groups = self._optimizer.state_dict()["param_groups"]  # the rates are the plan's
            self._optimizer.load_state_dict({"state": start["optimizer"], "param_groups": groups})
            if "statistics" in start:
                self._take_over(start["statistics"])
        self._recurs = plan.cell != "none"
        self._rescue = Rescue(self.networks, self._optimizer, plan.rewind_rate, self.scored_pixels, self.jump)
        self.warnings: list[str] = []
        self.set_back: list[float] = []
        self.gave_up = False
        self.before = before
        self._began = time.perf_counter() - before[1]

    def step(self, iteration: int) -> Step | None:
        """Do one step of the optimiser and return its state, or None if the fit had to be set back instead."""
        self._optimizer.zero_grad(set_to_none=True)
        images: list[Tensor] = []
        losses: list[float] = []
        misfits: list[float] = []
        # One after the other, and back at once: their features never meet in memory.
        for number in range(len(self.networks)):
            draw = self.draw()
            output = self._calls(number, draw.inputs, self.precision)
            image, score = self.score(output, draw)
            loss = score.loss.item()
            if self.plan.rescue and (trouble := self._rescue.trouble(loss)):
                self._set_back(iteration, trouble, loss)
                return None
            score.loss.backward()  # type: ignore[no-untyped-call]
            images.append(image.detach())
            losses.append(loss)
            misfits.append(score.misfit.item())
        loss, misfit = statistics.fmean(losses), statistics.fmean(misfits)
        if self.plan.rescue:
            # Before the update: only the weights that made this loss are known to be good.
            self._rescue.keep(iteration, loss)
        self._optimizer.step()
        if self._recurs:
            project_(self.networks)
        for number in range(len(self.networks)):
            if looks := self.looks(iteration):
                with torch.no_grad():
                    outputs = [self._calls(number, draw.inputs, self.precision) for draw in looks]
                self.look(outputs, looks)
        rate = self._optimizer.param_groups[0]["lr"]
        return self.advance(iteration, mean_image(images), loss, misfit, rate, self.seconds)

    def learned(self) -> dict[str, Any]:
        """Return a copy of the weights and of what the optimiser knows of their gradients."""
        known = self._optimizer.state_dict()["state"]
        return copy.deepcopy({"networks": self.networks.state_dict(), "optimizer": known})

    def statistics(self) -> dict[str, Tensor]:
        """Return mean and deviation of the channels on this picture, which tell another fit what they were here."""
        return channel_statistics(self.networks, self._show)

    def state(self) -> dict[str, Any]:
        """Return all that the next steps depend on."""
        return {
            **super().state(),
            "networks": self.networks.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rescue": self._rescue.state(),
            "precision": self.precision,
            "warnings": self.warnings,
            "set_back": self.set_back,
            "seconds": self.seconds,
            "before": self.before,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned, in a training of the same problem and plan."""
        super().restore(state)
        self.networks.load_state_dict(state["networks"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rescue.restore(state["rescue"])
        self.precision, self.warnings, self.set_back = state["precision"], state["warnings"], state["set_back"]
        self._began = time.perf_counter() - state["seconds"]
        self.before = state["before"]

    @property
    def parameters(self) -> int:
        """Number of the networks' parameters."""
        return sum(parameter.numel() for parameter in self.networks.parameters())

    @property
    def seconds(self) -> float:
        """Seconds since the first step could begin."""
        return time.perf_counter() - self._began

    def glance(self) -> Tensor:
        """Return the image (1, C, H, W) that the networks make of the measurement, without a step."""
        return mean_image([image for image, _ in self._shown()])

    def _show(self) -> float:
        """Show every network what a step would, and return what it would be worth."""
        return statistics.fmean(score.loss.item() for _, score in self._shown())

    def _shown(self) -> list[tuple[Tensor, Score]]:
        shown = []
        with arithmetic(self.precision, self.device), torch.no_grad():
            for network in self.networks:
                draw = self.usual()
                # Not the recorded graph, which takes the place of `network.forward` and knows no hooks.
                shown.append(self.score(type(network).forward(network, *draw.inputs), draw))
        return shown

    def _take_over(self, statistics: Mapping[str, Tensor]) -> None:
        """Be the same function as where the `statistics` are from, if that is of use on this picture."""
        weights, loss = copy.deepcopy(self.networks.state_dict()), self._show()
        hand_over_(self.networks, statistics, self._show)
        if not self._show() < loss:
            self.networks.load_state_dict(weights)

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
