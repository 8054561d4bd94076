"""The structural similarity index as published."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from restore.metrics.checks import as_double, check_same_shape

__all__ = ["SSIM_VARIANT", "ssim"]

SSIM_VARIANT = "Wang et al. 2004: Gaussian 11x11, sigma 1.5, K1 0.01, K2 0.03, population covariance, channel mean"
"""Which of the many structural similarities `ssim` is, in the words of a report."""

_WINDOW, _SIGMA, _K1, _K2 = 11, 1.5, 0.01, 0.03

_STRIP = 2**18
"""Positions that are looked at together: of a big picture all at once would take gibibytes."""


def ssim(estimate: Tensor, reference: Tensor, data_range: float = 1.0) -> Tensor:
    """Return the mean structural similarity of each image: 1 if equal, NaN for images smaller than the 11x11 window.

    With mean mu, variance s and covariance s_xy under a Gaussian window of sigma 1.5 that lies wholly in the image,
    SSIM = (2 mu_x mu_y + c1)(2 s_xy + c2) / ((mu_x^2 + mu_y^2 + c1)(s_x + s_y + c2)), c1 = (0.01 data_range)^2,
    c2 = (0.03 data_range)^2, averaged over positions and channels
    (Wang, Bovik, Sheikh and Simoncelli, doi 10.1109/TIP.2003.819861).

    Args:
        estimate: (..., C, H, W).
        reference: of the same shape.
        data_range: the distance between the darkest and the brightest possible value.

    Returns (...): a scalar tensor for one image.

    Raises InputError for shapes that differ.

    >>> image = torch.linspace(0, 1, 256).reshape(1, 16, 16)
    >>> float(ssim(image, image))
    1.0
    """
    check_same_shape(estimate, reference)
    leading, (height, width) = estimate.shape[:-3], estimate.shape[-2:]
    total = as_double(estimate.new_zeros(leading))
    if min(height, width) < _WINDOW:
        return total.new_full(leading, torch.nan)
    rows, step = height - _WINDOW + 1, max(1, _STRIP // width)
    for top in range(0, rows, step):
        strip = slice(top, min(top + step, rows) + _WINDOW - 1)
        index = _similarity(as_double(estimate[..., strip, :]), as_double(reference[..., strip, :]), data_range)
        if step >= rows:
            return index.mean(dim=(-3, -2, -1))
        total += index.sum(dim=(-3, -2, -1))
    return total / (estimate.shape[-3] * rows * (width - _WINDOW + 1))


def _similarity(x: Tensor, y: Tensor, data_range: float) -> Tensor:
    """Return the index at each position of the window."""
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x.square()
    variance_y = _blur(y * y) - mean_y.square()
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance * structure


def _blur(image: Tensor) -> Tensor:
    """Return the Gaussian-weighted means over all windows inside `image`, (..., H - 10, W - 10)."""
    offset = torch.arange(_WINDOW, dtype=image.dtype, device=image.device) - _WINDOW // 2
    weights = torch.softmax(-offset.square() / (2 * _SIGMA**2), dim=0)
    planes = image.reshape(-1, 1, *image.shape[-2:])
    planes = functional.conv2d(functional.conv2d(planes, weights[:, None][None, None]), weights[None, None, None])
    return planes.reshape(*image.shape[:-2], *planes.shape[-2:])
