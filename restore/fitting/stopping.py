"""When to stop. A rule sees the steps of a fit and never a reference picture.

Every rule is called after each step and says whether the image of this step is the best so far, and whether to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from restore.errors import UsageError
from restore.fitting.recorrupted import RECORRUPTION, WHITE_RECORRUPTION
from restore.fitting.trace import Step
from restore.settings import Plan

__all__ = ["RULES", "Discrepancy", "HeldOut", "Never", "StoppingRule", "Verdict", "WindowedVariance", "make_rule"]


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a step: whether its image is the `best` so far, and the reason to `stop`, if there is one."""

    best: bool
    stop: str | None = None


class StoppingRule:
    """Base class of all rules: `rule(step) -> Verdict`. What a rule remembers can be taken out and put back."""

    REMEMBERED: tuple[str, ...] = ()
    """Attributes that change from step to step."""

    def state(self) -> dict[str, Any]:
        """Return what the rule remembers."""
        return {name: getattr(self, name) for name in self.REMEMBERED}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        for name in self.REMEMBERED:
            setattr(self, name, state[name])

    def __call__(self, step: Step) -> Verdict:
        """Judge the step."""
        raise NotImplementedError


class Never(StoppingRule):
    """Runs to the last iteration and keeps the last image."""

    def __call__(self, step: Step) -> Verdict:
        """Judge every checked step the best so far."""
        return Verdict(best=step.check)


class HeldOut(StoppingRule):
    """Stops when the error on measured pixels that were never scored has not improved for `patience` steps.

    These pixels carry the same noise as all others, so their mean squared error is that of the true image plus
    sigma^2: its minimum is the best image, for any network, normalisation and noise, as long as the noise is
    independent between pixels. Where they are shown in looks, `Subject` tells the error in another way.

    Args:
        warmup: steps before which the fit is not ended.
        patience: steps without a new minimum.
    """

    REMEMBERED = ("least", "iteration")

    def __init__(self, warmup: int, patience: int) -> None:
        self.warmup, self.patience = warmup, patience
        self.least = float("inf")
        self.iteration = 0

    def __call__(self, step: Step) -> Verdict:
        """Judge the step by its held-out error."""
        if step.held_out is None:
            return Verdict(best=False)
        if step.held_out < self.least:
            self.least, self.iteration = step.held_out, step.iteration
            return Verdict(best=True)
        waited = step.iteration - self.iteration
        stop = step.iteration > self.warmup and waited >= self.patience
        return Verdict(best=False, stop="heldout" if stop else None)


class WindowedVariance(StoppingRule):
    """Stops at the first lasting minimum of the variance of the last `window` outputs: ES-WMV.

        var_t = 1/W sum_w ||x_{t-w} - mean_w x_{t-w}||^2

    Wang et al., Early Stopping for Deep Image Prior, TMLR 2023, arXiv:2112.06074, with W = 100 and patience 1,000. The
    variance is also small while a network has hardly begun, which deceives the rule where a normalisation makes it
    slow (group normalisation). So a minimum counts only after `warmup` steps and once the misfit has come down to
    `level`.

    Args:
        warmup: steps before which no minimum counts.
        patience: steps without a new minimum.
        level: misfit above which no minimum counts.
        window: number W of outputs.
        pixels: largest number of values of an image that are looked at.
    """

    REMEMBERED = ("least", "iteration", "_ring", "_sum", "_squares")

    def __init__(self, warmup: int, patience: int, level: float, window: int = 100, pixels: int = 65536) -> None:
        self.warmup, self.patience, self.level, self.window, self.pixels = warmup, patience, level, window, pixels
        self.least = float("inf")
        self.iteration = 0
        self._ring: list[Tensor] = []
        self._sum: Tensor | None = None
        self._squares = 0.0

    def __call__(self, step: Step) -> Verdict:
        """Judge the step by the variance of the outputs up to it."""
        variance = self._variance(step.output)
        if variance is None or step.iteration <= self.warmup or step.misfit > self.level:
            return Verdict(best=step.check and self.iteration == 0)
        if variance < self.least:
            self.least, self.iteration = variance, step.iteration
            return Verdict(best=True)
        waited = step.iteration - self.iteration
        return Verdict(best=False, stop="variance" if waited >= self.patience else None)

    def _variance(self, image: Tensor) -> float | None:
        values = image.detach().flatten()
        stride = -(-values.numel() // self.pixels)
        values = values[::stride].cpu().double()
        self._sum = values.clone() if self._sum is None else self._sum.add_(values)
        self._squares += float(values.square().mean())
        self._ring.append(values)
        if len(self._ring) > self.window:
            oldest = self._ring.pop(0)
            self._sum.sub_(oldest)
            self._squares -= float(oldest.square().mean())
        if len(self._ring) < self.window:
            return None
        return self._squares / self.window - float((self._sum / self.window).square().mean())


class Discrepancy(StoppingRule):
    """Stops when the misfit has come down to the noise: mean |A x - y|^2 <= sigma^2 (Morozov's principle).

    Source: V. A. Morozov, Methods for Solving Incorrectly Posed Problems, 1984, doi:10.1007/978-1-4612-5280-1.

    Args:
        level: sigma^2, for values in [0, 1].
    """

    REMEMBERED = ("_misfit",)

    def __init__(self, level: float) -> None:
        self.level = level
        self._misfit: float | None = None

    def __call__(self, step: Step) -> Verdict:
        """Judge the step by its misfit, smoothed over about ten steps."""
        self._misfit = step.misfit if self._misfit is None else 0.9 * self._misfit + 0.1 * step.misfit
        reached = self._misfit <= self.level
        return Verdict(best=step.check or reached, stop="discrepancy" if reached else None)


RULES: dict[str, Callable[[Plan, float, float], StoppingRule]] = {
    "heldout": lambda plan, variance, tau: HeldOut(plan.warmup, plan.patience),
    "variance": lambda plan, variance, tau: WindowedVariance(plan.warmup, plan.patience, _level(plan, variance, tau)),
    "discrepancy": lambda plan, variance, tau: Discrepancy(variance),
    "none": lambda plan, variance, tau: Never(),
}


def make_rule(plan: Plan, sigma: float, *, correlated: bool = False) -> StoppingRule:
    """Return the rule that `plan` names, for noise of standard deviation `sigma` (0 to 255 scale), `correlated` or not.

    Raises UsageError when the discrepancy principle is asked for without noise, or under the blind-spot objective,
    whose misfit on hidden pixels never falls to sigma^2.
    """
    if plan.stop == "discrepancy" and not sigma > 0:
        raise UsageError("stop 'discrepancy' needs the noise: sigma is 0 here; give --sigma, or use --stop heldout.")
    if plan.stop == "discrepancy" and plan.objective != "fit":
        raise UsageError(
            f"stop 'discrepancy' needs --objective fit: under {plan.objective!r} the noise of the measurement is never "
            "fitted."
        )
    return RULES[plan.stop](plan, (sigma / 255) ** 2, RECORRUPTION if correlated else WHITE_RECORRUPTION)


def _level(plan: Plan, variance: float, tau: float) -> float:
    """Return the misfit above which an image is certainly still worse than the measurement: its error is the noise's.

    To that comes the noise of what it is compared with: once more the measurement's, and under `recorrupted` that of
    what was drawn, 1 / tau^2 of it.
    """
    drawn = 1 / tau**2 if plan.objective == "recorrupted" else 0.0
    return (2 + drawn) * variance if variance > 0 else float("inf")
