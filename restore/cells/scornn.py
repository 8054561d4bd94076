"""scoRNN: a recurrence that stays orthogonal while it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.cells.base import Cell, driven, reset_layer_
from restore.cells.cayley import ScaledCayley, orthogonal_recurrence, rotation_blocks, signs
from restore.cells.modrelu import ModReLU

__all__ = ["ScoRNN"]


class ScoRNN(Cell):
    """Orthogonal recurrent cell with the scaled Cayley map (arXiv:1707.09520).

        h_t = modReLU(W h_{t-1} + drive; b),    W = (I + A)^{-1} (I - A) D real orthogonal

    State, drive and readout are real (..., n). The step's Jacobian is diag(0/1) W, so its norm is at most 1 and
    gradients cannot explode, whatever the bias. A starts as rotations by U(0, pi/2), the bias at 0, the input map from
    U(-0.01, 0.01). The released code differs: it works with row vectors (see `restore.cells.cayley`), and writes the
    gradient of A by hand where autograd finds the same one.

    Args:
        size: n; may be odd.
        negatives: rho, the number of -1 on the diagonal of D, which training never changes; n // 2 unless given.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError where `negatives` is outside 0..n.
    """

    orthogonal = ("W",)

    def __init__(
        self,
        size: int,
        *,
        negatives: int | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, dtype=dtype)
        diagonal = signs(size, size // 2 if negatives is None else negatives)
        self.W = orthogonal_recurrence(rotation_blocks(size, generator), ScaledCayley(diagonal))
        self.modrelu = ModReLU(size)
        self.to(device=device, dtype=dtype or torch.float32)

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return h_t (..., n) from the drive (..., n) and h_{t-1} (..., n)."""
        following: Tensor = self.modrelu(driven(self.W.weight, state, drive))
        return following

    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map's weights from U(-0.01, 0.01), bias zero."""
        reset_layer_(layer, 0.01, generator)

    def matrices(self) -> dict[str, Tensor]:
        """Return {"W": W}."""
        return {"W": self.W.weight}
