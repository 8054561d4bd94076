"""Padding a picture to a size that a network can make, by symmetric reflection, as often as it takes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["Padding"]


class Padding:
    """Reflects pictures of `size` (H, W) out to the next multiple of `multiple`, at least `minimum`, and crops back.

    The picture keeps to the middle. Reflection is symmetric (the border pixel is repeated) and repeats, so that a
    picture of a single pixel can be padded too. Masks go through the same `pad`, so a pixel's copies are hidden when
    it is.

    >>> padding = Padding((3, 5), multiple=4, minimum=4)
    >>> padding.padded, padding.pad(torch.arange(15.0).view(1, 1, 3, 5)).shape
    ((4, 8), torch.Size([1, 1, 4, 8]))
    """

    def __init__(self, size: tuple[int, int], multiple: int, minimum: int) -> None:
        self.size = size
        height, width = (math.ceil(max(n, minimum) / multiple) * multiple for n in size)
        self.padded = (height, width)
        self._top, self._left = ((p - n) // 2 for p, n in zip(self.padded, size, strict=True))
        self._rows = _reflection(size[0], self._top, height)
        self._columns = _reflection(size[1], self._left, width)

    def pad(self, image: Tensor) -> Tensor:
        """Return (..., H', W') for an `image` of (..., H, W)."""
        if self.padded == self.size:
            return image
        return image[..., self._rows.to(image.device), :][..., self._columns.to(image.device)]

    def crop(self, image: Tensor) -> Tensor:
        """Return the (..., H, W) that `pad` put into `image`."""
        return image[..., self._top : self._top + self.size[0], self._left : self._left + self.size[1]]


def _reflection(length: int, before: int, total: int) -> Tensor:
    """Return for each of `total` positions the index in [0, length) that it mirrors."""
    position = (torch.arange(total) - before) % (2 * length)
    return torch.minimum(position, 2 * length - 1 - position)
