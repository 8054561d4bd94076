"""What kind of noise a picture has, judged from the picture alone, and the problem that follows from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from restore.problems.blackened import black_among_bright
from restore.problems.clipping import clipped_ends, mean_around
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
    missing = black_among_bright(pixels, known)
    if missing > 0:
        warnings.append(
            f"{missing:.0%} of the pixels are black among bright ones, which denoising takes for the picture: if they "
            "are missing, restore inpaint fills them; it needs a mask of them."
        )
    correlation = noise_correlation(pixels, known)
    judged = correlation.coefficient is not None
    compressed = was_jpeg(pixels)
    # JPEG halves the chroma, so that its noise is correlated however white that of the luminance is.
    correlated = correlation.correlated or (compressed and len(pixels) == 3 and judged)
    # The best JPEG keeps the luminance's noise white; then all channels together have less of it than each of them.
    several = len(pixels) > 1 and correlation.deviation is not None
    shared = several and not correlated and (correlation.deviation or 0.0) > SHARED * estimated
    struck_alone = impulses is not None and level < CLEAN_SIGMA
    in_bands: NoiseCovariance | None = None
    if sigma != 0 and not compressed and (struck_alone or correlated or shared or not judged):
        # The flattest patches may be dark ones without noise, or texture there, whatever the noise elsewhere is.
        in_bands = estimate_dependent_covariance(pixels, known)
    seen = None if in_bands is None else in_bands.dependence
    linked = seen is not None and seen.near > CORRELATED
    if struck_alone and not linked:
        # What is left between the impulses is kept, and would pass for correlated noise: it is the picture's texture.
        return NoiseFindings(level, impulses, NoiseCorrelation(None, False, KEPT), None, tuple(warnings))
    if sigma == 0:
        return NoiseFindings(0.0, impulses, correlation, None, tuple(warnings), NoiseLevel(0.0))
    if seen is not None and linked and not judged:
        correlated, correlation = True, NoiseCorrelation(round(seen.near, 4), True)
    elif seen is None or not (linked or shared) or seen.span < DEPENDENT:
        in_bands = None
    grows: NoiseLevel | None = None
    if correlated and not compressed and not linked:
        grows = estimate_level(pixels, level / 255, known, only_judged=True)
        if grows is not None and grows.varies:
            correlated, correlation = False, NoiseCorrelation(None, False, GROWING)
    if not (correlated or shared):
        if sigma == "auto" and compressed and correlation.coefficient is None:
            warnings.append(UNJUDGED)
        white = grows or estimate_level(pixels, level / 255, known)
        if white is not None and white.varies:
            white, level = _by_the_light(white, pixels, known, sigma)
            warnings.append("the noise grows with the light, as that of sensors does: its strength was estimated.")
        return NoiseFindings(level, impulses, correlation, None, tuple(warnings), white)
    covariance = in_bands or estimate_covariance(pixels, known)
    if covariance is not None:
        covariance = covariance if sigma == "auto" else covariance.scaled(sigma / 255)
        level = round(255 * covariance.sigma, 3)
    if shared:
        warnings.append("the noise of the channels has much in common, as where JPEG halved the chroma.")
    warnings.append(_of_correlation(correlation, covariance))
    return NoiseFindings(level, impulses, correlation, covariance, tuple(warnings))


def _by_the_light(
    level: NoiseLevel, pixels: NDArray[np.float32], known: NDArray[np.bool_] | None, sigma: float | Literal["auto"]
) -> tuple[NoiseLevel, float]:
    """Return the level of noise that grows with the light, and its root mean variance on the scale of 0 to 255.

    What is estimated is what clipping left of it; a sigma that is told is taken, as ever, to be of before.
    """
    around = mean_around(pixels, known)
    filled = pixels if known is None else np.where(known, pixels, around).astype(np.float32)
    where = np.ones(pixels.shape[1:], dtype=np.bool_) if known is None else known
    if sigma == "auto":
        return level, round(255 * float(np.sqrt(np.square(level.at(filled)[:, where]).mean())), 3)
    scaled = level.scaled(sigma / 255 / float(np.sqrt(np.square(level.sigma(around)[:, where]).mean())))
    return dataclasses.replace(scaled, ends=clipped_ends(pixels, scaled.sigma, known)), sigma


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
