"""scuRNN: a complex recurrence that stays unitary while it is trained, the diagonal of its Cayley map included."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restore.cells.base import Cell, glorot_bound, reset_layer_, uniform
from restore.cells.cayley import ScaledCayley, orthogonal_recurrence, rotation_blocks
from restore.cells.modrelu import ModReLU

__all__ = ["ScuRNN"]


class ScuRNN(Cell):
    """Unitary recurrent cell with the scaled Cayley map and trainable phases (arXiv:1811.04142).

        h_t = modReLU(W h_{t-1} + drive; b),    W = (I + A)^{-1} (I - A) diag(e^{i theta}),    A^H = -A

    The state is complex (..., n); drive and readout are real (..., 2n), [Re|Im]. A starts as real rotations by
    U(0, pi/2), theta from U(0, 2 pi), the bias from U(-0.01, 0), the trainable h_0 from U(-0.01, 0.01), the input map
    Glorot uniform.

    With b > 0 the gradient of complex modReLU has no bound at z -> 0 (see `modrelu_gain`), and the recurrence is no
    longer non-expansive. The bias is therefore kept at most 0 by `project_`. With `published` it is free and starts
    from U(-0.01, 0.01) as in the paper, under the smoothing of the released code, which bounds that gradient near
    1 + 316 b. The released code differs further: it does real arithmetic on [Re|Im] with row vectors.

    Args:
        size: n complex units; may be odd.
        published: whether the bias is free, as in the paper.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64, of the real and the imaginary part each.
    """

    is_complex = True
    orthogonal = ("W",)

    def __init__(
        self,
        size: int,
        *,
        published: bool = False,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, dtype=dtype)
        skew = rotation_blocks(size, generator).to(torch.complex128)
        phases = uniform((size,), 0, 2 * math.pi, generator)
        self.W = orthogonal_recurrence(skew, ScaledCayley(phases, complex=True, phases=True))
        epsilon = 1e-5 if published else 0.0
        self.modrelu = ModReLU(size, spread=0.01, nonpositive=not published, epsilon=epsilon, generator=generator)
        self.h_0 = nn.Parameter(uniform((2, size), -0.01, 0.01, generator))
        self.to(device=device, dtype=dtype or torch.float32)

    def initial(self, shape: Sequence[int] = ()) -> Tensor:
        """Return the trainable h_0, complex (*shape, n)."""
        return torch.complex(*self.h_0).expand(*shape, self.size)

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return h_t, complex (..., n), from the real drive (..., 2n) and h_{t-1}."""
        following: Tensor = self.modrelu(self.W(state) + torch.complex(*drive.chunk(2, dim=-1)))
        return following

    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map's weights by Glorot's uniform rule, bias zero."""
        field = layer.weight[0, 0].numel()
        bound = glorot_bound(field * layer.weight.shape[1], field * layer.weight.shape[0])
        reset_layer_(layer, bound, generator)

    def project_(self) -> None:
        """Clamp the bias to at most 0, unless `published`."""
        self.modrelu.project_()

    def matrices(self) -> dict[str, Tensor]:
        """Return {"W": W}, complex."""
        return {"W": self.W.weight}
