"""Where the tiles of a big picture lie, and the windows by which they are joined without a seam."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Layout", "Tile", "make_layout", "middle", "window"]

MIDDLE = 0.56
"""Side of a picture's middle, as a share of its own."""

MULTIPLE = 16
"""Its sides are multiples of this."""


@dataclass(frozen=True)
class Tile:
    """A part of a picture: its first row and column, and its size, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image: Tensor) -> Tensor:
        """Return the tile's part of an `image` (..., H, W), as a view."""
        return image[..., self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Layout:
    """Tiles of one size that cover a picture.

    Attributes:
        size: height and width of the picture.
        tiles: in rows that run to and fro, so that each lies beside the one before it.
        overlap: pixels that neighbours have in common, at least.
    """

    size: tuple[int, int]
    tiles: tuple[Tile, ...]
    overlap: int

    @property
    def tile_size(self) -> tuple[int, int]:
        """Height and width of every tile."""
        return self.tiles[0].height, self.tiles[0].width


def make_layout(size: tuple[int, int], side: int, overlap: int) -> Layout:
    """Return the fewest tiles of at most `side` x `side` pixels that cover a picture of `size` (H, W).

    All are of one size, so that one fit leaves the memory that the next one needs, and spread evenly. No pixel belongs
    to more than two of a row, or two of a column.

    Args:
        overlap: pixels that neighbours have in common, at least; from 1 to a quarter of `side`.

    Raises ValueError for another `overlap`.

    >>> layout = make_layout((60, 100), side=64, overlap=16)
    >>> layout.tile_size, [tile.left for tile in layout.tiles]
    ((60, 58), [0, 42])
    """
    if not 1 <= overlap <= side // 4:
        raise ValueError(f"tiles of {side} pixels overlap by 1 to {side // 4}, not {overlap}")
    (height, rows), (width, columns) = (_spread(length, side, overlap) for length in size)
    tiles = [
        Tile(top, left, height, width)
        for row, top in enumerate(rows)
        for left in (columns if row % 2 == 0 else columns[::-1])
    ]
    return Layout(size, tuple(tiles), overlap)


def middle(size: tuple[int, int]) -> Tile:
    """Return the part on which the fit of a picture of `size` (H, W) begins.

    >>> middle((512, 768))
    Tile(top=120, left=176, height=272, width=416)
    """
    height, width = (min(length, max(MULTIPLE, int(MIDDLE * length) // MULTIPLE * MULTIPLE)) for length in size)
    return Tile((size[0] - height) // 2, (size[1] - width) // 2, height, width)


def window(layout: Layout, tile: Tile) -> Tensor:
    """Return the weight of each pixel of a tile, float32 (height, width) in [0, 1]; those of all tiles sum to 1.

    In the n pixels that two neighbours share, the later one rises as sin^2(pi t / 2), t = (k + 1/2) / n, and the
    earlier one falls as its complement: smooth at both ends, and next to nothing where a tile sees least around it.
    """
    rows = _weights(tile.top, tile.height, sorted({other.top for other in layout.tiles}))
    columns = _weights(tile.left, tile.width, sorted({other.left for other in layout.tiles}))
    return (rows[:, None] * columns).float()


def _spread(length: int, side: int, overlap: int) -> tuple[int, list[int]]:
    """Return the length of the pieces that cover `length`, and where they begin."""
    if length <= side:
        return length, [0]
    count = math.ceil((length - overlap) / (side - overlap))
    piece = math.ceil((length + (count - 1) * overlap) / count)
    return piece, [index * (length - piece) // (count - 1) for index in range(count)]


def _weights(start: int, length: int, starts: list[int]) -> Tensor:
    weights = torch.ones(length, dtype=torch.float64)
    place = starts.index(start)
    if place > 0:
        rise = _rise(starts[place - 1] + length - start)
        weights[: len(rise)] = rise
    if place + 1 < len(starts):
        rise = _rise(start + length - starts[place + 1])
        weights[length - len(rise) :] = 1 - rise
    return weights


def _rise(pixels: int) -> Tensor:
    position = (torch.arange(pixels, dtype=torch.float64) + 0.5) / pixels
    return torch.sin(position * math.pi / 2).square()
