"""ENRNN: a long-term state that is kept orthogonal, fed by a short-term state that is free to forget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from restore.cells.base import Cell, Recurrence, full_precision, glorot_bound, reset_layer_, uniform, widen
from restore.cells.cayley import ScaledCayley, cayley, orthogonal_recurrence, rotation_blocks, signs
from restore.cells.modrelu import ModReLU
from restore.errors import UsageError

__all__ = ["ENRNN", "EigenvalueNormalisation", "LongShort"]


class LongShort(NamedTuple):
    """The state of an `ENRNN`.

    Attributes:
        long: (..., n_L), real or, if unitary, complex.
        short: (..., n_S), real.
    """

    long: Tensor
    short: Tensor


class EigenvalueNormalisation(nn.Module):
    """Parametrisation W = T / |lambda_1(T)| that begins when the spectral radius |lambda_1| first exceeds 1.

    Until then W = T; from then on, for good, the spectral radius of W is exactly 1 and scaling T changes nothing.
    The gradient is autograd's. With lambda_1 simple, u and v its right and left eigenvectors, S = conj(v) u^T / (v^H u)
    and G = dL/dW, it is the published one (arXiv:1911.07964):

        dL/dT = (G - sum(G * W) Re(conj(lambda_1) S) / |lambda_1|) / |lambda_1|

    The eigenvalues are found in float64. Where lambda_1 is defective the gradient does not exist.
    """

    latched: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("latched", torch.tensor(False))

    def forward(self, free: Tensor) -> Tensor:
        """Return W (n, n) from T (n, n)."""
        with full_precision(free.device):
            radius = torch.linalg.eigvals(widen(free)).abs().max()
            self.latched = self.latched | (radius.detach() > 1)
            return (free / radius).to(free.dtype) if self.latched else free

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return T = W, which gives W back as long as its spectral radius is at most 1."""
        return weight


class ENRNN(Cell):
    """Eigenvalue-normalised recurrent cell (arXiv:1911.07964).

        h^L_t = modReLU(W^L h^L_{t-1} + W^C h^S_{t-1} + drive^L; b^L)     W^L orthogonal or unitary (scaled Cayley)
        h^S_t = modReLU(W^S h^S_{t-1} + drive^S; b^S)                     W^S of spectral radius at most 1

    The coupling goes from short to long only: the whole recurrence is block triangular, and its eigenvalues are those
    of W^L and of W^S. The state is a `LongShort`; drive and readout are [long|short], the long part [Re|Im] if unitary.

    W^L starts as in `ScoRNN` (`ScuRNN` if unitary); W^S with the eigenvalues r_j e^{+-i t_j}, r_j ~ U(-1, 1),
    t_j ~ U(0, pi/2); W^C Glorot uniform, biases at 0, the input map from U(-0.01, 0.01). The released code is the
    orthogonal form; it differs by the sign of the first A, and takes the gradient through a Schur decomposition.

    Args:
        size: n = n_L + n_S, at least 2.
        short: n_S, 1 to n - 1; n // 4, at least 1, unless given.
        negatives: number of -1 in D of an orthogonal W^L; 0.3 n_L, as published, unless given.
        unitary: whether the long part is complex, with trainable phases and a non-positive bias.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError for a `short` that leaves no long part, and for `negatives` outside 0..n_L or with `unitary`.
    """

    orthogonal = ("W^L",)

    def __init__(
        self,
        size: int,
        *,
        short: int | None = None,
        negatives: int | None = None,
        unitary: bool = False,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        short = max(1, size // 4) if short is None else short
        long = size - short
        if not (short >= 1 and long >= 1):
            raise UsageError(
                f"enrnn needs a long and a short part of at least one unit each; got {short} short units among {size}."
            )
        if unitary and negatives is not None:
            raise UsageError(
                "negatives belongs to the orthogonal form, and the unitary one trains its phases: drop one."
            )
        width = size + long if unitary else size
        super().__init__(size, drive_size=width, readout_size=width, dtype=dtype)
        self.long_size, self.short_size = long, short
        self.unitary = unitary
        self.W_long = self._long_recurrence(round(0.3 * long) if negatives is None else negatives, generator)
        self.W_short = _short_recurrence(short, generator)
        bound = glorot_bound(fan_in=short, fan_out=width - short)
        self.W_coupling = nn.Parameter(uniform((width - short, short), -bound, bound, generator))
        self.modrelu_long = ModReLU(long, nonpositive=unitary)
        self.modrelu_short = ModReLU(short)
        self.to(device=device, dtype=dtype or torch.float32)

    def initial(self, shape: Sequence[int] = ()) -> LongShort:
        """Return zeros: long (*shape, n_L), complex if unitary, and short (*shape, n_S)."""
        long = self.zeros(shape, self.long_size)
        return LongShort(torch.complex(long, long) if self.unitary else long, self.zeros(shape, self.short_size))

    def step(self, drive: Tensor, state: LongShort) -> LongShort:
        """Return the next state from the drive (..., n), or (..., 2 n_L + n_S) if unitary."""
        long_drive, short_drive = drive[..., : -self.short_size], drive[..., -self.short_size :]
        into_long = nn.functional.linear(state.short, self.W_coupling) + long_drive
        if self.unitary:
            into_long = torch.complex(*into_long.chunk(2, dim=-1))
        return LongShort(
            long=self.modrelu_long(self.W_long(state.long) + into_long),
            short=self.modrelu_short(self.W_short(state.short) + short_drive),
        )

    def readout(self, state: LongShort) -> Tensor:
        """Return [long|short], or [Re long|Im long|short] if unitary."""
        long = (state.long.real, state.long.imag) if self.unitary else (state.long,)
        return torch.cat((*long, state.short), dim=-1)

    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map's weights from U(-0.01, 0.01), bias zero."""
        reset_layer_(layer, 0.01, generator)

    def project_(self) -> None:
        """Clamp the long bias of the unitary form to at most 0."""
        self.modrelu_long.project_()

    def matrices(self) -> dict[str, Tensor]:
        """Return {"W^L": W^L, "W^S": W^S}."""
        return {"W^L": self.W_long.weight, "W^S": self.W_short.weight}

    def _long_recurrence(self, negatives: int, generator: torch.Generator | None) -> Recurrence:
        skew = rotation_blocks(self.long_size, generator)
        if not self.unitary:
            return orthogonal_recurrence(skew, ScaledCayley(signs(self.long_size, negatives)))
        phases = uniform((self.long_size,), 0, 2 * math.pi, generator)
        return orthogonal_recurrence(skew.to(torch.complex128), ScaledCayley(phases, complex=True, phases=True))


def _short_recurrence(size: int, generator: torch.Generator | None) -> Recurrence:
    radii = uniform(((size + 1) // 2,), -1, 1, generator).repeat_interleave(2)[:size]
    recurrence = Recurrence(cayley(rotation_blocks(size, generator)) * radii)
    parametrize.register_parametrization(recurrence, "weight", EigenvalueNormalisation())
    return recurrence
