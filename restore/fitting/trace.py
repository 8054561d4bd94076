"""What a fit tells about itself: the state of a step, and the record of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

__all__ = ["CHECK_EVERY", "Observer", "Step", "Trace"]

CHECK_EVERY = 10
"""Steps between two looks at the averaged image: held-out error, best image so far, record."""


@dataclass(frozen=True)
class Step:
    """The state after one step of the optimiser, as observers and stopping rules see it.

    Attributes:
        iteration: number of steps done, from 1.
        seconds: since the first step began.
        loss: the objective's value in this step.
        misfit: mean squared difference of the output and the measurement where it was scored, values in [0, 1].
        learning_rate: step size of this step.
        output: the image of this step, (1, C, H, W).
        image: the averaged image, (1, C, H, W); only valid during the call, since it is updated in place.
        held_out: what the fit is stopped by: the mean squared error of `image` on the held-out pixels, or what else
            they say of it (`Subject`), sigma^2 included; None without any, and between checks.
        check: whether this is one of the steps at which the averaged image is looked at.
    """

    iteration: int
    seconds: float
    loss: float
    misfit: float
    learning_rate: float
    output: Tensor
    image: Tensor
    held_out: float | None
    check: bool


Observer = Callable[[Step], None]
"""Called after every step; draws bars, keeps records, measures. Must not change what it sees.

One that has a method `attach` is also handed the `Training` itself, before the first step. What one with the methods
`state` and `restore` has seen is kept with a checkpoint.
"""


@dataclass
class Trace:
    """The record of a fit, one entry a check; an observer.

    Attributes:
        iteration, seconds, loss, learning_rate: as in `Step`.
        held_out: as in `Step`; empty where no pixels are held out.
    """

    iteration: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Return the record."""
        return dict(vars(self))

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        vars(self).update(state)

    def __call__(self, step: Step) -> None:
        """Record the step if it is a check."""
        if not step.check:
            return
        self.iteration.append(step.iteration)
        self.seconds.append(step.seconds)
        self.loss.append(step.loss)
        self.learning_rate.append(step.learning_rate)
        if step.held_out is not None:
            self.held_out.append(step.held_out)
