"""Patches of a picture without the planes that fit them: what is left of flat ones is noise."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from restore.problems.clipping import mean_around

__all__ = ["MOST_SATURATED", "PATCH", "Patches", "covariance_lags", "take_patches"]

Floats = NDArray[np.float64]

PATCH = 16
"""Side of the patches that are looked at."""

MOST = 6000
"""Patches that are looked at at most."""

MOST_SATURATED = 0.1
"""Share of clipped values above which a patch says too little of the noise."""

MOST_UNKNOWN = 0.1
"""The same of values that are not known."""


@dataclass(frozen=True)
class Patches:
    """Some n patches of PATCH x PATCH pixels of a picture of C channels.

    Attributes:
        residual: float64 (n, C, PATCH^2), what is left without the best planes.
        light: float64 (n, C), the mean.
    """

    residual: Floats
    light: Floats

    def __len__(self) -> int:
        return len(self.light)

    @property
    def roughness(self) -> Floats:
        """Mean square of the residual, (n, C)."""
        mean: Floats = np.square(self.residual).mean(axis=2)
        return mean

    def __getitem__(self, which: NDArray[Any]) -> Patches:
        return Patches(self.residual[which], self.light[which])

    def over(self, deviation: NDArray[np.floating[Any]]) -> Patches:
        """Return them in units of a `deviation` (n, C)."""
        return Patches(self.residual / deviation[:, :, None], self.light)


def take_patches(planes: Floats, known: NDArray[np.bool_] | None = None, *, clipped: bool = True) -> Patches:
    """Return patches of `planes` (C, H, W) in [0, 1], few of whose values are clipped or not known.

    What is not known is replaced by the mean of what is, around it, whatever the planes hold there.

    Args:
        planes: no smaller than a patch.
        known: bool (H, W), True where a pixel was measured.
        clipped: whether values outside (0, 1) are clipped ones, and not as good as any.
    """
    stride = _stride(planes)
    if known is not None:
        planes = np.where(known, planes, mean_around(planes, known))
    windows = sliding_window_view(planes, (PATCH, PATCH), axis=(1, 2))[:, ::stride, ::stride]
    values = windows.transpose(1, 2, 0, 3, 4).reshape(-1, len(planes), PATCH**2)
    usable = np.ones(len(values), dtype=np.bool_)
    if clipped:
        usable &= _share((planes <= 0) | (planes >= 1), stride) < MOST_SATURATED
    if known is not None:
        usable &= _share(~known[None], stride) < MOST_UNKNOWN
    values = values[usable]
    basis = _plane()
    return Patches(values - (values @ basis) @ basis.T, values.mean(axis=2))


def covariance_lags(residual: Floats, radius: int) -> Floats:
    """Return the covariance of the noise (C, C, 2 r + 1, 2 r + 1) that the `residual` (n, C, PATCH^2) is all of.

    What taking the planes out did to the products of the residual with itself, shifted, is undone exactly: it is
    linear, E[r r^T] = P Sigma P, for a Sigma that vanishes beyond the radius.
    """
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
    lags: Floats = (measured.reshape(channels, channels, -1) @ _inverse(radius).T).reshape(products.shape)
    return lags


def _stride(planes: Floats) -> int:
    height, width = planes.shape[1:]
    return max(2, math.ceil(math.sqrt((height - PATCH + 1) * (width - PATCH + 1) / MOST)))


def _share(marked: NDArray[np.bool_], stride: int) -> Floats:
    """Return the share of `marked` (C, H, W) values of each patch."""
    windows = sliding_window_view(marked, (PATCH, PATCH), axis=(1, 2))[:, ::stride, ::stride]
    share: Floats = windows.mean(axis=(0, 3, 4)).ravel()
    return share


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
    basis = _plane()
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
