"""RFLO: a leaky recurrent cell that can learn from traces of its own past, without backpropagation through time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restore.cells.base import Cell, driven, reset_layer_
from restore.cells.draws import normal
from restore.errors import UsageError, unknown_name

__all__ = ["LEARNING_RULES", "RFLO"]

LEARNING_RULES = ("backpropagation", "rflo")


class RFLO(Cell):
    """Leaky recurrent cell with random-feedback local online learning as an option (Murray; doi:10.7554/eLife.43299).

        h_t = (1 - 1/tau) h_{t-1} + (1/tau) tanh(W h_{t-1} + drive)

    With `learning_rule="rflo"` the gradient does not pass through W h_{t-1}, only through the leak. What autograd then
    accumulates for W is exactly the local rule: with u_t = W h_{t-1} + drive and the feedback e_t = dL/dh_t of the loss
    at time t alone,

        dL/dW_ab = sum_t e_{t,a} p_{t,ab},    p_t = (1 - 1/tau) p_{t-1} + (1/tau) tanh'(u_{t,a}) h_{t-1,b},

    and likewise for the input map. Where the loss acts through `FeedbackLinear`, e_t comes through its fixed random
    weights; through an ordinary linear layer it is exact (B = W_out^T). With W = 0 nothing is cut off, and the rule is
    backpropagation through time. `restore.cells.rflo_learning` has the same rule online, in memory that does not grow
    with T.

    State, drive and readout are (..., n). W starts from N(0, 1.5^2 / n), the input map from U(-0.1, 0.1), the state at
    0.1. Where the released code differs: its input weights start from U(-0.1, 0), and their eligibility uses the input
    of one step earlier than the dynamics do.

    Args:
        size: n.
        tau: time constant in steps, at least 1.
        learning_rule: "backpropagation" or "rflo".
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError for a tau below 1 and for an unknown learning rule.
    """

    def __init__(
        self,
        size: int,
        *,
        tau: float = 10.0,
        learning_rule: str = "backpropagation",
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, dtype=dtype)
        if not tau >= 1:
            raise UsageError(f"rflo needs a time constant tau of at least 1 step, got {tau}.")
        if learning_rule not in LEARNING_RULES:
            raise unknown_name("learning rule", learning_rule, LEARNING_RULES)
        self.tau = tau
        self.learning_rule = learning_rule
        self.W = nn.Parameter(normal((size, size), 1.5 * size**-0.5, generator))
        self.to(device=device, dtype=dtype or torch.float32)

    def initial(self, shape: Sequence[int] = ()) -> Tensor:
        """Return 0.1 everywhere, (*shape, n)."""
        return self.zeros(shape) + 0.1

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return h_t (..., n) from the drive (..., n) and h_{t-1} (..., n)."""
        presynaptic = state.detach() if self.learning_rule == "rflo" else state
        activation = torch.tanh(driven(self.W, presynaptic, drive))
        return (1 - 1 / self.tau) * state + activation / self.tau

    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map's weights from U(-0.1, 0.1), bias zero."""
        reset_layer_(layer, 0.1, generator)

    def matrices(self) -> dict[str, Tensor]:
        """Return {"W": W}."""
        return {"W": self.W}
