"""How the strength of correlated noise depends on the light, as photon noise does once it was interpolated.

A camera's noise grows with the light, in proportion to its root, and is correlated once the colours of its mosaic were
interpolated; a tone curve makes it stronger in the dark instead. The flattest patches of a picture alone would be its
darkest, or its brightest, ones, and what they say of the noise holds for them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from restore.problems.patches import Patches, covariance_lags

__all__ = ["SignalDependence", "estimate_dependence"]

Floats = NDArray[np.floating[Any]]

BANDS = 10
"""Of brightness in each channel, with as many patches each."""

FLATTEST = 1 / 16
"""Share of a band's patches, the flattest, by which it is judged."""

FEWEST = 12
"""Of them at least; a band of fewer than twice as many is left out."""

RADIUS = 4
"""Largest distance in pixels at which a residual is compared with itself."""

FAR = 0.12
"""Correlation at a distance of 3 or 4 pixels above which a residual is texture; that of noise reaches less far."""

SPREAD = 1.45
"""Ratio of the quantiles 15 and 3 % of a band's roughness above which its flattest patches are not alike, as those of
noise are."""

LEAST_LIGHT = 1 / 255
"""Light below which roughness is not divided by it."""

NOISY = 1 / 255
"""Deviation below which a band has no noise."""

ENOUGH = 0.5
"""Share of the bands that must hold noise: of clean pictures up to 0.47 did, of most noisy ones more than 0.5."""

AGREEING = 1.3
"""Ratio of a band's deviation to the law's up to which they agree."""

MOST_AGREE = 0.7
"""Share of the bands with noise that must agree with the law."""

ROUNDS = 3


@dataclass(frozen=True)
class SignalDependence:
    """The variance of noise at the light m: a + b m + c m^2 + d (1 - m) + e (1 - m)^2, none of the terms negative.

    Attributes:
        terms: a, b, c, d, e.
        near: correlation of neighbouring noise.
        span: ratio of the deviations at the lights where noise is strongest and weakest.
    """

    terms: tuple[float, ...]
    near: float
    span: float

    def deviation(self, light: Floats) -> Floats:
        """Return the standard deviation at the `light`, of its shape and above 0."""
        deviation: Floats = np.sqrt(np.maximum(_basis(np.clip(light, 0, 1)) @ np.array(self.terms), 1e-12))
        return deviation

    def relative_to(self, deviation: float) -> SignalDependence:
        """Return the same in units of a `deviation`."""
        return SignalDependence(tuple(term / deviation**2 for term in self.terms), self.near, self.span)


def estimate_dependence(patches: Patches) -> SignalDependence | None:
    """Return how strong the noise in `patches` is by their light; None where too few of them hold noise.

    In each channel the patches are divided into bands of brightness. The flattest of a band hold noise if they are
    alike and neighbours three or four pixels apart have nothing in common: those of textures differ, and reach far.
    """
    if not len(patches):
        return None
    bands = [band for channel in range(patches.light.shape[1]) for band in _bands(patches, channel)]
    noisy = [(light, deviation, near) for light, deviation, near in bands if deviation is not None]
    if not bands or len(noisy) < ENOUGH * len(bands):
        return None
    light, deviation, near = (np.array(each, dtype=np.float64) for each in zip(*noisy, strict=True))
    agree = np.ones(len(light), dtype=np.bool_)
    for _ in range(ROUNDS):
        terms = _fitted(light[agree], deviation[agree])
        ratio = np.sqrt(_basis(light) @ terms) / deviation
        close = (ratio < AGREEING) & (ratio > 1 / AGREEING)
        if close.sum() < MOST_AGREE * len(noisy):
            return None
        if (close == agree).all():
            break
        agree = close
    law = np.sqrt(_basis(light[agree]) @ terms)
    # The last digits of sums depend on where the memory lies; what is asked of a fit must not.
    rounded = tuple(float(f"{term:.3g}") for term in terms)
    return SignalDependence(rounded, float(np.median(near[agree])), float(law.max() / law.min()))


def _bands(patches: Patches, channel: int) -> list[tuple[float, float | None, float]]:
    """Return light, deviation (None for what is not noise) and correlation of neighbours of each band."""
    found: list[tuple[float, float | None, float]] = []
    light, roughness = patches.light[:, channel], patches.roughness[:, channel]
    for low, high in pairwise(np.quantile(light, np.linspace(0, 1, BANDS + 1))):
        band = np.flatnonzero((light >= low) & (light <= high))
        if len(band) < 2 * FEWEST:
            continue
        rough = _alike(roughness[band], light[band])
        flattest = band[np.argsort(rough, kind="stable")[: max(FEWEST, int(FLATTEST * len(band)))]]
        lags = covariance_lags(patches.residual[flattest][:, [channel]], RADIUS)[0, 0]
        variance = lags[RADIUS, RADIUS]
        deviation = float(np.sqrt(max(variance, 0.0)))
        along = (lags[RADIUS, RADIUS:] + lags[RADIUS:, RADIUS]) / 2 / max(variance, 1e-12)
        noise = deviation > NOISY and abs(along[3:]).max() < FAR and _spread(rough) < SPREAD
        found.append((float(light[flattest].mean()), deviation if noise else None, float(along[1])))
    return found


def _alike(roughness: Floats, light: Floats) -> Floats:
    """Return the roughness of a band as it is, or over the light, by which patches of noise are more alike.

    In the dark a band reaches from nothing to several times its mean, and so does the noise of photons in it.
    """
    over: Floats = roughness / np.maximum(light, LEAST_LIGHT)
    return over if _spread(over) < _spread(roughness) else roughness


def _spread(roughness: Floats) -> float:
    least, above = np.quantile(roughness, [0.03, 0.15])
    return float(above / max(least, 1e-12))


def _fitted(light: Floats, deviation: Floats) -> Floats:
    """Return the terms whose variance is nearest to the squares of these deviations, by relative differences."""
    terms: Floats = nnls(_basis(light) / deviation[:, None] ** 2, np.ones_like(light))[0]
    return terms


def _basis(light: Floats) -> Floats:
    dark = 1 - light
    basis: Floats = np.stack([np.ones_like(light), light, light**2, dark, dark**2], axis=-1)
    return basis
