"""One measurement in training, whatever trains the network: what is shown of it, what is scored, its average."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from restore.fitting.averaging import OutputAverage
from restore.fitting.fills import fill_biharmonic
from restore.fitting.objectives import BlindSpot, Draw, Score, choose_held_out, make_objective
from restore.fitting.recorrupted import Recorrupted
from restore.fitting.rescue import JUMP, JUMP_VARIED
from restore.fitting.trace import CHECK_EVERY, Step
from restore.priors import Prior
from restore.problems.padding import Padding
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Subject", "held_out_pixels", "mean_image"]

DRAWS = 2**31
"""Added to the seed for the draws of the steps, so that they do not repeat those of the initial weights.

PyTorch's generator on the CPU looks at 32 bits of a seed, and a seed of ours has 31.
"""

ROUGH = 1.3
"""Roughness above which filled pixels mislead: at 1.3 and below they told the best step to 0.05 dB, at 1.39 not."""


def mean_image(images: Sequence[Tensor]) -> Tensor:
    """Return the mean of the images that several networks made; that of one as it is."""
    return images[0] if len(images) == 1 else torch.stack(list(images)).mean(dim=0)


def held_out_pixels(problem: Problem, plan: Plan) -> Tensor:
    """Return bool (1, 1, H, W), on the plan's device: the pixels of `problem` that its fit will never score."""
    return choose_held_out(problem.known.to(plan.device), plan.held_out, _generator(plan))


def _generator(plan: Plan) -> torch.Generator:
    return torch.Generator(plan.device).manual_seed(DRAWS + plan.seed)


class Subject:
    """A measurement, all that a step draws of it, and the running average of the images that stand for it.

    Args:
        problem: the measurement.
        plan: of the fit.
        prior: the network, for the sizes that it can make and its code; it is not kept.
        held_out: pixels that are never scored, where they are not for this subject to draw.

    Attributes:
        problem: on the plan's device.
        held_out: bool (1, 1, H, W), the pixels that are never scored.
        average: of the images.
        output: the image of the last step, (1, C, H, W).
        scored_pixels: about how many are scored in a step.
        jump: of the loss, as a factor, that says that the fit has gone wrong.
    """

    def __init__(self, problem: Problem, plan: Plan, prior: Prior, held_out: Tensor | None = None) -> None:
        self.device = torch.device(plan.device)
        self.problem = problem.to(self.device)
        self.plan = plan
        generator = _generator(plan)
        drawn = choose_held_out(self.problem.known, plan.held_out, generator)
        self.held_out = drawn if held_out is None else held_out.to(self.device)
        padding = Padding(problem.size, prior.multiple, prior.minimum)
        self._objective = make_objective(self.problem, plan, prior, padding, self.held_out, generator)
        self._generators = [generator, *(each for each in self._objective.generators if each is not generator)]
        self.scored_pixels = int(problem.known.sum()) * (plan.hidden or 1.0)
        self.jump = JUMP_VARIED if plan.hidden_spread > 0 else JUMP
        self.average = OutputAverage(plan.average)
        # Of looks, which are taken at checks alone: as many steps in them as in the average of the steps' images.
        self._looked = OutputAverage(plan.average**CHECK_EVERY)
        self._covariance = OutputAverage(plan.average**CHECK_EVERY)
        self._shows_looks = False
        self._looks: list[tuple[Tensor, Tensor]] = []  # of the networks, since the last step was done
        self._judged: Tensor | None = None  # where only some channels of the held-out pixels can be
        self._clipped, self._rough = 0.0, False
        objective = self._objective
        if isinstance(objective, Recorrupted) and objective.variance is not None and bool(objective.judged.any()):
            self._judged, self._rough = objective.judged, objective.roughness > ROUGH
            self._clipped = (self.problem.sigma / 255) ** 2 - objective.variance[self._judged].mean().item()
            self._blind = self.held_out.expand_as(objective.variance)
            self._blind_variance = objective.variance[self._blind].mean().item()
        self._mixes = isinstance(objective, BlindSpot) and self.problem.kind == "inpaint"
        self.output = self.problem.measurement

    def draw(self) -> Draw:
        """Return what the next step shows and scores."""
        return self._objective.draw()

    def usual(self) -> Draw:
        """Return what a step shows and scores where the share of hidden pixels is not left to chance."""
        return self._objective.usual() if isinstance(self._objective, BlindSpot) else self.draw()

    def score(self, output: Tensor, draw: Draw) -> tuple[Tensor, Score]:
        """Return the image (1, C, H, W) that the network's `output` stands for, and its score."""
        image = self._objective.image(output.float(), draw)
        return image, self._objective.score(image, draw)

    def looks(self, iteration: int) -> list[Draw]:
        """Return what a network shall be shown after this step and not learn from, if anything.

        `Recorrupted` tells its error from that, and an inpainting fit fills its hole from all that is known.
        """
        if not self._is_check(iteration) or not (self._mixes or self._judged is not None):
            return []
        assert isinstance(self._objective, BlindSpot | Recorrupted)
        return self._objective.looks()

    def look(self, outputs: Sequence[Tensor], looks: Sequence[Draw]) -> None:
        """Take in what a network made of its `looks`, unless it is not finite: no loss has vouched for its weights."""
        images = [self._objective.image(output.float(), draw) for output, draw in zip(outputs, looks, strict=True)]
        image, covariance = mean_image(images), torch.zeros((), device=self.device)
        if isinstance(self._objective, Recorrupted):
            covariance = self._objective.covariance(images, looks)
        if bool(image.isfinite().all()):
            self._looks.append((image, covariance))

    def advance(
        self, iteration: int, image: Tensor, loss: float, misfit: float, learning_rate: float, seconds: float
    ) -> Step:
        """Take the image of a step into the average, and what was looked at, and return the state after it."""
        self.output = image.detach()
        self.average.update(self.output)
        if self._looks:
            images, covariances = zip(*self._looks, strict=True)
            self._looked.update(mean_image(images))
            self._covariance.update(torch.stack(covariances).mean())
            self._looks = []
            self._shows_looks = self._judged is not None and self._looks_are_better(self._judged)
        check = self._is_check(iteration)
        average = self.image
        assert average is not None
        return Step(
            iteration=iteration,
            seconds=seconds,
            loss=loss,
            misfit=misfit,
            learning_rate=learning_rate,
            output=self.output,
            image=average,
            held_out=self._stopping_error(average) if check else None,
            check=check,
        )

    @property
    def image(self) -> Tensor | None:
        """The averaged image, whose held-out pixels are those of the looks where they are better; None before a step.

        After few steps they are not: a look is of one set of weights, and the average of many. In inpainting it is the
        mean of the average, of many maskings, and of the looks, which see most: better than either.
        """
        image, looked = self.average.image, self._looked.image
        if image is not None and looked is not None and self._mixes:
            return (image + looked) / 2
        if image is None or looked is None or not self._shows_looks:
            return image
        return torch.where(self.held_out, looked, image)

    @property
    def shown_in_looks(self) -> Tensor | None:
        """Where the image is of looks alone, not of the steps' images, bool (1, 1, H, W); None for nowhere."""
        return None if self._judged is None else self.held_out

    @property
    def covariance(self) -> float:
        """Of the averaged image with the noise of the held-out pixels; 0 where it has never seen them."""
        return self._leverage_covariance if self._shows_looks else 0.0

    @property
    def _leverage_covariance(self) -> float:
        """Of what was looked at with the noise of the held-out pixels, whether or not the image shows it."""
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

    def interpolation(self, image: Tensor) -> tuple[Tensor, float, float] | None:
        """Return the biharmonic fill of scattered holes, where it is better than the averaged `image`; else None.

        With its error on the held-out pixels, from the others, and that error's standard error. A fit that was too
        short is worse than it, and some smooth pictures need no more.
        """
        own = self.held_out_error(image)[0]
        if not self._mixes or self.plan.hidden_spread == 0 or own is None:
            return None
        seen = self.problem.known & ~self.held_out
        error, deviation = self.held_out_error(fill_biharmonic(self.problem.measurement, seen.float()))
        if error is None or deviation is None or error >= own:
            return None
        return fill_biharmonic(self.problem.measurement, self.problem.known.float()), error, deviation

    def _stopping_error(self, image: Tensor) -> float | None:
        """Return what the averaged `image` is stopped by: its held-out error, told in the way that is least noisy.

        Where the noise is strong, chance makes more of Stein's estimate than the fit does. There the error e^2 of the
        pixels as they are filled in, which knows nothing of their noise, is a better measure; with the leverage
        h = cov / sigma^2 that a pixel has on itself when it is shown, that of a linear smoother is

            (1 - h)^2 e^2 + h^2 sigma^2.

        It is taken over all held-out values, the clipped ones too, in which a fit learns noise soonest: unlike Stein's
        estimate it does not need noise that is Gaussian.

        Where the picture is rough, what is filled in misleads the network, and Stein's estimate is taken.
        """
        own = self.held_out_error(image)[0]
        if self._judged is None or self._looked.image is None or own is None or self._rough:
            return own
        leverage = self._leverage_covariance / ((self.problem.sigma / 255) ** 2 - self._clipped)
        variance = self._blind_variance
        blind = self._blind_error(self.average.image, self._blind) - variance
        return (1 - leverage) ** 2 * blind + leverage**2 * variance + (self.problem.sigma / 255) ** 2

    def _looks_are_better(self, values: Tensor) -> bool:
        """Whether looks at held-out `values`, a mask, are closer to the truth than the average as they are filled in.

        An average that is worse than its last image lags behind the networks, whose looks then say nothing about it.
        """
        filled = self._blind_error(self.average.image, values)
        return filled <= self._blind_error(self.output, values) and self._look_error() <= filled

    def _blind_error(self, image: Tensor | None, values: Tensor) -> float:
        """Return the error of held-out `values` of an `image`, as they are filled in, plus that of their noise."""
        assert image is not None
        return (image - self.problem.measurement).square()[values].mean().item()

    def _look_error(self) -> float:
        """Return the same of the looks, by Stein's estimate."""
        assert self._looked.image is not None and self._judged is not None
        misfit = (self._looked.image - self.problem.measurement).square()[self._judged].mean().item()
        return misfit + 2 * self._leverage_covariance

    def _is_check(self, iteration: int) -> bool:
        return iteration % CHECK_EVERY == 0 or iteration == self.plan.iterations

    def state(self) -> dict[str, Any]:
        """Return all that the next draws and averages depend on."""
        return {
            "average": self.average.state(),
            "looked": self._looked.state(),
            "covariance": self._covariance.state(),
            "shows_looks": self._shows_looks,
            "generators": [generator.get_state() for generator in self._generators],
            "output": self.output,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        averages = {"average": self.average, "looked": self._looked, "covariance": self._covariance}
        for name, average in averages.items():
            average.restore(state[name], self.device)
        self._shows_looks = state["shows_looks"]
        for generator, bits in zip(self._generators, state["generators"], strict=True):
            generator.set_state(bits)
        self.output = state["output"].to(self.device)
