"""What is shown in place of a pixel that is hidden or unknown: nothing but what its visible neighbours say."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["fill_biharmonic", "fill_from_neighbours"]

REDUCTION = 0.01
"""Part of the first residual at which a biharmonic fill is done: within half a grey level of the exact one (RMS)."""

CHECK_EVERY = 5
"""Rounds between looks at the residual, each of which a GPU would have to wait for."""

MOST = 300
"""Rounds after which a fill is taken as it is; scattered pixels, four fifths of a picture, take 40."""

NOTHING = 1e-30
"""In place of 0 below a fraction: one hidden pixel is solved in a single round, and the next must not spoil it."""


def fill_from_neighbours(image: Tensor, visible: Tensor) -> Tensor:
    """Return `image` (1, C, H, W) with each invisible pixel replaced by the mean of its visible neighbours (of 8).

    `visible` is float (1, 1, H, W). Where no neighbour is visible, the mean of all visible pixels takes its place.
    """
    known = image * visible
    weight, total = _around(visible), _around(known)
    overall = known.sum((2, 3), keepdim=True) / visible.sum().clamp(min=1)
    mean = torch.where(weight > 0, total / weight.clamp(min=1), overall)
    return torch.where(visible > 0, image, mean)


def fill_biharmonic(image: Tensor, visible: Tensor) -> Tensor:
    """Return `image` (1, C, H, W) with each invisible pixel replaced by the smoothest surface through the visible ones.

    That is the u of the least |L u|^2 that is the image at the visible pixels, L the Laplacian of five points with
    reflecting borders: inside the picture it solves the biharmonic equation L L u = 0, as in Damelin and Hoang, 2018
    (doi:10.1155/2018/3950312). The method is that of conjugate gradients, begun with `fill_from_neighbours`. It takes
    the fewer rounds the narrower the holes are, a dozen for half of the pixels, where a direct solver has one large
    system of them all. The result is clipped to [0, 1].

    Args:
        image: any values where it is not visible.
        visible: float (1, 1, H, W), 1 or 0.
    """
    hidden = 1 - visible
    filled = fill_from_neighbours(image, visible)
    residual = -_laplacian(_laplacian(filled)) * hidden
    direction, size = residual.clone(), residual.square().sum()
    enough = size * REDUCTION**2
    for done in range(MOST):
        if done % CHECK_EVERY == 0 and bool(size <= enough):
            break
        turned = _laplacian(_laplacian(direction)) * hidden
        step = size / (direction * turned).sum().clamp(min=NOTHING)
        filled = filled + step * direction
        residual = residual - step * turned
        last, size = size, residual.square().sum()
        direction = residual + size / last.clamp(min=NOTHING) * direction
    return torch.where(visible > 0, image, filled.clamp(0, 1))


def _laplacian(image: Tensor) -> Tensor:
    """Return the sum of the differences from the four neighbours that there are."""
    result = torch.zeros_like(image)
    for dim in (-2, -1):
        length = image.shape[dim] - 1
        difference = image.narrow(dim, 1, length) - image.narrow(dim, 0, length)
        result.narrow(dim, 0, length).add_(difference)
        result.narrow(dim, 1, length).sub_(difference)
    return result


def _around(values: Tensor) -> Tensor:
    """Return the sum over each pixel and its 8 neighbours, of the shape of `values`, (1, C, H, W)."""
    # Four shifted sums: a convolution of one channel takes several times as long.
    rows = values.clone()
    rows[..., 1:, :] += values[..., :-1, :]
    rows[..., :-1, :] += values[..., 1:, :]
    sums = rows.clone()
    sums[..., 1:] += rows[..., :-1]
    sums[..., :-1] += rows[..., 1:]
    return sums
