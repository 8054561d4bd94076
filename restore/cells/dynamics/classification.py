"""What kind of fixed point: from the eigenvalues of the Jacobian."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restore.cells.dynamics.vector_field import jacobians
from restore.cells.integration import Field

__all__ = ["FixedPoint", "classify", "kind_of"]


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point of a field with its linearisation.

    Attributes:
        position: (n,).
        jacobian: (n, n).
        eigenvalues: (n,) complex, by falling real part.
        kind: "stable node", "stable focus", "unstable node", "unstable focus", "saddle" or "non-hyperbolic".
    """

    position: Tensor
    jacobian: Tensor
    eigenvalues: Tensor
    kind: str

    @property
    def stable(self) -> bool:
        """Whether every eigenvalue has a negative real part."""
        return self.kind.startswith("stable")


def classify(field: Field, points: Tensor) -> list[FixedPoint]:
    """Linearise the field at its fixed points (k, n) and name the kind of each.

    >>> [point.kind for point in classify(lambda h: h - h**3, torch.tensor([[-1.0, 0.0], [0.0, 0.0]]))]
    ['saddle', 'unstable node']
    """
    found = []
    for position, jacobian in zip(points, jacobians(field, points), strict=True):
        eigenvalues = torch.linalg.eigvals(jacobian)
        eigenvalues = eigenvalues[eigenvalues.real.argsort(descending=True, stable=True)]
        found.append(FixedPoint(position, jacobian, eigenvalues, kind_of(eigenvalues)))
    return found


def kind_of(eigenvalues: Tensor, tolerance: float = 1e-7) -> str:
    """Name the kind of fixed point with these eigenvalues (n,) of the Jacobian.

    A real part within `tolerance` of 0 makes it non-hyperbolic: its linearisation does not decide its stability. A
    focus has at least one complex pair, a node none; a saddle has real parts of both signs.

    >>> kind_of(torch.tensor([-1 + 2j, -1 - 2j]))
    'stable focus'
    >>> kind_of(torch.tensor([1j, -1j]))
    'non-hyperbolic'
    """
    rates = eigenvalues.real
    if bool((rates.abs() <= tolerance).any()):
        return "non-hyperbolic"
    if bool((rates > 0).any()) and bool((rates < 0).any()):
        return "saddle"
    shape = "focus" if bool((eigenvalues.imag.abs() > tolerance).any()) else "node"
    return f"{'stable' if bool((rates < 0).all()) else 'unstable'} {shape}"
