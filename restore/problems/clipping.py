"""What clipping to [0, 1] does to noise: it takes some of it away, and moves its mean away from the light."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["BOTH", "Ends", "clipped_ends", "clipped_moments", "retained_variance", "undo_clipping"]

Floats = NDArray[np.floating[Any]]
Ends = tuple[bool, bool]
"""Whether values below 0 are at 0, and whether values above 1 are at 1."""

BOTH: Ends = (True, True)

FEWEST_AT_AN_END = 0.5
"""Part of the values that noise would leave at an end, from which on they were clipped there."""

GRID = 2049
"""Lights for which the moments are tabulated; between them they are interpolated."""


def clipped_moments(light: Floats, deviation: Floats, ends: Ends = BOTH) -> tuple[Floats, Floats]:
    """Return the mean and the variance of clip(z, 0, 1) for z ~ N(light, deviation^2), of the shape of `light`.

    With a = -m / s, b = (1 - m) / s, the normal density phi and its distribution Phi,

        E = m (Phi(b) - Phi(a)) + s (phi(a) - phi(b)) + 1 - Phi(b)

    (Foi, doi 10.1016/j.sigpro.2009.04.035).

    Args:
        light: m, any shape.
        deviation: s, above 0, of the same shape.
        ends: at which of the two ends values are clipped.

    >>> mean, variance = clipped_moments(np.array([0.0]), np.array([0.1]))
    >>> round(float(mean[0]), 4), round(float(variance[0]), 5)
    (0.0399, 0.00341)
    """
    at_low, at_high = ends
    low = -light / deviation if at_low else np.full_like(light, -np.inf)
    high = (1 - light) / deviation if at_high else np.full_like(light, np.inf)
    density_low, density_high = (np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi) for t in (low, high))
    inside, above = ndtr(high) - ndtr(low), ndtr(-high)
    mean = light * inside + deviation * (density_low - density_high) + above
    square = (light**2 + deviation**2) * inside + deviation * (light * density_low - (1 + light) * density_high) + above
    return mean, square - mean**2


def retained_variance(observed_mean: Floats, sigma: float | Callable[[Floats], Floats], ends: Ends = BOTH) -> Floats:
    """Return Var[clip(z, 0, 1)] / sigma^2 for z ~ N(m, sigma^2), where m is such that E[clip(z, 0, 1)] was observed.

    Args:
        observed_mean: any shape.
        sigma: above 0 somewhere, or a function of m.
        ends: at which of the two ends values are clipped.
    """
    deviations = sigma(np.array([0.0, 1.0])) if callable(sigma) else np.array([sigma, sigma])
    m = np.linspace(-3 * deviations[0], 1 + 3 * deviations[1], GRID)
    deviation = _deviation(m, sigma)
    mean, variance = clipped_moments(m, deviation, ends)
    interpolated: Floats = np.interp(observed_mean, mean, np.clip(variance / deviation**2, 1e-3, None))
    return interpolated


def undo_clipping(mean: Floats, sigma: float | Callable[[Floats], Floats], ends: Ends = BOTH) -> tuple[Floats, Floats]:
    """Return the light m in [0, 1] for which E[clip(z, 0, 1)] is the `mean`, and how fast it changes with the mean.

    White under strong noise is observed as the mean of what clipping left of it, 0.4 sigma below white; whatever
    averages the measurement comes to that mean. Means beyond those of 0 and 1 are taken for 0 and 1.

    Args:
        mean: any shape.
        sigma: above 0 somewhere, or a function of m.
        ends: at which of the two ends values are clipped.

    >>> light, slope = undo_clipping(np.array([0.0399, 0.5]), 0.1)
    >>> light.round(3), slope.round(2)
    (array([0. , 0.5]), array([2., 1.]))
    """
    m = np.linspace(0, 1, GRID)
    tabulated = np.maximum.accumulate(clipped_moments(m, _deviation(m, sigma), ends)[0])
    light: Floats = np.interp(mean, tabulated, m)
    slope: Floats = np.interp(light, m, 1 / np.maximum(np.gradient(tabulated, m), 0.25))
    return light, slope


def clipped_ends(values: Floats, mean: Floats, sigma: float | Callable[[Floats], Floats]) -> Ends:
    """Return at which ends the noisy `values` were clipped: where as many lie as noise of `sigma` would leave there.

    A picture whose white was made after its noise, by a curve or a range of its own, has none there.

    Args:
        values: noisy, in [0, 1], any shape.
        mean: of the values around each, of the same shape.
        sigma: above 0 somewhere, or a function of the light.
    """
    light = undo_clipping(mean, sigma)[0]
    deviation = _deviation(light, sigma)
    low = float((values <= 0).sum()) >= FEWEST_AT_AN_END * float(ndtr(-light / deviation).sum())
    high = float((values >= 1).sum()) >= FEWEST_AT_AN_END * float(ndtr((light - 1) / deviation).sum())
    return low, high


def _deviation(light: Floats, sigma: float | Callable[[Floats], Floats]) -> Floats:
    """Return the deviation at the `light`, above 0."""
    return np.maximum(sigma(light), 1e-6) if callable(sigma) else np.full_like(light, sigma)
