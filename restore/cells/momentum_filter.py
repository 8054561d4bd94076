"""What the momentum family puts between input and recurrence: an optimiser's rule, with the drive for a gradient.

With the drive g_t and v_0 = m_0 = 0,

    momentum   v_t = mu v_{t-1} + s g_t,                                        signal v_t
    nesterov   the same with mu_t = (t - 1) / (t + 2)
    restart    the same with mu_t = (k - 1) / (k + 2),  k = ((t - 1) mod F) + 1
    adam       also m_t = beta m_{t-1} + (1 - beta) g_t * g_t,                  signal v_t / sqrt(m_t + 1e-16)
    rmsprop    adam with mu = 0

v_t depends on the drives alone, never on the state: the family is a recurrence behind an exponential filter of its
input, and the Jacobian of the state is that of the cell without it. Under a constant drive the filter only ramps the
gain up to s / (1 - mu); adam and rmsprop keep the drive's sign and drop its size (arXiv:2006.06919; derived from its
equations).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from restore.errors import UsageError, unknown_name

__all__ = ["RULES", "InputFilter", "Memory"]

RULES: dict[str, dict[str, float]] = {
    "momentum": {"momentum": 0.6, "step_size": 0.6},
    "adam": {"momentum": 0.6, "step_size": 0.6, "decay": 0.1},
    "rmsprop": {"step_size": 0.6, "decay": 0.9},
    "nesterov": {"step_size": 1.0},
    "restart": {"step_size": 1.0, "period": 2},
}
"""Settings and defaults of each rule: the published recipes for digits as sequences; for nesterov there is none."""

EPSILON = 1e-16


class Memory(NamedTuple):
    """What an `InputFilter` remembers.

    Attributes:
        velocity: v_t (..., d).
        square: m_t (..., d), or None where the rule has none.
        time: t, the number of drives so far.
    """

    velocity: Tensor
    square: Tensor | None
    time: int


class InputFilter:
    """One of the `RULES`, with its settings.

    Args:
        rule: "momentum", "adam", "rmsprop", "nesterov" or "restart".
        momentum: mu in [0, 1).
        step_size: s > 0.
        decay: beta in [0, 1).
        period: F, steps from one restart to the next, at least 1.

    A setting that is None has the rule's default. Raises UsageError for an unknown rule, for a setting that the rule
    does not have, and for a value outside these.
    """

    def __init__(
        self,
        rule: str,
        *,
        momentum: float | None = None,
        step_size: float | None = None,
        decay: float | None = None,
        period: int | None = None,
    ) -> None:
        if rule not in RULES:
            raise unknown_name("momentum rule", rule, RULES)
        asked = {"momentum": momentum, "step_size": step_size, "decay": decay, "period": period}
        given = {name: value for name, value in asked.items() if value is not None}
        for name in given:
            if name not in RULES[rule]:
                raise UsageError(f"the rule {rule!r} has no {name}; its settings are {', '.join(RULES[rule])}.")
        settings = RULES[rule] | given
        self.rule = rule
        self.momentum = settings.get("momentum", 0.0)
        self.step_size = settings["step_size"]
        self.decay = settings.get("decay")
        self.period = settings.get("period")
        for name, value in (("momentum", self.momentum), ("decay", self.decay or 0.0)):
            if not 0 <= value < 1:
                raise UsageError(f"the rule {rule!r} needs a {name} of at least 0 and below 1, got {value}.")
        if not self.step_size > 0:
            raise UsageError(f"the rule {rule!r} needs a step_size above 0, got {self.step_size}.")
        if self.period is not None and self.period < 1:
            raise UsageError(f"the rule {rule!r} needs a period of at least 1 step, got {self.period}.")

    def start(self, zeros: Tensor) -> Memory:
        """Return the memory before the first drive; `zeros` (..., d)."""
        return Memory(zeros, None if self.decay is None else zeros, 0)

    def advance(self, drive: Tensor, memory: Memory) -> Memory:
        """Return the memory after the drive g_t (..., d)."""
        time = memory.time + 1
        velocity = self.coefficient(time) * memory.velocity + self.step_size * drive
        if self.decay is None or memory.square is None:
            return Memory(velocity, None, time)
        return Memory(velocity, self.decay * memory.square + (1 - self.decay) * drive.square(), time)

    def signal(self, memory: Memory) -> Tensor:
        """Return what the recurrence is driven by, (..., d)."""
        if memory.square is None:
            return memory.velocity
        return memory.velocity / torch.sqrt(memory.square + EPSILON)

    def coefficient(self, time: int) -> float:
        """Return mu_t, for t from 1.

        >>> [round(InputFilter("restart", period=3).coefficient(t), 2) for t in range(1, 8)]
        [0.0, 0.25, 0.4, 0.0, 0.25, 0.4, 0.0]
        """
        if self.rule == "nesterov":
            return (time - 1) / (time + 2)
        if self.period is not None:
            since = (time - 1) % self.period
            return since / (since + 3)
        return self.momentum
