"""NC-GRU: a gated recurrent unit whose candidate, and reset gate if asked for, recur through an orthogonal matrix."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from restore.cells.base import Cell, Recurrence, uniform
from restore.cells.cayley import ScaledCayley, orthogonal_recurrence, rotation_blocks, signs
from restore.cells.modrelu import modrelu
from restore.cells.neumann import NeumannCayley
from restore.errors import unknown_name

__all__ = ["NCGRU"]

ORTHOGONAL: dict[str, tuple[str, ...]] = {"none": (), "candidate": ("U_c",), "candidate-reset": ("U_c", "U_r")}
ACTIVATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "modrelu": modrelu,
    "tanh": lambda z, bias: torch.tanh(z + bias),
}


class NCGRU(Cell):
    """Gated recurrent unit with orthogonal recurrences (Neumann-Cayley, arXiv:2208.06496).

        r = sigmoid(drive_r + U_r h + b_r)
        u = sigmoid(drive_u + U_u h + b_u)
        c = modReLU(drive_c + U_c (r * h); b_c)      or, in the control form, tanh(drive_c + U_c (r * h) + b_c)
        h' = u * h + (1 - u) * c

    State and readout are real (..., n), the drive is [r|u|c] of width 3n, in the order of `nn.GRUCell`. U_u is never
    orthogonal. With `orthogonal="none"`, `activation="tanh"` and `gate="after"` the cell is `nn.GRUCell` with its bias
    b_hn at 0.

    Orthogonal matrices start as in `ScoRNN`; free ones, like the input rows of the gates, from U(-n^{-1/2}, n^{-1/2});
    the input rows of the candidate from U(-0.01, 0.01); biases at 0. Where the released code differs: its language
    model puts r after the product, r * (U_c h), its other tasks before, as here; its form with two orthogonal matrices
    updates both with the gradient of U_r; and its Neumann series takes the gradient step for the increment even where
    Adam makes the step (see `NeumannCayley`).

    Args:
        size: n; may be odd.
        orthogonal: which matrices are orthogonal: "candidate" (U_c), "candidate-reset" (U_c and U_r) or "none".
        negatives: number of -1 in the D of each; n // 2 unless given.
        neumann: order 1 to 3 of the series for the inverse; 0 for the exact one, which is quicker at these sizes.
        neumann_reset: changes from one exact inverse to the next.
        activation: "modrelu" or "tanh".
        gate: whether r acts "before" or "after" the product with U_c.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError for a choice that is not listed here.
    """

    def __init__(
        self,
        size: int,
        *,
        orthogonal: str = "candidate",
        negatives: int | None = None,
        neumann: int = 0,
        neumann_reset: int = 100,
        activation: str = "modrelu",
        gate: str = "before",
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, drive_size=3 * size, dtype=dtype)
        for option, value, known in (
            ("orthogonal", orthogonal, ORTHOGONAL),
            ("activation", activation, ACTIVATIONS),
            ("gate", gate, ("before", "after")),
        ):
            if value not in known:
                raise unknown_name(f"ncgru option {option}", value, known)
        self.orthogonal = ORTHOGONAL[orthogonal]
        self._activation = ACTIVATIONS[activation]
        self.gate = gate
        diagonal = signs(size, size // 2 if negatives is None else negatives)

        def recurrence(symbol: str) -> Recurrence:
            if symbol not in self.orthogonal:
                return Recurrence(uniform((size, size), -(size**-0.5), size**-0.5, generator))
            cayley = NeumannCayley(diagonal, order=neumann, reset=neumann_reset) if neumann else ScaledCayley(diagonal)
            return orthogonal_recurrence(rotation_blocks(size, generator), cayley)

        self.U_r, self.U_u, self.U_c = (recurrence(symbol) for symbol in ("U_r", "U_u", "U_c"))
        self.bias = nn.Parameter(torch.zeros(3 * size))
        self.to(device=device, dtype=dtype or torch.float32)

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return h' (..., n) from the drive (..., 3n) and h (..., n)."""
        drive_r, drive_u, drive_c = drive.chunk(3, dim=-1)
        bias_r, bias_u, bias_c = self.bias.chunk(3)
        reset = torch.sigmoid(drive_r + self.U_r(state) + bias_r)
        update = torch.sigmoid(drive_u + self.U_u(state) + bias_u)
        recurrent = self.U_c(reset * state) if self.gate == "before" else reset * self.U_c(state)
        candidate = self._activation(drive_c + recurrent, bias_c)
        return update * state + (1 - update) * candidate

    @torch.no_grad()
    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the rows of the gates from U(-n^{-1/2}, n^{-1/2}), of the candidate from U(-0.01, 0.01); bias zero."""
        bounds = torch.tensor([self.size**-0.5, self.size**-0.5, 0.01]).repeat_interleave(self.size)
        drawn = uniform(layer.weight.shape, -1, 1, generator)
        layer.weight.copy_(bounds.view(-1, *[1] * (drawn.ndim - 1)) * drawn)
        if layer.bias is not None:
            layer.bias.zero_()

    def matrices(self) -> dict[str, Tensor]:
        """Return U_c, U_r and U_u by their symbols."""
        return {"U_c": self.U_c.weight, "U_r": self.U_r.weight, "U_u": self.U_u.weight}
