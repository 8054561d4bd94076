"""How noisy a picture is, and whether its noise is white, judged from the picture alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from restore.problems.clipping import retained_variance

__all__ = ["CORRELATION_THRESHOLD", "TOO_FEW", "NoiseCorrelation", "estimate_sigma", "noise_correlation"]

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Image = Floats | torch.Tensor
Known = Bools | torch.Tensor

CORRELATION_THRESHOLD = 0.1
"""Correlation of neighbouring noise above which `noise_correlation` calls the noise correlated."""

TOO_FEW = "too few patches are known and not saturated"
"""Reason of `noise_correlation` where it cannot judge."""

_MOST_PATCHES = 65_536
_PATCHES_PER_DIMENSION = 16
_LEAST_RETAINED_VARIANCE = 0.15
_FLAT_QUANTILE = 3.09  # of the standard normal: 99.9 % of the patches that hold nothing but noise pass as flat

_JUDGED_SIZE = 8
_LEAST_JUDGED_SIGMA = 1.8 / 255
_WIDEST_FLOOR = 1.42


@dataclass(frozen=True)
class NoiseCorrelation:
    """What `noise_correlation` found; `coefficient` is None where there is no noise to judge, and `reason` says why.

    `deviation` is that of the flattest patches, in units of the [0, 1] range, where they were judged.
    """

    coefficient: float | None
    correlated: bool
    reason: str | None = None
    deviation: float | None = None


def estimate_sigma(image: Image, known: Known | None = None) -> float:
    """Return the standard deviation of the white Gaussian noise in `image`, in the units of its [0, 1] range.

    The covariance of small patches of all channels together has eigenvalues sigma^2 in every direction that no image
    structure uses; the largest set of smallest eigenvalues whose mean does not exceed its median is taken for them
    (Chen, Zhu and Heng, doi 10.1109/ICCV.2015.62). Only flat patches enter, as in Liu, Tanaka and Okutomi
    (doi 10.1109/TIP.2013.2283400), and each is first divided by sqrt(Var[clip(z)] / sigma^2), the deviation that
    clipping z ~ N(m, sigma^2) to [0, 1] leaves around its mean (Foi, doi 10.1016/j.sigpro.2009.04.035).

    Args:
        image: (C, H, W) in [0, 1].
        known: (H, W) bool, True where a pixel was measured; the others are never looked at.

    Patches have 6x6 pixels, and fewer where the picture is small or holed. With too few even of 2x2 pixels (about 11x11
    known pixels in colour, 7x7 in grey) the median absolute difference of neighbours serves, which takes texture
    for noise; without two known neighbours, for constant pictures and for wholly saturated ones the value is 0.

    >>> noise = np.random.default_rng(0).normal(0, 0.1, (1, 64, 64))
    >>> round(estimate_sigma(0.5 + noise), 2)
    0.1
    """
    planes, mask = _planes(image, known)
    channels = len(planes)
    if channels == 0:
        return 0.0
    for size in (6, 5, 4, 3, 2):
        patches = _patches(planes, mask, size)
        enough = _PATCHES_PER_DIMENSION if size > 2 else _PATCHES_PER_DIMENSION // 2
        if len(patches) >= enough * channels * size**2:
            return _sigma_of_patches(patches)
    return _sigma_of_differences(planes, mask)


def noise_correlation(image: Image, known: Known | None = None) -> NoiseCorrelation:
    """Tell whether the noise of neighbouring pixels is correlated, as compression, demosaicing or resizing makes it.

    In the 1 % flattest 8x8 patches a plane is subtracted and the residual r is correlated with itself one pixel on,
    sum r(i) r(i+1) / sum r(i)^2, averaged over rows and columns. White noise gives -0.06 to 0.07, a 3x3 box, a
    Gaussian of 0.7 pixels or bilinear demosaicing 0.11 to 0.5; the threshold is `CORRELATION_THRESHOLD`.

    There is no noise to judge where the flattest patches deviate by less than 1.8/255, where their deviations differ so
    much (a factor of 1.42 between the quantiles 1 % and 5 %) that they must be texture, or where fewer than 64 patches
    are known and not saturated.

    Args:
        image: (C, H, W) in [0, 1].
        known: (H, W) bool, True where a pixel was measured.

    >>> noise = np.random.default_rng(0).normal(0, 0.1, (1, 64, 65))
    >>> noise_correlation(0.5 + noise[..., 1:]).correlated
    False
    >>> noise_correlation(0.5 + (noise[..., 1:] + noise[..., :-1]) / 2).correlated
    True
    """
    planes, mask = _planes(image, known)
    pixels = _patches(planes, mask, _JUDGED_SIZE).reshape(-1, _JUDGED_SIZE**2)
    pixels = pixels[((pixels <= 0) | (pixels >= 1)).mean(axis=1) < 0.2]
    if len(pixels) < 64:
        return NoiseCorrelation(None, False, TOO_FEW)
    offset = np.arange(_JUDGED_SIZE) - (_JUDGED_SIZE - 1) / 2
    rows, columns = (grid.ravel() for grid in np.meshgrid(offset, offset, indexing="ij"))
    plane = np.linalg.qr(np.stack([np.ones_like(rows), rows, columns], axis=1))[0].astype(np.float32)
    residual = pixels - (pixels @ plane) @ plane.T
    variance = np.square(residual).sum(axis=1) / (_JUDGED_SIZE**2 - 3)
    flattest = np.argsort(variance, kind="stable")[: max(64, len(variance) // 100)]
    sigma = math.sqrt(variance[flattest].mean())
    if sigma < _LEAST_JUDGED_SIGMA:
        return NoiseCorrelation(None, False, "no noise to judge")
    floor, above = np.sqrt(np.quantile(variance, [0.01, 0.05]))
    if above > _WIDEST_FLOOR * floor:
        return NoiseCorrelation(None, False, "no noise to judge: the flattest patches are texture")
    r = residual[flattest].reshape(-1, _JUDGED_SIZE, _JUDGED_SIZE)
    along_rows, along_columns = (r[:, :, 1:] * r[:, :, :-1]).mean(), (r[:, 1:] * r[:, :-1]).mean()
    coefficient = float((along_rows + along_columns) / (2 * np.square(r).mean()))
    return NoiseCorrelation(coefficient, coefficient > CORRELATION_THRESHOLD, deviation=sigma)


def _planes(image: Image, known: Known | None) -> tuple[Floats, Bools]:
    """Return the channels that differ from one another and are not constant, and the mask of known pixels."""
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    mask: Bools = np.logical_and.reduce(np.isfinite(array), axis=0)
    if known is not None:
        mask &= known.detach().cpu().numpy() if isinstance(known, torch.Tensor) else np.asarray(known)
    # A grey picture stored as RGB would give the covariance of its patches directions without any noise.
    kept: list[Floats] = []
    for plane in array.astype(np.float32):
        pixels = plane[mask]
        if pixels.size and np.ptp(pixels) > 0 and not any(np.array_equal(pixels, other[mask]) for other in kept):
            kept.append(plane)
    return np.stack(kept) if kept else np.empty((0, *mask.shape), dtype=np.float32), mask


def _patches(planes: Floats, mask: Bools, size: int) -> Floats:
    """Return at most about 65,536 wholly known patches, (n, C, size * size), on a grid as fine as that allows."""
    if min(mask.shape) < size or len(planes) == 0:
        return np.empty((0, len(planes), size**2), dtype=np.float32)
    whole: Bools = np.logical_and.reduce(sliding_window_view(mask, (size, size)), axis=(2, 3))
    stride = max(1, math.ceil(math.sqrt(np.count_nonzero(whole) / _MOST_PATCHES)))
    grid = (slice(None, None, stride), slice(None, None, stride))
    windows = sliding_window_view(planes, (size, size), axis=(1, 2)).transpose(1, 2, 0, 3, 4)
    return windows[grid][whole[grid]].reshape(-1, len(planes), size**2)


def _sigma_of_patches(patches: Floats) -> float:
    channels, pixels = patches.shape[1:]
    saturated = np.logical_and.reduce((patches <= 0) | (patches >= 1), axis=2).any(axis=1)
    patches = patches[~saturated]
    # Constant patches in the minority are drawn borders and labels; in the majority, they say that there is no noise.
    varying = np.logical_and.reduce(patches.max(axis=2) > patches.min(axis=2), axis=1)
    if 2 * varying.sum() <= len(patches):
        return 0.0
    patches = patches[varying]
    mean = patches.mean(axis=2)
    variance = patches.var(axis=2, ddof=1)
    sigma = math.sqrt(np.quantile(variance.mean(axis=1), 0.1))
    freedom = channels * (pixels - 1)
    flat_limit = (1 - 2 / (9 * freedom) + _FLAT_QUANTILE * math.sqrt(2 / (9 * freedom))) ** 3  # Wilson and Hilferty
    for _ in range(8):
        retained = retained_variance(mean, sigma)
        texture = (variance / retained).mean(axis=1)
        texture[retained.min(axis=1) < _LEAST_RETAINED_VARIANCE] = np.inf
        usable = int(np.isfinite(texture).sum())
        least = min(_PATCHES_PER_DIMENSION * channels * pixels, usable)
        if least < 2:
            break
        flat = texture <= max(flat_limit * sigma**2, np.partition(texture, least - 1)[least - 1])
        sample = (patches[flat] / np.sqrt(retained[flat])[:, :, None].astype(np.float32)).reshape(-1, channels * pixels)
        sample -= sample.mean(axis=0)
        eigenvalues = np.linalg.eigvalsh((sample.T @ sample).astype(np.float64) / len(sample))
        previous, sigma = sigma, math.sqrt(max(_noise_eigenvalue(eigenvalues), 0.0))
        if abs(sigma - previous) <= 1e-3 * previous or sigma == 0:
            break
    return sigma


def _noise_eigenvalue(ascending: Floats) -> float:
    """Return the mean of the longest run of smallest eigenvalues whose mean does not exceed its median."""
    for length in range(len(ascending), 1, -1):
        run = ascending[:length]
        if run.mean() <= np.median(run):
            return float(run.mean())
    return float(ascending[0])


def _sigma_of_differences(planes: Floats, mask: Bools) -> float:
    across = np.diff(planes, axis=2)[:, mask[:, 1:] & mask[:, :-1]]
    down = np.diff(planes, axis=1)[:, mask[1:] & mask[:-1]]
    differences = np.abs(np.concatenate([across.ravel(), down.ravel()]))
    return float(np.median(differences)) / (0.6745 * math.sqrt(2)) if differences.size else 0.0
