"""Whether a picture was compressed as JPEG, judged from its pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

__all__ = ["was_jpeg"]

BLOCK = 8
"""Side of JPEG's blocks."""

FEWEST_BLOCKS = 16

ZERO = 0.75
"""Size on the scale of 0 to 255 below which a coefficient is taken for a zero that was rounded to whole pixels."""

SHARE = 0.15
"""Of the coefficients that do not vanish elsewhere, the share that must vanish on JPEG's grid."""

ERRORS = 4.0
"""By how many standard errors of the number on other grids the number on JPEG's grid must be larger."""


def was_jpeg(image: NDArray[Any] | Tensor) -> bool:
    """Tell whether `image` (C, H, W), in [0, 1], was JPEG before, at a quality that left traces.

    JPEG rounds the cosine coefficients of blocks of 8x8 pixels, most of the high ones to zero. So on one of the 64
    grids that the blocks may lie on many more coefficients of the luminance vanish than on the others. Those that share
    its rows or its columns do not count as others: half of JPEG's edges are theirs.

    >>> bool(was_jpeg(np.random.default_rng(0).normal(0.5, 0.1, (1, 64, 64))))
    False
    """
    planes = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    weights = (0.299, 0.587, 0.114) if len(planes) == 3 else (1 / len(planes),) * len(planes)
    luminance = 255 * np.tensordot(weights, planes, axes=1)
    if (min(luminance.shape) - BLOCK + 1) // BLOCK < math.isqrt(FEWEST_BLOCKS):
        return False
    order = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    high = order >= BLOCK - 1
    vanished, numbers = np.zeros((BLOCK, BLOCK)), np.zeros((BLOCK, BLOCK))
    for down in range(BLOCK):
        for right in range(BLOCK):
            part = luminance[down:, right:]
            rows, columns = part.shape[0] // BLOCK, part.shape[1] // BLOCK
            blocks = part[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
            # A flat block has no coefficients on any grid, and says nothing.
            busy = blocks[np.ptp(blocks, axis=(2, 3)) > 2]
            if len(busy) >= FEWEST_BLOCKS:
                vanished[down, right] = (np.abs(fft.dctn(busy, axes=(1, 2), norm="ortho"))[:, high] < ZERO).mean()
                numbers[down, right] = len(busy) * high.sum()
    row, column = divmod(int(vanished.argmax()), BLOCK)
    others = np.delete(np.delete(vanished, row, axis=0), column, axis=1).max()
    error = math.sqrt(others * (1 - others) / max(1, numbers[row, column]))
    return bool(vanished[row, column] - others > max(SHARE * (1 - others), ERRORS * error))
