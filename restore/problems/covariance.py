"""The covariance of noise that is correlated between pixels and channels: estimated from a picture, and drawn from."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.problems.clipping import LEAST_RETAINED, is_saturated, mean_around
from restore.problems.compression import was_jpeg
from restore.problems.patches import PATCH, Patches, covariance_lags, take_patches
from restore.problems.signal_dependence import SignalDependence, estimate_dependence

__all__ = ["NoiseCovariance", "estimate_covariance", "estimate_dependent_covariance"]

Floats = NDArray[np.float64]

RADIUS = 4
"""Pixels beyond which noise is taken to be uncorrelated."""

LEAST_SIGMA = 0.1 / 255
"""Noise below which there is none."""

FEWEST = 24
"""Patches below which a covariance is not believed."""

FLATTEST = 0.02
"""Share of the patches, the flattest, that the estimate begins with."""

ROUNDS = 6
"""Of choosing patches and estimating from them."""

QUANTILE = 0.9
"""Of the flatness of pure noise, up to which a patch is taken for pure noise."""

LEAST_OF_LAW = 0.6
"""Part of the variance that the dependence on the light gives a patch, below which it is a drawn or clipped one."""

AS_THE_LAW = (0.8, 1.4)
"""Deviation, in units of what bands of brightness say it is, outside which the two do not describe one noise."""


@dataclass(frozen=True)
class NoiseCovariance:
    """Covariance of noise: cov(n_i(p), n_j(p + d)) for the offsets d of a square, where its gain is 1.

    Attributes:
        lags: float64 (C, C, 2 r + 1, 2 r + 1), in squared units of the [0, 1] range; the middle is d = 0.
        uneven: whether the noise differs from place to place, as compression leaves it, so that the covariance of the
            flat parts is a guess elsewhere.
        dependence: how the deviation depends on the light, in units of that of `lags`; None where it does not.
    """

    lags: Floats
    uneven: bool = False
    dependence: SignalDependence | None = None

    @property
    def sigma(self) -> float:
        """Root mean variance of the channels, in units of the [0, 1] range."""
        r = self.lags.shape[-1] // 2
        return float(np.sqrt(max(0.0, np.trace(self.lags[:, :, r, r]) / len(self.lags))))

    def scaled(self, sigma: float) -> NoiseCovariance:
        """Return the covariance of noise of the same kind with another `sigma` above 0."""
        return dataclasses.replace(self, lags=self.lags * (sigma / self.sigma) ** 2)

    def gain(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the deviation of the noise in the noisy `pixels` (C, H, W), in units of that of `lags`.

        Args:
            pixels: in [0, 1], impulses among them filled.
        """
        if self.dependence is None:
            return np.ones_like(pixels)
        return _deviation(self.dependence, mean_around(pixels)).astype(np.float32)

    def root(self, size: tuple[int, int]) -> NDArray[np.complex128]:
        """Return the Hermitian root of the spectrum for pictures of `size` (H, W): (H, W, C, C)."""
        channels, _, side, _ = self.lags.shape
        r = side // 2
        kernel = np.zeros((channels, channels, *size))
        for down in range(-r, r + 1):
            for right in range(-r, r + 1):
                kernel[:, :, down % size[0], right % size[1]] += self.lags[:, :, down + r, right + r]
        # With lags[i, j, d] = cov(n_i(p), n_j(p + d)), the transform of which is E[conj(N_i) N_j].
        spectrum = np.fft.fft2(kernel).transpose(2, 3, 0, 1).conj()
        spectrum = (spectrum + spectrum.conj().swapaxes(-1, -2)) / 2
        values, vectors = np.linalg.eigh(spectrum)
        root: NDArray[np.complex128] = (vectors * np.sqrt(values.clip(0))[..., None, :]) @ vectors.conj().swapaxes(
            -1, -2
        )
        return root

    def draw(self, size: tuple[int, int], count: int, seed: int) -> Floats:
        """Return `count` draws (count, C, H, W) of Gaussian noise with this covariance and a gain of 1, on a torus."""
        rng = np.random.default_rng(seed)
        white = rng.standard_normal((count, len(self.lags), *size))
        spectrum = np.einsum("hwij,njhw->nihw", self.root(size), np.fft.fft2(white))
        return np.fft.ifft2(spectrum).real


def estimate_covariance(
    image: NDArray[Any] | Tensor, known: NDArray[np.bool_] | Tensor | None = None, radius: int = RADIUS
) -> NoiseCovariance | None:
    """Return the covariance of the stationary noise in `image` (C, H, W), or None where too little of it is flat.

    Patches of 16x16 pixels lose the plane that fits them best; the flattest of them give the products of the residual
    with itself, shifted by up to `radius` pixels, between all channels. Which patches are flat enough to hold noise
    alone follows from draws of the covariance found so far, as patches of white noise are chosen by Liu, Tanaka and
    Okutomi (doi 10.1109/TIP.2013.2283400).

    Args:
        image: in [0, 1].
        known: bool (H, W), True where a pixel was measured; patches with others are left out.
        radius: largest shift.

    >>> white = np.random.default_rng(0).normal(0.5, 0.1, (1, 64, 66))
    >>> found = estimate_covariance((white[..., 1:] + white[..., :-1]) / 2)
    >>> round(found.sigma, 2), round(float(found.lags[0, 0, 4, 5] / found.lags[0, 0, 4, 4]), 1)
    (0.07, 0.5)
    """
    planes, mask = _planes(image, known)
    if min(planes.shape[1:]) < PATCH:
        return None
    found = _of_flattest(take_patches(planes, mask), radius)
    if found is None or found.sigma < LEAST_SIGMA:
        return None
    return _rounded(dataclasses.replace(found, uneven=was_jpeg(planes)))


def estimate_dependent_covariance(
    image: NDArray[Any] | Tensor, known: NDArray[np.bool_] | Tensor | None = None
) -> NoiseCovariance | None:
    """Return the covariance of noise whose strength depends on the light; None where no such noise is seen.

    The patches are those of `estimate_covariance`, each in units of what its light makes of the noise
    (`estimate_dependence`). `lags` are of the mean variance over the picture.

    Args:
        image: (C, H, W) in [0, 1].
        known: bool (H, W), True where a pixel was measured.
    """
    planes, mask = _planes(image, known)
    if min(planes.shape[1:]) < PATCH:
        return None
    patches = take_patches(planes, mask)
    dependence = estimate_dependence(patches)
    if dependence is None:
        return None
    patches = patches.over(dependence.deviation(patches.light))
    found = _of_flattest(patches[patches.roughness.mean(axis=1) > LEAST_OF_LAW], RADIUS)
    if found is None or not AS_THE_LAW[0] < found.sigma < AS_THE_LAW[1]:
        return None
    around = _deviation(dependence, mean_around(planes, mask))
    mean = float(np.sqrt(np.square(around if mask is None else around[:, mask]).mean()))
    relative = dependence.relative_to(float(f"{mean:.4g}"))
    return _rounded(NoiseCovariance(found.lags * mean**2, dependence=relative))


def _deviation(dependence: SignalDependence, around: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the deviation where the light is `around`; next to none where all values are at an end of the range."""
    deviation: NDArray[np.floating[Any]] = np.where(is_saturated(around), LEAST_RETAINED, dependence.deviation(around))
    return deviation


def _planes(
    image: NDArray[Any] | Tensor, known: NDArray[np.bool_] | Tensor | None
) -> tuple[Floats, NDArray[np.bool_] | None]:
    array, mask = (each.detach().cpu().numpy() if isinstance(each, Tensor) else each for each in (image, known))
    return np.asarray(array).astype(np.float64), None if mask is None else np.asarray(mask)


def _of_flattest(patches: Patches, radius: int) -> NoiseCovariance | None:
    """Return the covariance of what the flattest `patches` hold; None where there are too few."""
    if len(patches) < FEWEST:
        return None
    roughness, residual = patches.roughness, patches.residual
    weight = 1 / np.maximum(np.median(np.sort(roughness, axis=0)[: max(FEWEST, len(roughness) // 50)], axis=0), 1e-12)
    flatness = (roughness * weight).mean(axis=1)
    chosen = np.argsort(flatness, kind="stable")[: max(FEWEST, int(FLATTEST * len(flatness)))]
    for _ in range(ROUNDS):
        found = NoiseCovariance(covariance_lags(residual[chosen], radius))
        # How the flatness of patches that hold nothing but this noise is spread says which patches may be such.
        drawn = take_patches(found.draw((128, 128), 1, 0)[0], clipped=False)
        pure = (drawn.roughness * weight).mean(axis=1)
        limit = np.quantile(pure, QUANTILE)
        selected = np.flatnonzero(flatness <= limit)
        if len(selected) < FEWEST or len(selected) == len(chosen):
            break
        chosen = selected
    return NoiseCovariance(covariance_lags(residual[chosen], radius))


def _rounded(found: NoiseCovariance) -> NoiseCovariance:
    # Sums depend, in their last bits, on where the memory lies; what is asked of a fit must not.
    digits = 4 - math.floor(math.log10(found.sigma**2))
    return dataclasses.replace(found, lags=found.lags.round(digits))
