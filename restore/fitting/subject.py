"""One measurement in training, whatever trains the network: what is shown of it, what is scored, its average."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from restore.fitting.averaging import OutputAverage
from restore.fitting.objectives import Draw, Score, choose_held_out, make_objective
from restore.fitting.recorrupted import Recorrupted
from restore.fitting.trace import CHECK_EVERY, Step
from restore.priors import Prior
from restore.problems.padding import Padding
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Subject", "mean_image"]

DRAWS = 2**31
"""Added to the seed for the draws of the steps, so that they do not repeat those of the initial weights.

PyTorch's generator on the CPU looks at 32 bits of a seed, and a seed of ours has 31.
"""


def mean_image(images: Sequence[Tensor]) -> Tensor:
    """Return the mean of the images that several networks made; that of one as it is."""
    return images[0] if len(images) == 1 else torch.stack(list(images)).mean(dim=0)


class Subject:
    """A measurement, all that a step draws of it, and the running average of the images that stand for it.

    Args:
        problem: the measurement.
        plan: of the fit.
        prior: the network, for the sizes that it can make and its code; it is not kept.

    Attributes:
        problem: on the plan's device.
        held_out: bool (1, 1, H, W), the pixels that are never scored.
        average: of the images.
        output: the image of the last step, (1, C, H, W).
        scored_pixels: about how many are scored in a step.
    """

    def __init__(self, problem: Problem, plan: Plan, prior: Prior) -> None:
        self.device = torch.device(plan.device)
        self.problem = problem.to(self.device)
        self.plan = plan
        generator = torch.Generator(self.device).manual_seed(DRAWS + plan.seed)
        self.held_out = choose_held_out(self.problem.known, plan.held_out, generator)
        padding = Padding(problem.size, prior.multiple, prior.minimum)
        self._objective = make_objective(self.problem, plan, prior, padding, self.held_out, generator)
        self._generators = [generator, *(each for each in self._objective.generators if each is not generator)]
        self.scored_pixels = int(problem.known.sum()) * (plan.hidden or 1.0)
        self.average = OutputAverage(plan.average)
        self._covariance = OutputAverage(plan.average)
        self._covariances: list[Tensor] = []  # of the networks, since the last step was done
        self._judged: Tensor | None = None  # where only some channels of the held-out pixels can be
        self._clipped = 0.0
        objective = self._objective
        if isinstance(objective, Recorrupted) and objective.variance is not None and bool(objective.judged.any()):
            self._judged = objective.judged
            self._clipped = (self.problem.sigma / 255) ** 2 - objective.variance[self._judged].mean().item()
        self.output = self.problem.measurement

    def draw(self) -> Draw:
        """Return what the next step shows and scores."""
        return self._objective.draw()

    def score(self, output: Tensor, draw: Draw) -> tuple[Tensor, Score]:
        """Return the image (1, C, H, W) that the network's `output` stands for, and its score."""
        image = self._objective.image(output.float(), draw)
        if self._judged is not None and isinstance(self._objective, Recorrupted):
            base = self.problem.measurement if self.average.image is None else self.average.image
            self._covariances.append(self._objective.covariance(image, draw, base))
        return image, self._objective.score(image, draw)

    def advance(
        self, iteration: int, image: Tensor, loss: float, misfit: float, learning_rate: float, seconds: float
    ) -> Step:
        """Take the image of a step into the average, and return the state after it."""
        self.output = image.detach()
        average = self.average.update(self.output)
        if self._covariances:
            self._covariance.update(torch.stack(self._covariances).mean())
            self.forget()
        check = iteration % CHECK_EVERY == 0 or iteration == self.plan.iterations
        return Step(
            iteration=iteration,
            seconds=seconds,
            loss=loss,
            misfit=misfit,
            learning_rate=learning_rate,
            output=self.output,
            image=average,
            held_out=self.held_out_error(average)[0] if check else None,
            check=check,
        )

    def forget(self) -> None:
        """Drop what a step that was not done has scored."""
        self._covariances = []

    @property
    def covariance(self) -> float:
        """Of the averaged image with the noise of the held-out pixels; 0 where it has never seen them."""
        return 0.0 if self._covariance.image is None else self._covariance.image.item()

    def held_out_error(self, image: Tensor) -> tuple[float | None, float | None]:
        """Return the error of the averaged `image` on the held-out pixels and its standard error; None without any.

        It is the mean squared difference from the measurement, made what it would be for an image that knows nothing
        of the noise and for noise of sigma everywhere: the image's own error plus sigma^2.
        """
        if not bool(self.held_out.any()):
            return None, None
        squares = (image - self.problem.measurement).square()
        errors = squares.mean(1, keepdim=True)[self.held_out] if self._judged is None else squares[self._judged]
        own = errors.mean().item() + 2 * self.covariance + self._clipped
        return own, errors.std().item() / math.sqrt(errors.numel())

    def state(self) -> dict[str, Any]:
        """Return all that the next draws and averages depend on."""
        return {
            "average": self.average.state(),
            "covariance": self._covariance.state(),
            "generators": [generator.get_state() for generator in self._generators],
            "output": self.output,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        for name, average in (("average", self.average), ("covariance", self._covariance)):
            average.restore(
                {key: each.to(self.device) if isinstance(each, Tensor) else each for key, each in state[name].items()}
            )
        for generator, bits in zip(self._generators, state["generators"], strict=True):
            generator.set_state(bits)
        self.output = state["output"].to(self.device)
