"""The holes of an inpainting problem: how wide they are, what interpolation puts there, where else they could be."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

__all__ = ["biharmonic_fill", "hole_radius", "is_scattered", "shifted_copies"]

AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=np.float32) / 8

CLUSTERED = 0.1
"""Part of what chance leaves known around a pixel of the hole; if more of it is missing, the hole has a form."""

FEW_SQUARES = 10
"""Squares of 3x3 beyond twice those of chance that do not make a stroke."""

RARE = 20
"""Chance leaves a wider hole than is taken for scattered in one of so many pictures."""


def hole_radius(hole: NDArray[np.bool_]) -> float:
    """Return the radius in pixels of the largest disc that fits into the `hole` (H, W): 1 for single pixels.

    The border of the picture does not bound a hole.

    >>> hole_radius(np.eye(5, dtype=bool))
    1.0
    """
    if not hole.any():
        return 0.0
    return float(ndimage.distance_transform_edt(hole).max())


def is_scattered(hole: NDArray[np.bool_]) -> bool:
    """Whether the `hole` (H, W) is of pixels that are missing one by one, by chance: not of strokes or patches.

    Then, of N pixels a share p of which is missing, a pixel of the hole has no more than that share of its neighbours
    in it; about N p^9 squares of 3x3 are hole throughout; and about N p^n pixels are the middle of a disc of n pixels
    that is, hardly one with n > ln(N) / ln(1 / p), or of half a disc at the border.

    >>> rng = np.random.default_rng(0)
    >>> is_scattered(rng.random((64, 64)) < 0.8)
    True
    >>> bar = np.zeros((64, 64), dtype=bool)
    >>> bar[30:34] = True
    >>> is_scattered(bar)
    False
    """
    share = float(hole.mean())
    if share in (0.0, 1.0):
        return share == 0.0
    around = ndimage.convolve(hole.astype(np.float32), AROUND, mode="reflect")[hole].mean()
    if around > share + CLUSTERED * (1 - share):
        return False
    squares = ndimage.minimum_filter(hole, size=3, mode="constant", cval=False).sum()
    if squares > FEW_SQUARES + 2 * hole.size * share**9:
        return False
    rarity = -math.log(share)
    inside, at_border = (math.log(RARE * places) / rarity for places in (hole.size, 2 * sum(hole.shape)))
    return hole_radius(hole) <= math.sqrt(max(inside, 2 * at_border) / math.pi) + 1


def biharmonic_fill(picture: NDArray[np.float32], hole: NDArray[np.bool_]) -> NDArray[np.floating[Any]]:
    """Return `picture` (C, H, W) with the `hole` (H, W) filled by solving the biharmonic equation, clipped to [0, 1].

    Source: Damelin, Hoang, On surface completion and image inpainting by biharmonic functions, 2018,
    doi:10.1155/2018/3950312, as in scikit-image.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of ill-conditioned systems at the edge of a picture
        filled = inpaint_biharmonic(np.moveaxis(picture, 0, -1), hole, channel_axis=-1)
    clipped: NDArray[np.floating[Any]] = np.clip(np.nan_to_num(np.moveaxis(filled, -1, 0), nan=0.5), 0, 1)
    return clipped


def shifted_copies(hole: Tensor, generator: torch.Generator) -> Tensor:
    """Return the `hole` (..., H, W), bool, moved by a random offset around the picture, as a torus."""
    height, width = hole.shape[-2:]
    down = int(torch.randint(height, (), generator=generator))
    right = int(torch.randint(width, (), generator=generator))
    return torch.roll(hole, (down, right), (-2, -1))
