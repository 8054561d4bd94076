"""What kind of noise a picture has, judged from the picture alone, and the problem that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from restore.problems.compression import was_jpeg
from restore.problems.covariance import NoiseCovariance, estimate_covariance, estimate_dependent_covariance
from restore.problems.impulses import find_impulses
from restore.problems.noise import NoiseCorrelation, estimate_sigma, noise_correlation
from restore.problems.noise_level import NoiseLevel, estimate_level
from restore.problems.problem import Problem, denoising, inpainting

__all__ = ["CLEAN_SIGMA", "NoiseFindings", "examine"]

CLEAN_SIGMA = 5.0
"""Noise, on the scale of 0 to 255, below which pixels beside impulses are kept as they are."""

CORRELATED = 0.21
"""Of neighbouring noise, in bands of brightness, above which it is correlated.

White noise gave up to 0.2, where it lay on texture; noise blurred by half a pixel 0.22 and more.
"""

DEPENDENT = 1.6
"""Ratio of the strongest and the weakest deviation of correlated noise above which it depends on the light: noise that
does not gave up to 1.54."""

SHARED = 2.5
"""Deviation of the flattest patches, over that of the noise of all channels together, above which it is not white.

White noise gave 0.6 to 1.1; under JPEG of quality 95, whose chroma is halved, it was 5.8 and more.
"""

UNJUDGED = (
    "the picture was compressed as JPEG and its noise cannot be judged, so it may have none: as much of the picture is "
    "kept as the estimated sigma says; if you see noise, give its sigma (--sigma)."
)

GROWING = "the flattest patches are texture, in the dark, where there is little of the noise"

KEPT = "nothing but impulses is taken out of this picture"


@dataclass(frozen=True)
class NoiseFindings:
    """What a picture to denoise holds beside the picture.

    Attributes:
        sigma: standard deviation of the noise, on the scale of 0 to 255.
        impulses: bool (H, W), True where a pixel is black or white by accident; None without any.
        correlation: of neighbouring noise.
        covariance: of correlated noise, or None for noise that is fitted as if it were white.
        level: of white noise, or None for noise that is correlated or whose strength is not known everywhere.
        warnings: what was found, in sentences.
    """

    sigma: float
    impulses: NDArray[np.bool_] | None
    correlation: NoiseCorrelation
    covariance: NoiseCovariance | None
    warnings: tuple[str, ...]
    level: NoiseLevel | None = None

    @property
    def share(self) -> float:
        """Share of the pixels that are impulses."""
        return 0.0 if self.impulses is None else float(self.impulses.mean())

    def problem(self, pixels: NDArray[np.float32]) -> Problem:
        """Return the problem for the `pixels` (C, H, W): where nothing is wrong but impulses, they are its hole."""
        measurement = torch.from_numpy(pixels.copy())
        if self.impulses is None:
            return denoising(measurement, self.sigma, None, self.covariance, self.level)
        hole = torch.from_numpy(self.impulses)
        if self.sigma < CLEAN_SIGMA and self.covariance is None:
            return inpainting(measurement, hole, self.sigma)
        return denoising(measurement, self.sigma, ~hole, self.covariance, self.level)


def examine(pixels: NDArray[np.float32], sigma: float | Literal["auto"] = "auto") -> NoiseFindings:
    """Return what is found in `pixels` (C, H, W), in [0, 1].

    Args:
        pixels: of the picture.
        sigma: of the noise on the scale of 0 to 255; `auto` estimates it. A sigma that is told holds whatever kind of
            noise is found: what is estimated then is how it is spread.
    """
    warnings: list[str] = []
    struck = find_impulses(pixels)
    impulses = struck if struck.any() and not struck.all() else None
    known = None if impulses is None else ~impulses
    # Sums of float32 depend, in their last bits, on where the memory lies; what is asked of a fit must not.
    estimated = estimate_sigma(pixels, known)
    level = round(255 * estimated, 3) if sigma == "auto" else sigma
    if impulses is not None:
        warnings.append(
            f"{impulses.mean():.2%} of the pixels are impulses, black or white by accident (salt and pepper): they are "
            "treated as missing."
        )
    if impulses is not None and level < CLEAN_SIGMA:
        # What is left between the impulses is kept, and would pass for correlated noise: it is the picture's texture.
        return NoiseFindings(level, impulses, NoiseCorrelation(None, False, KEPT), None, tuple(warnings))
    correlation = noise_correlation(pixels, known)
    if sigma == 0:
        return NoiseFindings(0.0, impulses, correlation, None, tuple(warnings), NoiseLevel(0.0))
    compressed = was_jpeg(pixels)
    # JPEG halves the chroma, so that its noise is correlated however white that of the luminance is.
    correlated = correlation.correlated or (compressed and len(pixels) == 3 and correlation.coefficient is not None)
    # The best JPEG keeps the luminance's noise white; then all channels together have less of it than each of them.
    shared = correlation.deviation is not None and correlation.deviation > SHARED * estimated
    if shared and not correlated:
        correlated = True
        warnings.append("the noise of the channels has much in common, as where JPEG halved the chroma.")
    in_bands: NoiseCovariance | None = None
    grows: NoiseLevel | None = None
    if not compressed and (correlated or correlation.coefficient is None):
        # The flattest patches may be dark ones without noise, or texture there, whatever the noise elsewhere is.
        in_bands = estimate_dependent_covariance(pixels, known)
        seen = None if in_bands is None else in_bands.dependence
        if seen is not None and seen.near > CORRELATED:
            if not correlated:
                correlated, correlation = True, NoiseCorrelation(round(seen.near, 4), True)
            elif seen.span < DEPENDENT:
                in_bands = None
        else:
            in_bands = None
            grows = estimate_level(pixels, level / 255, known, only_judged=True) if correlated else None
            if grows is not None and grows.varies:
                correlated, correlation = False, NoiseCorrelation(None, False, GROWING)
    if not correlated:
        if sigma == "auto" and compressed and correlation.coefficient is None:
            warnings.append(UNJUDGED)
        white = grows or estimate_level(pixels, level / 255, known)
        if white is not None and white.varies:
            found = float(np.sqrt(np.square(white.at(pixels)).mean()))
            if sigma == "auto":
                level = round(255 * found, 3)
            else:
                white = white.scaled(sigma / 255 / found)
            warnings.append("the noise grows with the light, as that of sensors does: its strength was estimated.")
        return NoiseFindings(level, impulses, correlation, None, tuple(warnings), white)
    covariance = in_bands or estimate_covariance(pixels, known)
    if covariance is not None:
        covariance = covariance if sigma == "auto" else covariance.scaled(sigma / 255)
        level = round(255 * covariance.sigma, 3)
    warnings.append(_of_correlation(correlation, covariance))
    return NoiseFindings(level, impulses, correlation, covariance, tuple(warnings))


def _of_correlation(correlation: NoiseCorrelation, covariance: NoiseCovariance | None) -> str:
    """Return what is to be said of correlated noise."""
    found = (
        f"the noise of neighbouring pixels is correlated ({correlation.coefficient:.2f}), as in JPEG or camera pictures"
        if correlation.correlated
        else "the noise is not independent"
    )
    if covariance is not None:
        told = "its covariance was estimated" + (", and how it depends on the light" if covariance.dependence else "")
        return f"{found}: {told}; objective 'auto' takes 'recorrupted' with it."
    return (
        f"{found}, and too little of the picture is flat to tell how: the blind-spot objective and sigma do not hold "
        "for it; shrink the picture to half its size, or try objective 'fit'."
    )
