"""Impulses: values that a dead or hot sensor element, or a lost byte, has set to black or white, whatever was there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

__all__ = ["LEAST_SHARE", "find_impulses"]

Bools = NDArray[np.bool_]

LEAST_SHARE = 0.002
"""Share of a channel's values below which impulses are not told from highlights."""

WINDOW = 5
"""Side of the square whose median a value is compared with."""

FAR = 0.3
"""Distance from that median at which values are counted to decide whether there are impulses at all."""

NEAR = 0.08
"""Least distance at which an extreme value counts as an impulse once that is decided; closer ones do little harm."""

DEVIATIONS = 2.5
"""The same in standard deviations of the other values from their medians, where the picture is noisy beside."""

MOST_ALIKE = 2
"""Neighbours nearer than that with which a value still stands alone."""

BAND = 0.1
"""Width of the band beside an extreme in which clipped noise would leave values too."""

RATIO = 30.0
"""Values at the extremes for one in that band: clipped noise gives up to 20 on chequers, impulses 70 and more."""

MOST_CORRELATED = 0.15
"""Correlation of neighbouring impulses above which they are lines and letters."""

FEWEST_LEVELS = 32
"""Different values below which a channel is drawn, dithered or counts photons one by one."""


def find_impulses(image: NDArray[Any] | Tensor) -> Bools:
    """Return bool (H, W), True where a channel of `image` (C, H, W), in [0, 1], holds an impulse; mostly none does.

    An impulse is a 0 or 1 far from the median of the 25 values around it. Clipping makes such values of strong noise
    too, but then the band beside the extreme is as full; highlights and line art make them, but then they touch one
    another. So there are impulses only where the extremes outnumber the band's values and lie about independently;
    otherwise no pixel is marked.

    >>> picture = np.full((1, 64, 64), 0.5) + np.random.default_rng(0).normal(0, 0.02, (1, 64, 64))
    >>> picture[0, ::8, ::8] = 1
    >>> int(find_impulses(picture).sum())
    64
    """
    planes = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    found = np.zeros(planes.shape[1:], dtype=bool)
    for plane in planes:
        found |= _of_channel(plane.astype(np.float32))
    return found


def _of_channel(plane: NDArray[np.float32]) -> Bools:
    none = np.zeros(plane.shape, dtype=bool)
    if len(np.unique(plane)) < FEWEST_LEVELS:
        return none
    distance = plane - ndimage.median_filter(plane, WINDOW, mode="mirror")
    extreme = ((plane <= 0) & (distance < 0)) | ((plane >= 1) & (distance > 0))
    far = (np.abs(distance) > FAR) & _alone(plane)
    struck = extreme & far
    beside = far & ~extreme & (((plane < BAND) & (distance < 0)) | ((plane > 1 - BAND) & (distance > 0)))
    if struck.mean() < LEAST_SHARE or struck.sum() < RATIO * beside.sum() or _correlation(struck) > MOST_CORRELATED:
        return none
    inside = (plane > 0) & (plane < 1)
    deviation = 1.4826 * float(np.median(np.abs(distance[inside]))) if inside.any() else 0.0
    marked: Bools = extreme & (np.abs(distance) > max(NEAR, DEVIATIONS * deviation))
    return marked


def _alone(plane: NDArray[np.float32]) -> Bools:
    """Return where at most two of the eight neighbours are nearer to a value than `FAR`: corners have more like them.

    An order statistic of the differences, as in Garnett, Huegerich, Chui and He, IEEE Transactions on Image Processing
    14(11), 2005.
    """
    height, width = plane.shape
    padded = np.pad(plane, 1, mode="symmetric")
    alike = np.zeros(plane.shape, dtype=np.int64)
    for down in range(3):
        for right in range(3):
            alike += np.abs(padded[down : down + height, right : right + width] - plane) <= FAR
    alone: Bools = alike - 1 <= MOST_ALIKE  # a value is like itself
    return alone


def _correlation(marked: Bools) -> float:
    """Return the largest correlation of marks with those one pixel on: across, down, or along a diagonal."""
    centred = marked - marked.mean()
    shifted = (
        (centred[:, 1:], centred[:, :-1]),
        (centred[1:], centred[:-1]),
        (centred[1:, 1:], centred[:-1, :-1]),
        (centred[1:, :-1], centred[:-1, 1:]),
    )
    variance = float(np.square(centred).mean())
    return max(float((one * other).mean()) for one, other in shifted if one.size) / variance
