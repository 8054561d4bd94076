"""One step of a fit, and all that it needs: network, optimiser, objective, average, rescue."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from restore.cells import project_
from restore.fitting.averaging import OutputAverage
from restore.fitting.network import build_prior, make_optimizer
from restore.fitting.objectives import choose_held_out, make_objective
from restore.fitting.precision import arithmetic
from restore.fitting.rescue import Rescue
from restore.fitting.trace import CHECK_EVERY, Step
from restore.problems.padding import Padding
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Training"]

DRAWS = 2**31
"""Added to the seed for the draws of the steps, so that they do not repeat those of the initial weights.

PyTorch's generator on the CPU looks at 32 bits of a seed, and a seed of ours has 31.
"""


class Training:
    """An untrained network in training on one measurement.

    Attributes:
        prior: the network.
        average: the running average of its outputs.
        precision: `float32` or `bfloat16`, what the next step will run in.
        warnings: what went wrong so far, in sentences.
        set_back: the losses of the steps that were set back, and of the one at which the fit gave up.
        gave_up: whether the fit diverged for good.
        output: the image of the last step, (1, C, H, W).
    """

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.device = torch.device(plan.device)
        self.problem = problem.to(self.device)
        self.plan = plan
        generator = torch.Generator(self.device).manual_seed(DRAWS + plan.seed)
        self.held_out = choose_held_out(self.problem.known, plan.held_out, generator)
        self.prior = build_prior(problem, plan)
        padding = Padding(problem.size, self.prior.multiple, self.prior.minimum)
        self._objective = make_objective(self.problem, plan, self.prior, padding, self.held_out, generator)
        self._generators = [generator, *(each for each in self._objective.generators if each is not generator)]
        self._optimizer = make_optimizer(self.prior, plan)
        scored = int(problem.known.sum()) * (plan.hidden if plan.objective == "blindspot" else 1.0)
        self._recurs = plan.cell != "none"
        self._rescue = Rescue(self.prior, self._optimizer, plan.rewind_rate, scored)
        self.average = OutputAverage(plan.average)
        self.precision = plan.precision
        self.warnings: list[str] = []
        self.set_back: list[float] = []
        self.gave_up = False
        self.output = self.problem.measurement
        self._began = time.perf_counter()

    def step(self, iteration: int) -> Step | None:
        """Do one step of the optimiser and return its state, or None if the fit had to be set back instead."""
        draw = self._objective.draw()
        with arithmetic(self.precision, self.device):
            output = self.prior(*draw.inputs)
        image = self._objective.image(output.float(), draw)
        score = self._objective.score(image, draw)
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

        self.output = image.detach()
        average = self.average.update(self.output)
        check = iteration % CHECK_EVERY == 0 or iteration == self.plan.iterations
        return Step(
            iteration=iteration,
            seconds=self.seconds,
            loss=loss,
            misfit=score.misfit.item(),
            learning_rate=self._optimizer.param_groups[0]["lr"],
            output=self.output,
            image=average,
            held_out=self.held_out_error(average)[0] if check else None,
            check=check,
        )

    def state(self) -> dict[str, Any]:
        """Return all that the next steps depend on."""
        return {
            "prior": self.prior.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rescue": self._rescue.state(),
            "average": self.average.state(),
            "generators": [generator.get_state() for generator in self._generators],
            "precision": self.precision,
            "warnings": self.warnings,
            "set_back": self.set_back,
            "output": self.output,
            "seconds": self.seconds,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned, in a training of the same problem and plan."""
        self.prior.load_state_dict(state["prior"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rescue.restore(state["rescue"])
        self.average.restore(_moved(state["average"], self.device))
        for generator, bits in zip(self._generators, state["generators"], strict=True):
            generator.set_state(bits)
        self.precision, self.warnings, self.set_back = state["precision"], state["warnings"], state["set_back"]
        self.output = state["output"].to(self.device)
        self._began = time.perf_counter() - state["seconds"]

    @property
    def seconds(self) -> float:
        """Seconds since the first step could begin."""
        return time.perf_counter() - self._began

    def held_out_error(self, image: Tensor) -> tuple[float | None, float | None]:
        """Return the mean squared error of `image` on the held-out pixels and its standard error; None without any."""
        if not bool(self.held_out.any()):
            return None, None
        errors = (image - self.problem.measurement).square().mean(1, keepdim=True)[self.held_out]
        return errors.mean().item(), errors.std().item() / math.sqrt(errors.numel())

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


def _moved(state: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in state.items()}
