"""The covariance of noise that is correlated between pixels and channels: estimated from a picture, and drawn from."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from restore.problems.compression import was_jpeg

__all__ = ["NoiseCovariance", "estimate_covariance"]

Floats = NDArray[np.float64]

RADIUS = 4
"""Pixels beyond which noise is taken to be uncorrelated."""

PATCH = 16
"""Side of the patches that are looked at."""

MOST_SATURATED = 0.1
"""Share of clipped values above which a patch says too little of the noise."""

LEAST_SIGMA = 0.1 / 255
"""Noise below which there is none."""

FEWEST = 24
"""Patches below which a covariance is not believed."""

FLATTEST = 0.02
"""Share of the patches, the flattest, that the estimate begins with."""

MOST = 6000
"""Patches that are looked at at most."""

ROUNDS = 6
"""Of choosing patches and estimating from them."""

QUANTILE = 0.9
"""Of the flatness of pure noise, up to which a patch is taken for pure noise."""


@dataclass(frozen=True)
class NoiseCovariance:
    """Covariance of stationary noise: cov(n_i(p), n_j(p + d)) for the offsets d of a square.

    Attributes:
        lags: float64 (C, C, 2 r + 1, 2 r + 1), in squared units of the [0, 1] range; the middle is d = 0.
        uneven: whether the noise differs from place to place, as compression leaves it, so that the covariance of the
            flat parts is a guess elsewhere.
    """

    lags: Floats
    uneven: bool = False

    @property
    def sigma(self) -> float:
        """Root mean variance of the channels, in units of the [0, 1] range."""
        r = self.lags.shape[-1] // 2
        return float(np.sqrt(max(0.0, np.trace(self.lags[:, :, r, r]) / len(self.lags))))

    def scaled(self, sigma: float) -> NoiseCovariance:
        """Return the covariance of noise of the same kind with another `sigma` above 0."""
        return NoiseCovariance(self.lags * (sigma / self.sigma) ** 2, self.uneven)

    def root(self, size: tuple[int, int]) -> NDArray[np.complex128]:
        """Return the Hermitian root of the spectrum for pictures of `size` (H, W): (H, W, C, C)."""
        channels, _, side, _ = self.lags.shape
        r = side // 2
        kernel = np.zeros((channels, channels, *size))
        for down in range(-r, r + 1):
            for right in range(-r, r + 1):
                kernel[:, :, down % size[0], right % size[1]] += self.lags[:, :, down + r, right + r]
        spectrum = np.fft.fft2(kernel).transpose(2, 3, 0, 1)
        spectrum = (spectrum + spectrum.conj().swapaxes(-1, -2)) / 2
        values, vectors = np.linalg.eigh(spectrum)
        root: NDArray[np.complex128] = (vectors * np.sqrt(values.clip(0))[..., None, :]) @ vectors.conj().swapaxes(
            -1, -2
        )
        return root

    def draw(self, size: tuple[int, int], count: int, seed: int) -> Floats:
        """Return `count` draws (count, C, H, W) of Gaussian noise with this covariance, on a torus."""
        rng = np.random.default_rng(seed)
        white = rng.standard_normal((count, len(self.lags), *size))
        spectrum = np.einsum("hwij,njhw->nihw", self.root(size), np.fft.fft2(white))
        return np.fft.ifft2(spectrum).real


def estimate_covariance(
    image: NDArray[Any] | Tensor, known: NDArray[np.bool_] | Tensor | None = None, radius: int = RADIUS
) -> NoiseCovariance | None:
    """Return the covariance of the stationary noise in `image` (C, H, W), or None where too little of it is flat.

    Patches of 16x16 pixels lose the plane that fits them best; the flattest of them give the products of the residual
    with itself, shifted by up to `radius` pixels, between all channels. What taking the planes out did to these
    products is undone exactly: it is linear, E[r r^T] = P Sigma P, for a Sigma that vanishes beyond the radius. Which
    patches are flat enough to hold noise alone follows from draws of the covariance found so far, as patches of white
    noise are chosen by Liu, Tanaka and Okutomi (doi 10.1109/TIP.2013.2283400).

    Args:
        image: in [0, 1].
        known: bool (H, W), True where a pixel was measured; patches with others are left out.
        radius: largest shift.

    >>> white = np.random.default_rng(0).normal(0.5, 0.1, (1, 64, 66))
    >>> found = estimate_covariance((white[..., 1:] + white[..., :-1]) / 2)
    >>> round(found.sigma, 2), round(float(found.lags[0, 0, 4, 5] / found.lags[0, 0, 4, 4]), 1)
    (0.07, 0.5)
    """
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    planes = array.astype(np.float64)
    if min(planes.shape[1:]) < PATCH:
        return None
    residual, unusable = _residuals(planes, (planes <= 0) | (planes >= 1))
    usable = unusable < MOST_SATURATED
    if known is not None:
        mask = known.detach().cpu().numpy() if isinstance(known, torch.Tensor) else np.asarray(known)
        usable &= _residuals(planes, ~mask[None])[1] == 0
    residual = residual[usable]
    if len(residual) < FEWEST:
        return None
    roughness = np.square(residual).mean(axis=2)  # (n, C)
    weight = 1 / np.maximum(np.median(np.sort(roughness, axis=0)[: max(FEWEST, len(roughness) // 50)], axis=0), 1e-12)
    flatness = (roughness * weight).mean(axis=1)
    chosen = np.argsort(flatness, kind="stable")[: max(FEWEST, int(FLATTEST * len(flatness)))]
    for _ in range(ROUNDS):
        found = _covariance(residual[chosen], radius)
        # How the flatness of patches that hold nothing but this noise is spread says which patches may be such.
        drawn = found.draw((128, 128), 1, 0)[0]
        noise, _ = _residuals(drawn, np.zeros_like(drawn, dtype=bool))
        pure = (np.square(noise).mean(axis=2) * weight).mean(axis=1)
        limit = np.quantile(pure, QUANTILE)
        selected = np.flatnonzero(flatness <= limit)
        if len(selected) < FEWEST:
            break
        if len(selected) == len(chosen):
            break
        chosen = selected
    found = _covariance(residual[chosen], radius)
    if found.sigma < LEAST_SIGMA:
        return None
    # Sums depend, in their last bits, on where the memory lies; what is asked of a fit must not.
    digits = 4 - math.floor(math.log10(found.sigma**2))
    return NoiseCovariance(found.lags.round(digits), uneven=was_jpeg(array))


def _residuals(planes: Floats, bad: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return patches without their planes, (n, C, PATCH^2), and the share of bad values of each."""
    windows = sliding_window_view(planes, (PATCH, PATCH), axis=(1, 2))
    count = windows.shape[1] * windows.shape[2]
    stride = max(2, math.ceil((count / MOST) ** 0.5))
    patches = windows[:, ::stride, ::stride].transpose(1, 2, 0, 3, 4).reshape(-1, len(planes), PATCH**2)
    marked = sliding_window_view(bad, (PATCH, PATCH), axis=(1, 2))[:, ::stride, ::stride].mean(axis=(0, 3, 4)).ravel()
    basis = _plane()
    return patches - (patches @ basis) @ basis.T, marked


@functools.cache
def _plane() -> Floats:
    offset = np.arange(PATCH) - (PATCH - 1) / 2
    rows, columns = (grid.ravel() for grid in np.meshgrid(offset, offset, indexing="ij"))
    basis: Floats = np.linalg.qr(np.stack([np.ones_like(rows), rows, columns], axis=1))[0].astype(np.float64)
    return basis


@functools.cache
def _inverse(radius: int) -> Floats:
    """Return the inverse of what taking planes out of patches does to the lags of a covariance."""
    side = 2 * radius + 1
    basis = _plane().astype(np.float64)
    rows, columns = np.divmod(np.arange(PATCH**2), PATCH)
    down, right = rows[None] - rows[:, None], columns[None] - columns[:, None]
    near = (abs(down) <= radius) & (abs(right) <= radius)
    index = np.where(near, (down + radius) * side + right + radius, side**2)
    matrix = np.zeros((side**2, side**2))
    for lag in range(side**2):
        shift = (index == lag).astype(np.float64)
        left, right_side = basis @ (basis.T @ shift), (shift @ basis) @ basis.T
        seen = shift - left - right_side + (left @ basis) @ basis.T
        matrix[:, lag] = np.bincount(index.ravel(), seen.ravel(), side**2 + 1)[:-1]
    matrix /= np.bincount(index.ravel(), minlength=side**2 + 1)[:-1, None]
    inverse: Floats = np.linalg.inv(matrix).astype(np.float64)
    return inverse


def _covariance(residual: Floats, radius: int) -> NoiseCovariance:
    count, channels, _ = residual.shape
    side = 2 * radius + 1
    residual = residual[:: max(1, count // 1000)]
    count = len(residual)
    padded = np.zeros((count, channels, 2 * PATCH, 2 * PATCH))
    padded[:, :, :PATCH, :PATCH] = residual.reshape(count, channels, PATCH, PATCH)
    spectrum = np.fft.fft2(padded)
    cross = np.einsum("nihw,njhw->ijhw", spectrum.conj(), spectrum) / count
    products = np.roll(np.fft.ifft2(cross).real, (radius, radius), (2, 3))[:, :, :side, :side]
    pairs = PATCH - abs(np.arange(-radius, radius + 1))
    measured = products / np.outer(pairs, pairs)
    lags = measured.reshape(channels, channels, -1) @ _inverse(radius).T
    return NoiseCovariance(lags.reshape(channels, channels, side, side))
