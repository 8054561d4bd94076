"""Pictures turned and mirrored: the eight orientations of a square, of which a rectangle keeps its shape in four.

A network that is shown its picture in all of them has eight times as much to learn by heart, and what holds in one
holds in the others: noise is learned later. Its output is turned back before it is scored. Source of the idea: Timofte,
Rothe and Van Gool, Seven ways to improve example-based single image super resolution, arXiv:1511.02228. What it is
worth: docs/benchmarks.md.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["ALL", "possible", "turned", "turned_back"]

ALL = 8
"""Orientations of a square."""

MIRRORED, UPSIDE_DOWN, TRANSPOSED = 1, 2, 4


def possible(size: tuple[int, int]) -> int:
    """Return in how many orientations a picture of this height and width has that height and width."""
    return ALL if size[0] == size[1] else TRANSPOSED


def turned(image: Tensor, orientation: int) -> Tensor:
    """Return the `image` (..., H, W) in an orientation, 0 (as it is) to 7; from 4 on rows become columns."""
    if orientation & MIRRORED:
        image = image.flip(-1)
    if orientation & UPSIDE_DOWN:
        image = image.flip(-2)
    return image.transpose(-1, -2) if orientation & TRANSPOSED else image


def turned_back(image: Tensor, orientation: int) -> Tensor:
    """Return what `turned` made this of.

    >>> import torch
    >>> image = torch.rand(3, 4, 4)
    >>> all(torch.equal(turned_back(turned(image, each), each), image) for each in range(ALL))
    True
    """
    if orientation & TRANSPOSED:
        image = image.transpose(-1, -2)
    if orientation & UPSIDE_DOWN:
        image = image.flip(-2)
    return image.flip(-1) if orientation & MIRRORED else image
