"""A photograph that comes with the package's own dependencies, for studies that need one."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["photograph"]


def photograph(size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return scikit-image's grey `camera`, in the public domain, averaged over blocks to (size, size), in [0, 1].

    The largest square that whole blocks tile is used, from the middle.
    """
    from skimage.data import camera

    picture = np.asarray(camera(), dtype=np.float32) / 255  # type: ignore[no-untyped-call]
    block = picture.shape[0] // size
    start = (picture.shape[0] - block * size) // 2
    square = picture[start : start + block * size, start : start + block * size]
    blocks = square.reshape(size, block, size, block).mean(axis=(1, 3))
    return np.ascontiguousarray(blocks, dtype=np.float32)
