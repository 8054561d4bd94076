"""What clipping to [0, 1] does to noise: it takes some of it away, and moves its mean away from the light."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.special import ndtr

__all__ = [
    "BOTH",
    "Ends",
    "Sigma",
    "clipped_ends",
    "clipped_moments",
    "is_saturated",
    "mean_around",
    "retained_variance",
    "undo_clipping",
    "undoing_slope",
]

Floats = NDArray[np.floating[Any]]
Sigma = float | Callable[[Floats], Floats]
"""The deviation of the noise, above 0 somewhere, or a function that gives it for the light m."""

Ends = tuple[bool, bool]
"""Whether values below 0 are at 0, and whether values above 1 are at 1."""

BOTH: Ends = (True, True)

FEWEST_AT_AN_END = 0.5
"""Part of the values that noise would leave at an end, from which on they were clipped there."""

AROUND = 5
"""Side of the square whose mean stands for the light at its middle."""

SATURATED = 1e-6
"""How near an end the mean of the values around is where they are all at it, but for rounding."""

LEAST_RETAINED = 1e-3
"""Of the variance: none at all would be divided by."""

LEAST_SLOPE = 0.25
"""Of the mean over the light, below which strong noise that grows with the light would make it next to none."""

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


def retained_variance(observed_mean: Floats, sigma: Sigma, ends: Ends = BOTH) -> Floats:
    """Return Var[clip(z, 0, 1)] / sigma^2 for z ~ N(m, sigma^2), where m is such that E[clip(z, 0, 1)] was observed.

    Args:
        observed_mean: any shape.
        sigma: of the noise.
        ends: at which of the two ends values are clipped.
    """
    deviations = sigma(np.array([0.0, 1.0])) if callable(sigma) else np.array([sigma, sigma])
    m = np.linspace(-3 * deviations[0], 1 + 3 * deviations[1], GRID)
    deviation = _deviation(m, sigma)
    mean, variance = clipped_moments(m, deviation, ends)
    interpolated: Floats = np.interp(observed_mean, mean, np.maximum(variance / deviation**2, LEAST_RETAINED))
    return interpolated


def undo_clipping(mean: Floats, sigma: Sigma, ends: Ends = BOTH) -> Floats:
    """Return the light m in [0, 1] for which E[clip(z, 0, 1)] is the `mean`, of its shape.

    White under strong noise is observed as the mean of what clipping left of it, 0.4 sigma below white; whatever
    averages the measurement comes to that mean. Means beyond those of 0 and 1 are taken for 0 and 1.

    >>> undo_clipping(np.array([0.0399, 0.5]), 0.1).round(3)
    array([0. , 0.5])
    """
    light: Floats = np.interp(mean, *_table(sigma, ends))
    return light


def undoing_slope(mean: Floats, sigma: Sigma, ends: Ends = BOTH) -> Floats:
    """Return how fast the light of `undo_clipping` changes with the `mean`.

    That is 1 in the middle and 2 at the ends; for noise that grows with the light, more than 2 at white, at most 4.

    >>> undoing_slope(np.array([0.0399, 0.5]), 0.1).round(2)
    array([2., 1.])
    """
    tabulated, m = _table(sigma, ends)
    slope: Floats = np.interp(mean, tabulated, 1 / np.maximum(np.gradient(tabulated, m), LEAST_SLOPE))
    return slope


def clipped_ends(pixels: Floats, sigma: Sigma, known: NDArray[np.bool_] | None = None) -> Ends:
    """Return at which ends the noisy `pixels` were clipped: where as many lie as noise of `sigma` would leave there.

    A picture whose white was made after its noise, by a curve or a range of its own, has none there. Where all around
    is at an end, as in a drawn border, there is no noise, and nothing to judge.

    Args:
        pixels: (C, H, W) in [0, 1].
        sigma: of the noise.
        known: bool (H, W), True where a pixel was measured.
    """
    left, there = np.zeros(2), np.zeros(2)
    for plane in pixels:  # one by one, for the sake of memory
        around = mean_around(plane[None], known)[0]
        judged = ~maximum_filter(is_saturated(around), AROUND)
        judged = judged if known is None else judged & known
        values, light = plane[judged], undo_clipping(around[judged], sigma)
        deviation = _deviation(light, sigma)
        left += [ndtr(-light / deviation).sum(), ndtr((light - 1) / deviation).sum()]
        there += [np.count_nonzero(values <= 0), np.count_nonzero(values >= 1)]
    low, high = (there > 0) & (there >= FEWEST_AT_AN_END * left)
    return bool(low), bool(high)


def mean_around(pixels: Floats, known: NDArray[np.bool_] | None = None) -> Floats:
    """Return the mean of the square around each of the `pixels` (C, H, W), which stands for the light there.

    Args:
        known: bool (H, W), True for the pixels that count; where none does, the mean is 0.
    """
    values = pixels.astype(np.float64)
    if known is None:
        mean: Floats = uniform_filter(values, (0, AROUND, AROUND), mode="nearest")
        return mean
    total = uniform_filter(np.where(known, values, 0), (0, AROUND, AROUND), mode="nearest")
    share = uniform_filter(known.astype(np.float64), AROUND, mode="nearest")
    return np.asarray(np.where(share > SATURATED, total / np.maximum(share, SATURATED), 0))


def is_saturated(around: Floats) -> NDArray[np.bool_]:
    """Return where the mean `around` says that all values are at one end, so that no noise is left."""
    saturated: NDArray[np.bool_] = (around < SATURATED) | (around > 1 - SATURATED)
    return saturated


def _table(sigma: Sigma, ends: Ends) -> tuple[Floats, Floats]:
    """Return the means of clipped noise, rising, and the lights m in [0, 1] that they belong to."""
    m = np.linspace(0, 1, GRID)
    tabulated: Floats = np.maximum.accumulate(clipped_moments(m, _deviation(m, sigma), ends)[0])
    return tabulated, m


def _deviation(light: Floats, sigma: Sigma) -> Floats:
    """Return the deviation at the `light`, above 0."""
    return np.maximum(sigma(light), 1e-6) if callable(sigma) else np.full_like(light, sigma)
