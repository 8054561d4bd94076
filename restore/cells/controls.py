"""The control cells: torch's own RNN, LSTM and GRU, with the input's share handed in as the drive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from restore.cells.base import Cell, driven, uniform

__all__ = ["GRU", "LSTM", "RNN", "LSTMState", "lstm_update"]


class _Control(Cell):
    """What the three share: torch's parameter names, its U(-1/sqrt(n), 1/sqrt(n)), and an input map with a bias.

    `weight_hh` stacks one (n, n) for each symbol, `bias_hh` one (n,). With the input map `weight_ih`, `bias_ih` of the
    torch cell of the same name and equal weights, both cells agree.
    """

    input_bias = True
    symbols: tuple[str, ...] = ("W",)

    def __init__(
        self,
        size: int,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, drive_size=len(self.symbols) * size, dtype=dtype)
        self.weight_hh = nn.Parameter(self._draw((self.drive_size, size), generator))
        self.bias_hh = nn.Parameter(self._draw((self.drive_size,), generator))
        self.to(device=device, dtype=dtype or torch.float32)

    @torch.no_grad()
    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map's weights and its bias from U(-1/sqrt(n), 1/sqrt(n))."""
        layer.weight.copy_(self._draw(layer.weight.shape, generator))
        if layer.bias is not None:
            layer.bias.copy_(self._draw(layer.bias.shape, generator))

    def matrices(self) -> dict[str, Tensor]:
        """Return the recurrent matrices: W, or one for each gate in torch's order."""
        return dict(zip(self.symbols, self.weight_hh.chunk(len(self.symbols)), strict=True))

    def _draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        return uniform(shape, -(self.size**-0.5), self.size**-0.5, generator)

    def _recurrent(self, hidden: Tensor) -> Tensor:
        return nn.functional.linear(hidden, self.weight_hh, self.bias_hh)


class RNN(_Control):
    """Elman's recurrent cell, as `torch.nn.RNNCell`.

        h_t = tanh(drive + W h_{t-1} + b)

    State, drive and readout are (..., n).

    Args:
        size: n.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.
    """

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return h_t (..., n)."""
        return torch.tanh(driven(self.weight_hh, state, drive) + self.bias_hh)


class GRU(_Control):
    """Gated recurrent unit, as `torch.nn.GRUCell` (arXiv:1406.1078).

        r = sigmoid(drive_r + W_r h + b_r)
        z = sigmoid(drive_z + W_z h + b_z)
        h' = z * h + (1 - z) * tanh(drive_n + r * (W_n h + b_n))

    State and readout are (..., n), the drive is [r|z|n] of width 3n.

    Args:
        size: n.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.
    """

    symbols = ("W_r", "W_z", "W_n")

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return h' (..., n)."""
        drive_r, drive_z, drive_n = drive.chunk(3, dim=-1)
        recurrent_r, recurrent_z, recurrent_n = self._recurrent(state).chunk(3, dim=-1)
        reset = torch.sigmoid(drive_r + recurrent_r)
        update = torch.sigmoid(drive_z + recurrent_z)
        candidate = torch.tanh(drive_n + reset * recurrent_n)
        return update * state + (1 - update) * candidate


class LSTMState(NamedTuple):
    """The state of an `LSTM`.

    Attributes:
        hidden: h (..., n).
        memory: c (..., n).
    """

    hidden: Tensor
    memory: Tensor


class LSTM(_Control):
    """Long short-term memory, as `torch.nn.LSTMCell` (doi:10.1162/neco.1997.9.8.1735).

        [i|f|g|o] = drive + W h + b
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    The state is an `LSTMState`, the readout h (..., n), the drive has the width 4n.

    Args:
        size: n.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.
    """

    symbols = ("W_i", "W_f", "W_g", "W_o")

    def initial(self, shape: Sequence[int] = ()) -> LSTMState:
        """Return h = c = 0, (*shape, n) each."""
        return LSTMState(self.zeros(shape), self.zeros(shape))

    def step(self, drive: Tensor, state: LSTMState) -> LSTMState:
        """Return h' and c'."""
        return LSTMState(*lstm_update(drive + self._recurrent(state.hidden), state.memory))

    def readout(self, state: LSTMState) -> Tensor:
        """Return h (..., n)."""
        return state.hidden


def lstm_update(gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return h' and c' (..., n) from the gates' sums [i|f|g|o] (..., 4n) and c (..., n)."""
    admit, keep, candidate, reveal = gates.chunk(4, dim=-1)
    following = torch.sigmoid(keep) * memory + torch.sigmoid(admit) * torch.tanh(candidate)
    return torch.sigmoid(reveal) * torch.tanh(following), following
