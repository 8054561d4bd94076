"""SBO-RNN: the hidden state descends an energy, one optimiser step for every input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from restore.cells.base import Cell, State, driven, uniform
from restore.errors import UsageError, unknown_name

__all__ = ["SBORNN", "Descent"]

LOWER_LEVELS = ("sgd", "shb", "snag")


class Descent(NamedTuple):
    """The state of an `SBORNN` whose lower level has a memory.

    Attributes:
        hidden: h (..., n).
        memory: heavy ball: the last increment m; Nesterov: the last gradient point g; (..., n).
    """

    hidden: Tensor
    memory: Tensor


class SBORNN(Cell):
    """Stochastic-bilevel recurrent cell (Zhang, Yue, Wu, Li, Zhang; NeurIPS 2021).

        F(h; drive) = 1/2 |h - relu(U h + drive)|^2,    U = I + P Q

        sgd    h_t = h_{t-1} - eta grad F(h_{t-1})
        shb    m_t = mu m_{t-1} - eta grad F(h_{t-1}),    h_t = h_{t-1} + m_t
        snag   g_t = h_{t-1} - eta grad F(h_{t-1}),       h_t = g_t + mu (g_t - g_{t-1})

    The upper level is the ordinary loss, by backpropagation. Where no unit of the rectifier switches, the Jacobian of
    an sgd step is I - eta (I - D U)^T (I - D U) with D = diag(0/1): its singular values are near 1 for a small eta and
    at most 1 for eta < 2 / ||I - D U||^2.

    Drive and readout are (..., n); the drive holds W x_t + b. The state is h, or a `Descent` for shb and snag; h, m and
    g start at 0. P and Q start from U(-1/sqrt(n), 1/sqrt(n)). The published rate suits hundreds of steps; over a few
    the state hardly moves unless it is raised. Where the released code differs: it builds U once from tensors that are
    no parameters, so that U never learns; it declares mu trainable; it weighs h by an alpha that stays 1.

    Args:
        size: n.
        lower_level: "sgd", "shb" (heavy ball) or "snag" (Nesterov).
        rate: eta > 0.
        momentum: mu in [0, 1), of shb and snag.
        rank: columns of P, 1 to n; 50, but at most n, unless given.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError for a choice, a rate, a momentum or a rank outside these.
    """

    input_bias = True

    def __init__(
        self,
        size: int,
        *,
        lower_level: str = "sgd",
        rate: float = 1e-3,
        momentum: float = 0.5,
        rank: int | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, dtype=dtype)
        rank = min(50, size) if rank is None else rank
        if lower_level not in LOWER_LEVELS:
            raise unknown_name("sbornn option lower_level", lower_level, LOWER_LEVELS)
        if not rate > 0:
            raise UsageError(f"sbornn needs a rate above 0, got {rate}.")
        if not 0 <= momentum < 1:
            raise UsageError(f"sbornn needs a momentum of at least 0 and below 1, got {momentum}.")
        if not 1 <= rank <= size:
            raise UsageError(f"sbornn of size {size} needs a rank from 1 to {size}, got {rank}.")
        self.lower_level = lower_level
        self.rate = rate
        self.momentum = momentum
        bound = size**-0.5
        self.P = nn.Parameter(uniform((size, rank), -bound, bound, generator))
        self.Q = nn.Parameter(uniform((rank, size), -bound, bound, generator))
        self.to(device=device, dtype=dtype or torch.float32)

    @property
    def U(self) -> Tensor:
        """I + P Q (n, n)."""
        return torch.eye(self.size, dtype=self.dtype, device=self.device) + self.P @ self.Q

    def initial(self, shape: Sequence[int] = ()) -> State:
        """Return zeros: h, or a `Descent`."""
        hidden = self.zeros(shape)
        return hidden if self.lower_level == "sgd" else Descent(hidden, self.zeros(shape))

    def step(self, drive: Tensor, state: State) -> State:
        """Return the state after one step of the lower level's optimiser."""
        if self.lower_level == "sgd":
            return torch.sub(state, self.gradient(drive, state), alpha=self.rate)
        hidden, memory = state
        decrease = self.rate * self.gradient(drive, hidden)
        if self.lower_level == "shb":
            increment = self.momentum * memory - decrease
            return Descent(hidden + increment, increment)
        point = hidden - decrease
        return Descent(point + self.momentum * (point - memory), point)

    def energy(self, drive: Tensor, hidden: Tensor) -> Tensor:
        """Return F(h; drive) (...,)."""
        residual = hidden - torch.relu(nn.functional.linear(hidden, self.U) + drive)
        return residual.square().sum(dim=-1) / 2

    def gradient(self, drive: Tensor, hidden: Tensor) -> Tensor:
        """Return grad F = (I - U^T diag(relu')) (h - relu(U h + drive)), (..., n)."""
        U = self.U
        activation = torch.relu(driven(U, hidden, drive))
        residual = hidden - activation
        return driven(-U.mT, torch.where(activation > 0, residual, 0.0), residual)

    def readout(self, state: State) -> Tensor:
        """Return h (..., n)."""
        hidden: Tensor = state if self.lower_level == "sgd" else state.hidden
        return hidden

    def matrices(self) -> dict[str, Tensor]:
        """Return {"U": U}."""
        return {"U": self.U}
