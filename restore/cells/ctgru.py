"""The gated recurrent unit as a system in continuous time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.cells.base import Cell, uniform
from restore.cells.integration import INTEGRATORS
from restore.errors import UsageError, unknown_name

__all__ = ["CTGRU"]


class CTGRU(Cell):
    """Gated recurrent unit in continuous time (Jordan, Sokol, Park; doi:10.3389/fncom.2021.678158, arXiv:1906.01005).

        r = sigmoid(drive_r + U_r h + b_r)
        z = sigmoid(drive_z + U_z h + b_z)
        h' = (1 - z) * (tanh(drive_h + U_h (r * h) + b_h) - h)

    A step integrates h' over `dt` with the drive held. With `gate="after"` the last line has r * (U_h h + b_h) in the
    place of U_h (r * h) + b_h; a step of Euler's method with dt = 1 is then `nn.GRUCell`.

    [-1, 1]^n is a trapping region, also of Euler's steps up to dt = 1. The fixed points depend neither on U_z nor on
    b_z; their stability can. The analysis of its dynamics is in `restore.cells.dynamics`.

    State and readout are (..., n), the drive is [r|z|h] of width 3n. All parameters, and the input map, start from
    U(-1/sqrt(n), 1/sqrt(n)), as in torch. The state starts at 0.

    Args:
        size: n.
        dt: length of a step, above 0.
        method: "euler" or "rk4".
        gate: whether r acts "before" or "after" the product with U_h.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError for a choice or a step outside these.
    """

    input_bias = True

    def __init__(
        self,
        size: int,
        *,
        dt: float = 1.0,
        method: str = "euler",
        gate: str = "before",
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, drive_size=3 * size, dtype=dtype)
        if not dt > 0:
            raise UsageError(f"ctgru needs a step dt above 0, got {dt}.")
        for option, value, known in (("method", method, INTEGRATORS), ("gate", gate, ("before", "after"))):
            if value not in known:
                raise unknown_name(f"ctgru option {option}", value, known)
        self.dt = dt
        self.method = method
        self.gate = gate
        bound = size**-0.5
        self.U_r, self.U_z, self.U_h = (nn.Parameter(uniform((size, size), -bound, bound, generator)) for _ in "rzh")
        self.b_r, self.b_z, self.b_h = (nn.Parameter(uniform((size,), -bound, bound, generator)) for _ in "rzh")
        self.to(device=device, dtype=dtype or torch.float32)

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return the state (..., n) after `dt`."""
        return INTEGRATORS[self.method](lambda h: self.field(drive, h), state, self.dt)

    def field(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return dh/dt (..., n) at h (..., n) under the drive (..., 3n)."""
        drive_r, drive_z, drive_h = drive.chunk(3, dim=-1)
        update = torch.sigmoid(drive_z + nn.functional.linear(state, self.U_z, self.b_z))
        reset = torch.sigmoid(drive_r + nn.functional.linear(state, self.U_r, self.b_r))
        if self.gate == "before":
            recurrent = nn.functional.linear(reset * state, self.U_h, self.b_h)
        else:
            recurrent = reset * nn.functional.linear(state, self.U_h, self.b_h)
        return (1 - update) * (torch.tanh(drive_h + recurrent) - state)

    @torch.no_grad()
    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map's weights and its bias from U(-1/sqrt(n), 1/sqrt(n))."""
        bound = self.size**-0.5
        layer.weight.copy_(uniform(layer.weight.shape, -bound, bound, generator))
        if layer.bias is not None:
            layer.bias.copy_(uniform(layer.bias.shape, -bound, bound, generator))

    def matrices(self) -> dict[str, Tensor]:
        """Return U_r, U_z and U_h by their symbols."""
        return {"U_r": self.U_r, "U_z": self.U_z, "U_h": self.U_h}
