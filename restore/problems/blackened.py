"""Pixels that look as if somebody had taken them out: black beside bright ones, all over the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["black_among_bright"]

FEWEST = 0.02
"""Share of black pixels below which nothing is said."""

BRIGHT = 0.25
"""Median brightness, in [0, 1], of those beside them; beside black that noise was clipped to it is the noise's."""

BORDERS = 0.5
"""Number of neighbours of which one is black, over that of pixels taken out by chance; shapes have fewer."""


def black_among_bright(pixels: NDArray[np.floating[Any]], known: NDArray[np.bool_] | None = None) -> float:
    """Return the share of the `pixels` (C, H, W), in [0, 1], that are black as if they were missing; 0 for none.

    Args:
        known: bool (H, W), True for pixels that are no impulses, by which it is judged; None for all.

    >>> picture = np.full((1, 8, 8), 0.6)
    >>> picture[:, ::2, ::2] = 0
    >>> black_among_bright(picture)
    0.25
    """
    black: NDArray[np.bool_] = np.asarray((pixels <= 0).all(axis=0))
    brightness = pixels.max(axis=0)
    counts = np.ones_like(black) if known is None else known
    if not counts.any():
        return 0.0
    share = float(black[counts].mean())
    if not FEWEST <= share <= 1 - FEWEST:
        return 0.0
    pairs = counts[:, 1:] & counts[:, :-1]
    left, right = black[:, 1:] & ~black[:, :-1] & pairs, black[:, :-1] & ~black[:, 1:] & pairs
    beside = np.concatenate([brightness[:, :-1][left], brightness[:, 1:][right]])
    if beside.size < BORDERS * 2 * share * (1 - share) * pairs.sum() or np.median(beside) < BRIGHT:
        return 0.0
    return float(black.mean())
