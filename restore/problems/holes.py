"""The holes of an inpainting problem: how wide they are, what interpolation puts there, where else they could be."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

__all__ = ["biharmonic_fill", "clear_share", "hole_radius", "shifted_copies"]


def hole_radius(hole: NDArray[np.bool_]) -> float:
    """Return the radius in pixels of the largest disc that fits into the `hole` (H, W): 1 for single pixels.

    The border of the picture does not bound a hole.

    >>> hole_radius(np.eye(5, dtype=bool))
    1.0
    """
    if not hole.any():
        return 0.0
    return float(ndimage.distance_transform_edt(hole).max())


def clear_share(hole: NDArray[np.bool_]) -> float:
    """Return the share of the known pixels that have no pixel of the `hole` (H, W) within 5x5 around them.

    Of a hole of scattered pixels there is one near: with a tenth of the pixels missing the share is 0.9^24 = 0.08.

    >>> bar = np.zeros((30, 30), dtype=bool)
    >>> bar[3:6] = True
    >>> round(clear_share(bar), 2)
    0.85
    """
    known = ~hole
    if not known.any():
        return 0.0
    near = ndimage.maximum_filter(hole, size=5, mode="constant", cval=False)
    return float((known & ~near).sum() / known.sum())


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
