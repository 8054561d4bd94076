"""Random matrices that torch's initialisers cannot draw reproducibly on every device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from restore.cells.base import uniform

__all__ = ["normal", "orthogonal"]


def normal(shape: Sequence[int], deviation: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw float64 numbers from N(0, deviation^2) on the CPU; one seed gives the same numbers everywhere.

    >>> round(float(normal((10000,), 2.0, torch.Generator().manual_seed(0)).std()), 1)
    2.0
    """
    return deviation * math.sqrt(2) * torch.erfinv(uniform(shape, -1, 1, generator))


def orthogonal(rows: int, columns: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw a float64 matrix (rows, columns), uniform among those with orthonormal rows or columns, whichever are fewer.

    >>> torch.linalg.svdvals(orthogonal(5, 3))
    tensor([1.0000, 1.0000, 1.0000], dtype=torch.float64)
    """
    drawn = normal((max(rows, columns), min(rows, columns)), 1.0, generator)
    basis: Tensor
    basis, triangle = torch.linalg.qr(drawn)
    # Without the signs QR favours some rotations over others.
    basis *= triangle.diagonal().sgn()
    return basis if rows >= columns else basis.mT
