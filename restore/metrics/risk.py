"""Stein's unbiased risk estimate: the mean squared error of a denoiser without its reference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from restore.errors import UsageError
from restore.metrics.checks import as_double, check_same_shape

__all__ = ["mc_divergence", "sure"]


def sure(measurement: Tensor, estimate: Tensor, divergence: Tensor | float, sigma: float) -> Tensor:
    """Return an unbiased estimate of the mean squared error of `estimate` = f(`measurement`), for each image.

    SURE = ||y - f(y)||^2 / N - sigma^2 + 2 sigma^2 div f(y) / N for y = x + noise, the noise white, Gaussian, of
    standard deviation sigma and not clipped (Stein, doi 10.1214/aos/1176345632). It may be negative.

    Args:
        measurement: (..., C, H, W), y.
        estimate: of the same shape, f(y).
        divergence: (...), the sum of the derivatives of f_i by y_i, as `mc_divergence` returns it.
        sigma: in the units of the measurement.

    Returns (...): a scalar tensor for one image, in squared units of the measurement.

    Raises InputError for shapes that differ, UsageError for a negative sigma.
    """
    check_same_shape(measurement, estimate)
    if sigma < 0:
        raise UsageError(f"sigma must be 0 or more, not {sigma}.")
    misfit = (as_double(measurement) - as_double(estimate)).square().mean(dim=(-3, -2, -1))
    pixels = measurement.shape[-3:].numel()
    trace = as_double(torch.as_tensor(divergence)).to(misfit.device)
    return misfit - sigma**2 + 2 * sigma**2 * trace / pixels


def mc_divergence(
    denoiser: Callable[[Tensor], Tensor], y: Tensor, generator: torch.Generator, epsilon: float = 1e-3
) -> Tensor:
    """Return an estimate of the divergence of `denoiser` at `y`, the sum of df_i / dy_i, for each image.

    b^T (f(y + epsilon b) - f(y)) / epsilon for one random vector b of signs, which are of all vectors with zero mean
    and unit variance the ones with the least spread (Ramani, Blu and Unser, doi 10.1109/TIP.2008.2001404).

    Args:
        denoiser: maps (..., C, H, W) to the same shape; called twice, so it must not draw random numbers itself.
        y: (..., C, H, W).
        generator: where b is drawn from.
        epsilon: size of the finite difference in the units of y: small against the features of f, large against the
            rounding of its precision.

    Returns (...): a scalar tensor for one image.

    Raises UsageError for an epsilon that is not positive.

    >>> float(mc_divergence(lambda y: y / 2, torch.rand(1, 4, 4).double(), torch.Generator(), epsilon=0.5))
    8.0
    """
    if not epsilon > 0:
        raise UsageError(f"epsilon must be positive, not {epsilon}.")
    signs = torch.randint(2, y.shape, generator=generator, device=generator.device).to(y) * 2 - 1
    change = as_double(denoiser(y + epsilon * signs)) - as_double(denoiser(y))
    return (as_double(signs) * change).sum(dim=(-3, -2, -1)) / epsilon
