"""How strong white noise is at each pixel: noise that grows with the light, and what clipping leaves of it.

The variance of a sensor's noise is a m + b at the light m, and that of speckle c m^2 (Foi, Trimeche, Katkovnik and
Egiazarian, doi 10.1109/TIP.2008.2001399). It is estimated from the flat patches of bands of brightness, where their
residuals are white: those of a texture are not, so that it is not taken for noise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from restore.problems.clipping import (
    BOTH,
    LEAST_RETAINED,
    Ends,
    clipped_ends,
    is_saturated,
    mean_around,
    retained_variance,
    undo_clipping,
    undoing_slope,
)
from restore.problems.noise import TOO_FEW, estimate_sigma, noise_correlation

__all__ = ["NoiseLevel", "estimate_level"]

Floats = NDArray[np.floating[Any]]

BANDS = 8
"""Of brightness in each channel, with as many pixels each."""

FLATTEST_LIGHT = 0.1
"""Quantile of a band's lights that its flattest patches have, which are dark ones where the noise grows."""

DIFFERENT = 1.3
"""Ratio of two bands' deviations up to which the noise is taken to be the same everywhere."""

PLAIN = 1.5
"""The same ratio above which bands that could not be judged are believed: texture alone gave up to 1.49."""

FEWEST = 3
"""Bands that differ, from which it may follow how the noise depends on the light."""

AGREEING = 0.75
"""Share of the bands that a level must agree with; some may be textures that pass for noise."""


@dataclass(frozen=True)
class NoiseLevel:
    """The variance of white noise as a function of the light m: constant + linear m + quadratic m^2, before clipping.

    Attributes:
        constant, linear, quadratic: not negative, in units of the [0, 1] range.
        ends: whether values below 0 were clipped to 0, and those above 1 to 1.
    """

    constant: float
    linear: float = 0.0
    quadratic: float = 0.0
    ends: Ends = BOTH

    @property
    def varies(self) -> bool:
        """Whether it depends on the light."""
        return self.linear > 0 or self.quadratic > 0

    def sigma(self, light: Floats) -> Floats:
        """Return the standard deviation at the `light`, of its shape."""
        light = np.clip(light, 0, 1)
        deviation: Floats = np.sqrt(self.constant + self.linear * light + self.quadratic * light**2)
        return deviation

    def at(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the deviation of the noise in the noisy `pixels` (C, H, W), of their shape, after clipping to [0, 1].

        >>> grey = np.full((1, 8, 8), 0.5, np.float32)
        >>> round(float(NoiseLevel(0.01).at(grey).mean()), 2)
        0.1
        >>> bool(NoiseLevel(0.01).at(0 * grey).max() < 0.07)
        True
        """
        return (self.sigma(mean_around(pixels)) * self.kept(pixels)).astype(np.float32)

    def kept(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the part of the deviation that clipping leaves in the noisy `pixels`, of their shape."""
        if not self.is_noisy:
            return np.ones_like(pixels)
        around = mean_around(pixels)
        retained = retained_variance(around, self.sigma, self.ends)
        # Drawn and blown-out parts have no noise, whatever else becomes of it at that end.
        return np.sqrt(np.where(is_saturated(around), LEAST_RETAINED, retained)).astype(np.float32)

    def scaled(self, factor: float) -> NoiseLevel:
        """Return the level of noise whose deviation is `factor` times as large everywhere."""
        terms = {name: factor**2 * getattr(self, name) for name in ("constant", "linear", "quadratic")}
        return dataclasses.replace(self, **terms)

    @property
    def is_noisy(self) -> bool:
        """Whether there is any noise."""
        return self.constant > 0 or self.varies

    @property
    def is_clipped(self) -> bool:
        """Whether there is noise, and it was clipped somewhere."""
        return self.is_noisy and any(self.ends)

    def unclipped(self, mean: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the light whose noise, clipped, has this `mean`, of its shape.

        >>> white = np.array([1 - 0.0399], np.float32)
        >>> round(float(NoiseLevel(0.01).unclipped(white)[0]), 3)
        1.0
        """
        return undo_clipping(mean, self.sigma, self.ends).astype(np.float32) if self.is_clipped else mean

    def unclipping_slope(self, mean: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how fast what `unclipped` returns changes with the `mean`, of its shape."""
        if not self.is_clipped:
            return np.ones_like(mean)
        return undoing_slope(mean, self.sigma, self.ends).astype(np.float32)


def estimate_level(
    pixels: NDArray[np.float32], sigma: float, known: NDArray[np.bool_] | None = None, *, only_judged: bool = False
) -> NoiseLevel | None:
    """Return the level of the white noise in `pixels` (C, H, W), whose least deviation `sigma` is known.

    In each channel, the pixels of each band of brightness are looked at alone: where their flattest patches hold noise
    that is white, its deviation counts. If two bands differ, the variance is fitted to all, without negative terms; if
    more than a few are still far from that, the noise is of another kind, and None is returned. Where that finds no
    dependence on the light, bands whose whiteness cannot be judged are taken in as well, and may show one.

    Args:
        pixels: in [0, 1].
        sigma: of the noise in units of that range, as `estimate_sigma` gives it for the whole picture.
        known: bool (H, W), True where a pixel was measured.
        only_judged: leave out bands whose whiteness cannot be judged, and return None unless more bands are seen to be
            white than to be correlated.
    """
    level = _estimated(pixels, sigma, known, only_judged)
    if level is None or not level.is_noisy:
        return level
    return dataclasses.replace(level, ends=clipped_ends(pixels, level.sigma, known))


def _estimated(
    pixels: NDArray[np.float32], sigma: float, known: NDArray[np.bool_] | None, only_judged: bool
) -> NoiseLevel | None:
    """Return the same, clipped at both ends."""
    bands = _bands(pixels, known)
    seen = {kind: [band for band in bands if band.kind == kind] for kind in _KINDS}
    white, correlated = len(seen["white"]), len(seen["correlated"])
    level = _of_bands(seen["white"], sigma)
    if only_judged and white <= correlated:
        return None
    if only_judged or (level is not None and level.varies):
        return level
    # Bands of a small picture lie in pieces that are too small to judge, yet where one law holds for all, that is it.
    every = _of_bands(seen["white"] + seen["unjudged"], sigma, correlated, PLAIN)
    return every if every is not None and every.varies else level


_KINDS = ("white", "correlated", "unjudged")


@dataclass(frozen=True)
class _Band:
    """Of brightness: its light, the deviation of its noise, and what that is seen to be, of `_KINDS`."""

    light: float
    deviation: float
    kind: str


def _bands(pixels: NDArray[np.float32], known: NDArray[np.bool_] | None) -> list[_Band]:
    """Return the bands of every channel that have noise."""
    found = []
    for plane, light in zip(pixels, mean_around(pixels, known), strict=True):
        ends = np.quantile(light if known is None else light[known], np.linspace(0, 1, BANDS + 1))
        for low, high in pairwise(ends):
            band = (light >= low) & (light <= high)
            band = band if known is None else band & known
            correlation = noise_correlation(plane[None], band)
            if correlation.reason not in (None, TOO_FEW):
                continue
            deviation = estimate_sigma(plane[None], band)
            if deviation > 0:
                judged = "correlated" if correlation.correlated else "white"
                kind = "unjudged" if correlation.coefficient is None else judged
                found.append(_Band(float(np.quantile(light[band], FLATTEST_LIGHT)), deviation, kind))
    return found


def _of_bands(bands: Sequence[_Band], sigma: float, others: int = 0, ratio: float = DIFFERENT) -> NoiseLevel | None:
    """Return the level that most of the bands agree with; None where there is none.

    Args:
        sigma: of noise that is the same everywhere.
        others: number of bands that agree with none.
        ratio: of the deviations of two bands, from which on the level depends on the light.
    """
    m, deviation = (np.array([getattr(band, name) for band in bands]) for name in ("light", "deviation"))
    if not bands or deviation.max() < DIFFERENT * deviation.min():
        return NoiseLevel(sigma**2)
    if len(bands) < FEWEST:
        return None
    level = _fitted(m, deviation)
    agree = _agree(level, m, deviation)
    if agree.sum() < AGREEING * (len(bands) + others):
        return None
    if not agree.all():
        level = _fitted(m[agree], deviation[agree])
    found = level.sigma(m)
    # What the level says of a light at which no band is as strong, or as weak, is no evidence.
    strongest, weakest = np.minimum(found, deviation).max(), np.maximum(found, deviation).min()
    return level if strongest > ratio * weakest else NoiseLevel(sigma**2)


def _fitted(light: Floats, deviation: Floats) -> NoiseLevel:
    """Return the level whose variance is nearest to the squares of these deviations, by relative differences."""
    terms = np.stack([np.ones_like(light), light, light**2], axis=1) / deviation[:, None] ** 2
    # The last digits of what was estimated depend on where the memory lies; what is asked of a fit must not.
    constant, linear, quadratic = (float(f"{term:.3g}") for term in nnls(terms, np.ones_like(light))[0])
    return NoiseLevel(constant, linear, quadratic)


def _agree(level: NoiseLevel, light: Floats, deviation: Floats) -> NDArray[np.bool_]:
    ratio = level.sigma(light) / deviation
    agree: NDArray[np.bool_] = (ratio < DIFFERENT) & (ratio > 1 / DIFFERENT)
    return agree
