"""The scaled Cayley map: every orthogonal or unitary matrix from an unconstrained skew one.

    W = (I + A)^{-1} (I - A) D,    A^H = -A,    D diagonal, entries of modulus 1

W is orthogonal for real A and D = diag(+-1) (arXiv:1707.09520), unitary for complex A and D = diag(e^{i theta})
(arXiv:1811.04142). Plain Cayley (D = I) never has the eigenvalue -1; D puts every W within reach. For real A and rho
negative signs det W = (-1)^rho, so the parity of rho picks the component of the orthogonal group for good.

The gradient is autograd's, through the solve. It is the published one: with V = (I + A)^{-T} G (D + W^T),

    real      G = dL/dW                            dL/dA = V^T - V
    complex   G = (dL/dRe W - i dL/dIm W) / 2      dL/dA = V^T - conj(V),    dL/dtheta = 2 Re(i diag(G^T W))

The released code of both papers works with row vectors, `state @ W`, so that its D scales the outputs of the map where
D here scales the inputs; the family of maps is the same.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from restore.cells.base import Recurrence, full_precision, uniform, widen
from restore.errors import UsageError

__all__ = ["ScaledCayley", "cayley", "orthogonal_recurrence", "rotation_blocks", "signs"]


class ScaledCayley(nn.Module):
    """Parametrisation W = (I + A)^{-1} (I - A) D for `torch.nn.utils.parametrize`, real or complex.

    Its free parameters are real vectors, which `right_inverse` returns in this order: the n(n-1)/2 entries of Re A
    below the diagonal; if complex, the n(n+1)/2 entries of Im A on and below it; with phases, theta. The solve runs in
    float64 and W is rounded back: a float32 W is then orthogonal to rounding, which a solve in float32 is not.

    Args:
        scaling: (n,) the diagonal of D: fixed real signs; or, with `phases`, the angles theta to start from.
        complex: whether A and W are complex.
        phases: whether D = diag(e^{i theta}) with theta trainable; needs `complex`.

    Raises UsageError for phases of a real matrix.
    """

    scaling: Tensor

    def __init__(self, scaling: Tensor, *, complex: bool = False, phases: bool = False) -> None:
        super().__init__()
        if phases and not complex:
            raise UsageError("phases need a complex matrix: pass complex=True, or signs for a real one.")
        self.complex = complex
        self.phases = phases
        self.register_buffer("scaling", scaling.detach().clone())

    @property
    def skew_count(self) -> int:
        """How many of the parameter vectors, from the first on, are entries of A; the rest is theta."""
        return 2 if self.complex else 1

    def forward(self, *originals: Tensor) -> Tensor:
        """Return W (n, n) from the parameter vectors."""
        with full_precision(originals[0].device):
            unscaled = self.unscaled(self.skew(*originals[: self.skew_count]))
            return unscaled * self.diagonal(originals[-1] if self.phases else self.scaling)

    def unscaled(self, skew: Tensor) -> Tensor:
        """Return W without its D, (I + A)^{-1} (I - A), from A (n, n)."""
        return cayley(skew)

    def diagonal(self, scaling: Tensor) -> Tensor:
        """Return the diagonal (n,) of D from its signs or, with `phases`, its angles."""
        return torch.polar(torch.ones_like(scaling), scaling) if self.phases else scaling

    def skew(self, real: Tensor, imaginary: Tensor | None = None) -> Tensor:
        """Return A (n, n) from its free entries."""
        lower = _fill_lower(real, self.scaling.numel(), -1)
        if imaginary is None:
            return lower - lower.mT
        symmetric = _fill_lower(imaginary, self.scaling.numel(), 0)
        return torch.complex(lower - lower.mT, symmetric + symmetric.tril(-1).mT)

    @torch.no_grad()
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Return the parameter vectors of an orthogonal or unitary W, for the D that the map was built with.

        A = (I - Z) (I + Z)^{-1} with Z = W D^{-1}.

        Raises UsageError for a W with ||W^H W - I|| above 1e-3, and for a Z with the eigenvalue -1, which no A reaches.
        """
        wide = widen(weight)
        identity = torch.eye(*wide.shape, dtype=wide.dtype, device=wide.device)
        error = float(torch.linalg.matrix_norm(wide.mH @ wide - identity))
        if not error < 1e-3:
            raise UsageError(f"the scaled Cayley map only reaches unitary matrices; ||W^H W - I|| is {error:.2g}.")
        unscaled = wide * self.diagonal(self.scaling).conj().to(wide.dtype)
        skew, failed = torch.linalg.solve_ex(identity + unscaled, identity - unscaled)
        if failed or not skew.isfinite().all():
            raise UsageError("W D^{-1} has the eigenvalue -1, which the Cayley map does not reach: choose another D.")
        skew = ((skew - skew.mH) / 2).to(weight.dtype)
        originals = [skew.real[_lower(skew, -1)] if self.complex else skew[_lower(skew, -1)]]
        if self.complex:
            originals.append(skew.imag[_lower(skew, 0)])
        if self.phases:
            originals.append(self.scaling.to(originals[0].dtype, copy=True))
        return tuple(originals)


def cayley(skew: Tensor) -> Tensor:
    """Return (I + A)^{-1} (I - A) for a skew A (n, n), solved in float64 and rounded to the dtype of A.

    >>> cayley(torch.tensor([[0.0, -0.5], [0.5, 0.0]]))
    tensor([[ 0.6000,  0.8000],
            [-0.8000,  0.6000]])
    """
    wide = widen(skew)
    identity = torch.eye(*wide.shape, dtype=wide.dtype, device=wide.device)
    solution: Tensor = torch.linalg.solve(identity + wide, identity - wide)
    return solution.to(skew.dtype)


def orthogonal_recurrence(skew: Tensor, parametrisation: ScaledCayley) -> Recurrence:
    """Return the map h -> W h with W = (I + A)^{-1} (I - A) D, which starts at A = `skew` (n, n) in float64."""
    recurrence = Recurrence(cayley(skew) * parametrisation.diagonal(parametrisation.scaling))
    parametrize.register_parametrization(recurrence, "weight", parametrisation)
    return recurrence


def rotation_blocks(size: int, generator: torch.Generator | None = None) -> Tensor:
    """Return a float64 skew A (n, n) whose Cayley map rotates n // 2 planes by angles t_j ~ U(0, pi/2).

    The blocks are [[0, s_j], [-s_j, 0]] with s_j = -tan(t_j / 2), so that (I + A)^{-1} (I - A) has the eigenvalues
    e^{+-i t_j}; for an odd n the last row is zero. Source: arXiv:1707.09520.
    """
    entries = -torch.tan(uniform((size // 2,), 0, math.pi / 2, generator) / 2)
    first = torch.arange(0, size - 1, 2)
    skew = torch.zeros(size, size, dtype=torch.float64)
    skew[first, first + 1] = entries
    skew[first + 1, first] = -entries
    return skew


def signs(size: int, negatives: int) -> Tensor:
    """Return the diagonal (n,) of D, float64: ones, then `negatives` entries of -1.

    >>> signs(4, 1)
    tensor([ 1.,  1.,  1., -1.], dtype=torch.float64)

    Raises UsageError where `negatives` is outside 0..n.
    """
    if not 0 <= negatives <= size:
        raise UsageError(f"negatives counts the entries of -1 among {size}, so 0 to {size}; got {negatives}.")
    diagonal = torch.ones(size, dtype=torch.float64)
    diagonal[size - negatives :] = -1
    return diagonal


def _lower(matrix: Tensor, offset: int) -> tuple[Tensor, Tensor]:
    rows, columns = torch.tril_indices(matrix.shape[0], matrix.shape[1], offset, device=matrix.device)
    return rows, columns


def _fill_lower(entries: Tensor, size: int, offset: int) -> Tensor:
    empty = entries.new_zeros(size, size)
    return empty.index_put(_lower(empty, offset), entries)
