"""Setting a fit back that has gone wrong: a loss that is not finite, or one that has suddenly risen."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["JUMP", "JUMP_VARIED", "Rescue", "Trouble"]

SNAPSHOT_EVERY = 50
JUMP = 10**0.5  # 5 dB, at which the released code of the deep image prior (arXiv:1711.10925) goes back
JUMP_VARIED = 10.0
"""The same where the share of hidden pixels changes: on smooth pictures some steps are six times as hard as others."""

MOST_REWINDS = 8
FEWEST_PIXELS = 256


class Trouble:
    """Notices that a fit has gone wrong, from its losses.

    Args:
        scored: number of pixels scored in a step; with few, a jump of the loss means nothing and only NaN counts.
        jump: from the running mean of the losses, as a factor, that is too far.
    """

    def __init__(self, scored: float, jump: float = JUMP) -> None:
        self._jump = jump
        self._watch_jumps = scored >= FEWEST_PIXELS
        self._smooth = math.inf

    def of(self, loss: float) -> str | None:
        """Return what is wrong with this `loss`, in words, or None."""
        if not math.isfinite(loss):
            return "the loss was not finite"
        if self._watch_jumps and loss > self._jump * self._smooth:
            return f"the loss jumped to {loss:.3g} from about {self._smooth:.3g}"
        return None

    def keep(self, loss: float) -> None:
        """Take note of a good loss."""
        self._smooth = loss if math.isinf(self._smooth) else 0.95 * self._smooth + 0.05 * loss

    def forget(self) -> None:
        """Begin anew."""
        self._smooth = math.inf

    def state(self) -> float:
        """Return the running mean of the losses."""
        return self._smooth

    def restore(self, state: float) -> None:
        """Take back what `state` returned."""
        self._smooth = state


class Rescue:
    """Keeps a recent good state of a fit, notices trouble, and goes back.

    Args:
        prior, optimizer: what is set back.
        factor: on the learning rate, each time it is lowered.
        scored, jump: as for `Trouble`.

    Attributes:
        rewinds: how often it has gone back.
    """

    def __init__(
        self, prior: nn.Module, optimizer: torch.optim.Optimizer, factor: float, scored: float, jump: float = JUMP
    ) -> None:
        self._prior, self._optimizer, self._factor = prior, optimizer, factor
        self._rates: list[float] = [group["lr"] for group in optimizer.param_groups]
        self._trouble = Trouble(scored, jump)
        self._state = self._snapshot()
        self.rewinds = 0

    def trouble(self, loss: float) -> str | None:
        """Return what is wrong with this `loss`, in words, or None."""
        return self._trouble.of(loss)

    def keep(self, iteration: int, loss: float) -> None:
        """Take note of a good step, and of the whole state now and then."""
        self._trouble.keep(loss)
        if iteration % SNAPSHOT_EVERY == 0:
            self._state = self._snapshot()

    @property
    def exhausted(self) -> bool:
        """Whether going back has been tried so often that it is hopeless."""
        return self.rewinds >= MOST_REWINDS

    def lower(self) -> float:
        """Lower the learning rates from here on and return the first group's."""
        self._rates = [rate * self._factor for rate in self._rates]
        return self._rates[0]

    def rewind(self) -> None:
        """Go back to the last good state."""
        self.rewinds += 1
        self._prior.load_state_dict(self._state["prior"])
        self._optimizer.load_state_dict(copy.deepcopy(self._state["optimizer"]))
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate
        self._trouble.forget()

    def state(self) -> dict[str, Any]:
        """Return what it keeps: the last good state, the rates, and what it knows of the loss."""
        kept = {"rates": self._rates, "rewinds": self.rewinds, "snapshot": self._state}
        return {"trouble": self._trouble.state(), **kept}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self._trouble.restore(state["trouble"])
        self._rates, self.rewinds, self._state = state["rates"], state["rewinds"], state["snapshot"]

    def _snapshot(self) -> dict[str, Any]:
        return {
            "prior": copy.deepcopy(self._prior.state_dict()),
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
        }
