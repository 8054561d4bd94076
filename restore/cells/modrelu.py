"""modReLU: the nonlinearity that acts on the modulus and keeps the sign or phase.

    sigma_b(z) = (|z| + b) z / |z|  where |z| + b > 0,  else 0          (arXiv:1511.06464)

Real z: the derivative is 0 or 1, whatever b is; b > 0 only adds a jump of 2b at 0.

Complex z: where |z| + b > 0,

    d sigma/dz = 1 + b / (2|z|),    d sigma/dz* = -b z^2 / (2|z|^3),

a real 2x2 Jacobian with the singular values 1 (along z) and 1 + b/|z| (across it). For b <= 0 both are at most 1. For
b > 0 the second one has no bound as z -> 0: a unitary recurrence with a positive bias can explode.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.cells.base import uniform

__all__ = ["ModReLU", "modrelu", "modrelu_gain"]


def modrelu(z: Tensor, bias: Tensor, epsilon: float = 0.0) -> Tensor:
    """Return modReLU of z (..., n), real or complex, with a real bias (n,).

    With an `epsilon` it is the smoothed form of the code released with arXiv:1811.04142, which caps the gain near
    1 + b/sqrt(epsilon): m = sqrt(|z|^2 + epsilon), sigma = relu(m + b) / (m + epsilon) z.

    >>> modrelu(torch.tensor([-2.0, 0.5, 3.0]), torch.tensor(-1.0))
    tensor([-1.,  0.,  2.])
    """
    if not epsilon:
        sign = z.sgn() if z.is_complex() else z.detach().sgn()  # a real sign has no gradient to look for
        return torch.relu(z.abs() + bias) * sign
    modulus = (z.abs().square() + epsilon).sqrt()
    return torch.relu(modulus + bias) / (modulus + epsilon) * z


def modrelu_gain(modulus: Tensor, bias: float, epsilon: float = 0.0) -> Tensor:
    """Return how much complex modReLU stretches a small change of z at most, for every |z| > 0 in `modulus`.

    It is the largest singular value of the real 2x2 Jacobian, from autograd in float64: 1 + b/|z| for b > 0, without
    bound as z -> 0; at most 1 for b <= 0.

    >>> modrelu_gain(torch.tensor([1e-1, 1e-3, 1e-5]), bias=0.01)
    tensor([   1.1000,   11.0000, 1001.0000], dtype=torch.float64)
    >>> modrelu_gain(torch.tensor([1e-1, 1e-3, 1e-5]), bias=-0.01)
    tensor([1., 0., 0.], dtype=torch.float64)
    """
    z = torch.complex(modulus.double(), torch.zeros_like(modulus, dtype=torch.float64)).requires_grad_()
    with torch.enable_grad():
        value = modrelu(z, torch.tensor(bias, dtype=torch.float64), epsilon)
        rows = [torch.autograd.grad(part.sum(), z, retain_graph=True)[0] for part in (value.real, value.imag)]
    jacobian = torch.stack([torch.view_as_real(row) for row in rows], dim=-2)
    gains: Tensor = torch.linalg.svdvals(jacobian)[..., 0]
    return gains


class ModReLU(nn.Module):
    """modReLU with a trainable bias (n,), which starts from U(-spread, spread).

    With `nonpositive` the bias starts from U(-spread, 0) and `project_` puts it back to at most 0. A projection after
    the step rather than a clamp in the map: a clamped bias has no gradient to come back with.
    """

    def __init__(
        self,
        size: int,
        *,
        spread: float = 0.0,
        nonpositive: bool = False,
        epsilon: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.nonpositive = nonpositive
        self.epsilon = epsilon
        high = 0.0 if nonpositive else spread
        bias = uniform((size,), -spread, high, generator) if spread else torch.zeros(size, dtype=torch.float64)
        self.bias = nn.Parameter(bias)

    def forward(self, z: Tensor) -> Tensor:
        """Return modReLU of z (..., n)."""
        return modrelu(z, self.bias, self.epsilon)

    @torch.no_grad()
    def project_(self) -> None:
        """Clamp the bias to at most 0 if it is to be non-positive."""
        if self.nonpositive:
            self.bias.clamp_(max=0)
