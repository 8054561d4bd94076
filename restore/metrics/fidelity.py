"""Mean squared error and peak signal-to-noise ratio."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.errors import InputError
from restore.metrics.checks import as_double, check_same_shape

__all__ = ["mse", "psnr"]

_STRIP = 2**20
"""Pixels of images that are compared at once."""


def mse(estimate: Tensor, reference: Tensor, *, where: Tensor | None = None) -> Tensor:
    """Return the mean squared error of each image, ||estimate - reference||^2 / N, in double precision.

    Args:
        estimate: (..., C, H, W).
        reference: of the same shape.
        where: (H, W) bool; only the pixels that are True count, in all channels.

    Returns (...): a scalar tensor for one image.

    Raises InputError for shapes that differ and for a mask that selects no pixel.

    >>> float(mse(torch.zeros(3, 2, 2), torch.full((3, 2, 2), 0.5)))
    0.25
    """
    check_same_shape(estimate, reference)
    if where is None and estimate[..., 0, :, :].numel() > _STRIP:
        return _mse_in_strips(estimate, reference)
    squares = (as_double(estimate) - as_double(reference)).square()
    if where is None:
        return squares.mean(dim=(-3, -2, -1))
    if where.shape != estimate.shape[-2:]:
        raise InputError(f"a mask of shape {tuple(where.shape)} does not fit images of shape {tuple(estimate.shape)}.")
    where = where.to(device=squares.device, dtype=torch.bool)
    if not bool(where.any()):
        raise InputError("the mask selects no pixel, so there is no error to average.")
    return squares[..., where].mean(dim=(-2, -1))


def _mse_in_strips(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the mean squared error of each image without a copy of a big one in double precision."""
    rows = max(1, _STRIP // estimate.shape[-1])
    total = as_double(estimate.new_zeros(estimate.shape[:-3]))
    for top in range(0, estimate.shape[-2], rows):
        one, other = (as_double(image[..., top : top + rows, :]) for image in (estimate, reference))
        total += (one - other).square().sum(dim=(-3, -2, -1))
    return total / (estimate.shape[-3] * estimate.shape[-2] * estimate.shape[-1])


def psnr(estimate: Tensor, reference: Tensor, *, data_range: float = 1.0, where: Tensor | None = None) -> Tensor:
    """Return the peak signal-to-noise ratio of each image in dB, 10 log10(data_range^2 / MSE); infinite if equal.

    Args:
        estimate: (..., C, H, W).
        reference: of the same shape.
        data_range: the distance between the darkest and the brightest possible value.
        where: (H, W) bool; only the pixels that are True count, the hole of an inpainting problem, say.

    Returns (...): a scalar tensor for one image.

    Raises InputError for shapes that differ and for a mask that selects no pixel.

    >>> float(psnr(torch.zeros(1, 2, 2), torch.full((1, 2, 2), 0.1)))  # doctest: +ELLIPSIS
    19.99999...
    >>> float(psnr(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)))
    inf
    """
    return 10 * torch.log10(data_range**2 / mse(estimate, reference, where=where))
